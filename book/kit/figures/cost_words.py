"""What costs and accuracies say together: the cheapest, the best, and what took too long."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from .costs import Cost
from .reproduced import System
from .style import number

MINUTES = 12  # of a processor; a laptop run that takes longer is named
JUDGED = {"dice_class_mean": "Dice over images of the class", "AUC": "AUC"}


def cost_in_words(rows: Sequence[Cost], of: int) -> str:
    """How many ran, which is the cheapest and which the best, and what the best costs beside it.

    rows: as `cost_rows` makes them; of: how many systems there are. A list in Markdown.

    >>> cheap = Cost(1, "MTL", "rival", trainings=2, costs={"epoch": 9.0, "gflop": 1.0})
    >>> dear = Cost(2, "MS-MTL", "rival", costs={"epoch": 21.0, "gflop": 2.0})
    >>> print(cost_in_words([cheap, dear], of=20))
    - 2 of 20 systems have been run here.
    - An image takes 1.00 GFLOP with MTL and 2.00 with MS-MTL.
    """
    said = [f"{len(rows)} of {of} systems have been run here."]
    known = [row for row in rows if row.costs["gflop"] == row.costs["gflop"]]
    if len(known) > 1:
        least, most = (pick(known, key=lambda row: row.costs["gflop"]) for pick in (min, max))
        said.append(
            f"An image takes {least.costs['gflop']:.2f} GFLOP with {least.title} and "
            f"{most.costs['gflop']:.2f} with {most.title}."
        )
    for measure, name in JUDGED.items():
        there = [row for row in rows if measure in row.gains]
        if len(there) > 1:
            said.append(f"Highest {name}: {_best(there, measure)}")
    if all(row.trainings == 1 for row in rows):
        said.append("One training run each: another seed may order them differently.")
    return "\n".join(f"- {sentence}" for sentence in said)


def _best(rows: Sequence[Cost], measure: str) -> str:
    """The best by a measure, and what it costs."""
    best = max(rows, key=lambda row: row.gains[measure].estimate)
    value, low, high = (number(end) for end in best.gains[measure])
    return f"{best.title}, {value} % [{low}, {high}] at {best.costs['gflop']:.2f} GFLOP an image."


def overlong_in_words(records: Sequence[Mapping[str, Any]], systems: Sequence[System]) -> str:
    """Which systems missed the laptop profile's aim, by the mean over their runs, if any did.

    records: runs of that profile; systems: entries of the catalogue. An item of a list in Markdown.

    >>> overlong_in_words([], []).endswith("no run took 12.")
    True
    """
    spent = {system.title: _minutes(records, system.name) for system in systems}
    long = {title: mean(m) for title, m in spent.items() if m and mean(m) > MINUTES}
    named = ", ".join(f"{title} ({minutes:.1f})" for title, minutes in long.items())
    return (
        "- The profile aims at about ten minutes. Counted in processor time of the training, so "
        "that no waiting is in it, "
        + (
            f"these took more than {MINUTES} minutes: {named}."
            if named
            else f"no run took {MINUTES}."
        )
    )


def _minutes(records: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Processor minutes of the runs of a system that noted them."""
    seconds = [run["seconds"].get("processor") for run in records if run["experiment"] == name]
    return [one / 60 for one in seconds if one]
