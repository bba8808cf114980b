"""The network of a run, kept beside its results: the weights, and all that it takes to use them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from .atomic import replacing
from .blocks import GREY
from .cases import CLASSES
from .checkpoint import CheckpointError, load_tensors, read_metadata, save_tensors
from .dicom import first_line
from .experiments import find
from .profiles import Profile

KEPT = 1  # what a file says of itself: raise it whenever an older version could not use it
RECORDED = ("experiment", "source", "profile", "seed", "fold", "metrics", "joint", "versions")
RECORDED += ("commit",)
NEEDED = (*RECORDED, "budget", "classes", "size", "grey", "fingerprint")
USE = "for research and teaching"
CARD = {  # measures of the card, by their names in a record
    "ACC": "accuracy of the class", "AUC": "area under the ROC curve",
    "dice_nodule": "Dice of the nodule", "dice_class_mean": "mean Dice of the classes",
    "inconsis_cls": "T1 and T3 name different classes",
}  # fmt: skip


def path(results_file: str | Path) -> Path:
    """Where the network of a run lies: beside its results file.

    >>> path("results/folder/laptop/mtl/seed0.json").name
    'seed0.safetensors'
    """
    return Path(results_file).with_suffix(".safetensors")


def save(
    file: Path,
    network: nn.Module,
    record: Mapping[str, Any],
    budget: Profile,
    seen: Mapping[str, Any] | None = None,
) -> Path:
    """Write the network's weights, atomically, with what `describe` reads, and its card beside it.

    `record`: the run's, as `lib.results.save` takes it, or what there is of it by then; `budget`:
    the profile that the network was built from; `seen`: what the training images looked like, from
    `lib.likeness.seen`. Nothing of it names a file or a patient. Returns the file; the card, the
    same in words, has its name with the ending .md. Raises ValueError for a record that lacks a
    part, or whose experiment is none of `lib.experiments`: its network could not be built again.
    """
    if lacking := [key for key in (*RECORDED, "data") if key not in record]:
        raise ValueError(f"the record lacks {', '.join(lacking)}; nothing was written")
    find(record["experiment"])  # only a system of the catalogue can be built again
    about = {key: record[key] for key in RECORDED} | {
        "kept": KEPT,
        "use": USE,
        "licence": licence(budget),
        "budget": budget.record(),
        "classes": list(CLASSES),
        "size": budget.size,
        "grey": {"mean": GREY[0], "deviation": GREY[1]},
        "fingerprint": record["data"]["fingerprint"],
        "split": record["data"]["split"],
        "counts": record["data"]["counts"],
        "seen": dict(seen) if seen else None,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(file, network.state_dict(), about={"about": json.dumps(about, allow_nan=False)})
    with replacing(file.with_suffix(".md")) as draft:
        draft.write_text(card(about), encoding="utf-8")
    return file


def licence(budget: Profile) -> str:
    """Under what licence the weights of a run stand, as far as this project can say."""
    begun = "the first weights of its encoder are ImageNet's (Apache-2.0 or BSD, see its package); "
    return "code MIT; " + begun * (budget.weights == "imagenet") + "the images have their own"


def says_a_class(about: Mapping[str, Any]) -> bool:
    """Whether a kept network, as `describe` gives it, was trained on images with a class.

    >>> says_a_class({"classes": ["benign"], "counts": {"train": {"unlabelled": 9, "benign": 0}}})
    False
    """
    trained = (about.get("counts") or {}).get("train")
    return not trained or any(trained.get(name) for name in (*about["classes"], "both"))


def card(about: Mapping[str, Any]) -> str:
    """A kept network's card in Markdown: what it is, what it has seen, how well it did.

    `about`: as `describe` gives it. Every figure is the run's own.
    """
    images = {part: sum(counts.values()) for part, counts in (about.get("counts") or {}).items()}
    one = (about["joint"] or {}).get("metrics", {})
    measured = [name for name in CARD if name in about["metrics"]]
    seen = about.get("seen")
    lines = [
        f"| {CARD[name]} | {about['metrics'][name]:.3f} | "
        + (f"{one[name]:.3f} |" if name in one and not name.startswith("inconsis") else "- |")
        for name in measured
    ]
    rows = "\n".join(lines)
    low, high = seen["side"] if seen else (0, 0)
    answers = f"a class ({', '.join(about['classes'])}) and an outline"
    if not says_a_class(about):
        answers = "an outline: its training images had no class"
    sides = f", {low:.0f} to {high:.0f} px on the longer side" if seen else ""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"""\
# {about["experiment"]}, trained on {about["source"]}

**{about["use"].capitalize()}. No medical device; not for the care of patients.**

## What it is

A network of the system `{about["experiment"]}`, profile `{about["profile"]}`, seed \
{about["seed"]}, fold {about["fold"]}. It takes a grey picture of {about["size"]} x \
{about["size"]} pixels and answers with {answers}.

## What it has seen

{images.get("train", "unknown")} training images of `{about["source"]}`{sides}; fingerprint of the \
data {about["fingerprint"][:16]}. Of other pictures it knows nothing: another organ, scanner or \
setting makes its answers worth little.

## How well it did, on {images.get("test", "unknown")} test images

| measure | the tasks' own answers | the one answer |
|---|---|---|
{rows}

One training, one set of test images: another seed gives other figures.

## Licence and versions

Licence: {about.get("licence", "not stated")}. Code {about["commit"][:12]}; {versions}.
"""


def describe(file: Path) -> dict[str, Any]:
    """What a kept network says of itself, without reading its weights.

    The run's experiment, source, profile, seed, fold, metrics, joint (the weights of the one answer
    and its measures), versions and commit; budget, from which it is built; classes, size (side of
    the square input, px), grey (the mean and deviation by which grey values 0..1 are scaled);
    fingerprint, split and counts of the data; seen, what the training images looked like; use and
    licence. Raises CheckpointError, naming the file, for another one, also for a newer one.
    """
    told = read_metadata(file)
    if "about" not in told:
        raise CheckpointError(f"{file.name}: is no kept network, but a checkpoint of a training")
    try:
        about = json.loads(told["about"])
        lacking = [key for key in NEEDED if key not in about]
        newer = about.get("kept", 0) > KEPT
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file.name}: its description is damaged ({error})") from error
    if newer:
        raise CheckpointError(
            f"{file.name}: was kept by a newer version (form {about['kept']}, this one reads up to "
            f"{KEPT}); update this library"
        )
    if lacking:
        raise CheckpointError(f"{file.name}: its description lacks {', '.join(lacking)}")
    return about


def load(file: Path) -> nn.Module:
    """Build the network that a file keeps, in evaluation mode, on the CPU.

    Raises CheckpointError, naming the file, if it is damaged, was changed, or does not fit the
    system of its name here.
    """
    about = describe(file)
    try:
        budget = about["budget"] | {"decoder_channels": tuple(about["budget"]["decoder_channels"])}
        untrained = replace(Profile(**budget, about=""), weights=None)
        network = find(about["experiment"]).build(untrained)
    except Exception as error:  # libraries of networks raise nearly every kind of error
        reason = first_line(error)
        raise CheckpointError(f"{file.name}: cannot be built by this version ({reason})") from error
    tensors = load_tensors(file)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"{file.name}: does not fit {about['experiment']} as this version builds it ({error})"
        ) from error
    return network.eval()
