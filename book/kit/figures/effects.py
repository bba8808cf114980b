"""The finding: what changes from one system to another, on each source and pooled over sources.

A forest plot for each measure, one table with every number, and the answers in words.
"""

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from ..stats import FEWEST, LESS_IS_BETTER, MARGIN, PRIMARY, Difference
from .changes import sentence
from .measures import HEADLINE
from .style import (
    ABSENT,
    COLOURS,
    SYMBOLS,
    beside,
    capital,
    ends,
    figure,
    number,
    points,
    probability,
    table,
)

TOGETHER = "Pooled"  # the row over several sources
SMALL = 0.02  # an interval within this on both sides leaves no difference that matters
LITTLE = "too little to matter"
NOT_DECIDED = "not decided"
CONSTRUCTED = "0 by construction"
ALONE = "of one training, whose chance is not in the interval"
# Plotly's symbols as letters, filled and hollow
LETTERS = {
    "circle": "●○",
    "diamond": "◆◇",
    "square": "■□",
    "cross": "✚✛",
    "triangle-up": "▲△",
    "x": "✖✕",
}
# change -> row (a source, or `TOGETHER`) -> measure -> difference
Sizes = Mapping[str, int]  # class -> images
Compared = Mapping[str, Mapping[str, Mapping[str, Difference]]]


def effects(
    compared: Compared, measure: str, sizes: Mapping[str, Sizes], unjudged: tuple[str, ...] = ()
) -> go.Figure:
    """A forest plot of one measure: a row for each source, a mark for each change.

    sizes: row -> its test images by class, beside its name; unjudged: rows that enter no verdict,
    drawn faint, whose bars may leave the frame. Filled marks and thick bars rest on several
    trainings, hollow ones and thin bars on one. Without an interval a mark has no bar. Raises
    ValueError if nothing was compared by this measure.
    """
    places, middles, lines = _places(compared, measure)
    drawn, told, reach = go.Figure(), [], [0.0]
    for order, (change, each) in enumerate(compared.items()):
        for row, family in each.items():
            if (found := family.get(measure)) is None:
                continue
            reach.append(found.difference)
            if row not in unjudged and not found.why:
                reach += found.low, found.high
            at = places[row, change]
            drawn.add_trace(_mark(found, change, order, at, row in unjudged))
            told.append(f"{change}, {row}: {sentence(found)}")
    if not told:
        raise ValueError(f"nothing was compared by {HEADLINE[measure]}")
    low, high = 100 * min(reach), 100 * max(reach)
    room = max(0.08 * (high - low), 0.5)
    less = measure.startswith(LESS_IS_BETTER)
    for at, dash, width in ((0, "solid", 2), (100 * MARGIN * (1 if less else -1), "dot", 1)):
        line = {"color": "#808080", "width": width, "dash": dash}
        drawn.add_vline(at, line=line, layer="below")
    return figure(
        f"{HEADLINE[measure]}, differences in points with 95 % intervals. {'; '.join(told)}.",
        height=96 + 20 * lines,
        base=drawn,
        title={
            "text": f"<b>{HEADLINE[measure]}</b>",
            "font": {"size": 14},
            "x": 0.5,
            "xref": "paper",
            "xanchor": "center",
            "y": 0.98,
            "yanchor": "top",
        },
        margin={"t": 32, "b": 44},
        showlegend=False,
        xaxis={
            "title": f"points; {'less' if less else 'more'} is better",
            "range": [low - room, high + room],
            "zeroline": False,
        },
        yaxis={
            "tickmode": "array",
            "tickvals": list(middles.values()),
            "ticktext": [beside(row, sizes.get(row, {})) for row in middles],
            "range": [lines - 0.5, -0.5],
            "showgrid": False,
        },
    )


def _places(
    compared: Compared, measure: str
) -> tuple[dict[tuple[str, str], int], dict[str, float], int]:
    """On which line each change of each row stands, the middle of each row, and how many lines.

    Rows without this measure are left out. Each has three lines at least, for its name, and one
    more between it and the next.
    """
    places: dict[tuple[str, str], int] = {}
    middles: dict[str, float] = {}
    lines = 0
    for row in dict.fromkeys(row for change in compared.values() for row in change):
        there = [c for c, each in compared.items() if each.get(row, {}).get(measure) is not None]
        if there:
            tall = max(len(there), 3)
            begin = lines + (tall - len(there)) // 2
            places |= {(row, change): begin + k for k, change in enumerate(there)}
            middles[row] = begin + (len(there) - 1) / 2
            lines += tall + 1
    return places, middles, max(lines - 1, 0)


def effects_key(compared: Compared) -> str:
    """HTML that says which mark is which change, and how marks of one training look."""
    marks = " ".join(
        f'<span aria-hidden="true" style="color:{COLOURS[order]};font-size:1.3em">'
        f"{LETTERS[SYMBOLS[order]][0]}</span> {escape(change)}<br>"
        for order, (change, each) in enumerate(compared.items())
        if each
    )
    return (
        f'<p class="effects-key">{marks}<small>Filled, with a thick bar: several trainings. '
        "Hollow, with a thin bar: one. Bars are 95 % intervals, corrected for the measures of a "
        "pair. Dotted: 1 point worse.</small></p>"
    )


def effects_table(compared: Compared, measures: tuple[str, ...], sizes: Mapping[str, Sizes]) -> str:
    """Every difference in points with its interval: a row for each change on each source.

    In bold what is told apart; ¹ rests on one training. Raises ValueError if nothing was compared.
    """
    body: list[list[str] | str] = []
    for change, each in compared.items():
        body.append(f"<b>{escape(capital(change))}</b>")
        for row, family in each.items():
            body.append(
                [
                    beside(row, sizes.get(row, {})),
                    *(_cell(family.get(m), change, m) for m in measures),
                ]
            )
    if not any(isinstance(line, list) for line in body):
        raise ValueError("nothing has been compared yet")
    note = (
        "In points of per cent, with 95 % intervals over patients and trainings, corrected (Holm) "
        "for the measures of a row. Bold: told apart, the interval leaves out 0. "
        "¹ One training: its interval borrows the spread between trainings from other systems, if "
        "any has several; else nothing is bold. "
        f"[{ABSENT}, {ABSENT}]: fewer than {FEWEST} patients of a class. {ABSENT}: not measured, "
        "or the same answers."
    )
    heads = [HEADLINE[m].replace(", ", ",<br>", 1) for m in measures]
    return table(["points", *heads], body, note)


def answers(compared: Compared, over: Sequence[str]) -> str:
    """What the pooled rows say, as the plan has it: a list in Markdown for each change.

    over: the rows that are pooled. Where they point in different ways nothing is pooled, and each
    speaks for itself.
    """
    said = []
    for change, each in compared.items():
        single = {row: each[row] for row in over if row in each}
        lines = _lines(each.get(TOGETHER, {}), single)
        said.append(f"**{capital(change)}**\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(said)


def whose_gain_in_words(compared: Compared, over: Sequence[str]) -> str:
    """Where a gain in mean Dice is the class and not the outline, as the plan has it; Markdown.

    over: the rows that are pooled. Empty where there is no such gain.
    """
    said = []
    for change, each in compared.items():
        both = each.get(TOGETHER, {})
        names = [f"pooled, {change}"] if _only_the_class(both) else []
        if "dice_paper_mean" not in both:
            rows = [row for row in over if row in each and _only_the_class(each[row])]
            names = [f"{row}, {change}" for row in rows]
        said += names
    if not said:
        return ""
    return (
        "**The gain is in Dice over all images and not in Dice over images of the class** in "
        f"{len(said)} comparison{'s' * (len(said) != 1)}: it is in how the nodule is named, with "
        "one class and which, not in its outline ([what painting alone does](together.html)). "
        f"{capital('; '.join(said))}."
    )


def as_first_written_in_words(told: Mapping[str, Mapping[str, Difference]]) -> str:
    """What would have been pooled by the plan as it was first written, in Markdown.

    told: by change and measure, from `book.kit.plan.as_first_written`. Empty where nothing would.
    """
    said = [
        f"{change}: {'; '.join(f'{HEADLINE[m]} {effect(d)}' for m, d in family.items())}"
        for change, family in told.items()
    ]
    if not said:
        return ""
    return (
        "**By [the plan](plan.html) as first written** these would have been pooled, too: it kept "
        "sources apart only where they point in different ways. The other reason, a difference "
        "beyond chance, was added when the first results were known. "
        f"{'. '.join(capital(each) for each in said)}."
    )


def effect(found: Difference) -> str:
    """What is said of one difference: what changed, that it is too little to matter, or neither.

    >>> at = dict(above=0.1, below=0.14, share=1.0, seeds=(0,), trainings=1, images=90, patients=45)
    >>> at |= dict(smallest=45, spread_known=True, difference=-0.004, error=0.005, p=0.4)
    >>> effect(Difference("AUC", low=-0.014, high=0.006, **at))
    'too little to matter: 0.4 points lower (95 %: 1.4 lower to 0.6 higher)'
    """
    lead = undecided(found)
    return f"{lead}: {sentence(found)}" if lead else sentence(found)


def undecided(found: Difference) -> str:
    """Why a difference is not told, in words; empty where it is told apart, or has no interval."""
    if not found.spread_known and not found.why:
        return ALONE
    if found.why or found.clear:
        return ""
    return LITTLE if found.low > -SMALL and found.high < SMALL else NOT_DECIDED


def _of_one(row: str, found: Difference) -> str:
    said = f"{row} {effect(found)}"
    return f"**{said}**" if found.clear and found.spread_known else said


def _lines(
    both: Mapping[str, Difference], single: Mapping[str, Mapping[str, Difference]]
) -> list[str]:
    if not single:
        return ["Not run."]
    lines = []
    given = {measure for family in (both, *single.values()) for measure in family}
    for measure in (m for m in PRIMARY if m in given):
        found, name = both.get(measure), HEADLINE[measure]
        if found is None:
            each = {row: family[measure] for row, family in single.items() if measure in family}
            same = all(one.low == one.high for one in each.values())
            alone = "; ".join(_of_one(row, one) for row, one in each.items())
            several = "each source for itself: " * (len(each) > 1)
            told = "the same in every image" if same else f"{several}{alone}"
            lines.append(f"{name}: {told}.")
        elif found.clear:
            claim = probability(found.false_claim)
            lines.append(
                f"**{name}: {effect(found)}**; probability that there is no difference, or the "
                f"opposite one: {claim}."
            )
        else:
            lines.append(f"{name}: {effect(found)}.")
    if "inconsis_cls" not in given:
        lines.insert(0, f"{HEADLINE['inconsis_cls']}: {CONSTRUCTED}, which is no finding.")
    return lines


def _only_the_class(family: Mapping[str, Difference]) -> bool:
    """Whether the paper's mean Dice rises and that over images of the class does not."""
    whole, own = family.get("dice_paper_mean"), family.get("dice_class_mean")
    return bool(whole and own and whole.clear and whole.difference > 0 and not own.clear)


def _mark(found: Difference, change: str, order: int, at: float, faint: bool) -> go.Scatter:
    several = found.trainings > 1
    bar = None
    if not found.why:
        bar = {
            "type": "data",
            "symmetric": False,
            "array": [points(found.high - found.difference)],
            "arrayminus": [points(found.difference - found.low)],
            "thickness": 3 if several else 1,
            "width": 4,
        }
    return go.Scatter(
        x=[points(found.difference)],
        y=[at],
        error_x=bar,
        mode="markers",
        opacity=0.8 if faint else 1,
        marker={
            "color": COLOURS[order],
            "symbol": SYMBOLS[order] + ("" if several else "-open"),
            "size": 10,
            "line": {"width": 2} if not several else None,
        },
        name=change,
        hovertemplate=f"{escape(change)}: {sentence(found)}<extra></extra>",
    )


def _cell(found: Difference | None, change: str, measure: str) -> str:
    if found is None:
        decided = measure.startswith(LESS_IS_BETTER) and "together" in change
        return f"<small>{CONSTRUCTED}</small>" if decided else ABSENT
    shown = number(found.difference, signed=True)
    shown = f"<b>{shown}</b>" if found.clear and found.spread_known else shown
    one = "<sup>1</sup>" if found.trainings == 1 else ""
    return f"{shown}{one}<br><small>{ends(found.low, found.high, True)}</small>"
