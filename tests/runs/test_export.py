"""A network as ONNX answers as in torch, in any batch, and in a script that knows nothing of us."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import kept
import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

import lib
from lib import decode, export, predictions
from lib.__main__ import main
from lib.networks import TaskLogits

PAGE = Path(__file__).parents[2] / "book" / "use.ipynb"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A predictor, and its ONNX file as the command writes it."""
    folder = tmp_path_factory.mktemp("export")
    predictor = lib.load(kept.small(folder, seed=5))
    before = predictor.file.read_bytes()
    assert main(["export", str(predictor.file), "--onnx", str(predictor.file)]) == 2
    assert predictor.file.read_bytes() == before
    assert main(["export", str(predictor.file), "--onnx", str(folder / "net.onnx")]) == 0
    return predictor, folder / "net.onnx"


def test_it_answers_as_torch_one_by_one_and_in_batches(made):
    predictor, file = made
    images = export.phantoms(32, 20)
    with torch.no_grad():
        logits = predictor.network(images * 2 - 1)
    given = dict(logits.probabilities.items())
    one = decode.joint(given, predictor.weights)
    wanted = given | {"posterior": one.cls, "label": one.label, "mask": one.mask}
    session = export.session(file, 1)
    names = [output.name for output in session.get_outputs()]
    assert names == ["cls", "seg2", "seg3", "posterior", "label", "mask"]
    for size in (1, 7, 20):
        parts = [session.run(None, {"image": p.numpy()}) for p in images.split(size)]
        for name, found in zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True):
            away = np.abs(found - wanted[name].numpy())
            assert away.mean() <= 1e-4 if name == "mask" else away.max() <= 1e-4, name


def test_it_says_what_it_is(made):
    _, file = made
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == export.OPSET >= 23
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["classes"]) == ["benign", "malignant"]
    assert json.loads(told["weights"]) == kept.WEIGHTS
    assert told["use"] == "for research and teaching"
    assert json.loads(told["about"])["experiment"] == "ms-mtl"
    (image,) = model.graph.input
    shape = [side.dim_param or side.dim_value for side in image.type.tensor_type.shape.dim]
    assert (image.name, shape) == ("image", ["batch", 1, 32, 32])
    data = file.read_bytes()
    assert str(Path(lib.__file__).parent).encode() not in data and b"site-packages" not in data


def test_predictions_by_onnx_are_those_of_torch(made, tmp_path):
    predictor, file = made
    quick = lib.load(predictor.file)
    cached = quick._quick_file(tmp_path)
    cached.write_bytes(file.read_bytes())  # as if made before
    assert quick.quick_already(tmp_path) and quick.quicken(tmp_path).engine == "onnx"
    for seed in range(20):
        image = lib.sources.phantom.draw("malignant", rng=seed, size=80).image
        one, other = predictor.answer(image), quick.answer(image)
        assert np.allclose(one.probability, other.probability, atol=1e-4)
        assert (one.mask != other.mask).mean() <= 1e-3 and one.label == other.label


def test_another_decision_or_other_operators_are_another_file(made, tmp_path, monkeypatch):
    """A file that was written by an older version of the decision is not answered from."""
    predictor = lib.load(made[0].file)
    names = {predictor._quick_file(tmp_path).name}
    monkeypatch.setattr("lib.inference.OPSET", 1)
    names.add(predictor._quick_file(tmp_path).name)
    changed = tmp_path / "decode.py"
    changed.write_text(Path(decode.__file__).read_text() + "# changed\n")
    monkeypatch.setattr(decode, "__file__", str(changed))
    names.add(predictor._quick_file(tmp_path).name)
    assert len(names) == 3 and all(name.startswith(predictor.mark) for name in names)


def test_a_broken_file_in_the_cache_is_written_again(made, tmp_path):
    predictor, file = made
    quick = lib.load(predictor.file)
    quick.to_onnx = lambda target: (target.write_bytes(file.read_bytes()), target)[1]
    quick._quick_file(tmp_path).write_bytes(b"cut off")
    assert quick.quicken(tmp_path).engine == "onnx"
    assert quick._quick_file(tmp_path).read_bytes() == file.read_bytes()
    predictions._choose(quick, "torch", files=1, done=predictions.Outcome())
    assert quick.engine == "torch"


def test_the_mark_is_of_what_was_loaded(made, tmp_path):
    copy = tmp_path / made[0].file.name
    copy.write_bytes(made[0].file.read_bytes())
    loaded = lib.load(copy)
    copy.write_bytes(b"another network by now")
    assert loaded.mark == made[0].mark


def test_a_file_that_answers_otherwise_is_refused_and_leaves_nothing(made, tmp_path):
    predictor, file = made
    other = export.Answers(kept.network(seed=4), 32, predictor.weights).eval()
    with pytest.raises(export.ExportError, match=r"net\.onnx: differs from torch, cls by"):
        export.check(file, other, export.phantoms(32))


def test_a_file_that_answers_with_no_number_is_refused(made, monkeypatch):
    whole = export.Answers(made[0].network, 32, decode.EQUAL).eval()
    with torch.no_grad():
        found = [one.numpy().copy() for one in whole(export.phantoms(32, 2))]
    found[0][0] = np.nan  # is neither close nor far
    monkeypatch.setattr(export, "session", lambda _: SimpleNamespace(run=lambda *_: found))
    with pytest.raises(export.ExportError, match=r"a\.onnx: differs from torch, cls by nan"):
        export.check("a.onnx", whole, export.phantoms(32, 2))


def test_a_network_that_cannot_be_written_is_refused_by_name(tmp_path):
    class Strange(torch.nn.Module):
        def forward(self, image):
            if image.sum().item() > 0:  # depends on a value: no graph can tell
                image = image + 1
            return lib.networks.TaskLogits(cls=image.flatten(1)[:, :2])

    with pytest.raises(export.ExportError, match="Strange cannot be written as ONNX"):
        export.export(Strange(), 32, decode.EQUAL, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_the_script_of_the_page_runs_without_this_library(made, tmp_path):
    cells = json.loads(PAGE.read_text())["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    script = text.split("```python\n# answer.py")[1].split("```")[0]
    assert "import lib" not in script and "torch" not in script
    predictor, file = made
    drawn = lib.sources.phantom.draw("benign", rng=3, size=70).image[5:60]
    Image.fromarray(drawn).save(tmp_path / "image.png")
    (tmp_path / "net.onnx").write_bytes(file.read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answer = predictor.answer(drawn)
    assert done.stdout.split()[0] == answer.classes[answer.label]
    assert float(done.stdout.split()[1]) == pytest.approx(answer.probability.max(), abs=0.006)
    with Image.open(tmp_path / "mask.png") as mask:
        assert mask.size == (32, 32)


def test_classes_have_their_own_names(tmp_path):
    """Another number of classes than of names would be named falsely."""

    class Three(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = nn.Conv2d(1, 4, 1)

        def forward(self, image):
            maps = self.maps(image)
            return TaskLogits(cls=maps.mean((2, 3))[:, 1:], seg3=maps)

    file = tmp_path / "three.onnx"
    with pytest.raises(export.ExportError, match="3 classes, and the names given are benign"):
        export.export(Three(), 32, decode.EQUAL, file)
    assert not file.exists()
    export.export(Three(), 32, decode.EQUAL, file, classes=("disc", "ring", "bar"))
    told = {one.key: one.value for one in onnx.load(file).metadata_props}
    assert json.loads(told["classes"]) == ["disc", "ring", "bar"]
