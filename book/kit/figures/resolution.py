"""Two budgets side by side: what the same systems reach at one image size and at another."""

from collections.abc import Mapping, Sequence
from html import escape

from ..stats import LESS_IS_BETTER, SUFFIX, Evidence
from .measures import HEADLINE
from .style import ABSENT, stacked, table


def resolution_table(
    sizes: Mapping[str, Evidence], titles: Mapping[str, str], measures: Sequence[str]
) -> str:
    """Levels of each system in per cent, a row for each size: `sizes` has its name -> its runs.

    titles: the systems to show, in order, by name. Each row says on how many trainings and images
    it rests. Raises ValueError if no size has one of the systems.
    """
    body: list[list[str] | str] = []
    for system, title in titles.items():
        there = {size: one for size, one in sizes.items() if system in one.runs}
        if there:
            body.append(f"<b>{escape(title)}</b>")
        for size, one in there.items():
            body.append([_row(size, one, system), *_cells(one, system, measures)])
    if not body:
        raise ValueError("none of these systems has been run yet")
    note = "In per cent, with 95 % intervals over patients and trainings."
    return table(["", *(HEADLINE[m].replace(", ", ",<br>", 1) for m in measures)], body, note)


def _row(size: str, one: Evidence, system: str) -> str:
    runs = one.runs[system].values()
    images = len({case for run in runs for case in run["per_image"]["case"]})
    several = "s" * (len(runs) != 1)
    return f"{escape(size)}<br><small>{len(runs)} training{several}, {images} images</small>"


def _cells(one: Evidence, system: str, measures: Sequence[str]) -> list[str]:
    constructed = system.endswith(SUFFIX) or "inconsis_cls" not in one.measures(system)
    return [
        "0"
        if m.startswith(LESS_IS_BETTER) and constructed
        else stacked(one.level(system, m))
        if m in one.measures(system)
        else ABSENT
        for m in measures
    ]
