"""Memory and time against the number of images: python ci/memory.py, into results/bench.

For each number, a process of its own reads a folder of synthetic images (96 px, one patient each),
checks them, joins near duplicates, splits, decodes them once and goes through one epoch of batches,
with augmentation. A few images go through first, so that what is loaded only once does not count.
Seconds are processor time of one thread, so other work of the machine hardly counts. Memory is the
most that was resident, the pages of the memory-mapped cache included.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import lib
from lib.atomic import replacing

TARGET = lib.results.RESULTS / "bench" / "memory.json"
FIRST, NUMBERS = 40, (500, 1_500, 5_000, 15_000, 50_000)
SIZE = 96


def draw(folder: Path, number: int) -> None:
    """Speckle with one bright ellipse each; the masks are what was drawn."""
    generator = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    lines = ["image,label"]
    for at in range(number):
        mask = Image.new("L", (SIZE, SIZE))
        x, y, w, h = generator.integers((10, 10, 15, 15), (45, 45, 40, 40))
        ImageDraw.Draw(mask).ellipse((x, y, x + w, y + h), fill=255)
        speckle = generator.rayleigh(30, (SIZE // 4, SIZE // 4)).repeat(4, 0).repeat(4, 1)
        picture = np.clip(speckle + np.asarray(mask) / 4, 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{at}.png")
        mask.save(folder / "masks" / f"{at}.png")
        lines.append(f"{at}.png,{('benign', 'malignant')[at % 2]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def measure(folder: Path) -> dict:
    """Seconds of each part, and the highest memory so far after it in MiB."""
    row = {"memory": {"before": lib.cost.peak_memory_mb("cpu")}, "seconds": {}}
    began = time.process_time()

    def lap(name: str) -> None:
        nonlocal began
        row["seconds"][name] = time.process_time() - began
        row["memory"][name] = lib.cost.peak_memory_mb("cpu")
        began = time.process_time()

    cases = lib.sources.read("folder", folder)
    lap("read")
    cases, problems = lib.prepare_cases(cases, seed=0)
    lap("prepare")
    dls = lib.dataloaders(cases, size=SIZE, cache=folder / "cache")
    lap("decode")
    batches = sum(1 for _ in dls.train)
    lap("epoch")
    counts = {"images": len(cases), "problems": len(problems), "training": dls.train.n}
    return {**counts, "batches": batches, "cache_mb": 2 * len(cases) * SIZE**2 / 2**20, **row}


def main() -> None:
    commit, rows = lib.results.commit(), []
    one = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    for number in NUMBERS:
        with tempfile.TemporaryDirectory() as folder:
            folders = []
            for name, images in (("first", FIRST), ("data", number)):
                folders.append(Path(folder) / name)
                draw(folders[-1], images)
            command = [sys.executable, "-W", "ignore", __file__, *map(str, folders)]
            said = subprocess.run(
                command, check=True, capture_output=True, text=True, env={**os.environ, **one}
            ).stdout
        rows.append(json.loads(said.splitlines()[-1]))
        print(rows[-1], flush=True)
    record = {
        "commit": commit,
        "versions": lib.results.versions(),
        "machine": lib.results.machine("cpu") | {"threads": 1},
        "size": SIZE,
        "rows": rows,
    }
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    print(f"{TARGET.relative_to(lib.results.ROOT)}; next: make book")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps([measure(Path(folder)) for folder in sys.argv[1:]][-1]))
    else:
        main()
