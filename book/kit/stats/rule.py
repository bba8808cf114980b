"""The one rule by which this book says how sure a measure is, and whether two systems differ.

**What varies.** Other patients would give other numbers, and so would another training of the same
network from another seed. The rule counts both. Patients are drawn whole: if one is drawn, all
images of this patient are. The variance of a mean over R trainings has one part for each:

    V = bootstrap variance, over patients, of that mean  +  max(0, s² - v) / R

s² is how much the trainings of one system vary. (Where there are several test sets, an easy one is
easy for all systems: what a training shares with the others on its test set is taken off first.)
Two trainings also differ on single patients, and patients are in the first part already. So v, what
patients explain of s², is taken off, and nothing is counted twice. (v is the same quadratic form of
the bootstrap draws; with three seeds on one test set, 1.5 times what the bootstrap variance of one
training exceeds that of the mean by.) Both are pooled over all systems of the source and profile
that have several trainings, so that a system with one borrows the spread of the others. A
difference of two systems has that spread twice. (Of one network decided together less the same as
answered it cancels: their difference has a spread of its own, which counts once, and is learned
from all systems that are read both ways.) Where no system has several trainings nothing is
known of it, and `Difference.spread_known` says so.

**Folds.** A patient is tested once per seed in one fold, so the folds of a seed are pooled: more
patients, and as many trainings as there are folds.

**Intervals and tests.** Wilson's score interval on the range of what is measured (0 to 1, or -1 to
1 for a difference), and the p-value that goes with it, by Student's t with Satterthwaite's degrees
of freedom, never fewer than those of the trainings: few of them tell little about their spread.
Fewer than ten patients in a class that the measure needs: no interval and no test.

**Correction.** A family is a pair of systems on one source and profile with all measures of
`PRIMARY` that both give; those of `FURTHER` are a family of their own. Holm's correction; an
interval has the level at which Holm's procedure tests it, so it leaves out 0 just where the
corrected p is below .05. A family does not depend on the page, so neither does a verdict.

**No worse.** Beside being told apart, the first system is called no worse if its interval ends
above a loss of 1 point (`MARGIN`): a margin set beforehand, the same for every measure.

**Assumed.** Patients are independent. Trainings are independent of each other, those of two folds
too, although they share images; the spread between trainings is about the same for all systems.
`ci/null.py` simulates how far the rule holds; Christodoulou et al. 2024 is why it is needed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t

from lib import results

from .bootstrap import DRAWS, OF_IMAGES, Drawn, drawn, fewest, measured, patients
from .interval import Interval, wilson, wilson_p
from .pairing import fold_of, name, refuse_other_data

ERROR = 0.05  # how often a family may claim a difference where there is none
LEVEL = 1 - ERROR
FEWEST = 10  # patients in a class, below which nothing is said
MARGIN = 0.01  # a system that is worse by less than this is called no worse
LESS_IS_BETTER = "inconsis_"
SUFFIX = ", decided together"  # of the name of a network whose answers are read so
PRIMARY = ("inconsis_cls", "AUC", "F1", "dice_class_mean", "dice_nodule", "dice_paper_mean")
FURTHER = ("ACC", "inconsis_seg2", "inconsis_seg3_benign", "inconsis_seg3_malignant", *OF_IMAGES)
Record = Mapping[str, Any]
Key = tuple[int, str]  # seed and fold of a training


@dataclass(frozen=True)
class Difference:
    """`share` times a measure of one system, `above`, less that of another, `below`.

    above, below: means over their trainings; seeds, trainings, images, patients: behind them;
    smallest: patients in the smallest class that is needed; error: standard error, with its degrees
    of freedom; spread_known: whether the spread between trainings is in it; low, high, p: the
    interval at `level`, and the p-value that is below .05 just where the interval leaves out 0.
    These are NaN where nothing can be told, and `why` says why.
    """

    measure: str
    above: float
    below: float
    difference: float
    share: float
    seeds: tuple[int, ...]
    trainings: int
    images: int
    patients: int
    smallest: int
    spread_known: bool
    error: float = math.nan
    freedom: float = math.inf
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    level: float = LEVEL
    why: str = ""

    @property
    def interval(self) -> Interval:
        """The difference between the ends of its interval."""
        return Interval(self.difference, self.low, self.high)

    @property
    def clear(self) -> bool:
        """Whether the two systems are told apart."""
        return self.p < ERROR

    @property
    def worst(self) -> float:
        """By how much the first system may be worse, as far as the interval tells; below 0: not."""
        return self.high if self.measure.startswith(LESS_IS_BETTER) else -self.low

    @property
    def no_worse(self) -> bool:
        """Whether the first system is worse by less than `MARGIN`, if at all (non-inferiority)."""
        return self.worst < MARGIN

    @property
    def not_above(self) -> float:
        """How probable it is, given the difference, that in truth the first is not above.

        That a claim of "more" would be false; of "fewer" it is 1 less this. Nothing is assumed of
        the truth beforehand (a flat prior), and nothing is corrected: it is about this one claim.
        NaN where nothing can be told, or nothing differs. Christodoulou et al. 2025.
        """
        if abs(self.difference) < 1e-9:  # the same answers, but for rounding
            return math.nan
        return float(t.cdf(-self.difference / self.error, self.freedom)) if self.error else math.nan

    @property
    def false_claim(self) -> float:
        """How probable it is that a claim of what was seen, more or fewer, is false: 0 to .5."""
        return min(self.not_above, 1 - self.not_above)

    @property
    def detectable(self) -> float:
        """The true difference that would have been told apart four times in five."""
        return smallest_difference(self.error, level=self.level, freedom=self.freedom)


class Spread(NamedTuple):
    """The variance of a measure between the trainings of one system.

    between: s²; explained: v, the part of it that the patients explain; freedom: trainings beyond
    the first of each system, 0 where there is none and so nothing is known.
    """

    between: float
    explained: float
    freedom: float

    @classmethod
    def between_trainings(
        cls, systems: Sequence[str], tests: Sequence[frozenset[str]], values: np.ndarray
    ) -> "Spread":
        """The variance that is left when that of systems and of test sets is taken out.

        systems, tests: of each training, the images of its test set; values (trainings, 1 + draws):
        what it measured. Where each seed or fold has a test set of its own, what all systems find
        hard or easy in it is no spread of theirs.
        """
        there = [at for at, row in enumerate(values) if not np.isnan(row[0])]
        values = values[there]
        draws = values[:, 1:][:, ~np.isnan(values[:, 1:]).any(0)] if there else values
        unknown = cls(0.0, 0.0, 0.0)
        if not there or draws.shape[1] < 2:
            return unknown
        own, shared = (_indicators([of[at] for at in there]) for of in (systems, tests))
        for columns in (np.hstack([own, shared]), own):  # one system alone: test sets are spread
            left = np.eye(len(values)) - columns @ np.linalg.pinv(columns)
            if freedom := round(np.trace(left)):
                break
        else:
            return unknown
        draws = draws - draws.mean(1, keepdims=True)
        between = values[:, 0] @ left @ values[:, 0]
        explained = (draws * (left @ draws)).sum() / (draws.shape[1] - 1)
        return cls(float(between / freedom), float(explained / freedom), float(freedom))

    @property
    def known(self) -> bool:
        """Whether any system has several trainings."""
        return self.freedom > 0

    @property
    def excess(self) -> float:
        """What trainings add to the variance: max(0, s² - v)."""
        return max(self.between - self.explained, 0.0)

    def added(self, variance: float, times: float) -> tuple[float, float]:
        """A variance over patients with `times` the excess, and its degrees of freedom.

        Only s² is taken as uncertain (Satterthwaite 1946), and never as more so than the trainings
        by themselves: where v is nearly s², their difference has no share in the total to speak of.
        """
        total = variance + times * self.excess
        uncertain = times * self.between
        return total, self.freedom * max(total / uncertain, 1.0) ** 2 if uncertain else math.inf


class Evidence:
    """The runs of one source and profile, and what can be said from them by this one rule.

    Give it every run of the place, not only those that are shown: the spread between trainings is
    learned from all of them. Raises ValueError, naming two runs, if they are of different data, or
    if one training is there twice; and if a patient is in two folds of one seed.

    >>> names = {"source": "phantom", "profile": "quick", "seed": 0}
    >>> rows = {"label": [0, 1] * 20, "p_malignant": [0.2, 0.8] * 15 + [0.7, 0.8] * 5}
    >>> found = Evidence([names | {"experiment": "mtl", "per_image": rows}])
    >>> [round(v, 3) for v in found.level("mtl", "ACC")]
    [0.875, 0.733, 0.947]
    """

    def __init__(self, records: Sequence[Record], draws: int = DRAWS) -> None:
        refuse_other_data(records)
        self.draws = draws
        self.records = list(records)
        self.runs: dict[str, dict[Key, Record]] = {}
        for record in sorted(records, key=lambda r: (r["seed"], fold_of(r))):
            runs = self.runs.setdefault(record["experiment"], {})
            key = record["seed"], fold_of(record)
            if key in runs:
                raise ValueError(f"{name(record)} is there twice; pass each run once")
            runs[key] = record
        for runs in self.runs.values():
            _refuse_shared_patients(runs)
        self._drawn: dict[tuple[str, Key], Drawn] = {}
        self._spread: dict[str, Spread] = {}

    def measures(self, system: str) -> list[str]:
        """The measures that all runs of a system give; none if it was not run."""
        first, *others = [self._of(system, key) for key in self.runs.get(system, ())] or [None]
        if first is None:
            return []
        return [
            m
            for m in first.parts
            if all(m in run.parts for run in others) and not math.isnan(self.value(system, m))
        ]

    def value(self, system: str, measure: str) -> float:
        """A measure of a system: the mean over its seeds, the folds of a seed pooled."""
        return float(self._mean(system, list(self.runs[system]), measure)[0])

    def level(self, system: str, measure: str) -> Interval:
        """`value` with its 95 % interval; NaN ends where a class has too few patients.

        Raises ValueError for a system without a run, and a measure that its runs do not give.
        """
        if measure not in self.measures(system):
            raise ValueError(f"the runs of {system!r} do not give {measure!r}")
        keys = list(self.runs[system])
        values = self._mean(system, keys, measure)
        smallest = self._smallest([system], keys, measure)
        if smallest < FEWEST:
            return Interval(float(values[0]), math.nan, math.nan)
        variance, freedom = self.spread(measure).added(_variance(values), self._parts(system, keys))
        return wilson(float(values[0]), variance, smallest, freedom=freedom)

    def spread(self, measure: str) -> "Spread":
        """What trainings add to a measure's variance, pooled over all systems with several."""
        if measure not in self._spread:
            trainings = {
                (system, key): [self._of(system, key)]
                for system, runs in self.runs.items()
                if len(runs) > 1 and not system.endswith(SUFFIX)  # no trainings of their own
                for key in runs
            }
            self._spread[measure] = self._pooled(measure, trainings)
        return self._spread[measure]

    def within(self, measure: str) -> "Spread":
        """The same for what deciding together changes within one network.

        Both answers are those of one training, so what a training adds to either cancels, but for
        what it adds to their difference.
        """
        name = f"{measure}{SUFFIX}"
        if name not in self._spread:
            trainings = {
                (system, key): [self._of(f"{system}{SUFFIX}", key), self._of(system, key)]
                for system, runs in self.runs.items()
                if len(runs) > 1
                for key in self.shared(f"{system}{SUFFIX}", system)
            }
            self._spread[name] = self._pooled(measure, trainings)
        return self._spread[name]

    def _pooled(self, measure: str, trainings: Mapping[tuple[str, Key], list[Drawn]]) -> "Spread":
        """The spread of a measure, or of a difference of two, over trainings by system and key.

        A system in which it is always 0, as what deciding together changes in one that cannot
        contradict itself, is left out: it would make the spread of all others look small.
        """
        values = {
            place: np.subtract.reduce([measured([run], measure) for run in runs])
            for place, runs in trainings.items()
            if all(measure in run.parts for run in runs)
        }
        vary = {system for (system, _), value in values.items() if value.any()}
        some = [place for place in values if place[0] in vary]
        return Spread.between_trainings(
            [system for system, _ in some],
            [trainings[place][0].cases for place in some],
            np.array([values[place] for place in some]),
        )

    def only(self, *systems: str) -> "Evidence":
        """The runs of these systems by themselves, each as answered and decided together.

        What trainings add is then learned from these systems alone: a look at how much a verdict
        rests on "about the same for all systems". No verdict of the book is made so.
        """
        some = {name.removesuffix(SUFFIX) for name in systems}
        records = [r for r in self.records if r["experiment"].removesuffix(SUFFIX) in some]
        one = Evidence(records, self.draws)
        one._drawn = self._drawn  # by system and training: the same draws
        return one

    def shared(self, above: str, below: str) -> list[Key]:
        """The trainings, seed and fold, that both systems have."""
        return [key for key in self.runs.get(above, ()) if key in self.runs.get(below, ())]

    def differences(self, above: str, below: str) -> dict[str, Difference]:
        """The families of a pair: each judged measure that both systems give, corrected.

        By the trainings that both have. Empty if there is none.

        >>> rows = {"label": [0, 1] * 20, "p_malignant": [0.2, 0.8] * 20}
        >>> wrong = rows | {"p_malignant": [0.2, 0.8] * 12 + [0.7, 0.3] * 8}
        >>> run = {"source": "", "profile": "", "experiment": "a", "seed": 0, "per_image": rows}
        >>> other = run | {"experiment": "b", "per_image": wrong}
        >>> found = Evidence([run, other]).differences("a", "b")["ACC"]
        >>> found.difference, found.clear, found.seeds, found.spread_known
        (0.4, True, (0,), False)
        """
        keys = self.shared(above, below)
        both = set(self.measures(above)) & set(self.measures(below)) if keys else set()
        families = [[m for m in family if m in both] for family in (PRIMARY, FURTHER)]
        primary, further = (
            corrected({m: self.difference(above, below, m) for m in family}) for family in families
        )
        return primary | further

    def difference(
        self, above: str, below: str, measure: str, *, share: float = 1.0, level: float = LEVEL
    ) -> Difference:
        """One difference with the interval of this level, corrected for no other.

        Raises ValueError if the systems have no training in common, or do not give the measure.
        """
        keys = self.shared(above, below)
        runs = [self._of(system, key) for system in (above, below) for key in keys]
        if not runs or any(measure not in run.parts for run in runs):
            raise ValueError(f"{above} and {below} share no training that gives {measure!r}")
        one, two = (self._mean(system, keys, measure) for system in (above, below))
        apart = share * one - two
        one_network = above.removesuffix(SUFFIX) == below.removesuffix(SUFFIX)
        spread = self.within(measure) if one_network else self.spread(measure)
        smallest = self._smallest([above, below], keys, measure)
        variance, freedom = math.nan, math.inf
        if smallest >= FEWEST:
            times = (1 if one_network else share**2 + 1) * self._parts(above, keys)
            variance, freedom = spread.added(_variance(apart), times)
            variance = variance if apart.any() else 0.0  # the same answers in every image
        found = Difference(
            measure,
            above=float(one[0]),
            below=float(two[0]),
            difference=float(apart[0]),
            share=share,
            seeds=tuple(dict.fromkeys(seed for seed, _ in keys)),
            trainings=len(keys),
            images=len(frozenset().union(*(run.cases for run in runs))),
            patients=len(frozenset().union(*(run.patients for run in runs))),
            smallest=smallest,
            spread_known=spread.known,
            error=math.sqrt(variance),
            freedom=freedom,
            why=_few(smallest),
        )
        return judged(found, level)

    def _mean(self, system: str, keys: Sequence[Key], measure: str) -> np.ndarray:
        """The mean over seeds of a measure of the pooled folds, observed and under each draw."""
        by_seed: dict[int, list[Drawn]] = {}
        for key in keys:
            by_seed.setdefault(key[0], []).append(self._of(system, key))
        return np.mean([measured(folds, measure) for folds in by_seed.values()], axis=0)

    def _parts(self, system: str, keys: Sequence[Key]) -> float:
        """The sum of the squared parts that trainings have in the mean: 1/K for K of equal size."""
        images = {key: len(self._of(system, key).cases) for key in keys}
        seeds = {seed for seed, _ in keys}
        of_seed = {seed: sum(n for key, n in images.items() if key[0] == seed) for seed in seeds}
        return sum((n / of_seed[seed] / len(seeds)) ** 2 for (seed, _), n in images.items())

    def _smallest(self, systems: Sequence[str], keys: Sequence[Key], measure: str) -> int:
        return min(fewest([self._of(system, key) for key in keys], measure) for system in systems)

    def _of(self, system: str, key: Key) -> Drawn:
        if (system, key) not in self._drawn:
            self._drawn[system, key] = drawn(results.rows(self.runs[system][key]), self.draws)
        return self._drawn[system, key]


def paired(
    measure: str,
    above: np.ndarray,
    below: np.ndarray,
    spread: Spread,
    *,
    trainings: Sequence[Key],
    people: int,
    smallest: int,
    images: int | None = None,
    why: str = "",
) -> Difference:
    """The difference of two ways to read the same trainings, from a measure of one's own.

    above, below (1 + draws,): what each gives, over all trainings, as observed and under each draw
    of patients; spread: of their difference, between trainings; people: patients behind them;
    smallest: those of the class that the measure needs; images: behind them, if not as many as
    patients; why: if nothing can be told. Not judged yet: give it to `corrected`.
    """
    apart = above - below
    variance, freedom = spread.added(_variance(apart), 1 / len(trainings))
    variance = variance if apart.any() else 0.0
    return Difference(
        measure,
        above=float(above[0]),
        below=float(below[0]),
        difference=float(apart[0]),
        share=1.0,
        seeds=tuple(dict.fromkeys(seed for seed, _ in trainings)),
        trainings=len(trainings),
        images=images or people,
        patients=people,
        smallest=smallest,
        spread_known=spread.known,
        error=math.sqrt(variance),
        freedom=freedom,
        why=why or _few(smallest),
    )


def corrected(family: Mapping[str, Difference]) -> dict[str, Difference]:
    """A family with Holm's correction: each at the level at which the procedure tests it.

    The smallest of m p-values is tested at .05 / m, the next at .05 / (m - 1), and so on; from the
    first that stands no more, all others at its level. What cannot be told is not counted.
    """
    told = {key: d for key, d in family.items() if not d.why}
    alone = {key: judged(d, LEVEL).p for key, d in told.items()}
    adjusted, found = holm(alone), dict(family)
    left = len(told)
    for key in sorted(told, key=alone.__getitem__):
        found[key] = replace(judged(told[key], 1 - ERROR / left), p=adjusted[key])
        left -= adjusted[key] < ERROR
    return found


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction of the p-values of one family, by name (Holm 1979).

    Raises ValueError for a p-value outside 0 to 1, NaN included.

    >>> {name: round(p, 3) for name, p in holm({"ACC": 0.01, "AUC": 0.04, "F1": 0.03}).items()}
    {'ACC': 0.03, 'AUC': 0.06, 'F1': 0.06}
    """
    for key, p in p_values.items():
        if not 0 <= p <= 1:
            raise ValueError(f"the p-value of {key!r} is {p}; it must lie between 0 and 1")
    highest, found = 0.0, dict.fromkeys(p_values, 0.0)
    for rank, key in enumerate(sorted(p_values, key=p_values.__getitem__)):
        highest = max(highest, min((len(p_values) - rank) * p_values[key], 1.0))
        found[key] = highest
    return found


def smallest_difference(
    error: float, *, level: float = LEVEL, power: float = 0.8, freedom: float = math.inf
) -> float:
    """The true difference whose interval leaves out 0 in a share `power` of repetitions.

    error: standard error of the difference, in its unit, with its degrees of freedom: about 2.8
    errors for 95 % and 80 %. A smaller difference may be there although nothing was shown. Chow,
    Shao and Wang 2008, section 1.3.

    >>> round(smallest_difference(0.01), 4)
    0.028
    """
    return float((t.ppf((1 + level) / 2, freedom) + t.ppf(power, freedom)) * error)


def judged(found: Difference, level: float) -> Difference:
    """The difference with the interval of this level, and p as if corrected as much."""
    if found.why:
        return found
    given = found.difference, found.error**2, found.smallest
    options = {"bounds": (-1.0, found.share), "freedom": found.freedom}
    _, low, high = wilson(*given, level=level, **options)
    p = min(wilson_p(*given, **options) * ERROR / (1 - level), 1.0)
    return replace(found, low=low, high=high, p=p, level=level)


def _few(smallest: int) -> str:
    """Why nothing can be told of so few patients; empty if it can."""
    few = f"a class of {smallest} patient{'s' * (smallest != 1)}"
    return "" if smallest >= FEWEST else few


def _variance(drawn: np.ndarray) -> float:
    """Over the draws; those that lack what the measure needs are left out."""
    return float(np.nanvar(drawn[1:], ddof=1))


def _refuse_shared_patients(runs: Mapping[Key, Record]) -> None:
    """Raise ValueError if two folds of one seed test the same patient: they would count twice."""
    seen: dict[tuple[int, str], str] = {}
    for (seed, fold), record in runs.items():
        if sum(seed == other for other, _ in runs) == 1:
            continue
        for patient in set(patients(results.rows(record))):
            if (other := seen.setdefault((seed, patient), fold)) != fold:
                raise ValueError(
                    f"{name(record)}: patient {patient!r} is in fold {other!r} too; a patient is "
                    "tested once per seed"
                )


def _indicators(of: Sequence[Any]) -> np.ndarray:
    """One column for each value, 1 where it is there (len(of), values)."""
    return np.array([[one == value for value in dict.fromkeys(of)] for one in of], float)
