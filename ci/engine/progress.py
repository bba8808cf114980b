"""What the runs are doing now: read from their checkpoints and locks, by anyone, at any time."""

import atexit
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from lib import results

# The parts of a run's name, as in results/SOURCE/PROFILE/EXPERIMENT/[foldF-]seedK
RUN = "*/*/*/*seed*"


@dataclass(frozen=True)
class Running:
    """One unfinished run.

    name: as `Job.name`; done, epochs: finished epochs of all, None while no checkpoint stands;
    seconds: that the others will take at the pace so far, None likewise; alive: an engine holds
    its lock; part: the system that is being trained, of a system made of several, or "".

    >>> Running("phantom/quick/mtl/seed0", done=3, epochs=8, seconds=50.0, alive=True).epochs
    8
    """

    name: str
    done: int | None
    epochs: int | None
    seconds: float | None
    alive: bool
    part: str = ""


class Busy(Exception):
    """Another process holds the lock of this run; its message says which."""


@contextmanager
def alone(run: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of one run, `run`.lock, while its results `run`.json are being made.

    Raises Busy if another process holds it, or waits for that one with `wait`. The lock goes with
    the process, however that ends.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with alone(Path(folder, "seed0")):
    ...         held = is_held(Path(folder, "seed0"))
    ...     held, is_held(Path(folder, "seed0"))
    (True, False)
    """
    lock = _beside(run, ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_same(handle, lock):
                break
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode() or "another process"
            os.close(handle)
            raise Busy(holder) from None
        os.close(handle)  # its last holder took the file away
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def hold(run: Path) -> Callable[[], None]:
    """Hold the lock of one run until what this returns is called, or until this process ends.

    Nothing is to be done where this process holds it already, or one that started it, such as the
    engine, or where another of several processes that share the run does. Raises Busy if somebody
    else makes this run, OSError, with the file, if nothing can be written there.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     release = hold(Path(folder, "seed0"))
    ...     held = is_held(Path(folder, "seed0"))
    ...     release()
    ...     held, is_held(Path(folder, "seed0"))
    (True, False)
    """
    lock = ExitStack()
    if int(os.environ.get("RANK", 0)):
        return lock.close
    try:
        lock.enter_context(alone(run))
    except Busy as holder:
        if not _is_ours(str(holder)):
            raise Busy(
                f"{holder} is making {run.name} in {run.parent}: wait for it, or name another "
                "folder for the results"
            ) from None
    atexit.register(lock.close)
    return lock.close


def _is_ours(holder: str) -> bool:
    """Whether the words in a lock name this process or one that it descends from."""
    found = re.fullmatch(r"process (\d+) on (.+)", holder, re.DOTALL)
    if not found or found[2] != os.uname().nodename:
        return False
    return int(found[1]) in {os.getpid(), *(p.pid for p in psutil.Process().parents())}


def is_held(run: Path) -> bool:
    """Whether a process is making this run now.

    >>> is_held(Path("nowhere", "seed0"))
    False
    """
    try:
        with open(_beside(run, ".lock")) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def running(root: Path | None = None) -> list[Running]:
    """The unfinished runs under `root` (default: the book's results), in the order of their paths.

    >>> running(Path("nowhere"))
    []
    """
    root = Path(root or results.RESULTS)
    ends = (".unfinished", ".lock")
    runs = {file.with_suffix("") for end in ends for file in root.glob(RUN + end)}
    return [_read(run, run.relative_to(root).as_posix()) for run in sorted(runs)]


def _read(run: Path, name: str) -> Running:
    states = _beside(run, ".unfinished").glob("**/epoch-*/state.json")
    newest = max(states, key=_time, default=None)
    try:
        state = json.loads(newest.read_text())["state"] if newest else {}
    except (OSError, ValueError, KeyError):  # replaced at this moment, or an older format
        state = {}
    if not state:
        return Running(name, None, None, None, is_held(run))
    done, epochs = state["epoch"], state["parameters"]["epochs"]
    pace = median(epoch["seconds"] for epoch in state["history"])
    part = newest.parts[-3] if newest.parts[-3] != f"{run.name}.unfinished" else ""
    return Running(name, done, epochs, pace * (epochs - done), is_held(run), part)


def _time(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _beside(run: Path, ending: str) -> Path:
    return run.with_name(run.name + ending)


def _is_same(handle: int, file: Path) -> bool:
    try:
        return os.fstat(handle).st_ino == os.stat(file).st_ino
    except FileNotFoundError:
        return False


def duration(seconds: float) -> str:
    """A time as a person would say it.

    >>> duration(40), duration(600), duration(9000), duration(float("nan"))
    ('40 s', '10 min', '2.5 h', 'unknown')
    """
    if seconds != seconds:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
