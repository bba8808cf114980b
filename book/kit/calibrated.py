"""Do the probabilities mean what they say? Of all trainings of a system, with patients drawn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.metrics import classified

from .controls import Reading
from .stats import EACH, Interval, draw, patients, wilson

BINS = 10
BRIER = f"{EACH}brier"  # the name of a measure, for `Evidence`


class Reliability(NamedTuple):
    """Groups of equal size by probability, and the expected calibration error under each draw.

    p: each group's mean probability; shares: its share of malignant images, with intervals;
    errors: (1 + draws,); patients: behind them.
    """

    p: np.ndarray
    shares: list[Interval]
    errors: np.ndarray
    patients: int

    @property
    def error(self) -> Interval:
        """The calibration error with its interval over patients."""
        return wilson(
            float(self.errors[0]), float(np.nanvar(self.errors[1:], ddof=1)), self.patients
        )


def reliability_of(rows: pd.DataFrame, bins: int = BINS) -> Reliability:
    """The reliability of the probability of malignant in these rows; edges stay under all draws.

    rows: as `lib.metrics.count_batch` gives them, of one run or of several. Guo et al. 2017, there
    with bins of equal width. Raises ValueError without a labelled image.

    >>> rows = pd.DataFrame({"label": [0, 0, 1, 1], "p_malignant": [0.1, 0.2, 0.8, 1.0]})
    >>> told = reliability_of(rows, bins=2)
    >>> told.p.round(2).tolist(), round(float(told.errors[0]), 3)
    ([0.15, 0.9], 0.125)
    """
    known, truth, score = classified(rows)
    if not known.any():
        raise ValueError("no image has both a class and a probability")
    truth, score = truth[known].astype(float), score[known]
    weights = np.vstack([np.ones(len(rows)), draw(rows)])[:, known]
    edges = np.quantile(score, np.linspace(0, 1, bins + 1))[1:-1]
    there, place = np.unique(np.searchsorted(edges, score), return_inverse=True)
    groups = np.eye(len(there))[place]  # (images, groups)
    images, malignant, total = ((weights * each) @ groups for each in (1.0, truth, score))
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may leave a group empty
        shares = malignant / images
        errors = np.abs(malignant - total).sum(1) / images.sum(1)
    who = patients(rows)[known]
    intervals = [
        wilson(
            float(shares[0, k]),
            float(np.nanvar(shares[1:, k], ddof=1)),
            len(set(who[place == k])),
        )
        for k in range(len(there))
    ]
    return Reliability(total[0] / images[0], intervals, errors, len(set(who)))


def rows_of(records: Sequence[Mapping[str, Any]], read: Reading) -> pd.DataFrame | None:
    """The images of all runs of a system, read one way; None unless every run tells it."""
    parts = [read(record, records) for record in records]
    if not parts or any(part is None for part in parts):
        return None
    return pd.concat(parts, ignore_index=True)


def with_brier(read: Reading) -> Reading:
    """The same reading, with each image's squared error of the probability: Brier's score.

    Its mean over the images is a proper score: no probability but the true one makes it least.
    Brier 1950.
    """

    def scored(
        record: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
    ) -> pd.DataFrame | None:
        rows = read(record, others)
        if rows is None:
            return None
        squared = (rows["p_malignant"] - rows["label"]) ** 2
        return rows[[n for n in ("case", "group", "label", "p_malignant") if n in rows]].assign(
            **{BRIER: squared.where(rows["label"] >= 0)}
        )

    return scored
