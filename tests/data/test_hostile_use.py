"""Bad input to a kept network: models, pictures, folders; named, and nothing half-written."""

import hostile
import kept
import numpy as np
import pytest
from PIL import Image
from test_hostile_dicom import still, write

import lib
from lib.__main__ import main
from lib.checkpoint import CheckpointError, save_tensors
from lib.pictures import PictureError, find
from lib.predictions import predict_folder


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return kept.small(tmp_path_factory.mktemp("kept"), seed=5)


@pytest.fixture(scope="module")
def predictor(file):
    return lib.load(file)


def opened(path):
    with Image.open(path) as picture:
        return picture.copy()


def quiet(line):
    """No line."""


def answer(predictor, root, *images):
    done = predict_folder(predictor, images, root / "out", log=quiet)
    assert not list((root / "out").rglob(".draft-*"))
    return done


def image(pixels, mode=None):
    made = Image.fromarray(pixels)
    return made.convert(mode) if mode else made


DEEP = np.random.default_rng(0).integers(0, 4096, (40, 50)).astype(np.uint16)
GOOD = {
    "16 bits": ("a.png", lambda: image(DEEP)),
    "alpha": ("a.png", lambda: image(hostile.speckle(), "RGBA")),
    "grey and alpha": ("a.png", lambda: image(hostile.speckle(), "LA")),
    "a palette": ("a.gif", lambda: image(hostile.speckle(), "P")),
    "one bit": ("a.png", lambda: image(hostile.nodule(), "1")),
    "CMYK": ("a.jpg", lambda: image(hostile.speckle(), "CMYK")),
    "one pixel": ("a.png", lambda: image(np.full((1, 1), 90, np.uint8))),
    "a line": ("a.png", lambda: image(hostile.speckle(shape=(1, 300)))),
    "black": ("a.png", lambda: image(np.zeros((40, 40), np.uint8))),
    "huge": ("a.png", lambda: image(hostile.speckle(shape=(3000, 4000)))),
    "a strange name": ("=cmd|'!A1 ü.png", lambda: image(hostile.speckle())),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_picture_is_answered(predictor, tmp_path, name):
    file, make = GOOD[name]
    make().save(tmp_path / file)
    done = answer(predictor, tmp_path, tmp_path / file)
    (row,) = done.rows
    assert done.answered == 1 and not done.failed, done.failed
    size = opened(tmp_path / file).size
    assert opened(tmp_path / "out" / row["mask"]).size == size == (row["width"], row["height"])


def cut(data):
    return data[: len(data) // 2]


def png():
    from io import BytesIO

    held = BytesIO()
    image(hostile.speckle()).save(held, "PNG")
    return held.getvalue()


def dicom(tmp_path, **tags):
    pixels = tags.pop("pixels", hostile.speckle())
    return write(still(pixels, **tags), tmp_path / "made.dcm").read_bytes()


BAD = {
    "text": ("a.png", lambda _: b"not a picture", "not an image in a known format"),
    "empty": ("a.png", lambda _: b"", "the file is empty"),
    "cut off": ("a.png", lambda _: cut(png()), "damaged or cut off"),
    "text as DICOM": ("a.dcm", lambda _: b"not a picture at all", "not a DICOM file"),
    "DICOM cut off": ("a.dcm", lambda p: cut(dicom(p)), "a.dcm"),
    "a clip of no frames": ("a.dcm", lambda p: dicom(p, NumberOfFrames=-3), "states -3 frames"),
    "a clip with less than it says": ("a.dcm", lambda p: dicom(p, NumberOfFrames=9), "frame 1"),
    "a region outside": ("a.dcm", lambda p: dicom(p, region=(0, 0, 999, 9)), "does not lie inside"),
    "a picture that never ends": (
        "a.dcm", lambda p: dicom(p, Rows=60000, Columns=60000), "decompression bomb",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_a_row_with_its_reason_and_the_others_go_on(predictor, tmp_path, name):
    file, make, words = BAD[name]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / file).write_bytes(make(tmp_path))
    image(hostile.speckle()).save(tmp_path / "in" / "good.png")
    done = answer(predictor, tmp_path, tmp_path / "in")
    assert (done.answered, list(done.failed)) == (1, [file])
    assert words in f"{file}: {done.failed[file]}"
    assert str(tmp_path) not in done.failed[file]
    left = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert left == {"predictions.csv", "good.png"}  # of the bad one nothing, not half of it


def test_where_there_is_no_picture_it_says_so(file, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.txt").write_text("me")
    for where, words in (
        ("empty", "no picture in empty"),
        ("notes", "no picture in notes"),
        ("nowhere", "nowhere: no such file or folder"),
    ):
        out = str(tmp_path / "out")
        assert main(["predict", str(file), str(tmp_path / where), "--out", out]) == 2
        said = capsys.readouterr().err
        assert words in said and str(tmp_path) not in said
        assert not (tmp_path / "out").exists()


def test_two_pictures_of_one_name_are_refused(predictor, tmp_path):
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        image(hostile.speckle()).save(tmp_path / part / "a.png")
    with pytest.raises(PictureError, match=r"a\.png: two pictures have this name"):
        find([tmp_path / "one", tmp_path / "two"])
    write(still(hostile.speckle()), tmp_path / "one" / "a")  # its mask, too, would be a.png
    with pytest.raises(PictureError, match=r"their masks would have one name"):
        answer(predictor, tmp_path, tmp_path / "one")


@pytest.mark.parametrize("name", ["a\r.png", "a\nb.png", "\t.png"])
def test_a_name_that_would_break_the_table_is_refused_before_anything_is_answered(
    predictor, tmp_path, name
):
    image(hostile.speckle()).save(tmp_path / name)
    with pytest.raises(PictureError, match="control character") as refused:
        answer(predictor, tmp_path, tmp_path)
    assert repr(name) in str(refused.value) and not (tmp_path / "out").exists()


def test_what_onnxruntime_cannot_do_torch_does_and_says_so(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.inference.MANY", 1)
    monkeypatch.setattr("lib.inference.session", lambda file: (_ for _ in ()).throw(OSError("no")))
    monkeypatch.setattr(type(predictor), "to_onnx", lambda self, file: file)
    image(hostile.speckle()).save(tmp_path / "a.png")
    done = predict_folder(predictor, [tmp_path / "a.png"], tmp_path / "out", engine="auto",
                          log=quiet)  # fmt: skip
    assert done.answered == 1 and done.notes == ["no: torch answers, at its own speed"]
    with pytest.raises(OSError, match="no"):
        predict_folder(predictor, [tmp_path / "a.png"], tmp_path / "two", engine="onnx", log=quiet)


def test_the_own_output_is_no_input(predictor, tmp_path):
    image(hostile.speckle()).save(tmp_path / "a.png")
    assert answer(predictor, tmp_path, tmp_path).answered == 1
    done = answer(predictor, tmp_path, tmp_path)
    assert (done.answered, done.stood) == (0, 1)


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_answered(
    file, tmp_path, capsys
):
    image(hostile.speckle()).save(tmp_path / "a.png")
    (tmp_path / "taken").write_text("a file")
    with hostile.untouched(tmp_path):
        words = ["predict", str(file), str(tmp_path / "a.png"), "--out", str(tmp_path / "taken")]
        assert main(words) == 2
    assert "taken" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "image,model\n\0\x01", "\xff\xfe not a table"])
def test_a_table_of_another_program_is_not_written_over(file, tmp_path, capsys, text):
    image(hostile.speckle()).save(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.csv").write_text(text, encoding="latin-1")
    with hostile.untouched(tmp_path):
        words = ["predict", str(file), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
        assert main(words) == 2
    assert "predictions.csv: is no table of this program" in capsys.readouterr().err


def test_a_full_disk_leaves_the_older_table(predictor, tmp_path, monkeypatch):
    image(hostile.speckle()).save(tmp_path / "a.png")
    answer(predictor, tmp_path, tmp_path / "a.png")
    before = (tmp_path / "out" / "predictions.csv").read_bytes()
    image(hostile.speckle(3)).save(tmp_path / "b.png")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*b\.png'"):
        predict_folder(predictor, [tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "out",
                       log=quiet)  # fmt: skip
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == before
    assert not list((tmp_path / "out").rglob(".draft-*"))


MODELS = {
    "missing": (None, "no such file"),
    "text": (b"not a network", "damaged, cut off or no safetensors"),
    "empty": (b"", "damaged, cut off or no safetensors"),
    "pickle": (b"\x80\x04\x95" + bytes(99), "damaged, cut off or no safetensors"),
    "endless head": (b"\xff" * 8 + b"{}", "damaged, cut off or no safetensors"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("command", ["predict", "export"])
def test_what_is_no_network_is_refused_by_name(tmp_path, capsys, name, command):
    data, words = MODELS[name]
    model = tmp_path / "net.safetensors"
    if data is not None:
        model.write_bytes(data)
    image(hostile.speckle()).save(tmp_path / "a.png")
    with hostile.untouched(tmp_path):
        rest = [str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
        rest = ["--onnx", str(tmp_path / "a.onnx")] if command == "export" else rest
        assert main([command, str(model), *rest]) == 2
    said = capsys.readouterr().err
    assert f"net.safetensors: {words}" in said and str(tmp_path) not in said


def test_a_damaged_description_is_refused(tmp_path):
    import torch

    for text in ("{", "[1]", '"x"', "7", '{"kept": "x"}', '{"kept": null}'):
        save_tensors(tmp_path / "n.safetensors", {"w": torch.ones(1)}, about={"about": text})
        with pytest.raises(CheckpointError, match=r"n\.safetensors: its description"):
            lib.load(tmp_path / "n.safetensors")


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_an_array_that_is_no_grey_picture_is_refused(predictor, pixels):
    with pytest.raises(ValueError, match=r"grey is needed, uint8 \(H, W\)"):
        predictor.answer(pixels)
