"""Many measures of many systems at once: each draw of patients is one matrix product for all.

The numbers are those of `bootstrap_intervals`, `paired_difference` and `permutation_test`, found
faster: an image counts with its patient, so sums over patients are all that a draw re-weights. Two
systems may have several training runs each; then the measure is the mean over these runs, and its
interval and its test are about other patients for these trained networks. Where a seed draws the
split, too, its runs have test images of their own: a patient is then drawn, or swapped, equally
often in every run that has images of that patient.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lib.metrics import as_ratios, classes_of, classified, means, summarise

from .curves import STEMS, curves
from .interval import Interval, check_level
from .pairing import check_paired, patient_numbers
from .permutation import ROUNDING, _all_swaps, _random_swaps

DRAWS = 2000


class _Ratios(NamedTuple):
    """Sums over patients (patients, k) of the k ratios `names`, and the ratios of each measure."""

    names: list[str]
    above: np.ndarray
    below: np.ndarray
    parts: dict[str, tuple[str, ...]]

    def under(self, above: np.ndarray, below: np.ndarray) -> dict[str, np.ndarray]:
        """Measures (draws,) from the weighted sums (draws, k)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = dict(zip(self.names, (above / below).T, strict=True))
        return {m: np.mean([ratio[p] for p in parts], axis=0) for m, parts in self.parts.items()}


def mean_intervals(
    runs: Sequence[pd.DataFrame],
    measures: Iterable[str],
    *,
    n: int = DRAWS,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """The mean of each measure over training runs, with its bootstrap interval over patients.

    runs: the test images of each training run, with their patients in the column group (without
    it, each case is one; without that, each row); measures that not all of them give are left out.
    Each draw takes the same patients from every run. The interval speaks of other patients for
    these trained networks, not of further training runs: for those see `over_seeds`. Of one run,
    exactly `bootstrap_intervals`. Raises ValueError if there is no run, and for runs of unequal
    length whose images have no names.

    >>> rows = pd.DataFrame({"label": [0, 1] * 10, "p_malignant": [0.2] * 5 + [0.8] * 15})
    >>> sure = rows.assign(p_malignant=rows["label"])
    >>> mean_intervals([rows, sure], ["ACC"])["ACC"].estimate
    0.775
    """
    check_level(level)
    wanted = _given(runs, measures)
    patients = _patients(runs)
    weights = _draws(_count(patients), n, seed)
    drawn = [
        _drawn(rows, wanted, patient, weights) for rows, patient in zip(runs, patients, strict=True)
    ]
    found = [summarise(rows) for rows in runs]
    return {
        m: Interval(
            float(np.mean([values[m] for values in found])),
            *_ends(np.mean([values[m] for values in drawn], axis=0), m, level),
        )
        for m in wanted
    }


def mean_differences(
    runs_a: Sequence[pd.DataFrame],
    runs_b: Sequence[pd.DataFrame],
    measures: Iterable[str],
    *,
    n: int = DRAWS,
    permutations: int = 9999,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Two systems by their means over training runs: differences, intervals, permutation tests.

    As `mean_intervals`; runs_a and runs_b pair up, so there are as many of both, and in both of a
    pair the same test images in the same order. Rows: the measures that all give; columns `a`, `b`,
    `difference` with its paired bootstrap interval `low`, `high`, and `p` of the permutation test
    in which a patient's images keep or swap the systems' answers in all pairs of runs together. Of
    one pair of runs, the numbers of `compare`. Raises ValueError for unequal numbers of runs, or a
    pair on other images.

    >>> truth, wrong = [0, 1, 0, 1, 1], [1, 0, 1, 0, 0]
    >>> right_rows = pd.DataFrame({"label": truth, "p_malignant": truth})
    >>> wrong_rows = pd.DataFrame({"label": truth, "p_malignant": wrong})
    >>> table = mean_differences([right_rows], [wrong_rows], ["ACC"], n=100)
    >>> table.loc["ACC", ["difference", "p"]].tolist()  # p is 2 of 32
    [1.0, 0.0625]
    """
    check_level(level)
    if len(runs_a) != len(runs_b):
        raise ValueError(f"a has {len(runs_a)} runs and b has {len(runs_b)}; pass pairs of runs")
    for one, two in zip(runs_a, runs_b, strict=True):
        check_paired(one, two)
    wanted = _given([*runs_a, *runs_b], measures)
    patients = _patients(runs_a)
    weights = _draws(_count(patients), n, seed)
    table: dict[str, dict[str, float]] = {m: {} for m in wanted}
    a, b = ([summarise(rows) for rows in runs] for runs in (runs_a, runs_b))
    drawn_a, drawn_b = (
        [
            _drawn(rows, wanted, patient, weights)
            for rows, patient in zip(runs, patients, strict=True)
        ]
        for runs in (runs_a, runs_b)
    )
    for m in wanted:
        mean_a, mean_b = (float(np.mean([values[m] for values in side])) for side in (a, b))
        apart = np.mean(
            [one[m] - two[m] for one, two in zip(drawn_a, drawn_b, strict=True)], axis=0
        )
        low, high = _ends(apart, m, level)
        table[m] = {
            "a": mean_a,
            "b": mean_b,
            "difference": mean_a - mean_b,
            "low": low,
            "high": high,
        }
    p = _permuted(runs_a, runs_b, wanted, patients, permutations, seed)
    frame = pd.DataFrame.from_dict(table, orient="index").rename_axis("measure")
    return frame.assign(p=pd.Series(p, dtype=float))


# ------------------------------------------------------------------------------------ the patients


def _given(runs: Sequence[pd.DataFrame], measures: Iterable[str]) -> list[str]:
    """The measures that all runs give."""
    if not runs:
        raise ValueError("there is no run to measure")
    given = [summarise(rows).keys() for rows in runs]
    return [m for m in dict.fromkeys(measures) if all(m in there for there in given)]


def _patients(runs: Sequence[pd.DataFrame]) -> list[np.ndarray]:
    """For each run the number of each image's patient, the same in all runs: integers (images,)."""
    column = next((c for c in ("group", "case") if all(c in rows for rows in runs)), None)
    if column:
        named = np.concatenate([rows[column].to_numpy() for rows in runs])
        numbers = patient_numbers(len(named), named)
        return np.split(numbers, np.cumsum([len(rows) for rows in runs])[:-1])
    if len({len(rows) for rows in runs}) > 1:
        lengths = ", ".join(str(len(rows)) for rows in runs)
        raise ValueError(f"runs of {lengths} images without a column case: which are the same?")
    return [np.arange(len(rows)) for rows in runs]


def _count(patients: Sequence[np.ndarray]) -> int:
    return max(int(patient.max(initial=-1)) for patient in patients) + 1


def _draws(patients: int, n: int, seed: int) -> np.ndarray:
    """How often each patient is in each bootstrap draw (n, patients): those of `draw`."""
    if not n >= 1:
        raise ValueError(f"n is {n}; at least one draw is needed")
    counts = np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), n)
    return counts.astype(float)


def _ratios(
    rows: pd.DataFrame, measures: Sequence[str], patient: np.ndarray, count: int
) -> _Ratios:
    ratios, averaged = as_ratios(rows), means(classes_of(rows))
    parts = {m: averaged.get(m, (m,)) for m in measures if m not in STEMS}
    names = list(dict.fromkeys(name for of in parts.values() for name in of))
    above, below = (
        np.column_stack([_by_patient(ratios[name][side], patient, count) for name in names])
        if names
        else np.zeros((count, 0))
        for side in (0, 1)
    )
    return _Ratios(names, above, below, parts)


def _by_patient(values: np.ndarray, patient: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(patient, values, minlength=count)


def _drawn(
    rows: pd.DataFrame, measures: Sequence[str], patient: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The measures (draws,) under each row of patients' weights (draws, patients)."""
    ratios = _ratios(rows, measures, patient, weights.shape[1])
    found = ratios.under(weights @ ratios.above, weights @ ratios.below)
    for m in (m for m in measures if m in STEMS):
        found[m] = np.mean([_auc(one, patient, weights) for one in curves(rows, m)], axis=0)
    return found


def _auc(rows: pd.DataFrame, patient: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of malignant-benign pairs in the right order, ties counting half.

    The pairs are summed over patients first, so that a draw is a quadratic form of its weights.
    """
    known, truth, score = classified(rows)
    benign = known & ~truth
    order = (np.sign(score[truth][:, None] - score[benign]) + 1) / 2
    members = np.zeros((weights.shape[1], len(rows)))
    members[patient, np.arange(len(rows))] = 1
    pairs = members[:, truth] @ order @ members[:, benign].T
    among = (weights @ members[:, truth].sum(1)) * (weights @ members[:, benign].sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return ((weights @ pairs) * weights).sum(1) / among


def _ends(drawn: np.ndarray, measure: str, level: float) -> tuple[float, float]:
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size:
        raise ValueError(f"no draw gave {measure}; more draws or more patients are needed")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


# ------------------------------------------------------------------------------------------- swaps


def _permuted(
    runs_a: Sequence[pd.DataFrame],
    runs_b: Sequence[pd.DataFrame],
    measures: Sequence[str],
    patients: Sequence[np.ndarray],
    n: int,
    seed: int,
) -> dict[str, float]:
    """The p-value of each measure, from the swaps that `permutation_test` takes."""
    if not n >= 1:
        raise ValueError(f"n is {n}; at least one permutation is needed")
    count = _count(patients)
    exact = 2**count <= n
    pairs = list(zip(runs_a, runs_b, patients, strict=True))
    ratios = [[_ratios(rows, measures, own, count) for rows in (a, b)] for a, b, own in pairs]
    slopes = {
        m: np.mean([_auc_shares(a, b, m, own, count) for a, b, own in pairs], axis=0)
        for m in measures
        if m in STEMS
    }
    observed = {
        m: np.mean([summarise(a)[m] - summarise(b)[m] for a, b, _ in pairs]) for m in measures
    }
    larger = dict.fromkeys(measures, 0)
    for swaps in _all_swaps(count) if exact else _random_swaps(count, n, seed):
        swapped = swaps.astype(float)
        apart = {m: (1 - 2 * swapped) @ slope for m, slope in slopes.items()}
        by_pair = [_swapped(a, b, swapped) for a, b in ratios]
        apart |= {m: np.mean([found[m] for found in by_pair], axis=0) for m in by_pair[0]}
        for m, values in apart.items():  # NaN is large
            larger[m] += int((~(np.abs(values) < abs(observed[m]) - ROUNDING)).sum())
    extra = 0 if exact else 1
    total = 2**count if exact else n
    return {m: (number + extra) / (total + extra) for m, number in larger.items()}


def _swapped(a: _Ratios, b: _Ratios, swaps: np.ndarray) -> dict[str, np.ndarray]:
    """The differences of the measures (draws,) after the patients' swaps (draws, patients)."""
    sides = []
    for one, two in ((a, b), (b, a)):
        sums = [
            x.sum(0) + swaps @ (y - x) for x, y in ((one.above, two.above), (one.below, two.below))
        ]
        sides.append(one.under(*sums))
    return {m: sides[0][m] - sides[1][m] for m in sides[0]}


def _auc_shares(
    a: pd.DataFrame, b: pd.DataFrame, measure: str, patient: np.ndarray, count: int
) -> np.ndarray:
    """Each patient's share of the difference of two AUCs (patients,); a swap turns its sign.

    With scores replaced by their ranks, an image's share is its placement among the other class's
    scores of both models, less the same of the other model: all else cancels between a and b.
    """
    shares = []
    for one, two in zip(curves(a, measure), curves(b, measure), strict=True):
        (known, truth, x), (other, _, y) = classified(one), classified(two)
        if (known != other).any():
            row = int(np.argmax(known != other))
            raise ValueError(f"row {row} has a score in one of the two runs only")
        benign = known & ~truth
        x, y = (np.where(known, _ranks(score, known), np.nan) for score in (x, y))
        share = np.zeros(len(x))
        for own, rest, sign in ((truth, benign, 1), (benign, truth, -1)):
            among = np.sort(np.r_[x[rest], y[rest]])
            share[own] = sign * (_place(x[own], among) - _place(y[own], among))
        shares.append(_by_patient(share / (2 * truth.sum() * benign.sum()), patient, count))
    return np.mean(shares, axis=0)


def _ranks(score: np.ndarray, known: np.ndarray) -> np.ndarray:
    ranks = np.full(len(score), np.nan)
    ranks[known] = rankdata(score[known])
    return ranks


def _place(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """How many of the sorted numbers lie below each value, equal ones counting half."""
    return (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / 2
