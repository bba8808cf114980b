"""What tells two sets of cases apart: a fingerprint of the data, a digest of its split."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

from .looks import Look, look
from .table import crop_of, each, get, require_columns, text


def fingerprint(cases: pd.DataFrame) -> str:
    """Sha256 over what a network sees of the cases: pixels, names, labels, groups and crops.

    The same for the same cases in any order, under any folder, in any lossless file format.

    Returns:
        64 hexadecimal digits.

    Raises:
        CaseError: a picture cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> from lib.sources import phantom
    >>> with TemporaryDirectory() as folder:
    ...     cases = phantom.read(folder, cases=2, size=32)
    ...     prints = fingerprint(cases), fingerprint(cases[::-1]), fingerprint(cases[:1])
    >>> len(prints[0]), prints[0] == prints[1], prints[0] == prints[2]
    (64, True, False)
    """
    require_columns(cases)
    rows = cases.to_dict("records")
    looks = each(look, cases)
    return combine(case_digest(row, seen.sound()) for row, seen in zip(rows, looks, strict=True))


def case_digest(row: Any, seen: Look) -> str:
    """Sha256 over one case: what it is called and labelled, and the pixels that were seen of it."""
    crop = crop_of(get(row, "crop"))
    words = [
        str(get(row, "case")),
        text(get(row, "label")),
        str(get(row, "group")),
        None if crop is None else [int(v) for v in crop],
        seen.pixels,
    ]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def combine(digests: Iterable[str]) -> str:
    """The fingerprint of cases with these digests, in any order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def split_digest(cases: pd.DataFrame) -> str:
    """Twelve hexadecimal digits of which case is in which part of the split, in any order.

    >>> cases = pd.DataFrame({"case": ["a", "b"], "split": ["train", "test"]})
    >>> split_digest(cases) == split_digest(cases[::-1]), len(split_digest(cases))
    (True, 12)
    """
    pairs = sorted(zip(cases["case"].astype(str), cases["split"], strict=True))
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:12]
