"""What the training images looked like, and in what a new picture is unlike them.

A network answers any picture, and as surely. These are plain measures, each over the whole picture:
they find a photograph, a Doppler image or another scanner's scaling, not a rare disease.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from . import dicom
from .blocks import decode_once
from .cases.table import crop_of

GREYS = {
    "mean": "mean grey",
    "deviation": "contrast (standard deviation of grey)",
    "grain": "grain (mean step between neighbours)",
}
MARGIN = 0.15  # of the training images' range: what lies so far outside is not yet unlike them
COLOURED = 0.02  # share of a picture's pixels; what is printed in a corner is less


def greys(image: np.ndarray) -> dict[str, float]:
    """Three measures of a picture, uint8 (S, S), in grey levels 0..255.

    mean, deviation, and grain: the mean absolute step from a pixel to its right neighbour. Black
    padding counts: the network sees it, too.

    >>> greys(np.array([[0, 200], [0, 200]], np.uint8))
    {'mean': 100.0, 'deviation': 100.0, 'grain': 200.0}
    """
    deep = image.astype(np.int16)
    grain = np.abs(np.diff(deep, axis=1)).mean()
    return {"mean": float(deep.mean()), "deviation": float(deep.std()), "grain": float(grain)}


def seen(cases: pd.DataFrame, size: int, cache: Path | None = None) -> dict[str, Any]:
    """What the training images of a table look like: the least and the largest of each measure.

    Args:
        cases: a prepared table; its rows of the split `train` are looked at.
        size: side of the network's square input, px, at which the grey is measured.
        cache: as in `lib.blocks.decode_once`.

    Returns:
        number of images; side, the longer one in px; ratio, of the longer side to the shorter;
        and `greys`: each [least, largest].

    >>> from tempfile import TemporaryDirectory
    >>> from lib import cases, sources
    >>> with TemporaryDirectory() as folder:
    ...     table = sources.phantom.read(f"{folder}/phantom", cases=3, size=64)
    ...     table["split"] = cases.SPLITS
    ...     looks = seen(table, 32, cache=Path(folder))
    >>> looks["number"], looks["side"]
    (1, [64.0, 64.0])
    """
    decoded = decode_once(cases, size, cache)
    train = np.flatnonzero(decoded.cases["split"] == "train")
    rows = []
    for at in train:
        width, height = _size(decoded.cases.iloc[at])
        rows.append(greys(decoded.images[at]) | _shape(width, height))
    table = pd.DataFrame(rows)
    ranges = {name: [float(table[name].min()), float(table[name].max())] for name in table}
    return {"number": len(train), **ranges}


def unlike(
    image: np.ndarray,
    shape: tuple[int, int],
    seen: Mapping[str, Any] | None,
    *,
    coloured: float = 0.0,
    regions: int = 1,
) -> list[str]:
    """In words, in what a picture is unlike the training images; empty if in nothing.

    Args:
        image: as the network sees it, uint8 (S, S).
        shape: height and width of the picture before it was resized, px.
        seen: from `seen`; None if it is not known: then only colour and regions are looked at.
        coloured: share of its pixels that are coloured.
        regions: ultrasound regions that the file states.

    >>> looks = {"mean": [40, 60], "deviation": [20, 30], "grain": [5, 9]}
    >>> looks |= {"side": [300, 600], "ratio": [1, 1.5]}
    >>> said = unlike(np.full((32, 32), 250, np.uint8), (400, 400), looks, regions=2)
    >>> said[0], said[-1]
    ('mean grey 250, training images had 40 to 60', '2 ultrasound regions in one picture: crop it \
to one')
    """
    said = []
    if seen:
        height, width = shape
        now = greys(image) | _shape(width, height)
        for name, words in GREYS.items():
            low, high = seen[name]
            room = MARGIN * (high - low)
            if not low - room <= now[name] <= high + room:
                said.append(f"{words} {now[name]:.0f}, training images had {low:.0f} to {high:.0f}")
        low, high = seen["side"]
        if not low / 2 <= now["side"] <= high * 2:
            said.append(
                f"{width} x {height} px, training images had {low:.0f} to {high:.0f} on the longer "
                "side"
            )
        if now["ratio"] > seen["ratio"][1] * 1.5:
            said.append(
                f"{now['ratio']:.1f} times as long as wide, training images up to "
                f"{seen['ratio'][1]:.1f}"
            )

    if coloured > COLOURED:
        said.append(
            f"{coloured:.0%} of it is coloured, but the network reads grey alone (Doppler, or a "
            "photograph?)"
        )
    if regions > 1:
        said.append(f"{regions} ultrasound regions in one picture: crop it to one")
    return said


def _shape(width: int, height: int) -> dict[str, float]:
    return {"side": float(max(width, height)), "ratio": max(width, height) / min(width, height)}


def _size(row: Any) -> tuple[int, int]:
    """Width and height of a case's picture after its crop, from the file's head alone."""
    crop = crop_of(row["crop"]) if "crop" in row else None
    if crop is not None:
        x0, y0, x1, y1 = crop
        return int(x1 - x0), int(y1 - y0)
    file = Path(row["image"])
    if dicom.is_dicom(file):
        head = dicom.read_head(file)
        return head.width, head.height
    with Image.open(file) as picture:
        return picture.size
