"""What the draw of the seed does to a measure: means over training runs with Student's t."""

from collections.abc import Iterable, Mapping

import numpy as np
import scipy.stats

from .interval import Interval, check_level


def over_seeds(values: Iterable[float], level: float = 0.95) -> Interval:
    """Mean of one measure over training runs that differ in their seed, with its t interval.

    `values` holds one number per seed. The interval speaks of further seeds on the same test
    images, not of further patients; `bootstrap_interval` does the reverse. One seed says nothing
    about the spread over seeds, so fewer than two values raise ValueError, as do values that are
    not finite or an unusable `level`. Student 1908.

    >>> mean, low, high = over_seeds([0.81, 0.83, 0.85])
    >>> print(f"{mean:.2f} ({low:.3f} to {high:.3f})")
    0.83 (0.780 to 0.880)
    """
    check_level(level)
    values = np.asarray(list(values), float)
    if len(values) < 2:
        raise ValueError(
            f"{len(values)} seed(s) given; an interval over seeds needs at least two runs"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"the value of run {int(np.argmin(np.isfinite(values)))} is not finite")
    mean = float(values.mean())
    half = scipy.stats.t.ppf((1 + level) / 2, len(values) - 1) * scipy.stats.sem(values)
    return Interval(mean, mean - float(half), mean + float(half))


def paired_over_seeds(
    values_a: Mapping[int, float], values_b: Mapping[int, float], level: float = 0.95
) -> Interval:
    """Mean over seeds of the difference a less b within each seed, with its t interval.

    Both map a seed to the measure of its run. Pairing helps as far as a seed gives both systems
    the same start and order of images. Raises ValueError if the seeds differ; else as
    `over_seeds`.

    >>> difference = paired_over_seeds({0: 0.85, 1: 0.82}, {1: 0.80, 0: 0.83})
    >>> [round(end, 6) for end in difference]
    [0.02, 0.02, 0.02]
    """
    return over_seeds(_differences(values_a, values_b), level)


def paired_t_test(values_a: Mapping[int, float], values_b: Mapping[int, float]) -> float:
    """Two-sided p-value of the mean difference over seeds, by Student's paired t test.

    It is below 1 - `level` exactly where the interval of `paired_over_seeds` leaves out 0. Equal
    values in every seed give 1. Errors as there.

    >>> round(paired_t_test({0: 0.85, 1: 0.82, 2: 0.84}, {0: 0.83, 1: 0.81, 2: 0.81}), 4)
    0.0742
    """
    differences = _differences(values_a, values_b)
    mean, low, _ = over_seeds(differences)
    if mean == low:  # no spread at all, so no t
        return 1.0 if mean == 0 else 0.0
    return float(scipy.stats.ttest_1samp(differences, 0).pvalue)


def _differences(values_a: Mapping[int, float], values_b: Mapping[int, float]) -> list[float]:
    if set(values_a) != set(values_b):
        raise ValueError(
            f"a has the seeds {sorted(values_a)} but b has {sorted(values_b)}; "
            "pass the same seeds of both"
        )
    return [values_a[seed] - values_b[seed] for seed in values_a]
