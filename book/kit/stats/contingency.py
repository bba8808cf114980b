"""McNemar's test: on which images is only one of two models right, or in contradiction?"""

from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from statsmodels.stats import contingency_tables

from lib.metrics import as_ratios

from .pairing import check_paired

What = Literal["correct", "contradictions"]
MEASURE_OF: dict[What, str] = {"correct": "ACC", "contradictions": "inconsis_cls"}


class McNemar(NamedTuple):
    """How many images have the property for one model alone, and the two-sided exact p-value.

    >>> McNemar(only_a=6, only_b=0, p=0.03125).p
    0.03125
    """

    only_a: int
    only_b: int
    p: float


def mcnemar(rows_a: pd.DataFrame, rows_b: pd.DataFrame, what: What = "correct") -> McNemar:
    """Exact McNemar test of two models on the same images (McNemar 1947).

    `what` is "correct" (the predicted class is the label; ACC) or "contradictions" (the class of
    Seg3-as-Cls is not the predicted class; inconsis_cls). Images on which both models do alike say
    nothing; of the others, half should favour either model, which is a binomial test.

    The test treats images as independent. Where a patient has several, they are not, and p comes
    out too small: use `permutation_test` with `groups`, which swaps whole patients.

    Raises ValueError if the rows are not the same images in the same order, lack the columns, or
    if an image enters the measure for one model only.

    >>> a = pd.DataFrame({"label": [1] * 8, "p_malignant": [0.9] * 7 + [0.1]})
    >>> b = pd.DataFrame({"label": [1] * 8, "p_malignant": [0.9] * 1 + [0.1] * 7})
    >>> mcnemar(a, b)
    McNemar(only_a=6, only_b=0, p=0.03125)
    """
    if what not in MEASURE_OF:
        raise ValueError(f"what is {what!r}; it must be one of {', '.join(get_args(What))}")
    check_paired(rows_a, rows_b)
    a, enters_a = _yes_or_no(rows_a, MEASURE_OF[what], "rows_a")
    b, enters_b = _yes_or_no(rows_b, MEASURE_OF[what], "rows_b")
    if (enters_a != enters_b).any():
        row = int(np.argmax(enters_a != enters_b))
        raise ValueError(f"row {row} has a prediction in one of rows_a and rows_b only")
    a, b = a[enters_a], b[enters_a]
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    p = contingency_tables.mcnemar(table, exact=True).pvalue
    return McNemar(int(table[0][1]), int(table[1][0]), float(p))


def _yes_or_no(rows: pd.DataFrame, measure: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Per image: has it the property, and does it enter the measure at all."""
    ratios = as_ratios(rows)
    if measure not in ratios or not ratios[measure][1].any():
        raise ValueError(f"{name} does not give {measure}; the network lacks the tasks it needs")
    numerator, denominator = ratios[measure]
    return numerator > 0, denominator > 0
