"""The whole book as one file to print: _build/book.pdf, from the built pages.

python ci/pdf.py

The pages' texts, in the order of the contents, are put into one page that the browser prints, with
its own scripts: figures and formulas are drawn as on the screen. Links between pages become links
in the file. The explorables need a screen, and the reference of names is looked up, not read: their
pages stay out. On other pages a sentence stands in the place of an explorable.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from bs4 import BeautifulSoup, Tag
from chromium import started

from lib.atomic import replacing

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "book.pdf"
LEFT_OUT = ("api/", "explorables/")
FOOT = (
    '<div style="width:100%;font:8px sans-serif;text-align:center">'
    '<span class="pageNumber"></span></div>'
)


def pages(toc: Any) -> Iterator[str]:
    """The pages of a table of contents, in its order, without the ending."""
    if isinstance(toc, dict):
        for key in ("root", "file"):
            if key in toc:
                yield toc[key]
        for value in toc.values():
            yield from pages(value)
    elif isinstance(toc, list):
        for entry in toc:
            yield from pages(entry)


def anchor(page: str, name: str = "") -> str:
    """The name of a place in the one file."""
    return re.sub(r"[^\w-]+", "-", f"{page}--{name}" if name else page)


def article(page: str, known: set[str]) -> Tag:
    """The text of one built page, its names and links made those of the one file."""
    folder = (HTML / page).parent
    found = BeautifulSoup((HTML / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    text = found.select_one("article.bd-article")
    for gone in text.select(".headerlink, .thebe-launch-button"):
        gone.decompose()
    for explorable in text.select(".explorable"):
        sentence = found.new_tag("p")
        sentence.string = "(Something to move by hand stands here on the screen.)"
        explorable.replace_with(sentence)
    for node in text.select("[id]"):
        node["id"] = anchor(page, node["id"])
    text["id"] = anchor(page)
    for node, key in [(n, k) for k in ("href", "src") for n in text.select(f"[{k}]")]:
        address, _, name = node[key].partition("#")
        if "://" in address or address.startswith(("data:", "mailto:")):
            continue
        there = Path(os.path.relpath(folder / address, HTML)).as_posix() if address else ""
        other = there.removesuffix(".html") if address else page
        if other in known:
            node[key] = f"#{anchor(other, name)}"
        elif address:
            node[key] = there
    return text


def one_page() -> str:
    """The whole book as one page of HTML, which lies beside the others."""
    contents = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    order = [page for page in dict.fromkeys(pages(contents)) if not page.startswith(LEFT_OUT)]
    whole = BeautifulSoup((HTML / "index.html").read_text(encoding="utf-8"), "html.parser")
    first = whole.select_one("article.bd-article")
    for page in order:
        first.insert_before(article(page, set(order)))
    first.decompose()
    style = whole.new_tag("style")
    style.string = "article.bd-article + article.bd-article { break-before: page; }"
    whole.head.append(style)
    return str(whole)


def main() -> None:
    page = HTML / "print-the-book.html"
    page.write_text(one_page(), encoding="utf-8")
    try:
        with started() as browser, replacing(TARGET) as draft:
            opened = browser.new_page(bypass_csp=True)  # its policy forbids the questions below
            opened.set_default_timeout(300_000)
            opened.goto(page.as_uri())
            opened.wait_for_load_state("load")
            opened.evaluate("() => window.MathJax?.startup?.promise")
            opened.wait_for_function(
                "[...document.querySelectorAll('.plotly-drawing')].every(d => d.childElementCount)"
            )
            opened.pdf(
                path=draft,
                format="A4",
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOT,
                margin={"top": "15mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
                outline=True,
                tagged=True,
            )
    finally:
        page.unlink()
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
