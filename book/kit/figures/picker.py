"""The picker: runs packed for a page on which a reader compares any two of them, with no kernel.

What `book.kit.stats` says of every pair is in the file, rounded once, as the page shows it; the
page's script, `book/assets/picker.js`, looks it up. Beside that are each training's answers, from
which it draws the ROC curve and counts the contradictions: scores as ranks, so that nothing of
their order is lost.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from lib import results

from ..stats import Evidence
from .measures import HEADLINE
from .runs import clock

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
MISSING = 4095  # two digits of base 64 hold 0 to 4095


def picked(found: Evidence, titles: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The runs of one source and profile packed for the picker: its `key` and all it shows.

    titles: experiment -> name to show, in the order of the list; others come after them. Raises
    ValueError if there is no run.

    >>> run = {"source": "phantom", "profile": "quick", "experiment": "mtl", "seed": 0}
    >>> run |= {"seconds": {"total": 90.0}, "memory_mb": 512.0, "model": {"parameters": 1_500_000}}
    >>> run |= {"per_image": {"label": [0, 1] * 10, "p_malignant": [0.25, 0.75] * 10}}
    >>> packed = picked(Evidence([run]), {"mtl": "MTL"})
    >>> packed["key"], packed["systems"][0]["levels"]["AUC"][0]
    ('phantom/quick', 100.0)
    """
    if not found.runs:
        raise ValueError("there is no run to pick from")
    order = {name: place for place, name in enumerate(titles or {})}
    systems = sorted(found.runs, key=lambda name: order.get(name, len(order)))
    tests: dict[str, int] = {}  # labels of a test set -> its number
    first = found.records[0]
    return {
        "key": f"{first['source']}/{first['profile']}",
        "systems": [
            _system(found, name, (titles or {}).get(name, name), tests) for name in systems
        ],
        "pairs": {
            f"{a},{b}": pair
            for a, b in combinations(range(len(systems)), 2)
            if (pair := _pair(found, systems[a], systems[b]))
        },
        "tests": list(tests),
        "measures": list(HEADLINE),
    }


def picker_script(packed: Mapping[str, Any]) -> str:
    """The file that hands one packed test set to the page, also from a folder without a server.

    >>> picker_script({"key": "phantom/quick", "runs": []})[:39]
    '(globalThis.pickerSets ??= {})["phantom'
    """
    content = json.dumps(packed, separators=(",", ":"), allow_nan=False)
    return f"(globalThis.pickerSets ??= {{}})[{json.dumps(packed['key'])}] = {content};\n"


def picker_files(packed: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write each packed test set for the page's script to load: folder/KEY.js, slashes as hyphens.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as made:
    ...     picker_files([{"key": "phantom/quick", "runs": []}], Path(made, "pick"))
    ...     [file.name for file in Path(made, "pick").iterdir()]
    ['phantom-quick.js']
    """
    folder.mkdir(parents=True, exist_ok=True)
    for one in packed:
        file = folder / f"{one['key'].replace('/', '-')}.js"
        file.write_text(picker_script(one), encoding="utf8")


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


def _system(found: Evidence, name: str, title: str, tests: dict[str, int]) -> dict[str, Any]:
    runs = found.runs[name]
    first = next(iter(runs.values()))
    given = found.measures(name)
    return {
        "name": name,
        "title": title,
        "levels": {m: _points(found.level(name, m)) for m in HEADLINE if m in given},
        "cost": {
            "parameters": first["model"]["parameters"],
            "flops": first["model"].get("forward_flops"),
            "seconds": round(clock(first)),
            "memory": round(first["memory_mb"]),
        },
        "runs": [_answers(record, tests) for record in runs.values()],
    }


def _pair(found: Evidence, above: str, below: str) -> dict[str, Any]:
    """What the rule says of two systems; nothing if they share no training or no measure."""
    family = found.differences(above, below)
    if not any(m in HEADLINE for m in family):
        return {}
    rows = [
        [*_points(d.interval), None if math.isnan(d.p) else round(d.p, 3), int(d.clear)]
        if (d := family.get(m))
        else 0
        for m in HEADLINE
    ]
    one = next(iter(family.values()))
    return {"of": [one.trainings, one.images, one.patients], "rows": rows}


def _points(values: Iterable[float]) -> list[float | None]:
    """Per cent to one decimal: what the page shows."""
    return [None if math.isnan(v) else round(100 * v, 1) + 0.0 for v in values]


def _answers(record: Mapping[str, Any], tests: dict[str, int]) -> dict[str, Any]:
    """The class that each test image got from T1 and from T3, and its rank among the scores."""
    rows = results.rows(record)
    labels = "".join("-" if value < 0 else str(int(value)) for value in rows["label"])
    run: dict[str, Any] = {"seed": record["seed"], "test": tests.setdefault(labels, len(tests))}
    if record.get("fold"):
        run["fold"] = record["fold"]
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
