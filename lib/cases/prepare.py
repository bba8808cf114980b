"""A source's table made ready for training: checked, its duplicates joined, split."""

import pandas as pd

from .check import check_cases, require_enough, split_leaks, stop_on_any
from .duplicates import group_near_duplicates
from .folds import grouped_folds
from .judge import require_fit
from .split import split_cases
from .table import CaseError, Problem, tidy


def prepare_cases(
    cases: pd.DataFrame,
    *,
    seed: int = 0,
    strict: bool = False,
    fold: int | None = None,
    minimum: int = 10,
    size: int | None = None,
) -> tuple[pd.DataFrame, list[Problem]]:
    """Check, keep near duplicates together, and split: a source's table made ready for training.

    Args:
        cases: what `read` of a source returned. A `split` column of its own is kept.
        seed: of the random split.
        strict: raise on any problem instead of leaving rows out.
        fold: the fold to test on, the data set's own, or one of five drawn in groups, by no seed,
            where it has none (`grouped_folds`); None takes fold 1 where the data set has folds, 0
            splits at random even then.
        minimum: fewest cases that must be left.
        size: of the network, if it is known, so that no image is decoded a second time for it.

    Returns:
        The table with the column `split`; and every problem and note, those of the source first
        (the same list as `attrs["left_out"]`).

    Raises:
        CaseError: as `check_cases` and `split_cases`, for a given split too.

    >>> from tempfile import TemporaryDirectory
    >>> from lib.cases import SPLITS
    >>> from lib.sources import phantom
    >>> with TemporaryDirectory() as folder:
    ...     table, problems = prepare_cases(phantom.read(folder, cases=20, size=64))
    >>> [int((table["split"] == name).sum()) for name in SPLITS], problems
    ([12, 4, 4], [])
    """
    if fold and "split" in cases:
        raise CaseError(f"fold={fold}, but these cases have a split of their own; leave fold out")
    checked, problems = check_cases(cases, minimum=minimum, size=size)
    table, doubles = group_near_duplicates(checked)
    problems = problems + doubles
    if "split" in table:
        leaks = list(split_leaks(table, table["group"].tolist(), "its group"))
        problems += [problem for _, problem in leaks]
        table = tidy(table.drop(index=[at for at, _ in leaks]))
    if strict:
        stop_on_any(problems)
    require_enough(table, cases, problems, minimum)
    table.attrs["left_out"] = problems
    if "split" not in table:
        if fold is None and "fold" in table:
            fold = 1
        if fold and "fold" not in table:
            table = grouped_folds(table)
        table = split_cases(table, seed=seed, fold=fold or None)
    require_fit(table)
    return table, table.attrs["left_out"]
