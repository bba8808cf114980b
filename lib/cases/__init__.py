"""The case table: one row per ultrasound image, read, checked, grouped and split."""

from .check import check_cases
from .duplicates import group_near_duplicates
from .folds import grouped_folds
from .identity import fingerprint, split_digest
from .judge import unfit
from .masks import UNKNOWN
from .pixels import MAX_PIXELS, decode
from .prepare import prepare_cases
from .split import split_cases
from .table import (
    CLASSES,
    COLUMNS,
    LABELS,
    SPLITS,
    CaseError,
    Problem,
    Region,
    class_index,
)

__all__ = [
    "CLASSES",
    "COLUMNS",
    "LABELS",
    "MAX_PIXELS",
    "SPLITS",
    "UNKNOWN",
    "CaseError",
    "Problem",
    "Region",
    "check_cases",
    "class_index",
    "decode",
    "fingerprint",
    "group_near_duplicates",
    "grouped_folds",
    "prepare_cases",
    "split_cases",
    "split_digest",
    "unfit",
]
