"""The two networks of the page "Ask the network": python ci/ask.py, into results/bench/ask.

Trains MS-MTL without and with the paper's three terms on the phantom, small enough for a browser,
with one thread; then writes each as ONNX with weights of 8 bits, and made.json: how they were
made, how well they do, and what the fewer bits cost. Needs `npm ci --prefix ci` for the runtime of
the page. A training that was interrupted goes on; --again exports what was trained.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

import lib
from lib.home import HOME
from lib.learner import seed_everything
from lib.profiles import Profile

PAIR = ("ms-mtl", "ms-mtl+intra+inter")  # without and with the three terms
SEED, PHANTOMS, TESTS = 0, 4000, 1000
PROFILE = Profile(
    "page",
    "some minutes on one core: small enough for a browser",
    size=64,
    epochs=24,
    lr=3e-3,
    batch_size=32,
    encoder="tu-test_efficientnet",
    weights=None,
    decoder_channels=(48, 32, 24, 16, 8),
    phantoms=PHANTOMS,
)
WORK = HOME / "data" / "ask"  # what is kept between trainings and exports; not committed


def loaders() -> tuple[Any, str]:
    """The phantoms as loaders, and their fingerprint."""
    cases = lib.sources.phantom.read(cases=PROFILE.phantoms, test=TESTS)
    cases, _ = lib.prepare_cases(cases, seed=SEED, size=PROFILE.size)
    seed_everything(SEED)
    dls = lib.dataloaders(
        cases, size=PROFILE.size, batch_size=PROFILE.batch_size, device=torch.device("cpu")
    )
    return dls, lib.cases.fingerprint(cases)


def trained(name: str, dls: Any, fingerprint: str) -> tuple[Any, dict[str, Any]]:
    """The learner of one system, trained or as it was kept, and what its training was."""
    system = lib.experiments.find(name)
    seed_everything(SEED)
    network = system.build(PROFILE)
    settings = {**system.record(), **PROFILE.record(), "seed": SEED, "fingerprint": fingerprint}
    begun = time.process_time()
    learn = lib.training.train(
        system, network, dls, PROFILE, folder=WORK / name, settings=settings
    )
    told = WORK / name / "told.json"
    if not told.exists():
        told.write_text(
            json.dumps(
                {
                    "commit": lib.results.commit(),
                    "best_epoch": learn.best_epoch,
                    "processor_seconds": round(time.process_time() - begun),
                }
            )
        )
    return learn, json.loads(told.read_text())


def main() -> None:
    torch.set_num_threads(1)
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", default=PAIR)
    dls, fingerprint = loaders()
    for name in options.parse_args().names:
        learn, told = trained(name, dls, fingerprint)
        print(name, told)
        for subset in (1, 2):
            rows, _ = lib.predict(learn, subset=subset)
            print(lib.metrics.summarise(rows))


if __name__ == "__main__":
    main()
