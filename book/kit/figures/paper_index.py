"""The index of the paper: of each equation, table and figure, its code, its pages and its tests."""

import ast
import re
import tomllib
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from .style import table

ROOT = Path(__file__).parents[3]
BOOK = ROOT / "book"


def index_table(kind: str) -> str:
    """The pieces of the paper of one kind, with links, as book/paper_index.toml lists them.

    kind: what their names begin with. Raises ValueError if nothing does, and LookupError if a
    module defines no such name.

    >>> index_table("Algorithm").count("<tr>")  # two, and the head
    3
    """
    body = [
        [
            f"<b>{item['name']}</b><br>{escape(item['about'])}",
            "<br>".join(map(code_link, item["code"])),
            "<br>".join(map(_page_link, item["pages"])),
            "<br>".join(map(_test, item["tests"])),
        ]
        for item in _items()
        if item["name"].startswith(kind)
    ]
    if not body:
        raise ValueError(f"book/paper_index.toml has nothing that begins with {kind!r}")
    return table(["in the paper", "code", "pages", "tests"], body, words=True)


def code_link(entry: str) -> str:
    """A name with its place in the reference and its line. entry: "MODULE:NAME".

    >>> code_link("lib.losses:dice_loss").partition("<small>")[0]
    '<a href="api/losses.html#lib.losses.dice_loss"><code>dice_loss</code></a> '
    """
    module, name = entry.split(":")
    on = _shown_on()
    public = module if module in on else module.rpartition(".")[0]  # shown by its package
    link = f"{on.get(f'{public}.{name}') or on[public]}#{public}.{name}"
    line = escape(line_of(module, name))
    return f'<a href="{link}"><code>{name}</code></a> <small>{line}</small>'


def line_of(module: str, name: str) -> str:
    """The file of a name, and the line on which it is defined, without importing the module.

    Raises LookupError if it is not defined there.

    >>> line_of("book.kit.figures.paper_index", "line_of").partition(":")[0]
    'book/kit/figures/paper_index.py'
    """
    path = ROOT.joinpath(*module.split("."))
    path = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if getattr(node, "name", None) == name:
            return f"{path.relative_to(ROOT)}:{node.lineno}"
    raise LookupError(f"{module} defines no {name!r}; correct book/paper_index.toml")


def _items() -> list[dict[str, Any]]:
    return tomllib.loads((BOOK / "paper_index.toml").read_text(encoding="utf-8"))["item"]


@cache
def _shown_on() -> dict[str, str]:
    """A module, or a name that is shown by itself: its page of the reference."""
    return {
        shown: f"api/{page.stem}.html"
        for page in sorted((BOOK / "api").glob("*.md"))
        for shown in re.findall(
            r"^\.\. auto(?:module|function):: (\S+)", page.read_text(encoding="utf-8"), re.M
        )
    }


def _page_link(name: str) -> str:
    notebook, words = BOOK / f"{name}.ipynb", BOOK / f"{name}.md"
    source = notebook if notebook.exists() else words
    title = re.search(r'# ([^"\\\n]+)', source.read_text(encoding="utf-8"))
    if title is None:
        raise LookupError(f"{source.relative_to(ROOT)} has no title")
    return f'<a href="{name}.html">{escape(title[1])}</a>'


def _test(entry: str) -> str:
    file, name = entry.split("::")
    words = name.removeprefix("test_").replace("_", " ")
    return f"{escape(words)} <small>tests/{file}.py</small>"
