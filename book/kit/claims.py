"""The paper's claims as data, and the one rule that says what runs make of each of them.

A claim is one or more comparisons of two systems, and stands if all of them do. How sure a
difference is follows from the test patients and, where there are several, from the seeds.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from lib import results

from .stats import bootstrap, pairing, power, seeds

__all__ = [
    "CLAIMS",
    "LEVEL",
    "REASONS",
    "Claim",
    "Comparison",
    "Difference",
    "Finding",
    "Part",
    "Reason",
    "combined",
    "difference",
    "finding",
    "ledger",
    "printed",
    "verdict",
]

LEVEL = 0.95
DRAWS = 1000
Record = Mapping[str, Any]
Verdict = Literal[
    "reproduced", "opposite", "not reproduced", "undecided", "not run yet", "not testable here"
]


class Comparison(NamedTuple):
    """That the measure of `above` is higher than that of `below`, or than 0 without a `below`.

    above, below: names of `lib.experiments`; measure: as in `lib.metrics.summarise`, or a column
    of a run's images, whose mean is taken; share: what part of `above` is still higher.

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

    question: what it helps to answer; claims of one question are corrected together; where: the
    section it is in; note: what the paper's own numbers say about it; untestable: why no run of
    ours can tell, for a claim without comparisons.

    >>> CLAIMS[0].where, len(CLAIMS[0].comparisons)
    ('abstract, section 3.1', 1)
    """

    question: str
    says: str
    where: str
    comparisons: tuple[Comparison, ...] = ()
    note: str = ""
    untestable: str = ""


class Difference(NamedTuple):
    """What runs say of a comparison, in its direction: above 0 speaks for the claim.

    above, below: the measures, means over `seeds`; difference: share * above - below; error: its
    standard error; low, high: its interval; detectable: the smallest difference that would have
    been shown with a power of 80 %; images, patients: of the test set.

    >>> Difference(0.9, 0.8, 0.1, 0.02, 0.06, 0.14, 0.056, (0,), images=90, patients=45).seeds
    (0,)
    """

    above: float
    below: float
    difference: float
    error: float
    low: float
    high: float
    detectable: float
    seeds: tuple[int, ...]
    images: int
    patients: int


class Part(NamedTuple):
    """One comparison of a claim: what was found, or why nothing was.

    >>> Part(Comparison("mtl", None, "inconsis_cls"), "not run yet", missing=("mtl",)).missing
    ('mtl',)
    """

    comparison: Comparison
    verdict: Verdict
    found: Difference | None = None
    printed: float | None = None
    missing: tuple[str, ...] = ()
    why: str = ""


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

    experiments are compared with the full system of the same profile; with a `profile`, the pair
    of `PAIR` is run in it instead; with neither, the sources are compared.

    >>> REASONS[0].profile
    'laptop-long'
    """

    asks: str
    about: str
    experiments: tuple[str, ...] = ()
    profile: str | None = None


# ----------------------------------------------------------------------------------------- the rule


def verdict(low: float, high: float, printed: float | None = None) -> Verdict:
    """What the interval of a difference, in the claimed direction, says of the claim.

    reproduced: all of it above 0. opposite: all of it below 0. not reproduced: it holds 0, and
    ends below the difference that the paper printed, so that an effect as large as that is ruled
    out. undecided: otherwise; the test set was too small to tell, or the paper printed no number.

    >>> verdict(0.01, 0.05), verdict(-0.02, 0.01, printed=0.03), verdict(-0.02, 0.04, printed=0.03)
    ('reproduced', 'not reproduced', 'undecided')
    """
    if not low <= high:
        raise ValueError(f"the interval runs from {low} to {high}; pass its lower end first")
    if low > 0:
        return "reproduced"
    if high < 0:
        return "opposite"
    return "not reproduced" if printed is not None and high < printed else "undecided"


def combined(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a claim from those on its comparisons: it stands if all of them do.

    Else the first that one of them has of: opposite, not reproduced, not run yet, not testable
    here, undecided.

    >>> combined(["reproduced", "undecided"]), combined(["reproduced", "reproduced"])
    ('undecided', 'reproduced')
    """
    found = set(verdicts)
    if not found:
        return "not testable here"
    order = (
        *("opposite", "not reproduced", "not run yet", "not testable here"),
        *("undecided", "reproduced"),
    )
    return next(name for name in order if name in found)


def difference(
    above: Sequence[Record],
    below: Sequence[Record] | None,
    comparison: Comparison,
    *,
    level: float = LEVEL,
) -> Difference:
    """What the runs of two systems, one per seed, say of a comparison; paired by image and seed.

    Both systems of a seed answer for the same images. Where the seed also draws the split, the
    seeds test on other images, of which some are the same. The variance of the mean difference is
    that over patients (bootstrap of whole patients, the same in both systems and all seeds) plus,
    with several seeds, that over seeds (the square of the standard error behind
    `book.kit.stats.paired_over_seeds`). The interval is Student's, with Satterthwaite's degrees of
    freedom; with one seed it is normal and leaves the seeds out.

    Raises ValueError, naming the runs, if their data or profile differ or, within a seed, their
    split or test images, if a seed is missing or twice, or if a run does not give the measure.

    >>> runs = {"a": {}, "b": {}}
    >>> for system, score in (("a", 0.9), ("b", 0.1)):
    ...     rows = {"label": [0, 1] * 9, "p_malignant": [0.1, 0.9] * 5 + [0.1, score] * 4}
    ...     names = {"source": "", "profile": "", "experiment": system, "seed": 0}
    ...     runs[system] = names | {"data": {"fingerprint": "0"}, "per_image": rows}
    >>> found = difference([runs["a"]], [runs["b"]], Comparison("a", "b", "ACC"))
    >>> round(found.difference, 3), found.low > 0, found.seeds, found.patients
    (0.222, True, (0,), 18)
    """
    pairs = _paired(above, below)
    images, draws = _drawn([results.rows(run) for run, _ in pairs])
    one, two, drawn = [], [], []
    for (a, b), weights in zip(pairs, draws, strict=True):
        values = [_measured(run, comparison.measure, weights) for run in (a, b)]
        one.append(values[0][0])
        two.append(values[1][0])
        drawn.append(comparison.share * values[0][1:] - values[1][1:])
    estimates = comparison.share * np.array(one) - np.array(two)
    over_patients = float(np.nanvar(np.mean(drawn, axis=0), ddof=1))
    over_seeds, freedom = 0.0, math.inf
    if len(pairs) > 1:
        over_seeds = _error_over_seeds(dict(enumerate(estimates))) ** 2
        if over_seeds:
            total = over_patients + over_seeds
            freedom = (len(pairs) - 1) * (total / over_seeds) ** 2
    error, mean = math.sqrt(over_patients + over_seeds), float(estimates.mean())
    half = float(t.ppf((1 + level) / 2, freedom)) * error
    return Difference(
        above=float(np.mean(one)),
        below=float(np.mean(two)),
        difference=mean,
        error=error,
        low=mean - half,
        high=mean + half,
        detectable=power.smallest_difference(error, level=level, freedom=freedom),
        seeds=tuple(int(run["seed"]) for run, _ in pairs),
        images=len(images),
        patients=images["group"].nunique(),
    )


def finding(
    claim: Claim,
    records: Sequence[Record],
    paper: Mapping[str, Mapping[str, float]],
    *,
    level: float = LEVEL,
) -> Finding:
    """What the runs of one source and profile say of a claim.

    paper: the values the paper prints, by experiment and measure. level: after correction.

    >>> finding(CLAIMS[0], [], {}).verdict
    'not run yet'
    """
    by_system: dict[str, dict[int, Record]] = {}
    for record in records:
        runs = by_system.setdefault(record["experiment"], {})
        if record["seed"] in runs:
            raise ValueError(f"{_name(record)} is there twice; pass each run once")
        runs[record["seed"]] = record
    parts = tuple(_part(c, by_system, paper, level) for c in claim.comparisons)
    return Finding(claim, combined(part.verdict for part in parts), parts)


def ledger(
    claims: Sequence[Claim],
    records: Sequence[Record],
    paper: Mapping[str, Mapping[str, float]],
) -> list[Finding]:
    """Every claim on the runs of one source and profile.

    The claims of one question are one family: with m comparisons among them, whether run or not,
    each interval has the level 1 - .05 / m (Bonferroni), so that all of a question's intervals
    hold together in 95 % of repetitions.

    >>> {found.verdict for found in ledger(CLAIMS, [], {})} == {"not run yet", "not testable here"}
    True
    """
    family = Counter(claim.question for claim in claims for _ in claim.comparisons)
    return [
        finding(claim, records, paper, level=1 - (1 - LEVEL) / max(family[claim.question], 1))
        for claim in claims
    ]


def printed(
    comparison: Comparison, paper: Mapping[str, Mapping[str, float]]
) -> tuple[float, float, float] | None:
    """The paper's own values of a comparison and their difference; None if it does not print them.

    >>> paper = {"mtl": {"ACC": 0.8796}, "mtl+inter": {"ACC": 0.8952}}
    >>> [round(v, 4) for v in printed(Comparison("mtl+inter", "mtl", "ACC"), paper)]
    [0.8952, 0.8796, 0.0156]
    """
    above = paper.get(comparison.above, {}).get(comparison.measure)
    below = paper.get(comparison.below, {}).get(comparison.measure) if comparison.below else 0.0
    if above is None or below is None:
        return None
    return above, below, comparison.share * above - below


# -------------------------------------------------------------------------------------- the details


def _part(
    comparison: Comparison,
    by_system: Mapping[str, Mapping[int, Record]],
    paper: Mapping[str, Mapping[str, float]],
    level: float,
) -> Part:
    values = printed(comparison, paper)
    theirs = values[2] if values else None
    systems = [name for name in comparison[:2] if name]
    if missing := tuple(name for name in systems if name not in by_system):
        return Part(comparison, "not run yet", None, theirs, missing)
    shared = sorted(set.intersection(*(set(by_system[name]) for name in systems)))
    if not shared:
        why = f"{' and '.join(systems)} have no seed in common"
        return Part(comparison, "not run yet", None, theirs, (), why)
    runs = [[by_system[name][seed] for seed in shared] for name in systems]
    try:
        found = difference(runs[0], runs[1] if comparison.below else None, comparison, level=level)
    except ValueError as error:
        return Part(comparison, "not testable here", None, theirs, (), str(error))
    return Part(comparison, verdict(found.low, found.high, theirs), found, theirs)


def _paired(
    above: Sequence[Record], below: Sequence[Record] | None
) -> list[tuple[Record, Record | None]]:
    """The runs of each seed, checked: one test set, one profile, each seed once in both."""
    if not above:
        raise ValueError("no run was given; pass at least one of each system")
    sides = [above] if below is None else [above, below]
    tables = [{record["seed"]: record for record in side} for side in sides]
    if any(len(table) < len(side) for table, side in zip(tables, sides, strict=True)) or any(
        set(table) != set(tables[0]) for table in tables
    ):
        told = " and ".join(str(sorted(record["seed"] for record in side)) for side in sides)
        raise ValueError(f"the runs have the seeds {told}; pass each seed of both once")
    for side in sides:
        for record in side:
            _check_same(above[0], record)
    pairs = [(tables[0][k], tables[1][k] if below else None) for k in sorted(tables[0])]
    for one, other in pairs:
        _check_same_images(one, other or one)
        if "case" not in results.rows(one):  # whose the images are cannot be told
            _check_same_images(pairs[0][0], one)
    return pairs


def _check_same(one: Record, other: Record) -> None:
    names = f"{_name(one)} and {_name(other)}"
    for what in ("source", "profile"):
        if one[what] != other[what]:
            raise ValueError(f"{names} differ in their {what}; compare runs of one")
    _check_same_data(one, other, "fingerprint")


def _check_same_data(one: Record, other: Record, what: str) -> None:
    a, b = one["data"].get(what), other["data"].get(what)
    if a != b and None not in (a, b):  # the first runs did not record their split
        raise ValueError(
            f"{_name(one)} and {_name(other)} ran on different data ({what} {str(a)[:12]} and "
            f"{str(b)[:12]}); compare runs on the same images"
        )


def _check_same_images(one: Record, other: Record) -> None:
    _check_same_data(one, other, "split")
    names = f"{_name(one)} and {_name(other)}"
    try:
        pairing.check_paired(results.rows(one), results.rows(other))
    except ValueError as error:
        raise ValueError(f"{names} have different test images: {error}") from error


def _drawn(tables: list[pd.DataFrame]) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """All test images with their patients; and, for each seed's, a row of ones and the draws.

    A patient is drawn equally often in every seed whose test set holds it.
    """
    named = []
    for rows in tables:
        case = rows.get("case", pd.Series(rows.index))
        named.append(pd.DataFrame({"case": case, "group": rows.get("group", case)}))
    images = pd.concat(named).drop_duplicates("case", ignore_index=True)
    weights = bootstrap.draw(len(images), images["group"], n=DRAWS, seed=0).astype(float)
    whole = np.vstack([np.ones(len(images)), weights])
    place = pd.Series(images.index, index=images["case"])
    return images, [whole[:, place[rows["case"]]] for rows in named]


def _measured(record: Record | None, measure: str, weights: np.ndarray) -> np.ndarray:
    """The measure of a run under each row of image weights; 0 where there is no run."""
    if record is None:
        return np.zeros(len(weights))
    rows = results.rows(record)
    if measure in COLUMNS:
        if measure not in rows:
            raise ValueError(f"{_name(record)} has not kept {measure}")
        return _mean(rows[measure], weights)
    try:
        bootstrap.measured(rows, measure)
    except ValueError as error:
        raise ValueError(f"{_name(record)}: {error}") from error
    return bootstrap.replicates(rows, measure, weights)


def _mean(values: pd.Series, weights: np.ndarray) -> np.ndarray:
    values = values.to_numpy(float)
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights[:, there] @ values[there] / weights[:, there].sum(1)


def _error_over_seeds(differences: Mapping[int, float]) -> float:
    """The standard error behind the interval of `book.kit.stats.paired_over_seeds`."""
    interval = seeds.over_seeds(differences.values(), LEVEL)
    quantile = t.ppf((1 + LEVEL) / 2, len(differences) - 1)
    return float((interval.high - interval.estimate) / quantile)


def _name(record: Record) -> str:
    parts = (str(record[part]) for part in ("source", "profile", "experiment"))
    return f"{'/'.join(parts)}/seed{record['seed']}"


# --------------------------------------------------------------------------------------- the claims

COLUMNS = {"cam_inside": "Share of the CAM inside the nodule"}
PAIR = ("ms-mtl", "ms-mtl+intra+inter")  # without and with the three terms
PLAIN, FULL = PAIR

_SEPARATE = "Do the answers contradict each other less?"
_BETTER = "Do the answers get better?"
_NETWORK = "Is the network better without any term?"
_TERMS = "What does each term do?"
_FORMS = "Which form of the inter-task term?"
_RIVALS = "Is it better than the others?"
_LOOKS = "Where does the class look?"
_CLASSIFYING = ("wang2018", "zhou2021", "chen2018", "singh2019")
_SEGMENTING = (
    *("unet++", "deeplabv3+", "nnunet", "pspnet", "segnet", "maskrcnn", "bi2017", "kang2019"),
    *_CLASSIFYING,
)
_DICE, _MAPS = "dice_paper_mean", ("inconsis_seg3_benign", "inconsis_seg3_malignant")


def _over(above: str, below: str, *measures: str, share: float = 1.0) -> tuple[Comparison, ...]:
    return tuple(Comparison(above, below, measure, share) for measure in measures)


CLAIMS = (
    Claim(
        _SEPARATE,
        "Trained together without a term, class and mask contradict each other.",
        "abstract, section 3.1",
        (Comparison("mtl", None, "inconsis_cls"),),
        "Section 3.1 says that in 15 % of these images both answers are wrong, which two different "
        "answers of two classes cannot be, unless an empty or mixed mask counts as neither.",
    ),
    Claim(
        _SEPARATE,
        "The intra-task term brings the two masks of MSL together.",
        "section 5.1.1",
        _over("msl", "msl+intra", "inconsis_seg2"),
    ),
    Claim(
        _SEPARATE,
        "The inter-task term brings class and mask of MTL together.",
        "section 5.1.2",
        _over("mtl", "mtl+inter", "inconsis_cls"),
        "The row is misprinted as MTL + Intra.",
    ),
    Claim(
        _SEPARATE,
        "All three terms bring class and mask of MS-MTL together.",
        "abstract, section 5.1.3",
        _over(PLAIN, FULL, "inconsis_cls"),
        "The 14.52 % printed for MS-MTL is no whole number of 897 images.",
    ),
    Claim(
        _SEPARATE,
        'They remove at least half of these contradictions (our reading of "eliminate").',
        "abstract, section 5.1.3",
        _over(PLAIN, FULL, "inconsis_cls", share=0.5),
    ),
    Claim(
        _SEPARATE,
        "They bring the two masks of MS-MTL together.",
        "section 5.1.3",
        _over(PLAIN, FULL, "inconsis_seg2"),
    ),
    Claim(
        _SEPARATE,
        "They bring the class-wise masks together with outline and class, benign and malignant.",
        "section 5.1.3",
        _over(PLAIN, FULL, *_MAPS),
    ),
    Claim(
        _SEPARATE,
        "All terms on MS-MTL leave less between the masks than the intra-task term on MSL.",
        "section 5.1.3",
        _over("msl+intra", FULL, "inconsis_seg2"),
    ),
    Claim(
        _SEPARATE,
        "All terms on MS-MTL leave less between class and mask than the inter-task term on MTL.",
        "section 5.1.3",
        _over("mtl+inter", FULL, "inconsis_cls"),
    ),
    Claim(
        _BETTER,
        "The intra-task term improves the masks of MSL.",
        "section 5.1.1",
        _over("msl+intra", "msl", _DICE),
    ),
    Claim(
        _BETTER,
        "The inter-task term improves the masks of MTL.",
        "section 5.1.2",
        _over("mtl+inter", "mtl", _DICE),
    ),
    Claim(
        _BETTER,
        "The inter-task term improves the class of MTL.",
        "section 5.1.2",
        _over("mtl+inter", "mtl", "F1", "AUC"),
    ),
    Claim(
        _BETTER,
        "All three terms improve the masks of MS-MTL.",
        "abstract, section 5.1.3",
        _over(FULL, PLAIN, _DICE),
        "The two gains that section 5.1.3 gives for the benign and the malignant Dice are those of "
        "mean Dice and mean IoU in Table 1. Under the paper's convention most of the gain can be "
        "agreement on the class, not better contours.",
    ),
    Claim(
        _BETTER,
        "All three terms improve the class of MS-MTL.",
        "abstract, section 5.1.3",
        _over(FULL, PLAIN, "F1", "AUC"),
    ),
    Claim(
        _BETTER,
        "All three terms draw better contours (here: the nodule's outline, whatever its class).",
        "section 5.2",
        _over(FULL, PLAIN, "dice_nodule"),
        "Shown in Fig. 5 for chosen images; the paper prints no number for it.",
    ),
    Claim(
        _NETWORK,
        "Learning the class, too, improves a 3-class mask.",
        "sections 1, 3.1",
        _over("mtl", "unet-seg3", _DICE),
        "Asked as a question; Table 1 has the two rows.",
    ),
    Claim(
        _NETWORK,
        "Two stages improve a 3-class mask.",
        "section 3.2, Table 1",
        _over("msl", "unet-seg3", _DICE),
    ),
    Claim(
        _NETWORK,
        "MS-MTL is better than MTL: mask and class.",
        "section 3.2, Table 1",
        _over(PLAIN, "mtl", _DICE, "F1", "AUC"),
        "The paper's own table does not bear this out for the class: F1 is the same to four digits "
        "and accuracy is lower, by one image of 897.",
    ),
    Claim(
        _NETWORK,
        "MS-MTL tells the classes apart better than a classifier alone.",
        "section 5.1, Fig. 4",
        _over(PLAIN, "clsnet", "AUC"),
    ),
    Claim(
        _TERMS,
        "The intra-task term alone improves the masks of MS-MTL.",
        "section 5.3.1",
        _over("ms-mtl+t2t3", PLAIN, _DICE),
    ),
    Claim(
        _TERMS,
        "Each inter-task term alone improves mask and class.",
        "section 5.3.1",
        tuple(
            Comparison(f"ms-mtl+{term}", PLAIN, measure)
            for term in ("t1t3", "t1t2t3")
            for measure in (_DICE, "F1")
        ),
    ),
    Claim(
        _TERMS,
        "L_T1T3 does more for the class, L_T1T2T3 more for the mask.",
        "section 5.3.1",
        (
            Comparison("ms-mtl+t1t3", "ms-mtl+t1t2t3", "F1"),
            Comparison("ms-mtl+t1t2t3", "ms-mtl+t1t3", _DICE),
        ),
        "Section 5.3.1 calls the mask of L_T1T3 much lower; Table 4 prints a gap of .17 points.",
    ),
    Claim(
        _TERMS,
        "Both inter-task terms are better than either alone: mask and class.",
        "section 5.3.1",
        tuple(
            Comparison("ms-mtl+t1t3+t1t2t3", f"ms-mtl+{term}", measure)
            for term in ("t1t3", "t1t2t3")
            for measure in (_DICE, "F1")
        ),
        "Table 4 has ticks for seven of its eight rows; that this row is the one before the last "
        "is our reading.",
    ),
    Claim(
        _TERMS,
        "Adding the intra-task term to inter-task terms improves the masks.",
        "section 5.3.1",
        (
            Comparison("ms-mtl+t2t3+t1t3", "ms-mtl+t1t3", _DICE),
            Comparison("ms-mtl+t2t3+t1t2t3", "ms-mtl+t1t2t3", _DICE),
            Comparison(FULL, "ms-mtl+t1t3+t1t2t3", _DICE),
        ),
    ),
    Claim(
        _TERMS,
        "All three terms are best: the class, too, beats that of the two inter-task terms.",
        "section 5.3.1",
        _over(FULL, "ms-mtl+t1t3+t1t2t3", "F1"),
        "Table 4's F1 differ by .0004; one image more or less makes .0012.",
    ),
    Claim(
        _FORMS,
        "Reading the class off the pixels of the maximum beats reading it off all pixels.",
        "section 5.3.2",
        _over("ms-mtl+t1t3", "ms-mtl+t1t3-all", _DICE, "F1"),
        "The text says Fig. 5 and means Table 5.",
    ),
    Claim(
        _FORMS,
        "The SC order teaches the class, the CS order the mask.",
        "sections 3.3.2, 5.3.3",
        (
            Comparison("ms-mtl+t1t3-sc", PLAIN, "F1"),
            Comparison("ms-mtl+t1t3-cs", PLAIN, _DICE),
        ),
    ),
    Claim(
        _FORMS,
        "Both orders are better than either: mask and class.",
        "section 5.3.3",
        tuple(
            Comparison("ms-mtl+t1t3", f"ms-mtl+t1t3-{order}", measure)
            for order in ("sc", "cs")
            for measure in (_DICE, "F1")
        ),
    ),
    Claim(
        _RIVALS,
        "The full system's masks are better than those of the twelve others.",
        "section 5.1",
        tuple(Comparison(FULL, rival, _DICE) for rival in _SEGMENTING),
        "ResNet101 in all of them, as the paper has it, cannot hold as written for some of them; "
        "each one's page says what we built.",
    ),
    Claim(
        _RIVALS,
        "The full system tells the classes apart better than the four others that have a class.",
        "section 5.1",
        tuple(Comparison(FULL, rival, "AUC") for rival in _CLASSIFYING),
    ),
    Claim(
        _LOOKS,
        "With the terms, more of what the class looks at (Grad-CAM) lies inside the nodule.",
        "section 5.2, Fig. 6",
        _over(FULL, PLAIN, "cam_inside"),
        "The paper shows two images and prints no number for it.",
    ),
    Claim(
        "What no run of ours can tell",
        "All of this on 4493 thyroid images of one hospital.",
        "abstract, section 4.1",
        untestable="These images are private, and no code was published. A verdict here is about "
        "the method on other images.",
    ),
    Claim(
        "What no run of ours can tell",
        "Radiologists would see the better contours in Fig. 5.",
        "section 5.2",
        untestable="A few images were chosen, and nobody judged them without knowing the system.",
    ),
)

REASONS = (
    Reason(
        "Was it trained too briefly?",
        "Twice as many epochs, for both.",
        profile="laptop-long",
    ),
    Reason(
        "Do the terms come too early?",
        "Their weight grows over the first 40 % of the training.",
        (f"{FULL}-ramped",),
    ),
    Reason(
        "Is their weight wrong?",
        "A third of the paper's .3, and about three times as much.",
        (f"{FULL}-weak", f"{FULL}-strong"),
    ),
    Reason(
        "Is it the second softmax?",
        "The plain logarithm of Eq. 5, in place of the form that gives Fig. 3.",
        (f"{FULL}-single",),
    ),
    Reason(
        "Is it that targets are constants?",
        "The gradient of L_T1T3 reaches the target, too.",
        (f"{FULL}-attached",),
    ),
    Reason(
        "Is it the hard decisions?",
        "A form without argmax: class from all of the nodule's mass, Jensen-Shannon divergence; "
        "its weight grows, so compare it with the ramped form.",
        (f"{FULL}-soft",),
    ),
    Reason(
        "Are there too few images?",
        "The same pair on each source, by the number of its training images.",
    ),
)
