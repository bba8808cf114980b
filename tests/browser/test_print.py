"""Pages on paper: light, without navigation, nothing cut off, and folds open; then as before."""

import pytest

pytestmark = pytest.mark.browser

PAGES = [
    "losses.html",
    "tables.html",
    "explorables/loss_laboratory.html",
    "exercises/index.html",
    "results.html",
]
WIDTH = 700  # of A4 between usual margins, in CSS pixels
CUT = """() => [...document.querySelectorAll("article *")]
  .filter((thing) => !thing.parentElement.closest("svg, mjx-container, .only-spoken"))
  .filter((thing) => !thing.closest(".only-spoken, .table-spoken, noscript, script, style"))
  .filter((thing) => {
    const box = thing.getBoundingClientRect();
    const hides = getComputedStyle(thing).overflowX !== "visible" && !thing.matches("svg, .math")
      && thing.clientWidth > 0 && thing.scrollWidth > thing.clientWidth + 1;
    return box.width > 1 && (box.right > innerWidth + 1 || hides);
  })
  .map((thing) => thing.outerHTML.slice(0, 120))"""
NAVIGATION = ".bd-header-article, .bd-sidebar-primary, .bd-sidebar-secondary, .prev-next-footer"


@pytest.mark.parametrize("name", PAGES)
def test_on_paper(visit, name):
    opened = visit(name, scheme="dark")
    page = opened.page
    assert page.locator(NAVIGATION).first.is_visible()
    before = page.evaluate("document.querySelectorAll('article details[open]').length")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert not any(part.is_visible() for part in page.locator(NAVIGATION).all())
    assert page.evaluate(CUT) == []
    if page.locator("form.exercise").count():  # hints stay folded
        assert page.locator("article details[open]").count() == before
    else:
        assert page.locator("article details:not([open], .hide)").count() == 0

    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator("article details[open]").count() == before
    assert not opened.log


def test_the_summary_is_one_sheet(visit):
    assert visit("summary.html").page.pdf(format="A4").count(b"/Type /Page\n") == 1


def test_a_page_prints_without_blank_or_endless_sheets(visit):
    sheets = visit("losses.html").page.pdf(format="A4").count(b"/Type /Page\n")
    assert 5 <= sheets <= 15
