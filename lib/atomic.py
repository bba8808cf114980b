"""Write a file whole or not at all, whatever happens in between."""

import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Write to the path that this gives; on leaving, the file takes the place of `target`.

    The draft lies beside `target`, whose folder is made if needed. After an error (a full disk, an
    interruption) the draft is gone, the older file is as it was, and the error goes on; an OSError
    names `target` if it named no file. What a killed process left is removed by the next write.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "runs", "one.txt")) as draft:
    ...         _ = draft.write_text("whole")
    ...     [(file.name, file.read_text()) for file in Path(folder, "runs").iterdir()]
    [('one.txt', 'whole')]
    """
    machine = f".draft-{zlib.crc32(os.uname().nodename.encode()):08x}"
    before = f"{machine}-{os.getpid()}-"
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent, machine)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=before, suffix=target.suffix)
    os.close(handle)
    draft = Path(name)
    try:
        with naming(target):
            yield draft
            with open(draft, "rb") as file:
                os.fsync(file.fileno())
            os.chmod(draft, 0o644)
            os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """An OSError inside, such as that of a full disk, names `file` if it named none.

    >>> with naming(Path("results/seed0.json")):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
        ...
    OSError: [Errno 28] No space left on device: 'results/seed0.json'
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(file)) from error


def _sweep(folder: Path, machine: str) -> None:
    """Remove the drafts of this machine's processes that are no more."""
    for draft in folder.glob(f"{machine}-*-*"):
        try:
            os.kill(int(draft.name.split("-")[2]), 0)
        except ProcessLookupError:
            draft.unlink(missing_ok=True)
        except PermissionError:  # another user's process, alive
            continue
