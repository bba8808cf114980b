"""Pictures that are to be answered: files of any common kind, and each frame of a DICOM clip.

They are read as the training images were (`lib.cases`, `lib.dicom`), so that the network meets the
same grey; what is burned in around the ultrasound regions of a DICOM file is cropped off.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from . import dicom
from .cases import pixels
from .sources.folder import ENDINGS, pictures_in

TINT = 24  # grey levels between a pixel's colours; JPEG alone makes less of grey


class PictureError(ValueError):
    """A file that holds no picture which can be read; the words name the file."""


@dataclass(frozen=True)
class Picture:
    """One picture, or one frame of a clip.

    name: of the file; grey: uint8 (H, W), whole; crop: (x0, y0, x1, y1), the part to answer, or
    None for all; coloured: share of its pixels that have a colour; regions: that the file states;
    frame: 1 up in a clip of so many frames, 0 in a still; notes: on how it was read.

    >>> Picture("a.png", np.zeros((4, 6), np.uint8), crop=(1, 0, 5, 4)).shown.shape
    (4, 4)
    """

    name: str
    grey: np.ndarray
    crop: tuple[int, int, int, int] | None = None
    coloured: float = 0.0
    regions: int = 1
    frame: int = 0
    frames: int = 1
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> np.ndarray:
        """The part that is answered."""
        if self.crop is None:
            return self.grey
        x0, y0, x1, y1 = self.crop
        return self.grey[y0:y1, x0:x1]


def find(images: Iterable[str | Path], without: Path | None = None) -> dict[str, Path]:
    """The pictures among these files and folders, by their names in what is written of them.

    A folder stands for all pictures in it and its subfolders, which are named from the folder on.
    What lies in the folder `without` is passed over. Raises PictureError for a path that is not
    there, two pictures of one name, or no picture at all.
    """
    found: dict[str, Path] = {}
    passed = 0
    given = [Path(one) for one in images]
    for one in given:
        if one.is_dir():
            inside, _ = pictures_in(one)
        elif one.exists():
            inside = [one]
        else:
            raise PictureError(f"{one.name}: no such file or folder")
        for file in inside:
            if without and file.resolve().is_relative_to(without.resolve()):
                passed += 1
                continue
            name = file.relative_to(one).as_posix() if one.is_dir() else file.name
            if name in found and found[name].resolve() != file.resolve():
                raise PictureError(f"{name}: two pictures have this name; answer them one by one")
            if any(ord(letter) < 32 for letter in name):
                raise PictureError(
                    f"{name!r}: a line break or another control character in a name cannot stand "
                    "in the table of answers; rename it"
                )
            found[name] = file
    if not found:
        where = ", ".join(one.name for one in given) or "nothing was given"
        if passed:
            raise PictureError(
                f"all {passed} pictures of {where} lie in the folder that the answers go to, which "
                "is never read from; name another folder for the answers"
            )
        raise PictureError(f"no picture in {where}; known are {', '.join(ENDINGS)}")
    return found


def passed_over(images: Iterable[str | Path], without: Path | None = None) -> list[str]:
    """A line for each kind of file in these folders that is no picture; as for `find`."""
    lines = []
    for one in filter(Path.is_dir, map(Path, images)):
        for problem in pictures_in(one, without)[1]:
            lines.append(f"{Path(problem.file).relative_to(one).as_posix()}: {problem.what}")
    return lines


def read(file: str | Path, name: str | None = None) -> Iterator[Picture]:
    """The picture of a file, or the frames of a clip, one after the other.

    Raises PictureError, naming the file, if it is none, or cannot be decoded.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (6, 4), 90).save(f"{folder}/a.png")
    ...     [picture.grey.shape for picture in read(f"{folder}/a.png")]
    [(4, 6)]
    """
    file = Path(file)
    name = name or file.name
    try:
        if file.is_file() and file.stat().st_size and dicom.is_dicom(file):
            yield from _frames(file, name)
        else:
            yield _still(file, name)
    except (dicom.DicomError, PermissionError) as error:
        raise PictureError(f"{name}: {getattr(error, 'strerror', None) or error}") from error


def _still(file: Path, name: str) -> Picture:
    faults: list[str] = []
    notes: list[str] = []

    def report(_: str, what: str, left_out: bool = True) -> None:
        (faults if left_out else notes).append(what)

    found, turned = pixels.read_file(
        str(file), report, lambda picture: _look(picture, notes.append)
    )
    if found is None:
        raise PictureError(f"{name}: {'; '.join(faults) or 'cannot be read'}")
    grey, coloured = found
    return Picture(name, grey, coloured=coloured, notes=(*notes, *([turned] if turned else [])))


def _frames(file: Path, name: str) -> Iterator[Picture]:
    for values, head, regions, at, number in dicom.frames(file):
        notes: list[str] = []
        grey, coloured = _look(values, notes.append)
        clip = {"frame": at, "frames": number} if number > 1 else {}
        yield Picture(name, grey, head.crop, coloured, max(regions, 1), notes=tuple(notes), **clip)


def _look(
    picture: Image.Image | np.ndarray, note: Callable[[str], None]
) -> tuple[np.ndarray, float]:
    """Grey as in training, uint8 (H, W), and the share of pixels that have a colour."""
    grey = pixels._to_grey(picture, note)
    if isinstance(picture, Image.Image):
        if picture.mode in ("1", "L", "LA") or picture.mode.startswith(("I", "F")):
            return grey, 0.0
        picture = np.asarray(picture.convert("RGB"))
    if picture.ndim == 2:
        return grey, 0.0
    deep = picture.astype(np.float32) * (255 / np.iinfo(picture.dtype).max)
    return grey, float((np.ptp(deep, axis=2) > TINT).mean())
