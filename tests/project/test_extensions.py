"""What the build adds to Sphinx: slides, a check of every link, links to a repository."""

from pathlib import Path
from types import SimpleNamespace

import launch
import nbformat
import pytest
import yaml
from jupyter_book.config import get_final_config
from links import broken
from slides import HIGHEST, deck, for_slide

BOOK = Path(__file__).parents[2] / "book"
CONFIG = BOOK.parent / "_config.yml"

PAGES = {
    "index.html": '<a href="part/page.html#here">1</a> <img src="picture.svg"> <a href="#top">2</a>'
    '<p id="top"></p> <a href="part/page.html#state=1">3</a> <a href="https://example.org/x">4</a>',
    "part/page.html": '<a href="../index.html#top">1</a> <h2 id="here"></h2> <a href="a%20b.txt">',
    "_static/left/out.html": '<a href="{{ address }}">a template</a>',
}


@pytest.fixture
def site(tmp_path):
    for name, text in PAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "picture.svg").touch()
    (tmp_path / "part" / "a b.txt").touch()
    return tmp_path


def test_links_that_lead_somewhere_are_no_matter(site):
    assert list(broken(site)) == []


@pytest.mark.parametrize(
    "link",
    [
        '<a href="nowhere.html">',
        '<a href="index.html#nowhere">',
        '<a href="#nowhere">',
        '<img src="nowhere.png">',
        '<script src="_static/nowhere.js"></script>',
        '<link href="nowhere.css">',
        '<a href="part">',
    ],
)
def test_a_link_to_nothing_is_found(site, link):
    (site / "more.html").write_text(link)
    (found,) = broken(site)
    assert found.startswith("more.html: ") and found.removeprefix("more.html: ") in link


def made(tmp_path, *cells):
    """The deck of a notebook of these cells."""
    file = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), file)
    return deck(file, "part/page", BOOK / "_templates")


def text(words, kind=None):
    metadata = {"slideshow": {"slide_type": kind}} if kind else {}
    return nbformat.v4.new_markdown_cell(words, metadata=metadata)


def test_only_cells_that_ask_for_it_are_on_slides(tmp_path):
    html = made(
        tmp_path, text("# One < two", "slide"), text("aside"), text("skipped", "skip"),
        text("then", "fragment"), text("next", "slide"),
    )  # fmt: skip
    assert "<title>Slides: One &lt; two</title>" in html
    assert html.count("<section") == 4 and html.count('class="fragment"') == 1  # reveal.js: nested
    assert "aside" not in html and "skipped" not in html


def test_links_lead_from_the_deck_to_the_pages(tmp_path):
    words = "# A\n[b](b.ipynb#c) [d](../d.md) [e](https://e.org) [f](#f)"
    html = made(tmp_path, text(words, "slide"))
    for link in ("../part/b.html#c", "../d.html", "https://e.org", "#f"):
        assert f'href="{link}"' in html


def test_folded_code_stays_out_and_a_figure_is_drawn_by_the_book(tmp_path):
    figure = {"data": [], "layout": {"title": {"text": "ROC"}, "height": 300}}
    output = nbformat.v4.new_output("display_data", {"application/vnd.plotly.v1+json": figure})
    cells = [
        nbformat.v4.new_code_cell(
            f"code_{tag or 'shown'} = 1",
            outputs=[output],
            metadata={"slideshow": {"slide_type": "slide"}, "tags": [tag] if tag else []},
        )
        for tag in ("", "hide-input", "output-on-slide")
    ]
    html = made(tmp_path, text("# A", "slide"), *cells)
    assert html.count('<div class="plotly-figure"') == 3
    assert "code_shown" in html and "code_hide" not in html and "code_output" not in html


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([text("# A", "slide"), text("by {cite:t}`kang2022`", "-")], r"\{cite:t\}.*skip"),
        ([text("# A")], "no cell is on a slide"),
    ],
)
def test_what_no_slide_can_show_is_an_error(tmp_path, cells, words):
    with pytest.raises(ValueError, match=words):
        made(tmp_path, *cells)


def test_a_high_figure_has_its_lower_half_beside_the_upper():
    rows = {"": [0.8, 1.0], "2": [0.5, 0.7], "3": [0.3, 0.5], "4": [0.0, 0.2]}
    layout = {"height": 900, "annotations": [{"x": 0.5, "y": 0.5, "font": {"size": 9}}]}
    for name, domain in rows.items():
        layout |= {f"xaxis{name}": {"domain": [0, 1]}, f"yaxis{name}": {"domain": domain}}
    given = {"data": [], "layout": layout}
    folded = for_slide(given)["layout"]
    assert given["layout"]["height"] == 900 and folded["height"] == HIGHEST
    left, right = (folded[f"xaxis{name}"]["domain"] for name in ("", "3"))
    assert left[1] < right[0] and folded["xaxis2"]["domain"] == left
    assert folded["yaxis"]["domain"][1] == folded["yaxis3"]["domain"][1] == 1
    assert folded["yaxis"]["domain"][0] > folded["yaxis2"]["domain"][1]
    assert folded["yaxis4"]["domain"][0] >= 0
    note = folded["annotations"][0]
    assert note["y"] == 1 and right[0] < note["x"] < right[1] and note["font"]["size"] > 9


# ---- links to the repository


def theme_options(url):
    """What the theme is told, from _config.yml with this address, as Jupyter Book reads it."""
    settings = yaml.safe_load(CONFIG.read_text())
    settings["sphinx"]["config"]["html_theme_options"]["repository_url"] = url
    cli = {"latex_individualpages": False}
    config, _ = get_final_config(user_yaml=settings, cli_config=cli, sourcedir=BOOK)
    options = SimpleNamespace(html_theme_options=config["html_theme_options"])
    launch.fill(None, options)
    return options.html_theme_options


def test_the_book_itself_names_no_repository():
    config = yaml.safe_load(CONFIG.read_text())["sphinx"]["config"]
    assert config["html_theme_options"]["repository_url"] == ""
    assert "launch" in config["extensions"]


def test_without_an_address_there_is_no_link():
    options = theme_options("")
    assert not options["launch_buttons"] and not options["repository_url"]
    buttons = ("use_repository_button", "use_edit_page_button", "use_issues_button")
    assert not any(options[button] for button in buttons)


def test_one_address_fills_all_links():
    options = theme_options("https://github.com/owner/book")
    assert options["repository_url"] == "https://github.com/owner/book"
    assert options["launch_buttons"]["binderhub_url"] == "https://mybinder.org"
    assert options["launch_buttons"]["colab_url"] == "https://colab.research.google.com"
    buttons = ("use_repository_button", "use_edit_page_button", "use_issues_button")
    assert all(options[button] for button in buttons)
