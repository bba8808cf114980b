"""The external test: a kept network measured on the images of another source, without training.

Every image of the other source is a test image, and the measures are those of a run. The file of
the network names the data it was trained on, but not its images: that the two sources share no
picture and no patient is for whoever asks to know.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from . import blocks, cache, cost, decode, metrics, results, sources
from .cases import CLASSES, Problem, check_cases, class_index, group_near_duplicates
from .inference import Predictor
from .results import ResultError

FOLDER = "external"  # inside the results: external/TESTED/SOURCE/PROFILE/EXPERIMENT/seedK.json
ORGANS = {"busbra": "breast", "busi": "breast", "phantom": "phantom", "phantom-mixed": "phantom"}
ORGANS |= dict.fromkeys(("ddti", "tn3k", "tnscui"), "thyroid")
OUTLINE = "Dice and IoU of the nodule, and T2 against T3"
BATCH = 16


class ExternalError(ValueError):
    """A network that cannot be tested on this source; the words say why, and what can be done."""


def prepare(
    source: str, root: str | Path | None = None, *, size: int | None = None
) -> tuple[pd.DataFrame, list[Problem]]:
    """All cases of a source as test cases: read, checked, near duplicates joined.

    Folds and splits of the source's own play no part: the network has seen none of it. `size`: of
    the network's input, px, if it is known, so that no image is decoded twice. Returns the table
    and what was left out or noted. Raises CaseError as `lib.cases.check_cases`, and ExternalError
    for a source without any mask.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:  # doctest: +ELLIPSIS
    ...     for name in ("benign", "malignant", "normal"):
    ...         Path(folder, name).mkdir()
    ...         Path(folder, name, f"{name} (1).png").touch()
    ...     prepare("busi", folder)
    Traceback (most recent call last):
        ...
    lib.external.ExternalError: busi: no image has a mask, so Dice and IoU cannot be measured. ...
    """
    table = sources.read(source, root)
    table = table.drop(columns=[name for name in ("split", "fold") if name in table])
    drawn = table["mask"].map(len) > 0
    if not drawn.any():
        raise ExternalError(
            f"{source}: no image has a mask, so Dice and IoU cannot be measured. Accuracy, F1 and "
            "AUC of the class and T1 against T3 could be, without outlines: answer the images with "
            "python -m lib predict, and compare its table with your labels"
        )
    table, problems = check_cases(table, size=size)
    table, doubles = group_near_duplicates(table)
    return table.assign(split="test"), problems + doubles


def refuse(predictor: Predictor, source: str, fingerprint: str) -> None:
    """ExternalError if this network cannot be tested on this source, in words.

    That is if it tells other classes apart, says of each class by itself whether it is present, or
    has seen pictures of this source (`require_other`, or the same data). `fingerprint`: of the
    source's cases, as from `lib.cases.fingerprint`.
    """
    about = predictor.about
    if predictor.classes != CLASSES:
        raise ExternalError(
            f"{predictor.file.name}: tells {', '.join(predictor.classes)} apart; {source} has the "
            f"classes {', '.join(CLASSES)}"
        )
    if hasattr(predictor.network, "presence"):
        raise ExternalError(
            f"{predictor.file.name}: {about['experiment']} says of each class whether it is "
            "present; an external test measures networks that choose one of two classes"
        )
    require_other(about["source"], source)
    if about["fingerprint"] == fingerprint:
        raise ExternalError(f"{predictor.file.name}: was trained on images of this very {source}")


def require_other(trained: str, source: str) -> None:
    """ExternalError if a network of `trained` has seen pictures of `source`, by their names alone.

    Two folders of one's own are two sources; the two phantoms are one: picture k of both is the
    same where its label is.

    >>> require_other("busbra", "busi")
    >>> require_other("phantom", "phantom-mixed")
    Traceback (most recent call last):
        ...
    lib.external.ExternalError: phantom and phantom-mixed share pictures: name another source
    """
    if trained == source != "folder":
        raise ExternalError(
            f"the network is trained on images of {source}, and measured on its own test images in "
            "the results of its run: name another source"
        )
    if ORGANS.get(trained) == ORGANS.get(source) == "phantom":
        raise ExternalError(f"{trained} and {source} share pictures: name another source")


def notes(trained: str, source: str, cases: pd.DataFrame) -> list[str]:
    """In words, what to mind about a test on these cases of a network trained on `trained`.

    >>> notes("busbra", "ddti", pd.DataFrame({"label": ["benign", "malignant"]}))
    ['another organ: trained on the breast, tested on the thyroid']
    """
    label, said = cases["label"], []
    here, there = ORGANS.get(source), ORGANS.get(trained)
    if here is None or there is None:
        said.append(f"whether {trained} and {source} show the same organ is not known here")
    elif here != there:
        said.append(f"another organ: trained on the {there}, tested on the {here}")
    number = Counter(label.map(class_index))
    if number[-1] == len(cases):
        said.append(f"no image says its class: what can be measured is {OUTLINE}")
    elif unlabelled := int(label.isna().sum()):
        said.append(f"{unlabelled} images say no class: they count for the outline alone")
    if normal := int((label == "normal").sum()):
        said.append(
            f"{normal} images hold no nodule: no class can be right there, and the outline only "
            "where it is empty"
        )
    if both := int((label == "both").sum()):
        said.append(f"{both} images hold one nodule of each class and count as malignant")
    return said


@torch.no_grad()
def answers(predictor: Predictor, cases: pd.DataFrame, folder: Path | None = None) -> pd.DataFrame:
    """One row per case, as `lib.predict` gives them: as answered, and decided together beside it.

    The images are decoded to the network's size, once, under `folder` (`blocks.decode_once`).
    """
    decoded = blocks.decode_once(cases, predictor.size, folder)
    labels = torch.tensor([class_index(label) for label in decoded.cases["label"]])
    rows = []
    for start in range(0, len(decoded), BATCH):
        part = slice(start, start + BATCH)
        found = predictor.probabilities(decoded.images[part])
        given = {name: torch.from_numpy(found[name]) for name in predictor.tasks}
        mask = torch.from_numpy(decoded.masks[part].astype(np.int64))
        counted = metrics.count_batch(mask=mask, label=labels[part], **given)
        if decode.decidable(given):
            one = decode.count_joint(given, mask, labels[part], predictor.weights)
            counted = metrics.beside(counted, one)
        rows.append(counted)
    names = decoded.cases[["case", "group"]]
    return pd.concat([names, pd.concat(rows, ignore_index=True)], axis=1)


def measure(
    predictor: Predictor,
    source: str,
    cases: pd.DataFrame,
    problems: list[Problem],
    root: str | Path | None = None,
) -> dict[str, Any]:
    """Measure a kept network on the cases of another source and save what was found.

    Args:
        predictor: of `lib.load`.
        source: where the cases are from.
        cases: from `prepare`, with its problems.
        root: folder of the results; None for the book's own.

    Returns:
        A record as of a run (`lib.results`), named after the network's own run, whose `data`,
        `metrics`, `joint` and `per_image` are those of the other source, and with a part
        `external`: the source, the digest of the network's file, the fingerprint of the data it was
        trained on, its measures on its own test images (`metrics`, `joint`), and `notes`. It is
        saved where `load_all` finds it, and no page takes it for a run.

    Raises:
        ExternalError: see `refuse`.
        ResultError: there is a test of other data of the same name, where folders of one's own
            share one.
    """
    about, began = predictor.about, time.perf_counter()
    mark = blocks.fingerprint(cases)
    refuse(predictor, source, mark)
    _refuse_to_replace(about, source, mark, root)
    cache.require_room(cases, predictor.size, mark)
    rows = answers(predictor, cases)
    together = None
    if any(name.startswith(metrics.JOINT) for name in rows):
        decided = metrics.summarise(metrics.decided(rows))
        together = {"weights": predictor.weights.record(), "metrics": decided}
    said = notes(about["source"], source, cases)
    labels = cases["label"].fillna("unlabelled").value_counts()
    record = {key: about[key] for key in ("experiment", "source", "profile", "seed", "fold")} | {
        "external": {
            "source": source,
            "network": predictor.mark,
            "fingerprint": about["fingerprint"],
            "metrics": about["metrics"],
            "joint": (about["joint"] or {}).get("metrics"),
            "notes": said,
        },
        "parameters": {"fold": about["fold"], "size": predictor.size, "fingerprint": mark},
        "data": {
            "fingerprint": mark,
            "counts": {"test": {name: int(number) for name, number in labels.items()}},
            "groups": {"test": int(cases["group"].nunique())},
            "left_out": sum(problem.left_out for problem in problems),
        },
        "versions": results.versions(),
        "commit": results.commit(),
        "code": {},
        "machine": results.machine("cpu"),
        "seconds": {"total": time.perf_counter() - began},
        "memory_mb": cost.peak_memory_mb(torch.device("cpu")),
        "model": {"parameters": cost.parameter_count(predictor.network)},
        "history": [],
        "metrics": metrics.summarise(rows),
        "joint": together,
        "per_image": results.columns(rows),
    }
    results.save(record, _folder(root) / source)
    return record


def path(record: dict[str, Any], root: str | Path | None = None) -> Path:
    """Where the test of a record lies: results/external/TESTED/SOURCE/PROFILE/EXPERIMENT/....

    >>> names = {"experiment": "mtl", "source": "busbra", "profile": "laptop", "seed": 0, "fold": 2}
    >>> path(names | {"external": {"source": "busi"}}, "results").as_posix()
    'results/external/busi/busbra/laptop/mtl/fold2-seed0.json'
    """
    run = (record[key] for key in ("source", "profile", "experiment", "seed"))
    tested = _folder(root) / record["external"]["source"]
    return results.path(*run, tested, fold=record["fold"])


def load_all(root: str | Path | None = None) -> list[dict[str, Any]]:
    """Every external test under `root` (default: the book's results). Errors as `results.load`.

    >>> load_all("nowhere")
    []
    """
    tested = sorted(_folder(root).glob("*/"))
    return [record for folder in tested for record in results.load_all(folder)]


def _folder(root: str | Path | None) -> Path:
    return Path(root or results.RESULTS) / FOLDER


def _refuse_to_replace(
    about: dict[str, Any], source: str, mark: str, root: str | Path | None
) -> None:
    """ResultError if a test of other folders of one's own, which share one name, stands there."""
    file = path(about | {"external": {"source": source}}, root)
    if "folder" not in (source, about["source"]) or not file.exists():
        return
    there = results.load(file)
    if (there["data"]["fingerprint"], there["external"]["fingerprint"]) != (
        mark,
        about["fingerprint"],
    ):
        raise ResultError(
            f"{file.name}: holds the external test of other folders than these; both are to stay: "
            "name another folder for the results, or move that file away"
        )


__all__ = [
    "ExternalError",
    "answers",
    "load_all",
    "measure",
    "notes",
    "path",
    "prepare",
    "refuse",
    "require_other",
]
