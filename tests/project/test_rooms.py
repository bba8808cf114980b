"""Imports go one way: `lib` takes nothing of ours; the kit and the engine take from `lib`."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    "lib": ROOT / "lib",
    "book.kit": ROOT / "book" / "kit",
    "ci.engine": ROOT / "ci" / "engine",
}
PAGES = [
    page
    for page in sorted((ROOT / "book").rglob("*.ipynb"))
    if "runs" not in page.parts and ".ipynb_checkpoints" not in page.parts
]


def taken(text: str) -> set[str]:
    """The rooms that a program imports from by name; within a room, imports are relative."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {room for room in ROOMS for name in names if f"{name}.".startswith(f"{room}.")}


def code_of(page: Path) -> str:
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    lines = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code").splitlines()
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


@pytest.mark.parametrize(
    ("text", "rooms"),
    [
        ("import lib", {"lib"}),
        ("from book import kit", {"book.kit"}),
        ("def f():\n    from ci.engine.grid import jobs", {"ci.engine"}),
        ("from . import losses\nimport libretto, ci_tools", set()),
    ],
)
def test_an_import_is_seen(text, rooms):
    assert taken(text) == rooms


@pytest.mark.parametrize(
    ("room", "allowed"),
    [("lib", {"lib"}), ("book.kit", {"lib", "book.kit"}), ("ci.engine", {"lib", "ci.engine"})],
)
def test_a_room_takes_only_from_below(room, allowed):
    files = sorted(ROOMS[room].rglob("*.py"))
    assert files
    found = {str(f.relative_to(ROOT)): taken(f.read_text()) - allowed for f in files}
    assert {name: rooms for name, rooms in found.items() if rooms} == {}


def test_pages_take_from_lib_and_the_kit():
    allowed = {"lib", "book.kit"}
    found = {str(p.relative_to(ROOT)): taken(code_of(p)) - allowed for p in PAGES}
    assert {name: rooms for name, rooms in found.items() if rooms} == {
        "book/experiment.ipynb": {"ci.engine"},  # makes a run
        "book/status.ipynb": {"ci.engine"},  # says which runs stand
    }


def test_all_rooms_are_imported_the_same_from_any_folder(tmp_path):
    code = "import lib; from book import kit; from ci import engine; kit.figures, engine.grid"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, check=True)
