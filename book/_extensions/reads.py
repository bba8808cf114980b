"""What a program reads, seen from inside: the files that it opens or looks for, and what it lists.

Python tells of each opened file and listed folder by audit events; that it only asked whether a
file is there, by `os.stat`, which is wrapped. A hook cannot be taken off again: it follows what is
set at the time, so a process follows one thing at a time.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# What a program learns from these cannot be seen from here.
OUTSIDE = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"}
LONGEST = 100  # letters of a file's name; what is longer is a text
LISTING = {"os.listdir", "os.scandir"}
FOLLOWED = OUTSIDE | LISTING | {"open"}
FOLDER = "folder"


def state(path: Path) -> str | None:
    """What is at a path: a digest of the file, "folder", or None for nothing."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except IsADirectoryError:
        return FOLDER
    except OSError:
        return None


def listing(folder: Path) -> str | None:
    """A digest of the names in a folder, but for hidden ones and what Python puts there."""
    try:
        names = sorted(n for n in os.listdir(folder) if n != "__pycache__" and n[0] != ".")
    except OSError:
        return None
    return hashlib.sha256("\0".join(names).encode()).hexdigest()


class Reads:
    """What this process has read below `roots`, each thing as it was when it was first read.

    `files` and `folders`: `state` and `listing` by path; `written`: paths; `outside`: the events by
    which something else may have been read. What lies in `but` does not count, nor what Python
    reads in order to import a module.
    """

    def __init__(self, roots: list[Path], but: list[Path]) -> None:
        self.roots, self.but = [str(r) for r in roots], [str(b) for b in but]
        self.files: dict[str, str | None] = {}
        self.folders: dict[str, str | None] = {}
        self.written: set[str] = set()
        self.outside: set[str] = set()

    def counts(self, path: str) -> bool:
        """Whether a path is one that is followed."""

        def within(folders: list[str]) -> bool:
            return any(path == one or path.startswith(one + os.sep) for one in folders)

        return within(self.roots) and not within(self.but) and path not in self.roots

    def note(self, given: Any, look: Callable[[Path], str | None], kept: dict) -> None:
        """Keep what is at a path now, unless it was noted before or written by this process."""
        if isinstance(given, int):
            return
        path = os.path.abspath(os.fsdecode(given))
        if path not in kept and path not in self.written and self.counts(path):
            kept[path] = look(Path(path))

    def event(self, name: str, given: tuple) -> None:
        """Take in one audit event."""
        if name == "open" and given[2] is not None and given[2] & WRITING:
            path = os.path.abspath(os.fsdecode(given[0])) if not isinstance(given[0], int) else ""
            if self.counts(path):
                self.written.add(path)
        elif name == "open":
            self.note(given[0], state, self.files)
        elif name in LISTING:
            self.note("." if given[0] is None else given[0], listing, self.folders)
        elif name in OUTSIDE:
            self.outside.add(name)


_hooked = False
_reads: Reads | None = None
_looking = False  # what is opened in order to take a digest is no reading of the program


def _importing(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")


def _take(name: str, given: tuple) -> None:
    global _looking
    if _reads is None or _looking or name not in FOLLOWED or _importing(sys._getframe(1)):
        return
    _looking = True
    try:
        _reads.event(name, given)
    finally:
        _looking = False


def follow(reads: Reads) -> None:
    """Keep in `reads` what this process, and one that is forked from it, reads from here on."""
    global _reads, _hooked
    if not _hooked:
        _hooked = True
        sys.addaudithook(_take)
        plain = os.stat

        def stat(path: Any, *given: Any, **options: Any) -> os.stat_result:
            if _reads is not None and not _looking:
                _look(path)
            return plain(path, *given, **options)

        os.stat = stat
    _reads = reads


def _look(path: Any) -> None:
    global _looking
    # IPython asks of every text that is shown whether it is the name of a file.
    if not isinstance(path, int) and len(os.path.basename(path)) > LONGEST:
        return
    _looking = True
    try:
        _reads.note(path, state, _reads.files)
    finally:
        _looking = False


def stop() -> None:
    """Follow nothing any more."""
    global _reads
    _reads = None
