"""Folds for a data set that has none of its own: each patient is tested on once."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from .table import CaseError

FOLDS = 5
SEED = 0  # of no run: folds are the same for all, so that runs differ by patients or by seed


def grouped_folds(cases: pd.DataFrame, count: int = FOLDS) -> pd.DataFrame:
    """Add the column `fold`, 1 to `count`: stratified by label, no group in two of them.

    The same for the same cases in any order, and no run's seed changes it: over folds the patients
    vary, over seeds the training. `split_cases(cases, fold=k)` tests on fold k and validates on the
    next.

    Raises:
        CaseError: fewer groups than folds.

    >>> cases = pd.DataFrame({"case": list("abcdefghij"), "group": list("vvwwxxyyzz")})
    >>> cases["label"] = ["benign", "malignant"] * 5
    >>> folds = grouped_folds(cases)
    >>> sorted(folds["fold"].unique().tolist()), int(folds.groupby("group")["fold"].nunique().max())
    ([1, 2, 3, 4, 5], 1)
    """
    groups = cases["group"].nunique()
    if groups < count:
        raise CaseError(f"{groups} groups do not make {count} folds; leave fold out, or add cases")
    ordered = cases.sort_values("case")
    strata = ordered["label"].map(lambda label: label or "unlabelled").astype(str)
    try:
        parts = stratified(strata, ordered["group"].astype(str), count, SEED)
    except ValueError as error:
        raise CaseError(f"{count} folds cannot be made ({error}); leave fold out") from error
    fold = pd.Series(0, index=ordered.index)
    for number, members in enumerate(parts, 1):
        fold.iloc[members] = number
    return cases.assign(fold=fold)


def stratified(
    strata: Sequence[str], groups: Sequence[str], count: int, seed: int
) -> list[np.ndarray]:
    """The places of the cases in each of `count` parts, alike in strata, no group in two of them.

    Raises ValueError where no stratum has as many cases as there are parts.

    >>> [part.tolist() for part in stratified("abab", "vvww", 2, seed=0)]
    [[2, 3], [0, 1]]
    """
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a rare label need not be in every part
        warnings.filterwarnings("ignore", message="The least populated class")
        strata, groups = list(strata), list(groups)
        return [members for _, members in folds.split(strata, strata, groups)]
