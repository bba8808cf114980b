"""Every link of the built pages leads somewhere: one to a missing file or place is a warning.

Sphinx checks the links that it makes itself; this also sees raw HTML, outputs of notebooks, slides,
and what the theme writes. With -W a warning fails the build.
"""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

POINTING = {"href", "src", "poster", "data"}


class Page(HTMLParser):
    """What a page points to, and the places in it that can be pointed to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.places.add(value or "")
            elif name in POINTING and value:
                self.links.append(value)


def broken(root: Path) -> Iterator[str]:
    """Yield "page: link" for each link below `root` that leads to no file or place there.

    A fragment with "=" is the state of an explorable, which its script reads: no place.
    """
    files = [path for path in sorted(root.rglob("*.html")) if "_static" not in path.parts]
    pages = {path.resolve(): Page(path.read_text(encoding="utf8")) for path in files}
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            wanted = place and "=" not in place and target in pages
            if not target.is_file() or (wanted and place not in pages[target].places):
                yield f"{path.relative_to(root.resolve())}: {link}"


def check(app: Sphinx, error: Exception | None) -> None:
    """Warn of each broken link, once all files are written."""
    if not error and app.builder.format == "html":
        for found in broken(Path(app.outdir)):
            logging.getLogger(__name__).warning("broken link in %s", found)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", check, priority=900)  # after the slides
    return {"parallel_read_safe": True, "parallel_write_safe": True}
