"""A network that is kept: built again from its file alone, and refused if it is not whole."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from lib import experiments, keep, profiles
from lib.checkpoint import CheckpointError, save_tensors

SMALL = profiles.find("smoke")


def kept(folder, name="ms-mtl"):
    torch.manual_seed(0)
    system = experiments.find(name)
    budget = system.budget(SMALL)
    network = system.build(budget).eval()
    record = {
        "experiment": name, "source": "folder", "profile": "smoke", "seed": 3, "fold": 2,
        "metrics": {"AUC": 0.75}, "joint": None, "versions": {"torch": "2"}, "commit": "unknown",
        "data": {"fingerprint": "0a1b", "split": "2c3d", "counts": {}},
    }  # fmt: skip
    return network, keep.save(keep.path(folder / "fold2-seed3.json"), network, record, budget)


@pytest.mark.parametrize("name", ["ms-mtl", "unet-seg2+clsnet"])
def test_a_kept_network_answers_as_before(tmp_path, name):
    network, file = kept(tmp_path, name)
    assert file.name == "fold2-seed3.safetensors"
    image = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        before, after = network(image), keep.load(file)(image)
    for (task, scores), (_, again) in zip(before.items(), after.items(), strict=True):
        assert torch.equal(scores, again), task


def test_it_says_what_it_takes_to_use_it(tmp_path):
    _, file = kept(tmp_path)
    about = keep.describe(file)
    assert about["classes"] == ["benign", "malignant"] and about["size"] == 64
    assert about["grey"] == {"mean": 0.5, "deviation": 0.5}
    assert (about["experiment"], about["seed"], about["fold"]) == ("ms-mtl", 3, 2)
    assert about["metrics"] == {"AUC": 0.75} and about["fingerprint"] == "0a1b"
    with safe_open(file, "pt") as whole:  # any program can read it
        assert "about" in whole.metadata() and len(list(whole.keys())) > 100


@pytest.mark.parametrize("key, value", [("classes", ["malignant", "benign"]), ("size", 32)])
def test_words_that_were_changed_are_refused(tmp_path, key, value):
    """Its weights alone would answer with the wrong class."""
    _, file = kept(tmp_path)
    with safe_open(file, "pt") as whole:
        tensors = {name: whole.get_tensor(name) for name in whole.keys()}  # noqa: SIM118
        told = whole.metadata()
    told["about"] = json.dumps(json.loads(told["about"]) | {key: value})
    save_file(tensors, file, told)
    with pytest.raises(CheckpointError, match="what it says of itself was changed"):
        keep.describe(file)


def test_what_could_not_be_built_again_is_not_kept(tmp_path):
    network = nn.Conv2d(1, 5, 1)
    with pytest.raises(ValueError, match="the record lacks experiment, source"):
        keep.save(tmp_path / "own.safetensors", network, {}, SMALL)
    record = {key: {} for key in [*keep.RECORDED, "data"]} | {"experiment": "my-net"}
    with pytest.raises(ValueError, match="no experiment is called 'my-net'"):
        keep.save(tmp_path / "own.safetensors", network, record, SMALL)
    assert not list(tmp_path.iterdir())


def test_what_is_no_kept_network_is_refused(tmp_path):
    _, file = kept(tmp_path)
    whole = file.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    changed = bytearray(whole)
    changed[-7] ^= 1
    (tmp_path / "changed.safetensors").write_bytes(changed)
    save_tensors(tmp_path / "checkpoint.safetensors", {"w": torch.ones(2)}, "a run")
    for name, words in (
        ("cut", "cut.safetensors: damaged, cut off"),
        ("changed", "changed.safetensors: was changed since it was written"),
        ("checkpoint", "is no kept network"),
        ("missing", "missing.safetensors: no such file"),
    ):
        with pytest.raises(CheckpointError, match=words):
            keep.load(tmp_path / f"{name}.safetensors")
