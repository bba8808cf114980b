"""Systems that cannot contradict themselves, each against a network for one task alone."""

from collections.abc import Mapping, Sequence
from html import escape

from ..stats import MARGIN, Difference
from .changes import LITTLE
from .measures import HEADLINE
from .style import ABSENT, ends, number, table, words

RULER = "results.html#never-a-contradiction-and-no-worse"
# system -> row (a source) -> measure -> difference, at the level of a one-sided test
Against = Mapping[str, Mapping[str, Mapping[str, Difference | None]]]


def consistent_table(against: Against, titles: Mapping[str, str], cost: Mapping[str, str]) -> str:
    """Better, or no worse by the margin, than a network for one task; a row for each source.

    cost: system -> parameters, in words. A measure without a difference is that of the network for
    one task itself. Raises ValueError if no system was compared.
    """
    measures = list(
        dict.fromkeys(m for rows in against.values() for family in rows.values() for m in family)
    )
    if not measures:
        raise ValueError("no system that cannot contradict itself has been compared yet")
    body: list[list[str] | str] = []
    for system, rows in against.items():
        paid = f" <small>({escape(cost[system])})</small>" if cost.get(system) else ""
        body.append(f"<b>{escape(titles.get(system, system))}</b>{paid}")
        if not rows:
            body.append(["not run", *[ABSENT] * len(measures)])
        for row, family in rows.items():
            body.append([escape(row), *(_said(family, m) for m in measures)])
    heads = [
        f"{HEADLINE[m]},<br>minus that of the network<br>for this task alone" for m in measures
    ]
    note = (
        "In points. In brackets intervals of 90 %, whose ends are those of one-sided tests at 5 %, "
        f"over patients and trainings. No worse: the interval ends above a loss of {LITTLE}, a "
        "margin that was set beforehand."
    )
    return table(["", *heads], body, note)


def no_worse_in_words(against: Against, titles: Mapping[str, str], rows: Sequence[str]) -> str:
    """Which systems are shown to be no worse than the networks for one task, in Markdown.

    rows: the sources of which it is said. Systems that hold such a network itself are left out.
    """
    said = []
    for row in rows:
        known = {name: each[row] for name, each in against.items() if row in each}
        good = [
            titles.get(name, name)
            for name, family in known.items()
            if None not in family.values()
            and all(standing(one).startswith(("better", "no worse")) for one in family.values())
        ]
        if known:
            said.append(f"{row}: **{'; '.join(map(escape, good)) or 'none'}**")
    both = f"Single networks that are shown to lose less than {LITTLE} in outline and class"
    return f"{both}: {'; '.join(said)}." if said else "*Not run.*"


def use_in_words(against: Against, titles: Mapping[str, str], rows: Sequence[str]) -> str:
    """What to use, in Markdown: two networks, how the others compare, and which is the nearest.

    rows: the sources of which it is said; the nearest is that of the first one.

    >>> use_in_words({}, {}, []).endswith("*Not run.*")
    True
    """
    return (
        "**What to use.** For the outline two networks, one for the class and one for the outline: "
        "once the outline is painted in the class, they never name two classes. What they cost in "
        f"the class stands [beside what they give]({RULER}). The others are measured by them, one "
        "way: nothing here asks whether they are no worse than another. This is for images of one "
        "nodule. Of one of each class they cannot say which is which; that, and images without a "
        "nodule: [where there may be nothing to agree on](presence.html). "
        f"{no_worse_in_words(against, titles, rows)}"
        f"{_nearest(against, titles, rows)}"
    )


def _nearest(against: Against, titles: Mapping[str, str], rows: Sequence[str]) -> str:
    """The single network that loses least in the measure in which it loses most."""
    for row in rows:
        losses = {
            name: min(one.difference for one in each[row].values() if one)
            for name, each in against.items()
            if each.get(row) and None not in each[row].values()
        }
        if losses:
            best = max(losses, key=losses.__getitem__)
            told = "; ".join(
                f"{HEADLINE[m]} {words(one.interval, signed=True)}"
                for m, one in against[best][row].items()
                if one
            )
            return (
                f" Nearest on {row}: {escape(titles.get(best, best))} ({told} points, "
                "intervals of 90 %)."
            )
    return ""


def standing(found: Difference) -> str:
    """Better, worse, no worse by the margin, or that neither is shown.

    >>> at = dict(above=0.8, below=0.8, share=1.0, seeds=(0,), trainings=1, images=90, patients=45)
    >>> at |= dict(smallest=45, spread_known=True, difference=0.0)
    >>> standing(Difference("AUC", low=-0.004, high=0.004, **at))
    'no worse by 1 point'
    """
    if found.why:
        return f"not told: {found.why}"
    if not found.spread_known:
        return "not told: one training"
    if found.worst < 0:
        return "better"
    if found.no_worse:
        return f"no worse by {LITTLE}"
    best = -found.low if found.worst == found.high else found.high
    if best < -MARGIN:
        return f"worse by more than {LITTLE}"
    return "worse" if best < 0 else "not shown"


def _said(family: Mapping[str, Difference | None], measure: str) -> str:
    if measure not in family:
        return f"<small>{ABSENT}</small>"
    found = family[measure]
    if found is None:
        return "<small>the same network, by construction</small>"
    value = number(found.difference, signed=True)
    one = "<sup>1</sup>" if found.trainings == 1 else ""
    name = standing(found)
    name = f"<b>{name}</b>" if name.startswith(("better", "no worse")) else name
    return f"{name}<br><small>{value}{one} {ends(found.low, found.high, True)}</small>"
