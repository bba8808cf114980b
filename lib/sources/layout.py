"""What the published layouts have in common: a root folder, csv files, and rows of the case table.

Everything here says what was looked for and where, so that a wrong folder is found in one reading.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from ..cases import COLUMNS, CaseError, Problem
from ..home import HOME

DATA = HOME / "data"  # where data/fetch.py puts a set
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LARGEST_TEXT = 64 * 2**20  # bytes; the largest csv of a published set has 0.3 MB


def find_root(
    name: str, root: str | Path | None, needed: Sequence[str], inner: Sequence[str] = ()
) -> Path:
    """The folder that holds everything `needed`.

    Args:
        name: of the source, as in `data/NAME.md`.
        root: the user's folder; None means `data/NAME` of this project.
        needed: names that must exist in it; one that ends in "/" must be a folder.
        inner: folder names that the archive may have put in between.

    Raises:
        CaseError: no such folder, or something in it is missing.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "inside", "images").mkdir(parents=True)
    ...     found = find_root("folder", folder, ["images/"], inner=["inside"])
    >>> found.name
    'inside'
    """
    root = DATA / name if root is None else Path(root)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise CaseError(f"{name}: {root} {what}. {_advice(name)}")
    for folder in (root, *(root / step for step in inner)):
        if not _missing(folder, needed):
            return folder
    raise CaseError(
        f"{name}: looked for {', '.join(needed)} in {root}, but "
        f"{', '.join(_missing(root, needed))} is missing. {_advice(name)}"
    )


def _missing(folder: Path, needed: Sequence[str]) -> list[str]:
    return [
        entry
        for entry in needed
        if not ((folder / entry).is_dir() if entry.endswith("/") else (folder / entry).is_file())
    ]


def _advice(name: str) -> str:
    return (
        f"The layout is described in data/{name}.md; `python data/fetch.py {name}` gets the data "
        "or says how to."
    )


def read_csv(path: Path, columns: Sequence[str], header: bool = True) -> pd.DataFrame:
    """A csv file as text, nothing guessed: every cell a stripped str, "" where it is empty.

    Args:
        columns: that must be there; without a `header`, the names to give them.

    Raises:
        CaseError: not readable, a column is missing, or a row has too many or too few cells.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     pd.DataFrame({"image": ["0001.png"], "label": [None]}).to_csv(f"{folder}/a.csv")
    ...     table = read_csv(Path(folder, "a.csv"), ["image", "label"])
    >>> table[["image", "label"]].iloc[0].tolist()
    ['0001.png', '']
    """
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise CaseError(f"{path}: {path.stat().st_size} bytes is too large for a table")
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [row for row in csv.reader(file, strict=True) if any(c.strip() for c in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"{path}: cannot be read as a csv file ({error})") from error
    names = list(columns)
    if header:
        names = [cell.strip() for cell in lines.pop(0)] if lines else []
    lacking = [column for column in columns if column not in names]
    if lacking:
        raise CaseError(
            f"{path}: no column {', '.join(lacking)}; it has {', '.join(names) or 'none'}"
        )
    if len(set(names)) < len(names):
        raise CaseError(f"{path}: a column name is used twice: {', '.join(names)}")
    for number, row in enumerate(lines, start=1 + header):
        if len(row) != len(names):
            raise CaseError(
                f"{path}: row {number} has {len(row)} cells, {len(names)} are expected "
                f"({', '.join(names)}): {','.join(row)[:80]}"
            )
    return pd.DataFrame([[cell.strip() for cell in row] for row in lines], columns=names, dtype=str)


def is_plain(name: str) -> bool:
    """Whether a file name from a table stays in its folder: no path, no drive, no `..`.

    >>> is_plain("a.png"), is_plain("../a.png"), is_plain("C:a.png")
    (True, False, False)
    """
    return (
        bool(name)
        and "\0" not in name
        and name not in (".", "..")
        and PurePosixPath(name).name == name
        and PureWindowsPath(name).name == name
    )


def pictures(folder: Path, suffixes: Sequence[str] = PICTURES) -> list[Path]:
    """The picture files of a folder, `image2` before `image10`; hidden files are passed over.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("a10.png", "a2.jpg", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     found = [path.name for path in pictures(Path(folder))]
    >>> found
    ['a2.jpg', 'a10.png']
    """
    return sorted(
        (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        ),
        key=natural,
    )


def natural(path: Path) -> tuple:
    """Sort key that reads runs of digits as numbers.

    >>> [path.name for path in sorted(map(Path, ("a10.png", "b1.png", "a2.png")), key=natural)]
    ['a2.png', 'a10.png', 'b1.png']
    """
    parts = re.split(r"(\d+)", path.stem)
    return (*((int(p), "") if p.isdecimal() else (-1, p) for p in parts), path.suffix)


def case_table(
    name: str, root: Path, rows: Iterable[dict], problems: Sequence[Problem] = ()
) -> pd.DataFrame:
    """Rows as a case table, in the order of COLUMNS, further columns behind.

    Raises:
        CaseError: there is no row; the problems found so far are listed.

    >>> row = dict.fromkeys(COLUMNS) | {"case": "a", "image": "a.png", "mask": (), "group": "p1"}
    >>> case_table("folder", Path("data/folder"), [row | {"side": "left"}]).columns.tolist()
    ['case', 'image', 'mask', 'label', 'group', 'crop', 'side']
    """
    rows = list(rows)
    if not rows:
        listing = "".join(f"\n  {problem}" for problem in problems[:20])
        raise CaseError(f"{name}: no case can be used in {root}. {_advice(name)}{listing}")
    extra = [column for column in rows[0] if column not in COLUMNS]
    table = pd.DataFrame(
        {
            # object, or pandas would turn the None of an unlabelled case into NaN
            column: pd.Series([row[column] for row in rows], dtype=object)
            if column in ("mask", "label", "crop")
            else [row[column] for row in rows]
            for column in (*COLUMNS, *extra)
        }
    )
    table.attrs["left_out"] = list(problems)
    return table
