"""One still ultrasound picture from a DICOM file: its pixels, and nothing that names a patient.

Only the tags in `TAGS` are read. Names, numbers, dates and private tags are passed over unread, so
they cannot reach a table, a result or a page.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

SUFFIXES = (".dcm", ".dicom", ".ima")
MARK = b"DICM"  # after 128 bytes that say nothing
COLOURS = (
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB",
    "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT",
)  # fmt: skip
TAGS = (
    "SOPClassUID", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
    "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SequenceOfUltrasoundRegions",
)  # fmt: skip
DEFLATED = "1.2.840.10008.1.2.1.99"
LARGEST = 2**29  # bytes; a still picture has some megabytes
MAX_PIXELS = 2**26  # as `lib.cases.MAX_PIXELS`


class DicomError(ValueError):
    """A DICOM file that holds no picture which can be used; the words do not name the file."""


@dataclass(frozen=True)
class Head:
    """What is said of the picture: its size in pixels, and the box of its ultrasound regions.

    `crop` is (x0, y0, x1, y1), end exclusive, around all regions; None where none is stated.

    >>> Head(640, 480).crop is None
    True
    """

    width: int
    height: int
    crop: tuple[int, int, int, int] | None = None


def is_dicom(path: str | Path) -> bool:
    """Whether the name says so; where it has no ending, as IM_0001 or 1.2.840.10008, the file.

    >>> is_dicom("a.DCM"), is_dicom("a.png"), is_dicom("IM_0001")
    (True, False, False)
    """
    ending = os.path.splitext(path)[1].lower()
    if ending and not ending[1:].isdecimal():
        return ending in SUFFIXES
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(128 + len(MARK))[128:] == MARK
    except PermissionError:
        return True  # it may be one: who reads it says, by its name, that it may not be read


def read_head(path: str | Path) -> Head:
    """Size and crop of a picture, without reading its pixels.

    Raises:
        DicomError: not a DICOM file, cut off, several frames, a size that no picture has, a region
            outside the picture.

    >>> read_head(__file__)
    Traceback (most recent call last):
        ...
    lib.dicom.DicomError: not a DICOM file, or damaged: the mark DICM is missing
    """
    return _head(_read(path, pixels=False))


def read_pixels(path: str | Path) -> np.ndarray:
    """The picture as grey, (H, W), or colour, uint8 (H, W, 3); MONOCHROME1 is inverted.

    Grey keeps its depth: uint8, uint16 or int16 as stored. No window is applied. YBR and palettes
    are turned into RGB.

    Raises:
        DicomError: as `read_head`; damaged pixels; a compression that nothing here decodes.

    >>> read_pixels(__file__)
    Traceback (most recent call last):
        ...
    lib.dicom.DicomError: not a DICOM file, or damaged: the mark DICM is missing
    """
    found = _read(path, pixels=True)
    return _decoded(found, _head(found))


def frames(path: str | Path) -> Iterator[tuple[np.ndarray, Head, int, int, int]]:
    """Each frame of a clip, or of a still, as `read_pixels` gives it, with what is said of it.

    That is its head, the number of ultrasound regions stated, its own number, 1 up, and that of all
    frames. Raises DicomError as `read_pixels`, but not for several frames.
    """
    found = _read(path, pixels=True)
    number = _whole(found, "NumberOfFrames", 1)
    found.NumberOfFrames = 1  # a frame is held to what a still is
    head, regions = _head(found), len(found.get("SequenceOfUltrasoundRegions") or ())
    if number < 1:
        raise DicomError(f"states {number} frames")
    found.NumberOfFrames = number
    for at in range(number):
        yield _decoded(found, head, at), head, regions, at + 1, number


def _decoded(found: "Dataset", head: Head, frame: int | None = None) -> np.ndarray:
    from pydicom.pixels import apply_color_lut, pixel_array

    try:
        pixels = pixel_array(found, index=frame)
        if found.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, found)
            pixels = (pixels >> 8).astype(np.uint8) if pixels.dtype != np.uint8 else pixels
    except Exception as error:  # decoders raise nearly every kind of error on damaged bytes
        what = (
            f"frame {frame + 1}" if frame is not None and found.NumberOfFrames > 1 else "its pixels"
        )
        raise DicomError(
            f"{what} cannot be decoded ({first_line(error)}). If the file is sound, save it "
            "uncompressed, or as PNG"
        ) from error
    if pixels.shape[:2] != (head.height, head.width) or pixels.ndim not in (2, 3):
        raise DicomError(
            f"its pixels have the shape {pixels.shape}, where {head.width} x {head.height} px are "
            "stated"
        )
    if found.PhotometricInterpretation == "MONOCHROME1":  # 0 is white
        low = -(1 << found.BitsStored - 1) if found.PixelRepresentation else 0
        high = low + (1 << found.BitsStored) - 1
        pixels = (high + low - pixels.astype(np.int64)).astype(pixels.dtype)
    return pixels


def _read(path: str | Path, pixels: bool) -> "Dataset":
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    path = Path(path)
    if path.stat().st_size > LARGEST:
        raise DicomError(f"{path.stat().st_size} bytes, too large for one picture")
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            raise DicomError("not a DICOM file, or damaged: the mark DICM is missing")
    with _damaged_if("damaged or cut off"):
        if read_file_meta_info(path).get("TransferSyntaxUID") == DEFLATED:  # whatever its size
            raise DicomError("is deflated as a whole, which may be a bomb: save it without that")
        tags = [*TAGS, "PixelData"] if pixels else list(TAGS)
        return dcmread(path, specific_tags=tags, stop_before_pixels=not pixels)


def _head(found: "Dataset") -> Head:
    with _damaged_if("a damaged header"):
        height, width = (_whole(found, name) for name in ("Rows", "Columns"))
        frames = _whole(found, "NumberOfFrames", 1)
        colours = str(found.get("PhotometricInterpretation", "none"))
        samples = _whole(found, "SamplesPerPixel", 1)
        bits = _whole(found, "BitsAllocated")
    if frames > 1:
        raise DicomError(
            f"a clip of {frames} frames: export the frame that was annotated as one picture"
        )
    if height < 1 or width < 1:
        raise DicomError(f"states a size of {width} x {height} px, which no picture has")
    if height * width > MAX_PIXELS:
        raise DicomError(
            f"{width} x {height} px: a decompression bomb? At most {MAX_PIXELS} pixels are read"
        )
    if colours not in COLOURS:
        raise DicomError(f"its colours are {colours!r}; known are {', '.join(COLOURS)}")
    if samples not in (1, 3) or bits not in (8, 16):
        raise DicomError(
            f"has {samples} values a pixel of {bits} bits; known are 1 or 3 of 8 or 16"
        )
    return Head(width, height, _crop(found, width, height))


def _whole(found: "Dataset", name: str, default: int | None = None) -> int:
    value = found.get(name)
    if value is None and default is not None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise DicomError(f"its {name} is {str(value)[:40]!r}, not a whole number") from None


def _crop(found: "Dataset", width: int, height: int) -> tuple[int, int, int, int] | None:
    """The box around the ultrasound regions (PS3.3, C.8.5.5): corners are pixels, both inside."""
    names = ("MinX0", "MinY0", "MaxX1", "MaxY1")
    with _damaged_if("its ultrasound regions are damaged"):
        boxes = [
            [_whole(region, f"RegionLocation{name}") for name in names]
            for region in found.get("SequenceOfUltrasoundRegions") or ()
        ]
    if not boxes:
        return None
    for x0, y0, x1, y1 in boxes:
        # Some scanners state the end exclusively: one pixel more is no fault.
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise DicomError(
                f"its ultrasound region ({x0}, {y0}, {x1}, {y1}) does not lie inside the picture "
                f"of {width} x {height} px"
            )
    x0, y0 = (min(box[at] for box in boxes) for at in (0, 1))
    x1, y1 = (max(box[at] for box in boxes) + 1 for at in (2, 3))
    return x0, y0, min(x1, width), min(y1, height)


@contextmanager
def _damaged_if(what: str) -> Iterator[None]:
    """DicomError for any other error: a value of the wrong kind is found when it is looked at."""
    try:
        yield
    except DicomError:
        raise
    except Exception as error:
        raise DicomError(f"{what} ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """The start of an error's words: decoders' go on for pages.

    >>> first_line(ValueError("first\\nsecond")), first_line(MemoryError())
    ('first', 'MemoryError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
