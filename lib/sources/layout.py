"""What the published layouts have in common: a root folder, csv files, and rows of the case table.

Everything here says what was looked for and where, so that a wrong folder is found in one reading.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from .. import paths
from ..cases import COLUMNS, CaseError, Problem
from ..home import HOME
from . import spreadsheet

DATA = HOME / "data"  # where data/fetch.py puts a set
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LEFT_BEHIND = ("Thumbs.db", "desktop.ini", "__MACOSX", "DICOMDIR")


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
    root = DATA / name if root is None else paths.given(root)
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


def read_csv(
    path: Path, columns: Sequence[str], header: bool = True, *, optional: Sequence[str] = ()
) -> pd.DataFrame:
    """A csv file as text, nothing guessed: every cell a stripped str, "" where it is empty.

    Encodings, delimiters and headers as `lib.sources.spreadsheet` reads them; `attrs["notes"]`
    says in words what was not the usual, `attrs["numbers"]` the number of each row in the file.

    Args:
        columns: that must be there; without a `header`, the names to give them.
        optional: names of columns that may be there; these and `columns` in any capitals.

    Raises:
        CaseError: not readable, a column is missing, or a row has too many or too few cells.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.csv")
    ...     pd.DataFrame({"Image": ["0001.png"], "label": [None]}).to_csv(file, sep=";")
    ...     table = read_csv(file, ["image", "label"])
    >>> table[["image", "label"]].iloc[0].tolist(), table.attrs["notes"]
    (['0001.png', ''], ['its cells are separated by semicolons'])
    """
    lines, notes = spreadsheet.cells(path, columns, header=header)
    names = list(columns)
    if header:
        meant = {name.casefold(): name for name in (*columns, *optional)}
        head = lines.pop(next(iter(lines))) if lines else []
        names = [meant.get(cell.casefold(), cell) for cell in head]
    lacking = [column for column in columns if column not in names]
    if lacking:
        raise CaseError(
            f"{path}: no column {', '.join(lacking)}; it has {', '.join(names) or 'none'}"
            + "".join(f" ({note})" for note in notes)
        )
    if len(set(names)) < len(names):
        raise CaseError(f"{path}: a column name is used twice: {', '.join(names)}")
    for number, row in lines.items():
        if len(row) != len(names):
            raise CaseError(
                f"{path}: row {number} has {len(row)} cells, {len(names)} are expected "
                f"({', '.join(names)}): {','.join(row)[:80]}"
            )
    table = pd.DataFrame(list(lines.values()), columns=names, dtype=str)
    table.attrs |= {"notes": notes, "numbers": list(lines)}
    return table


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


def files(folder: Path) -> Iterator[Path]:
    """The files of a folder and of all its subfolders, in natural order.

    Hidden ones, and those that a file manager leaves behind, are passed over. A folder whose own
    name is that of a picture is given as it is.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("p10/a.png", "p2/a.png", "b.jpg"):
    ...         Path(folder, name).parent.mkdir(exist_ok=True)
    ...         Path(folder, name).touch()
    ...     found = [path.relative_to(folder).as_posix() for path in files(Path(folder))]
    >>> found
    ['b.jpg', 'p2/a.png', 'p10/a.png']
    """
    yield from _files(folder, {os.path.realpath(folder)})


def _files(folder: Path, above: set[str]) -> Iterator[Path]:
    inner = []
    with os.scandir(folder) as entries:
        found = [e for e in entries if not e.name.startswith(".") and e.name not in LEFT_BEHIND]
    kept = []
    for entry in found:
        link = entry.is_symlink()
        is_folder = os.path.isdir(entry.path) if link else entry.is_dir()
        if is_folder and Path(entry.name).suffix.lower() not in PICTURES:
            inner.append(entry)
        else:
            kept.append(folder / entry.name)
    yield from sorted(kept, key=natural)
    for path in sorted((folder / entry.name for entry in inner), key=natural):
        real = os.path.realpath(path)
        if real not in above:  # a link that leads back up would never end
            yield from _files(path, {*above, real})


def natural(path: Path) -> tuple:
    """Sort key that reads runs of digits as numbers.

    >>> [path.name for path in sorted(map(Path, ("a10.png", "b1.png", "a2.png")), key=natural)]
    ['a2.png', 'a10.png', 'b1.png']
    >>> [path.name for path in sorted(map(Path, ("a1.png", "a.png", "a.bmp")), key=natural)]
    ['a.bmp', 'a.png', 'a1.png']
    """
    parts = re.split(r"(\d+)", path.stem)
    return (*((int(p), "") if p.isdecimal() else (-1, p) for p in parts), (-1, path.suffix))


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
