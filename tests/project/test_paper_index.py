"""The index of the paper: whole, and nothing in it dangles."""

import ast
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from book.kit import figures
from book.kit.figures.paper_index import code_link, line_of

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
ITEMS = tomllib.loads((BOOK / "paper_index.toml").read_text())["item"]
TOC = re.findall(r"file: (\S+)", (BOOK / "_toc.yml").read_text())


def test_every_piece_of_the_paper_is_there_once():
    wanted = [f"Eq. {n}" for n in range(1, 13)] + ["Algorithm 1", "Algorithm 2"]
    wanted += [f"{kind} {n}" for kind in ("Table", "Fig.") for n in range(1, 7)]
    assert [item["name"] for item in ITEMS] == wanted


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["name"])
def test_nothing_dangles(item):
    assert item["code"] and item["tests"] and item["pages"]
    for entry in item["code"]:
        module, name = entry.split(":")
        found = inspect.unwrap(getattr(importlib.import_module(module), name))
        assert found.__module__ == module, f"{name} is defined in {found.__module__}"
    for entry in item["tests"]:
        file, name = entry.split("::")
        tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, entry
    for page in item["pages"]:
        assert page in [*TOC, "index"], f"{page} is no page of the book"
        assert any((BOOK / f"{page}{ending}").exists() for ending in (".ipynb", ".md"))


def test_the_page_finds_the_lines_that_inspect_finds():
    """The page reads the source without importing it; both must point at the same line."""
    for entry in {entry for item in ITEMS for entry in item["code"]}:
        module, name = entry.split(":")
        found = inspect.unwrap(getattr(importlib.import_module(module), name))
        file, line = line_of(module, name).split(":")
        source, first = inspect.getsourcelines(found)
        assert (ROOT / file).samefile(inspect.getsourcefile(found))
        decorators = next(i for i, text in enumerate(source) if text.startswith(("def ", "class ")))
        assert int(line) == first + decorators
        page = code_link(entry).split('href="')[1].split(".html")[0]
        assert (BOOK / f"{page}.md").exists()
    with pytest.raises(LookupError, match=r"correct book/paper_index\.toml"):
        line_of("lib.losses", "no_such_name")


def test_each_kind_has_a_row_for_each_of_its_pieces():
    for kind in ("Eq.", "Algorithm", "Table", "Fig."):
        wanted = [item["name"] for item in ITEMS if item["name"].startswith(kind)]
        shown = figures.index_table(kind)
        assert re.findall(r"<b>(.+?)</b>", shown) == wanted
    with pytest.raises(ValueError, match="nothing that begins with 'Lemma'"):
        figures.index_table("Lemma")


def test_each_chapter_is_reached_from_the_contents():
    chapters = {f"chapters/{path.stem}" for path in (BOOK / "chapters").glob("*.ipynb")}
    assert chapters <= set(TOC)
    assert len(TOC) == len(set(TOC))
    assert yaml.safe_load((BOOK / "_toc.yml").read_text())["root"] == "index"
