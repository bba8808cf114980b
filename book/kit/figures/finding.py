"""What the book found, for its first page: a figure and a few sentences, made from results."""

from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lib.cases import CLASSES

from ..stats import SUFFIX, Difference, Evidence, Interval
from .changes import sentence
from .effects import LITTLE, undecided
from .places import Place, of_classes, place_name, short_name
from .style import COLOURS, SYMBOLS, beside, error_bars, figure, number, points, small_titles

MEASURES = {
    "inconsis_cls": "contradictions",
    "AUC": "AUC",
    "F1": "F1",
    "dice_class_mean": "class Dice",
    "dice_nodule": "nodule Dice",
    "dice_paper_mean": "mean Dice of the paper",
}
ANSWERS = ("AUC", "F1", "dice_class_mean", "dice_nodule")  # the last is never quoted alone
# Parts of the page that each number leads to
ROWS, SIZES, FINER = (
    "every-number",
    "never-a-contradiction-and-no-worse",
    "the-same-at-256-px-on-a-gpu",
)
NONE = Interval(0.0, 0.0, 0.0)  # contradictions of one answer: by construction


def finding(
    found: Mapping[Place, Evidence],
    plain: str,
    terms: str,
    simple: Mapping[str, str] = MappingProxyType({}),
    measures: Sequence[str] = tuple(MEASURES),
) -> go.Figure:
    """Measures on every source: as answered, with the three terms, decided together.

    `found`: by source and profile, with the records of `stats.together`; plain, terms: the system
    without and with the three terms; simple: what to call it -> a system that cannot contradict
    itself, drawn beside them where a source has it; measures: of `MEASURES`. A hollow mark rests
    on one training. Raises ValueError if no place has the first.
    """
    ways = {
        "as answered": plain,
        "trained with the three terms": terms,
        "decided together, same network": f"{plain}{SUFFIX}",
    }
    agree = {f"{plain}{SUFFIX}", *simple.values()}
    there = {system for one in found.values() for system in one.runs}
    ways |= {way: system for way, system in simple.items() if system in there}
    places = {place: one for place, one in found.items() if plain in one.runs}
    if not places:
        raise ValueError(f"no run of {plain} is here yet")
    drawn = make_subplots(
        -(-len(measures) // 2),
        2,
        vertical_spacing=0.09,
        subplot_titles=[f"{MEASURES[m]}, %" for m in measures],
    )
    told = []
    for at, measure in enumerate(measures):
        title = MEASURES[measure]
        for order, (way, system) in enumerate(ways.items()):
            levels = {p: _level(one, system, measure, agree) for p, one in places.items()}
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
        f"Measures in per cent with 95 % intervals. {'; '.join(told)}.",
        height=280 + 65 * len(places) * -(-len(measures) // 2),
        base=drawn,
        margin={"t": 110, "b": 30},
        legend={"y": 1.08, "font": {"size": 12}},
        **{
            f"yaxis{n if n > 1 else ''}": axis | {"showticklabels": n % 2 == 1}
            for n in range(1, 1 + len(measures))
        },
    )


def found_in_words(
    one: Evidence,
    plain: str,
    terms: str,
    simple: str = "",
    others: Mapping[str, Evidence] = MappingProxyType({}),
    pooled: Mapping[str, Mapping[str, Difference]] = MappingProxyType({}),
) -> str:
    """The finding on one source as a list in Markdown, with links to its rows.

    simple: a system of class and outline alone, which cannot contradict itself; its levels stand
    beside those of the first, without a verdict; others: further sources, by what to call them, of
    which it is said how the terms change the contradictions there; pooled: system -> measure ->
    difference over several sources, which is told in place of this one's.
    """
    lines, joint = [], f"{plain}{SUFFIX}"
    if terms in one.runs:
        before, after = (number(one.level(k, "inconsis_cls").estimate) for k in (plain, terms))
        changed = _told(one.differences(terms, plain)["inconsis_cls"])
        said = [_linked(f"{after} % of images, not {before} %: {changed}")]
        open_: dict[str, list[str]] = {}
        for name, there in others.items():
            if there.shared(terms, plain):
                changed = there.differences(terms, plain)["inconsis_cls"]
                same = there.records[0]["profile"] == one.records[0]["profile"]
                part = ROWS if same else FINER
                if why := undecided(changed):
                    open_.setdefault(why, []).append(_linked(f"in {name}", part))
                else:
                    said.append(f"in {name} {_linked(sentence(changed), part)}")
        said += [f"{' and '.join(places)}: {why}" for why, places in open_.items()]
        lines.append(
            f"**The paper's three terms.** Contradictions: {'; '.join(said)}. "
            f"They {_better(one, terms, plain, pooled)}: {_apart(one, terms, plain, pooled)}."
        )
    else:
        told = _linked(f"{number(one.level(plain, 'inconsis_cls').estimate)} %")
        lines.append(f"A network that answers all three contradicts itself in {told} of images.")
    if joint in one.runs:
        lines.append(
            "**Deciding the three together** removes every contradiction, by construction, as "
            f"painting the outline in T1's class does; {_apart(one, joint, plain, pooled)}."
        )
    if simple in one.runs:
        size, whole = (_millions(one, name) for name in (simple, plain))
        paid = f"{size} million parameters, all three answers {whole}"
        levels = "; ".join(
            f"{MEASURES[m]} {_ends(one.level(simple, m))}, all three {_ends(one.level(plain, m))}"
            for m in ("dice_nodule", "AUC")
            if m in one.measures(simple)
        )
        lines.append(
            f"**Class and outline alone**{_lighter(one, simple)} cannot contradict each other, "
            f"with {_linked(f'{paid}: {levels}', SIZES)}."
        )
    return "\n".join(f"- {line}" for line in lines).replace(" %", "\N{NO-BREAK SPACE}%")


def planned_in_words(places: Sequence[Place], commit: str) -> str:
    """By which plan the finding was made, on which runs it rests, and where more stands; Markdown.

    commit: of the plan.

    >>> "Shown are the runs of BUS-BRA, profile laptop." in planned_in_words(
    ...     [("busbra", "laptop")], "c41849e"
    ... )
    True
    """
    return (
        f"[The plan](plan.html) fixed before the runs what is compared (commit `{commit}`). Shown "
        f"are the runs of {'; '.join(place_name(place, short=True) for place in places)}. Whether "
        "deciding together has a simpler reason: [What deciding together is worth](together.html). "
        "How the networks were trained: [the recipe](recipe.html); what else one could use: "
        "[other tools, side by side](instead.html)."
    )


def trivial_in_words(found: Mapping[Place, Evidence]) -> str:
    """What somebody reaches who calls every nodule malignant, by source, in words; Markdown."""
    said = []
    for place, one in found.items():
        counts = of_classes(one)
        benign, malignant = (counts.get(kind, 0) for kind in CLASSES)
        if malignant:
            f1 = 2 * malignant / (2 * malignant + benign)
            said.append(f"{short_name(place)} {number(f1)} %")
    return f"Who calls every nodule malignant has an AUC of 50 %, and an F1 of: {', '.join(said)}."


def _told(found: Difference) -> str:
    """A difference in words, and why it is not told apart where it is not."""
    why = undecided(found)
    return f"{sentence(found)}, {why}" if why else sentence(found)


def _better(
    one: Evidence, above: str, below: str, pooled: Mapping[str, Mapping[str, Difference]]
) -> str:
    """Whether any of the answers is told to be better or worse."""
    family = one.differences(above, below) | pooled.get(above, {})
    told = [family[m] for m in ANSWERS if m in family]
    clear = [found for found in told if not undecided(found)]
    better = any(found.difference > 0 for found in clear)
    worse = any(found.difference < 0 for found in clear)
    if better:
        return f"make some answers better{' and others worse' * worse}"
    if not worse:
        return "are not shown to make the answers better"
    known = all(undecided(found) in ("", LITTLE) for found in told)
    return "make no answer better and some worse" if known else "make some answers worse"


def _apart(
    one: Evidence, above: str, below: str, pooled: Mapping[str, Mapping[str, Difference]]
) -> str:
    """By which measures, beside the contradictions, two are told apart, and by which not."""
    over = pooled.get(above, {})
    family = one.differences(above, below) | over
    told = {m: family[m] for m in ANSWERS if m in family}
    clear = {m: d for m, d in told.items() if not undecided(d)}
    said = []
    for some, where in (
        ({m: d for m, d in clear.items() if m not in over}, ""),
        ({m: d for m, d in clear.items() if m in over}, "pooled with simulated images, "),
    ):
        if some:
            listed = "; ".join(f"{MEASURES[m]} {sentence(d)}" for m, d in some.items())
            said.append(f"{where}{_linked(listed)}")
    reasons: dict[str, list[str]] = {}
    for measure, found in told.items():
        if measure not in clear:
            reasons.setdefault(undecided(found), []).append(measure)
    for why, measures in reasons.items():
        alone = [MEASURES[m] for m in measures if m not in over]
        both = [MEASURES[m] for m in measures if m in over]
        where = _listed(alone) if alone else f"{_listed(both)} (pooled with simulated images)"
        if alone and both:
            where += f" and, pooled with simulated images, in {_listed(both)}"
        said.append(f"the change in {where} is {_linked(why)}")
    return "; ".join(said)


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> _listed(["AUC", "F1", "Dice"])
    'AUC, F1 and Dice'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _lighter(one: Evidence, system: str) -> str:
    """That T1's loss weighs less in the sum of the tasks' losses, where it does."""
    run = next(iter(one.runs[system].values()))
    weight = run["parameters"].get("losses", {}).get("weights", {}).get("T1 BCE", 1)
    return "" if weight == 1 else f", T1's loss at {weight:g},".replace("0.", ".")


def _millions(one: Evidence, system: str) -> str:
    run = next(iter(one.runs[system].values()))
    return f"{run['model']['parameters'] / 1e6:.1f}"


def _ends(level: Interval) -> str:
    return f"{number(level.estimate)} % ({number(level.low)} to {number(level.high)})"


def _linked(words: str, part: str = ROWS) -> str:
    return f"[{words}](results.html#{part})"


def _level(one: Evidence, system: str, measure: str, agree: Container[str]) -> Interval | None:
    """A measure with its interval; None if it was not run, or is not measured.

    agree: systems with one answer, whose contradictions are 0.
    """
    if system not in one.runs:
        return None
    if measure == "inconsis_cls" and system in agree:
        return NONE
    return one.level(system, measure) if measure in one.measures(system) else None
