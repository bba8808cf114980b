"""What is known of a case once its files were decoded; in one run each is decoded once.

Checking, joining near duplicates, the fingerprint and the loaders all ask `look`, which decodes the
files of a case when it is first asked, and again only when the files have changed.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from ..square import fit_image, fit_mask
from .pixels import LARGEST, MACHINE, decode_with_problems, is_file
from .table import CaseError, Problem, crop_of, each, get, text

BITS = 16  # side of a perceptual hash
MOST_CASES = 2**16  # that are remembered, at about 2 kB each
MOST_BYTES = 2**28  # of reduced pictures that wait for the loaders; further ones are decoded again

Stamp = tuple[tuple | None, ...]


@dataclass(frozen=True)
class Look:
    """What one case's files hold.

    problems: of decoding; picture: sha256 of the image's pixels, pixels: of image and mask, both
    None if something could not be decoded; grey: smallest and largest; counts: of pixels by mask
    value, (4,); signs: perceptual hash, packed; thumbnail: uint8 (32, 32);
    fitted: image and mask, uint8 (size, size), if they were asked for; stamp and contents: when
    and as what the files were read.
    """

    problems: tuple[Problem, ...]
    stamp: Stamp
    contents: tuple[str | None, ...]
    picture: str | None = None
    pixels: str | None = None
    grey: tuple[int, int] | None = None
    counts: tuple[int, ...] = ()
    signs: np.ndarray | None = None
    thumbnail: np.ndarray | None = None
    size: int | None = None
    fitted: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def share(self) -> float:
        """Of the picture that is nodule, 0..1."""
        return sum(self.counts[1:]) / sum(self.counts)

    def sound(self) -> "Look":
        """Itself; CaseError, which names every file at fault, if something is wrong with it."""
        if faults := [str(problem) for problem in self.problems if problem.left_out]:
            raise CaseError("; ".join(faults))
        return self


class _Memory:
    """The looks of this process, by what they were asked for; threads may share it."""

    def __init__(self) -> None:
        self.looks: dict[str, Look] = {}
        self.waiting = 0  # bytes of reduced pictures
        self.lock = Lock()

    def keep(self, key: str, new: Look) -> None:
        with self.lock:
            if len(self.looks) >= MOST_CASES:
                self.looks.clear()
                self.waiting = 0
            self.waiting -= _bytes(self.looks.get(key))
            if self.waiting + _bytes(new) > MOST_BYTES:
                new = replace(new, size=None, fitted=None)
            self.looks[key] = new
            self.waiting += _bytes(new)


def _bytes(known: Look | None) -> int:
    return sum(layer.nbytes for layer in known.fitted) if known and known.fitted else 0


_memory = _Memory()


def look(row: Any, size: int | None = None) -> Look:
    """What a case's files hold, decoded now or known from before.

    Args:
        row: of the case table.
        size: also keep image and mask as the network sees them, until `release` is called.

    Raises:
        CaseError: a file changed while it was read.
    """
    key, stamp = _key(row), _stamp(row)
    known = _memory.looks.get(key)
    if known and known.stamp == stamp and size in (None, known.size):
        return known
    new = _decoded(row, size, stamp)
    _memory.keep(key, new)
    return new


def release(cases: pd.DataFrame) -> None:
    """Forget the reduced pictures of these cases: the loaders have them."""
    for row in cases.to_dict("records"):
        if known := _memory.looks.get(_key(row)):
            _memory.keep(_key(row), replace(known, size=None, fitted=None))


def changed(cases: pd.DataFrame, pixels: Sequence[str]) -> list[str]:
    """The images that, or whose masks, do not show the `pixels` any more, a digest for each row.

    Compares the files' bytes, and decodes only where these are not what was decoded last.

    Raises:
        CaseError: a file is not there any more, or is damaged.
    """

    def now(row: Any) -> str | None:
        known = _memory.looks.get(_key(row)) or look(row)
        if _contents(row) != known.contents:
            known = _decoded(row, None, _stamp(row))
        return known.sound().pixels

    return [
        str(image)
        for image, before, after in zip(cases["image"], pixels, each(now, cases), strict=True)
        if before != after
    ]


def _decoded(row: Any, size: int | None, stamp: Stamp) -> Look:
    contents = _contents(row)
    image, mask, problems = decode_with_problems(row)
    if _stamp(row) != stamp:
        raise CaseError(f"{get(row, 'image')}: it or its mask changed while it was read")
    known = Look(tuple(problems), stamp, contents)
    if image is None:
        return known
    known = replace(known, grey=(int(image.min()), int(image.max())))
    if mask is None or any(problem.left_out for problem in problems):
        return known
    sha = hashlib.sha256(f"{image.shape}".encode() + image.tobytes())
    picture = sha.hexdigest()
    sha.update(mask.tobytes())
    shown = Image.fromarray(image)
    return replace(
        known,
        picture=picture,
        pixels=sha.hexdigest(),
        counts=tuple(np.bincount(mask.ravel(), minlength=4).tolist()),
        signs=np.packbits(imagehash.phash(shown, hash_size=BITS).hash.ravel()),
        thumbnail=np.asarray(shown.resize((32, 32), Image.Resampling.BOX)),
        size=size,
        fitted=(fit_image(image, size), fit_mask(mask, size)) if size else None,
    )


def _outlines(row: Any) -> list[Any]:
    regions = get(row, "mask")
    regions = regions if isinstance(regions, tuple) else ()
    return [getattr(region, "outline", None) for region in regions]


def _files(row: Any) -> list[str]:
    outlines = (str(outline) for outline in _outlines(row) if is_file(outline))
    return [str(get(row, "image")), *outlines]


def _key(row: Any) -> str:
    """All that decoding depends on, beside the files."""
    names = str(get(row, "case")), str(get(row, "image"))
    given = (*names, get(row, "mask"), text(get(row, "label")), crop_of(get(row, "crop")))
    # NumPy shortens long arrays in what it shows.
    arrays = [o.tolist() for o in _outlines(row) if isinstance(o, np.ndarray)]
    return repr((given, arrays))


def _stamp(row: Any) -> Stamp:
    """When the files were last touched: cheap, and enough within one run."""

    def one(file: str) -> tuple | None:
        try:
            found = os.stat(file)
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    return tuple(map(one, _files(row)))


def _contents(row: Any) -> tuple[str | None, ...]:
    """Sha256 of each file's bytes; None where none can be read."""

    def one(file: str) -> str | None:
        path = Path(file)
        try:
            if path.is_file() and path.stat().st_size <= LARGEST:
                return hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            if error.errno in MACHINE:
                raise
        return None

    return tuple(map(one, _files(row)))
