"""Folds for a data set that has none of its own: each patient is tested on once."""

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
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=SEED)
    try:
        parts = list(folds.split(strata, strata, ordered["group"].astype(str)))
    except ValueError as error:  # no class has as many cases as there are folds
        raise CaseError(f"{count} folds cannot be made ({error}); leave fold out") from error
    fold = pd.Series(0, index=ordered.index)
    for number, (_, members) in enumerate(parts, 1):
        fold.iloc[members] = number
    return cases.assign(fold=fold)
