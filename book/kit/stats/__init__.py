"""How sure a measure is, and whether two systems differ: intervals and paired tests.

Intervals: `bootstrap_interval`, `paired_difference` (over patients), `over_seeds`,
`paired_over_seeds` (over training runs), `delong_interval`. Tests: `permutation_test` (any
measure, over patients), `mcnemar`, `delong`, `paired_t_test`, with `holm` for several at once.
`compare` and `compare_seeds` put them together for two systems' records; `mean_intervals` and
`mean_differences` do it fast for tables of many systems.
"""

from .auc import DeLong, delong, delong_interval
from .bootstrap import (
    bootstrap_interval,
    bootstrap_intervals,
    draw,
    measured,
    paired_difference,
    replicates,
)
from .comparison import compare, compare_seeds, holm
from .contingency import McNemar, mcnemar
from .interval import Interval
from .many import mean_differences, mean_intervals
from .permutation import Permutation, permutation_test
from .power import smallest_difference
from .seeds import over_seeds, paired_over_seeds, paired_t_test

__all__ = [
    "DeLong",
    "Interval",
    "McNemar",
    "Permutation",
    "bootstrap_interval",
    "bootstrap_intervals",
    "compare",
    "compare_seeds",
    "delong",
    "delong_interval",
    "draw",
    "holm",
    "mcnemar",
    "mean_differences",
    "mean_intervals",
    "measured",
    "over_seeds",
    "paired_difference",
    "paired_over_seeds",
    "paired_t_test",
    "permutation_test",
    "replicates",
    "smallest_difference",
]
