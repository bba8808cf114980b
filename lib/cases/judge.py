"""Whether a split, or a measure of its test images, can be judged at all; if not, why."""

from collections.abc import Hashable, Sequence

import pandas as pd

from .table import CLASSES, SPLITS, CaseError, class_index

FEWEST = 2  # patients in every part of a split
ENOUGH = 5  # patients of a class for a measure with an interval over patients
OF_BOTH_CLASSES = {"ACC", "PRE", "REC", "F1", "AUC"}


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


def why_not(measure: str, label: Sequence[int], group: Sequence[Hashable]) -> str:
    """Why a measure of test images cannot be judged; "" if it can.

    Args:
        measure: a name of `lib.metrics.summarise`. Those of a class (`..._malignant`) need
            `ENOUGH` patients of it, those that set the classes apart (ACC, PRE, REC, F1, AUC) as
            many of each, all others as many at all.
        label: class of each test image: 0 benign, 1 malignant, -1 neither.
        group: its patient.

    >>> why_not("AUC", [0] * 6 + [1], list("abcdefg"))
    '1 malignant patient; 5 are needed'
    >>> why_not("dice_nodule", [0] * 6 + [1], list("abcdefg"))
    ''
    """
    stem, ending = measure.partition("_")[0], measure.rpartition("_")[2]
    patients = pd.DataFrame({"label": label, "group": group})
    wanted = [name for name in CLASSES if stem in OF_BOTH_CLASSES or ending == name]
    for name in wanted or [""]:
        of_class = patients[patients["label"] == CLASSES.index(name)] if name else patients
        number = of_class["group"].nunique()
        if number < ENOUGH:
            what = f"{name} patient".strip() + "s" * (number != 1)
            return f"{number or 'no'} {what}; {ENOUGH} are needed"
    return ""
