"""What the plan (book/plan.md) compares: pairs of systems, and which sources are pooled."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from lib.experiments import EXPERIMENTS, ONE_ANSWER, READINGS, RIVALS
from lib.profiles import find

from .claims import FULL, PLAIN
from .figures.effects import TOGETHER, Compared
from .figures.finding import Pooled, found_in_words
from .figures.places import SOURCES, Place, of_classes, short_name
from .stats import PRIMARY, SUFFIX, Difference, Evidence, pooled

COMMIT = "c41849e"  # of book/plan.md, before the first run of the new grid
REAL, SIMULATED = "busbra", "phantom"  # the largest set of patients; the largest of drawings
POOLED = (REAL, SIMULATED)  # one test over both, each weighted by its precision
UNJUDGED = ("ddti",)  # few benign images: shown with its counts, and enters no verdict
JOINT = f"{PLAIN}{SUFFIX}"
LEARNT = "ms-mtl+joint"  # trained by the likelihood of its joint decision


class Pair(NamedTuple):
    """Two systems that are compared: what is asked, what is changed, and from what."""

    asks: str
    change: str
    above: str
    below: str


ONE_STAGE = "mtl"  # without any term
TWO = "unet-seg2+clsnet"  # two networks, one for the outline and one for the class
SMALLER = "once-light"  # class and outline on one encoder, no T3
PAIRS = (
    Pair(
        "What do the three terms change?",
        "with the three terms, compared with without",
        FULL,
        PLAIN,
    ),
    Pair(
        "What does deciding together change, with the same network?",
        "decided together, compared with as answered",
        JOINT,
        PLAIN,
    ),
    Pair(
        "What do the terms add where the answers are decided together?",
        "with the terms, compared with without, both decided together",
        f"{FULL}{SUFFIX}",
        JOINT,
    ),
    Pair(
        "What do the terms change where T1's loss weighs less?",
        "with the three terms, compared with without, T1's loss at .2 in both",
        "ms-mtl-balanced+intra+inter",
        "ms-mtl-balanced",
    ),
    Pair(
        "What does training for the joint decision change?",
        "trained for the joint decision, compared with without, both decided together",
        f"{LEARNT}{SUFFIX}",
        JOINT,
    ),
    Pair(
        "Is one likelihood of the joint decision worth more than the three terms?",
        "trained for the joint decision, compared with the three terms, both decided together",
        f"{LEARNT}{SUFFIX}",
        f"{FULL}{SUFFIX}",
    ),
)
# Question 3 itself: named after the runs were seen, so exploratory
INSTEAD = Pair(
    "Is it worth more to decide the three together than to train the terms?",
    "decided together without the terms, compared with the terms, as answered",
    JOINT,
    FULL,
)
# The system that the page says to use: named with the results of both sides in sight, too
APART = Pair(
    "What do two networks give, one for the class and one for the outline?",
    "two networks, compared with MS-MTL, both decided together",
    f"{TWO}{SUFFIX}",
    JOINT,
)
PROFILE = "evidence"  # of all runs that the plan judges together
FINER = "evidence-256"  # of the same systems on a GPU: judged by themselves
# How many trainings the plan asks for: its parts 1 to 4, of part 3 the one that is compared
HEADLINE = (PLAIN, FULL, TWO, SMALLER)
TRAININGS = {
    "busbra": dict.fromkeys(HEADLINE, 10)
    | dict.fromkeys((PAIRS[3].below, PAIRS[3].above, LEARNT, "once"), 5),
    "phantom": dict.fromkeys(HEADLINE, 5),
    "ddti": dict.fromkeys(HEADLINE, 5),
}
# What else it asks for, which decides no comparison of the plan
LATER = {
    ("Part 3, Tables 3 to 6, BUS-BRA, 5 trainings each", REAL): dict.fromkeys(
        (s.name for s in EXPERIMENTS.values() if {3, 4, 5, 6} & {table for table, _ in s.rows}), 5
    ),
    ("Part 5, rivals of Table 1 and readings, BUS-BRA, fold 1", REAL): dict.fromkeys(
        (s.name for s in (*(r for r in RIVALS if r.rows), *READINGS)), 1
    ),
    ("Part 6, more of the headline, BUS-BRA", REAL): dict.fromkeys((PLAIN, FULL), 20),
    ("Part 6, more of the headline, phantom", SIMULATED): dict.fromkeys((PLAIN, FULL), 10),
}
# What to call two of the headline's four, on the first page
SIMPLE = {
    "class and outline on one encoder, T1 at .2": SMALLER,
    "two networks, U-Net(Seg2) ⊕ ClsNet": TWO,
}
ON_ONE_SHEET = ("inconsis_cls", "AUC", "dice_class_mean", "dice_nodule")
# About half the size: named with the results in sight, too
ONE_ENCODER = Pair(
    "What does one encoder for both lose beside two networks?",
    "class and outline on one encoder, T1 at .2, compared with two networks",
    f"{SMALLER}{SUFFIX}",
    f"{TWO}{SUFFIX}",
)
# Systems that cannot contradict themselves, and the network for one task that each is set against:
# alone, or else in a pair of two, where it is the same network.
CONSISTENT = (
    "unet-seg2+clsnet",
    "once-light",
    "once",
    JOINT,
    f"{FULL}{SUFFIX}",
    f"{LEARNT}{SUFFIX}",
)
SINGLE = {
    "dice_nodule": ("unet-seg2", TWO),
    "AUC": ("clsnet", TWO),
}
ONE_SIDED = 0.9  # an interval of 90 % ends where a one-sided one of 95 % does


def compared(found: Mapping[Place, Evidence], pairs: Sequence[Pair] = PAIRS) -> Compared:
    """Each pair by its primary measures: pooled over `POOLED`, then on each source that has both.

    The pooled row is left out where fewer than two of these sources have the pair in one profile,
    and a measure of it where they point in different ways: there each source speaks for itself.
    """
    told: dict[str, dict[str, dict[str, Difference]]] = {}
    for pair in pairs:
        each = {
            place: {m: d for m, d in family.items() if m in PRIMARY}
            for place, one in _in_order(found)
            if (family := one.differences(pair.above, pair.below))
        }
        some = {place: family for place, family in each.items() if place[0] in POOLED}
        over = list(some.values()) if len({profile for _, profile in some}) == 1 else []
        both = {m: d for m, d in pooled(over).items() if not _signs_differ(over, m)}
        told[pair.change] = ({TOGETHER: both} if both else {}) | {
            short_name(place): family for place, family in each.items()
        }
    return told


def as_first_written(
    found: Mapping[Place, Evidence], pairs: Sequence[Pair] = PAIRS
) -> dict[str, dict[str, Difference]]:
    """What the plan, as it was first written, would have pooled of each pair, and is not pooled.

    It kept sources apart only where they point in different ways; that they also are where they
    differ by more than chance explains was added after the first results had been seen.
    """
    told = {}
    for pair in pairs:
        families = [
            one.differences(pair.above, pair.below)
            for place, one in _in_order(found)
            if place[0] in POOLED and one.shared(pair.above, pair.below)
        ]
        families = [{m: d for m, d in family.items() if m in PRIMARY} for family in families]
        now = pooled(families)
        first = pooled(families, even_apart=True)
        told[pair.change] = {
            m: d for m, d in first.items() if m not in now and not _signs_differ(families, m)
        }
    return {change: family for change, family in told.items() if family}


def judged(found: Mapping[Place, Any]) -> dict[Place, Any]:
    """Those sources that enter a verdict, with what is known of each.

    >>> judged({("ddti", "evidence"): 1, ("busbra", "evidence"): 2})
    {('busbra', 'evidence'): 2}
    """
    return {place: one for place, one in found.items() if place[0] not in UNJUDGED}


def by_own_spread(found: Mapping[Place, Evidence], pairs: Sequence[Pair] = PAIRS) -> Compared:
    """Each pair on each judged source, as if all its systems varied as these two do.

    Beside `compared`: where the two differ, the verdict rests on the rule's assumption that
    trainings of all systems vary alike.
    """
    return {
        pair.change: {
            short_name(place): {m: d for m, d in family.items() if m in PRIMARY}
            for place, one in _in_order(judged(found))
            if (family := one.only(pair.above, pair.below).differences(pair.above, pair.below))
        }
        for pair in pairs
    }


def common(found: Evidence) -> Evidence:
    """The trainings that all systems have: where a fold of one is missing, it is left out of all.

    >>> rows = {"label": [0, 1]}
    >>> run = {"source": "", "profile": "", "experiment": "a", "seed": 0, "per_image": rows}
    >>> some = [run, run | {"experiment": "b"}, run | {"seed": 1}]
    >>> [len(runs) for runs in common(Evidence(some)).runs.values()]
    [1, 1]
    """
    return _of(found, set.intersection(*map(set, found.runs.values())) if found.runs else set())


def of_the_same(found: Evidence, other: Evidence) -> Evidence:
    """The trainings of some runs whose folds and seeds another set of runs has, too.

    >>> rows = {"label": [0, 1]}
    >>> run = {"source": "", "profile": "", "experiment": "a", "seed": 0, "per_image": rows}
    >>> both = of_the_same(Evidence([run, run | {"seed": 1}]), Evidence([run]))
    >>> [len(runs) for runs in both.runs.values()]
    [1]
    """
    return _of(found, {key for runs in other.runs.values() for key in runs})


def _of(found: Evidence, keys: Collection[tuple[Any, ...]]) -> Evidence:
    every = {id(run) for runs in found.runs.values() for key, run in runs.items() if key in keys}
    return Evidence([record for record in found.records if id(record) in every], found.draws)


def finding_in_words(
    found: Mapping[Place, Evidence], finer: Mapping[Place, Evidence] = MappingProxyType({})
) -> str:
    """What was found, as the first page says it: a list in Markdown, on the largest real set.

    found: by source and profile; finer: with larger images, `common` trainings only. Empty where
    the set was not run.
    """
    pairs = *PAIRS, INSTEAD, APART
    both = over_sources_of(compared(found, pairs), pairs)
    others = {}
    for (source, _), one in finer.items():
        if source == REAL:
            others[f"{one.records[0]['parameters']['size']} px images"] = one
    for (source, _), one in found.items():
        if source == SIMULATED:
            others["simulated images"] = one
    for (source, _), one in found.items():
        if source == REAL and PLAIN in one.runs:
            return (
                f"{found_in_words(one, PLAIN, FULL, TWO, others, both, ONE_STAGE)}\n- {_small(one)}"
            )
    return ""


def _small(one: Evidence) -> str:
    """How small these networks are beside the paper's, and what their differences rest on."""
    run = next(iter(one.runs[PLAIN].values()))
    size, parameters = run["parameters"]["size"], run["model"]["parameters"] / 1e6
    return (
        f"**Small networks:** {parameters:.1f} million parameters, {size} px "
        f"(the paper: {find('paper').size}). "
        "95 % intervals; pooled: with simulated images, where these agree."
    )


def over_sources_of(told: Compared, pairs: Sequence[Pair]) -> Pooled:
    """What is pooled of each pair, by its two systems."""
    return {(p.above, p.below): told.get(p.change, {}).get(TOGETHER, {}) for p in pairs}


def pooled_rows() -> list[str]:
    """The names of the rows that are pooled.

    >>> pooled_rows()
    ['BUS-BRA', 'Phantom']
    """
    return [short_name((source, "")) for source in POOLED]


def unjudged_rows() -> tuple[str, ...]:
    """The names of the rows that enter no verdict.

    >>> unjudged_rows()
    ('DDTI',)
    """
    return tuple(short_name((source, "")) for source in UNJUDGED)


def sizes(found: Mapping[Place, Evidence]) -> dict[str, dict[str, int]]:
    """The test images of each source by class, by its name; those without a class left out."""
    return {
        short_name(place): {k: n for k, n in of_classes(one).items() if k != "without a class"}
        for place, one in _in_order(found)
    }


def against_one_task(found: Mapping[Place, Evidence]) -> dict[str, dict[str, dict[str, Any]]]:
    """Each system of `CONSISTENT` less the network for one task, by source and measure.

    Each source for itself: the plan has no pooled test of this question. At the level of a
    one-sided test at 5 %; None where it holds that network itself.
    """
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for system in CONSISTENT:
        rows: dict[str, dict[str, Any]] = {}
        for place, one in _in_order(judged(found)):
            if system in one.runs:
                rows[short_name(place)] = {
                    m: _against(one, system, m) for m in SINGLE if _known(one, system, m)
                }
        told[system] = rows
    return told


def not_run(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str]
) -> dict[str, list[str]]:
    """What parts 1 to 4 of the plan name and has not been trained yet, in words, by source."""
    missing = {}
    for source, wanted in TRAININGS.items():
        if lacking := _lacking(records, source, wanted):
            missing[short_name((source, ""))] = [
                f"{titles.get(name, name)} ({there} of {count} trainings done)"
                for name, (there, count) in lacking.items()
            ]
    return missing


def not_run_later(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str]
) -> dict[str, list[str]]:
    """What the plan names beside that and has not been trained as often, in words, by its parts.

    A system that was trained there, but not as often, has the number beside it.
    """
    missing = {}
    for (part, source), wanted in LATER.items():
        if lacking := _lacking(records, source, wanted):
            missing[part] = [
                titles.get(name, name) + f" ({there} of {count})" * bool(there)
                for name, (there, count) in lacking.items()
            ]
    return missing


def never_run(records: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> list[str]:
    """The systems of this plan, and of One answer, that no run in any profile is of."""
    made = {run["experiment"] for run in records}
    asked = dict.fromkeys(name for wanted in LATER.values() for name in wanted)
    answering = dict.fromkeys(system.name for system in ONE_ANSWER)
    return [titles.get(name, name) for name in asked | answering if name not in made]


def _lacking(
    records: Sequence[Mapping[str, Any]], source: str, wanted: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """How many trainings in the plan's profile a system has, and how many are wanted of it."""
    made = Counter(
        run["experiment"] for run in records if (run["source"], run["profile"]) == (source, PROFILE)
    )
    return {name: (made[name], count) for name, count in wanted.items() if made[name] < count}


def missing_folds(found: Evidence, titles: Mapping[str, str]) -> str:
    """Which trainings a system lacks that another one has, in words; nothing if none does."""
    every = dict.fromkeys(key for runs in found.runs.values() for key in runs)
    lacking = {
        title_of(system, titles): [fold for seed, fold in every if (seed, fold) not in runs]
        for system, runs in found.runs.items()
        if not system.endswith(SUFFIX)
    }
    return "; ".join(f"{name}: fold {', '.join(folds)}" for name, folds in lacking.items() if folds)


def parameters(found: Mapping[Place, Evidence]) -> dict[str, str]:
    """The size of each system of `CONSISTENT` that was run, and what an answer costs, in words."""
    runs = {
        system: next(iter(one.runs[system].values()))
        for one in found.values()
        for system in CONSISTENT
        if system in one.runs
    }
    told = {}
    for system, run in runs.items():
        told[system] = f"{run['model']['parameters'] / 1e6:.1f} million parameters"
        if flops := run["model"].get("forward_flops"):
            told[system] += f", {flops / 1e9:.2f} GFLOP an image"
    return told


def title_of(system: str, titles: Mapping[str, str]) -> str:
    """A system as it is called on pages, with how its answers are read.

    >>> title_of("mtl, decided together", {"mtl": "MTL"})
    'MTL, decided together'
    """
    plain = system.removesuffix(SUFFIX)
    return titles.get(plain, plain) + system.removeprefix(plain)


def _against(found: Evidence, system: str, measure: str) -> Difference | None:
    name = reference(found, system, measure)
    same = system in SINGLE[measure]
    return None if same else found.difference(system, name, measure, level=ONE_SIDED)


def _known(found: Evidence, system: str, measure: str) -> bool:
    return measure in found.measures(system) and bool(reference(found, system, measure))


def reference(found: Evidence, system: str, measure: str) -> str | None:
    """The network for this one task that shares most trainings with a system; None if none does.

    Of two that share as many it is the half of a pair, as for all others.
    """
    best = max(SINGLE[measure], key=lambda name: (len(found.shared(system, name)), name == TWO))
    return best if found.shared(system, best) else None


def _signs_differ(families: Sequence[Mapping[str, Difference]], measure: str) -> bool:
    signs = {f[measure].difference > 0 for f in families if measure in f and f[measure].difference}
    return len(signs) > 1


def _in_order(found: Mapping[Place, Evidence]) -> list[tuple[Place, Evidence]]:
    """Those that are pooled first, then the others, in the book's order."""
    known = [*POOLED, *(source for source in SOURCES if source not in POOLED)]

    def order(item: tuple[Place, Evidence]) -> int:
        source = item[0][0]
        return known.index(source) if source in known else len(known)

    return sorted(found.items(), key=order)
