"""How sure a measure is, and whether two systems differ.

`Evidence` holds the one rule for both; `rule` says what it assumes. `draw` draws whole patients for
figures of their own.
"""

from .bootstrap import COLUMNS, DRAWS, draw
from .interval import Interval, wilson, wilson_p
from .pairing import check_paired, refuse_other_data
from .rule import (
    FEWEST,
    JUDGED,
    LESS_IS_BETTER,
    LEVEL,
    MARGIN,
    Difference,
    Evidence,
    corrected,
    holm,
    smallest_difference,
)

__all__ = [
    "COLUMNS",
    "DRAWS",
    "FEWEST",
    "JUDGED",
    "LESS_IS_BETTER",
    "LEVEL",
    "MARGIN",
    "Difference",
    "Evidence",
    "Interval",
    "check_paired",
    "corrected",
    "draw",
    "holm",
    "refuse_other_data",
    "smallest_difference",
    "wilson",
    "wilson_p",
]
