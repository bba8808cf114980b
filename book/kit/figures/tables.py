"""Counts of contradictions, and where the numbers come from."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lib import results
from lib.metrics import classified

from .runs import titled
from .style import table


def contradictions_table(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> str:
    """How often T1 and T3 name different classes, and who is then right: counts of test images.

    Each image with a class is counted once: T1 and T3 agree; they differ, and only T1 is right, or
    only T3 is right; or T3 sees no nodule. The folds of a seed stand together. Raises ValueError if
    no run has both tasks.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> run["per_image"] |= {"seg_as_cls": [0, 0, 0, -1]}
    >>> contradictions_table([run], {"mtl": "MTL"}).count("<td")  # cells
    5
    """
    body = []
    by_name: dict[str, list[pd.DataFrame]] = {}
    for name, record in titled(records, titles):
        by_name.setdefault(name, []).append(results.rows(record))
    for name, folds in by_name.items():
        rows = pd.concat(folds, ignore_index=True)
        if not {"p_malignant", "seg_as_cls"} <= set(rows):
            continue
        known, truth, score = classified(rows)
        guess, painted = score[known] > 0.5, rows["seg_as_cls"].to_numpy(float)[known]
        right, none = guess == truth[known], painted < 0
        differ = ~none & (painted != guess)
        counts = [~none & ~differ, differ & right, differ & ~right, none]
        body.append([name, str(known.sum()), *(str(int(c.sum())) for c in counts)])
    if not body:
        raise ValueError("no run has both a class (T1) and a 3-class mask (T3)")
    head = [
        "test images", "with a class", "T1 and T3 agree", "differ: only T1 right",
        "differ: only T3 right", "T3 sees no nodule",
    ]  # fmt: skip
    return table(head, body, "Counts of these trainings alone; others of the same system differ.")
