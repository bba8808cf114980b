"""The text of every page in one script, so that the search can quote the passage that it found.

Pagefind fetches its index in parts, which a page opened from a file may not do, and Lunr would
bring an index of its own beside Sphinx's. Sphinx's is a script and works everywhere; what it lacks
are the passages, and an order that puts chapters above names (`book/assets/scorer.js`).
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

SCRIPT = "excerpts.js"  # beside the page of the search, which alone loads it
# Names, versions, cards, the plan, counted tests and runs, timings and the report of a run are
# looked up, not read; the one page repeats others: no passage
LOOKED_UP = (
    "api/",
    "changes",
    "cost",
    "datasets",
    "plan",
    "rivals",
    "robust",
    "runs/",
    "scale",
    "speed",
    "status",
    "summary",
)
NO_TEXT = (nodes.raw, nodes.literal_block, nodes.math, nodes.math_block, nodes.comment)


def text_of(document: nodes.document) -> str:
    """The words of a page in one line, without code, formulas and what scripts draw."""
    paragraphs = [
        node.astext()
        for node in document.findall(nodes.TextElement)
        if isinstance(node, nodes.paragraph | nodes.title | nodes.term | nodes.caption)
        and not any(isinstance(inner, NO_TEXT) for inner in node.findall(nodes.Element))
    ]
    return " ".join(" ".join(paragraphs).split())


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the script."""
    if error or app.builder.format != "html":
        return
    read = [page for page in sorted(app.env.found_docs) if not page.startswith(LOOKED_UP)]
    pages = {page: text_of(app.env.get_doctree(page)) for page in read}
    text = json.dumps(pages, ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, SCRIPT).write_text(f"window.EXCERPTS={text};", encoding="utf-8")


def add(app: Sphinx, page: str, *_: object) -> None:
    """Only the page of the search loads it."""
    if page == "search":
        app.add_js_file(f"../{SCRIPT}")
        app.add_js_file("search.js")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", add)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
