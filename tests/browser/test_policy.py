"""Every page forbids what does not come from the book, and needs nothing else."""

import pytest
from test_pages import HTML, PAGES

pytestmark = pytest.mark.browser

META = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\''
INJECT = """async () => {
  const refused = [];
  document.addEventListener("securitypolicyviolation", (event) => refused.push(event.blockedURI));
  for (const [name, link] of [["script", "src"], ["img", "src"]]) {
    const thing = document.createElement(name);
    thing[link] = `https://example.invalid/${name}`;
    document.body.append(thing);
  }
  await fetch("https://example.invalid/fetch").catch(() => {});
  await new Promise((done) => setTimeout(done, 200));
  return refused.sort();
}"""


@pytest.mark.parametrize("name", PAGES)
def test_the_policy_stands_before_every_script(name):
    text = (HTML / name).read_text()
    assert META in text and text.index(META) < text.index("<script")


def test_what_is_not_of_the_book_is_refused(visit):
    refused = visit("index.html").page.evaluate(INJECT)
    assert refused == [f"https://example.invalid/{name}" for name in ("fetch", "img", "script")]


def test_one_page_runs_webassembly_and_none_may_make_code_of_text():
    texts = {name: (HTML / name).read_text() for name in PAGES}
    assert [name for name in PAGES if "wasm-unsafe-eval" in texts[name]] == ["explorables/ask.html"]
    assert not [name for name in PAGES if "'unsafe-eval'" in texts[name]]
