"""Puts a notebook's Plotly figures on the built pages, to be drawn from the book's own script.

A Plotly figure leaves one thing in a notebook: its JSON. JupyterLab draws that; MyST-NB drops it.
This renderer writes the JSON into the page, where
`book/assets/figures.js` draws it, with no network and one shared copy of Plotly.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from docutils import nodes
from myst_nb.core import render

if TYPE_CHECKING:
    from myst_nb.core.render import MimeData, NbElementRenderer
    from sphinx.application import Sphinx

MIME_TYPE = "application/vnd.plotly.v1+json"


def figure_text(figure: Mapping[str, Any]) -> str:
    """Say in words what a figure shows: its `layout.meta["alt"]`, or else its title.

    Raises ValueError when it has neither: a figure that cannot be read aloud is unfinished.

    >>> figure_text({"layout": {"title": {"text": "ROC"}, "meta": {"alt": "A curve"}}})
    'A curve'
    """
    layout = figure.get("layout", {})
    meta, title = layout.get("meta"), layout.get("title")
    alt = meta.get("alt") if isinstance(meta, Mapping) else None
    text = alt or (title.get("text") if isinstance(title, Mapping) else title)
    if not text:
        raise ValueError(
            "a Plotly figure has no words: give it a title, or "
            'fig.update_layout(meta={"alt": "what the figure shows"})'
        )
    return text


def figure_html(figure: Mapping[str, Any]) -> str:
    """Return the HTML of one figure; its id follows from its content, so builds repeat exactly.

    Raises ValueError as `figure_text`.

    >>> page = figure_html({"data": [], "layout": {"title": {"text": "ROC"}}})
    >>> page[:34], page == figure_html({"layout": {"title": {"text": "ROC"}}, "data": []})
    ('<div class="plotly-figure" id="plo', True)
    """
    # A `</script>` inside the figure's own text would end the element early, a `<!--` late.
    content = json.dumps(figure, sort_keys=True, separators=(",", ":")).replace("<", r"\u003c")
    name = "plotly-" + hashlib.sha256(content.encode()).hexdigest()[:16]
    text = html.escape(figure_text(figure))
    height = figure.get("layout", {}).get("height", 450)
    return (
        f'<div class="plotly-figure" id="{name}">'
        f'<script type="application/json">{content}</script>'
        f'<div class="plotly-drawing" role="figure" aria-label="{text}"'
        f' style="min-height: {height:g}px"></div>'
        f"<noscript>{text} (This figure is drawn by a script.)</noscript>"
        "</div>"
    )


class PlotlyPage:
    """The MyST-NB plug-in: a Plotly output becomes raw HTML, anything else is left to others.

    >>> from types import SimpleNamespace
    >>> output = SimpleNamespace(mime_type=MIME_TYPE, content={"layout": {"title": "ROC"}})
    >>> [type(node).__name__ for node in PlotlyPage.handle_mime(None, output, inline=False)]
    ['raw']
    """

    mime_priority_overrides = (("*", MIME_TYPE, 1),)

    @staticmethod
    def handle_mime(
        renderer: NbElementRenderer, data: MimeData, inline: bool
    ) -> list[nodes.Element] | None:
        """Return the nodes of a block-level Plotly output, or None to pass."""
        if inline or data.mime_type != MIME_TYPE:
            return None
        figure = json.loads(data.content) if isinstance(data.content, str) else data.content
        return [nodes.raw(text=figure_html(figure), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the renderer to those that MyST-NB finds through entry points: a wheel has none of it."""
    found = render.load_mime_renders
    render.load_mime_renders = lambda: [*found(), PlotlyPage]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
