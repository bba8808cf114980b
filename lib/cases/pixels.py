"""The pixels of one case: its picture in grey and its mask, from files of any common kind."""

import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageDraw, UnidentifiedImageError

from .. import dicom
from . import masks
from .masks import UNKNOWN
from .table import CLASSES, CaseError, Problem, Region, crop_of, get, text

MAX_PIXELS = 2**26  # 8192 x 8192: far above any ultrasound picture, far below a full memory
LARGEST = 8 * MAX_PIXELS  # bytes of a file: that many pixels at 64 bits
# Out of memory or of open files, a disk or a network that fails: not what is in a file.
MACHINE = {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
# No format whose reader starts another program (EPS calls Ghostscript).
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000")

MARKED = 8  # times as bright as nearly all of a picture: no echo, but a mark drawn at full scale
RANK = np.array([0, 2, 3, 1], np.uint8)  # of mask values: where regions overlap, the worse is kept
PHOTOMETRIC = 262  # the tag of TIFF that says whether 0 is white or black
# What EXIF's orientation asks a viewer to do (EXIF 2.32, tag 274).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
    image, mask, problems = decode_with_problems(row)
    faults = [str(p) for p in problems if p.left_out]
    if faults:
        raise CaseError("; ".join(faults))
    return image, mask


def decode_with_problems(row: Any) -> tuple[np.ndarray | None, np.ndarray | None, list[Problem]]:
    """Decode as far as possible; whatever stands in the way comes back in the list."""
    case, file = str(get(row, "case")), str(get(row, "image"))
    problems: list[Problem] = []

    def report(file: str, what: str, left_out: bool = True) -> None:
        problems.append(Problem(case, file, what, left_out))

    regions, label = get(row, "mask"), text(get(row, "label"))
    image, turned = read_grey(file, report)
    if not _are_regions(regions):
        report(file, f"mask is {regions!r}; a tuple of Region is needed, () for no nodule")
        return image, None, problems

    mask = None if image is None else np.zeros(image.shape, np.uint8)
    for region in regions:
        own = region.label or label
        if is_file(region.outline):
            layer = _layer(str(region.outline), file, image, turned, own, report)
        else:
            layer = _polygon(region.outline, file, image, own, report)
        if layer is not None and mask is not None:
            mask = np.where(RANK[layer] > RANK[mask], layer, mask)

    crop = crop_of(get(row, "crop"))
    if crop is not None:
        fault = _crop_fault(crop, None if image is None else image.shape)
        if fault:
            report(file, fault)
        elif image is not None:
            x0, y0, x1, y1 = (int(v) for v in crop)
            image, mask = image[y0:y1, x0:x1].copy(), mask[y0:y1, x0:x1].copy()
    return image, mask, problems


def _layer(
    file: str,
    image_file: str,
    image: np.ndarray | None,
    turned: str,
    label: str | None,
    report: Callable[..., None],
) -> np.ndarray | None:
    """A mask file in mask values, or None once the reason has been reported."""
    found, mask_turned = read_file(
        file, report, lambda picture: masks.nodules(picture, partial(report, file, left_out=False))
    )
    if found is None or image is None:
        return None
    layer, coloured = found
    if layer.shape != image.shape:
        hint = f", {turned}: draw the mask on the picture as it is shown" if turned else ""
        sizes = _size(layer.shape), Path(image_file).name, _size(image.shape)
        report(file, "mask is {}, but its image {} is {}".format(*sizes) + hint)
        return None
    if turned and not mask_turned:
        what = f"its image is {turned}, it is not: taken as drawn on the picture as shown"
        report(file, what, left_out=False)
    if mask_turned and not turned:
        what = f"is {mask_turned}, its image is not turned: look whether the two lie on each other"
        report(file, what, left_out=False)
    if label == "both":
        return layer
    painted = {1: "green", 2: "red"}
    stated = [painted[value] for value in painted if (layer == value).any()] if coloured else []
    if len(stated) > 1 and label in CLASSES:
        report(file, f"is green and red, benign and malignant, but the case is labelled {label}")
        return None
    for colour in stated:
        report(file, f"is {colour}; read as its case is labelled, {label}", left_out=False)
    return np.where(layer > 0, np.uint8(_mask_value(label)), np.uint8(0))


def _polygon(
    outline: Any,
    file: str,
    image: np.ndarray | None,
    label: str | None,
    report: Callable[..., None],
) -> np.ndarray | None:
    fault = _polygon_fault(outline, None if image is None else image.shape)
    if fault:
        report(file, fault)
    if fault or image is None:
        return None
    canvas = Image.new("L", image.shape[::-1])
    ImageDraw.Draw(canvas).polygon([tuple(p) for p in outline], fill=_mask_value(label))
    return np.array(canvas)


def read_grey(file: str, report: Callable[..., None]) -> tuple[np.ndarray | None, str]:
    """One file as uint8 (H, W), turned as its EXIF orientation asks; and how it was turned, or "".

    (None, "") once the reason has been reported.
    """
    return read_file(
        file, report, lambda picture: _to_grey(picture, partial(report, file, left_out=False))
    )


def read_file(
    file: str, report: Callable[..., None], look: Callable[[Image.Image | np.ndarray], Any]
) -> tuple[Any, str]:
    """What `look` makes of a file's picture (of a DICOM file's pixels), and how it was turned."""
    path, nothing = Path(file), (None, "")
    if not path.is_file():  # also keeps a pipe or a device from blocking the run
        report(file, "not a regular file" if path.exists() else "no such file")
        return nothing
    size = path.stat().st_size
    if size == 0 or size > LARGEST:
        report(file, f"{size} bytes, no picture" if size else "the file is empty (0 bytes)")
        return nothing
    try:
        if dicom.is_dicom(path):
            return look(dicom.read_pixels(path)), ""
        # From its bytes, not its path: Pillow maps some TIFF files, and scrambles turned ones.
        data = path.read_bytes()
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                report(file, _too_large(f"{width} x {height} px"))
                return nothing
            if fault := _cannot_be_read(picture):
                report(file, fault)
                return nothing
            frames = getattr(picture, "n_frames", 1)
            if frames > 1:
                report(file, f"holds {frames} pictures; the first one is used", left_out=False)
            picture.seek(0)
            upright, turned = _upright(picture, partial(report, file))
            upright.info["lossy"] = _is_lossy(picture, data)
            return look(upright), turned
    except masks.Unclear as error:
        report(file, str(error))
    except dicom.DicomError as error:
        _stop_if_not_the_files(error, file)
        report(file, str(error))
    except PermissionError:
        report(file, "may not be read: permission denied")
    except UnidentifiedImageError:
        report(file, f"not an image in a known format ({', '.join(FORMATS)})")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        report(file, _too_large(str(error).split(" exceeds")[0]))
    except Exception as error:  # image readers raise nearly every kind of error on damaged bytes
        _stop_if_not_the_files(error, file)
        report(file, f"damaged or cut off, cannot be decoded ({error})")
    return nothing


def _cannot_be_read(picture: Image.Image) -> str:
    """Why Pillow would open this picture without an error and read other values than it holds."""
    stored = " ".join(str(tile[3]) for tile in picture.tile)
    # The upper eight bits would be kept. (BGR;16 is another thing: three colours in 16 bits.)
    if re.search(";16[BLN]", stored) and not picture.mode.startswith("I"):
        return (
            "holds 16 bits for each of several channels, of which half would be lost: save it in "
            "grey of 16 bits, or with 8 bits a channel"
        )
    white_is_0 = picture.format == "TIFF" and picture.tag_v2.get(PHOTOMETRIC) == 0
    if white_is_0 and picture.mode.startswith(("I", "F")):
        return (
            "is a TIFF of more than 8 bits in which 0 is white (PhotometricInterpretation 0): save "
            "it with 0 as black"
        )
    return ""


def _is_lossy(picture: Image.Image, data: bytes) -> bool:
    """Whether saving it has changed its values: no numbers can be read from it then."""
    if picture.format == "WEBP":
        return b"VP8 " in _riff_chunks(data)
    return picture.format in ("JPEG", "JPEG2000") or picture.info.get("compression") == "jpeg"


def _riff_chunks(data: bytes) -> Iterator[bytes]:
    """The names of the chunks of a RIFF file, those inside a WebP's frames among them."""
    at = 12  # behind RIFF, the size of the file and WEBP
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        yield name
        at += 8 + (16 if name == b"ANMF" else size + size % 2)  # a frame: its place, then chunks


def _upright(picture: Image.Image, report: Callable[..., None]) -> tuple[Image.Image, str]:
    """The picture as viewers show it, and in words how that differs from how it is stored."""
    by_its_reader = picture.format == "TIFF"  # Pillow turns these while it loads them
    orientation = picture.tag_v2.get(ExifTags.Base.Orientation) if by_its_reader else None
    picture.load()
    if not by_its_reader:
        try:
            orientation = picture.getexif().get(ExifTags.Base.Orientation)
        except Exception as error:  # damaged notes do not damage the pixels
            report(f"its EXIF cannot be read ({error}): taken as upright", left_out=False)
    if orientation not in TURNS:
        return picture, ""
    turned = picture if by_its_reader else picture.transpose(TURNS[orientation])
    return turned, f"turned as its EXIF orientation {orientation} asks"


def _stop_if_not_the_files(error: Exception, file: str) -> None:
    """Raise again what is the machine's fault: to leave the file out would change the data."""
    cause = error.__cause__ or error
    if isinstance(cause, MemoryError):
        raise MemoryError(f"{file}: not enough memory to decode it") from error
    if isinstance(cause, OSError) and cause.errno in MACHINE:
        raise OSError(cause.errno, cause.strerror, file) from error


def _too_large(size: str) -> str:
    return f"{size}: a decompression bomb? At most {MAX_PIXELS} pixels are read; make it smaller"


def _to_grey(picture: Image.Image | np.ndarray, note: Callable[[str], None]) -> np.ndarray:
    """8-bit grey. Deeper pictures are scaled so that their largest value is 255; no alpha."""
    if isinstance(picture, np.ndarray):
        return _shades(picture, note)
    if picture.mode.startswith(("I", "F")):
        return _shades(np.asarray(picture), note)
    if picture.mode not in ("1", "L", "LA", "RGB"):
        picture = picture.convert("RGB")  # palette, CMYK, RGBA: colours first, alpha dropped
    return np.array(picture.convert("L"))


def _shades(pixels: np.ndarray, note: Callable[[str], None]) -> np.ndarray:
    """8-bit grey of pixels of any depth, (H, W), or of colours, uint8 (H, W, 3)."""
    if pixels.dtype == np.uint8:
        return np.array(Image.fromarray(pixels).convert("L"))
    deep = pixels.astype(np.float64)
    if deep.ndim == 3:
        red, green, blue = np.moveaxis(deep, -1, 0)  # by element: the same on every processor
        deep = (299 * red + 587 * green + 114 * blue) / 1000
    if not np.isfinite(deep).all():
        raise ValueError("it holds NaN or infinite pixels")
    low, high = min(0.0, deep.min()), deep.max()  # 0 stays black: 12 bits in 16 keep contrast
    usual = float(np.quantile(deep, 0.995))
    if high > MARKED * usual > 0:
        note(
            f"its brightest pixel is {high:g}, 199 of 200 are at most {usual:g}: scaled by the "
            "brightest, the picture is dark. Is a mark burned into it?"
        )
    return np.round((deep - low) * (255 / (high - low or 1))).astype(np.uint8)


def is_file(outline: Any) -> bool:
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
