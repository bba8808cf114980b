"""Plotly outputs of a notebook become parts of a page."""

import json
import re
from types import SimpleNamespace

import plotly.graph_objects as go
import pytest
from myst_nb.core import render
from plotly_page import MIME_TYPE, PlotlyPage, figure_html, figure_text, setup


def figure(**layout):
    """A figure as a notebook stores it: plain JSON, arrays packed by Plotly."""
    return json.loads(go.Figure(go.Scatter(x=[1, 2], y=[3, 5]), layout=layout).to_json())


def stored_figure(page):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])


def test_the_page_holds_the_figure_unchanged():
    drawn = figure(title="Loss of each term")
    assert stored_figure(figure_html(drawn)) == drawn


def test_text_that_looks_like_markup_ends_neither_the_script_nor_the_label():
    drawn = figure(title='a </script> "b" <b>')
    page = figure_html(drawn)
    assert stored_figure(page) == drawn
    assert page.count("</script>") == 1
    assert 'aria-label="a &lt;/script&gt; &quot;b&quot; &lt;b&gt;"' in page


def test_the_id_follows_from_the_content():
    first, again, other = (
        re.search(r'id="(plotly-[0-9a-f]{16})"', figure_html(figure(title=title)))[1]
        for title in ("a", "a", "b")
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"title": "The title"}, "The title"),
        ({"title": "The title", "meta": {"alt": "Two curves that cross"}}, "Two curves that cross"),
        ({"meta": {"alt": "Words alone"}}, "Words alone"),
    ],
)
def test_a_figure_is_read_aloud_by_its_alt_or_title(layout, words):
    assert figure_text(figure(**layout)) == words
    assert f'aria-label="{words}"' in figure_html(figure(**layout))


def test_a_figure_with_no_words_is_an_error_that_says_what_to_add():
    with pytest.raises(ValueError, match=r"no words.*meta"):
        figure_html(figure())


@pytest.mark.parametrize("content", [figure(title="t"), json.dumps(figure(title="t"))])
def test_the_plug_in_takes_plotly_blocks_only(content):
    def node(mime_type, inline):
        data = SimpleNamespace(mime_type=mime_type, content=content)
        return PlotlyPage.handle_mime(None, data, inline)

    (html,) = node(MIME_TYPE, inline=False)
    assert html["format"] == "html"
    assert 'class="plotly-figure"' in html.astext()
    assert node(MIME_TYPE, inline=True) is None
    assert node("image/png", inline=False) is None


def test_the_build_adds_the_plug_in_to_those_of_myst_nb(monkeypatch):
    others = render.load_mime_renders()
    monkeypatch.setattr(render, "load_mime_renders", lambda: list(others))
    setup(app=None)
    assert render.load_mime_renders() == [*others, PlotlyPage]
