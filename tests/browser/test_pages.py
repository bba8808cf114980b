"""Every built page, opened from its file in Chromium with the network cut.

`make test` builds the book first and asks for these by their marker. A missing book or browser
is a failure, not a skip.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

BUILD = Path(__file__).parents[2] / "_build"
HTML = BUILD / "html"
PAGES = sorted(path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html"))
# Slides are no pages: test_slides.py opens them.
PAGES = [name for name in PAGES if not name.startswith(("_static/", "slides/"))]
WIDTHS = {"phone": 360, "desktop": 1440}
CHECKS = Path(__file__).with_name("checks.js")


def test_there_is_a_book():
    wanted = {
        "index",
        "losses",
        "decoding",
        "own_network",
        "systems",
        "results",
        "pictures",
        "search",
    }
    assert {f"{name}.html" for name in wanted} <= set(PAGES)
    assert any(name.startswith("runs/phantom/quick/") for name in PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_at_most_400_kb_beside_what_all_share(name):
    assert (HTML / name).stat().st_size <= 400_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_page(visit, name, size, scheme):
    opened = visit(name, size, scheme)
    page: Page = opened.page

    shots = BUILD / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    page.screenshot(
        path=shots / f"{name.removesuffix('.html').replace('/', '_')}-{size}-{scheme}.png",
        full_page=True,
    )

    assert not opened.log
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[size]
    page.add_script_tag(path=CHECKS)
    assert page.evaluate("cutOff()") == []
    assert page.evaluate("withoutWords()") == []
    assert page.evaluate("hardToRead()") == []
    assert page.locator("mjx-merror, .cell_output .stderr, .traceback").count() == 0


def test_the_losses_are_drawn_and_typeset(visit):
    page = visit("losses.html").page
    assert page.locator(".plotly-drawing svg.main-svg .trace").count() > 0
    assert page.locator("mjx-container mjx-math").count() > 0


def test_figures_follow_the_switch_of_the_theme(visit):
    page = visit("losses.html").page
    colour = "getComputedStyle(document.querySelector('.plotly-drawing .xtick text')).fill"
    before = page.evaluate(colour)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"before => {colour} !== before", arg=before)


def test_search_needs_no_server(visit):
    opened = visit("search.html", query="?q=nodule")
    opened.page.wait_for_selector("#search-results li a")
    assert "index.html" in opened.page.locator("#search-results").inner_html()
    assert not opened.log


def test_search_puts_chapters_first_and_quotes_what_it_found(visit):
    page = visit("search.html", query="?q=dice").page
    page.get_by_text("Search finished").wait_for()
    found = page.locator("#search-results ul.search > li > a")
    places = [link.get_attribute("href") for link in found.all()]
    first_api = next(at for at, place in enumerate(places) if place.startswith("api/"))
    assert first_api > 0 and all(place.startswith("api/") for place in places[first_api:])
    assert "dice" in page.locator(".search-excerpt mark").first.inner_text().lower()
