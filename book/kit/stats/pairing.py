"""Which images belong to one patient, and whether two models answered for the same images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def patient_numbers(rows: int, groups: Sequence | None) -> np.ndarray:
    """Each row's patient as a number from 0, in order of appearance: integers (rows,).

    `groups` names the patients; None makes every image its own. Raises ValueError if `groups`
    has another length or no name for some row.

    >>> patient_numbers(4, ["p7", "p7", "p2", "p7"]).tolist()
    [0, 0, 1, 0]
    """
    if groups is None:
        return np.arange(rows)
    if len(groups) != rows:
        raise ValueError(f"groups names {len(groups)} patients but there are {rows} rows")
    patient, _ = pd.factorize(np.asarray(groups))
    if (patient < 0).any():
        raise ValueError(f"groups has no patient for row {int(np.argmax(patient < 0))}")
    return patient


def check_paired(rows_a: pd.DataFrame, rows_b: pd.DataFrame) -> None:
    """Raise ValueError unless both frames hold the same images in the same order.

    Compared are their number and, where both frames have them, the columns case, group and label.
    """
    if len(rows_a) != len(rows_b):
        raise ValueError(f"rows_a has {len(rows_a)} images but rows_b has {len(rows_b)}")
    for column in ("case", "group", "label"):
        if column in rows_a and column in rows_b:
            differ = rows_a[column].to_numpy() != rows_b[column].to_numpy()
            if differ.any():
                raise ValueError(
                    f"rows_a and rows_b differ in {column!r} at row {int(np.argmax(differ))}; "
                    "pass the same images in the same order"
                )
