"""What the benches tell of measurements that they repeat."""

import statistics
from collections.abc import Iterable


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    ordered = sorted(float(value) for value in values)
    return {"median": statistics.median(ordered), "low": ordered[0], "high": ordered[-1]}
