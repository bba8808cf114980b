"""The template that every run executes: stored stripped, and strict about its parameters."""

from pathlib import Path

import nbformat
import pytest

TEMPLATE = nbformat.read(Path(__file__).parents[2] / "book" / "experiment.ipynb", as_version=4)
CODE = [cell for cell in TEMPLATE.cells if cell.cell_type == "code"]
PARAMETERS = [cell for cell in CODE if "parameters" in cell.metadata.get("tags", [])]


def test_it_is_stored_stripped():
    assert CODE and all(not cell.outputs and cell.execution_count is None for cell in CODE)


def test_one_cell_holds_the_parameters_and_comes_first():
    assert CODE[:1] == PARAMETERS


def start(**given):
    """Run the parameters and the two cells after them, as papermill would with `given`."""
    space = {}
    exec(PARAMETERS[0].source, space)
    space |= given
    for cell in CODE[1:3]:
        exec(cell.source, space)


def test_it_starts_with_its_own_parameters(tmp_path):
    start(device="cpu", results=str(tmp_path))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sed": 1}, r"unknown parameters \['sed'\].*'seed'"),
        ({"experiment": "ms-mlt"}, "did you mean ms-mtl"),
        ({"profile": "laptops"}, "did you mean laptop"),
        ({"device": "warp"}, "device='warp'"),
        ({"fold": -1}, "fold=-1; use the number of a fold"),
        ({"fold": "2"}, "fold='2' is not of the type int"),
        ({"keep": "yes"}, "keep='yes' is not of the type bool"),
        ({"test_source": "phantom"}, "images of phantom.* name another source"),
        ({"test_source": "busi", "keep": False}, "needs the kept network: keep=True"),
    ],
)
def test_a_wrong_parameter_ends_the_run_before_it_begins(given, words):
    with pytest.raises(ValueError, match=words):
        start(**given)
