"""Boxes and arrows: what a network is made from, and what becomes of its output."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from ..figures.style import COLOURS, figure, series

GREY = "#808080"


def network_diagram() -> go.Figure:
    """The network in two stages: from the picture by way of T1 and T2 to T3.

    >>> len(network_diagram().layout.shapes)  # the boxes
    7
    """
    boxes = {  # name: x, y, colour
        "picture<br>1 channel": (1, 5, GREY),
        "stage 1<br>encoder": (1, 4, COLOURS[0]),
        "T1<br>2 numbers": (0, 3, COLOURS[1]),
        "stage 1<br>decoder": (1, 3, COLOURS[0]),
        "T2<br>2 maps": (1, 2, COLOURS[1]),
        "stage 2<br>U-Net": (2, 2, COLOURS[0]),
        "T3<br>3 maps": (2, 1, COLOURS[1]),
    }
    drawn = _blank(
        "A diagram. The picture goes to the encoder of stage 1. From it come T1, two numbers, and, "
        "through a decoder, T2, two maps. T2 and the picture together go to the U-Net of stage 2, "
        "from which comes T3, three maps.",
        height=430,
        x=[-0.6, 2.6],
        y=[0.6, 5.4],
        showlegend=False,
    )
    places = list(boxes.values())
    for start, end in ((0, 1), (1, 2), (1, 3), (3, 4), (4, 5), (0, 5), (5, 6)):
        (x0, y0, _), (x1, y1, _) = places[start], places[end]
        sideways = x1 > x0  # leaves a box on its right
        _arrow(
            drawn,
            (x0 + 0.40 * sideways, y0 - 0.30 * (not sideways)),
            (x1 - 0.40 * (y0 == y1), y1 + 0.30 * (y0 > y1)),
            **{"arrowwidth": 2, "xref": "x", "yref": "y"},
        )
    for name, (x, y, colour) in boxes.items():
        drawn.add_shape(
            type="rect",
            **{"x0": x - 0.38, "x1": x + 0.38, "y0": y - 0.28, "y1": y + 0.28},
            line={"color": colour, "width": 2},
        )
        drawn.add_annotation(x=x, y=y, text=name, showarrow=False, font={"size": 12})
    return drawn


def read_diagram() -> go.Figure:
    """A network of the reader's own, the three answers that `read` takes from it, and the terms.

    >>> [note.text for note in read_diagram().layout.annotations if "L_" in note.text]
    ['L_T1T3', 'L_T2T3', 'L_T1T2T3']
    """
    drawn = _blank(
        "A chain: your network, below it the function read, below it three answers side by side: "
        "T1, the class; T3, the outline with a class; T2, the outline. L_T1T3 joins T1 and T3, "
        "L_T2T3 joins T2 and T3, and L_T1T2T3 joins T1 and T2, taken together, with T3.",
        height=360,
        x=[0, 1],
        y=[0, 1],
        margin={"t": 10},
    )
    boxes = {
        "<b>your network</b>": (0.5, 0.94),
        "<b>read</b>": (0.5, 0.7),
        "<b>T1</b><br>class<br>(N, K)": (0.12, 0.36),
        "<b>T3</b><br>outline<br>and class<br>(N, K+1, H, W)": (0.5, 0.36),
        "<b>T2</b><br>outline<br>(N, 2, H, W)": (0.88, 0.36),
    }
    for words, (x, y) in boxes.items():
        drawn.add_annotation(x=x, y=y, text=words, showarrow=False, borderpad=5, bordercolor=GREY)
    _arrow(drawn, (0.5, 0.88), (0.5, 0.76))
    _arrow(drawn, (0.44, 0.65), (0.14, 0.5))
    _arrow(drawn, (0.5, 0.64), (0.5, 0.53))
    _arrow(drawn, (0.56, 0.65), (0.86, 0.5))
    # A bracket below the answers that a term joins, and where its name stands
    terms: Mapping[str, tuple[list, list, float, float]] = {
        "L_T1T3": ([0.12, 0.12, 0.44, 0.44], [0.22, 0.13, 0.13, 0.19], 0.28, 0.165),
        "L_T2T3": ([0.88, 0.88, 0.56, 0.56], [0.22, 0.13, 0.13, 0.19], 0.72, 0.165),
        "L_T1T2T3": (
            [0.06, 0.06, 0.94, 0.94, None, 0.5, 0.5],
            [0.22, 0.05, 0.05, 0.22, None, 0.05, 0.19],
            0.5,
            0.01,
        ),
    }
    for k, (term, (x, y, left, low)) in enumerate(terms.items()):
        colour, dash, _ = series(k)
        line = {"color": colour, "dash": dash, "width": 3}
        drawn.add_scatter(x=x, y=y, mode="lines", line=line, showlegend=False, hoverinfo="skip")
        drawn.add_annotation(x=left, y=low, text=term, showarrow=False)
    return drawn


def _blank(alt: str, *, height: int, x: list[float], y: list[float], **layout: Any) -> go.Figure:
    """A figure without axes that shows these ranges and cannot be zoomed."""
    axes = {
        f"{k}axis": {"visible": False, "range": ends, "fixedrange": True}
        for k, ends in (("x", x), ("y", y))
    }
    return figure(alt, height=height, **axes, **layout)


def _arrow(
    drawn: go.Figure, tail: tuple[float, float], head: tuple[float, float], **style: Any
) -> None:
    """An arrow between two points of the axes."""
    drawn.add_annotation(
        **dict(zip(("ax", "ay", "x", "y"), (*tail, *head), strict=True)),
        **{"axref": "x", "ayref": "y", "text": "", "arrowhead": 2, "arrowcolor": GREY},
        **style,
    )
