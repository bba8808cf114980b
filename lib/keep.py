"""The network of a run, kept beside its results: the weights, and all that it takes to use them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from .blocks import GREY
from .cases import CLASSES
from .checkpoint import CheckpointError, load_tensors, read_metadata, save_tensors
from .experiments import find
from .profiles import Profile

RECORDED = ("experiment", "source", "profile", "seed", "fold", "metrics", "joint", "versions")
RECORDED += ("commit",)


def path(results_file: str | Path) -> Path:
    """Where the network of a run lies: beside its results file.

    >>> path("results/folder/laptop/mtl/seed0.json").name
    'seed0.safetensors'
    """
    return Path(results_file).with_suffix(".safetensors")


def save(file: Path, network: nn.Module, record: Mapping[str, Any], budget: Profile) -> Path:
    """Write the network's weights, atomically, with what `describe` reads; returns the file.

    `record`: the run's, as `lib.results.save` takes it, or what there is of it by then; `budget`:
    the profile that the network was built from. Nothing of it names a file or a patient.
    """
    about = {key: record[key] for key in RECORDED} | {
        "budget": budget.record(),
        "classes": list(CLASSES),
        "size": budget.size,
        "grey": {"mean": GREY[0], "deviation": GREY[1]},
        "fingerprint": record["data"]["fingerprint"],
        "split": record["data"]["split"],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(file, network.state_dict(), about={"about": json.dumps(about, allow_nan=False)})
    return file


def describe(file: Path) -> dict[str, Any]:
    """What a kept network says of itself, without reading its weights.

    The run's experiment, source, profile, seed, fold, metrics, joint (the weights of the one answer
    and its measures), versions and commit; budget, from which it is built; classes, size (side of
    the square input, px), grey (the mean and deviation by which grey values 0..1 are scaled);
    fingerprint and split of the data. Raises CheckpointError, naming the file, for another one.
    """
    told = read_metadata(file)
    if "about" not in told:
        raise CheckpointError(f"{file.name}: is no kept network, but a checkpoint of a training")
    return json.loads(told["about"])


def load(file: Path) -> nn.Module:
    """Build the network that a file keeps, in evaluation mode, on the CPU.

    Raises CheckpointError, naming the file, if it is damaged, was changed, or does not fit the
    system of its name here.
    """
    about = describe(file)
    budget = about["budget"] | {"decoder_channels": tuple(about["budget"]["decoder_channels"])}
    untrained = replace(Profile(**budget, about=""), weights=None)
    network = find(about["experiment"]).build(untrained)
    try:
        network.load_state_dict(load_tensors(file))
    except RuntimeError as error:
        raise CheckpointError(
            f"{file.name}: does not fit {about['experiment']} as this version builds it ({error})"
        ) from error
    return network.eval()
