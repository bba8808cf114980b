"""The phantom as a clinic's folder would be: some images without a nodule, some with one of each.

The pictures are those of `lib.sources.phantom`, drawn with other shares of the four labels.
"""

from pathlib import Path

import pandas as pd

from . import phantom

NORMAL, BOTH = 0.25, 0.15  # shares of all images


def read(
    root: str | Path | None = None,
    *,
    cases: int = 400,
    size: int = 128,
    seed: int = 0,
    test: int = 0,
) -> pd.DataFrame:
    """The phantom with a quarter of normal images, and .15 with a benign and a malignant nodule.

    Arguments, table and errors as in `lib.sources.phantom.read`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     cases = read(folder, cases=20, size=32)
    >>> cases["label"].value_counts().to_dict()
    {'benign': 7, 'malignant': 5, 'both': 4, 'normal': 4}
    """
    options = {"cases": cases, "size": size, "seed": seed, "test": test}
    return phantom.read(root, normal=NORMAL, both=BOTH, **options)
