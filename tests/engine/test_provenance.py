"""What counts as the code of a run: what it does, in the modules that it executes."""

import json
import shutil

import pytest

from ci.engine import provenance
from lib.experiments import find
from lib.results import changed_modules


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the library that a test may edit; digests are taken of that one."""
    lib = tmp_path / "lib"
    shutil.copytree(provenance.LIB, lib, ignore=shutil.ignore_patterns("__pycache__"))
    template = tmp_path / "experiment.ipynb"
    shutil.copy(provenance.TEMPLATE, template)
    monkeypatch.setattr(provenance, "LIB", lib)
    monkeypatch.setattr(provenance, "TEMPLATE", template)
    return tmp_path


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def edit_cell(file, tagged, text):
    """Put a line into the first code cell that is, or is not, tagged "numbers"."""
    notebook = json.loads(file.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and tagged == (
            "numbers" in cell["metadata"].get("tags", ())
        ):
            cell["source"] = [*cell["source"], f"\n{text}"]
            break
    file.write_text(json.dumps(notebook))


def test_comments_docstrings_and_layout_do_not_count(copy):
    before = provenance.code(find("segnet"))
    file = copy / "lib" / "networks" / "rivals" / "segnet.py"
    text = file.read_text()
    file.write_text(
        '"""Another sentence."""\n\n# a comment\n\n\n' + text[text.index('"""\n') + 4 :]
    )
    assert file.read_text() != text and provenance.code(find("segnet")) == before


def test_one_networks_file_changes_its_own_runs_only(copy):
    systems = ("segnet", "segnet-native", "ms-mtl", "unet-seg2+clsnet", "pspnet")
    before = {name: provenance.code(find(name)) for name in systems}
    with open(copy / "lib" / "networks" / "rivals" / "segnet.py", "a") as file:
        file.write("\nADDED = 1\n")
    after = {name: provenance.code(find(name)) for name in systems}
    assert [n for n in systems if after[n] != before[n]] == ["segnet", "segnet-native"]
    assert changed_modules(before["segnet"], after["segnet"]) == ["networks.segnet"]


def test_a_part_of_a_combined_system_is_its_code(copy):
    before = provenance.code(find("unet-seg2+clsnet"))
    with open(copy / "lib" / "networks" / "clsnet.py", "a") as file:
        file.write("\nADDED = 1\n")
    after = provenance.code(find("unet-seg2+clsnet"))
    assert [n for n in after if after[n] != before.get(n)] == ["networks.clsnet"]


def test_what_every_run_executes_changes_every_run(copy):
    systems = ("mtl", "segnet")
    before = [provenance.code(find(name)) for name in systems]
    with open(copy / "lib" / "learner.py", "a") as file:
        file.write("\nADDED = 1\n")
    for name, old in zip(systems, before, strict=True):
        assert changed_modules(old, provenance.code(find(name))) == ["learner"]


def test_only_the_templates_tagged_cells_count(copy):
    before = provenance.code(find("mtl"))
    edit_cell(provenance.TEMPLATE, False, "print('a table more')")
    assert provenance.code(find("mtl")) == before
    edit_cell(provenance.TEMPLATE, True, "# why")
    assert provenance.code(find("mtl")) == before
    edit_cell(provenance.TEMPLATE, True, "seed += 1")
    assert changed_modules(before, provenance.code(find("mtl"))) == ["experiment.ipynb"]


def test_a_module_that_came_or_went_counts():
    code = provenance.code(find("mtl"))
    less = {name: value for name, value in code.items() if name != "losses"}
    assert changed_modules(less, code) == ["losses"]
    assert changed_modules(code | {"gone": "0"}, code) == ["gone"]


def test_a_digest_is_the_same_on_every_python(tmp_path):
    """Made by Python 3.11; newer ones know more of a tree, and dump less of it."""
    file = tmp_path / "module.py"
    file.write_text(
        'def f(x: int = 1, *y) -> str:\n    """Says it."""\n    return f"{x:>{y}} {x}"\n'
    )
    assert provenance._digest(provenance._tree(file)) == "9a2c109f5b2c"
