"""How often the book's intervals hold the truth, where the truth is known."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..figures.measures import NAMES
from ..figures.style import table

NEAR = 93, 97  # per cent that a simulation of an interval of 95 % may give


def coverage_table(designs: Mapping[str, Mapping[str, Any]]) -> str:
    """HTML: the share of simulated studies whose interval holds the truth, and of false claims.

    designs: name -> systems (their number), differences (measure -> per cent) and false claims
    (kind of measures -> per cent), as `results/bench/coverage.json` holds them. Below the table
    stand the shares of differences outside 93 to 97.

    >>> held = {"systems": 2, "differences": {"ACC": 92.0}, "false claims": {"primary": 4.0}}
    >>> coverage_table({"one fold": held}).count("Outside 93 to 97: Accuracy, one fold: 92.0.")
    1
    """
    columns = {
        f"{name}, {design['systems']} systems": {
            NAMES[measure]: f"{share:.1f}" for measure, share in design["differences"].items()
        }
        | {
            f"false claims, {kind} measures": f"{share:.1f}"
            for kind, share in design["false claims"].items()
        }
        for name, design in designs.items()
    }
    outside = [
        f"{NAMES[measure]}, {name}: {share:.1f}"
        for name, design in designs.items()
        for measure, share in design["differences"].items()
        if not NEAR[0] <= share <= NEAR[1]
    ]
    return table(
        ["in % of studies", *columns],
        [[row, *values] for row, *values in pd.DataFrame(columns).itertuples()],
        "How often the 95 % interval of a difference holds the truth, which is 0; and how often a "
        f"family claims a difference all the same. Outside {NEAR[0]} to {NEAR[1]}: "
        f"{'; '.join(outside) or 'none'}.",
    )
