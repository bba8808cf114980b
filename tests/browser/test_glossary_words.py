"""A word of the glossary shows its meaning to those who reach it by keyboard, too."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

STYLE = (Path(__file__).parents[2] / "book" / "assets" / "book.css").read_text(encoding="utf8")
MEANING = "The first task: is the nodule benign or malignant? " * 4 + "Nothing to do with MRI."
PAGE = f"""<!doctype html><style>{STYLE} body {{ height: 3000px }}</style>
<p style="margin-top: 660px">
<a class="glossary-word" href="#" title="{MEANING}">class (T1)</a> is a word.</p>"""
BOX = """() => {
  const box = getComputedStyle(document.querySelector("a"), "::after");
  const [left, right, bottom, width, height] =
    ["left", "right", "bottom", "width", "height"].map((side) => parseFloat(box[side]));
  return { content: box.content, position: box.position, left, right, bottom, width, height };
}"""


@pytest.mark.parametrize("width", [360, 1440])
def test_the_meaning_stands_at_the_lower_edge_while_the_word_has_the_focus(browser, width):
    page = browser.new_page(viewport={"width": width, "height": 700})
    page.set_content(PAGE)
    assert page.evaluate(BOX)["content"] == "none"
    page.keyboard.press("Tab")
    box = page.evaluate(BOX)
    assert box["content"] == f'"{MEANING}"'
    assert box["position"] == "fixed" and box["bottom"] == 16
    assert box["left"] >= 16 and box["right"] >= 16 and box["width"] <= width - 32
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    word = page.locator("a").bounding_box()
    below = 700 - word["y"] - word["height"]
    assert word["y"] >= 0 and below >= 16 + box["height"]  # the word itself is not hidden
    page.close()
