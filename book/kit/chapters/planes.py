"""The paper's rows in the plane of accuracy and mean Dice."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..figures.style import figure, series

ACCURACY, DICE = (0.855, 0.952), (0.73, 0.85)  # what of the plane is shown


def accuracy_and_dice(
    alt: str, groups: Mapping[str, pd.DataFrame], apart: Mapping[str, pd.Series]
) -> go.Figure:
    """Rows of the paper's Table 1 by accuracy and mean Dice, with lines of equal Dice of outlines.

    groups: name -> its rows, with the columns ACC and dice_paper_mean, drawn alike; apart: name ->
    how far the accuracy of each of its rows' masks may be from that of the class, drawn as a bar.
    Along a line the outlines stay as they are and the class is right more often; the figure is cut
    to where the paper's rows lie. `book.kit.figures.dice_plane` draws runs of ours. Raises
    ValueError for more than six groups.

    >>> from book.kit import paper
    >>> drawn = accuracy_and_dice("One row.", {"MTL": paper.table(1).loc[["MTL"]]}, {})
    >>> [note.text for note in drawn.layout.annotations], drawn.data[-1].name
    (['d = 0.70', 'd = 0.75', 'd = 0.80', 'd = 0.85'], 'MTL')
    """
    drawn = figure(
        alt,
        height=440,
        xaxis={"title": "accuracy of the class (T1)", "range": ACCURACY},
        yaxis={"title": "mean Dice", "range": DICE},
    )
    ends = np.array([0.86, 0.95])
    for d in (0.70, 0.75, 0.80, 0.85):
        drawn.add_scatter(
            x=ends,
            y=(ends * (1 + d) / 2).round(4),
            mode="lines",
            line={"color": "#808080", "width": 1, "dash": "dot"},
            showlegend=False,
            hoverinfo="skip",
        )
        at = min(0.943, 0.842 * 2 / (1 + d))  # at the right end, or where the line leaves above
        label = {"text": f"d = {d:.2f}", "showarrow": False, "xanchor": "right", "yshift": 8}
        drawn.add_annotation(x=at, y=at * (1 + d) / 2, **label)
    for k, (name, rows) in enumerate(groups.items()):
        colour, _, symbol = series(k)
        drawn.add_scatter(
            x=rows["ACC"],
            y=rows["dice_paper_mean"],
            error_x={"array": apart[name], "thickness": 1} if name in apart else None,
            text=list(rows.index),
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 12},
            hovertemplate="%{text}<br>ACC %{x:.4f}, mean Dice %{y:.4f}<extra></extra>",
        )
    return drawn
