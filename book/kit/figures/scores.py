"""How well the probability of malignant tells the two classes apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from sklearn.metrics import roc_curve

from lib import results
from lib.metrics import classified

from ..stats import Evidence, draw
from .runs import by_title
from .style import faint, figure, series, words

DRAWS = 1000
GRID = np.linspace(0, 1, 101)  # where the band of a ROC curve is computed, as 1 - specificity


def roc(records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None) -> go.Figure:
    """The ROC curves of several runs on their test images, each in its band of 95 % confidence.

    records: as `lib.results.load` gives them, one to six, best read with four at most; titles:
    experiment -> name to show. The band is pointwise: at each 1 - specificity, the central 95 % of
    the sensitivities of the bootstrap draws over patients (vertical averaging: Fawcett 2006). The
    AUC and its interval are in the legend. Raises ValueError if no run has classes to compare, or
    if there are too many to be told apart.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> roc([run], {"mtl": "MTL"}).data[1].name.startswith("MTL<br>AUC 75.0")
    True
    """
    drawn = go.Figure()
    told = []
    for index, (name, record) in enumerate(_two_classes(records, titles).items()):
        rows = results.rows(record)
        known, truth, score = classified(rows)
        false, true, _ = roc_curve(truth[known], score[known])
        low, high = roc_band(rows)
        auc = words(Evidence([record]).level(record["experiment"], "AUC"))
        told.append(f"{name}: AUC {auc}")
        colour, dash, _ = series(index)
        drawn.add_scatter(
            x=np.r_[GRID, GRID[::-1]].round(2),
            y=np.r_[high, low[::-1]].round(3),
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=faint(colour, 0.15),
            legendgroup=name,
            showlegend=False,
            hoverinfo="skip",
        )
        drawn.add_scatter(
            x=false.round(4),
            y=true.round(4),
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.5},
            name=f"{name}<br>AUC {auc} %",
            legendgroup=name,
        )
    drawn.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": "#808080", "width": 1},
        name="chance",
        showlegend=False,
        hoverinfo="skip",
    )
    return figure(
        "ROC curves, malignant as positive, each in a band of pointwise 95 % intervals; AUC in "
        f"per cent. {'; '.join(told)}.",
        height=330 + 45 * len(told),
        base=drawn,
        xaxis={"title": "1 - specificity", "range": [-0.01, 1.01], "constrain": "domain"},
        yaxis={
            "title": "sensitivity",
            "range": [-0.01, 1.01],
            "scaleanchor": "x",
            "constrain": "domain",
            "constraintoward": "top",
        },
    )


def roc_band(rows: pd.DataFrame, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest sensitivity at each of the 101 values of 1 - specificity in `GRID`.

    rows as `lib.metrics.count_batch` gives them; patients are drawn whole. Draws that lack a class
    are left out.

    >>> rows = pd.DataFrame({"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.9]})
    >>> low, high = roc_band(rows)
    >>> low.shape, bool((low <= high).all())
    ((101,), True)
    """
    known, truth, score = classified(rows)
    weights = draw(rows, DRAWS)[:, known]
    curves = roc_draws(truth[known], score[known], weights)
    low, high = np.nanquantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def roc_draws(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The sensitivity at each 1 - specificity in `GRID`, under each row of image weights.

    truth (N,) Boolean, True for malignant; score (N,); weights (draws, N), whole numbers. Returns
    (draws, 101), NaN for a draw without one of the classes. Between thresholds the curve is a
    straight line; where it is upright its upper end counts.

    >>> curve = roc_draws(np.array([False, True, True]), np.array([0.2, 0.9, 0.1]), np.ones((1, 3)))
    >>> curve[0, [0, 50, 100]].tolist()
    [0.5, 0.5, 1.0]
    """
    order = np.argsort(-score, kind="stable")
    score, truth, weights = score[order], truth[order], weights[:, order]
    last = np.flatnonzero(np.r_[score[1:] != score[:-1], True])  # of each run of equal scores
    true = np.cumsum(weights * truth, axis=1)[:, last]
    false = np.cumsum(weights * ~truth, axis=1)[:, last]
    curves = np.full((len(weights), len(GRID)), np.nan)
    for at in np.flatnonzero((true[:, -1] > 0) & (false[:, -1] > 0)):
        x, y = (np.r_[0, counts[at] / counts[at, -1]] for counts in (false, true))
        curves[at] = np.interp(GRID, x, y)
    return curves


def _two_classes(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None
) -> dict[str, Mapping[str, Any]]:
    """Title and record of each run that gave images of both classes a probability: one to six."""
    found = {}
    for name, record in by_title(records, titles).items():
        rows = results.rows(record)
        known, truth, _ = classified(rows)
        if 0 < truth.sum() < known.sum():
            found[name] = record
    if not found:
        raise ValueError("no run has benign and malignant test images with a predicted class")
    series(len(found) - 1)  # refuses too many before anything is computed
    return found
