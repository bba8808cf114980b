"""What each system costs beside what it gets right: a table to sort, and a figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..stats import Evidence, Interval
from .apart import KINDS, SAID, SIGNS, apart
from .places import short_name
from .reproduced import DERIVED, System
from .runs import clock, levels
from .sortable import Column, sortable
from .style import ABSENT, COLOURS, SYMBOLS, figure, number, table, text

COSTS = {
    "parameters": ("Parameters,<br>million", 1),
    "gflop": ("Forward,<br>GFLOP an image", 2),
    "epoch": ("Processor,<br>seconds an epoch", 1),
    "minutes": ("Whole run,<br>minutes", 1),
    "memory": ("Peak memory,<br>MiB", 0),
}
GAINS = {
    "inconsis_cls": "Contradictions,<br>T1 and T3",
    "AUC": "AUC",
    "dice_class_mean": "Dice, images<br>of the class",
    "dice_paper_mean": "Dice,<br>all images",
    "ACC": "Accuracy",
}
# In the figure first a measure of which more is better, since upwards is better
DRAWN = ("dice_class_mean", *(measure for measure in GAINS if measure != "dice_class_mean"))
# What is shown beside each other at first, where a page has no room for all
MAIN = ("parameters", "gflop", "epoch", "inconsis_cls", "AUC", "dice_class_mean")
KIND_NAMES = (
    "the paper's own",
    "the paper's own, with consistency",
    "rival",
    "rival, native or own recipe",
    "this book's own",
)


@dataclass(frozen=True)
class Cost:
    """One system: what kind it is, what it costs and what it gets, means over its trainings.

    place: its number in the figure; kind: of `KIND_NAMES`; of: the folds and seeds of its
    trainings; costs: by the keys of `COSTS`, NaN where a run did not note it; gains, derived:
    measure -> interval, derived being T1 read off T3.

    >>> Cost(1, "MTL", "rival").about
    ''
    """

    place: int
    title: str
    kind: str
    about: str = ""
    trainings: int = 1
    where: str = ""
    costs: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, Interval] = field(default_factory=dict)
    derived: Mapping[str, Interval] = field(default_factory=dict)
    apart: Mapping[str, Sequence[str]] = field(default_factory=dict)
    of: str = ""


def cost_rows(
    found: Evidence,
    own: Sequence[System],
    rivals: Sequence[System],
    more: Sequence[System] = (),
) -> list[Cost]:
    """The systems that were run, in the catalogue's order, numbered from 1.

    own, rivals, more: entries of the catalogue: the paper's, those of others, this book's.
    Processor seconds an epoch are those of the whole run, testing too, over its epochs: what else
    the machine did is not in them.

    >>> cost_rows(Evidence([]), [], [])
    []
    """
    systems = [*own, *more, *rivals]
    names = {system.name for system in systems}
    records = [record for record in found.records if record["experiment"] in names]
    recipes = {system.name: list(system.recipe) for system in systems}
    different = apart(records, recipes)
    rows = []
    for system in systems:
        mine = [k for k, record in enumerate(records) if record["experiment"] == system.name]
        if not mine:
            continue
        runs = [records[k] for k in mine]
        got = levels(found, system.name, [*GAINS, *DERIVED.values()])
        kinds = {
            kind: sorted({what for k in mine for what in different[k].get(kind, ())})
            for kind in KINDS
        }
        rows.append(
            Cost(
                len(rows) + 1,
                system.title,
                KIND_NAMES[4] if system in more else _kind(system, rivals),
                system.about,
                len(runs),
                _where(runs),
                {k: mean(_cost(run)[k] for run in runs) for k in COSTS},
                {m: got[m] for m in GAINS if m in got},
                {m: got[d] for m, d in DERIVED.items() if m not in got and d in got},
                {kind: what for kind, what in kinds.items() if what},
                _folds_and_seeds(runs),
            )
        )
    return rows


def costs_beside(rows: Sequence[Cost], caption: str, csv: str | None = None) -> str:
    """HTML of a table of the systems: what each costs beside what it gets, to sort by any.

    Raises ValueError if there is no system.

    >>> row = Cost(1, "MTL", KIND_NAMES[0], costs=dict.fromkeys(COSTS, 1.5))
    >>> "1.50" in costs_beside([row], "What it costs")
    True
    """
    if not rows:
        raise ValueError("there is no run to show")
    columns = [
        Column("system"),
        Column("no.", numbers=True),
        *(Column(head, "Cost", _band(key), True) for key, (head, _) in COSTS.items()),
        *(Column(head, "What it gets, %", _band(key), True) for key, head in GAINS.items()),
        Column("kind", band="The others"),
        Column("trainings", band="The others", numbers=True),
    ]
    body = []
    for row in rows:
        cells = [f"{text(row.title)}{_signs(row)}", str(row.place)]
        for key, (_, digits) in COSTS.items():
            value = row.costs.get(key, math.nan)
            cells.append(ABSENT if value != value else f"{value:,.{digits}f}")
        cells += [_gain(row, measure) for measure in GAINS]
        kind = row.kind + (f"<small>{text(row.about)}</small>" if row.about else "")
        cells.append(f'<span class="words">{kind}</span>')
        cells.append(f"{row.trainings}<small>{row.of}</small>")
        body.append(cells)
    return sortable(
        columns, body, caption, note=_note(rows), csv=(csv, _frame(rows)) if csv else None
    )


def _band(key: str) -> str:
    return "The main ones" if key in MAIN else "The others"


def cost_figure(rows: Sequence[Cost]) -> go.Figure:
    """Each system by what it costs, to the right more, and what it gets, upwards more.

    Dots carry the numbers of `costs_beside`; the bars are 95 % intervals; two menus
    choose the cost (on a scale of powers of ten) and the measure. A system whose run did not note
    a cost, or that lacks the task, is left out there. Raises ValueError if there is no system.

    >>> gains = {"dice_class_mean": Interval(0.6, 0.5, 0.7)}
    >>> row = Cost(1, "MTL", KIND_NAMES[0], costs={"parameters": 4.0}, gains=gains)
    >>> drawn = cost_figure([row])
    >>> drawn.data[0].x[0], drawn.data[0].y[0]
    (4.0, 60.0)
    """
    if not rows:
        raise ValueError("there is no run to show")
    costs = [c for c in ("epoch", "parameters", "gflop", "memory") if _known(rows, c)]
    gains = [m for m in DRAWN if any(m in row.gains for row in rows)]
    if not costs or not gains:
        raise ValueError("no run has both a cost and a measure")
    kinds = [kind for kind in KIND_NAMES if any(row.kind == kind for row in rows)]
    traces = [[row for row in rows if row.kind == kind] for kind in kinds]
    drawn = go.Figure()
    for kind, some in zip(kinds, traces, strict=True):
        look = KIND_NAMES.index(kind)
        y, bars = _heights(some, gains[0])
        drawn.add_scatter(
            x=_widths(some, costs[0]),
            y=y,
            error_y=bars,
            mode="markers+text",
            text=[str(row.place) for row in some],
            textposition="middle right",
            marker={"color": COLOURS[look], "symbol": SYMBOLS[look], "size": 10},
            name=kind,
            customdata=[text(row.title) for row in some],
            hovertemplate="%{customdata}<br>%{x:.3g}, %{y:.1f} %<extra></extra>",
        )
    flat = {key: _flat(head) for key, (head, _) in COSTS.items()}
    menus = [
        [
            {
                "label": flat[c],
                "method": "update",
                "args": [{"x": [_widths(t, c) for t in traces]}, {"xaxis.title.text": flat[c]}],
            }
            for c in costs
        ],
        [
            {
                "label": _flat(GAINS[m]),
                "method": "update",
                "args": [
                    {
                        "y": [_heights(t, m)[0] for t in traces],
                        "error_y.array": [_heights(t, m)[1]["array"] for t in traces],
                        "error_y.arrayminus": [_heights(t, m)[1]["arrayminus"] for t in traces],
                    },
                    {"yaxis.title.text": f"{_flat(GAINS[m])}, %"},
                ],
            }
            for m in gains
        ],
    ]
    shown = "; ".join(
        f"{row.place} {text(row.title)}: "
        + ", ".join(
            [f"{flat[c]} {row.costs[c]:.3g}" for c in costs if row.costs.get(c, math.nan) > 0]
            + [
                f"{_flat(GAINS[m])} {number(row.gains[m].estimate)}"
                for m in gains
                if m in row.gains
            ]
        )
        for row in rows
    )
    return figure(
        "What each system gets, in per cent, against what it costs, on a scale of powers of ten; "
        f"two menus choose the cost and the measure. {shown}.",
        height=560,
        base=drawn,
        margin={"t": 160, "b": 60, "r": 30},
        legend={"y": 1.01},
        xaxis={"title": flat[costs[0]], "type": "log"},
        yaxis={"title": f"{_flat(GAINS[gains[0]])}, %"},
        updatemenus=[
            {
                "buttons": buttons,
                "x": 0,
                "xanchor": "left",
                "y": 1 + height / 340,
                "yanchor": "top",
            }
            for buttons, height in zip(menus, (150, 108), strict=True)
        ],
    )


def _kind(system: System, rivals: Sequence[System]) -> str:
    if any(system is rival for rival in rivals):
        return KIND_NAMES[2 if system.rows else 3]
    return KIND_NAMES[1 if getattr(system, "terms", ()) else 0]


def _cost(run: Mapping[str, Any]) -> dict[str, float]:
    seconds = run["seconds"]
    on_gpu = run["machine"].get("device") == "cuda"  # whose work a processor's time leaves out
    processor = math.nan if on_gpu else seconds.get("processor") or math.nan
    return {
        "parameters": run["model"]["parameters"] / 1e6,
        "gflop": run["model"].get("forward_flops", math.nan) / 1e9,
        "epoch": processor / max(len(run["history"]), 1),
        "minutes": clock(run) / 60,
        "memory": run["memory_mb"],
    }


def _folds_and_seeds(runs: Sequence[Mapping[str, Any]]) -> str:
    """How many folds and seeds these trainings are of, in words."""
    folds, seeds = ({run.get(key) or 0 for run in runs} for key in ("fold", "seed"))
    of_folds = f"{len(folds)} fold{'s' * (len(folds) > 1)}, " if folds != {0} else ""
    return f"{of_folds}{len(seeds)} seed{'s' * (len(seeds) > 1)}"


def _where(runs: Sequence[Mapping[str, Any]]) -> str:
    """On what machine these runs were made."""
    machines = [run["machine"] for run in runs]
    names = [
        m.get("gpu")
        or f"{m.get('device')} {m.get('instructions', '')}, {m.get('threads', '?')} thread(s)"
        for m in machines
    ]
    return "; ".join(dict.fromkeys(names))


def _gain(row: Cost, measure: str) -> str:
    for values, shown in ((row.gains, "<b>{}</b>"), (row.derived, "<i>{}</i>†")):
        if measure in values:
            value, low, high = values[measure]
            interval = f"<small>[{number(low)}, {number(high)}]</small>"
            return shown.format(number(value)) + interval
    return ABSENT


def _signs(row: Cost) -> str:
    signs = [SIGNS[kind] for kind in KINDS if kind in row.apart]
    mark = "‡" if row.kind == KIND_NAMES[3] else ""
    return f" <sup>{', '.join([*signs, *([mark] if mark else [])])}</sup>" if signs or mark else ""


def _note(rows: Sequence[Cost]) -> str:
    machines = text("; ".join(dict.fromkeys(row.where for row in rows)))
    said = [
        f"Made on: {machines}. A multiplication with its addition is two operations. Processor "
        "seconds are those of the whole run over its epochs. Waiting does not count, but beside "
        "other work a core is slower, so between systems that were trained at different times "
        "compare operations, not seconds. They leave out a GPU's work, so such runs have none. "
        "Minutes are by the clock. "
        f"{ABSENT}: not noted by that run, or the system has no such answer. In brackets 95 % "
        "intervals over patients and trainings."
    ]
    if any(row.derived for row in rows):
        said.append("† Derived, an extra: the class is read off T3's mask (Alg. 1).")
    if any(row.kind == KIND_NAMES[3] for row in rows):
        said.append("‡ Not in the common field: a network of its own kind, or its own recipe.")
    for kind in KINDS:
        marked = sorted({what for row in rows for what in row.apart.get(kind, ())})
        if marked:
            said.append(f"<sup>{SIGNS[kind]}</sup> {SAID[kind]}: {text(', '.join(marked))}.")
    return " ".join(said)


def _frame(rows: Sequence[Cost]) -> pd.DataFrame:
    lines = []
    for row in rows:
        line: dict[str, Any] = {
            "number": row.place,
            "system": row.title,
            "kind": row.kind,
            "about": row.about,
            "trainings": row.trainings,
            "of": row.of,
            "machine": row.where,
            "parameters_million": row.costs.get("parameters"),
            "forward_gflop": row.costs.get("gflop"),
            "processor_seconds_epoch": row.costs.get("epoch"),
            "minutes": row.costs.get("minutes"),
            "memory_mb": row.costs.get("memory"),
        }
        for measure in GAINS:
            value, low, high = row.gains.get(measure, (math.nan,) * 3)
            line |= {measure: value, f"{measure}_low": low, f"{measure}_high": high}
        line |= {DERIVED[m]: interval.estimate for m, interval in row.derived.items()}
        lines.append(line)
    return pd.DataFrame(lines)


def _known(rows: Sequence[Cost], cost: str) -> bool:
    return any(row.costs.get(cost, math.nan) > 0 for row in rows)


def _widths(rows: Sequence[Cost], cost: str) -> list[float | None]:
    values = [row.costs.get(cost, math.nan) for row in rows]
    return [round(value, 4) if value > 0 else None for value in values]


def _heights(rows: Sequence[Cost], measure: str) -> tuple[list[float | None], dict[str, Any]]:
    points = np.array([row.gains.get(measure, (math.nan,) * 3) for row in rows]) * 100

    def plain(values: np.ndarray) -> list[float | None]:
        return [None if v != v else round(float(v), 2) for v in values]

    bars = {
        "type": "data",
        "symmetric": False,
        "array": plain(points[:, 2] - points[:, 0]),
        "arrayminus": plain(points[:, 0] - points[:, 1]),
        "thickness": 1,
        "width": 0,
    }
    return plain(points[:, 0]), bars


def _flat(head: str) -> str:
    return head.replace("<br>", " ")


def waiting_table(records: Sequence[Mapping[str, Any]]) -> str:
    """How long runs waited for their images, by source, profile and device, from least to most.

    Raises ValueError without a run.

    >>> run = {"source": "busbra", "profile": "laptop", "machine": {"device": "cpu", "threads": 1}}
    >>> run |= {"seconds": {"data": 1.0, "train": 50.0}, "memory_mb": 512.0}
    >>> "2.0 to 2.0" in waiting_table([run])
    True
    """
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for run in records:
        machine = run["machine"]
        on = machine.get("gpu") or f"{machine.get('threads', '?')} thread(s)"
        groups.setdefault((run["source"], run["profile"], on), []).append(run)
    if not groups:
        raise ValueError("there is no run to show")
    body = []
    for (source, profile, on), runs in groups.items():
        waited = [run["seconds"]["data"] / max(run["seconds"]["train"], 1e-9) for run in runs]
        peak = max(run["memory_mb"] for run in runs)
        body.append(
            [
                f"{short_name((source, profile))}, {text(profile)}",
                text(on),
                str(len(runs)),
                f"{number(min(waited))} to {number(max(waited))}",
                f"{peak:,.0f}",
            ]
        )
    return table(["runs on", "trained by", "runs", "waiting, %", "peak MiB, the highest"], body)


def decision_cost(bench: Mapping[str, Any]) -> str:
    """What the joint decision adds to a network's time, a line of Markdown for each way to run it.

    bench: results/bench/decode.json, by `ci/bench_decode.py`; medians of its rounds.

    >>> spread = {"median": 0.01, "low": 0.01, "high": 0.02}
    >>> took = {"network": {"median": 20.0}, "decision": {"median": 0.2}}
    >>> bench = {"limit": 0.02, "share": {"float32": spread}, "milliseconds": {"float32": took}}
    >>> decision_cost(bench)
    '- float32: **1.0 %** (1.0 to 2.0), 0.20 ms beside 20.0 ms an image: the goal is met.'
    """
    lines = []
    for where, share in bench["share"].items():
        took = bench["milliseconds"][where]
        met = "met" if share["median"] <= bench["limit"] else "missed"
        lines.append(
            f"- {text(where)}: **{number(share['median'])} %** ({number(share['low'])} to "
            f"{number(share['high'])}), {took['decision']['median']:.2f} ms beside "
            f"{took['network']['median']:.1f} ms an image: the goal is {met}."
        )
    return "\n".join(lines)
