"""A page hides only short code: what a reader does not see, the kit holds, where it is tested."""

import json
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
MOST = 20  # lines
HIDDEN = {"hide-cell", "hide-input", "remove-cell", "remove-input"}
# The template, whose cells tests and reports know by name; and what is made beside the pages
EXEMPT = {"experiment.ipynb"}
MADE = {".ipynb_checkpoints", "_build", "_vendor", "runs"}
PAGES = sorted(
    str(path)
    for path in (file.relative_to(BOOK) for file in BOOK.rglob("*.ipynb"))
    if str(path) not in EXEMPT and not MADE & set(path.parts)
)


def too_long(notebook):
    """The hidden code cells of more than 20 lines: place in the notebook -> lines."""
    return {
        place: lines
        for place, cell in enumerate(notebook["cells"])
        if cell["cell_type"] == "code"
        and HIDDEN & set(cell["metadata"].get("tags", []))
        and (lines := len("".join(cell["source"]).splitlines())) > MOST
    }


@pytest.mark.parametrize("page", PAGES)
def test_a_hidden_cell_is_short(page):
    found = too_long(json.loads((BOOK / page).read_text()))
    assert not found, f"{page}: move to book/kit what only draws (cell: lines): {found}"


@pytest.mark.parametrize(
    ("kind", "tags", "lines", "found"),
    [
        ("code", ["full-width", "hide-input"], 21, {0: 21}),
        ("code", ["hide-input"], 20, {}),
        ("code", ["full-width"], 21, {}),  # the reader sees it
        ("markdown", ["hide-input"], 21, {}),
    ],
)
def test_a_long_hidden_cell_is_found(kind, tags, lines, found):
    cell = {"cell_type": kind, "metadata": {"tags": tags}, "source": ["x\n"] * (lines - 1) + ["x"]}
    assert too_long({"cells": [cell]}) == found
