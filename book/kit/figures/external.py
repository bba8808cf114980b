"""The external tests: networks trained on one source and measured on another."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..stats import PRIMARY, Evidence, together
from .measures import COLUMNS, FEW
from .places import counts, short_name
from .runs import levels
from .style import ABSENT, number, stacked, table, text


def external_table(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> str:
    """The primary measures of each external test, with 95 % intervals, above those at home.

    records: as `lib.external.load_all` gives them; titles: experiment -> name to show. A heading
    for each network and source, then a row as answered and one decided together. Raises ValueError
    if there is no test.

    >>> run = {"experiment": "mtl", "source": "busbra", "profile": "laptop", "seed": 0, "fold": 0}
    >>> run["external"] = {"source": "busi", "metrics": {"AUC": 0.9}, "joint": None, "notes": []}
    >>> run["per_image"] = {"label": [0, 1] * 8, "p_malignant": [0.2, 0.8, 0.6, 0.9] * 4}
    >>> "trained on BUS-BRA, tested on BUSI" in external_table([run])
    True
    """
    if not records:
        raise ValueError("no external test is here yet")
    tests = [[(record, "as answered", "metrics")] for record in records]
    for record, rows in zip(records, tests, strict=True):
        if other := together(record):
            rows.append((other, "decided together", "joint"))
    found = [
        [(words, levels(Evidence([r]), r["experiment"], PRIMARY), r["external"].get(own) or {})
         for r, words, own in rows]
        for rows in tests
    ]  # fmt: skip
    shown = [m for m in PRIMARY if any(m in values for rows in found for _, values, _ in rows)]
    body: list[list[str] | str] = []
    for record, rows in zip(records, found, strict=True):
        body.append(_heading(record, titles or {}))
        for words, values, own in rows:
            home = {m: f"<br><small><i>{number(own.get(m))}*</i></small>" for m in shown}
            cells = [
                stacked(values[m]) + home[m] * (m in own) if m in values else ABSENT for m in shown
            ]
            body.append([words, *cells])
    note = (
        f"{' '.join(map(_counted, records))} In brackets 95 % intervals over patients; another "
        "training would move the numbers, too. * The same network on the test images of its own "
        "source, without an interval here: other images, so a difference is one of images too. "
        f"{FEW}"
    )
    return table(["in %", *(COLUMNS[m] for m in shown)], body, note)


def _heading(record: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Which network, from where to where."""
    own, other = (short_name((s, "")) for s in (record["source"], record["external"]["source"]))
    which = f"profile {record['profile']}, seed {record['seed']}"
    which += f", fold {record['fold']}" if record["fold"] else ""
    name = titles.get(record["experiment"], record["experiment"])
    return (
        f"<b>{text(name)}</b> ({text(which)}),<br>trained on {text(own)}, tested on {text(other)}"
    )


def _counted(record: Mapping[str, Any]) -> str:
    """On how many images, and what to mind."""
    source = short_name((record["external"]["source"], ""))
    said = [counts(Evidence([record])), *record["external"]["notes"]]
    return text(f"{source}: {'; '.join(said)}.")
