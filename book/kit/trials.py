"""The trials of recipes on validation images, as results/bench/recipe keeps them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib import results

FOLDER = results.ROOT / "results" / "bench" / "recipe"
Trials = Mapping[str, Mapping[str, Any]]


def load_all(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Every trial of a folder by its file's name, sorted.

    >>> load_all()["128-norm"]["judged_on"]
    'validation images of fold 4'
    """
    return {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*.json"))
    }


def named(trials: Trials, titles: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Some trials by the title to show, in the order of `titles`: name -> title.

    Those that are not there are left out.

    >>> named({"a": {"minutes": 1.0}}, {"b": "second", "a": "first"})
    {'first': {'minutes': 1.0}}
    """
    return {title: trials[name] for name, title in titles.items() if name in trials}
