"""Curves over one x: each in its own colour and dash."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..figures.style import figure, series


def curves(
    alt: str,
    x: Sequence[float] | np.ndarray,
    lines: Mapping[str, Sequence[float] | np.ndarray],
    *,
    symbols: bool = False,
    minima: bool = False,
    **layout: Any,
) -> go.Figure:
    """A figure with a line for each name, which tells them apart by colour and dash.

    lines: name -> y, one for each `x`. symbols: mark each point, too; minima: mark where each line
    is least and name the place in the legend. `layout` as in `book.kit.figures.figure`. Raises
    ValueError for more than six lines.

    >>> drawn = curves("A parabola.", [0, 1, 2], {"square": [1, 0, 1]}, minima=True)
    >>> [trace.name for trace in drawn.data]
    ['square', 'its minimum, at 1.000']
    """
    drawn = figure(alt, **layout)
    for k, (name, y) in enumerate(lines.items()):
        colour, dash, symbol = series(k)
        drawn.add_scatter(x=x, y=y, name=name, line={"color": colour, "dash": dash, "width": 3})
        if symbols:
            drawn.data[-1].update(mode="lines+markers", marker={"symbol": symbol, "size": 9})
        if minima:
            least = int(np.argmin(y))
            drawn.add_scatter(
                x=[x[least]],
                y=[y[least]],
                name=f"its minimum, at {x[least]:.3f}",
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 13},
            )
    return drawn
