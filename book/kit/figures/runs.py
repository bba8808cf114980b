"""What figures and tables of several runs share: a name for each, and the levels of each system."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..stats import Evidence, Interval
from .style import text

ONE = (
    "One training: the spread between trainings is not known, so the intervals are about other "
    "patients alone."
)


def clock(record: Mapping[str, Any]) -> float:
    """Seconds that a run took by the clock, those before it was resumed included.

    >>> clock({"seconds": {"total": 60.0, "test": 5.0}, "history": [{"seconds": 50.0}] * 2})
    105.0
    """
    seconds = record["seconds"]
    epochs = sum(epoch.get("seconds", 0.0) for epoch in record.get("history", ()))
    return max(seconds["total"], epochs + seconds.get("test", 0.0))


def by_title(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None
) -> dict[str, Mapping[str, Any]]:
    """Each record by its title, with whatever else tells it from the others, its fold, too."""
    folds = {str(record.get("fold")) for record in records}
    named = titled(records, titles)
    if len(folds) > 1:
        named = [(f"{title}, fold {record.get('fold', 0)}", record) for title, record in named]
    return dict(named)


def titled(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None
) -> list[tuple[str, Mapping[str, Any]]]:
    """Each record beside its title, as in `by_title`; the folds of a training set share one."""
    differs = [
        key for key in ("source", "profile", "seed") if len({str(r[key]) for r in records}) > 1
    ]
    named = []
    for record in records:
        extra = [f"seed {record[k]}" if k == "seed" else str(record[k]) for k in differs]
        title = (titles or {}).get(record["experiment"], record["experiment"])
        named.append((text(", ".join([title, *extra])), record))
    return named


def levels(
    found: Evidence, system: str, measures: Iterable[str] | None = None
) -> dict[str, Interval]:
    """The measures that a system has, of these or of all, each with its 95 % interval.

    >>> run = {"source": "", "profile": "", "experiment": "mtl", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1] * 8, "p_malignant": [0.2, 0.8, 0.6, 0.9] * 4}
    >>> levels(Evidence([run]), "mtl", ["ACC", "dice_nodule"])["ACC"].estimate
    0.75
    """
    given = found.measures(system)
    return {m: found.level(system, m) for m in measures or given if m in given}


def untold(found: Evidence, measures: Iterable[str]) -> str:
    """What to mind about these intervals, if the spread between trainings is not in all of them."""
    return ONE if any(not found.spread(measure).known for measure in measures) else ""
