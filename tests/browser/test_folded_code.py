"""Folded code: a quiet sign that hand, finger and key reach; on paper no empty frame."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

PAGE = Path(__file__).parents[2] / "_build" / "html" / "losses.html"
SIGN = "details.hide.above-input > summary"
# Of black on white 21; AA asks for 4.5 of words this small.
CONTRAST = """(sign) => {
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const both = [getComputedStyle(sign.querySelector("p")).color,
    getComputedStyle(document.body).backgroundColor].map(light).sort((a, b) => b - a);
  return (both[0] + 0.05) / (both[1] + 0.05);
}"""
# What Chromium moves to the next sheet whole: what must not break, and what scrolls.
WHOLE = """() => [...document.querySelectorAll("article .cell_input pre")]
  .flatMap((code) => [code, ...[...Array(5)].map(() => (code = code.parentElement))])
  .filter((thing) => {
    const style = getComputedStyle(thing);
    return style.breakInside !== "auto" || style.overflowX !== "visible"
      || style.overflowY !== "visible";
  })
  .map((thing) => thing.className || thing.tagName)"""


@pytest.fixture
def opened(browser):
    contexts = []

    def opened(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.goto(PAGE.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_the_sign_is_quiet_and_can_be_read(opened, width, scheme):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    sign = page.locator(SIGN).first
    assert sign.inner_text().strip() == "Show code"
    box, article = sign.bounding_box(), page.locator("article").first.bounding_box()
    assert 24 <= box["height"] <= 32 and box["width"] < article["width"] / 2
    assert sign.evaluate(CONTRAST) >= 4.5
    style = "(fold) => [getComputedStyle(fold).boxShadow, getComputedStyle(fold).borderLeftWidth]"
    assert page.locator("details.hide.above-input").first.evaluate(style) == ["none", "0px"]


def test_the_sign_opens_by_key_and_says_so(opened):
    page = opened(viewport={"width": 1440, "height": 900})
    sign = page.locator(SIGN).first
    sign.focus()
    page.keyboard.press("Enter")
    assert sign.inner_text().strip() == "Hide code"
    assert page.locator("details.hide.above-input pre").first.is_visible()
    outline = sign.evaluate("(sign) => getComputedStyle(sign).outlineStyle")
    assert outline == "solid"


def test_a_finger_has_room(opened):
    page = opened(viewport={"width": 360, "height": 800}, has_touch=True, is_mobile=True)
    sign = page.locator(SIGN).first
    assert sign.bounding_box()["height"] >= 44
    sign.tap()
    assert sign.inner_text().strip() == "Hide code"


def test_code_breaks_between_sheets(opened):
    page = opened()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("article .cell_input pre").count() > 5
    assert page.evaluate(WHOLE) == []
