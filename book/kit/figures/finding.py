"""What the book found, for its first page: a figure and a few sentences, made from results."""

from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lib.cases import CLASSES

from ..stats import SUFFIX, Difference, Evidence, Interval
from .changes import sentence, ways
from .effects import NOT_DECIDED, undecided
from .places import PROFILES, Place, of_classes, place_name, short_name
from .style import COLOURS, SYMBOLS, beside, end, error_bars, figure, number, points, small_titles

MEASURES = {
    "inconsis_cls": "contradictions",
    "AUC": "AUC",
    "F1": "F1",
    "dice_class_mean": "class Dice",
    "dice_nodule": "nodule Dice",
    "dice_paper_mean": "mean Dice",
}
ANSWERS = ("AUC", "F1", "dice_class_mean", "dice_nodule")  # the last is never quoted alone
# The parts of pages that each number leads to
ROWS, SIZES, FINER, AT_ONE_HALF = (
    "results.html#every-number",
    "results.html#never-a-contradiction-and-no-worse",
    "results.html#the-same-at-256-px-on-a-gpu",
    "together.html",
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
    rows = -(-len(measures) // 2)
    height = 280 + 65 * len(places) * rows
    drawn = make_subplots(
        rows,
        2,
        vertical_spacing=55 / (height - 140),  # px: the numbers of an axis and the next title
        subplot_titles=[f"{MEASURES[m]}, %" for m in measures],
    )
    told = []
    for at, measure in enumerate(measures):
        title = MEASURES[measure]
        for order, (way, system) in enumerate(ways.items()):
            levels = {p: _level(one, system, measure, agree) for p, one in places.items()}
            levels = {place: value for place, value in levels.items() if value is not None}
            bars = 100 * np.array([tuple(value) for value in levels.values()]).reshape(-1, 3)
            at_rows = [list(places).index(place) for place in levels]
            hollow = ["-open" * (len(places[place].runs[system]) == 1) for place in levels]
            drawn.add_scatter(
                x=[points(value.estimate) for value in levels.values()],
                y=[row + 0.8 * ((order + 0.5) / len(ways) - 0.5) for row in at_rows],
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
        height=height,
        base=drawn,
        margin={"t": 110, "b": 30},
        legend={"y": 1.08, "font": {"size": 12}},
        **{
            f"yaxis{n if n > 1 else ''}": axis | {"showticklabels": n % 2 == 1}
            for n in range(1, 1 + len(measures))
        },
    )


Pooled = Mapping[tuple[str, str], Mapping[str, Difference]]  # of a pair, by measure


def found_in_words(
    one: Evidence,
    plain: str,
    terms: str,
    two: str = "",
    others: Mapping[str, Evidence] = MappingProxyType({}),
    pooled: Pooled = MappingProxyType({}),
    simple: str = "",
) -> str:
    """The finding on one source as a list in Markdown, with links to its rows.

    two: two networks, one for the class and one for the outline; others: further sources, by what
    to call them, of which it is said how the terms change the contradictions there; pooled: by the
    two systems of a pair, its differences over several sources, told beside this one's where they
    say more; simple: a network of one stage, without terms, of which the contradictions are told.
    """
    lines, joint, apart = [], f"{plain}{SUFFIX}", f"{two}{SUFFIX}"
    if terms in one.runs:
        before, after = (number(one.level(k, "inconsis_cls").estimate) for k in (plain, terms))
        changed = _told(one.differences(terms, plain)["inconsis_cls"])
        said = [_linked(f"from {before} % to {after} %: {changed}")]
        open_: dict[str, list[str]] = {}
        for name, there in others.items():
            if there.shared(terms, plain):
                changed = there.differences(terms, plain)["inconsis_cls"]
                part = ROWS if _alike(there, one) else FINER
                if why := undecided(changed):
                    open_.setdefault(why, []).append(_linked(f"in {name}", part))
                else:
                    said.append(f"in {name} {_linked(_brief(changed), part)}")
        said += [f"{' and '.join(places)}: {why}" for why, places in open_.items()]
        if simple in one.runs:
            rate, low, high = map(number, one.level(simple, "inconsis_cls"))
            said.append(_linked(f"one stage, no terms: {rate} % ({low} to {high})"))
        answers = _answers(one, terms, plain, pooled)
        lines.append(f"**Training the three terms.** Contradictions {'; '.join(said)}. {answers}.")
    else:
        told = _linked(f"{number(one.level(plain, 'inconsis_cls').estimate)} %")
        lines.append(f"A network that answers all three contradicts itself in {told} of images.")
    if joint in one.runs:
        answers = _answers(one, joint, plain, pooled) + _recall(one, joint, plain, others)
        lines.append(
            f"**Deciding the three together** leaves one class, by construction. {answers}."
        )
    if joint in one.runs and f"{terms}{SUFFIX}" in one.runs:
        against = _answers(one, f"{terms}{SUFFIX}", joint, pooled, alone=True)
        lines.append(f"**Doing both, compared with deciding alone:** {against}.")
    if joint in one.runs and apart in one.runs:
        against = _answers(one, apart, joint, pooled, SIZES, alone=True)
        lines.append(f"**Two networks in place of one** (exploratory): {against}.")
    return "\n".join(f"- {line}" for line in lines).replace(" %", "\N{NO-BREAK SPACE}%")


def _alike(there: Evidence, one: Evidence) -> bool:
    """Whether two sources were run in the same profile."""
    return there.records[0]["profile"] == one.records[0]["profile"]


def _recall(one: Evidence, joint: str, plain: str, others: Mapping[str, Evidence]) -> str:
    """How many more or fewer malignant nodules are found, in this source and in the others."""
    said, open_ = [], []
    for name, there in {"here": one, **{f"in {k}": v for k, v in others.items()}}.items():
        if there.shared(joint, plain):
            seen = there.difference(joint, plain, "REC")
            if undecided(seen):
                open_.append(name)
            else:
                part = AT_ONE_HALF if there.records[0]["profile"] in PROFILES else FINER
                said.append(f"{name} {_linked(_brief(seen), part)}")
    if not said:
        return ""
    if open_:
        said.append(f"{_listed(open_)} {NOT_DECIDED}")
    return f". Sensitivity (exploratory) {', '.join(said)}"


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
    return f"Calling every nodule malignant gives an AUC of 50 % and an F1 of: {', '.join(said)}."


def simpler_in_words(
    found: Mapping[Place, Evidence], simple: str, plain: str, titles: Mapping[str, str]
) -> str:
    """How often a simpler network contradicts itself, less another, by source; Markdown.

    Of trainings that both have. Empty where there are none.
    """
    said = []
    for place, one in found.items():
        if one.shared(simple, plain):
            told = one.difference(simple, plain, "inconsis_cls")
            said.append(
                f"{short_name(place)}: {number(told.above)} % of images, {titles[plain]} "
                f"{number(told.below)} %: {sentence(told)}"
            )
    if not said:
        return ""
    return (
        f"How often {titles[simple]}, without any term, contradicts itself, in the trainings that "
        f"both have (exploratory): {'; '.join(said)}."
    )


def _told(found: Difference) -> str:
    """A difference in words, and why it is not told apart where it is not."""
    why = undecided(found)
    return f"{sentence(found)}, {why}" if why else _brief(found)


def _answers(
    one: Evidence, above: str, below: str, pooled: Pooled, part: str = ROWS, *, alone: bool = False
) -> str:
    """What the answers of a pair differ by on one source, and what else does where pooled.

    alone: of what is told apart alone, where anything is.
    """
    here, both = one.differences(above, below), pooled.get((above, below), {})
    here, both = ({m: told[m] for m in ANSWERS if m in told} for told in (here, both))
    clear = any(not undecided(told) for told in here.values())
    more = {
        m: told
        for m, told in both.items()
        if not undecided(told) and (m not in here or undecided(here[m]))
    }
    said = [] if alone and more and not clear else [_apart(here, part, alone=alone)]
    return "; ".join([*said, f"pooled, {_apart(more, part)}"] if more else said)


def _apart(family: Mapping[str, Difference], part: str = ROWS, *, alone: bool = False) -> str:
    """By which answers two are told apart, and by which not, unless the first are said alone."""
    clear = [f"{MEASURES[m]} {_brief(d)}" for m, d in family.items() if not undecided(d)]
    said = [_linked("; ".join(clear), part)] if clear else []
    reasons: dict[str, list[str]] = {}
    for measure, found in family.items():
        if why := undecided(found):
            reasons.setdefault(why, []).append(MEASURES[measure])
    if not (alone and clear):
        said += [f"{_listed(names)}: {_linked(why, part)}" for why, names in reasons.items()]
    return "; ".join(said)


def _brief(told: Difference) -> str:
    """A difference that is told apart, in few words.

    >>> at = dict(above=0.1, below=0.14, share=1.0, seeds=(0,), trainings=1, images=90, patients=45)
    >>> at |= dict(smallest=45, spread_known=True, difference=-0.0433)
    >>> _brief(Difference("inconsis_cls", low=-0.065, high=-0.021, **at))
    '4.3 points fewer (2.1 to 6.5)'
    """
    less, more = ways(told.measure)
    near, far = sorted((abs(told.low), abs(told.high)))
    way = less if told.difference < 0 else more
    return f"{number(abs(told.difference))} points {way} ({end(near)} to {end(far)})"


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> _listed(["AUC", "F1", "Dice"])
    'AUC, F1 and Dice'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _linked(words: str, part: str = ROWS) -> str:
    return f"[{words}]({part})"


def _level(one: Evidence, system: str, measure: str, agree: Container[str]) -> Interval | None:
    """A measure with its interval; None if it was not run, or is not measured.

    agree: systems with one answer, whose contradictions are 0.
    """
    if system not in one.runs:
        return None
    if measure == "inconsis_cls" and system in agree:
        return NONE
    return one.level(system, measure) if measure in one.measures(system) else None
