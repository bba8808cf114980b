"""What a GPU does with the book's trainings: results/bench/gpu.json.

    python ci/bench_gpu.py          # some minutes of one CUDA device, with phantoms only

A few epochs of MS-MTL in the profile `evidence-256`, alone and beside eleven others on the same
device; then the profile `paper`, without and with the three terms, in bfloat16 and float32. Speed
is that of the last epoch, in training images a second. The paper's encoder gets random weights, so
that nothing is fetched; that does not matter to the time.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import lib
from lib.atomic import replacing
from lib.profiles import Profile

TARGET = lib.results.RESULTS / "bench" / "gpu.json"
TESTS = ("tests/method", "tests/engine/test_fused.py")
PHANTOMS, BESIDE = 240, 12
FINER = replace(lib.profiles.find("evidence-256"), epochs=4, images=0)
PAPER = replace(lib.profiles.find("paper"), epochs=2, weights=None)


def main() -> None:
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device is here: nothing to measure")
    if "one" in sys.argv:  # one of those that share the device
        print(json.dumps(trained("ms-mtl", FINER)))
        return
    runs = [trained("ms-mtl", FINER) | {"beside": 1}]
    runs += side_by_side()
    if control := shutil.which("nvidia-cuda-mps-control"):  # lets processes share the device
        subprocess.run([control, "-d"], check=True)
        runs += [run | {"shared_by": "MPS"} for run in side_by_side()]
        subprocess.run([control], input=b"quit\n", check=True)
    for name in ("ms-mtl", "ms-mtl+intra+inter"):
        runs.append(trained(name, PAPER) | {"beside": 1})
    runs.append(trained(name, replace(PAPER, precision="float32")) | {"beside": 1})
    record = {
        "tests": tests(),
        "phantoms": PHANTOMS,
        "runs": runs,
        "machine": lib.results.machine("cuda"),
        "versions": lib.results.versions(),
        "commit": lib.results.commit(),
    }
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n")


def side_by_side() -> list[dict[str, Any]]:
    """The same training in several processes at once."""
    command = [sys.executable, "-W", "ignore", __file__, "one"]
    several = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(BESIDE)]
    return [json.loads(one.communicate()[0]) | {"beside": BESIDE} for one in several]


def tests() -> dict[str, int]:
    """How many of the tests that ask for a CUDA device pass, and how many do not."""
    command = [sys.executable, "-m", "pytest", "-q", "-k", "cuda", *TESTS]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    counts = {word: n for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", said)}
    return {word: int(counts.get(word, 0)) for word in ("passed", "failed", "skipped", "error")}


def trained(name: str, profile: Profile) -> dict[str, Any]:
    """Speed and peak memory (MiB) of a short training of one system."""
    lib.learner.seed_everything(0)
    cases = lib.sources.read("phantom", None, cases=PHANTOMS, test=0)
    cases, _ = lib.prepare_cases(cases, seed=0, fold=None, size=profile.size)
    device = torch.device("cuda")
    dls = lib.dataloaders(cases, size=profile.size, batch_size=profile.batch_size, device=device)
    system = lib.experiments.find(name)
    network = system.build(profile).to(device)
    torch.cuda.reset_peak_memory_stats()
    with TemporaryDirectory() as folder:
        run = {"folder": Path(folder, "run"), "settings": {"seed": 0}, "log": lambda line: None}
        learn = lib.training.train(system, network, dls, profile, resume=False, **run)
    images = len(dls.train) * profile.batch_size
    seconds = learn.history[-1]["seconds_train"]
    return {
        "experiment": name,
        "profile": profile.name,
        "size": profile.size,
        "batch_size": profile.batch_size,
        "encoder": profile.encoder,
        "precision": lib.learner.choose_precision(profile.precision, device),
        "images_per_second": images / seconds,
        "step_seconds": seconds / len(dls.train),
        "memory_mb": lib.cost.peak_memory_mb(device),
    }


if __name__ == "__main__":
    main()
