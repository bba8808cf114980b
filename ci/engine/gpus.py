"""Which GPU a run takes where several share a machine: each is lent once, also among users."""

import fcntl
import os
import tempfile
from pathlib import Path


def free(count: int) -> dict[str, str]:
    """The first GPUs that no other run of this machine holds, as CUDA_VISIBLE_DEVICES."""
    import torch

    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = shown.split(",") if shown else [str(k) for k in range(torch.cuda.device_count())]
    if len(names) < 2:
        return {}
    mine = []
    for name in names:
        lock = Path(tempfile.gettempdir(), f"run-on-gpu-{name}.lock")
        handle = _opened(lock)  # held until this process ends
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        else:
            mine.append(name)
        if len(mine) == count:
            return {"CUDA_VISIBLE_DEVICES": ",".join(mine)}
    raise RuntimeError(f"{count} GPUs are needed; other runs hold the rest of {', '.join(names)}")


def _opened(lock: Path) -> int:
    """A lock's file, which may be another user's: that one can be locked, but not written."""
    try:
        return os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        handle = os.open(lock, os.O_RDONLY | os.O_CREAT)
        os.fchmod(handle, 0o444)
        return handle
