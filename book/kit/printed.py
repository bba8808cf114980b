"""The paper's Table 1 with the intervals that it does not print, as far as they can be had.

The paper prints one number for each measure of each system, from one training and one test set.
What a repetition would give is put together here from three things: the size of its test set, which
it prints; how its classes are divided, which it nearly prints; and what it does not, which is taken
from our own runs of the same systems: in how many images exactly one of two systems names the class
correctly, how much their mean Dice differs from image to image, how far the same patients raise or
lower both AUC together, and how much another training moves each measure.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from lib import results
from lib.experiments import EXPERIMENTS
from lib.metrics import as_ratios, classified

from . import paper
from .stats import Evidence, Interval
from .stats.bootstrap import drawn, measured

MEASURES = ("AUC", "ACC", "dice_paper_mean")
PAIRS = (("ms-mtl", "ms-mtl+intra+inter"), ("mtl", "mtl+inter"), ("msl", "msl+intra"))


class Paired(NamedTuple):
    """What two of our systems show on the images that both answer.

    images: trainings times test images; discordance: the share of these in which exactly one names
    the class correctly; dice: the standard deviation over images of what the mean Dice differs by;
    together: the correlation of the two AUC over draws of patients. NaN where a system has no such
    answer.
    """

    images: int
    discordance: float
    dice: float
    together: float


class Reprinted(NamedTuple):
    """A difference that the paper prints, with what a repetition would give.

    error: its standard error if only the test set were drawn again; whole: if the networks were
    trained again, too; freedom: behind `whole`.
    """

    title: str
    measure: str
    difference: float
    error: float
    whole: float
    freedom: float

    def interval(self, trained: bool) -> Interval:
        """95 %, over test sets alone, or over trainings, too."""
        error, quantile = self.error, norm.ppf(0.975)
        if trained:
            error, quantile = self.whole, t.ppf(0.975, self.freedom)
        half = float(quantile * error)
        return Interval(self.difference, self.difference - half, self.difference + half)

    def false(self, trained: bool) -> float:
        """How probable it is that the first system is in truth not above the second.

        Nothing is assumed of the truth beforehand. Christodoulou et al. 2025.
        """
        if trained:
            return float(t.cdf(-self.difference / self.whole, self.freedom))
        return float(norm.cdf(-self.difference / self.error))


def paired(found: Evidence, above: str, below: str) -> Paired:
    """What is borrowed from our runs of two systems. ValueError if they share no training."""
    keys = found.shared(above, below)
    if not keys:
        raise ValueError(f"{above} and {below} share no training")
    differ, spread, together = [], [], []
    for key in keys:
        one, two = (results.rows(found.runs[name][key]) for name in (above, below))
        if "p_malignant" in one and "p_malignant" in two:
            differ.append(_right(one) != _right(two))
            draws = [measured([drawn(rows)], "AUC")[1:] for rows in (one, two)]
            there = ~np.isnan(draws).any(0)
            together.append(np.corrcoef(np.array(draws)[:, there])[0, 1])
        if "benign_pred" in one and "benign_pred" in two:
            apart = _dice(one) - _dice(two)
            spread.append(apart[~np.isnan(apart)])
    return Paired(
        images=sum(map(len, differ or spread)),
        discordance=float(np.mean(np.concatenate(differ))) if differ else math.nan,
        dice=float(np.std(np.concatenate(spread), ddof=1)) if spread else math.nan,
        together=float(np.mean(together)) if together else math.nan,
    )


def reprinted(
    found: Evidence, above: str, below: str, title: str, rows: tuple[str, str]
) -> list[Reprinted]:
    """The differences of two rows of the paper's Table 1 with what our two systems lend them.

    rows: of the paper, the one above first. A measure that the paper does not print of both, or
    that ours do not give, is left out.
    """
    ours, table = paired(found, above, below), paper.table(1)
    one, two = (table.loc[row] for row in rows)
    told = []
    for measure in MEASURES:
        difference = float(one[measure] - two[measure])
        variance = {
            "ACC": (ours.discordance - difference**2) / paper.TEST_IMAGES,
            "dice_paper_mean": ours.dice**2 / paper.TEST_IMAGES,
            "AUC": _auc_variance(one["AUC"], two["AUC"], ours.together),
        }[measure]
        if variance != variance or difference != difference:
            continue
        spread = found.spread(measure)
        whole = math.sqrt(variance + 2 * spread.excess) if spread.known else math.nan
        told.append(
            Reprinted(title, measure, difference, math.sqrt(variance), whole, spread.freedom)
        )
    return told


def lent(ours: Sequence[Evidence]) -> list[Reprinted]:
    """`reprinted` for each of `PAIRS`, by the first of these runs of one source that has it."""
    told = []
    for below, above in PAIRS:
        if one := next((one for one in ours if one.shared(above, below)), None):
            high, low = (EXPERIMENTS[name] for name in (above, below))
            rows = dict(high.rows)[1], dict(low.rows)[1]
            told += reprinted(one, above, below, f"{high.title}, compared with {low.title}", rows)
    return told


def hanley_mcneil(auc: float, malignant: int, benign: int) -> float:
    """Variance of an AUC from its value and the two numbers of images. Hanley and McNeil 1982.

    >>> round(hanley_mcneil(0.9523, 383, 514) ** 0.5, 4)
    0.0079
    """
    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    pairs = auc * (1 - auc) + (malignant - 1) * (one - auc**2) + (benign - 1) * (two - auc**2)
    return pairs / (malignant * benign)


def _auc_variance(one: float, two: float, together: float) -> float:
    a, b = (hanley_mcneil(auc, paper.MALIGNANT, paper.BENIGN) for auc in (one, two))
    return a + b - 2 * together * math.sqrt(a * b)


def _right(rows: pd.DataFrame) -> np.ndarray:
    known, truth, score = classified(rows)
    return (score[known] > 0.5) == truth[known]


def _dice(rows: pd.DataFrame) -> np.ndarray:
    """The paper's mean Dice of each image, NaN where its class is not known."""
    ratios = as_ratios(rows)
    each = []
    for name in ("dice_paper_benign", "dice_paper_malignant"):
        value, counts = ratios[name]
        each.append(np.where(counts > 0, value, math.nan))
    return np.mean(each, axis=0)
