"""Train, validation and test: at random in groups, or a data set's own folds."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from .table import CLASSES, SPLITS, CaseError, Problem, class_index, require_columns, tidy


def split_cases(
    cases: pd.DataFrame,
    *,
    seed: int = 0,
    ratio: tuple[int, int, int] = (3, 1, 1),
    fold: int | None = None,
) -> pd.DataFrame:
    """Add the column `split`: train, valid and test, stratified by label, no group in two of them.

    Args:
        cases: the case table; its row order does not matter.
        seed: another seed, another split. Without effect on official folds.
        ratio: parts of train, valid and test, whole numbers; (3, 1, 1) is the paper's.
        fold: use the data set's own folds, with this one (column `fold`) as the test set.
            The columns `valid_1`, `valid_2`, ... (1 train, 0 validation), where there are any, name
            the validation set of each fold; otherwise it is the next fold. A group that lies in
            several sets is moved as a whole: to test if any of it is there, else to the set of its
            first case (by name), which leaves both about their size. `attrs["left_out"]` notes it.

    Raises:
        CaseError: too few groups, no such fold, or a class that training would not see.

    >>> cases = pd.DataFrame({"case": list("abcdefghij"), "group": list("vvwwxxyyzz")})
    >>> cases["label"] = ["benign", "malignant"] * 5
    >>> split = split_cases(cases.assign(image="", mask="", crop=None))
    >>> [int((split["split"] == name).sum()) for name in SPLITS]
    [6, 2, 2]
    >>> int(split.groupby("group")["split"].nunique().max())
    1
    """
    require_columns(cases)
    table = tidy(cases)
    notes = list(cases.attrs.get("left_out", []))
    if fold is None:
        table["split"] = _random_split(table, seed, ratio)
    else:
        table["split"] = _official_split(table, fold)
        moved = _whole_groups(table)
        notes += _moves(table, moved)
        table["split"] = moved
    for name in SPLITS:
        if not (table["split"] == name).any():
            raise CaseError(f"no case falls into the split {name!r}: {_counts(table)}")
    classes = {class_index(label) for label in table["label"]} - {-1}
    taught = {class_index(label) for label in table["label"][table["split"] == "train"]}
    for index in sorted(classes - taught):
        raise CaseError(f"no {CLASSES[index]} case falls into train: {_counts(table)}")
    table.attrs["left_out"] = notes
    return table


def _random_split(table: pd.DataFrame, seed: int, ratio: Sequence[int]) -> list[str]:
    if not _whole_numbers(ratio, 1, 1000) or len(ratio) != 3:
        raise CaseError(f"ratio {ratio!r} is not three whole numbers from 1 to 1000")
    if not _whole_numbers([seed], 0, 2**32 - 1):
        raise CaseError(f"seed {seed!r} is not a whole number from 0 to {2**32 - 1}")
    ratio = [int(part) // math.gcd(*map(int, ratio)) for part in ratio]
    groups = table["group"].nunique()
    if groups < sum(ratio):
        raise CaseError(
            f"{groups} groups cannot be split {':'.join(map(str, ratio))}; {sum(ratio)} are needed"
        )
    strata = table["label"].map(lambda label: label or "unlabelled").to_numpy(dtype=str)
    folds = StratifiedGroupKFold(sum(ratio), shuffle=True, random_state=seed)
    split = np.full(len(table), "train", dtype=object)
    with warnings.catch_warnings():  # a rare label need not be in every part
        warnings.filterwarnings("ignore", message="The least populated class")
        try:
            parts = list(folds.split(strata, strata, table["group"].to_numpy(dtype=str)))
        except ValueError as error:
            raise CaseError(f"the cases cannot be split ({error}): {_counts(table)}") from error
    for part, (_, members) in enumerate(parts[: ratio[2] + ratio[1]]):
        split[members] = "test" if part < ratio[2] else "valid"
    return split.tolist()


def _whole_numbers(values: Any, low: int, high: int) -> bool:
    return isinstance(values, Sequence) and all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and low <= v <= high
        for v in values
    )


def _official_split(table: pd.DataFrame, fold: int) -> list[str]:
    if "fold" not in table:
        raise CaseError(f"fold={fold}, but this data set has no official folds; leave fold out")
    numbers = pd.to_numeric(table["fold"], errors="coerce")
    bare = table[numbers.isna()]
    if len(bare):
        raise CaseError(
            f"{bare['image'].iloc[0]}: no official fold ({len(bare)} such cases); give it one, or "
            f"split without official folds (fold=0 in prepare_cases)"
        )
    known = sorted({int(number) for number in numbers})
    if fold not in known:
        raise CaseError(f"no official fold {fold!r}; there are {', '.join(map(str, known))}")
    split = np.where(numbers == fold, "test", "train").astype(object)
    if f"valid_{fold}" in table:
        held_out = pd.to_numeric(table[f"valid_{fold}"], errors="coerce") == 0
    else:
        held_out = numbers == known[(known.index(fold) + 1) % len(known)]
    split[(held_out & (numbers != fold)).to_numpy()] = "valid"
    return split.tolist()


def _whole_groups(table: pd.DataFrame) -> pd.Series:
    """The split of each row once every group that lies in several has been moved into one."""
    home = {}
    for _, group, split in sorted(zip(table["case"], table["group"], table["split"], strict=True)):
        if split == "test" or group not in home:
            home[group] = split
    return table["group"].map(home)


def _moves(table: pd.DataFrame, moved: pd.Series) -> list[Problem]:
    """One note for each pair of sets, not for each case: BUS-BRA's folds need a hundred moves."""
    notes = []
    changed = table[moved != table["split"]]
    for (old, new), rows in changed.groupby([changed["split"], moved[changed.index]]):
        first, more = rows.iloc[0], len(rows) - 1
        notes.append(
            Problem(
                first["case"],
                first["image"],
                f"moved{f', like {more} more cases,' * (more > 0)} from the official {old} set to "
                f"{new}, where another case of its group {first['group']!r} is",
                left_out=False,
            )
        )
    return notes


def _counts(table: pd.DataFrame) -> str:
    labels = Counter(label or "unlabelled" for label in table["label"])
    return (
        f"{len(table)} cases in {table['group'].nunique()} groups ("
        + ", ".join(f"{number} {name}" for name, number in labels.items())
        + ")"
    )
