"""Which image a name means: the name in a row of a table, or that of a mask's file.

The same name is written differently by different machines: `a.png` is `images/a.png` in a script,
`C:\\scans\\a.png` on Windows and `a.PNG` from a scanner; it lost its ending to a converter; and
macOS takes its accents apart.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..cases import CaseError

FOLDER, ENDING, CAPITALS, UNICODE = (
    "whatever the folder",
    "whatever the ending",
    "whatever the capitals",
    "whatever the form of Unicode",
)


@dataclass(frozen=True)
class Match:
    """The key of the image that is meant, and in what its name differs, in words."""

    key: str
    how: tuple[str, ...] = ()


class Images:
    """The images of a folder, to be found by what others call them.

    Args:
        images: path by key; the key is the path inside the folder, without the ending.
        endings: of file names, in small letters, that are no part of the name.

    >>> images = Images({"p1/a": Path("images/p1/a.png"), "b": Path("images/b.png")}, [".png"])
    >>> images.find("b.png"), images.find(r"D:\\p1\\A.png").how, images.find("p2/a.png")
    (Match(key='b', how=()), ('whatever the folder', 'whatever the capitals'), None)
    """

    def __init__(self, images: Mapping[str, Path], endings: Sequence[str]):
        self.endings = tuple(endings)
        self.files = {_beside(key, path.name): key for key, path in images.items()}
        self.ending = {key: path.name[len(_stem(key)) :] for key, path in images.items()}
        self.nested = any("/" in key for key in images)
        self.by_stem: dict[str, list[str]] = defaultdict(list)
        for key in images:
            self.by_stem[_plain(_stem(key))].append(key)

    def find(self, name: str) -> Match | None:
        """The image of that name; None if there is none.

        The file's own name, or that without its ending, goes first. Else the name is compared
        without its ending, in normal form (Unicode NFC) and small letters. Folders count only
        where the images lie in several: then those that both state must agree.

        Raises:
            CaseError: several images could be meant.
        """
        if name in self.files:
            return Match(self.files[name])
        if name in self.ending:
            return Match(name)
        *folders, last = re.split(r"[/\\]", name)
        folders = [folder for folder in folders if folder not in ("", ".")]
        stem, ending = self._split(last)
        found = [k for k in self.by_stem.get(_plain(stem), ()) if self._agree(folders, k)]
        found = [key for key in found if _stem(key) == stem] or found
        if len(found) > 1:
            raise CaseError(f"{name!r} can be {' or '.join(sorted(found)[:5])}; give its folder")
        if not found:
            return None
        return Match(found[0], tuple(self._differences(folders, stem, ending, found[0])))

    def _split(self, name: str) -> tuple[str, str]:
        ending = PurePosixPath(name).suffix
        return (name[: -len(ending)], ending) if ending.lower() in self.endings else (name, "")

    def _agree(self, folders: list[str], key: str) -> bool:
        if not (self.nested and folders):
            return True
        stated = [_plain(folder) for folder in folders]
        if "images" in stated:
            stated = stated[len(stated) - stated[::-1].index("images") :]
        own = [_plain(folder) for folder in key.split("/")[:-1]]
        shared = min(len(stated), len(own))
        return stated == own if not shared else stated[-shared:] == own[-shared:]

    def _differences(self, folders: list[str], stem: str, ending: str, key: str) -> Iterator[str]:
        own, own_ending = _stem(key), self.ending[key]
        if folders != key.split("/")[:-1]:
            yield FOLDER
        other = ending != "" and ending.lower() != own_ending.lower()
        if other:
            yield ENDING
        if _normal(stem) != _normal(own) or (not other and ending not in ("", own_ending)):
            yield CAPITALS
        if stem.casefold().strip() != own.casefold().strip():
            yield UNICODE


def _stem(key: str) -> str:
    return key.rpartition("/")[2]


def _beside(key: str, name: str) -> str:
    return f"{key.rpartition('/')[0]}/{name}".lstrip("/")


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _plain(text: str) -> str:
    return _normal(_normal(text).casefold()).strip()
