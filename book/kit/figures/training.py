"""How a run was trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .style import COLOURS, figure, small_titles, text

TERMS = ("T1 BCE", "T2 Dice", "T3 Dice", "L_T2T3", "L_T1T3", "L_T1T2T3", "total")


def learning_curves(
    history: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]],
) -> go.Figure:
    """One small panel for each loss term by name, over the epochs: training and validation.

    `history` is that of one run (`learn.history`, or a record's "history"), or several by name;
    then a run is a colour. Training is solid, validation dashed. Raises ValueError if there is no
    epoch.

    >>> first = {"epoch": 1, "train": {"total": 2.0}, "valid": {"total": 3.0}}
    >>> second = {"epoch": 2, "train": {"total": 1.0}, "valid": {"total": 1.5}}
    >>> {line.name: line.y for line in learning_curves([first, second]).data}
    {'training': (2.0, 1.0), 'validation': (3.0, 1.5)}
    """
    runs = history if isinstance(history, Mapping) else {"": history}
    runs = {text(run): epochs for run, epochs in runs.items()}
    if not any(runs.values()):
        raise ValueError("the history holds no epoch; train at least one")
    epochs = [epoch for run in runs.values() for epoch in run]
    seen = {term for epoch in epochs for part in ("train", "valid") for term in epoch[part]}
    terms = [*(t for t in TERMS if t in seen), *sorted(seen - set(TERMS))]
    rows = -(-len(terms) // 2)
    height = 90 + 190 * rows
    drawn = make_subplots(
        rows,
        2,
        subplot_titles=[text(term) for term in terms],
        horizontal_spacing=0.16,
        vertical_spacing=56 / height,
    )
    told = []
    for panel, term in enumerate(terms):
        where = {"row": panel // 2 + 1, "col": panel % 2 + 1}
        for index, (run, epochs) in enumerate(runs.items()):
            for part, dash, symbol in (
                ("train", "solid", "circle"),
                ("valid", "dash", "diamond"),
            ):
                points = [(e["epoch"], e[part][term]) for e in epochs if term in e[part]]
                if not points:
                    continue
                name = {"train": "training", "valid": "validation"}[part]
                x, y = zip(*points, strict=True)
                drawn.add_scatter(
                    x=x,
                    y=[round(value, 5) for value in y],
                    mode="lines+markers" if len(x) <= 30 else "lines",
                    line={"color": COLOURS[_colour(runs, index, part)], "dash": dash, "width": 2},
                    marker={"symbol": symbol, "size": 6},
                    name=f"{run}, {name}" if run else name,
                    legendgroup=f"{run} {name}",
                    # the total has every run and part: its entries stand for all panels
                    showlegend=term == terms[-1],
                    **where,
                )
                told.append(
                    f"{text(term)}{' of ' + run if run else ''}, {name}: {y[0]:.3g} to {y[-1]:.3g}"
                )
        if panel >= len(terms) - 2:
            drawn.update_xaxes(title_text="epoch", **where)
    drawn.update_xaxes(tickformat="d", nticks=6)
    small_titles(drawn)
    return figure(
        f"Loss terms from the first epoch to the last. {'; '.join(told)}.",
        height=height,
        base=drawn,
        margin={"t": 40},
        legend={"y": 1 + 30 / height},
    )


def _colour(runs: Mapping, index: int, part: str) -> int:
    return index if len(runs) > 1 else ("train", "valid").index(part)
