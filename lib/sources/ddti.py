"""DDTI: 480 thyroid ultrasound images of 390 cases, outlines as polygons in XML.

L. Pedraza, C. Vargas, F. Narváez, O. Durán, E. Muñoz and E. Romero, Proc. SPIE 9287 (2015) 92870W,
doi:10.1117/12.2073532. See data/ddti.md.
"""

import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree as ET
import numpy as np
import pandas as pd
from defusedxml import DefusedXmlException
from scipy import ndimage

from ..cases import CaseError, Problem, Region
from ..cases.pixels import read_grey
from . import layout

# A convention, not pathology: TI-RADS is a radiologist's suspicion. 4a is "low suspicion", and most
# such nodules are benign when biopsied; published work on DDTI counts it as malignant all the same.
TIRADS = {"2": "benign", "3": "benign"} | dict.fromkeys(("4a", "4b", "4c", "5"), "malignant")

# Looked at by eye: no crop removes what is written inside the field of view.
NOT_A_NODULE = {
    "80_2": 'a lymph node, not a nodule: "ADENOPATIA" is written inside the field of view'
}

LIT = 10  # grey level; JPEG noise around the burned-in text of the black border stays below it
SLACK = 12  # px an outline may leave the field of view: pens slip, by up to 10 px in DDTI
LARGEST_XML = 4 * 2**20  # bytes; the largest of DDTI has 15 kB


def read(root: str | Path | None = None) -> pd.DataFrame:
    """Read DDTI as published: N.xml with the images N_1.jpg, N_2.jpg, ...

    Images are cropped to the field of view, because text below it ("TIRADS 4A") gives the label
    away. Images whose outline is cut off, empty or outside the picture are left out: a nodule that
    is not drawn would be taught as background.

    Args:
        root: folder with the .xml and .jpg files.

    Returns:
        The case table; `label` None where the XML states no TI-RADS (segmentation only), `group`
        the case number; `attrs["left_out"]` the images left out and why, and notes.

    Raises:
        CaseError: no such folder, or an XML file with entities or a DTD (an attack, not a defect).

    >>> from tempfile import TemporaryDirectory
    >>> corners = [{"x": x, "y": y} for x, y in ((20, 20), (40, 20), (40, 40))]
    >>> mark = f"<mark><image>1</image><svg>{json.dumps([{'points': corners}])}</svg></mark>"
    >>> from PIL import Image
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (64, 64), 99).save(f"{folder}/7_1.jpg")
    ...     size = Path(folder, "7.xml").write_text(f"<case><tirads>3</tirads>{mark}</case>")
    ...     cases = read(folder)
    >>> cases[["case", "label", "group", "crop"]].iloc[0].tolist()
    ['7_1', 'benign', '7', (2, 2, 62, 62)]
    """
    root = layout.find_root("ddti", root, ())
    images = {path.stem: path for path in layout.pictures(root) if path.suffix.lower() == ".jpg"}
    reports = sorted(root.glob("*.xml"), key=layout.natural)
    if not images or not reports:
        layout.find_root("ddti", root, ("1.xml", "1_1.jpg"))
    rows: list[dict] = []
    problems: list[Problem] = []
    seen = set()
    for path in reports:
        try:
            tirads, marks = _read_report(path)
        except _Defect as defect:
            hit = [name for name in images if name.rpartition("_")[0] == path.stem]
            problems += [Problem(name, str(images[name]), str(defect)) for name in hit]
            problems += [] if hit else [Problem(path.stem, str(path), str(defect))]
            seen.update(hit)
            continue
        for number in dict.fromkeys(number for number, _ in marks):
            name = f"{path.stem}_{number}"
            seen.add(name)
            if name not in images:
                problems.append(Problem(name, str(path), f"outlines {name}.jpg, which is missing"))
                continue
            try:
                if name in NOT_A_NODULE:
                    raise _Defect(NOT_A_NODULE[name])
                polygons, strokes = _polygons([svg for n, svg in marks if n == number])
            except _Defect as defect:
                problems.append(Problem(name, str(images[name]), str(defect)))
                continue
            if strokes:
                what = (
                    f"{strokes} mark{'s' * (strokes > 1)} of under 3 points in {path.name} ignored"
                )
                problems.append(Problem(name, str(images[name]), what, left_out=False))
            rows.append(
                {
                    "case": name,
                    "image": str(images[name]),
                    "mask": tuple(Region(polygon) for polygon in polygons),
                    "label": TIRADS.get(tirads, tirads or None),
                    "group": path.stem,
                }
            )
    problems += [
        Problem(name, str(path), "no outline in an XML file")
        for name, path in images.items()
        if name not in seen
    ]
    with ThreadPoolExecutor() as pool:  # decoding JPEG releases the GIL
        crops = list(pool.map(_crop, rows))
    kept = []
    for row, crop in zip(rows, crops, strict=True):
        if isinstance(crop, str):
            problems.append(Problem(row["case"], row["image"], crop))
        else:
            kept.append(row | {"crop": crop})
    return layout.case_table("ddti", root, kept, problems)


class _Defect(Exception):
    """Why an image cannot be used."""


# ------------------------------------------------------------------------------------------- XML


def _read_report(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """TI-RADS as lower-case text, and (image number, svg text) of every mark."""
    if path.stat().st_size > LARGEST_XML:
        raise CaseError(f"{path}: {path.stat().st_size} bytes, far too large for a report of DDTI")
    try:
        report = ET.parse(path, forbid_dtd=True).getroot()
    except DefusedXmlException as error:
        raise CaseError(
            f"{path}: holds a DTD or entities ({error}). DDTI has none and they can be used for "
            "an attack: do not trust this copy of the data, fetch it again"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise _Defect(f"{path.name} is not well-formed XML ({error})") from error
    marks = []
    for mark in report.iter("mark"):
        number = (mark.findtext("image") or "").strip()
        if not re.fullmatch(r"[0-9]{1,4}", number):
            raise _Defect(f"{path.name} has a mark for image {number!r}, which is not a number")
        marks.append((number, (mark.findtext("svg") or "").strip()))
    return (report.findtext("tirads") or "").strip().lower(), marks


def _polygons(texts: list[str]) -> tuple[list[tuple[tuple[float, float], ...]], int]:
    """The polygons of one image, and how many marks are mere strokes of one or two points."""
    shapes: list[Any] = []
    for text in filter(None, texts):
        try:
            shapes += json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            # The complete polygons before the cut would not do: the others are nodules too.
            raise _Defect(
                f"the outline is cut off or damaged after {len(text)} characters ({error})"
            ) from error
    polygons, strokes = [], 0
    for shape in shapes:
        try:
            points = tuple((float(p["x"]), float(p["y"])) for p in shape["points"])
        except (KeyError, TypeError, ValueError) as error:
            raise _Defect(f"an outline is not a list of points ({error!r})") from error
        if not all(math.isfinite(x) and math.isfinite(y) for x, y in points):
            raise _Defect("an outline has a point that is not a number")
        if len(set(points)) < 3:
            strokes += 1
        else:
            polygons.append(points)
    if not polygons:
        raise _Defect(
            "no outline is drawn" + f" (only {strokes} of under 3 points)" * bool(strokes)
        )
    return polygons, strokes


# --------------------------------------------------------------------------------- field of view


def field_of_view(grey: np.ndarray) -> tuple[int, int, int, int] | None:
    """The box that holds the ultrasound picture, and none of the text, rulers and bars around it.

    Speckle is dense: nearly every pixel of it is lit, whereas letters, ticks and the depth mark
    are thin lines on black. So, on every second pixel: share of lit pixels in a 5 x 5 window above
    .6, gaps closed (cysts, shadows, the seam of two views side by side), largest component.

    Args:
        grey: uint8 (H, W), 0..255.

    Returns:
        (x0, y0, x1, y1) in pixels, end exclusive; None if no component covers a tenth of the image.

    >>> grey = np.zeros((60, 80), np.uint8)
    >>> grey[10:50, 20:70] = 99
    >>> grey[55, :30] = 255  # a ruler
    >>> field_of_view(grey)
    (22, 12, 68, 48)
    """
    lit = (grey[::2, ::2] > LIT).astype(np.float32)
    dense = np.pad(ndimage.uniform_filter(lit, 5, mode="constant") > 0.6, 8)
    # padded, or closing would eat into a component that touches the border
    closed = ndimage.minimum_filter(ndimage.maximum_filter(dense, 7), 7)[8:-8, 8:-8]
    labels, count = ndimage.label(closed)
    if count == 0:
        return None
    largest = int(np.argmax(np.bincount(labels.ravel())[1:]))
    rows, columns = ndimage.find_objects(labels)[largest]
    x0, y0, x1, y1 = 2 * columns.start, 2 * rows.start, 2 * columns.stop, 2 * rows.stop
    if (x1 - x0) * (y1 - y0) < 0.1 * grey.size:
        return None
    return x0, y0, min(x1, grey.shape[1]), min(y1, grey.shape[0])


def _crop(row: dict) -> tuple[int, int, int, int] | str | None:
    """Field of view, wide enough for the outlines; why not, if they lie elsewhere.

    None for a picture that `check_cases` leaves out, and says why.
    """
    grey, _ = read_grey(row["image"], lambda *_, **__: None)
    if grey is None:
        return None
    box = field_of_view(grey)
    if box is None:
        return "no field of view is found, so text that gives the label away cannot be cut off"
    points = np.array([point for region in row["mask"] for point in region.outline])
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    x0, y0, x1, y1 = box
    beyond = max(x0 - left, y0 - top, right + 1 - x1, bottom + 1 - y1)
    if beyond > SLACK:
        return (
            f"an outline reaches {beyond:g} px beyond the field of view {box} of an image of "
            f"{grey.shape[1]} x {grey.shape[0]} px"
        )
    return (
        max(min(x0, math.floor(left)), 0),
        max(min(y0, math.floor(top)), 0),
        min(max(x1, math.floor(right) + 1), grey.shape[1]),
        min(max(y1, math.floor(bottom) + 1), grey.shape[0]),
    )
