"""What trainings of different recipes reach for their minutes, on validation images."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .style import figure, number, series, small_titles, table, text

MEASURES = {"dice_nodule": "Nodule Dice", "AUC": "AUC of T1", "inconsis_cls": "Contradictions"}
PAIRS = {"cosine T1 T2": "T1 and T2", "cosine T1 T3": "T1 and T3", "cosine T2 T3": "T2 and T3"}


def recipe_curves(trials: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Nodule Dice and AUC on the validation images against processor minutes, a line a trial.

    trials: at most six records of results/bench/recipe by title. Raises ValueError without one.

    >>> curve = [{"minutes": 1.0, "dice_nodule": 0.8, "AUC": 0.7}]
    >>> recipe_curves({"small": {"curve": curve}}).data[0].y
    (0.8,)
    """
    if not trials:
        raise ValueError("there is no trial to draw")
    shown = ("dice_nodule", "AUC")
    drawn = make_subplots(1, 2, subplot_titles=[MEASURES[m] for m in shown])
    told = []
    for index, (title, trial) in enumerate(trials.items()):
        colour, dash, symbol = series(index)
        for column, measure in enumerate(shown, 1):
            points = [(p["minutes"], p[measure]) for p in trial["curve"] if measure in p]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            drawn.add_scatter(
                x=x,
                y=y,
                name=text(title),
                legendgroup=title,
                showlegend=column == 1 or "dice_nodule" not in trial["curve"][-1],
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                marker={"symbol": symbol, "size": 6},
                row=1,
                col=column,
            )
            told.append(f"{text(title)}: {MEASURES[measure]} {y[-1]:.3f} after {x[-1]:.1f} minutes")
    drawn.update_xaxes(title_text="processor minutes")
    drawn.update_yaxes(range=[0.6, 0.92])
    small_titles(drawn)
    return figure(
        f"Measures on validation images against processor minutes. {'; '.join(told)}.",
        height=440,
        base=drawn,
        margin={"t": 40},
        legend={"y": 1.12},
    )


def recipe_table(trials: Mapping[str, Mapping[str, Any]], note: str = "") -> str:
    """HTML of a table: what each trial took, and what its last epoch reached, in per cent.

    >>> curve = [{"minutes": 1.0, "AUC": 0.7}]
    >>> "70.0" in recipe_table({"small": {"curve": curve, "minutes": 1.0}})
    True
    """
    rows = []
    for title, trial in trials.items():
        last = trial["curve"][-1]
        minutes = f"{trial['minutes']:.1f}"
        rows.append([text(title), minutes, *(number(last.get(measure)) for measure in MEASURES)])
    return table(["trial", "processor minutes", *MEASURES.values()], rows, note)


def gradient_angles(seen: Sequence[Mapping[str, float]]) -> go.Figure:
    """Cosine between two tasks' gradients in the shared encoder, over the training.

    seen: rows of a trial's "gradients". 1: the tasks pull the same way; 0: they do not meet; -1:
    against each other. Raises ValueError if there is no row.

    >>> row = {"done": 0.5, "cosine T1 T2": 0.0, "cosine T1 T3": 0.1, "cosine T2 T3": 0.4}
    >>> [line.name for line in gradient_angles([row]).data]
    ['T1 and T2', 'T1 and T3', 'T2 and T3']
    """
    if not seen:
        raise ValueError("no gradient was looked at in this trial")
    drawn, told = go.Figure(), []
    for index, (key, name) in enumerate(PAIRS.items()):
        colour, dash, symbol = series(index)
        y = [row[key] for row in seen]
        drawn.add_scatter(
            x=[100 * row["done"] for row in seen],
            y=y,
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 6},
        )
        told.append(f"{name}: {sum(y) / len(y):.2f} on average")
    return figure(
        f"Cosine between the gradients of two tasks over the training. {'; '.join(told)}.",
        base=drawn,
        xaxis={"title": "% of the training"},
        yaxis={"title": "cosine", "range": [-1, 1]},
    )
