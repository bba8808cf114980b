"""The picker: runs packed for a page on which a reader compares any two of them, with no kernel.

The page's script, `book/assets/picker.js`, computes what `book.kit.stats` computes, from one file
per test set. A run is packed so that nothing of its order is lost: scores as ranks, per-image
measures in 4094 steps, and the measures themselves exactly, to which the steps are adjusted.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from lib import results
from lib.metrics import as_ratios, summarise

from ..stats import patients
from .measures import HEADLINE

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
MISSING = 4095  # two digits of base 64 hold 0 to 4095
STEPS = 4094
# The per-image columns that the means of `HEADLINE` are made of
PLAIN = (
    "dice_nodule",
    "dice_paper_benign",
    "dice_paper_malignant",
    "inconsis_seg2",
    "inconsis_seg3_benign",
    "inconsis_seg3_malignant",
)


def picker_sets(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Runs of one source and profile packed for the picker, by test set: key -> its content.

    Runs of another data fingerprint, split or list of test images come under a key of their own, so
    that the page cannot compare them. titles: experiment -> name to show. Only two classes are
    packed; runs with more are left out.

    >>> run = {"source": "phantom", "profile": "quick", "experiment": "mtl", "seed": 0}
    >>> run |= {"data": {"fingerprint": "0f"}, "seconds": {"total": 90.0}, "memory_mb": 512.0}
    >>> run |= {"model": {"parameters": 1_500_000}, "metrics": {}}
    >>> run |= {"per_image": {"label": [0, 1], "p_malignant": [0.25, 0.75]}}
    >>> sets = picker_sets([run], {"mtl": "MTL"})
    >>> list(sets), sets["phantom/quick"]["runs"][0]["exact"]["AUC"]
    (['phantom/quick'], 1.0)
    """
    sets: dict[tuple, dict[str, Any]] = {}
    keys: dict[str, int] = {}
    order = {name: place for place, name in enumerate(titles or {})}
    for record in sorted(records, key=lambda r: (order.get(r["experiment"], 1e9), r["seed"])):
        rows = results.rows(record)
        if "p_malignant" not in rows and any(name.startswith("p_") for name in rows):
            continue
        same = _test_set(record, rows, sets)
        if same not in sets:
            key = f"{record['source']}/{record['profile']}"
            keys[key] = keys.get(key, 0) + 1
            sets[same] = {"key": key + (f"/{keys[key]}" if keys[key] > 1 else "")}
            sets[same] |= _shared(rows) | {"runs": []}
        sets[same]["runs"].append(_packed(record, rows, titles or {}))
    for packed in sets.values():
        _add_shared(packed)
    return {packed["key"]: packed for packed in sets.values()}


def picker_script(packed: Mapping[str, Any]) -> str:
    """The file that hands one packed test set to the page, also from a folder without a server.

    >>> picker_script({"key": "phantom/quick", "runs": []})[:39]
    '(globalThis.pickerSets ??= {})["phantom'
    """
    content = json.dumps(packed, separators=(",", ":"), allow_nan=False)
    return f"(globalThis.pickerSets ??= {{}})[{json.dumps(packed['key'])}] = {content};\n"


def picker(sets: Mapping[str, str], start: Mapping[str, str] | None = None) -> str:
    """HTML of the picker; the script fills it.

    sets: key -> what to call the test set, each with a file `pick/KEY.js` beside the script (a
    slash in a key is a hyphen there); start: what is chosen at first, of data, a, b. Raises
    ValueError without a set.

    >>> 'aria-label="Choose two systems"' in picker({"phantom/laptop": "the phantom"})
    True
    """
    if not sets:
        raise ValueError("there is no run to pick from")
    given = escape(json.dumps({"sets": sets, "start": dict(start or {})}))
    return (
        f'<div class="picker" data-given="{given}">'
        '<form aria-label="Choose two systems"></form>'
        '<p class="picker-said" role="status">The script that compares the runs is loading.</p>'
        '<div class="picker-shown"></div>'
        "<noscript>Choosing needs a script, which this browser does not run. The results page has "
        "the same numbers for all systems.</noscript></div>"
        '<script src="_static/picker.js" defer></script>'
    )


def packed_numbers(values: np.ndarray) -> str:
    """Whole numbers from 0 to 4095, two digits of base 64 each.

    >>> packed_numbers(np.array([0, 65, 4095]))
    'AABB//'
    """
    values = np.asarray(values)
    if len(values) and not (values.min() >= 0 and values.max() <= MISSING):
        raise ValueError(
            f"values from {values.min()} to {values.max()}; 0 to {MISSING} can be kept"
        )
    return "".join(DIGITS[v // 64] + DIGITS[v % 64] for v in values.astype(int))


def _test_set(record: Mapping[str, Any], rows: pd.DataFrame, known: Mapping[tuple, Any]) -> tuple:
    """What must be equal; the first runs did not record their split, so they go with the rest."""
    names = tuple(
        tuple(rows[column].tolist()) if column in rows else None
        for column in ("case", "group", "label")
    )
    split = record["data"].get("split")
    same = (record["source"], record["profile"], record["data"]["fingerprint"], names)
    for other in known:
        if other[:4] == same and (split is None or other[4] in (None, split)):
            return other
    return (*same, split)


def _shared(rows: pd.DataFrame) -> dict[str, Any]:
    patient = pd.factorize(patients(rows))[0]
    label = rows["label"].to_numpy()
    return {
        "patient": packed_numbers(patient),
        "label": "".join("-" if value < 0 else str(int(value)) for value in label),
    }


def _add_shared(packed: dict[str, Any]) -> None:
    """Which images hold a nodule of which class: the same for every run that has masks."""
    packed["truth"] = next((run["truth"] for run in packed["runs"] if run["truth"]), {})
    for run in packed["runs"]:
        del run["truth"]


def _packed(
    record: Mapping[str, Any], rows: pd.DataFrame, titles: Mapping[str, str]
) -> dict[str, Any]:
    ratios = as_ratios(rows)
    exact = summarise(rows)
    run = {
        "name": record["experiment"],
        "title": titles.get(record["experiment"], record["experiment"]),
        "seed": record["seed"],
        "cost": {
            "parameters": record["model"]["parameters"],
            "flops": record["model"].get("forward_flops"),
            "seconds": round(record["seconds"]["total"]),
            "memory": round(record["memory_mb"]),
        },
        "exact": {name: exact[name] for name in HEADLINE if name in exact},
        "columns": {name: _steps(*ratios[name]) for name in PLAIN if name in ratios},
        "truth": {
            name: "".join("01"[int(value > 0)] for value in rows[f"{name}_true"].fillna(0))
            for name in ("benign", "malignant")
            if f"{name}_true" in rows
        },
    }
    if "p_malignant" in rows:
        score = rows["p_malignant"].to_numpy(float)
        there = ~np.isnan(score)
        rank = np.full(len(score), MISSING)
        values, rank[there] = np.unique(score[there], return_inverse=True)
        run |= {"rank": packed_numbers(rank), "benign": int((values <= 0.5).sum())}
    if "seg_as_cls" in rows:
        read = rows["seg_as_cls"].to_numpy(float)
        run["seg"] = "".join("x" if v != v else "-" if v < 0 else str(int(v)) for v in read)
    return run


def _steps(value: np.ndarray, enters: np.ndarray) -> str:
    return packed_numbers(np.where(enters > 0, np.rint(value * STEPS), MISSING).astype(int))
