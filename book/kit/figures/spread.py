"""Measurements that were repeated: a median with the lowest and the highest, and curves of them."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from .style import COLOURS, DASHES, SYMBOLS, figure

Spread = Mapping[str, float]  # median, low and high of the rounds


def spread(values: Spread, digits: int = 2) -> str:
    """The median in words, with the lowest and the highest of the rounds.

    >>> spread({"median": 1.264, "low": 1.16, "high": 1.4})
    '1.26 (1.16 to 1.40)'
    """
    low, high = values["low"], values["high"]
    return f"{values['median']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def spreads(
    alt: str, values: Mapping[str, Spread], title: str, height: int, scale: float = 1
) -> go.Figure:
    """A dot at each median, the first on top, with a line from the lowest to the highest.

    title: of the axis, on which a value is `scale` times as large.

    >>> one = {"median": 2.0, "low": 1.0, "high": 4.0}
    >>> drawn = spreads("One and two", {"one": one, "two": one}, "ms", 200, scale=10)
    >>> drawn.data[0].y, drawn.data[0].x, drawn.data[0].error_x.array
    (('two', 'one'), (20.0, 20.0), (20.0, 20.0))
    """
    names = list(values)[::-1]
    drawn = figure(
        alt,
        height=height,
        xaxis={"title": title, "rangemode": "tozero"},
        margin={"l": 130, "r": 10, "t": 10, "b": 50},
    )
    return drawn.add_scatter(
        x=[scale * values[n]["median"] for n in names],
        y=names,
        mode="markers",
        marker={"size": 11, "color": COLOURS[0]},
        error_x={
            "array": [scale * (values[n]["high"] - values[n]["median"]) for n in names],
            "arrayminus": [scale * (values[n]["median"] - values[n]["low"]) for n in names],
        },
    )


def growth(
    alt: str, sizes: Sequence[int], values: Mapping[str, Sequence[float]], x: str, y: str
) -> go.Figure:
    """A line for each name over sizes on a scale of powers of ten; x, y: titles of the axes.

    >>> growth("Two sizes", [10, 100], {"one": [1.0, 2.0]}, "images", "ms").data[0].y
    (1.0, 2.0)
    """
    drawn = figure(
        alt,
        xaxis={"title": x, "type": "log", "tickvals": sizes},
        yaxis={"title": y, "rangemode": "tozero"},
        margin={"l": 10, "r": 10, "t": 70, "b": 50},
    )
    looks = zip(COLOURS, DASHES, SYMBOLS, strict=True)
    for (name, one), (colour, dash, symbol) in zip(values.items(), looks, strict=False):
        drawn.add_scatter(
            x=sizes,
            y=[round(value, 3) for value in one],
            mode="lines+markers",
            name=name,
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 8},
        )
    return drawn
