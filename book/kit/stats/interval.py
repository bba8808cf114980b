"""An estimate with the interval about it, which never leaves the range of what is measured."""

import math
from typing import NamedTuple

from scipy.stats import t


class Interval(NamedTuple):
    """A measure, or a difference of two, and the two ends of its interval; NaN where none is told.

    >>> estimate, low, high = Interval(0.81, low=0.78, high=0.84)
    >>> low
    0.78
    """

    estimate: float
    low: float
    high: float


def wilson(
    value: float,
    variance: float,
    patients: int,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    freedom: float = math.inf,
) -> Interval:
    """Wilson's score interval of a mean of values in `bounds`, which both of its ends respect.

    variance: of the estimate; freedom: degrees of freedom behind it, so that Student's t takes the
    place of the normal distribution (infinite: the normal). The value is read as a share of its
    range, and counts as a proportion of as many trials as would give it this variance; at an end of
    the range, where no variance is seen, of as many as there are patients. Far from the ends, and
    with many patients, it is value ± 1.96 standard errors. Raises ValueError for a level outside 0
    to 1. Wilson 1927.

    >>> [round(v, 3) for v in wilson(0.9, 0.9 * 0.1 / 50, 50)]  # 45 of 50
    [0.9, 0.786, 0.957]
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
    bottom, width = bounds[0], bounds[1] - bounds[0]
    share, trials = _as_proportion(value, variance, patients, bounds)
    if trials == math.inf:
        return Interval(value, value, value)
    squared = float(t.ppf((1 + level) / 2, freedom)) ** 2
    middle = (share + squared / (2 * trials)) / (1 + squared / trials)
    half = math.sqrt(squared * (share * (1 - share) + squared / (4 * trials)) / trials)
    half /= 1 + squared / trials
    low, high = min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share)
    return Interval(value, float(bottom + width * low), float(bottom + width * high))


def wilson_p(
    value: float,
    variance: float,
    patients: int,
    *,
    bounds: tuple[float, float] = (-1.0, 1.0),
    freedom: float = math.inf,
) -> float:
    """Two-sided p-value of 0, inside `bounds`: below 1 - level just where `wilson` leaves out 0.

    >>> round(wilson_p(0.1, 0.05**2, 80), 3)
    0.047
    """
    share, trials = _as_proportion(value, variance, patients, bounds)
    zero = -bounds[0] / (bounds[1] - bounds[0])
    if trials == math.inf:
        return 1.0 if share == zero else 0.0
    distance = abs(share - zero) * math.sqrt(trials / (zero * (1 - zero)))
    return float(2 * t.sf(distance, freedom))


def _as_proportion(
    value: float, variance: float, patients: int, bounds: tuple[float, float]
) -> tuple[float, float]:
    """The value as a share of its range, and the number of trials with this variance."""
    width = bounds[1] - bounds[0]
    share = min(max((value - bounds[0]) / width, 0.0), 1.0)
    spread = share * (1 - share)
    if spread < 1e-9:
        return share, patients
    return share, spread * width**2 / variance if variance else math.inf
