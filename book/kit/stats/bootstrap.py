"""How sure a measure is: bootstrap intervals over patients, not images.

Images of one patient are alike, so whole patients are drawn. A draw only re-weights the images,
and every measure of `lib.metrics` follows from weighted sums, so a thousand draws are one matrix
product.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from lib.metrics import as_ratios, classes_of, classified, means, summarise

from .curves import STEMS, curves
from .interval import Interval, check_level
from .pairing import check_paired, patient_numbers


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

    >>> rows = pd.DataFrame({"label": [0, 1] * 10, "p_malignant": [0.2] * 5 + [0.8] * 15})
    >>> interval = bootstrap_interval(rows, "ACC", groups=None)
    >>> interval.estimate, interval.low < 0.6 < interval.high
    (0.55, True)
    """
    measured(rows, measure)  # refuses one that the rows do not give
    return bootstrap_intervals(rows, [measure], groups=groups, n=n, level=level, seed=seed)[measure]


def bootstrap_intervals(
    rows: pd.DataFrame,
    measures: Iterable[str],
    *,
    groups: Sequence | None,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """`bootstrap_interval` of several measures from the same draws; those not there are left out.

    >>> rows = pd.DataFrame({"label": [0, 1] * 10, "p_malignant": [0.2] * 5 + [0.8] * 15})
    >>> list(bootstrap_intervals(rows, ["ACC", "dice_nodule", "AUC"], groups=None))
    ['ACC', 'AUC']
    """
    found = summarise(rows)
    weights = draw(len(rows), groups, n=n, seed=seed).astype(float)  # else cast for each measure
    return {
        m: Interval(found[m], *_percentiles(replicates(rows, m, weights), m, level))
        for m in measures
        if m in found
    }


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

    >>> rows = pd.DataFrame({"label": [0, 1] * 10, "p_malignant": [0.2] * 5 + [0.8] * 15})
    >>> paired_difference(rows, rows, "ACC", groups=None)
    Interval(estimate=0.0, low=0.0, high=0.0)
    """
    check_paired(rows_a, rows_b)
    estimate = measured(rows_a, measure) - measured(rows_b, measure)
    weights = draw(len(rows_a), groups, n=n, seed=seed)
    drawn = replicates(rows_a, measure, weights) - replicates(rows_b, measure, weights)
    return Interval(estimate, *_percentiles(drawn, measure, level))


def draw(rows: int, groups: Sequence | None, *, n: int, seed: int) -> np.ndarray:
    """How often each image is in each bootstrap draw: integers (n, rows), equal within a group.

    `groups` as in `bootstrap_interval`. Raises ValueError for fewer than one draw, or if `groups`
    has another length than `rows`.

    >>> draw(4, ["p7", "p7", "p2", "p2"], n=2, seed=0).sum(axis=1).tolist()
    [4, 4]
    """
    if not n >= 1:
        raise ValueError(f"n is {n}; at least one draw is needed")
    patient = patient_numbers(rows, groups)
    patients = patient.max(initial=-1) + 1
    counts = np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), n)
    return counts[:, patient]


def replicates(rows: pd.DataFrame, measure: str, weights: np.ndarray) -> np.ndarray:
    """The measure under each row of image weights (draws, rows); NaN where it is undefined.

    Returns floats (draws,). Raises KeyError if the rows do not give the measure.

    >>> rows = pd.DataFrame({"label": [0, 1], "p_malignant": [0.2, 0.4]})
    >>> replicates(rows, "ACC", np.array([[1, 1], [2, 0]]))
    array([0.5, 1. ])
    """
    if measure in STEMS:
        return np.mean([_auc(curve, weights) for curve in curves(rows, measure)], axis=0)
    parts = means(classes_of(rows)).get(measure)
    if parts:
        return np.mean([replicates(rows, part, weights) for part in parts], axis=0)
    numerator, denominator = as_ratios(rows)[measure]
    with np.errstate(invalid="ignore"):
        return (weights @ numerator) / (weights @ denominator)


def measured(rows: pd.DataFrame, measure: str) -> float:
    """One measure of `lib.metrics.summarise`; ValueError names those that the rows do give.

    >>> measured(pd.DataFrame({"label": [0, 1], "p_malignant": [0.2, 0.4]}), "AUC")
    1.0
    """
    summary = summarise(rows)
    if measure not in summary:
        raise ValueError(
            f"measure {measure!r} cannot be computed from these rows; "
            f"they give {', '.join(sorted(summary))}"
        )
    return summary[measure]


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


def _percentiles(drawn: np.ndarray, measure: str, level: float) -> tuple[float, float]:
    check_level(level)
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size:
        raise ValueError(f"no draw gave {measure}; more draws or more patients are needed")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
