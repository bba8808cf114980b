"""What contradictions are still good for: which images should a human look at?

Referred images go to a human, the others keep the joint answer. What counts is the share of these
that are wrong, at equal coverage (the share of images that are kept). Each training ranks its own
images, since two networks need not doubt on one scale; the images of all trainings of a system,
folds and seeds, then count together.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib import results

from .controls import NEEDED, contradictory, joint
from .stats import (
    FEWEST,
    SUFFIX,
    Difference,
    Evidence,
    Spread,
    corrected,
    draw,
    log_odds,
    paired,
    patients,
)

ORDERS = {
    "contradiction": "contradictory first",
    "t1": "least sure by T1",
    "joint": "least sure by the joint posterior",
    "shannon": "largest disagreement (Jensen-Shannon)",
}
MEASURE = "errors_left"  # share of the kept images that are wrong: less is better
GRID = np.linspace(0.5, 1, 51)  # coverage


class Left(NamedTuple):
    """Errors and images that are kept, one value for each draw, or a row of values."""

    wrong: np.ndarray
    kept: np.ndarray


def doubts(record: Mapping[str, Any]) -> pd.DataFrame | None:
    """Of each labelled image: is the joint answer wrong, and how much does each order doubt it.

    Columns: case, group (where there), wrong, and those of `ORDERS`, where more is more doubtful.
    None for a run without all three tasks.

    T3's class probability is Seg-as-Cls before its softmax, which would keep it between .27 and
    .73: half of 1 and the difference of the two classes' scores.
    """
    decided = joint(record, ())
    if decided is None:
        return None
    rows = results.rows(record)
    known = (rows["label"] >= 0).to_numpy()
    one, posterior = rows["p_malignant"].to_numpy(), decided["p_malignant"].to_numpy()
    other = np.clip((1 + log_odds(rows["seg_as_cls_p"].to_numpy())) / 2, 0, 1)
    told = rows[[name for name in ("case", "group") if name in rows]].assign(
        wrong=((posterior > 0.5) != (rows["label"] == 1)).astype(float),
        contradiction=contradictory(rows).astype(float),
        t1=-np.abs(one - 0.5),
        joint=-np.abs(posterior - 0.5),
        shannon=jensen_shannon(one, other),
    )
    return told[known].reset_index(drop=True)


def jensen_shannon(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The Jensen-Shannon divergence of two probabilities of malignant, in bits: 0 to 1. Lin 1991.

    >>> jensen_shannon(np.array([0.0, 0.3]), np.array([1.0, 0.3])).tolist()
    [1.0, 0.0]
    """
    return _entropy((one + other) / 2) - (_entropy(one) + _entropy(other)) / 2


def left(wrong: np.ndarray, doubt: np.ndarray, weights: np.ndarray, coverage: np.ndarray) -> Left:
    """What stays wrong if the most doubtful images are referred.

    wrong, doubt (N,); weights (draws, N): how often each image counts; coverage (draws, C): the
    share of images to keep. Images of equal doubt are kept in equal parts, so that no order among
    them is made up. Returns errors and images kept, (draws, C).

    >>> wrong, doubt = np.array([0.0, 0.0, 1.0, 1.0]), np.array([1, 2, 3, 3])
    >>> left(wrong, doubt, np.ones((1, 4)), np.array([[0.5, 0.75, 1.0]])).wrong.tolist()
    [[0.0, 1.0, 2.0]]
    """
    order = np.argsort(doubt, kind="stable")
    wrong, doubt, weights = wrong[order], doubt[order], weights[:, order]
    last = np.flatnonzero(np.r_[doubt[1:] != doubt[:-1], True])  # of each run of equal doubts
    images, errors = (
        np.pad(np.cumsum(each, axis=1)[:, last], ((0, 0), (1, 0)))
        for each in (weights, weights * wrong)
    )
    kept = coverage * images[:, -1:]
    return Left(
        np.stack([np.interp(*three) for three in zip(kept, images, errors, strict=True)]), kept
    )


def curves(runs: Sequence[pd.DataFrame]) -> dict[str, np.ndarray]:
    """The share of kept images that are wrong, by order, at each coverage of `GRID`.

    runs: as `doubts` gives them. Returns (1 + draws, coverage) of the images of all runs together;
    under each draw of patients after the first row.
    """
    parts = {order: [] for order in ORDERS if order != "contradiction"}
    for rows in runs:
        weights = _weights(rows)
        coverage = np.broadcast_to(GRID, (len(weights), len(GRID)))
        for order, told in parts.items():
            told.append(left(rows["wrong"].to_numpy(), rows[order].to_numpy(), weights, coverage))
    return {order: _share(told) for order, told in parts.items()}


def at_contradictions(rows: pd.DataFrame) -> tuple[np.ndarray, dict[str, Left]]:
    """One run's errors if as many images are referred as are contradictory, by order.

    Returns the coverage (1 + draws,), and what each order leaves, (1 + draws,).
    """
    weights = _weights(rows)
    apart = rows["contradiction"].to_numpy()
    with np.errstate(invalid="ignore"):  # a draw may hold no image
        coverage = 1 - weights @ apart / weights.sum(1)
    told = {
        order: left(rows["wrong"].to_numpy(), rows[order].to_numpy(), weights, coverage[:, None])
        for order in ORDERS
    }
    return coverage, {order: Left(one.wrong[:, 0], one.kept[:, 0]) for order, one in told.items()}


class Referral(NamedTuple):
    """One system's referral of its contradictory images, over all of its trainings.

    coverage: share of images kept, (1 + draws,); shares: order -> share of these that are wrong,
    (1 + draws,); less: order -> what contradictions leave, less what this order leaves, corrected
    (Holm) for the orders; patients: behind them; wrong: share of all images whose joint answer is
    wrong, where nobody looks.
    """

    coverage: np.ndarray
    shares: dict[str, np.ndarray]
    less: dict[str, Difference]
    patients: int
    wrong: float


def able(found: Evidence) -> list[str]:
    """The systems that answer all three tasks, as answered: those whose contradictions can warn."""
    return [
        system
        for system, runs in found.runs.items()
        if not system.endswith(SUFFIX)
        and all(set(run["per_image"]) >= NEEDED for run in runs.values())
    ]


def referred(found: Evidence, systems: Sequence[str]) -> dict[str, Referral]:
    """Contradictory images against as many of each other order, by system.

    The variance of a difference is that over patients and between trainings, as the rule has it;
    the latter is pooled over all systems of the place. A system without all three tasks is left
    out.
    """
    runs = {
        system: {key: rows for key, run in keyed.items() if (rows := doubts(run)) is not None}
        for system, keyed in found.runs.items()
        if system in systems or len(keyed) > 1
    }
    each = {
        (system, key): at_contradictions(rows)
        for system, keyed in runs.items()
        for key, rows in keyed.items()
    }
    tests = [
        frozenset(runs[system][key].get("case", runs[system][key].index)) for system, key in each
    ]
    spread = {
        order: Spread.between_trainings(
            [system for system, _ in each],
            tests,
            np.array(
                [_share([one["contradiction"]]) - _share([one[order]]) for _, one in each.values()]
            ),
        )
        for order in ORDERS
        if each
    }
    told = {}
    for system in systems:
        mine = [each[place] for place in each if place[0] == system]
        if not mine:
            continue
        rows = pd.concat(runs[system].values(), ignore_index=True)
        shares = {order: _share([one[order] for _, one in mine]) for order in ORDERS}
        less = {
            order: _less(shares, order, spread[order], rows, runs[system])
            for order in ORDERS
            if order != "contradiction"
        }
        kept, every = (
            np.sum([values for values in some], axis=0)
            for some in (
                [one["contradiction"].kept for _, one in mine],
                [_weights(part).sum(1) for part in runs[system].values()],
            )
        )
        told[system] = Referral(
            kept / every,
            shares,
            corrected(less),
            len(set(patients(rows))),
            float(rows["wrong"].mean()),
        )
    return told


def _less(
    shares: Mapping[str, np.ndarray],
    order: str,
    spread: Spread,
    rows: pd.DataFrame,
    runs: Mapping[tuple[int, str], pd.DataFrame],
) -> Difference:
    """Errors left by contradictions, less those left by another order."""
    people = len(set(patients(rows)))
    wrong = len(set(patients(rows)[rows["wrong"].to_numpy() > 0]))
    return paired(
        MEASURE,
        shares["contradiction"],
        shares[order],
        spread,
        trainings=list(runs),
        people=people,
        smallest=people,
        images=len(set(rows["case"])) if "case" in rows else len(rows),
        why="" if wrong >= FEWEST else f"errors in {wrong} patient{'s' * (wrong != 1)}",
    )


def _weights(rows: pd.DataFrame) -> np.ndarray:
    """How often each image counts: once, and then as the draws of patients have it."""
    return np.vstack([np.ones(len(rows)), draw(rows)])


def _share(told: Sequence[Left]) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may keep nothing
        return np.sum([one.wrong for one in told], axis=0) / np.sum(
            [one.kept for one in told], axis=0
        )


def _entropy(p: np.ndarray) -> np.ndarray:
    """Of a coin, in bits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(q > 0, -q * np.log2(q), 0.0) for q in (p, 1 - p)]
    return parts[0] + parts[1]
