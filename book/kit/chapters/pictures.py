"""Small pictures side by side: simulated images, maps with their numbers, maps of a pull."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.express as px
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from torch import Tensor

from lib.sources.phantom import Drawing

from ..figures.style import COLOURS, figure

PULL = ["#0072b2", "#f5f5f5", "#d55e00"]  # lowered, left alone, raised
CLEAR = "rgba(128,128,128,.15)"  # background of a painted mask


def pictures(alt: str, drawings: Mapping[str, Drawing], columns: int = 3) -> go.Figure:
    """Images of the phantom side by side, their names above them.

    >>> from lib.sources import phantom
    >>> drawn = pictures("A nodule.", {"plain": phantom.draw(phantom.Features(), 7, size=64)})
    >>> drawn.layout.annotations[0].text, drawn.layout.height
    ('plain', 270)
    """
    drawn = px.imshow(
        np.stack([drawing.image for drawing in drawings.values()]),
        facet_col=0,
        facet_col_wrap=columns,
        binary_string=True,
        facet_row_spacing=0.09,
        facet_col_spacing=0.02,
    )
    rows = -(-len(drawings) // columns)
    _bare(drawn, list(drawings), columns, size=10)
    return figure(alt, height=60 + 210 * rows, base=drawn, margin={"l": 0, "r": 0, "b": 0})


def number_maps(
    alt: str, maps: Tensor, names: Sequence[str], *, columns: int = 3, height: int = 240
) -> go.Figure:
    """Maps of probabilities (n, H, W), the more probable the bluer, with the number in each pixel.

    names: what stands above each; columns: how many stand in a row. Raises ValueError if there is
    not one name for each map.

    >>> drawn = number_maps("One map of one pixel.", Tensor([[[0.254]]]), ["nodule"])
    >>> drawn.data[0].z.round(2).tolist()
    [[0.25]]
    """
    drawn = px.imshow(
        maps.round(decimals=2).numpy(),
        facet_col=0,
        facet_col_wrap=columns,
        facet_row_spacing=0.12,
        facet_col_spacing=0.03,
        text_auto=True,
        zmin=0,
        zmax=1,
        color_continuous_scale=["#ffffff", "#56b4e9"],
    )
    _bare(drawn, names, columns)
    drawn.update_traces(textfont={"color": "#222222", "size": 11}, hoverinfo="skip")
    return figure(alt, height=height, base=drawn, coloraxis_showscale=False)


def pull_maps(alt: str, pulls: Tensor, names: Sequence[str]) -> go.Figure:
    """Maps of a pull (n, H, W): orange where it raises, blue where it lowers.

    Drawn relative to the strongest pull of all maps. Raises ValueError if there is not one name for
    each map.

    >>> drawn = pull_maps("Up and down.", Tensor([[[4.0, -2.0]]]), ["T2 is pulled"])
    >>> drawn.data[0].z.tolist()
    [[1.0, -0.5]]
    """
    drawn = px.imshow(
        (pulls / pulls.abs().max().item()).round(decimals=2).numpy(),
        facet_col=0,
        color_continuous_scale=PULL,
        range_color=[-1, 1],
    )
    _bare(drawn, names, len(names))
    return figure(alt, base=drawn, coloraxis_colorbar={"title": "pull", "thickness": 12})


def painted_pictures(
    alt: str,
    images: Tensor,
    painted: Tensor,
    titles: Sequence[str],
    kinds: Sequence[str],
    **layout: Any,
) -> go.Figure:
    """Grey images (n, H, W) in a row, and below each the mask that a network paints.

    painted (n, H, W): 0 background, else 1 + the place of the kind in `kinds`, at most six. titles:
    one for each image, then one for each mask. `layout` as in `book.kit.figures.figure`. Raises
    ValueError for more kinds than colours.

    >>> mask = Tensor([[[0, 2]]]).long()
    >>> drawn = painted_pictures("A bar.", mask, mask, ["T1: bar", "T3: bar"], ["disc", "bar"])
    >>> drawn.data[1].text.tolist()
    [['background', 'bar']]
    """
    count, names = len(images), np.array(["background", *kinds])
    if len(kinds) > len(COLOURS):
        raise ValueError(f"only {len(COLOURS)} kinds can be told apart, but there are {len(kinds)}")
    drawn = make_subplots(
        2, count, subplot_titles=titles, horizontal_spacing=0.02, vertical_spacing=0.16
    )
    drawn.update_annotations(font_size=12)
    # Each kind has its colour from one step to the next, so that none is between two
    colours = np.repeat([CLEAR, *COLOURS[: len(kinds)]], 2)
    steps = np.repeat(np.arange(len(names) + 1) / len(names), 2)[1:-1]
    for k in range(count):
        place = {"col": k + 1, "showscale": False}
        grey = images[k].numpy().round(2)
        drawn.add_heatmap(z=grey, colorscale="gray", hoverinfo="skip", row=1, **place)
        drawn.add_heatmap(
            z=painted[k].numpy(),
            zmin=0,
            zmax=len(kinds),
            colorscale=list(zip(steps, colours, strict=True)),
            text=names[painted[k]],
            hovertemplate="%{text}<extra></extra>",
            row=2,
            **place,
        )
    square = {"visible": False, "fixedrange": True, "constrain": "domain"}
    drawn.update_xaxes(**square)
    drawn.update_yaxes(**square, autorange="reversed")
    drawn.for_each_yaxis(lambda axis: axis.update(scaleanchor=axis.anchor))
    return figure(alt, base=drawn, **layout)


def _bare(drawn: go.Figure, names: Sequence[str], columns: int, size: int = 13) -> None:
    """Panels without axes, each with its name above it."""
    if len(drawn.data) != len(names):
        raise ValueError(f"{len(drawn.data)} maps and {len(names)} names: each map needs its own")
    rows = -(-len(names) // columns)
    # Plotly counts the panels from the last row
    order = [r * columns + c for r in reversed(range(rows)) for c in range(columns)]
    ordered = [names[at] for at in order if at < len(names)]
    for note, name in zip(drawn.layout.annotations, ordered, strict=True):
        note.update(text=name, font_size=size)
    drawn.update_xaxes(visible=False)
    drawn.update_yaxes(visible=False)
