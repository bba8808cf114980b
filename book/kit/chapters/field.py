"""Where each order of the inter-task loss moves T1 and T3, as a field of arrows."""

from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go

from ..figures.style import figure, series

ORDERS = {"sc": "SC", "cs": "CS", "both": "both"}
LENGTH = 0.12, 0.06  # of the line for a pull of 1, in either direction


def pull_field(pull: Callable[[float, float, str], Sequence[float]]) -> go.Figure:
    """A line from each start, for each order, along the pulls on T1's and T3's probability.

    pull: from T1's and T3's probability of malignant and the order ("sc", "cs", "both") to the two
    pulls. Both orders are shown first, the others on a click.

    >>> drawn = pull_field(lambda t1, t3, order: (1, 0))  # T1 alone is moved, to malignant
    >>> drawn.data[0].x[:3], drawn.data[0].y[:3]
    ((0.1, 0.22, None), (0.3, 0.3, None))
    """
    grid = [(a, b) for a in np.linspace(0.1, 0.9, 7) for b in np.linspace(0.3, 0.7, 5)]
    drawn = figure(
        "Arrows over the plane of T1's and T3's probability of malignant. Order SC: all arrows are "
        "horizontal, only T1 moves. Order CS: all are vertical, only T3 moves. Both: they lean "
        "towards the corner in which the two agree.",
        height=420,
        xaxis={"title": "T1, malignant", "range": [0, 1]},
        yaxis={"title": "Seg-as-Cls, malignant", "range": [0.25, 0.75]},
    )
    for k, (order, name) in enumerate(ORDERS.items()):
        x, y = [], []
        for a, b in grid:
            da, db = pull(a, b, order)
            x += [round(a, 4), round(a + LENGTH[0] * da, 4), None]
            y += [round(b, 4), round(b + LENGTH[1] * db, 4), None]
        colour, dash, _ = series(k)
        drawn.add_scatter(
            x=x,
            y=y,
            name=f"order {name}",
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2},
            visible=True if order == "both" else "legendonly",
        )
    t1, t3 = np.array(grid).round(3).T
    return drawn.add_scatter(x=t1, y=t3, mode="markers", name="start", marker={"color": "#808080"})
