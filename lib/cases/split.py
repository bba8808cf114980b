"""Train, validation and test: at random in groups, or a data set's own folds."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .folds import stratified
from .judge import require_fit, unfit
from .table import SPLITS, CaseError, Problem, require_columns, tidy

DOMINANT = 0.05  # share of all images from which one group decides how a split looks
SLACK = 0.05  # by how much of all images a part may miss its size
DRAWS = 200


def split_cases(
    cases: pd.DataFrame,
    *,
    seed: int = 0,
    ratio: tuple[int, int, int] = (3, 1, 1),
    fold: int | None = None,
) -> pd.DataFrame:
    """Add the column `split`: train, valid and test, stratified by label, no group in two of them.

    Every part has each class and at least two groups. Where one group holds more than a twentieth
    of the images, the parts are drawn group by group, so that the seed, not its size, decides where
    it is; a group that is too large for validation and test is trained on.

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
        CaseError: too few groups, no such fold, or a part that cannot be judged: without a class,
            or of one group.

    >>> cases = pd.DataFrame({"case": list("abcdefghijklmnopqrst")})
    >>> cases["group"], cases["label"] = list("abcdefghij") * 2, ["benign", "malignant"] * 10
    >>> split = split_cases(cases.assign(image="", mask="", crop=None))
    >>> [int((split["split"] == name).sum()) for name in SPLITS]
    [12, 4, 4]
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
    require_fit(table)
    if fold is None:
        notes += _sizes_note(table, ratio)
    table.attrs["left_out"] = notes
    return table


def _sizes_note(table: pd.DataFrame, ratio: Sequence[int]) -> list[Problem]:
    """A note if one large group keeps the parts from their sizes."""
    sizes = np.array([(table["split"] == name).sum() for name in SPLITS])
    if np.abs(sizes / len(table) - np.array(ratio) / sum(ratio)).max() <= SLACK + 1 / len(table):
        return []
    group, number = next(table["group"].value_counts().items())
    first = table[table["group"] == group].iloc[0]
    what = (
        f"the split is {':'.join(map(str, sizes))} images, not {':'.join(map(str, ratio))}: "
        f"{number} of {len(table)} images are of one group"
    )
    return [Problem(first["case"], first["image"], what, left_out=False)]


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
    split = _folds(table, strata, seed, ratio)
    sizes = table["group"].value_counts()
    # Folds are filled with the largest group first: it would always be in the test set.
    dominant = sizes.iloc[0] > max(DOMINANT * len(table), 2 * sizes.median())
    if not dominant and not unfit(table.assign(split=split)):
        return split
    return _best_draw(table, strata, np.random.default_rng(seed), np.array(ratio) / sum(ratio))


def _folds(table: pd.DataFrame, strata: np.ndarray, seed: int, ratio: Sequence[int]) -> list[str]:
    split = np.full(len(table), "train", dtype=object)
    try:
        parts = stratified(strata, table["group"].astype(str), sum(ratio), seed)
    except ValueError as error:
        raise CaseError(f"the cases cannot be split ({error}): {_counts(table)}") from error
    for part, members in enumerate(parts[: ratio[2] + ratio[1]]):
        split[members] = "test" if part < ratio[2] else "valid"
    return split.tolist()


def _best_draw(
    table: pd.DataFrame, strata: np.ndarray, rng: np.random.Generator, shares: np.ndarray
) -> list[str]:
    """The first draw whose parts all have about their sizes, or else the one nearest to them."""
    fits = []
    for _ in range(DRAWS):
        split = _draw(table["group"].to_numpy(dtype=str), strata, rng, shares)
        if unfit(table.assign(split=split)):
            continue
        sizes = np.array([split.count(name) for name in SPLITS]) / len(table)
        miss = np.abs(sizes - shares).max()
        if miss <= SLACK:
            return split
        fits.append((miss, split))
    if fits:
        return min(fits, key=lambda fit: fit[0])[1]
    require_fit(table.assign(split=split))
    raise AssertionError("unreachable")


def _draw(
    groups: np.ndarray, strata: np.ndarray, rng: np.random.Generator, shares: np.ndarray
) -> list[str]:
    """Each group, in random order, draws one of the places that are left for its images.

    So a group of 10 of 100 images comes into test with the share of test, whatever its size, as
    long as there is room; one that no part but train has room for, comes into train.
    """
    names, number = np.unique(groups, return_inverse=True)
    labels, kind = np.unique(strata, return_inverse=True)
    counts = np.zeros((len(names), len(labels)))
    np.add.at(counts, (number, kind), 1)
    room = np.outer(shares, counts.sum(axis=0))  # (part, label)
    part = np.empty(len(names), dtype=int)
    for at in rng.permutation(len(names)):
        free = room.sum(axis=1)
        chance = room.clip(min=0) @ counts[at] * (free >= counts[at].sum() / 2)
        if not chance.any():
            chance = free == free.max()
        part[at] = rng.choice(len(shares), p=chance / chance.sum())
        room[part[at]] -= counts[at]
    return [SPLITS[at] for at in part[number]]


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
        raise CaseError(f"no fold {fold!r}; there are {', '.join(map(str, known))}")
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
