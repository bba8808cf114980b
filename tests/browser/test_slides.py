"""Each deck of slides, opened from its file with the network cut and gone through by keyboard."""

import re
import shutil
from pathlib import Path

import pytest
from content_policy import POLICY
from test_accessible import AXE, FAULTS

pytestmark = pytest.mark.browser

BUILD = Path(__file__).parents[2] / "_build"
HTML = BUILD / "html"
DECKS = ("losses", "algorithm1")
READY = """() => window.Reveal?.isReady() && window.MathJax?.startup?.promise
  && [...document.querySelectorAll(".plotly-drawing")]
    .every((figure) => figure.querySelector("svg.main-svg"))"""
# What of the slide lies outside of the window, or of a box that cannot be scrolled by a key.
CLIPPED = """() => [...Reveal.getCurrentSlide().querySelectorAll("*")]
  .filter((thing) => !thing.parentElement.closest("svg"))
  .filter((thing) => !thing.closest(".only-spoken, mjx-assistive-mml, script, style"))
  .filter((thing) => {
    const { left, top, right, bottom, width } = thing.getBoundingClientRect();
    const outside = left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
    const hides = getComputedStyle(thing).overflowX !== "visible" && thing.tagName !== "svg"
      && (thing.scrollWidth > thing.clientWidth + 1 || thing.scrollHeight > thing.clientHeight + 1);
    return width > 1 && (outside || hides);
  })
  .map((thing) => thing.outerHTML.slice(0, 120))"""
UNDRAWN = """() => {
  const slide = Reveal.getCurrentSlide();
  const texts = [...slide.querySelectorAll("p, li")].map((thing) => thing.innerText);
  return [
    ...texts.filter((words) => words.includes("$")),
    ...[...slide.querySelectorAll("mjx-merror, .plotly-drawing:not(:has(.trace, .im, .hm))")]
      .map((thing) => thing.outerHTML.slice(0, 120)),
    ...[...slide.querySelectorAll(".plotly-drawing svg.main-svg")]
      .map((drawing) => [drawing.clientWidth, drawing.closest(".plotly-drawing").clientWidth])
      .filter(([drawn, wide]) => Math.abs(drawn - wide) > 1)
      .map(([drawn, wide]) => `${drawn} wide in ${wide}`),
  ];
}"""


@pytest.fixture
def opened(browser):
    """Open a deck of a folder in 1280 x 720; whatever goes wrong in it fails the test."""
    contexts, log = [], []

    def opened(folder: Path, name: str, scheme: str = "light"):
        size = {"width": 1280, "height": 720}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: m.type in ("error", "warning") and log.append(m.text))
        page.on("pageerror", lambda error: log.append(str(error)))
        page.on("requestfailed", lambda request: log.append(f"failed: {request.url}"))
        own = (folder.as_uri(), "data:", "blob:")
        page.on("request", lambda r: r.url.startswith(own) or log.append(f"left: {r.url}"))
        page.goto((folder / "slides" / f"{name}.html").as_uri())
        page.wait_for_function(READY)
        page.evaluate("MathJax.startup.promise")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert log == []


def test_teachers_find_every_deck():
    linked = re.findall(r'href="slides/(\w+)\.html"', (HTML / "teachers.html").read_text())
    assert set(linked) == set(DECKS) == {path.stem for path in (HTML / "slides").glob("*.html")}


@pytest.mark.parametrize("name", DECKS)
def test_a_deck_is_light_and_allows_nothing_from_elsewhere(name):
    text = (HTML / "slides" / f"{name}.html").read_text()
    assert len(text.encode()) <= 400_000
    policy = re.search(r'<meta content="([^"]*)" http-equiv="Content-Security-Policy"/>', text)
    assert policy[1] == POLICY and policy.start() < text.index("<script")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", DECKS)
def test_every_slide_by_keyboard(opened, name, scheme):
    page = opened(HTML, name, scheme)
    shots = BUILD / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    page.add_script_tag(path=AXE)
    slides = page.evaluate("Reveal.getTotalSlides()")
    seen = []
    while True:
        while page.evaluate("Reveal.availableFragments().next"):
            page.keyboard.press("ArrowRight")
        at = page.evaluate("Reveal.getIndices().h")
        seen.append(at)
        page.screenshot(path=shots / f"slides_{name}-{at:02}-{scheme}.png")
        assert page.evaluate(CLIPPED) == [], f"slide {at}"
        assert page.evaluate(UNDRAWN) == [], f"slide {at}"
        assert page.evaluate(FAULTS) == [], f"slide {at}"
        if page.evaluate("Reveal.isLastSlide()"):
            break
        page.keyboard.press("ArrowRight")
    assert seen == list(range(slides)) and slides > 5
    assert page.locator("mjx-container").count() > 3
    assert page.locator(".plotly-drawing .main-svg").count() > 0
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    page.keyboard.press("Home")
    assert page.evaluate("Reveal.isFirstSlide()")


def test_a_slide_that_is_too_full_is_found(opened):
    page = opened(HTML, DECKS[0])
    assert page.evaluate(CLIPPED) == []
    page.evaluate("Reveal.getCurrentSlide().querySelector('p').style.height = '900px'")
    page.evaluate("Reveal.layout()")
    assert page.evaluate(CLIPPED) != []


def test_a_deck_opens_from_an_unpacked_zip(opened, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "book"), "zip", HTML)
    shutil.unpack_archive(archive, tmp_path / "another place")
    page = opened(tmp_path / "another place", DECKS[0])
    page.keyboard.press("End")
    assert page.evaluate("Reveal.isLastSlide()")
