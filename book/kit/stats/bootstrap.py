"""Draws of whole patients, and every measure under each draw.

Images of one patient are alike, so whole patients are drawn. A draw only re-weights the images,
and every measure of `lib.metrics` follows from weighted sums, so two thousand draws are one matrix
product. How often a patient is drawn follows from the patient's name alone: whatever else is looked
at beside it, on whatever page, the same runs give the same digits.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from lib.metrics import as_ratios, classes_of, classified, means

from .curves import STEMS, curves

DRAWS = 2000
OF_IMAGES = {
    "cam_inside": "Share of the CAM inside the nodule"
}  # kept per image: means of their own
EACH = "each_"  # begins the name of any other column, of 0 to 1, that is a mean of its own


def patients(rows: pd.DataFrame) -> np.ndarray:
    """The patient of each image, as text: the column group, else case, else the row's number.

    Raises ValueError if a row has no patient.

    >>> patients(pd.DataFrame({"case": ["a", "b"], "group": [7, 7]})).tolist()
    ['7', '7']
    """
    column = next((name for name in ("group", "case") if name in rows), None)
    named = rows[column] if column else pd.Series(range(len(rows)))
    if named.isna().any():
        raise ValueError(f"row {int(named.isna().to_numpy().argmax())} has no {column}")
    return named.astype(str).to_numpy(object)


def draw(rows: pd.DataFrame, draws: int = DRAWS) -> np.ndarray:
    """How often each image is in each of up to 2000 bootstrap draws: integers (draws, images).

    Each patient is drawn a Poisson number of times, once on average, independently of all others
    (Chamandy et al. 2012), and so equally often in every run that was tested on it.

    >>> draw(pd.DataFrame({"group": ["p7", "p7", "p2"]})).shape
    (2000, 3)
    """
    numbers, names = pd.factorize(patients(rows))
    return np.column_stack([_times(name)[:draws] for name in names])[:, numbers]


@lru_cache(maxsize=1 << 15)
def _times(patient: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8])
    return np.random.default_rng(seed).poisson(1, DRAWS).astype(np.uint8)


@dataclass(frozen=True)
class Drawn:
    """What one training's test images give, as they are and then under each draw.

    above, below: ratio -> its two sums (1 + draws,); parts: measure -> the ratios whose mean it is;
    enter: ratio -> the groups of patients that it needs; cases, patients: of the test set.
    """

    above: dict[str, np.ndarray]
    below: dict[str, np.ndarray]
    parts: dict[str, tuple[str, ...]]
    enter: dict[str, list[frozenset[str]]]
    cases: frozenset[str]
    patients: frozenset[str]


def drawn(rows: pd.DataFrame, draws: int = DRAWS) -> Drawn:
    """Every measure that the rows of `lib.metrics.count_batch` give, under every draw.

    >>> found = drawn(pd.DataFrame({"label": [0, 1, 1], "p_malignant": [0.2, 0.4, 0.9]}))
    >>> float(found.above["ACC"][0]), float(found.below["ACC"][0])
    (2.0, 3.0)
    """
    weights = np.ones((1 + draws, len(rows)))
    weights[1:] = draw(rows, draws)
    who, label = patients(rows), rows["label"].to_numpy()
    ratios = as_ratios(rows)
    for column in rows:
        if column in OF_IMAGES or column.startswith(EACH):
            values = rows[column].to_numpy(float)
            there = ~np.isnan(values)
            if ((values < 0) | (values > 1)).any():
                raise ValueError(
                    f"{column} goes from {np.nanmin(values):g} to {np.nanmax(values):g}; a measure "
                    "lies in 0..1 here, as its interval does: divide it by its largest value"
                )
            ratios[column] = np.where(there, values, 0), there.astype(float)
    classes = classes_of(rows)
    sides = [weights @ np.column_stack(side) for side in zip(*ratios.values(), strict=True)]
    above, below = (dict(zip(ratios, side.T, strict=True)) for side in sides)
    of_class = [frozenset(who[label == index]) for index in range(len(classes))]
    enter = {}
    for name, (_, enters) in ratios.items():
        enter[name] = [frozenset(who[enters > 0])]
        if name.startswith(("PRE", "F1")):  # they need images of the class that they are about
            ending = name.rpartition("_")[2]
            enter[name].append(of_class[classes.index(ending) if ending in classes else 1])
    averaged = means(classes)
    parts = {name: (name,) for name in ratios} | averaged
    for measure in STEMS:
        for at, curve in enumerate(_curves(rows, measure, classes)):
            name = f"{measure} {at}"
            above[name], below[name] = _pairs(curve, weights)
            known, truth, _ = classified(curve)
            enter[name] = [frozenset(who[known & side]) for side in (truth, ~truth)]
            parts[measure] = (*parts.get(measure, ()), name)
    whole = {m: names for m, names in parts.items() if all(n in above for n in names)}
    cases = frozenset(rows["case"].astype(str) if "case" in rows else map(str, range(len(rows))))
    return Drawn(above, below, whole, enter, cases, frozenset(who))


def measured(folds: Sequence[Drawn], measure: str) -> np.ndarray:
    """A measure of the images of all folds together (1 + draws,), NaN where it is undefined.

    An AUC pairs images of one fold only: the scores of two networks need not have one scale.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        each = [
            sum(fold.above[name] for fold in folds) / sum(fold.below[name] for fold in folds)
            for name in folds[0].parts[measure]
        ]
    return np.mean(each, axis=0)


def fewest(folds: Sequence[Drawn], measure: str) -> int:
    """The number of patients in the smallest group that the measure needs, such as the benign."""
    groups: dict[tuple[str, int], set[str]] = {}
    for fold in folds:
        for name in fold.parts[measure]:
            for at, group in enumerate(fold.enter[name]):
                groups.setdefault((name, at), set()).update(group)
    return min(map(len, groups.values()))


def _curves(rows: pd.DataFrame, measure: str, classes: Sequence[str]) -> list[pd.DataFrame]:
    """The curves behind an AUC measure, none where the rows lack its scores."""
    macro, stem = measure.endswith("_macro"), STEMS[measure]
    if macro != (len(classes) > 2):
        return []
    first = f"{stem}_{classes[0]}" if macro else {"p": "p_malignant"}.get(stem, stem)
    return curves(rows, measure) if first in rows else []


def _pairs(curve: pd.DataFrame, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted number of malignant-benign pairs in the right order, ties half, and of all pairs."""
    known, truth, score = classified(curve)
    if not known.any():
        return np.zeros(len(weights)), np.zeros(len(weights))
    order = np.argsort(score[known], kind="stable")
    score, truth, weights = score[known][order], truth[known][order], weights[:, known][:, order]
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])  # of each run of equal scores
    malignant = np.add.reduceat(weights * truth, first, axis=1)
    benign = np.add.reduceat(weights * ~truth, first, axis=1)
    below = np.cumsum(benign, axis=1) - benign
    return (malignant * (below + benign / 2)).sum(1), malignant.sum(1) * benign.sum(1)
