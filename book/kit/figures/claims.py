"""The ledger of claims as tables: verdicts side by side, and the numbers behind each."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lib.experiments import EXPERIMENTS

from ..claims import FULL, HALF_OF, PLAIN, Comparison, Finding, Part, Reason
from ..stats import LESS_IS_BETTER, Difference, Evidence
from .changes import RULE, sentence
from .measures import NAMES
from .places import Place, place_name
from .runs import ONE
from .style import ABSENT, number, probability, stacked, table, text

MARKS = {
    "reproduced": "\N{CHECK MARK}",
    "reversed": "\N{MULTIPLICATION X}",
    "not reproduced": "\N{WHITE CIRCLE}",
    "undecided": "?",
    "not run": "\N{HORIZONTAL ELLIPSIS}",
    "not testable here": ABSENT,
}
WIDE = '<span style="display:inline-block;min-width:9rem">'
# What a reason is judged by: contradictions first, then whether the answers got better
SHOWN = ("inconsis_cls", "inconsis_seg2", "AUC", "dice_class_mean", "dice_nodule")


def verdicts_table(ledgers: Mapping[str, Sequence[Finding]]) -> str:
    """One row per claim, grouped by question, one column of verdicts per set of runs.

    ledgers: title -> what `book.kit.claims.ledger` found, the same claims in each. Raises
    ValueError if there is none.
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
        why = f"<br><small>{text(claim.untestable)}</small>" if claim.untestable else ""
        body.append([text(claim.says) + where + why, *(_verdict(one) for one in found)])
    return table(["the paper's claim", *map(text, ledgers)], body, words=True)


def ledger_table(findings: Sequence[Finding], titles: Mapping[str, str] | None = None) -> str:
    """Every comparison of every claim that was run: the paper's difference, ours, and the power.

    titles: experiment -> name to show. Differences are in the direction of the claim, in points of
    per cent. Claims of which nothing was run are left out. Raises ValueError if that leaves none.

    >>> ledger_table([])
    Traceback (most recent call last):
        ...
    ValueError: none of the claims has been run here
    """
    body: list[list[str] | str] = []
    for found in findings:
        if all(part.missing for part in found.parts):
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
        "trainings",
        "verdict",
    ]
    note = (
        f"* Kang et al. 2022, on other images (private). {RULE} † The smallest true difference "
        "that this interval would have shown to differ from 0 four times in five. Probability "
        "that it is false: how probable it is, given ours, that the comparison does not hold; "
        "unlike the interval it is not corrected for the other measures."
    )
    return table(head, body, note)


def changes_table(
    rows: Mapping[str, Mapping[str, Difference]],
    first: str = "compared with MS-MTL of the same profile, in points",
) -> str:
    """Differences of several systems from one, by title and measure.

    rows: title -> what `book.kit.stats.Evidence.differences` gives. Raises ValueError if
    there is none.
    """
    if not rows:
        raise ValueError("there is no run to compare")
    body = [
        [
            f"{text(title)}<br><small>{_trained(found)}</small>",
            *(stacked(d.interval, signed=True) if (d := found.get(m)) else ABSENT for m in SHOWN),
        ]
        for title, found in rows.items()
    ]
    heads = [NAMES[measure].replace(", ", ",<br>", 1) for measure in SHOWN]
    alone = any(not d.spread_known for found in rows.values() for d in found.values())
    return table([first, *heads], body, f"{RULE} {ONE}" if alone else RULE)


def _trained(family: Mapping[str, Difference]) -> str:
    count = max((found.trainings for found in family.values()), default=0)
    return f"{count} training{'s' * (count != 1)} of each"


def reason_table(
    reason: Reason, found: Mapping[Place, Evidence], titles: Mapping[str, str]
) -> dict[str, str]:
    """What the runs say of a reason: a `changes_table` for each source that has one, by its name.

    found: every source and profile; titles: experiment -> name to show.
    """
    if not reason.experiments and not reason.profile:
        rows = {
            f"{place_name(place, short=True)}: {sum(_trained_on(one))} images": family
            for place, one in sorted(found.items(), key=lambda item: sum(_trained_on(item[1])))
            if (family := one.differences(FULL, PLAIN))
        }
        return {"By the number of training images": changes_table(rows)} if rows else {}
    tables = {}
    for (source, profile), one in found.items():
        rows = {titles[FULL]: one.differences(FULL, PLAIN)}
        more = {titles[name]: one.differences(name, PLAIN) for name in reason.experiments}
        if profile == reason.than and (longer := found.get((source, reason.profile or ""))):
            more = {f"{titles[FULL]}, {reason.profile}": longer.differences(FULL, PLAIN)}
        if profile != reason.profile and any(more.values()):
            shown = {title: family for title, family in (rows | more).items() if family}
            tables[place_name((source, profile), short=True)] = changes_table(shown)
    return tables


def counted(found: Sequence[Finding]) -> str:
    """How many claims have which verdict, in words."""
    verdicts = Counter(one.verdict for one in found)
    told = ", ".join(f"{verdicts[name]} {name}" for name in MARKS if verdicts[name])
    return f"Of {len(found)} claims: {told}."


def settled(found: Sequence[Finding]) -> str:
    """The claims that are settled one way or the other, in words; Markdown, empty if there is none.

    found: what `book.kit.claims.ledger` gives for one set of runs.

    >>> settled([])
    ''
    """
    items = []
    for verdict in ("reproduced", "reversed", "not reproduced"):
        says = [_quoted(one) for one in found if one.verdict == verdict]
        if says:
            items.append(f"- The paper says, and it is {MARKS[verdict]} **{verdict}** here:")
            items += [f"  - {said}" for said in says]
    return "\n".join(items)


def _quoted(found: Finding) -> str:
    """The claim in quotation marks, and that older trainings judge it, where that is so."""
    older = next((part.profile for part in found.parts if part.profile), "")
    told = [part.found for part in found.parts if part.found]
    alone = "one training, " if told and all(one.trainings == 1 for one in told) else ""
    mark = f" *({alone}profile {text(older)})*" if older else ""
    return f"“{text(found.claim.says)}”{mark}"


def _trained_on(found: Evidence) -> list[int]:
    """The numbers of training images of each class."""
    return [*found.records[0]["data"].get("counts", {}).get("train", {}).values()]


def described(comparison: Comparison, titles: Mapping[str, str]) -> str:
    """A comparison in words, the system named first that the claim says is better.

    >>> described(Comparison("mtl", "mtl+inter", "inconsis_cls"), {})
    'Contradictions, T1 and T3: mtl+inter below mtl'
    """
    above, below = (titles.get(name, name) for name in comparison[:2])
    name = NAMES.get(comparison.measure, comparison.measure)
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
        why = part.why or f"not run: {', '.join(part.missing)}"
        said = _marked(part.verdict) if part.verdict == "reproduced" else ""
        last = f"{said}<br><small>{text(why)}</small>" if said else f"<small>{text(why)}</small>"
        return [name, theirs, ABSENT, ABSENT, ABSENT, last]
    d = part.found
    return [
        name,
        theirs,
        stacked(d.interval, signed=True),
        number(d.detectable),
        str(d.trainings) + _profile({part.profile}) + _halves([part], titles),
        f"{_marked(part.verdict)}{_smaller(part)}{_false(d.not_above)}",
    ]


def _verdict(found: Finding) -> str:
    """The verdict, and on how many trainings and comparisons it rests where that is not all."""
    mark = _marked(found.verdict)
    run = [part for part in found.parts if not part.missing]
    if run and len(found.parts) > len(run):
        mark += f"<br><small>{len(run)} of {len(found.parts)} run</small>"
    told = [part.found for part in run if part.found and not part.found.why]
    if len(found.parts) == 1 and told and told[0].share == 1:
        said = sentence(_forwards(told[0])).replace("95 %", "95\N{NO-BREAK SPACE}%")
        mark += f"<br><small>{said}</small>"
    if len(found.parts) == 1:
        mark += _smaller(found.parts[0])
    if told:
        mark += _false(max(one.not_above for one in told), len(told) > 1)
    alone = told and all(one.trainings == 1 for one in told)
    return (
        mark
        + ("<br><small>one training</small>" if alone else "")
        + _profile({part.profile for part in run})
        + _halves(run, {name: system.title for name, system in EXPERIMENTS.items()})
    )


def _smaller(part: Part) -> str:
    """That a difference is in the claimed direction, but not as large as the paper's."""
    ours, theirs = part.found, part.printed
    if part.verdict != "reproduced" or ours is None or theirs is None or not ours.high < theirs:
        return ""
    if theirs > part.comparison.share * ours.above:
        return "<br><small>in direction; the paper's<br>size is not possible here</small>"
    return "<br><small>in direction; the paper's<br>size is ruled out</small>"


def _profile(profiles: Collection[str]) -> str:
    """Which other profile a verdict rests on, if on one."""
    others = ", ".join(sorted(profile for profile in profiles if profile))
    return f"<br><small>profile {text(others)}</small>" if others else ""


def _halves(parts: Collection[Part], titles: Mapping[str, str]) -> str:
    """Which network was read as a half of the pair, if one was."""
    pair = text(titles.get(HALF_OF, HALF_OF))
    names = dict.fromkeys(text(titles.get(part.half, part.half)) for part in parts if part.half)
    return "".join(f"<br><small>{name} as a half<br>of {pair}</small>" for name in names)


def _forwards(found: Difference) -> Difference:
    """The system that is claimed to be better less the other, for contradictions too."""
    if not found.measure.startswith(LESS_IS_BETTER):
        return found
    turned = {"difference": -found.difference, "low": -found.high, "high": -found.low}
    return replace(found, **turned)


def _false(p: float, least: bool = False) -> str:
    """How probable it is that a claim is false; of several comparisons, at least."""
    if p != p:
        return ""
    shown = probability(p)
    if not shown.startswith("&"):
        shown = f"{'at least ' if least else ''}{shown}"
    return f"<br><small>probability that it is false: {shown}</small>"


def _marked(verdict: str) -> str:
    bold = verdict in ("reproduced", "reversed")
    return f"{MARKS[verdict]} <b>{verdict}</b>" if bold else f"{MARKS[verdict]} {verdict}"
