"""How sure a measure is: bootstrap intervals over patients, not images.

Images of one patient are alike, so whole patients are drawn. A draw only re-weights the images,
and every measure of `lib.metrics` follows from weighted sums, so a thousand draws are one matrix
product.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from .metrics import MEANS, as_ratios, classified, summarise


class Interval(NamedTuple):
    """A measure, and the percentile interval of its bootstrap replicates."""

    estimate: float
    low: float
    high: float


def bootstrap_interval(
    rows: pd.DataFrame,
    measure: str,
    *,
    groups: Sequence | None,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of one measure of `lib.metrics.summarise`.

    `groups` names each row's patient, and patients are drawn with replacement; None makes every
    image its own patient. `n` draws, two-sided `level` (0 to 1). Draws in which the measure cannot
    be computed (no malignant image, say) are left out. Raises ValueError if the rows do not give
    the measure, or for unusable options. Efron and Tibshirani 1993, chapter 13.
    """
    estimate = _estimate(rows, measure)
    drawn = replicates(rows, measure, draw(len(rows), groups, n=n, seed=seed))
    return Interval(estimate, *_percentiles(drawn, measure, level))


def paired_difference(
    rows_a: pd.DataFrame,
    rows_b: pd.DataFrame,
    measure: str,
    *,
    groups: Sequence | None,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of a measure in `rows_a` less the same measure in `rows_b`.

    Both hold the same images in the same order, and each draw takes the same patients from both,
    so what makes an image hard for both models cancels. Else as `bootstrap_interval`.
    """
    if len(rows_a) != len(rows_b):
        raise ValueError(f"rows_a has {len(rows_a)} images but rows_b has {len(rows_b)}")
    for column in ("case", "label"):
        if column in rows_a and column in rows_b:
            differ = rows_a[column].to_numpy() != rows_b[column].to_numpy()
            if differ.any():
                raise ValueError(
                    f"rows_a and rows_b differ in {column!r} at row {int(np.argmax(differ))}; "
                    "pass the same images in the same order"
                )
    estimate = _estimate(rows_a, measure) - _estimate(rows_b, measure)
    weights = draw(len(rows_a), groups, n=n, seed=seed)
    drawn = replicates(rows_a, measure, weights) - replicates(rows_b, measure, weights)
    return Interval(estimate, *_percentiles(drawn, measure, level))


def draw(rows: int, groups: Sequence | None, *, n: int, seed: int) -> np.ndarray:
    """How often each image is in each bootstrap draw: integers (n, rows), equal within a group."""
    if not n >= 1:
        raise ValueError(f"n is {n}; at least one draw is needed")
    if groups is None:
        patient, patients = np.arange(rows), rows
    else:
        if len(groups) != rows:
            raise ValueError(f"groups names {len(groups)} patients but there are {rows} rows")
        patient, names = pd.factorize(np.asarray(groups))
        patients = len(names)
        if (patient < 0).any():
            raise ValueError(f"groups has no patient for row {int(np.argmax(patient < 0))}")
    counts = np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), n)
    return counts[:, patient]


def replicates(rows: pd.DataFrame, measure: str, weights: np.ndarray) -> np.ndarray:
    """The measure under each row of image weights (draws, rows); NaN where it is undefined."""
    if measure == "AUC":
        return _auc(rows, weights)
    if measure in MEANS:
        return np.mean([replicates(rows, part, weights) for part in MEANS[measure]], axis=0)
    numerator, denominator = as_ratios(rows)[measure]
    with np.errstate(invalid="ignore"):
        return (weights @ numerator) / (weights @ denominator)


def _auc(rows: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    """Weighted share of malignant-benign pairs in the right order, ties counting half."""
    known, truth, score = classified(rows)
    order = np.argsort(score[known], kind="stable")
    score, truth, weights = score[known][order], truth[known][order], weights[:, known][:, order]
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])  # of each run of equal scores
    malignant = np.add.reduceat(weights * truth, first, axis=1)
    benign = np.add.reduceat(weights * ~truth, first, axis=1)
    below = np.cumsum(benign, axis=1) - benign
    pairs = malignant.sum(1) * benign.sum(1)
    with np.errstate(invalid="ignore"):
        return (malignant * (below + benign / 2)).sum(1) / pairs


def _estimate(rows: pd.DataFrame, measure: str) -> float:
    summary = summarise(rows)
    if measure not in summary:
        raise ValueError(
            f"measure {measure!r} cannot be computed from these rows; "
            f"they give {', '.join(sorted(summary))}"
        )
    return summary[measure]


def _percentiles(drawn: np.ndarray, measure: str, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size:
        raise ValueError(f"no draw gave {measure}; more draws or more patients are needed")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
