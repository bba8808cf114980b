"""Whether a split can be judged at all; if not, why."""

import pandas as pd

from .table import CLASSES, SPLITS, CaseError, class_index

FEWEST = 2  # patients in every part of a split


def unfit(cases: pd.DataFrame) -> list[str]:
    """What keeps a split from being judged: a part without a class, or of fewer than two patients.

    Classes that no case of the table has are not asked for.

    >>> cases = pd.DataFrame({"split": SPLITS, "label": None, "group": ["a", "b", "b"]})
    >>> unfit(cases)[:2]
    ['1 patient in train', '1 patient in valid']
    """
    index = cases["label"].map(class_index)
    patients = {part: cases["group"][cases["split"] == part].nunique() for part in SPLITS}
    lacking = [
        f"no {name} case in {part}"
        for part in SPLITS
        for at, name in enumerate(CLASSES)
        if (index == at).any() and not ((index == at) & (cases["split"] == part)).any()
    ]
    few = [
        f"{number} patient{'s' * (number != 1)} in {part}"
        for part, number in patients.items()
        if number < FEWEST
    ]
    return lacking + few


def require_fit(cases: pd.DataFrame) -> None:
    """CaseError if the split of a table cannot be judged, with every reason and what to do."""
    if reasons := unfit(cases):
        given = pd.crosstab(cases["label"].fillna("unlabelled"), cases["split"]).to_dict()
        raise CaseError(
            f"the split cannot be judged: {', '.join(reasons)}. Each of {', '.join(SPLITS)} needs "
            f"cases of every class and {FEWEST} patients at least; it has {given}. Change the "
            "column split, leave it out (it is then drawn), or add patients"
        )
