"""DeLong's standard errors of AUCs, in the fast form that needs only ranks."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from lib.metrics import classified

from .interval import Interval, check_level
from .pairing import check_paired


class DeLong(NamedTuple):
    """AUC of a less AUC of b, its standard error, its interval and the two-sided p-value.

    >>> DeLong(difference=0.02, error=0.01, low=0.0, high=0.04, p=0.046).difference
    0.02
    """

    difference: float
    error: float
    low: float
    high: float
    p: float


def delong(rows_a: pd.DataFrame, rows_b: pd.DataFrame, level: float = 0.95) -> DeLong:
    """DeLong's test of two models' AUCs on the same images, malignant against benign.

    The structural components (DeLong et al. 1988) come from midranks (Sun and Xu 2014), in
    O(N log N). The interval and p-value are those of the normal distribution.

    The test treats images as independent. Where a patient has several, they are not, and p comes
    out too small: use `permutation_test` with `groups`, which swaps whole patients.

    Raises ValueError if the rows are not the same images in the same order, if an image has a
    score in one of them only, with fewer than two images of a class, or where unequal AUCs have no
    standard error (all pairs in order in both models, or all tied).

    >>> label, a, b = [0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], [2, 1, 6, 3, 5, 4]
    >>> test = delong(*(pd.DataFrame({"label": label, "p_malignant": score}) for score in (a, b)))
    >>> f"{test.difference:.3f} with standard error {test.error:.3f}, p = {test.p:.2f}"
    '0.222 with standard error 0.248, p = 0.37'
    """
    check_level(level)
    check_paired(rows_a, rows_b)
    known, _, _ = classified(rows_a)
    differ = known != classified(rows_b)[0]
    if differ.any():
        row = int(np.argmax(differ))
        raise ValueError(f"row {row} has a score in one of rows_a and rows_b only")
    auc_a, malignant_a, benign_a = _components(rows_a)
    auc_b, malignant_b, benign_b = _components(rows_b)
    difference = auc_a - auc_b
    error = _standard_error(malignant_a - malignant_b, benign_a - benign_b)
    if error == 0 and difference != 0:
        raise ValueError(
            f"the AUCs {auc_a:.3f} and {auc_b:.3f} differ but have no standard error, so DeLong's "
            "test does not apply; use permutation_test"
        )
    half = float(norm.ppf((1 + level) / 2)) * error
    p = 2 * norm.sf(abs(difference) / error) if error else 1.0
    return DeLong(difference, error, difference - half, difference + half, float(p))


def delong_interval(rows: pd.DataFrame, level: float = 0.95) -> Interval:
    """AUC of malignant against benign with DeLong's normal interval, cut at 0 and 1.

    An AUC of exactly 0 or 1 has standard error 0 and so an interval of no width, which says too
    much. Treats images as independent: where a patient has several, `bootstrap_interval` with
    `groups` is the honest interval. Raises ValueError with fewer than two images of a class.

    >>> rows = pd.DataFrame({"label": [0, 0, 0, 1, 1, 1], "p_malignant": [1, 2, 4, 3, 5, 6]})
    >>> auc, low, high = delong_interval(rows)
    >>> print(f"{auc:.3f} ({low:.3f} to {high:.3f})")
    0.889 (0.581 to 1.000)
    """
    check_level(level)
    auc, malignant, benign = _components(rows)
    half = float(norm.ppf((1 + level) / 2)) * _standard_error(malignant, benign)
    return Interval(auc, max(auc - half, 0.0), min(auc + half, 1.0))


def _components(rows: pd.DataFrame) -> tuple[float, np.ndarray, np.ndarray]:
    """The AUC, each malignant image's share of benign ones below, each benign's of those above."""
    known, truth, score = classified(rows)
    malignant, benign = score[truth], score[known & ~truth]
    for name, images in (("malignant", malignant), ("benign", benign)):
        if len(images) < 2:
            raise ValueError(f"{len(images)} {name} image(s) with a score; DeLong needs two")
    among_all = rankdata(np.r_[malignant, benign])
    below = (among_all[: len(malignant)] - rankdata(malignant)) / len(benign)
    above = 1 - (among_all[len(malignant) :] - rankdata(benign)) / len(malignant)
    return float(below.mean()), below, above


def _standard_error(malignant: np.ndarray, benign: np.ndarray) -> float:
    """Of a mean over pairs, from its structural components; linear, so differences pass too."""
    variance = malignant.var(ddof=1) / len(malignant) + benign.var(ddof=1) / len(benign)
    return float(np.sqrt(variance))
