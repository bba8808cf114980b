"""Memory and time against the number of images: python ci/memory.py, into results/bench.

For each number, a process of its own reads a folder of synthetic images (96 px, one patient each),
checks them, joins near duplicates, splits, decodes them once and goes through one epoch of batches.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
NUMBERS = (500, 1_500, 5_000, 15_000, 50_000)
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


def measure(folder: Path) -> dict[str, float]:
    import lib.blocks  # and torch, before anything is measured

    def megabytes() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    row, began = {"memory_before_mb": megabytes()}, time.process_time()

    def lap(name: str) -> None:
        nonlocal began
        row[name], began = time.process_time() - began, time.process_time()

    cases, _ = lib.prepare_cases(lib.sources.read("folder", folder), seed=0)
    lap("prepare_seconds")
    dls = lib.dataloaders(cases, size=SIZE, cache=folder / "cache")
    lap("decode_seconds")
    batches = sum(1 for _ in dls.train)
    lap("epoch_seconds")
    return {"images": len(cases), "batches": batches, **row, "memory_mb": megabytes()}


def main() -> None:
    rows = []
    for number in NUMBERS:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder) / "data", number)
            command = [sys.executable, "-W", "ignore", __file__, str(Path(folder) / "data")]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append(json.loads(said.splitlines()[-1]))
        print(rows[-1], flush=True)
    target = ROOT / "results" / "bench" / "memory.json"
    target.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{target.relative_to(ROOT)}; next: make book")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
    else:
        main()
