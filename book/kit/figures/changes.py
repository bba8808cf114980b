"""What changed from one system to another, told by the book's one rule."""

from collections.abc import Collection, Mapping
from typing import Any

from ..stats import FEWEST, LESS_IS_BETTER, MARGIN, Difference, Evidence
from .measures import DERIVED, NAMES
from .places import counts
from .runs import ONE
from .style import ABSENT, capital, cell, end, number, probability, table, text

NEITHER = "not told apart"
LITTLE = "1 point" if MARGIN == 0.01 else f"{100 * MARGIN:g} points"
# What a system decides itself, beside what a profile and a data set decide
OWN = ("experiment", "network", "options", "losses", "parts", "consistency")
RULE = (
    "Over patients and trainings; in brackets 95 % intervals, corrected (Holm) for the measures "
    "of the pair: one that leaves out 0 tells the two apart."
)


def sentence(found: Difference) -> str:
    """A difference in words: how many points, which way, and what its interval allows.

    >>> at = dict(above=0.1, below=0.14, share=1.0, seeds=(0,), trainings=1, images=90, patients=45)
    >>> at |= dict(smallest=45, spread_known=True, difference=-0.0433)
    >>> sentence(Difference("inconsis_cls", low=-0.065, high=-0.021, **at))
    '4.3 points fewer (95 %: 2.1 to 6.5 fewer)'
    >>> sentence(Difference("AUC", low=-0.065, high=0.021, **at))
    '4.3 points lower (95 %: 6.5 lower to 2.1 higher)'
    >>> sentence(Difference("AUC", low=-0.0004, high=0.021, **at | {"difference": 0.01}))
    '1.0 points higher (95 %: 0.04 lower to 2.1 higher)'
    >>> sentence(Difference("AUC", low=0.0004, high=0.021, **at | {"difference": 0.01}))
    '1.0 points higher (95 %: 0.04 to 2.1 higher)'
    """
    less, more = ways(found.measure)

    def way(value: float) -> str:
        return f" {less if value < 0 else more}" if value else ""

    size = number(abs(found.difference))
    said = "no difference" if size == "0.0" else f"{size} points{way(found.difference)}"
    if found.why:
        return f"{said} (no interval: {found.why})"
    if found.low * found.high < 0:
        both = [f"{end(abs(one))}{way(one)}" for one in (found.low, found.high)]
    else:
        near, far = sorted((found.low, found.high), key=abs)
        both = [end(abs(near)), f"{end(abs(far))}{way(far)}"]
    return f"{said} (95 %: {' to '.join(both)})"


def with_verdict(found: Difference) -> str:
    """`sentence`, and that the two are not told apart where they are not."""
    return sentence(found) + ("" if found.clear or found.why else f", {NEITHER}")


def verdict(found: Difference) -> str:
    """What the rule says of a difference, in a word or two.

    Beside being told apart, a system that gives answers can be no worse by more than the margin.
    """
    less, more = ways(found.measure)
    if found.why:
        return "too few patients"
    if found.clear:
        return more if found.difference > 0 else less
    if found.no_worse:
        return f"{NEITHER}; no worse by {LITTLE}"
    return NEITHER


def tests_table(
    family: Mapping[str, Difference], titles: tuple[str, str] = ("with", "without")
) -> str:
    """Every difference of one pair of systems, with interval, p-value and what could have shown.

    family: as `book.kit.stats.Evidence.differences` gives it; titles: of the two systems. Raises
    ValueError if there is none.
    """
    if not family:
        raise ValueError("the two systems have no training in common, or no measure")
    one, two = map(text, titles)
    body = [
        [
            NAMES.get(measure, measure),
            number(found.above),
            number(found.below),
            cell(found.interval, signed=True),
            probability(found.p),
            number(found.detectable),
            verdict(found),
        ]
        for measure, found in family.items()
    ]
    head = [
        "in % and points", one, two, f"{one} minus<br>{two}", "p", "could have<br>shown†",
        "verdict",
    ]  # fmt: skip
    note = [
        RULE,
        f"No worse: by less than {LITTLE}, as far as the interval tells. † The "
        "smallest true difference that would have been told apart four times in five.",
        *_minded(family.values()),
        *[DERIVED] * any(measure.endswith("_seg") for measure in family),
    ]
    return table(head, body, " ".join(note))


def headline(family: Mapping[str, Difference]) -> str:
    """What the three terms changed, in Markdown: contradictions of T1 and T3 first, then the rest.

    family: the system with the terms less the one without.

    >>> headline({})
    ''
    """
    said = []
    if first := family.get("inconsis_cls"):
        known = first.clear and first.spread_known
        told = f"**{sentence(first)}**" if known else f"{sentence(first)}, **{NEITHER}**"
        said.append(
            "T1 and T3 contradict each other in "
            f"**{number(first.above)} %** of the test images with the three terms and in "
            f"**{number(first.below)} %** without: {told}."
        )
    rest = [d for measure, d in family.items() if measure != "inconsis_cls" and not d.why]
    if clear := [d for d in rest if d.clear and d.spread_known]:
        said.append("; ".join(f"{_named(d)}: {sentence(d)}" for d in clear) + ".")
    alike = [d for d in rest if not (d.clear and d.spread_known)]
    for some, what in (
        (
            [d for d in alike if d.no_worse and d.spread_known],
            f"{NEITHER}, and no worse by {LITTLE}",
        ),
        (
            [d for d in alike if not (d.no_worse and d.spread_known)],
            f"{NEITHER}, though it may be worse by more",
        ),
    ):
        if some:
            said.append(f"{capital(what)}: {'; '.join(_named(d) for d in some)}.")
    if few := [d for d in family.values() if d.why]:
        said.append(f"Too few patients to tell: {'; '.join(_named(d) for d in few)}.")
    return " ".join(said)


def answer(found: Evidence | str, above: str, below: str) -> str:
    """`headline` of two systems, from how many trainings, and what to mind about them; Markdown.

    found: as `book.kit.figures.evidence` gives it, which may be the reason why there is nothing.
    """
    if isinstance(found, str):
        return f"*Nothing to compare: {text(found)}.*"
    if absent := [name for name in (above, below) if name not in found.runs]:
        return f"*Nothing to compare: not run here yet: {', '.join(map(text, absent))}.*"
    family = found.differences(above, below)
    if not family:
        return "*Nothing to compare: the two systems have no training in common.*"
    trained = next(iter(family.values())).trainings
    trainings = f"{trained} training{'s' * (trained != 1)} of each"
    said = f"{capital(counts(found))}, {trainings}. {headline(family)}"
    minded = [*_minded(family.values())]
    # Training by training: two folds may have different settings, as they have different images
    pairs = ((found.runs[above][key], found.runs[below][key]) for key in found.shared(above, below))
    if other := sorted({setting for pair in pairs for setting in unlike(*pair)}):
        minded.append(f"Mind: the two systems also differ in {text(', '.join(other))}.")
    return " ".join([said, *(f"*{one}*" for one in minded)])


def unlike(record: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The settings in which two runs differ, beside those that tell their systems apart.

    >>> unlike({"parameters": {"network": "A", "lr": 0.1}}, {"parameters": {"lr": 0.2}})
    ['lr']
    """
    one, two = record["parameters"], other["parameters"]
    both = sorted(one.keys() & two.keys() - set(OWN))
    return [key for key in both if one[key] != two[key]]


def ways(measure: str) -> tuple[str, str]:
    """What less and more of a measure are called."""
    return ("fewer", "more") if measure.startswith(LESS_IS_BETTER) else ("lower", "higher")


def _named(found: Difference) -> str:
    return NAMES.get(found.measure, found.measure)


def _minded(family: Collection[Difference]) -> list[str]:
    """What the intervals of some measures leave out."""
    said = []
    if any(not found.spread_known for found in family):
        said.append(ONE)
    if any(found.why for found in family):
        said.append(f"{ABSENT}: fewer than {FEWEST} patients of a class.")
    return said
