"""Where there may be no nodule, or two: what the terms change, and what deciding together does."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lib.cases import CLASSES

from ..stats import EACH, SUFFIX, Difference, corrected
from .changes import sentence
from .presence import AUCS, SHARES, presence_evidence
from .style import ABSENT, broken, ends, number, table, text

PLAIN, TERMS = "ms-mtl-present", "ms-mtl-present+intra+inter"
FOUR, ONCE, TWO = "ms-mtl-present-four", "once-present", "unet-seg2+clsnet-present"
SEEDS = 5  # trainings of each that the plan asks for
# What is changed -> the two systems, as the plan names them (book/plan.md)
PAIRS = {
    "With the three terms, compared with without": (TERMS, PLAIN),
    "Decided together, compared with as answered": (PLAIN + SUFFIX, PLAIN),
    "With the terms, compared with without, both decided together": (
        TERMS + SUFFIX,
        PLAIN + SUFFIX,
    ),
    "Two networks compared with MS-MTL, both decided together": (TWO + SUFFIX, PLAIN + SUFFIX),
    "One of four classes compared with two answers, both decided together": (
        FOUR + SUFFIX,
        PLAIN + SUFFIX,
    ),
    "Class and outline on one encoder compared with MS-MTL, both decided together": (
        ONCE + SUFFIX,
        PLAIN + SUFFIX,
    ),
}
CONTRADICTION = EACH + "contradiction"
# One family a pair; the Dice of a class waits for its class, so it is not among them
FAMILY = {
    CONTRADICTION: "contradictions of any kind",
    **AUCS,
    **{EACH + name: SHARES[name] for name in ("kind_right", "false_alarm", "missed")},
    EACH + "dice_nodule": SHARES["dice_nodule"],
}


def presence_changes(
    records: Sequence[Mapping[str, Any]], pairs: Mapping[str, tuple[str, str]] = PAIRS
) -> dict[str, dict[str, Difference]]:
    """Each change's family of differences by the book's one rule: change -> measure -> difference.

    Pairs of which a system was not run are left out; so are contradictions where one of the two is
    decided together, which has none by construction. ValueError if no run says what is present.
    """
    found = presence_evidence(records)
    by_class = {f"AUC_{name}": found[name] for name in CLASSES}
    one = found[CLASSES[0]]
    told = {}
    for change, (above, below) in pairs.items():
        if not one.shared(above, below):
            continue
        family = {}
        for measure in FAMILY:
            if measure == CONTRADICTION and SUFFIX in above + below:
                continue
            where, name = (by_class[measure], "AUC") if measure in by_class else (one, measure)
            if name in set(where.measures(above)) & set(where.measures(below)):
                family[measure] = where.difference(above, below, name)
        told[change] = corrected(family)
    return told


def presence_assumed(
    records: Sequence[Mapping[str, Any]], changes: Mapping[str, Mapping[str, Difference]]
) -> str:
    """The differences whose verdict would be another by the spread of the two systems alone.

    changes: as `presence_changes` gives them for all records. Markdown; empty if there is none.
    """
    lines = []
    for change, family in changes.items():
        pair = PAIRS[change]
        names = {system.removesuffix(SUFFIX) for system in pair}
        some = [record for record in records if record["experiment"] in names]
        for measure, own in presence_changes(some, {change: pair})[change].items():
            if own.clear != family[measure].clear:
                apart = f"{'' if own.clear else 'not '}told apart"
                lines.append(f"- {change}: {FAMILY[measure]}, {sentence(own)}, {apart}.")
    if not lines:
        return ""
    said = (
        "The rule learns from all systems how much trainings vary. If it learned that from the two "
        "systems alone that are compared, these verdicts would be others:"
    )
    return "\n".join([f"{said}\n", *lines])


def presence_changes_table(changes: Mapping[str, Mapping[str, Difference]]) -> str:
    """Every difference in points with its interval: a row for each change.

    changes: as `presence_changes` gives them; in bold what is told apart. ValueError without any.
    """
    if not any(changes.values()):
        raise ValueError("no two systems with a training in common have been run")
    body = [
        [
            f"{change} <br><small>{_trainings(family)}</small>",
            *(_cell(family.get(m), m) for m in FAMILY),
        ]
        for change, family in changes.items()
    ]
    known = any(d.spread_known for family in changes.values() for d in family.values())
    note = (
        "In points of per cent, with 95 % intervals over patients and trainings, corrected (Holm) "
        "for the measures of a row. Bold: told apart, the interval leaves out 0. A pair with one "
        "training of each borrows the spread between trainings of the others."
        if known
        else "In points of per cent. There is one training of each, so the 95 % intervals are over "
        "patients alone; another training would widen them, and nothing is judged."
    )
    return table(list(map(broken, ["points", *FAMILY.values()])), body, note)


def presence_changes_in_words(changes: Mapping[str, Mapping[str, Difference]]) -> str:
    """What is told apart of each change, and what is not: a list in Markdown.

    >>> presence_changes_in_words({})
    'No two systems have been compared yet.'
    """
    if not any(changes.values()):
        return "No two systems have been compared yet."
    lines = []
    for change, family in changes.items():
        judged = {m: d for m, d in family.items() if d.spread_known}
        if not judged:
            continue
        clear = [f"{FAMILY[m]}, **{sentence(d)}**" for m, d in judged.items() if d.clear]
        rest = [FAMILY[m] for m, d in judged.items() if not d.clear]
        said = "; ".join(clear) or "nothing is told apart"
        left = f" Not told apart: {'; '.join(rest)}." if rest and clear else ""
        lines.append(f"- **{change}:** {said}.{left}")
    return "\n".join(lines) or "There is one training of each, so nothing is judged."


def presence_missing(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> str:
    """Which trainings of the plan are not among these runs, in words; empty if none is missing.

    >>> run = {"experiment": PLAIN, "presence": {}, "profile": "evidence"}
    >>> presence_missing([run] * 5)[:69]
    'Not run yet: ms-mtl-present+intra+inter (0 of 5 trainings done), unet'
    """
    made = Counter(record["experiment"] for record in records)
    told = ", ".join(
        f"{text((titles or {}).get(name, name))} ({made[name]} of {SEEDS} trainings done)"
        for name in (PLAIN, TERMS, TWO, ONCE, FOUR)
        if made[name] < SEEDS
    )
    return f"Not run yet: {told}." if told else ""


def _trainings(family: Mapping[str, Difference]) -> str:
    many = next(iter(family.values())).trainings
    return f"{many} training{'s' * (many != 1)} of each"


def _cell(found: Difference | None, measure: str) -> str:
    if found is None:
        return "<small>0 by construction</small>" if measure == CONTRADICTION else ABSENT
    if found.why:
        return ABSENT
    shown = number(found.difference, signed=True)
    shown = f"<b>{shown}</b>" if found.clear and found.spread_known else shown
    return f"{shown}<br><small>{ends(found.low, found.high, True)}</small>"
