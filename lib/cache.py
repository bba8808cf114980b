"""The images that were decoded once, seen from outside: is there room, are they the files' own?"""

import errno
import json
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
from fastai.data.core import DataLoaders

from . import blocks, cases
from .cases import looks

DAY = 24 * 3600  # seconds; no decoding takes as long


def require_room(
    table: pd.DataFrame, size: int, fingerprint: str, cache: Path | None = None
) -> None:
    """OSError, with the folder, if `blocks.decode_once` would fill the disk.

    It writes through a memory map, and a full disk would end the process without a word. Also
    removes what killed processes have left in the folder more than a day ago, and decoded images
    that are damaged: they are decoded again. `fingerprint` as from `cases.fingerprint`; the other
    arguments are those of `decode_once`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     require_room(pd.DataFrame({"case": ["a"]}), 96, "0a1b", Path(folder))
    """
    cache = Path(cache or blocks.CACHE)
    if cache.parts[:1] and cache.parts[0].startswith("~"):  # it would be made under that name
        raise OSError(errno.ENOENT, "write the home out in LIB_CACHE", str(cache))
    _sweep(cache)
    decoded = cache / f"{fingerprint[:16]}-{size}"
    if decoded.exists():
        if _is_whole(decoded):
            return
        shutil.rmtree(decoded, ignore_errors=True)
    layer = len(table) * size**2
    there = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    free, limit = shutil.disk_usage(there).free, resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if free < 2 * layer + 2**16:
        what = f"{free / 2**20:.1f} MB are free, {2 * layer / 2**20:.1f} MB are needed for the"
        raise OSError(
            errno.ENOSPC, f"{what} decoded images; free some, or set LIB_CACHE", str(cache)
        )
    if 0 <= limit < layer + 2**12:
        what = f"files of {limit / 2**20:.1f} MB are allowed, {layer / 2**20:.1f} MB are needed"
        raise OSError(errno.EFBIG, f"{what} for the decoded images; see ulimit -f", str(cache))


def _is_whole(decoded: Path) -> bool:
    try:
        kept = json.loads((decoded / "cases.json").read_text())
        arrays = [np.load(decoded / f"{name}.npy", mmap_mode="r") for name in ("images", "masks")]
        return blocks.digest(*arrays) == kept["digest"]
    except Exception:  # damaged bytes raise nearly every kind of error
        return False


def _sweep(cache: Path) -> None:
    for draft in cache.glob(".draft-*"):
        if draft.is_dir() and time.time() - draft.stat().st_mtime > DAY:
            shutil.rmtree(draft, ignore_errors=True)


def require_unchanged(table: pd.DataFrame, dls: DataLoaders, fingerprint: str) -> None:
    """CaseError if the files no longer hold what the network was given.

    Reads every image and mask of `table` again, without decoding: their bytes must be those that
    were decoded, and the arrays that the loaders read those that were made of them, under the
    `fingerprint` that the results will claim. If not, the decoded images are thrown away, for
    nobody knows which state of the files they show.

    >>> from tempfile import TemporaryDirectory
    >>> from lib.sources import phantom
    >>> with TemporaryDirectory() as folder:
    ...     table, _ = cases.prepare_cases(phantom.read(f"{folder}/phantom", cases=20, size=64))
    ...     dls = blocks.dataloaders(table, size=32, batch_size=4, cache=Path(folder))
    ...     require_unchanged(table, dls, cases.fingerprint(table))
    """
    (decoded,) = (
        step.decoded for step in dls.train_ds.tls[0].tfms.fs if isinstance(step, blocks.ReadImage)
    )
    changed = looks.changed(decoded.cases, decoded.pixels)
    whole = blocks.digest(decoded.images, decoded.masks) == decoded.digest
    same = decoded.fingerprint == cases.fingerprint(table) == fingerprint
    if not changed and whole and same:
        return
    shutil.rmtree(Path(decoded.images.filename).parent, ignore_errors=True)
    files = f"{len(changed)} images or masks, the first {changed[0]}" if changed else "files"
    raise cases.CaseError(
        f"the data changed while this ran ({files}): no results are written; run it again"
    )
