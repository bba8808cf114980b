"""The explorables' modules, pages and widgets. What they compute has tests of its own."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from book.kit import explorables, paper
from book.kit.explorables import kernel
from lib import results

SCRIPTS = Path(__file__).parents[1] / "js"
PAIR = ("ms-mtl", "ms-mtl+intra+inter")  # without and with the three terms


def node(script, given):
    done = subprocess.run(
        ["node", SCRIPTS / script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", explorables.NAMES)
def test_a_bundle_is_one_module(name, tmp_path):
    """Node refuses a name that is declared twice, and an import that was left has no file."""
    file = tmp_path / "bundle.mjs"
    file.write_text(
        explorables.bundle(name), encoding="utf8"
    )  # beside nothing that it could import
    imported = f'import("{file.as_uri()}").then((m) => console.log(typeof m.default.render))'
    done = subprocess.run(["node", "-e", imported], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("function", "")


@pytest.mark.parametrize("name", explorables.NAMES)
def test_a_page_is_whole_and_light(name):
    page = explorables.show(name).html
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page and "src=" not in page
    assert len(page) < 100_000


def test_data_cannot_end_the_script_early():
    page = explorables.show("loss-laboratory", {"words": "</script><b>"}).html
    assert "</script><b>" not in page


def test_an_unknown_name_is_an_error():
    for make in (explorables.show, explorables.widget):
        with pytest.raises(ValueError, match="there is no explorable 'lab'; use one of"):
            make("lab")


def test_the_same_page_twice():
    assert explorables.show("loss-laboratory") == explorables.show("loss-laboratory")


def test_a_widget_carries_the_module_of_the_page():
    made = explorables.widget("loss-laboratory", {"a": 1}, {"p": 0.5})
    assert str(made._esm) == explorables.bundle("loss-laboratory")
    assert (made.state, made.values, made.data) == ({"p": 0.5}, {}, {"a": 1})


def test_masks_are_the_same_on_both_sides():
    texts = ["e64_64_10_10", "e10.5_120_40_7.3", "e64_64_0_0", "r0_8_5", "r3k_a_2_sg", "e0_0_64_64"]
    for text, page in zip(texts, node("masks.mjs", texts), strict=True):
        pixels = np.array(page["pixels"], bool).reshape(128, 128)
        assert (kernel.decode(text) == pixels).all(), text
        assert (kernel.decode(page["text"]) == pixels).all(), text


def test_the_presets_are_figure_3():
    """The printed probabilities to their last decimal, and the losses to what these leave open."""
    rows = [row._asdict() for row in paper.FIGURE_3]
    for row, found in zip(paper.FIGURE_3, node("figure3.mjs", rows), strict=True):
        assert found["segAsCls"] == pytest.approx([row.seg_benign, row.seg_malignant], abs=6e-4)
        assert found["losses"]["inter"] == pytest.approx(row.loss, abs=2e-3)
        assert found["restored"] == found["state"]
        ours = explorables.losses(found["state"])
        assert list(ours.values()) == pytest.approx(list(found["losses"].values()), abs=1e-9)
        everywhere = explorables.answers(found["state"])[2][0, 1:].mean((1, 2)).softmax(0)
        assert everywhere.tolist() == pytest.approx([row.all_benign, row.all_malignant], abs=1.1e-3)


def test_the_presets_say_what_the_rows_say():
    rows = [row._asdict() for row in paper.FIGURE_3]
    assert [found["words"] for found in node("figure3.mjs", rows)] == [
        "both benign",
        "both malignant",
        "map wrong",
        "class wrong",
    ]


def test_ticks_are_round_and_of_epochs_whole():
    axes = [[0, 7, True], [0, 3, True], [0, 1, True], [0, 31, True], [0, 1], [0.35, 0.5], [0, 0.22]]
    assert node("ticks.mjs", axes) == [
        ["0", "2", "4", "6"],
        ["0", "1", "2", "3"],
        ["0", "1"],
        ["0", "10", "20", "30"],
        ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"],
        ["0.35", "0.40", "0.45", "0.50"],
        ["0.00", "0.05", "0.10", "0.15", "0.20"],
    ]


def test_runs_begin_with_a_pair_that_may_be_compared():
    """On the committed runs, as the page does it: one source, one profile, one seed."""
    records = [run for run in results.load_all() if run["source"] == "busbra"]
    start = explorables.beside(records, PAIR)
    runs = {run["key"]: run for run in explorables.courses(records)["runs"]}
    one, other = runs[start["a"]], runs[start["b"]]
    assert (one["system"], other["system"]) == PAIR
    assert (one["place"], one["seed"]) == (other["place"], other["seed"])
    assert explorables.beside(records[:1], PAIR) == {}
