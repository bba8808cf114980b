"""What figures and tables of several runs share: a name for each, and its intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lib import results
from lib.metrics import summarise

from .. import stats
from ..stats import Interval
from .style import text


def by_title(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None
) -> dict[str, Mapping[str, Any]]:
    """Each record by its title, with whatever else tells it from the others."""
    differs = [
        key for key in ("source", "profile", "seed") if len({str(r[key]) for r in records}) > 1
    ]
    named = {}
    for record in records:
        extra = [f"seed {record[k]}" if k == "seed" else str(record[k]) for k in differs]
        title = (titles or {}).get(record["experiment"], record["experiment"])
        named[text(", ".join([title, *extra]))] = record
    return named


def by_system(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None
) -> dict[str, list[Mapping[str, Any]]]:
    """The records of each system, its seeds together, by its title, in the order of `titles`.

    Systems that `titles` does not name come last, as they are found; source and profile are added
    to the title where they differ. Raises ValueError for a seed twice.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> list(by_system([run, run | {"seed": 1}], {"mtl": "MTL"}))
    ['MTL']
    """
    order = {experiment: place for place, experiment in enumerate(titles or {})}
    differs = [key for key in ("source", "profile") if len({str(r[key]) for r in records}) > 1]
    systems: dict[str, list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda r: order.get(r["experiment"], len(order))):
        title = (titles or {}).get(record["experiment"], record["experiment"])
        name = text(", ".join([title, *(str(record[key]) for key in differs)]))
        systems.setdefault(name, []).append(record)
    for name, runs in systems.items():
        seeds = [run["seed"] for run in runs]
        if len({(run["experiment"], run["seed"]) for run in runs}) < len(runs):
            raise ValueError(f"{name} has a seed twice (seeds {seeds}); pass each run once")
    return systems


def groups_of(rows: pd.DataFrame) -> pd.Series | None:
    """The patients of a run's images, as the bootstrap takes them; None without."""
    return rows.get("group")


def intervals(
    record: Mapping[str, Any], measures: Sequence[str] | Mapping[str, str]
) -> dict[str, Interval]:
    """The measures that a run has, each with its 95 % bootstrap interval over patients.

    >>> run = {"per_image": {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.9]}}
    >>> intervals(run, ["ACC", "dice_nodule"])["ACC"].estimate
    0.75
    """
    rows = results.rows(record)
    return stats.bootstrap_intervals(rows, measures, groups=groups_of(rows))


def of_system(
    runs: Sequence[Mapping[str, Any]], measures: Sequence[str] | Mapping[str, str]
) -> dict[str, Interval]:
    """The measures that all runs of a system have, each with its 95 % interval.

    One run: the bootstrap over patients. Several seeds: the mean over seeds and Student's interval.
    """
    if len(runs) == 1:
        return intervals(runs[0], measures)
    found = [summarise(results.rows(run)) for run in runs]
    return {
        m: stats.over_seeds([values[m] for values in found])
        for m in measures
        if all(m in values for values in found)
    }
