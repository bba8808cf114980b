"""How every figure and table of the book looks.

Plotly figures on a clear background, in text colours that the page sets, so that they read on
light and dark. Colours are those of Okabe and Ito (2008), safe for colour-blind readers, and never
alone: dashes, symbols or words say the same. Every figure carries its words in
`layout.meta["alt"]`. Tables are strings of HTML that scroll inside themselves on a narrow screen.
"""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape, unescape
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio

from lib.cases import CLASSES

from ..stats import Interval

pio.renderers.default = "plotly_mimetype"  # a notebook then stores a figure's JSON and no script

# By pixel value of a mask; unknown: a nodule without a class
CLASS_NAMES = ("background", *CLASSES, "unknown class")
CLASS_COLOURS = ("#999999", "#009e73", "#d55e00", "#f0e442")
CLASS_DASHES = ("solid", "solid", "dash", "dot")

# For runs, terms and other series, in this order
COLOURS = ("#0072b2", "#cc79a7", "#009e73", "#e69f00", "#56b4e9", "#d55e00")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x")

NARROW = 14  # letters that a label beside a figure may take on one line
MINUS, ABSENT = "\N{MINUS SIGN}", "\N{EN DASH}"
# Letters that Markdown, or Plotly's formulas, would read as more than a letter
LITERAL = str.maketrans({letter: f"&#{ord(letter)};" for letter in "`$*_[]{}\\|~"})

TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        # Grey reads on white and on black; a page of the book puts its own colour in its place
        "font": {"color": "#808080", "size": 13},
        "colorway": COLOURS,
        "margin": {"l": 10, "r": 10, "t": 40, "b": 10},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {
            "title": {"standoff": 8},
            "automargin": True,
            "gridcolor": "rgba(128,128,128,.3)",
            "zeroline": False,
        },
        "yaxis": {"automargin": True, "gridcolor": "rgba(128,128,128,.3)", "zeroline": False},
        "dragmode": False,  # a finger on a figure scrolls the page
    }
)


def text(value: Any) -> str:
    """A name from data as it is written, for HTML, Markdown and the texts of a Plotly figure.

    No part of it is read as a tag, a link, a formula or emphasis. What cannot be seen, such as a
    line's end or a mark that turns the direction of reading, is shown by its escape.

    >>> text("<b>$x$"), text("two\\nlines")
    ('&lt;b&gt;&#36;x&#36;', 'two&#92;nlines')
    """
    seen = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
    return escape(seen).translate(LITERAL)


def figure(
    alt: str, *, height: int = 360, base: go.Figure | None = None, **layout: Any
) -> go.Figure:
    """A figure in the book's style, empty or made from `base`; `alt` says in words what it shows.

    `height` in pixels; the width is the reader's. `layout` as in Plotly. In `alt`, names that went
    through `text` are letters again. Raises ValueError if `alt` is empty.

    >>> figure("An empty figure", height=200).layout.meta
    {'alt': 'An empty figure'}
    """
    if not alt.strip():
        raise ValueError("alt is empty; say in words what the figure shows")
    drawn = go.Figure() if base is None else base
    drawn.update_layout(template=TEMPLATE, height=height, meta={"alt": unescape(alt)})
    return drawn.update_layout(**layout)


def error_bars(points: np.ndarray, thickness: float = 2, width: float = 4) -> dict[str, Any]:
    """Bars over intervals (n, 3): estimate, low and high, as Plotly's error_x or error_y."""
    return {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num(points[:, 2] - points[:, 0]).round(2),
        "arrayminus": np.nan_to_num(points[:, 0] - points[:, 1]).round(2),
        "thickness": thickness,
        "width": width,
    }


def series(index: int) -> tuple[str, str, str]:
    """Colour, dash and symbol of the series at `index`; ValueError beyond the six that differ."""
    if index >= len(COLOURS):
        raise ValueError(
            f"only {len(COLOURS)} series can be told apart by colour and dash; choose fewer to draw"
        )
    return COLOURS[index], DASHES[index], SYMBOLS[index]


def small_titles(drawn: go.Figure) -> None:
    """Panel titles in the size of the text."""
    drawn.update_annotations(font_size=13)


def faint(colour: str, strength: float = 0.25) -> str:
    """A colour "#rrggbb" made transparent, to fill with."""
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{strength:g})"


def capital(words: str) -> str:
    """Words with a capital at the front; the others stay as they are.

    >>> capital("AUC of MS-MTL"), capital("no nodule")
    ('AUC of MS-MTL', 'No nodule')
    """
    return words[:1].upper() + words[1:]


def number(value: float | None, signed: bool = False) -> str:
    """A fraction in per cent to one decimal, a dash for None or NaN; what is 0 then has no sign.

    >>> number(0.123, signed=True), number(-0.0004, signed=True)
    ('+12.3', '0.0')
    """
    if value is None or value != value:
        return ABSENT
    shown = round(100 * value, 1)
    return f"{shown:{'+' * signed}.1f}".replace("-", MINUS) if shown else "0.0"


def end(value: float, signed: bool = False) -> str:
    """An end of an interval of a difference: as `number`, but near 0 to its first digit.

    So a reader sees whether the interval leaves out 0.

    >>> end(0.0123), end(0.0004), end(0.0004, signed=True), end(0.0)
    ('1.2', '0.04', '+0.04', '0.0')
    """
    shown, size = number(value, signed), 100 * abs(value)
    if shown != "0.0" or not size > 1e-6:  # less than that is how floats round
        return shown
    sign = MINUS if value < 0 else "+" * signed
    return f"{sign}{size:.{math.ceil(-math.log10(size))}f}"


def points(value: float) -> float:
    """A fraction in per cent for a figure, rounded as `number` rounds it: one number everywhere.

    >>> points(0.7635), points(-0.0004)
    (76.3, 0.0)
    """
    return round(100 * value, 1) + 0.0


def probability(p: float) -> str:
    """A probability to three decimals without its 0, in HTML; a dash for NaN.

    >>> probability(0.0301), probability(0.0001)
    ('.030', '&lt; .001')
    """
    if p != p:
        return ABSENT
    if 0.0005 <= p < 0.9995:
        return f"{p:.3f}".removeprefix("0")
    return "&lt; .001" if p < 0.5 else "&gt; .999"


def ends(low: float, high: float, signed: bool = False) -> str:
    """The ends of an interval in brackets; signed: of a difference, see `end`."""
    shown = (end(v, signed) if signed else number(v) for v in (low, high))
    return f"[{', '.join(shown)}]"


def cell(interval: Interval | None, signed: bool = False) -> str:
    """An interval in per cent for a table's cell, in HTML; its ends are dashes if not told."""
    if interval is None:
        return ABSENT
    value = number(interval.estimate, signed)
    return f"<b>{value}</b> <small>{ends(interval.low, interval.high, signed)}</small>"


def stacked(interval: Interval | None, signed: bool = False) -> str:
    """`cell` on two lines, for a table of many columns."""
    return cell(interval, signed).replace(" <small>", "<br><small>", 1)


def broken(head: str, width: int = 14) -> str:
    """A column's title in HTML, on as many lines as it needs: each of about `width` letters.

    >>> broken("normal images with a nodule")
    'normal images <br>with a nodule'
    """
    return " <br>".join(map(text, wrap(head, width, break_long_words=False)))


def words(interval: Interval, signed: bool = False) -> str:
    """An interval in per cent as plain text."""
    value = number(interval.estimate, signed)
    return f"{value} {ends(interval.low, interval.high, signed)}"


def beside(name: str, images: Mapping[str, int]) -> str:
    """The name of a source with its images of each class below it, small.

    >>> beside("DDTI", {"benign": 12, "malignant": 56}).count("<br>")
    2
    """
    counts = [f'<span style="font-size:11px">{n} {text(kind)}</span>' for kind, n in images.items()]
    return "<br>".join([text(name), *counts])


def wrapped(name: str) -> str:
    """A long name on two lines, which leaves a figure its room on a phone: at a comma, or before
    the last sign or bracket in the name of a system.

    >>> wrapped("Dice, nodule"), wrapped("MS-MTL + Intra and Inter"), wrapped("MTL + Inter")
    ('Dice,<br>nodule', 'MS-MTL<br>+ Intra and Inter', 'MTL + Inter')
    """
    if ", " in name:
        return name.replace(", ", ",<br>", 1)
    if len(name) <= NARROW:
        return name
    return re.sub(r" (?=[+\N{CIRCLED PLUS}(])(?!.* [+\N{CIRCLED PLUS}(])", "<br>", name)


def table(
    head: Sequence[str],
    body: Sequence[Sequence[str] | str],
    note: str = "",
    *,
    words: bool = False,
) -> str:
    """HTML of a table in the book's style, which scrolls inside itself on a narrow screen.

    head: the column titles; body: rows of cells, the first one the row's title, all HTML; a bare
    string is a heading across the table. note: a line below it. Cells are numbers, one line each
    and aligned to the right, unless they are `words`.

    >>> shown = table(["in %", "MTL"], ["T1", ["Accuracy", "75.0"]], note="One run.")
    >>> shown.count("<tr>"), shown.endswith("<p><small>One run.</small></p></div>")
    (3, True)
    """
    room, stays = (
        "padding:.15rem .5rem",
        "position:sticky;left:0;background:var(--pst-color-background)",
    )
    wide = "min-width:6.5rem"  # else a long name takes a line for each of its words on a phone
    wrap = "" if words else ";white-space:normal"
    title = f"{room};{stays};{wide};text-align:left;font-weight:normal{wrap}"
    # Once for all the cells, which are many; `book.css` gives them their room.
    number = "" if words else ' style="white-space:nowrap;font-variant-numeric:tabular-nums"'
    side = "text-align:left;min-width:6.5rem" if words else "text-align:right"
    cells = f' style="{room};{side}"' if words else ' align="right"'
    left = f' style="{room};text-align:left{wrap}"'
    lines = [
        f'<tr><th colspan="{len(head)}" scope="rowgroup"{left}>{row}</th></tr>'
        if isinstance(row, str)
        else f'<tr><th scope="row" style="{title}">{row[0]}</th>'
        + "".join(f"<td{cells}>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in body
    ]
    first, *others = head
    return (
        '<div class="table-scroll" style="overflow-x:auto;margin-bottom:1rem" tabindex="0">'
        f'<table class="dataframe"{number}>'
        f'<thead><tr><th scope="col"{left}>{first}</th>'
        + "".join(f'<th scope="col" style="{room};{side}{wrap}">{name}</th>' for name in others)
        + "</tr></thead><tbody>"
        + "\n".join(lines)
        + "</tbody></table>"
        + (f"<p><small>{note}</small></p>" if note else "")
        + "</div>"
    )
