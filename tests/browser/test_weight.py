"""What all pages share is at most 4 MB: scripts, styles, fonts, and the index of the search."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

HTML = Path(__file__).parents[2] / "_build" / "html"
MOST = 4_000_000  # bytes
OF_ONE_PAGE = {HTML / "_static" / name for name in ("pick", "ask")}


def test_what_pages_share_is_at_most_4_mb():
    files = [HTML / "searchindex.js", *(HTML / "_static").rglob("*")]
    sizes = {
        path.relative_to(HTML).as_posix(): path.stat().st_size
        for path in files
        if path.is_file() and path.parent not in OF_ONE_PAGE
    }
    assert "_static/vendor/plotly.js" in sizes and len(sizes) > 20
    total = sum(sizes.values())
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
    assert total <= MOST, f"{total} bytes; the largest: {largest}"


def test_the_passages_of_the_search_come_on_top():
    """Its page alone loads them."""
    assert (HTML / "excerpts.js").stat().st_size <= 200_000
