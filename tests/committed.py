"""The runs that the repository keeps. `make book` leaves runs of this machine beside them, in
folders that git passes over; what is tested of the committed ones must not depend on those."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from lib import results
from lib.home import HOME


@cache
def files() -> list[Path]:
    """The results files that git tracks, in the order of their paths."""
    words = ["git", "ls-files", "-z", "--", "results/*/*/*/seed*.json"]
    done = subprocess.run(words, cwd=HOME, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"which runs are committed, only git knows ({done.stderr.strip()})")
    tracked = [HOME / name for name in sorted(filter(None, done.stdout.split("\0")))]
    return [f for f in tracked if f.exists() and not f.name.endswith(".failed.json")]


def records() -> list[dict]:
    """Their records, as `lib.results.load` reads them."""
    return [results.load(file) for file in files()]
