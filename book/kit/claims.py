"""The paper's claims, read from book/claims.toml, and what runs make of each of them.

A claim is one or more comparisons of two systems, and stands if all of them do. What the runs say
of a comparison is for `book.kit.stats.Evidence` to tell: here it is only set beside what the paper
prints. That something happens at all is proved by one image, and needs no interval.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lib.experiments import EXPERIMENTS

from .paper import of
from .stats import Difference, Evidence

FILE = Path(__file__).parents[1] / "claims.toml"
PAIR = ("ms-mtl", "ms-mtl+intra+inter")  # without and with the three terms
PLAIN, FULL = PAIR
Verdict = Literal[
    "reversed", "not reproduced", "not run", "not testable here", "undecided", "reproduced"
]
Printed = Mapping[str, Mapping[str, float]]
# A network for one task is also trained as a half of a pair, on the same images and by the same
# recipe: what the pair says of that task is said by another training of the same network.
HALF_OF = "unet-seg2+clsnet"
HALVES = {
    "clsnet": ("ACC", "PRE", "REC", "F1", "AUC"),
    "unet-seg2": ("dice_nodule", "iou_nodule"),
}


class Comparison(NamedTuple):
    """That `share` times the measure of `above` is higher than that of `below`.

    Without a `below`: that it is higher than 0.

    >>> Comparison("ms-mtl", "ms-mtl+intra+inter", "inconsis_cls", share=0.5).below
    'ms-mtl+intra+inter'
    """

    above: str
    below: str | None
    measure: str
    share: float = 1.0


@dataclass(frozen=True)
class Claim:
    """One claim of the paper in words of our own.

    question: what it helps to answer; where: the section it is in; note: what the paper's own
    numbers say about it; untestable: why no run of ours can tell, without comparisons.

    >>> CLAIMS[0].where, len(CLAIMS[0].comparisons)
    ('abstract, section 3.1', 1)
    """

    question: str
    says: str
    where: str
    comparisons: tuple[Comparison, ...] = ()
    note: str = ""
    untestable: str = ""


class Part(NamedTuple):
    """One comparison of a claim: what was found, or why nothing was.

    printed: the paper's own difference, if it prints one; missing: systems that were not run;
    profile: that of the runs, where it is not the one that the source is shown by; half: the
    network that was read as a half of `HALF_OF`.

    >>> Part(Comparison("mtl", None, "inconsis_cls"), "not run", missing=("mtl",)).missing
    ('mtl',)
    """

    comparison: Comparison
    verdict: Verdict
    found: Difference | None = None
    printed: float | None = None
    missing: tuple[str, ...] = ()
    why: str = ""
    profile: str = ""
    half: str = ""


class Finding(NamedTuple):
    """A claim with its verdict on one set of runs, and the parts that the verdict is made of.

    >>> Finding(CLAIMS[-1], "not testable here", ()).parts
    ()
    """

    claim: Claim
    verdict: Verdict
    parts: tuple[Part, ...]


class Reason(NamedTuple):
    """A candidate reason why consistency may not pay: what to run to find out.

    experiments are compared with MS-MTL of the same profile; with a `profile`, the pair of `PAIR`
    is run in it instead, and set beside the profile `than`; with neither, the sources are
    compared.

    >>> REASONS[0].profile
    'laptop-long'
    """

    asks: str
    about: str
    experiments: tuple[str, ...] = ()
    profile: str | None = None
    than: str | None = None


def read(file: Path = FILE) -> tuple[tuple[Claim, ...], tuple[Reason, ...]]:
    """The claims and the reasons of a file such as book/claims.toml, which says how it is written.

    >>> len(read()[0]) == len(CLAIMS)
    True
    """
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    claims = []
    for fields in content["claim"]:
        comparisons = [c for given in fields.pop("compare", ()) for c in _comparisons(**given)]
        if given := fields.pop("exists", None):
            comparisons.append(Comparison(given["system"], None, given["measure"]))
        claims.append(Claim(**fields, comparisons=tuple(comparisons)))
    reasons = [
        Reason(**fields | {"experiments": tuple(fields.get("experiments", ()))})
        for fields in content["reason"]
    ]
    return tuple(claims), tuple(reasons)


def verdict(low: float, high: float, printed: float | None = None) -> Verdict:
    """What the interval of a difference, in the claimed direction, says of the claim.

    reproduced: all of it above 0. reversed: all of it below 0. not reproduced: it holds 0, and
    ends below the difference that the paper printed, so that an effect as large as that is ruled
    out. undecided: otherwise; the test set was too small to tell, or the paper printed no number.
    `printed` is None, too, where no difference could have been as large.

    >>> verdict(0.01, 0.05), verdict(-0.02, 0.01, printed=0.03), verdict(-0.02, 0.04, printed=0.03)
    ('reproduced', 'not reproduced', 'undecided')
    """
    if low > 0:
        return "reproduced"
    if high < 0:
        return "reversed"
    return "not reproduced" if printed is not None and high < printed else "undecided"


def combined(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a claim from those on its comparisons: it stands if all of them do.

    Else the first that one of them has of: reversed, not reproduced, not run, not testable
    here, undecided.

    >>> combined(["reproduced", "undecided"]), combined(["reproduced", "reproduced"])
    ('undecided', 'reproduced')
    """
    found = set(verdicts)
    return next((name for name in Verdict.__args__ if name in found), "not testable here")


def ledger(
    claims: Sequence[Claim], found: Evidence, paper: Printed, earlier: Evidence | None = None
) -> list[Finding]:
    """Every claim on the runs of one source and profile; paper: the values that the paper prints.

    earlier: runs of this source in another profile. They judge a comparison only if `found` has not
    got both of its systems, so that no comparison has two verdicts.

    >>> {one.verdict for one in ledger(CLAIMS, Evidence([]), {})} == {
    ...     "not run", "not testable here"
    ... }
    True
    """
    findings = []
    for claim in claims:
        parts = tuple(_first(c, found, paper, earlier) for c in claim.comparisons)
        findings.append(Finding(claim, combined(part.verdict for part in parts), parts))
    return findings


def ledgers(
    places: Mapping[tuple[str, str], Evidence], earlier: Mapping[str, Evidence]
) -> dict[tuple[str, str], list[Finding]]:
    """The `ledger` of `CLAIMS` for each source and profile, beside what the paper prints.

    earlier: by source, its runs in another profile.

    >>> found = ledgers({("busbra", "laptop"): Evidence([])}, {})
    >>> [one.claim for one in found["busbra", "laptop"]] == [*CLAIMS]
    True
    """
    theirs = {name: of(system) for name, system in EXPERIMENTS.items()}
    return {
        place: ledger(CLAIMS, found, theirs, earlier.get(place[0]))
        for place, found in places.items()
    }


def printed(comparison: Comparison, paper: Printed) -> float | None:
    """The paper's own difference of a comparison, or None if it does not print it.

    >>> paper = {"mtl": {"ACC": 0.8796}, "mtl+inter": {"ACC": 0.8952}}
    >>> round(printed(Comparison("mtl+inter", "mtl", "ACC"), paper), 4)
    0.0156
    """
    above = paper.get(comparison.above, {}).get(comparison.measure)
    below = paper.get(comparison.below, {}).get(comparison.measure) if comparison.below else 0.0
    return None if above is None or below is None else comparison.share * above - below


def _comparisons(
    above: Any, below: Any, measures: Sequence[str], share: float = 1.0
) -> list[Comparison]:
    sides = ([one] if isinstance(one, str) else one for one in (above, below))
    return [Comparison(*pair, share) for pair in product(*sides, measures)]


def _first(
    comparison: Comparison, found: Evidence, paper: Printed, earlier: Evidence | None
) -> Part:
    part = _part(comparison, found, paper)
    if part.verdict != "not run" or earlier is None:
        return part
    other = _part(comparison, earlier, paper)
    if other.verdict == "not run":
        return part
    return other._replace(profile=earlier.records[0]["profile"])


def _part(comparison: Comparison, found: Evidence, paper: Printed) -> Part:
    theirs = printed(comparison, paper)
    half = next((name for name in comparison[:2] if _is_half(name, comparison, found)), "")
    asked = comparison._replace(
        above=HALF_OF if half == comparison.above else comparison.above,
        below=HALF_OF if half and half == comparison.below else comparison.below,
    )
    return _judged(asked, found, theirs)._replace(comparison=comparison, half=half)


def _is_half(name: str | None, comparison: Comparison, found: Evidence) -> bool:
    """Whether its half of the pair answers for a network: it has more trainings with the other."""
    if name is None or comparison.measure not in HALVES.get(name, ()):
        return False
    other = comparison.below if name == comparison.above else comparison.above
    if other is None:
        return name not in found.runs and HALF_OF in found.runs
    return other != HALF_OF and len(found.shared(HALF_OF, other)) > len(found.shared(name, other))


def _judged(comparison: Comparison, found: Evidence, theirs: float | None) -> Part:
    above, below, measure, share = comparison
    systems = [name for name in (above, below) if name]
    if missing := tuple(name for name in systems if name not in found.runs):
        return Part(comparison, "not run", None, theirs, missing)
    if below is None:
        seen = found.value(above, measure)
        why = f"seen in {100 * seen:.1f} % of the test images; one would be proof"
        return Part(comparison, "reproduced" if seen else "undecided", None, theirs, (), why)
    if not found.shared(above, below):
        why = f"{above} and {below} have no training in common"
        return Part(comparison, "not run", None, theirs, (), why)
    told = found.differences(above, below).get(measure)
    if told is None:
        why = f"{above} or {below} has not kept {measure}"
        return Part(comparison, "not testable here", None, theirs, (), why)
    if told.why:
        return Part(comparison, "not testable here", None, theirs, (), told.why)
    if share != 1:  # tested after, and at the level of, the difference that it goes beyond
        told = found.difference(above, below, measure, share=share, level=told.level)
    reach = share * told.above  # no difference is larger: nothing is lower than 0
    possible = theirs if theirs is not None and theirs <= reach else None
    return Part(comparison, verdict(told.low, told.high, possible), told, theirs)


CLAIMS, REASONS = read()
