"""An estimate with the interval about it."""

from typing import NamedTuple


class Interval(NamedTuple):
    """A measure, or a difference of two, and the two ends of its interval.

    >>> estimate, low, high = Interval(0.81, low=0.78, high=0.84)
    >>> low
    0.78
    """

    estimate: float
    low: float
    high: float


def check_level(level: float) -> None:
    """Raise ValueError unless `level` can be the confidence of an interval, such as .95."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
