"""A kept network as small as the catalogue allows, for the tests of its use."""

from dataclasses import replace

import torch

from lib import experiments, keep, profiles

SMALL = replace(
    profiles.find("smoke"), size=32, encoder="tu-lcnet_035", weights=None,
    decoder_channels=(16, 8, 8, 8, 8),
)  # fmt: skip
SEEN = {
    "number": 9, "side": [40.0, 400.0], "ratio": [1.0, 1.6],
    "mean": [40.0, 160.0], "deviation": [10.0, 80.0], "grain": [1.0, 60.0],
}  # fmt: skip
WEIGHTS = {"cls": 0.4, "maps": 0.7, "seg2": 1.0, "seg3": 1.0, "bias": [0.1, -0.1]}


def network(name="ms-mtl", seed=0):
    """Random weights, and layers that were moved, so that each picture has an answer of its own."""
    torch.manual_seed(seed)
    made = experiments.find(name).build(SMALL)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        made.train()(torch.randn(8, 1, SMALL.size, SMALL.size))  # the norms meet some pictures
    return made.eval()


def small(folder, name="ms-mtl", seed=0, **changes):
    """The file of a kept network in `folder`; `changes` of its record."""
    made = network(name, seed)
    record = {
        "experiment": name, "source": "phantom", "profile": "smoke", "seed": seed, "fold": 0,
        "metrics": {"AUC": 0.75}, "joint": {"weights": WEIGHTS, "metrics": {"AUC": 0.8}},
        "versions": {"torch": "2"}, "commit": "unknown",
        "data": {"fingerprint": "0a1b", "split": "2c3d", "counts": {"train": {"benign": 9}}},
    } | changes  # fmt: skip
    return keep.save(folder / f"seed{seed}.safetensors", made, record, SMALL, SEEN)
