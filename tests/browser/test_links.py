"""In the built book every link leads to a file, and every fragment to a place, that is there."""

from pathlib import Path

import pytest
from links import Page, broken

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]

HTML = ROOT / "_build" / "html"


def test_every_link_leads_somewhere():
    assert list(broken(HTML)) == []


def test_links_were_seen_in_pages_notebooks_and_slides():
    for name in ("index.html", "losses.html", "slides/losses.html"):
        page = Page((HTML / name).read_text())
        assert len(page.links) > 5 and page.places
