"""What all tests share: the same seeds everywhere, and real data where there are any."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "_extensions"))  # what the build adds to Sphinx
SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data():
    """The folder of a real data set, `shared_data("ddti")`, or a skip that says where it looked."""

    def find(name: str) -> Path:
        folder = SHARED / name
        if not folder.is_dir():
            pytest.skip(f"real data set {name!r} is not here (no folder {folder}; set SHARED_DATA)")
        return folder

    return find


@pytest.fixture(autouse=True)
def seeds():
    """No test may depend on those that ran before it."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:  # not imported for the sake of tests that do without
        sys.modules["torch"].manual_seed(0)
