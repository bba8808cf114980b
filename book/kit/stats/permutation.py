"""Could the two models have swapped their answers? A paired permutation test over patients."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.metrics import classified

from .bootstrap import measured, replicates
from .curves import STEMS, curves
from .pairing import check_paired, patient_numbers

BATCH = 1000  # permutations held in memory at once
ROUNDING = 1e-10  # two differences this close are the same one, summed in another order


class Permutation(NamedTuple):
    """A difference, its two-sided p-value, and the number of permutations behind it.

    `exact` says that these are all the permutations there are, not a random sample of them.

    >>> Permutation(difference=0.5, p=0.25, n=8, exact=True).exact
    True
    """

    difference: float
    p: float
    n: int
    exact: bool


def permutation_test(
    rows_a: pd.DataFrame,
    rows_b: pd.DataFrame,
    measure: str,
    *,
    groups: Sequence | None,
    n: int = 9999,
    seed: int = 0,
) -> Permutation:
    """Paired permutation test of any measure of `lib.metrics.summarise`, `rows_a` less `rows_b`.

    Under the null hypothesis it does not matter which model gave which answer, so each patient's
    images keep or swap the models' answers, whole patients together. The p-value is the share of
    permutations whose difference is at least as large, in either direction. If there are no more
    than `n` of them (2 to the number of patients), all are taken and the p-value is exact. If
    not, `n` random ones are, and what was observed counts as one more, so p is never 0 (Phipson
    and Smyth 2010). A permutation that leaves the measure undefined counts as large, which can
    only raise p. For an AUC each model's scores are first replaced by their ranks, so that the
    scale of the scores plays no part (Venkatraman and Begg 1996).

    `groups` names each row's patient; None makes every image its own. Raises ValueError if the
    rows are not the same images in the same order or do not give the measure.

    >>> truth, wrong = [0, 1, 0, 1, 1], [1, 0, 1, 0, 0]
    >>> right_rows = pd.DataFrame({"label": truth, "p_malignant": truth})
    >>> wrong_rows = pd.DataFrame({"label": truth, "p_malignant": wrong})
    >>> permutation_test(right_rows, wrong_rows, "ACC", groups=None)  # p is 2 of 32
    Permutation(difference=1.0, p=0.0625, n=32, exact=True)
    """
    if not n >= 1:
        raise ValueError(f"n is {n}; at least one permutation is needed")
    check_paired(rows_a, rows_b)
    difference = measured(rows_a, measure) - measured(rows_b, measure)
    patient = patient_numbers(len(rows_a), groups)
    patients = int(patient.max()) + 1
    exact = 2**patients <= n
    # Each model's answers after a swap are weights, 0 or 1, over the answers of both.
    both, part = [_stacked(rows_a, rows_b)], measure
    if measure in STEMS:
        pairs = zip(curves(rows_a, measure), curves(rows_b, measure), strict=True)
        both, part = [_stacked(_ranked(a), _ranked(b)) for a, b in pairs], "AUC"
    large = 0
    for swaps in _all_swaps(patients) if exact else _random_swaps(patients, n, seed):
        swapped = swaps[:, patient].astype(float)
        weights = np.hstack([1 - swapped, swapped])
        found = np.mean(
            [replicates(s, part, weights) - replicates(s, part, 1 - weights) for s in both], axis=0
        )
        large += int((~(np.abs(found) < abs(difference) - ROUNDING)).sum())  # NaN is large
    total = 2**patients if exact else n
    p = large / total if exact else (large + 1) / (total + 1)
    return Permutation(difference, p, total, exact)


def _all_swaps(patients: int) -> Iterator[np.ndarray]:
    """Every choice of patients, as Boolean arrays (up to BATCH, patients)."""
    for start in range(0, 2**patients, BATCH):
        numbers = np.arange(start, min(start + BATCH, 2**patients))
        yield (numbers[:, None] >> np.arange(patients)) % 2 == 1


def _random_swaps(patients: int, n: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    for start in range(0, n, BATCH):
        yield generator.integers(2, size=(min(BATCH, n - start), patients), dtype=bool)


def _stacked(rows_a: pd.DataFrame, rows_b: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows_a, rows_b], join="inner", ignore_index=True)


def _ranked(rows: pd.DataFrame) -> pd.DataFrame:
    known, _, score = classified(rows)
    return rows.assign(p_malignant=pd.Series(score, rows.index).where(known).rank())
