"""What sets a run apart from those beside it: its code, settings, machine or versions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .changes import OWN

# The kinds of difference, in the order of their signs
PARTS = ("device", "gpu", "instructions", "threads", "processes")
KINDS = ("code", "settings", "machine", "versions")
SIGNS = dict(zip(KINDS, ("a", "b", "c", "d"), strict=True))
SAID = {
    "code": "made by other code than most runs here",
    "settings": "other settings",
    "machine": "another processor or number of threads",
    "versions": "other versions of packages",
}
NOT_SETTINGS = {*OWN, "source", "seed", "fold", "name", "fingerprint", "precision", "phantoms"}

Record = Mapping[str, Any]


def apart(
    records: Sequence[Record], recipes: Mapping[str, Sequence[str]] | None = None
) -> list[dict[str, list[str]]]:
    """For each run, in what it differs from most of these runs: kind -> what, empty if in nothing.

    recipes: experiment -> the settings that are its own by design, which do not count. Modules of
    code count where both runs have them. Kinds are those of `KINDS`; what most runs have is found
    for each module and each setting alone, and a tie goes to the later run.

    >>> old, new = ({"experiment": "mtl", "code": {"metrics": k}} for k in ("0a", "1b"))
    >>> more = {"parameters": {"epochs": 7}, "machine": {}, "versions": {}, "history": []}
    >>> apart([old | more, new | more, new | more])
    [{'code': ['metrics']}, {}, {}]
    """
    found = [_settled(record, (recipes or {}).get(record["experiment"], ())) for record in records]
    usual = {kind: _most([one[kind] for one in found]) for kind in KINDS}
    return [
        {
            kind: differing
            for kind in KINDS
            if (differing := [k for k, value in one[kind].items() if value != usual[kind][k]])
        }
        for one in found
    ]


def _settled(record: Record, own: Sequence[str]) -> dict[str, dict[str, str]]:
    skipped = NOT_SETTINGS | set(own)
    settings = {k: v for k, v in record["parameters"].items() if k not in skipped}
    settings["epochs"] = len(record["history"])
    if settings.get("images"):  # seen at least: a fold with fewer training images has more epochs
        del settings["epochs"]
    machine = {k: record["machine"].get(k) for k in PARTS}
    every = (record["code"], settings, machine, record["versions"])
    return {
        kind: {k: str(v) for k, v in values.items()}
        for kind, values in zip(KINDS, every, strict=True)
    }


def _most(runs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The value that most runs have, by name; of equally common ones, the last run's."""
    names = {k for run in runs for k in run}
    values = {k: [run[k] for run in reversed(runs) if k in run] for k in names}
    return {k: Counter(v).most_common(1)[0][0] for k, v in values.items()}
