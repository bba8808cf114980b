"""What tells two sets of cases apart: a fingerprint of the data, a digest of its split."""

import hashlib
import json
from typing import Any

import pandas as pd

from .pixels import decode
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

    def digest(row: Any) -> str:
        crop = crop_of(get(row, "crop"))
        words = [
            str(get(row, "case")),
            text(get(row, "label")),
            str(get(row, "group")),
            None if crop is None else [int(v) for v in crop],
        ]
        image, mask = decode(row)
        sha = hashlib.sha256(json.dumps([words, image.shape]).encode())
        sha.update(image.tobytes())
        sha.update(mask.tobytes())
        return sha.hexdigest()

    return hashlib.sha256("\n".join(sorted(each(digest, cases))).encode()).hexdigest()


def split_digest(cases: pd.DataFrame) -> str:
    """Twelve hexadecimal digits of which case is in which part of the split, in any order.

    >>> cases = pd.DataFrame({"case": ["a", "b"], "split": ["train", "test"]})
    >>> split_digest(cases) == split_digest(cases[::-1]), len(split_digest(cases))
    (True, 12)
    """
    pairs = sorted(zip(cases["case"].astype(str), cases["split"], strict=True))
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:12]
