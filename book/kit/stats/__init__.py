"""How sure a measure is, and whether two systems differ.

`Evidence` holds the one rule for both; `rule` says what it assumes. `pooled`: several sources;
`together` gives a run whose tasks are decided together; `draw` draws whole patients for figures of
their own.
"""

from .bootstrap import DRAWS, EACH, OF_IMAGES, draw, patients
from .interval import Interval, wilson, wilson_p
from .pairing import check_paired, refuse_other_data
from .pooled import apart, over_sources, pooled
from .rule import (
    FEWEST,
    FURTHER,
    LESS_IS_BETTER,
    LEVEL,
    MARGIN,
    PRIMARY,
    SUFFIX,
    Difference,
    Evidence,
    Spread,
    corrected,
    holm,
    paired,
    smallest_difference,
)
from .together import log_odds, paint, together, with_together

__all__ = [
    "DRAWS",
    "EACH",
    "FEWEST",
    "FURTHER",
    "LESS_IS_BETTER",
    "LEVEL",
    "MARGIN",
    "OF_IMAGES",
    "PRIMARY",
    "SUFFIX",
    "Difference",
    "Evidence",
    "Interval",
    "Spread",
    "apart",
    "check_paired",
    "corrected",
    "draw",
    "holm",
    "log_odds",
    "over_sources",
    "paint",
    "paired",
    "patients",
    "pooled",
    "refuse_other_data",
    "smallest_difference",
    "together",
    "wilson",
    "wilson_p",
    "with_together",
]
