"""Tables that a reader can sort, narrow to a few columns and take along, and a choice of data.

What is written here is plain HTML that reads without a script. `book/assets/tables.js` adds what
needs one: a button in each column's head, a list of columns to show, a list of data sets. Each
table has its numbers beside it as a CSV file, inside the page, so that it can be saved from a zip.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd


class Column(NamedTuple):
    """A column: its head, the head above it that it shares, and the choice that shows it.

    head, group: HTML; band: columns of the same one are shown together, "" is always shown;
    numbers: it is sorted by the number that each cell begins with, and not by its text.

    >>> Column("ours", group="Dice", numbers=True).band
    ''
    """

    head: str
    group: str = ""
    band: str = ""
    numbers: bool = False


def sortable(
    columns: Sequence[Column],
    body: Sequence[Sequence[str]],
    caption: str,
    *,
    note: str = "",
    csv: tuple[str, pd.DataFrame] | None = None,
) -> str:
    """HTML of a table that can be sorted by any column, its first one staying in view.

    columns: from the left, those of one group next to each other; body: rows of as many cells, in
    HTML, the first one the row's title; caption: what it is and what to see in it, in HTML; note: a
    line below it; csv: name of a file, and what is in it. Raises ValueError for a row that is too
    short or too long.

    >>> columns = [Column("run"), Column("Dice", numbers=True)]
    >>> "<td>75.0</td>" in sortable(columns, [["MTL", "75.0"]], "One run")
    True
    """
    for row in body:
        if len(row) != len(columns):
            raise ValueError(f"a row has {len(row)} cells, but there are {len(columns)} columns")
    lines = [
        f'<tr><th scope="row">{title}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for title, *cells in body
    ]
    table = f"<table><thead>{_heads(columns)}</thead><tbody>{chr(10).join(lines)}</tbody></table>"
    name = "table-" + hashlib.sha256((caption + table).encode()).hexdigest()[:12]
    link = f'<p class="sortable-file">{_file(*csv)}</p>' if csv else ""
    return (
        f'<div class="sortable"><p class="sortable-caption" id="{name}">{caption}</p>'
        f'<div class="sortable-scroll" role="region" tabindex="0" aria-labelledby="{name}">'
        + table.replace("<table>", f'<table aria-labelledby="{name}">', 1)
        + "</div>"
        + (f'<p class="sortable-note">{note}</p>' if note else "")
        + f"{link}</div>"
    )


def choice(panels: Mapping[str, str], label: str = "Data", *, switch: bool = False) -> str:
    """HTML of several panels of which the page shows one, by a list to choose from or a switch.

    panels: title -> HTML, the first one shown at the start; all are shown, below each other, where
    no script runs. A choice holds for all panels of the page with this label; a panel may hold
    another choice. switch: buttons beside each other in place of a list. Raises ValueError without
    a panel.

    >>> choice({"the phantom": "<p>One</p>", "BUS-BRA": "<p>Two</p>"}).count('class="choice-panel"')
    2
    """
    if not panels:
        raise ValueError("there is nothing to choose from")
    return (
        f'<div class="choice" data-label="{escape(label)}"{" data-switch" * switch}>'
        + "".join(
            f'<div class="choice-panel" data-title="{escape(title)}">'
            f'<p class="choice-title"><strong>{escape(title)}</strong></p>{panel}</div>'
            for title, panel in panels.items()
        )
        + "</div>"
    )


def _heads(columns: Sequence[Column]) -> str:
    """One line of heads, or two where columns share a head."""
    if not any(column.group for column in columns):
        return "<tr>" + "".join(_head(column) for column in columns) + "</tr>"
    above, below = [], []
    for place, column in enumerate(columns):
        if not column.group:
            above.append(_head(column, ' rowspan="2"'))
            continue
        below.append(_head(column))
        if place and _above(columns[place - 1]) == _above(column):
            continue  # shares the head of the column before
        wide = sum(_above(other) == _above(column) for other in columns)
        above.append(f'<th scope="colgroup" colspan="{wide}"{_band(column)}>{column.group}</th>')
    return f"<tr>{''.join(above)}</tr><tr>{''.join(below)}</tr>"


def _above(column: Column) -> tuple[str, str]:
    """What columns have in common that share a head."""
    return column.group, column.band


def _head(column: Column, more: str = "") -> str:
    words = " ".join(filter(None, (_plain(column.group), _plain(column.head))))
    numbers = " data-numbers" if column.numbers else ""
    return f'<th scope="col" data-words="{words}"{numbers}{_band(column)}{more}>{column.head}</th>'


def _band(column: Column) -> str:
    return f' data-band="{escape(column.band)}"' if column.band else ""


def _plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def _file(name: str, frame: pd.DataFrame) -> str:
    """A link that saves the table as a CSV file, without empty columns; the file is in the link."""
    lines = frame.dropna(axis="columns", how="all").to_csv(
        index=False, lineterminator="\n", float_format="%.4g"
    )
    content = quote(lines, safe=",:;+")
    return (
        f'<a download="{escape(name)}" href="data:text/csv;charset=utf-8,{content}">'
        f"Save as CSV</a> <small>({escape(name)})</small>"
    )
