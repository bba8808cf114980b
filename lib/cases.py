"""The case table: one row per ultrasound image, checked, grouped and split.

Columns: `case` (unique name), `image` (path), `mask` (tuple of `Region`), `label` (one of `LABELS`
or None), `group` (patient), `crop` ((x0, y0, x1, y1) in pixels, or None) and, once split, `split`.
Any further column is carried along.
"""

import errno
import hashlib
import json
import math
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, UnidentifiedImageError
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from . import dicom

CLASSES = ("benign", "malignant")  # channels 1 and 2 of Seg3, indices 0 and 1 of Cls
LABELS = ("benign", "malignant", "normal", "both")  # None: unlabelled, for segmentation only
SPLITS = ("train", "valid", "test")
COLUMNS = ("case", "image", "mask", "label", "group", "crop")

UNKNOWN = 3  # mask value of a nodule whose class nobody stated
THRESHOLD = 128  # masks saved as JPEG, or resized, have edge values between 0 and 255
MAX_PIXELS = 2**26  # 8192 x 8192: far above any ultrasound picture, far below a full memory
# No format whose reader starts another program (EPS calls Ghostscript).
# Out of memory or of open files, a disk or a network that fails: not what is in a file.
MACHINE = {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000")
SHOWN = 20  # problems an error message lists in full


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
        return f"{self.file}: {self.what}"


def class_index(label: str | None) -> int:
    """Image-level class: benign 0, malignant 1, "both" 1 (any malignant nodule), otherwise -1.

    >>> [class_index(label) for label in (*LABELS, None)]
    [0, 1, -1, 1, -1]
    """
    return {"benign": 0, "malignant": 1, "both": 1}.get(label, -1)


# ---------------------------------------------------------------------------------------- pixels


def decode(row: Any) -> tuple[np.ndarray, np.ndarray]:
    """Read one case's image and mask, with the crop applied to both.

    Args:
        row: a row of the case table (`itertuples`, `iloc`, or a mapping).

    Returns:
        image, uint8 (H, W), grey 0..255; and mask, uint8 (H, W): 0 background, 1 benign,
        2 malignant, 3 nodule of unknown class. Where regions overlap the worse one is kept.

    Raises:
        CaseError: a file is missing, damaged, too large or of another size, or a polygon or crop
            does not fit the image; the message names every file at fault.

    >>> from tempfile import TemporaryDirectory
    >>> nodule = Region(((1, 1), (3, 1), (3, 2), (1, 2)), "malignant")
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (5, 4), 90).save(f"{folder}/a.png")
    ...     image, mask = decode({"case": "a", "image": f"{folder}/a.png", "mask": (nodule,)})
    >>> mask
    array([[0, 0, 0, 0, 0],
           [0, 2, 2, 2, 0],
           [0, 2, 2, 2, 0],
           [0, 0, 0, 0, 0]], dtype=uint8)
    """
    image, mask, problems = _decode(row)
    faults = [str(p) for p in problems if p.left_out]
    if faults:
        raise CaseError("; ".join(faults))
    return image, mask


def _decode(row: Any) -> tuple[np.ndarray | None, np.ndarray | None, list[Problem]]:
    """Decode as far as possible; whatever stands in the way comes back in the list."""
    case, file = str(_get(row, "case")), str(_get(row, "image"))
    problems: list[Problem] = []

    def report(file: str, what: str, left_out: bool = True) -> None:
        problems.append(Problem(case, file, what, left_out))

    regions, label = _get(row, "mask"), _text(_get(row, "label"))
    image = _read_grey(file, report)
    if not _are_regions(regions):
        report(file, f"mask is {regions!r}; a tuple of Region is needed, () for no nodule")
        return image, None, problems

    mask = None if image is None else np.zeros(image.shape, np.uint8)
    for value, outline in sorted(
        ((_mask_value(region.label or label), region.outline) for region in regions),
        key=lambda painted: painted[0] % UNKNOWN,  # unknown first, malignant last
    ):
        if _is_file(outline):
            layer = _read_grey(str(outline), report)
            if layer is None or image is None:
                continue
            if layer.shape != image.shape:
                report(
                    str(outline),
                    f"mask is {_size(layer.shape)}, but its image {file} is {_size(image.shape)}",
                )
                continue
            mask[layer >= THRESHOLD] = value
        else:
            fault = _polygon_fault(outline, None if image is None else image.shape)
            if fault:
                report(file, fault)
            elif image is not None:
                canvas = Image.fromarray(mask)
                ImageDraw.Draw(canvas).polygon([tuple(p) for p in outline], fill=value)
                mask = np.array(canvas)

    crop = _crop(_get(row, "crop"))
    if crop is not None:
        fault = _crop_fault(crop, None if image is None else image.shape)
        if fault:
            report(file, fault)
        elif image is not None:
            x0, y0, x1, y1 = (int(v) for v in crop)
            image, mask = image[y0:y1, x0:x1].copy(), mask[y0:y1, x0:x1].copy()
    return image, mask, problems


def _read_grey(file: str, report: Callable[..., None]) -> np.ndarray | None:
    """One file as uint8 (H, W), or None once the reason has been reported."""
    path = Path(file)
    if not path.is_file():  # also keeps a pipe or a device from blocking the run
        report(file, "not a regular file" if path.exists() else "no such file")
        return None
    if path.stat().st_size == 0:
        report(file, "the file is empty (0 bytes)")
        return None
    if dicom.is_dicom(path):
        try:
            return _shades(dicom.read_pixels(path))
        except dicom.DicomError as error:
            _stop_if_not_the_files(error, file)
            report(file, str(error))
            return None
    try:
        with Image.open(path, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                report(file, _too_large(f"{width} x {height} px"))
                return None
            frames = getattr(picture, "n_frames", 1)
            if frames > 1:
                report(file, f"holds {frames} pictures; the first one is used", left_out=False)
            picture.seek(0)
            return _to_grey(picture)
    except UnidentifiedImageError:
        report(file, f"not an image in a known format ({', '.join(FORMATS)})")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        report(file, _too_large(str(error).split(" exceeds")[0]))
    except Exception as error:  # image readers raise nearly every kind of error on damaged bytes
        _stop_if_not_the_files(error, file)
        report(file, f"damaged or cut off, cannot be decoded ({error})")
    return None


def _stop_if_not_the_files(error: Exception, file: str) -> None:
    """Raise again what is the machine's fault: to leave the file out would change the data."""
    cause = error.__cause__ or error
    if isinstance(cause, MemoryError):
        raise MemoryError(f"{file}: not enough memory to decode it") from error
    if isinstance(cause, OSError) and cause.errno in MACHINE:
        raise OSError(cause.errno, cause.strerror, file) from error


def _too_large(size: str) -> str:
    return f"{size}: a decompression bomb? At most {MAX_PIXELS} pixels are read; make it smaller"


def _to_grey(picture: Image.Image) -> np.ndarray:
    """8-bit grey. Deeper pictures are scaled so that their largest value is 255; no alpha."""
    if picture.mode.startswith(("I", "F")):
        return _shades(np.asarray(picture))
    if picture.mode not in ("1", "L", "LA", "RGB"):
        picture = picture.convert("RGB")  # palette, CMYK, RGBA: colours first, alpha dropped
    return np.array(picture.convert("L"))


def _shades(pixels: np.ndarray) -> np.ndarray:
    """8-bit grey of pixels of any depth, (H, W), or of colours, uint8 (H, W, 3)."""
    if pixels.dtype == np.uint8:
        return np.array(Image.fromarray(pixels).convert("L"))
    deep = pixels.astype(np.float64)
    if deep.ndim == 3:
        deep = deep @ (0.299, 0.587, 0.114)
    if not np.isfinite(deep).all():
        raise ValueError("it holds NaN or infinite pixels")
    low, high = min(0.0, deep.min()), deep.max()  # 0 stays black: 12 bits in 16 keep contrast
    return np.round((deep - low) * (255 / (high - low or 1))).astype(np.uint8)


def _ignore(*_: Any, **__: Any) -> None:
    """A report of something that was reported before."""


def _is_file(outline: Any) -> bool:
    return isinstance(outline, str | os.PathLike)


def _mask_value(label: str | None) -> int:
    return CLASSES.index(label) + 1 if label in CLASSES else UNKNOWN


def _are_regions(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(region, Region) for region in value)


def _polygon_fault(points: Any, shape: tuple[int, int] | None) -> str | None:
    try:
        points = np.asarray(points, dtype=float).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        return "polygon is not a list of (x, y) numbers"
    if not np.isfinite(points).all():
        return "polygon has a point that is NaN or infinite"
    if len(np.unique(points, axis=0)) < 3:
        return f"polygon has {len(np.unique(points, axis=0))} different points; 3 are needed"
    if shape is None:
        return None
    # Drawing tools let the pen slip a pixel past the border: that is clipped, no more.
    outside = points[((points < -1) | (points > (shape[1], shape[0]))).any(axis=1)]
    if len(outside):
        x, y = outside[np.abs(outside - (shape[1] / 2, shape[0] / 2)).sum(axis=1).argmax()]
        return (
            f"polygon lies outside the image: {len(outside)} of {len(points)} points, such as "
            f"({x:g}, {y:g}), in a picture of {_size(shape)}"
        )
    return None


def _crop(value: Any) -> Any:
    return None if _is_missing(value) else value


def _crop_fault(crop: Any, shape: tuple[int, int] | None) -> str | None:
    try:
        x0, y0, x1, y1 = crop
        if not all(float(v).is_integer() for v in (x0, y0, x1, y1)):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        return f"crop {crop!r} is not four whole numbers (x0, y0, x1, y1)"
    if x1 <= x0 or y1 <= y0:
        return f"crop {crop} is empty: x0 < x1 and y0 < y1 are needed"
    if shape is not None and (x0 < 0 or y0 < 0 or x1 > shape[1] or y1 > shape[0]):
        return f"crop {crop} lies outside the image of {_size(shape)}"
    return None


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]} x {shape[0]} px"


# ----------------------------------------------------------------------------------------- check


def check_cases(
    cases: pd.DataFrame, *, strict: bool = False, minimum: int = 10
) -> tuple[pd.DataFrame, list[Problem]]:
    """Find every problem of a case table in one pass, and leave the rows that have one out.

    A picture or a patient in two splits leaks. The copy nearest to training is then left out
    (train before valid before test), so that what was meant for testing stays.

    Args:
        cases: the case table; a `split` column, if there is one, is checked too.
        strict: raise on any problem instead of leaving rows out.
        minimum: fewest cases that must be left.

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
    _require_columns(cases)
    known = list(cases.attrs.get("left_out", []))
    found = defaultdict(list)  # row position -> its problems
    digests: dict[int, str] = {}

    for at, (problems, digest) in enumerate(_each(_examine, cases)):
        found[at] += problems
        if digest:
            digests[at] = digest
    for at, problem in _repeated_names(cases):
        found[at].append(problem)
    sound = [at for at in range(len(cases)) if not any(p.left_out for p in found[at])]
    if "split" in cases:
        # A row that is left out for another reason cannot leak, so only sound rows are compared.
        table = cases.iloc[sound]
        for keys, what in (
            ([digests[at] for at in sound], "the same picture"),
            (table["group"].astype(str).tolist(), "its group"),
        ):
            for at, problem in _leaks(table, keys, what):
                found[sound[at]].append(problem)

    problems = list(dict.fromkeys([*known, *(p for at in sorted(found) for p in found[at])]))
    if strict:
        _stop_on_any(problems)
    keep = [at for at in sound if not any(p.left_out for p in found[at])]
    checked = _tidy(cases.iloc[keep])
    _require_enough(checked, cases, problems, minimum)
    checked.attrs["left_out"] = problems
    return checked, problems


def _examine(row: Any) -> tuple[list[Problem], str | None]:
    """All problems that one row has by itself, and a digest of its pixels."""
    case, file, label = _get(row, "case"), str(_get(row, "image")), _get(row, "label")
    problems: list[Problem] = []

    def report(what: str) -> None:
        problems.append(Problem(str(case), file, what))

    for name in ("case", "image", "group"):
        value = _get(row, name)
        if _is_missing(value) or not str(value).strip():
            report(f"column {name!r} has no value (case {case!r})")
    label = _text(label)
    if label is not None and label not in LABELS:
        report(f"unknown label {label!r}; known are {', '.join(LABELS)}, or None (unlabelled)")
    split = _get(row, "split", "train")
    if split not in SPLITS:
        report(f"unknown split {split!r}; known are {', '.join(SPLITS)}")
    if _is_missing(_get(row, "image")):
        return problems, None

    image, mask, faults = _decode(row)
    problems += faults
    if image is not None and image.min() == image.max():
        report(f"a constant picture: every pixel is {image.min()}")
    if mask is None or any(p.left_out for p in faults):
        return problems, None

    for region in _get(row, "mask"):
        if region.label is not None and region.label not in CLASSES:
            report(f"unknown label {region.label!r} of a region; known are {', '.join(CLASSES)}")
        elif region.label is not None and label not in (region.label, "both"):
            report(f"a region is labelled {region.label}, but the case {label}")
    outlines = [str(r.outline) for r in _get(row, "mask") if _is_file(r.outline)]
    where = f" (mask {', '.join(outlines)})" if outlines else ""
    if label == "normal":
        if mask.any():
            report(
                f"labelled normal, but its mask holds {np.count_nonzero(mask)} nodule pixels{where}"
            )
    elif not mask.any():
        report(f"labelled {label}, but its mask is empty{where}{_why_empty(row)}")
    elif label == "both" and (mask == UNKNOWN).any():
        report(f"labelled both, but a region does not say which of the two it is{where}")
    elif label == "both":
        for value, name in enumerate(CLASSES, start=1):
            if not (mask == value).any():
                report(f"labelled both, but no {name} nodule is drawn{where}")
    digest = hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
    return problems, digest


def _why_empty(row: Any) -> str:
    """The two usual reasons: a mask of class numbers 0/1/2, and a crop beside the nodule."""
    if not _get(row, "mask"):
        return ": no nodule is drawn"
    whole = {name: _get(row, name) for name in ("case", "image", "mask", "label")}
    if decode(whole | {"crop": None})[1].any():
        return f": the crop {_get(row, 'crop')} leaves the nodule out"
    files = [str(r.outline) for r in _get(row, "mask") if _is_file(r.outline)]
    brightest = max((int(_read_grey(file, _ignore).max()) for file in files), default=0)
    if brightest:
        return f": its brightest pixel is {brightest}, a nodule has {THRESHOLD} to 255"
    return ""


def _repeated_names(cases: pd.DataFrame) -> Iterable[tuple[int, Problem]]:
    names = cases["case"].astype(str).tolist()
    times = Counter(names)
    for at, (name, file) in enumerate(zip(names, cases["image"], strict=True)):
        if times[name] > 1 and not _is_missing(cases["case"].iloc[at]):
            # Nobody can say which of the rows is meant, so none is used.
            yield at, Problem(name, str(file), f"case name {name!r} is used {times[name]} times")


def _leaks(
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
                    f"in {row['split']}, but {named} is also in {other['split']}: {other['image']}",
                ),
            )


def _require_columns(cases: Any) -> None:
    if not isinstance(cases, pd.DataFrame):
        raise CaseError(f"a case table is a pandas DataFrame, not {type(cases).__name__}")
    missing = [name for name in COLUMNS if name not in cases]
    if missing:
        raise CaseError(
            f"the case table lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"it has {', '.join(map(str, cases.columns)) or 'none'}"
        )


def _require_enough(
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
    labels = [_text(label) for label in given["label"]]
    if all(label is None for label in labels):
        return  # segmentation only
    present = {class_index(label) for label in left["label"]}
    for index, name in enumerate(CLASSES):
        if index not in present:
            before = sum(class_index(label) == index for label in labels)
            raise CaseError(
                f"no {name} case is left (of {before} in the table): both classes are needed."
                f"{_listing(problems)}"
            )


def _stop_on_any(problems: list[Problem]) -> None:
    faults = [p for p in problems if p.left_out]
    if faults:
        number = f"{len(faults)} problem{'s' * (len(faults) > 1)}"
        raise CaseError(f"the case table has {number} (strict):{_listing(faults)}")


def _listing(problems: list[Problem]) -> str:
    faults = [f"\n  {p}" for p in problems if p.left_out]
    more = f"\n  ... and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "".join(faults[:SHOWN]) + more


def _tidy(cases: pd.DataFrame) -> pd.DataFrame:
    """A fresh index, str paths and names, and None (not NaN) where there is nothing."""
    table = cases.reset_index(drop=True).copy()
    for name in ("case", "image", "group"):
        table[name] = table[name].astype(str)
    for name, clean in (("label", _text), ("crop", _crop)):
        table[name] = pd.Series([clean(v) for v in table[name]], dtype=object, index=table.index)
    return table


# ------------------------------------------------------------------------------- near duplicates


def group_near_duplicates(
    cases: pd.DataFrame, *, bits: int = 16, distance: int = 48, correlation: float = 0.9
) -> tuple[pd.DataFrame, list[Problem]]:
    """Give pictures that are nearly the same, and all of their patients' others, one group.

    Two pictures are near duplicates if their perceptual hashes (DCT, `bits` x `bits`) differ in at
    most `distance` places and their 32 x 32 thumbnails correlate by at least `correlation`.
    The defaults were set on DDTI and BUS-BRA: one picture saved again, resized, brightened or
    cropped by 1 % differs in at most 32 of 256 places (correlation .93 and more), neighbouring
    frames of a clip in 22 to 42 (.95 to .99), two pictures of different nodules in 60 or more.

    Near duplicates with different labels are left out, all of them: one label is wrong, and nobody
    can say which. Their groups are joined all the same.

    Returns:
        The table, a joined group under the name of its first row; and the problems (rows left
        out) and notes (groups joined, `left_out=False`).

    Raises:
        CaseError: a picture cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> from lib.sources import phantom
    >>> with TemporaryDirectory() as folder:
    ...     cases = phantom.read(folder, cases=4, size=64)
    ...     cases.loc[3, ["image", "label"]] = cases.loc[0, ["image", "label"]]
    ...     table, notes = group_near_duplicates(cases)
    >>> table["group"].tolist()
    ['phantom00000', 'phantom00001', 'phantom00002', 'phantom00000']
    """
    _require_columns(cases)
    table = _tidy(cases)
    problems: list[Problem] = []
    if table.empty:
        return table, problems
    pairs = _near_duplicates(table, bits, distance, correlation)
    alike = _components(len(table), pairs)

    groups, names = pd.factorize(table["group"])
    joined = _components(len(names), [(groups[a], groups[b]) for a, b in pairs])
    first_name = pd.Series(names).groupby(joined).first()
    table["group"] = first_name.to_numpy()[joined[groups]]

    drop: list[int] = []
    for rows in _members(alike):
        labels = {table["label"][at] for at in rows} - {None}
        files = table["image"]
        if len(labels) > 1:
            drop += rows
            for at in rows:
                others = ", ".join(
                    f"{files[b]} ({table['label'][b] or 'unlabelled'})" for b in rows if b != at
                )
                mine = table["label"][at] or "unlabelled"
                problems.append(
                    Problem(
                        table["case"][at],
                        files[at],
                        f"{mine}, but the same picture has another label elsewhere: {others}",
                    )
                )
        elif len({groups[at] for at in rows}) > 1:
            merged = ", ".join(dict.fromkeys(names[groups[at]] for at in rows))
            others = ", ".join(files[at] for at in rows[1:])
            problems.append(
                Problem(
                    table["case"][rows[0]],
                    files[rows[0]],
                    f"nearly the same picture as {others}; groups {merged} are kept together",
                    left_out=False,
                )
            )
    table = table.drop(index=drop).reset_index(drop=True)
    table.attrs["left_out"] = [*cases.attrs.get("left_out", []), *problems]
    return table, problems


def _near_duplicates(
    cases: pd.DataFrame, bits: int, distance: int, correlation: float
) -> list[tuple[int, int]]:
    """All pairs of rows (a < b) that show nearly the same picture."""

    def look(row: Any) -> tuple[np.ndarray, np.ndarray]:
        picture = Image.fromarray(decode(row)[0])
        signs = imagehash.phash(picture, hash_size=bits).hash.ravel()
        return np.packbits(signs), np.asarray(picture.resize((32, 32), Image.Resampling.BOX))

    hashes, thumbnails = (np.stack(part) for part in zip(*_each(look, cases), strict=True))

    def shape(at: int) -> np.ndarray:
        small = thumbnails[at].astype(float)
        small = small.ravel() - small.mean()
        return small / max(np.linalg.norm(small), 1e-9)

    return [
        (a, b)
        for a, b in _near(np.pad(hashes, ((0, 0), (0, -hashes.shape[1] % 8))), distance)
        if shape(a) @ shape(b) >= correlation
    ]


def _near(hashes: np.ndarray, distance: int) -> Iterable[tuple[int, int]]:
    """Pairs of rows (a < b) of uint8 (N, multiple of 8) that differ in at most `distance` bits.

    Every pair is looked at, in tiles that stay in the processor's cache.
    """
    words = np.ascontiguousarray(hashes.view(np.uint64).T)
    high, wide = 128, 2048
    for top in range(0, len(hashes), high):
        for left in range(top, len(hashes), wide):
            differ = sum(
                np.bitwise_count(
                    word[top : top + high, None] ^ word[None, left : left + wide]
                ).astype(np.uint16)
                for word in words
            )
            for a, b in zip(*np.nonzero(differ <= distance), strict=True):
                if top + a < left + b:
                    yield int(top + a), int(left + b)


def _components(size: int, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Connected component of each of `size` nodes."""
    a, b = np.array(pairs, dtype=int).reshape(-1, 2).T
    return connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(size, size)))[1]


def _members(component: np.ndarray) -> list[list[int]]:
    """The members of every component that has more than one."""
    members = defaultdict(list)
    for at, name in enumerate(component):
        members[name].append(at)
    return [rows for rows in members.values() if len(rows) > 1]


# ----------------------------------------------------------------------------------------- split


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
    _require_columns(cases)
    table = _tidy(cases)
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


def prepare_cases(
    cases: pd.DataFrame,
    *,
    seed: int = 0,
    strict: bool = False,
    fold: int | None = None,
    minimum: int = 10,
) -> tuple[pd.DataFrame, list[Problem]]:
    """Check, keep near duplicates together, and split: a source's table made ready for training.

    Args:
        cases: what `read` of a source returned. A `split` column of its own is kept.
        seed: of the random split.
        strict: raise on any problem instead of leaving rows out.
        fold: the official fold to test on; None takes fold 1 where the data set has folds, 0
            splits at random even then.
        minimum: fewest cases that must be left.

    Returns:
        The table with the column `split`; and every problem and note, those of the source first
        (the same list as `attrs["left_out"]`).

    Raises:
        CaseError: as `check_cases` and `split_cases`.

    >>> from tempfile import TemporaryDirectory
    >>> from lib.sources import phantom
    >>> with TemporaryDirectory() as folder:
    ...     table, problems = prepare_cases(phantom.read(folder, cases=20, size=64))
    >>> [int((table["split"] == name).sum()) for name in SPLITS], problems
    ([12, 4, 4], [])
    """
    checked, problems = check_cases(cases, minimum=minimum)
    table, doubles = group_near_duplicates(checked)
    problems = problems + doubles
    if "split" in table:
        leaks = list(_leaks(table, table["group"].tolist(), "its group"))
        problems += [problem for _, problem in leaks]
        table = _tidy(table.drop(index=[at for at, _ in leaks]))
    if strict:
        _stop_on_any(problems)
    _require_enough(table, cases, problems, minimum)
    table.attrs["left_out"] = problems
    if "split" not in table:
        if fold is None and "fold" in table:
            fold = 1
        table = split_cases(table, seed=seed, fold=fold or None)
    return table, table.attrs["left_out"]


def fingerprint(cases: pd.DataFrame) -> str:
    """Sha256 over what a network sees of the cases: pixels, names, labels, groups and crops.

    The same for the same cases in any order, under any folder, in any lossless file format.

    Returns:
        64 hexadecimal digits.

    Raises:
        CaseError: a picture cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> from lib.sources import phantom
    >>> with TemporaryDirectory() as folder:
    ...     cases = phantom.read(folder, cases=2, size=32)
    ...     prints = fingerprint(cases), fingerprint(cases[::-1]), fingerprint(cases[:1])
    >>> len(prints[0]), prints[0] == prints[1], prints[0] == prints[2]
    (64, True, False)
    """
    _require_columns(cases)

    def digest(row: Any) -> str:
        crop = _crop(_get(row, "crop"))
        words = [
            str(_get(row, "case")),
            _text(_get(row, "label")),
            str(_get(row, "group")),
            None if crop is None else [int(v) for v in crop],
        ]
        image, mask = decode(row)
        sha = hashlib.sha256(json.dumps([words, image.shape]).encode())
        sha.update(image.tobytes())
        sha.update(mask.tobytes())
        return sha.hexdigest()

    return hashlib.sha256("\n".join(sorted(_each(digest, cases))).encode()).hexdigest()


def split_digest(cases: pd.DataFrame) -> str:
    """Twelve hexadecimal digits of which case is in which part of the split, in any order.

    >>> cases = pd.DataFrame({"case": ["a", "b"], "split": ["train", "test"]})
    >>> split_digest(cases) == split_digest(cases[::-1]), len(split_digest(cases))
    (True, 12)
    """
    pairs = sorted(zip(cases["case"].astype(str), cases["split"], strict=True))
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:12]


# ------------------------------------------------------------------------------------------ rows


def _each(function: Callable[[Any], Any], cases: pd.DataFrame) -> list[Any]:
    """`function` of every row, in order, on all cores: decoding and hashing release the GIL."""
    rows = [dict(zip(cases.columns, row, strict=True)) for row in cases.itertuples(index=False)]
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        # Pillow only warns of a picture that is rather large; here that is reported as a problem.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return list(pool.map(function, rows))


def _get(row: Any, name: str, default: Any = None) -> Any:
    """One field of a row. Not `row.mask`: on a Series that is a method of pandas."""
    if isinstance(row, Mapping | pd.Series):
        return row.get(name, default)
    return getattr(row, name, default)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str | None:
    """A label as text; None where a table (or pandas, with NaN) has nothing."""
    return None if _is_missing(value) or value == "" else str(value)
