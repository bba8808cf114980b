"""Every problem of a case table in one pass, before an hour of training."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from .looks import Look, look
from .masks import UNKNOWN
from .pixels import decode, is_file
from .table import (
    CLASSES,
    LABELS,
    SPLITS,
    CaseError,
    Problem,
    class_index,
    each,
    get,
    is_missing,
    require_columns,
    text,
    tidy,
)

SHOWN = 20  # problems an error message lists in full
NAMED = 3  # files that a note of many names
LARGE, SMALL = 0.5, 0.001  # shares of the picture; BUS-BRA's nodules: .006 to .58, 3 of 1875 above
MANY = 0.1  # share of a folder's nodules that makes it worth a note


def check_cases(
    cases: pd.DataFrame, *, strict: bool = False, minimum: int = 10, size: int | None = None
) -> tuple[pd.DataFrame, list[Problem]]:
    """Find every problem of a case table in one pass, and leave the rows that have one out.

    A picture or a patient in two splits leaks. The copy nearest to training is then left out
    (train before valid before test), so that what was meant for testing stays.

    Args:
        cases: the case table; a `split` column, if there is one, is checked too.
        strict: raise on any problem instead of leaving rows out.
        minimum: fewest cases that must be left.
        size: of the network, if it is known: the images are then kept as it sees them, for the
            loaders, which need not decode them again.

    Returns:
        The good rows, with a fresh index, text columns as str and missing values as None; and all
        problems, those that the source had found while reading (`attrs["left_out"]`) first.

    Raises:
        CaseError: a column is missing; a problem, if `strict`; too few cases, or no case of one of
            the two classes, are left (unless no case at all is labelled).

    >>> from tempfile import TemporaryDirectory
    >>> from lib.sources import phantom
    >>> with TemporaryDirectory() as folder:
    ...     cases = phantom.read(folder, cases=12, size=32)
    ...     cases.loc[0, "label"] = "maligant"
    ...     checked, problems = check_cases(cases)
    >>> len(checked), problems[0].what.split(";")[0]
    (11, "unknown label 'maligant'")
    """
    require_columns(cases)
    known = list(cases.attrs.get("left_out", []))
    found = defaultdict(list)  # row position -> its problems
    looks: dict[int, Look] = {}

    for at, (problems, seen) in enumerate(each(partial(_examine, size=size), cases)):
        found[at] += problems
        if seen:
            looks[at] = seen
    for at, problem in _repeated_names(cases):
        found[at].append(problem)
    sound = [at for at in range(len(cases)) if not any(p.left_out for p in found[at])]
    if "split" in cases:
        # A row that is left out for another reason cannot leak, so only sound rows are compared.
        table = cases.iloc[sound]
        for keys, what in (
            ([looks[at].picture for at in sound], "the same picture"),
            (table["group"].astype(str).tolist(), "its group"),
        ):
            for at, problem in split_leaks(table, keys, what):
                found[sound[at]].append(problem)

    here = together(problem for at in sorted(found) for problem in found[at])
    here += _odd_sizes(cases, {at: looks[at].share for at in sound})
    problems = list(dict.fromkeys([*known, *here]))
    if strict:
        stop_on_any(problems)
    keep = [at for at in sound if not any(p.left_out for p in found[at])]
    checked = tidy(cases.iloc[keep])
    require_enough(checked, cases, problems, minimum)
    checked.attrs["left_out"] = problems
    return checked, problems


def together(problems: Iterable[Problem]) -> list[Problem]:
    """The same note of several files as one, which counts and names them; the rest as it is."""
    problems = list(problems)
    files = defaultdict(list)
    for problem in problems:
        files[problem.what, problem.left_out].append(Path(problem.file).name)
    kept = []
    for problem in problems:
        names = files.pop((problem.what, problem.left_out), []) if not problem.left_out else [None]
        more = names[1:]
        if more:
            listed = ", ".join(more[:NAMED]) + ", ..." * (len(more) > NAMED)
            also = f"{problem.what} (and {len(more)} more: {listed})"
            problem = replace(problem, what=also)
        if names:
            kept.append(problem)
    return kept


def _odd_sizes(cases: pd.DataFrame, shares: Mapping[int, float]) -> list[Problem]:
    """A note for each folder in which many nodules are too large or too small to be true."""
    notes = []
    folders = defaultdict(list)
    for at, share in shares.items():
        if share:
            folders[Path(str(cases["image"].iloc[at])).parent].append(at)
    for folder, rows in folders.items():
        for what, odd in (
            (f"more than {LARGE:.0%}", [at for at in rows if shares[at] > LARGE]),
            (f"less than {SMALL:.1%}", [at for at in rows if shares[at] < SMALL]),
        ):
            if len(odd) > MANY * len(rows):
                first = cases.iloc[odd[0]]
                what = (
                    f"the nodules of {len(odd)} of {len(rows)} images cover {what} of their "
                    f"pictures, first {Path(first['image']).name}: do the masks mean what they "
                    "seem to?"
                )
                notes.append(Problem(str(first["case"]), str(folder), what, left_out=False))
    return notes


def _examine(row: Any, size: int | None) -> tuple[list[Problem], Look | None]:
    """All problems that one row has by itself, and what its files hold, if they can be decoded."""
    case, file, label = get(row, "case"), str(get(row, "image")), get(row, "label")
    problems: list[Problem] = []

    def report(what: str) -> None:
        problems.append(Problem(str(case), file, what))

    for name in ("case", "image", "group"):
        value = get(row, name)
        if is_missing(value) or not str(value).strip():
            report(f"column {name!r} has no value (case {case!r})")
    label = text(label)
    if label is not None and label not in LABELS:
        report(f"unknown label {label!r}; known are {', '.join(LABELS)}, or None (unlabelled)")
    split = get(row, "split", "train")
    if split not in SPLITS:
        report(f"unknown split {split!r}; known are {', '.join(SPLITS)}")
    if is_missing(get(row, "image")):
        return problems, None

    seen = look(row, size)
    problems += seen.problems
    if seen.grey and seen.grey[0] == seen.grey[1]:
        report(f"a constant picture: every pixel is {seen.grey[0]}")
    if seen.picture is None:
        return problems, None
    nodule = sum(seen.counts[1:])

    for region in get(row, "mask"):
        if region.label is not None and region.label not in CLASSES:
            report(f"unknown label {region.label!r} of a region; known are {', '.join(CLASSES)}")
        elif region.label is not None and label not in (region.label, "both"):
            report(f"a region is labelled {region.label}, but the case {label}")
    outlines = [str(r.outline) for r in get(row, "mask") if is_file(r.outline)]
    where = f" (mask {', '.join(outlines)})" if outlines else ""
    if label == "normal":
        if nodule:
            report(f"labelled normal, but its mask holds {nodule} nodule pixels{where}")
    elif not nodule:
        report(f"labelled {label or 'unlabelled'}, but its mask is empty{where}{_why_empty(row)}")
    elif label == "both" and seen.counts[UNKNOWN]:
        report(f"labelled both, but a region does not say which of the two it is{where}")
    elif label == "both":
        for value, name in enumerate(CLASSES, start=1):
            if not seen.counts[value]:
                report(f"labelled both, but no {name} nodule is drawn{where}")
    return problems, seen


def _why_empty(row: Any) -> str:
    """The usual reason: a crop beside the nodule."""
    if not get(row, "mask"):
        return ": no nodule is drawn"
    whole = {name: get(row, name) for name in ("case", "image", "mask", "label")}
    if decode(whole | {"crop": None})[1].any():
        return f": the crop {get(row, 'crop')} leaves the nodule out"
    return ""


def _repeated_names(cases: pd.DataFrame) -> Iterable[tuple[int, Problem]]:
    names = cases["case"].astype(str).tolist()
    times = Counter(names)
    for at, (name, file) in enumerate(zip(names, cases["image"], strict=True)):
        if times[name] > 1 and not is_missing(cases["case"].iloc[at]):
            # Nobody can say which of the rows is meant, so none is used.
            yield at, Problem(name, str(file), f"case name {name!r} is used {times[name]} times")


def split_leaks(
    cases: pd.DataFrame, keys: Sequence[Hashable], what: str
) -> Iterable[tuple[int, Problem]]:
    """Rows that share a key with a row of a later split (train < valid < test)."""
    last: dict[Hashable, int] = {}
    rank = cases["split"].map(SPLITS.index).tolist()
    for at, key in enumerate(keys):
        if key not in last or rank[at] > rank[last[key]]:
            last[key] = at
    for at, key in enumerate(keys):
        winner = last[key]
        if rank[at] < rank[winner]:
            row, other = cases.iloc[at], cases.iloc[winner]
            named = f"{what} {row['group']!r}" if what == "its group" else what
            yield (
                at,
                Problem(
                    str(row["case"]),
                    str(row["image"]),
                    f"in {row['split']}, but {named} is also in {other['split']}: "
                    f"{Path(other['image']).name}",
                ),
            )


def require_enough(
    left: pd.DataFrame, given: pd.DataFrame, problems: list[Problem], minimum: int
) -> None:
    if len(left) < minimum:
        raise CaseError(
            f"{len(left)} of {len(given)} cases can be used, at least {minimum} are needed "
            f"(minimum={minimum}).{_listing(problems)}"
        )
    splits = set(left["split"]) if "split" in left else set(SPLITS)
    for name in SPLITS:
        if name not in splits:
            raise CaseError(f"no case is left in the split {name!r}.{_listing(problems)}")
    labels = [text(label) for label in given["label"]]
    if all(label is None for label in labels):
        return  # segmentation only
    present = {class_index(label) for label in left["label"]}
    for index, name in enumerate(CLASSES):
        if index not in present:
            before = sum(class_index(label) == index for label in labels)
            if not before:
                counts = Counter(label or "without a label" for label in labels)
                raise CaseError(
                    f"no case of {len(labels)} is labelled {name} "
                    f"({', '.join(f'{count} {label}' for label, count in counts.items())}). Both "
                    "classes are needed: fill in the missing labels, or, to train the "
                    f"segmentation only, give none.{_listing(problems)}"
                )
            raise CaseError(
                f"no {name} case is left (of {before} in the table): both classes are needed."
                f"{_listing(problems)}"
            )


def stop_on_any(problems: list[Problem]) -> None:
    faults = [p for p in problems if p.left_out]
    if faults:
        number = f"{len(faults)} problem{'s' * (len(faults) > 1)}"
        raise CaseError(f"the case table has {number} (strict):{_listing(faults)}")


def _listing(problems: list[Problem]) -> str:
    faults = [f"\n  {p}" for p in problems if p.left_out]
    more = f"\n  ... and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "".join(faults[:SHOWN]) + more
