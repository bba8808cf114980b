"""The ledger of claims as tables: verdicts side by side, and the numbers behind each."""

from collections.abc import Mapping, Sequence
from typing import Any

from .. import claims
from ..claims import Comparison, Difference, Finding, Part
from ..stats import Interval
from .measures import NAMES
from .style import ABSENT, cell, number, table, text

MARKS = {
    "reproduced": "\N{CHECK MARK}",
    "opposite": "\N{MULTIPLICATION X}",
    "not reproduced": "\N{WHITE CIRCLE}",
    "undecided": "?",
    "not run yet": "\N{HORIZONTAL ELLIPSIS}",
    "not testable here": ABSENT,
}
WIDE = '<span style="display:inline-block;min-width:9rem">'
# What a reason is judged by: contradictions first, then whether the answers got better
JUDGED = ("inconsis_cls", "inconsis_seg2", "dice_class_mean", "dice_nodule", "ACC", "AUC")


def verdicts_table(ledgers: Mapping[str, Sequence[Finding]]) -> str:
    """One row per claim, grouped by question, one column of verdicts per set of runs.

    ledgers: title -> what `book.kit.claims.ledger` found, the same claims in each. Raises
    ValueError if there is none.

    >>> "reproduced" in verdicts_table({"phantom": claims.ledger(claims.CLAIMS[:1], [], {})})
    False
    """
    if not ledgers:
        raise ValueError("there is no ledger to show")
    body: list[list[str] | str] = []
    question = ""
    for found in zip(*ledgers.values(), strict=True):
        claim = found[0].claim
        if claim.question != question:
            question = claim.question
            body.append(text(question))
        where = f"<br><small>{text(claim.where)}</small>"
        body.append([text(claim.says) + where, *(_verdict(one) for one in found)])
    return table(["the paper's claim", *map(text, ledgers)], body, words=True)


def ledger_table(findings: Sequence[Finding], titles: Mapping[str, str] | None = None) -> str:
    """Every comparison of every claim that was run: the paper's difference, ours, and the power.

    titles: experiment -> name to show. Differences are in the direction of the claim, in points of
    per cent. Claims of which nothing was run are left out. Raises ValueError if that leaves none.

    >>> ledger_table(claims.ledger(claims.CLAIMS, [], {}))
    Traceback (most recent call last):
        ...
    ValueError: none of the claims has been run here
    """
    body: list[list[str] | str] = []
    for found in findings:
        if not any(part.found for part in found.parts):
            continue
        claim = found.claim
        note = f"<br><small>{text(claim.note)}</small>" if claim.note else ""
        body.append(f"{_verdict(found)}: {text(claim.says)} ({text(claim.where)}){note}")
        body += [_numbers(part, titles or {}) for part in found.parts]
    if not body:
        raise ValueError("none of the claims has been run here")
    head = [
        "in points, + speaks<br>for the claim",
        "paper*",
        "ours",
        "could have<br>shown†",
        "seeds",
        "test<br>patients",
        "verdict",
    ]
    note = (
        "* Kang et al. 2022, on other images (private). In brackets the interval, corrected for "
        "all comparisons of its question. † The smallest true difference that this interval would "
        "have shown to differ from 0 four times in five."
    )
    return table(head, body, note)


def changes_table(
    rows: Mapping[str, Mapping[str, Difference | None]],
    first: str = "less MS-MTL, in points",
    heads: Sequence[str] = (),
) -> str:
    """Differences of several runs from one, by title and measure, with 95 % intervals.

    rows: title -> measure -> difference, None where a run does not give it; heads: the measures
    to show (default: contradictions and accuracy). Raises ValueError if there is no row.

    >>> found = Difference(0.9, 0.8, 0.1, 0.02, 0.06, 0.14, 0.056, (0,), 90, 90)
    >>> "+10.0" in changes_table({"MTL": {"ACC": found}}, heads=["ACC"])
    True
    """
    if not rows:
        raise ValueError("there is no run to compare")
    shown = list(heads or JUDGED)
    body = [
        [text(title), *(_change(found.get(measure)) for measure in shown)]
        for title, found in rows.items()
    ]
    head = [first, *(_short(measure) for measure in shown)]
    return table(head, body, "In brackets 95 % intervals, not corrected: these are for exploring.")


def described(comparison: Comparison, titles: Mapping[str, str]) -> str:
    """A comparison in words, the system named first that the claim says is better.

    >>> described(Comparison("mtl", "mtl+inter", "inconsis_cls"), {})
    'Contradictions, T1 and T3: mtl+inter below mtl'
    """
    above, below = (titles.get(name, name) for name in comparison[:2])
    name = {**NAMES, **claims.COLUMNS}.get(comparison.measure, comparison.measure)
    if comparison.below is None:
        return f"{name}: {above} above 0"
    if not comparison.measure.startswith("inconsis"):
        return f"{name}: {above} above {below}"
    part = "" if comparison.share == 1 else f"{comparison.share:.0%} of ".replace("%", " %")
    return f"{name}: {below} below {part}{above}"


def _numbers(part: Part, titles: Mapping[str, str]) -> list[str]:
    name = f"{WIDE}{text(described(part.comparison, titles))}</span>"
    theirs = number(part.printed, signed=True)
    if part.found is None:
        why = part.why or f"not run yet: {', '.join(part.missing)}"
        return [name, theirs, ABSENT, ABSENT, ABSENT, ABSENT, f"<small>{text(why)}</small>"]
    d = part.found
    return [
        name,
        theirs,
        cell(Interval(d.difference, d.low, d.high), signed=True),
        number(d.detectable),
        str(len(d.seeds)),
        str(d.patients),
        _marked(part.verdict),
    ]


def _verdict(found: Finding) -> str:
    """The verdict, and on how many seeds and comparisons it rests where that is not all."""
    run = [part.found for part in found.parts if part.found]
    mark = _marked(found.verdict)
    if not run:
        return mark
    seeds = {len(d.seeds) for d in run}
    if len(found.parts) > len(run):
        mark += f"<br><small>{len(run)} of {len(found.parts)} run</small>"
    return mark + ("<br><small>one seed</small>" if seeds == {1} else "")


def _marked(verdict: str) -> str:
    bold = verdict in ("reproduced", "opposite")
    return f"{MARKS[verdict]} <b>{verdict}</b>" if bold else f"{MARKS[verdict]} {verdict}"


def _change(d: Any) -> str:
    return ABSENT if d is None else cell(Interval(d.difference, d.low, d.high), signed=True)


def _short(measure: str) -> str:
    return NAMES.get(measure, measure).replace(", ", ",<br>", 1)
