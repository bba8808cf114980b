"""Are these runs of the same data, and do two of them answer for the same images?"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lib import results

Record = Mapping[str, Any]


def name(record: Record) -> str:
    """A run by its source, profile, experiment, seed and fold.

    >>> name({"source": "phantom", "profile": "quick", "experiment": "mtl", "seed": 0})
    'phantom/quick/mtl/seed0'
    """
    parts = (str(record[part]) for part in ("source", "profile", "experiment"))
    fold = fold_of(record)
    return f"{'/'.join(parts)}/seed{record['seed']}" + (f" fold {fold}" if fold else "")


def fold_of(record: Record) -> str:
    """The fold whose images a run was tested on; empty for a run on the one test set."""
    return str(record.get("parameters", {}).get("fold") or "")


def refuse_other_data(records: Sequence[Record]) -> None:
    """Raise ValueError, naming two runs, unless all can be compared.

    All must be of one source, profile and data fingerprint. Runs of one seed and fold must have one
    split and the same test images: a seed may draw the split of the data, and then has test images
    of its own, the same for every system.

    >>> run = {"source": "phantom", "profile": "quick", "experiment": "mtl", "seed": 0}
    >>> runs = [run | {"data": {"fingerprint": k}, "per_image": {"label": [0]}} for k in "ab"]
    >>> refuse_other_data(runs)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: phantom/quick/mtl/seed0 and phantom/quick/mtl/seed0: other fingerprint, a and b; ...
    """
    for part in ("source", "profile", "fingerprint"):
        _refuse_other(part, records)
    for key in dict.fromkeys((record["seed"], fold_of(record)) for record in records):
        first, *others = (r for r in records if (r["seed"], fold_of(r)) == key)
        _refuse_other("split", [first, *others])
        rows = results.rows(first)
        for record in others:
            try:
                check_paired(rows, results.rows(record))
            except ValueError as error:
                raise ValueError(
                    f"{name(first)} and {name(record)} have different test images: {error}"
                ) from error


def check_paired(rows_a: pd.DataFrame, rows_b: pd.DataFrame) -> None:
    """Raise ValueError unless both frames hold the same images in the same order.

    Compared are their number and, where both frames have them, the columns case, group and label.
    """
    if len(rows_a) != len(rows_b):
        raise ValueError(f"rows_a has {len(rows_a)} images but rows_b has {len(rows_b)}")
    for column in ("case", "group", "label"):
        if column in rows_a and column in rows_b:
            differ = rows_a[column].to_numpy() != rows_b[column].to_numpy()
            if differ.any():
                raise ValueError(
                    f"rows_a and rows_b differ in {column!r} at row {int(differ.argmax())}; "
                    "pass the same images in the same order"
                )


def _refuse_other(part: str, records: Sequence[Record]) -> None:
    known = [(record, value) for record in records if (value := _value(record, part))]
    for record, value in known[1:]:
        if value != known[0][1]:
            raise ValueError(
                f"{name(known[0][0])} and {name(record)}: other {part}, {known[0][1][:12]} and "
                f"{value[:12]}; runs on different data must not stand in one table"
            )


def _value(record: Record, part: str) -> str:
    """What must be equal; the first runs did not record their split, which then is empty."""
    return str(record.get(part) or record.get("data", {}).get(part) or "")
