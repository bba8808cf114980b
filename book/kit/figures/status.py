"""Every run, what it took and what made it; the runs that failed; what built the page."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lib.results import changed_modules

from .places import place_name
from .runs import clock
from .sortable import Column, sortable
from .style import ABSENT, text

CURRENT, STALE = "current", "stale"


def code_digest(record: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of all the code that a run executed.

    >>> code_digest({"code": {"metrics": "0a"}}) == code_digest({"code": {"metrics": "0b"}})
    False
    """
    text = json.dumps(record["code"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def runs_in_words(
    records: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    code: Mapping[str, Mapping[str, str]],
) -> str:
    """How many runs there are, where, how long they took and how many are stale, in Markdown.

    code: experiment -> today's digests; a run of an experiment that is not in it counts as changed.

    >>> run = {"experiment": "mtl", "source": "busbra", "profile": "laptop", "code": {}}
    >>> told = runs_in_words([run | {"seconds": {"total": 5400.0}}], [], {})
    >>> told.startswith("**1 runs** took 1.5 hours together (BUS-BRA"), "**1** of them" in told
    (True, True)
    """
    hours = sum(clock(record) for record in records) / 3600
    where = Counter((record["source"], record["profile"]) for record in records)
    counted = "; ".join(f"{place_name(place)}: {count}" for place, count in where.items())
    old = Counter(record["profile"] for record in _stale(records, code))
    of = f" (profile {', '.join(f'{name}: {n}' for name, n in old.items())})" if old else ""
    return (
        f"**{len(records)} runs** took {hours:.1f} hours together ({counted}). "
        f"**{old.total()}** of them were made by code that has changed since{of}, and "
        f"**{len(failures)}** failed when they were last started."
    )


def runs_table(
    records: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]] = (),
    code: Mapping[str, Mapping[str, str]] | None = None,
    titles: Mapping[str, str] | None = None,
    csv: str | None = None,
) -> str:
    """HTML of every run and every failure, one line each, to sort by any column.

    code: experiment -> today's digests, to tell which runs are stale; titles: experiment -> name to
    show. Machines and sets of versions are numbered as in `machines_table` and `versions_table`.
    Raises ValueError if there is neither a run nor a failure.

    >>> failure = {"experiment": "mtl", "source": "busbra", "profile": "laptop", "seed": 0}
    >>> shown = runs_table([], [failure | {"error": "MemoryError", "commit": "c" * 40}])
    >>> "failed: MemoryError" in shown
    True
    """
    if not records and not failures:
        raise ValueError("there is no run to show")
    frame = _frame(records, failures, code or {})
    columns = [
        Column("run"), Column("source"), Column("profile"), Column("seed", numbers=True),
        Column("fold", numbers=True), Column("state"), Column("epochs", numbers=True),
        Column("minutes", numbers=True), Column("processor<br>minutes", numbers=True),
        Column("memory,<br>MiB", numbers=True), Column("commit"), Column("code"),
        Column("machine"), Column("versions"),
    ]  # fmt: skip
    body = []
    for line in frame.to_dict("records"):
        title = (titles or {}).get(line["experiment"], line["experiment"])
        body.append(
            [
                f"{text(title)}<br><code>{text(line['experiment'])}</code>",
                text(line["source"]),
                text(line["profile"]),
                str(line["seed"]),
                _number(line["fold"], 0),
                f'<span class="words">{text(line["state"])}</span>',
                _number(line["epochs"], 0),
                _number(line["minutes"], 1),
                _number(line["processor_minutes"], 1),
                _number(line["memory_mb"], 0),
                f"<code>{text(_short(line['commit']))}</code>",
                f"<code>{line['code']}</code>" if line["code"] else ABSENT,
                line["machine"] or ABSENT,
                line["versions"] or ABSENT,
            ]
        )
    stale = len(_stale(records, code or {}))
    caption = (
        f"{len(records)} runs, {stale} of them stale, and {len(failures)} that failed. A run is "
        "stale if a module that it executes does something else today, or if its experiment is not "
        "known any more; comments do not count."
    )
    return sortable(columns, body, caption, csv=(csv, frame) if csv else None)


def machines_table(records: Sequence[Mapping[str, Any]]) -> str:
    """HTML of the machines that runs were made on, numbered, with the runs of each counted.

    >>> "AVX2" in machines_table([{"machine": {"device": "cpu", "instructions": "AVX2"}}])
    True
    """
    return _sets(records, "machine", "M", ("device", "gpu", "processor", "instructions", "threads"))


def versions_table(
    records: Sequence[Mapping[str, Any]], today: Mapping[str, str] | None = None
) -> str:
    """HTML of the sets of versions that runs were made with, numbered, and of those of this build.

    >>> shown = versions_table([{"versions": {"torch": "2.14.1"}}], {"torch": "2.14.1"})
    >>> shown.count("2.14.1"), "this build" in shown
    (2, True)
    """
    packages = dict.fromkeys(k for r in records for k in r["versions"])
    return _sets(records, "versions", "V", list(packages | dict.fromkeys(today or {})), today)


def _sets(
    records: Sequence[Mapping[str, Any]],
    key: str,
    letter: str,
    parts: Sequence[str],
    today: Mapping[str, str] | None = None,
) -> str:
    found = _numbered(records, key, letter)
    body = []
    for written, label in found.items():
        values = json.loads(written)
        count = sum(_written(record[key]) == written for record in records)
        body.append([label, str(count), *(_part(values, part) for part in parts)])
    if today:
        body.append(["this build", ABSENT, *(_part(today, part) for part in parts)])
    name = {"M": "The machines of the runs.", "V": "The versions of Python and the packages."}
    columns = [Column("set"), Column("runs", numbers=True), *(Column(text(part)) for part in parts)]
    return sortable(columns, body, name[letter])


def _part(values: Mapping[str, Any], part: str) -> str:
    value = values.get(part)
    return ABSENT if value is None else text(value)


def _written(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _numbered(records: Sequence[Mapping[str, Any]], key: str, letter: str) -> dict[str, str]:
    """Each different value as text, with its label: the most used is the first."""
    every = [_written(record[key]) for record in records]
    order = sorted(dict.fromkeys(every), key=lambda written: -every.count(written))
    return {written: f"{letter}{place}" for place, written in enumerate(order, 1)}


def _frame(
    records: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    code: Mapping[str, Mapping[str, str]],
) -> pd.DataFrame:
    machines, versions = (
        _numbered(records, key, letter) for key, letter in (("machine", "M"), ("versions", "V"))
    )
    lines = [
        _names(record)
        | {
            "state": _state(record, code),
            "epochs": len(record["history"]),
            "minutes": clock(record) / 60,
            "processor_minutes": (record["seconds"].get("processor") or math.nan) / 60,
            "memory_mb": record["memory_mb"],
            "commit": str(record["commit"]),
            "code": code_digest(record),
            "machine": machines[_written(record["machine"])],
            "versions": versions[_written(record["versions"])],
        }
        for record in records
    ] + [
        _names(failure)
        | {"state": f"failed: {failure['error']}", "commit": str(failure["commit"])}
        | dict.fromkeys(("epochs", "minutes", "processor_minutes", "memory_mb"), math.nan)
        | dict.fromkeys(("code", "machine", "versions"), "")
        for failure in failures
    ]
    return pd.DataFrame(lines)


def _names(record: Mapping[str, Any]) -> dict[str, Any]:
    names = {key: record[key] for key in ("experiment", "source", "profile", "seed")}
    return names | {"fold": record.get("fold") or math.nan}


def _stale(
    records: Sequence[Mapping[str, Any]], code: Mapping[str, Mapping[str, str]]
) -> list[Mapping[str, Any]]:
    return [record for record in records if _state(record, code) != CURRENT]


def _state(record: Mapping[str, Any], code: Mapping[str, Mapping[str, str]]) -> str:
    today = code.get(record["experiment"])
    if today is None:
        return "not known"
    changed = changed_modules(record["code"], today)
    return f"{STALE}: {', '.join(changed)}" if changed else CURRENT


def _short(commit: str) -> str:
    name, _, changed = commit.partition("-")
    return name[:8] + ("-changed" if changed else "")


def _number(value: float, digits: int) -> str:
    return ABSENT if value != value else f"{value:,.{digits}f}"
