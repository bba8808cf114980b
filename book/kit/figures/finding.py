"""What the book found, for its first page: one figure and two sentences, made from the results."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lib.cases import CLASSES

from ..stats import SUFFIX, Evidence, Interval
from .changes import sentence
from .places import Place, of_classes, short_name
from .style import COLOURS, SYMBOLS, beside, error_bars, figure, number, points, small_titles

MEASURES = {
    "inconsis_cls": "contradictions",
    "AUC": "AUC",
    "F1": "F1",
    "dice_class_mean": "class Dice",
}
NONE = Interval(0.0, 0.0, 0.0)  # contradictions of one answer: by construction


def finding(
    found: Mapping[Place, Evidence],
    plain: str,
    terms: str,
    simple: Mapping[str, str] = MappingProxyType({}),
) -> go.Figure:
    """Four measures on every source: as answered, with the three terms, decided together.

    `found`: by source and profile, with the records of `stats.together`; plain, terms: the system
    without and with the three terms; simple: what to call it -> a system that cannot contradict
    itself, drawn beside them where a source has it. A hollow mark rests on one training. Raises
    ValueError if no place has the first.
    """
    ways = {
        "as answered": plain,
        "trained with the three terms": terms,
        "decided together, same network": f"{plain}{SUFFIX}",
    }
    there = {system for one in found.values() for system in one.runs}
    ways |= {way: system for way, system in simple.items() if system in there}
    places = {place: one for place, one in found.items() if plain in one.runs}
    if not places:
        raise ValueError(f"no run of {plain} is here yet")
    drawn = make_subplots(2, 2, subplot_titles=[f"{m}, %" for m in MEASURES.values()])
    told = []
    for at, (measure, title) in enumerate(MEASURES.items()):
        for order, (way, system) in enumerate(ways.items()):
            levels = {place: level(one, system, measure) for place, one in places.items()}
            levels = {place: value for place, value in levels.items() if value is not None}
            bars = 100 * np.array([tuple(value) for value in levels.values()]).reshape(-1, 3)
            rows = [list(places).index(place) for place in levels]
            hollow = ["-open" * (len(places[place].runs[system]) == 1) for place in levels]
            drawn.add_scatter(
                x=[points(value.estimate) for value in levels.values()],
                y=[row + 0.8 * ((order + 0.5) / len(ways) - 0.5) for row in rows],
                error_x=error_bars(bars),
                mode="markers",
                marker={
                    "color": COLOURS[order],
                    "symbol": [f"{SYMBOLS[order]}{open_}" for open_ in hollow],
                    "size": 9,
                },
                name=way,
                legendgroup=way,
                showlegend=at == 0,
                hovertemplate=f"{way}: %{{x:.1f}} %<extra></extra>",
                row=at // 2 + 1,
                col=at % 2 + 1,
            )
            said = ", ".join(
                f"{short_name(place)} {number(value.estimate)}" for place, value in levels.items()
            )
            told.append(f"{title}, {way}: {said}" if said else f"{title}, {way}: not run")
    small_titles(drawn)
    axis = {
        "tickmode": "array",
        "tickvals": list(range(len(places))),
        "ticktext": [
            beside(
                short_name(place),
                {kind: n for kind, n in of_classes(one).items() if kind in CLASSES},
            )
            for place, one in places.items()
        ],
        "range": [len(places) - 0.5, -0.5],
    }
    return figure(
        f"Four measures in per cent with 95 % intervals. {'; '.join(told)}.",
        height=280 + 130 * len(places),
        base=drawn,
        margin={"t": 110, "b": 30},
        legend={"y": 1.12, "font": {"size": 12}},
        **{f"yaxis{n or ''}": axis | {"showticklabels": n in ("", 3)} for n in ("", 2, 3, 4)},
    )


def found_in_words(one: Evidence, plain: str, terms: str, simple: str = "") -> str:
    """The finding on one source in three sentences of Markdown, each number a link to its row.

    simple: a system of class and outline alone, which cannot contradict itself; its levels stand
    beside those of the first, without a verdict.
    """

    def linked(words: str) -> str:
        return f"[{words}](results.html)"

    def changed(above: str, measure: str) -> str:
        return linked(sentence(one.differences(above, plain)[measure]))

    joint = f"{plain}{SUFFIX}"
    before = one.level(plain, "inconsis_cls").estimate
    words = (
        f"A network that answers all three contradicts itself in {linked(f'{number(before)} %')} "
        "of the test images"
    )
    if terms in one.runs:
        after = one.level(terms, "inconsis_cls").estimate
        words += (
            f"; with the three terms, in {linked(f'{number(after)} %')}. "
            f"AUC: {changed(terms, 'AUC')}"
        )
    words += "."
    if joint in one.runs:
        told = "; ".join(f"{MEASURES[m]}: {changed(joint, m)}" for m in [*MEASURES][1:])
        words += (
            " **Deciding the three together**, without training, leaves none, by construction. "
            f"{told}."
        )
    if simple in one.runs:
        auc, dice = (
            " against ".join(linked(f"{number(one.value(s, m))} %") for s in (simple, plain))
            for m in ("AUC", "dice_class_mean")
        )
        words += (
            " **A smaller network for class and outline alone**, the class painted on the outline, "
            f"cannot contradict itself either: AUC {auc}, class Dice {dice}."
        )
    return words


def level(one: Evidence, system: str, measure: str) -> Interval | None:
    """A measure with its interval; contradictions of one answer are 0; None if it was not run."""
    if system not in one.runs:
        return None
    if measure in one.measures(system):
        return one.level(system, measure)
    return NONE if measure == "inconsis_cls" else None
