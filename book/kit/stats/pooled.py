"""One difference over several sources, each weighted by its precision."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from scipy.stats import t

from .rule import ERROR, LEVEL, PRIMARY, Difference, corrected, judged


def pooled(
    sources: Sequence[Mapping[str, Difference]], *, even_apart: bool = False
) -> dict[str, Difference]:
    """The primary measures of one pair of systems, over sources, as a family of its own.

    sources: of each what `Evidence.differences` gives, one pair in all. A source's weight is one
    over its squared error; degrees of freedom by Satterthwaite. One effect is taken to be common to
    the sources; a measure in which they are `apart` is left out, unless `even_apart`. A source
    whose spread between trainings is not known is left out: its error is too small, and would be
    its weight. So are measures that fewer than two sources can tell.

    >>> at = dict(measure="AUC", above=0.8, below=0.7, share=1.0, seeds=(0,), trainings=2)
    >>> at |= dict(images=90, patients=45, smallest=20, spread_known=True)
    >>> one, two = (Difference(difference=d, error=e, **at) for d, e in ((0.1, 0.01), (0.12, 0.02)))
    >>> both = pooled([{"AUC": one}, {"AUC": two}])["AUC"]
    >>> round(both.difference, 3), round(both.error, 4), both.trainings
    (0.104, 0.0089, 4)
    """
    family = {}
    for measure in PRIMARY:
        found = [one[measure] for one in sources if measure in one]
        told = [one for one in found if one.error > 0 and one.spread_known]
        if len(told) > 1 and (even_apart or not apart(told)):
            family[measure] = over_sources(told)
    return corrected(family)


def apart(told: Sequence[Difference]) -> bool:
    """Whether two of these sources differ by more than their errors explain, at 5 %.

    Then no one effect is common to them, and a mean of theirs is true of none. Student's t with
    Satterthwaite's degrees of freedom.
    """
    for one, two in combinations(told, 2):
        parts = one.error**2, two.error**2
        uncertain = parts[0] ** 2 / one.freedom + parts[1] ** 2 / two.freedom
        freedom = sum(parts) ** 2 / uncertain if uncertain else math.inf
        distance = abs(one.difference - two.difference) / math.sqrt(sum(parts))
        if 2 * t.sf(distance, freedom) < ERROR:
            return True
    return False


def over_sources(told: Sequence[Difference], level: float = LEVEL) -> Difference:
    """One measure of one pair over sources that tell it, at this level, corrected for no other."""
    precision = [1 / one.error**2 for one in told]
    weights = [one / sum(precision) for one in precision]

    def mean(name: str) -> float:
        return sum(w * getattr(one, name) for w, one in zip(weights, told, strict=True))

    uncertain = sum(w**2 / one.freedom for w, one in zip(weights, told, strict=True))
    return judged(
        Difference(
            told[0].measure,
            above=mean("above"),
            below=mean("below"),
            difference=mean("difference"),
            share=told[0].share,
            seeds=tuple(dict.fromkeys(seed for one in told for seed in one.seeds)),
            trainings=sum(one.trainings for one in told),
            images=sum(one.images for one in told),
            patients=sum(one.patients for one in told),
            smallest=sum(one.smallest for one in told),
            spread_known=all(one.spread_known for one in told),
            error=1 / math.sqrt(sum(precision)),
            freedom=1 / uncertain if uncertain else math.inf,
        ),
        level,
    )
