"""The desk of "Read one image" and the notebook that answers a folder."""

import json
import re
from pathlib import Path

import kept
import numpy as np
import pytest
from PIL import Image

import lib
from book.kit import reader
from lib.sources import phantom

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return lib.load(kept.small(tmp_path_factory.mktemp("kept"), seed=5))


@pytest.fixture
def desk(predictor):
    return reader.Reader(predictor, reader._first(phantom.draw("benign", 3, size=64).image))


def captions(html):
    return [re.sub("<[^>]+>", "", one) for one in re.findall(r"<figcaption>(.*?)</figc", html)]


def drop(desk, name, data):
    desk.drop.name, desk.drop.data = name, data
    desk.drop.count += 1


def test_a_page_shows_each_answer_with_words_beside_it(predictor):
    html = reader.read_one(predictor, phantom.draw("benign", 3, size=64).image).data
    assert [one.split(".")[0] for one in captions(html)] == [
        "The picture", "T2, the outline", "T3, the outline with a class", "The one answer",
        "Grad-CAM",
    ]  # fmt: skip
    pictures = re.findall(r"<img [^>]*>", html)
    assert len(pictures) == 5 and all(re.search(r'alt="\w[^"]{10,}"', one) for one in pictures)
    assert "Before they were decided together" in html and "Unlike the training images" in html


def test_the_weights_of_the_experts_move_the_one_answer(desk, predictor):
    picture = desk.pictures[0]
    own = predictor.answer(picture)
    assert f"({own.probability.max():.2f})" in captions(desk.shown.value)[3]
    desk.sliders["maps"].value, desk.sliders["cls"].value = 0.0, 2.0
    moved = predictor.answer(
        picture, lib.decode.Weights(cls=2.0, maps=0.0, bias=predictor.weights.bias)
    )
    assert f"({moved.probability.max():.2f})" in captions(desk.shown.value)[3]
    assert not np.allclose(moved.probability, own.probability, atol=0.02)
    desk.back.click()
    assert f"({own.probability.max():.2f})" in captions(desk.shown.value)[3]


def test_grad_cam_comes_when_it_is_asked_for(desk):
    assert len(captions(desk.shown.value)) == 4
    desk.look.value = True
    assert captions(desk.shown.value)[-1].startswith("Grad-CAM")


def test_a_file_that_is_dropped_is_read_and_a_bad_one_is_named(desk, tmp_path):
    Image.fromarray(phantom.draw("malignant", 9, size=50).image).save(tmp_path / "a.png")
    drop(desk, "mine <b>.png", (tmp_path / "a.png").read_bytes())
    assert "mine &lt;b&gt;.png" in desk.message.value and desk.pictures[0].grey.shape == (50, 50)
    before = desk.shown.value
    for name, words in (("x.png", "not an image"), ("../../x.dcm", "not a DICOM file")):
        drop(desk, name, b"no picture at all")
        assert words in desk.message.value and "/" not in desk.message.value.replace("</p>", "")
        assert desk.shown.value == before


def test_the_notebook_answers_a_folder_and_shows_it(predictor, tmp_path, capsys):
    cells = json.loads((ROOT / "book" / "predict.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (tmp_path / "in").mkdir()
    Image.fromarray(phantom.draw("malignant", 9, size=50).image).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_text("no picture")
    given = {"model": str(predictor.file), "images": str(tmp_path / "in")}
    space = {}
    exec(code[0], space)
    with pytest.raises(ValueError, match="model is empty: -p model PATH"):
        exec(code[1], dict(space))
    space |= given | {"out": str(tmp_path / "out")}
    for cell in code[1:]:
        exec(cell, space)
    assert (space["done"].answered, list(space["done"].failed)) == (1, ["b.png"])
    assert (tmp_path / "out" / "masks" / "a.png").is_file()
