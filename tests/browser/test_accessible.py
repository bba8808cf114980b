"""No page has a fault that axe-core finds, drawn as on a desktop.

But one minor rule: a parameter of a signature is a `dd` in a list without terms, and has to be told
apart from a definition (`book/assets/accessible.js`), for which HTML foresees no role.
"""

from pathlib import Path

import pytest
from test_pages import PAGES

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "ci" / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => (await axe.run({preload: false, resultTypes: ["violations"]})).violations
  .filter((found) => found.id !== "aria-allowed-role")
  .map((found) => `${found.id}: ${found.nodes.length}, e.g. ${found.nodes[0].html.slice(0, 150)}`)
"""


def test_axe_finds_a_fault(visit):
    page = visit("index.html").page
    page.add_script_tag(path=AXE)
    page.evaluate("document.querySelector('article').append(document.createElement('button'))")
    assert any(found.startswith("button-name") for found in page.evaluate(FAULTS))


@pytest.mark.parametrize("name", PAGES)
def test_accessible(visit, name):
    page = visit(name).page
    page.add_script_tag(path=AXE)
    assert page.evaluate(FAULTS) == []
