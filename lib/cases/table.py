"""The case table: one row per ultrasound image, in words that every source and reader shares.

Columns: `case` (unique name), `image` (path), `mask` (tuple of `Region`), `label` (one of `LABELS`
or None), `group` (patient), `crop` ((x0, y0, x1, y1) in pixels, or None) and, once split, `split`.
Any further column is carried along.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pandas as pd
from PIL import Image

CLASSES = ("benign", "malignant")  # channels 1 and 2 of Seg3, indices 0 and 1 of Cls
LABELS = ("benign", "malignant", "normal", "both")  # None: unlabelled, for segmentation only
SPLITS = ("train", "valid", "test")
COLUMNS = ("case", "image", "mask", "label", "group", "crop")


class CaseError(ValueError):
    """A case, or a table of cases, that cannot be used as it is."""


@dataclass(frozen=True)
class Region:
    """One annotated nodule.

    `outline`: path of a mask file, or a polygon of (x, y) points in pixels of the uncropped image.
    `label`: the nodule's class; None means that of the whole case.

    >>> Region("masks/a.png", "benign")
    Region(outline='masks/a.png', label='benign')
    >>> Region(((4, 4), (9, 4), (9, 9))).label is None
    True
    """

    outline: str | tuple[tuple[float, float], ...]
    label: str | None = None


@dataclass(frozen=True)
class Problem:
    """Something a reader of the results should know about one case.

    `left_out`: True, the row was left out of the table; False, it was kept and this is a note.

    >>> print(Problem("a", "images/a.png", "the file is empty (0 bytes)"))
    images/a.png: the file is empty (0 bytes)
    """

    case: str
    file: str
    what: str
    left_out: bool = True

    def __str__(self) -> str:
        told = f"{self.file}: {self.what}"  # a name from another machine may not be UTF-8
        return told.encode(errors="backslashreplace").decode()


def class_index(label: str | None) -> int:
    """Image-level class: benign 0, malignant 1, "both" 1 (any malignant nodule), otherwise -1.

    >>> [class_index(label) for label in (*LABELS, None)]
    [0, 1, -1, 1, -1]
    """
    return {"benign": 0, "malignant": 1, "both": 1}.get(label, -1)


def require_columns(cases: Any) -> None:
    if not isinstance(cases, pd.DataFrame):
        raise CaseError(f"a case table is a pandas DataFrame, not {type(cases).__name__}")
    missing = [name for name in COLUMNS if name not in cases]
    if missing:
        raise CaseError(
            f"the case table lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"it has {', '.join(map(str, cases.columns)) or 'none'}"
        )


def tidy(cases: pd.DataFrame) -> pd.DataFrame:
    """A fresh index, str paths and names, and None (not NaN) where there is nothing."""
    table = cases.reset_index(drop=True).copy()
    for name in ("case", "image", "group"):
        table[name] = table[name].astype(str)
    for name, clean in (("label", text), ("crop", crop_of)):
        table[name] = pd.Series([clean(v) for v in table[name]], dtype=object, index=table.index)
    return table


def each(function: Callable[[Any], Any], cases: pd.DataFrame) -> list[Any]:
    """`function` of every row, in order, on all cores: decoding and hashing release the GIL."""
    rows = [dict(zip(cases.columns, row, strict=True)) for row in cases.itertuples(index=False)]
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        # Pillow only warns of a picture that is rather large; here that is reported as a problem.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", message="(Corrupt|Possibly corrupt) EXIF")
        return list(pool.map(function, rows))


def get(row: Any, name: str, default: Any = None) -> Any:
    """One field of a row. Not `row.mask`: on a Series that is a method of pandas."""
    if isinstance(row, Mapping | pd.Series):
        return row.get(name, default)
    return getattr(row, name, default)


def is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def text(value: Any) -> str | None:
    """A label as text; None where a table (or pandas, with NaN) has nothing."""
    return None if is_missing(value) or value == "" else str(value)


def crop_of(value: Any) -> Any:
    return None if is_missing(value) else value
