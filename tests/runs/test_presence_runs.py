"""Runs with images of no nodule, and of both: on the phantom, and on BUSI's layout."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TinyNet

from lib import metrics, profiles, sources
from lib.blocks import dataloaders
from lib.cases import check_cases, prepare_cases
from lib.experiments import PRESENCE, find
from lib.learner import predict, seed_everything
from lib.networks import MSMTL, ClsNet, Presence, UNet
from lib.presence import ANSWERS, CONTRADICTIONS, KINDS, present
from lib.sources import phantom
from lib.training import train

SMALL = replace(
    profiles.find("smoke"), weights=None, size=32, epochs=2, batch_size=8, encoder="tiny"
)


class Tiny(Presence, TinyNet):
    """A presence network of a few hundred parameters."""

    def __init__(self, tasks=("cls", "seg2", "seg3")):
        TinyNet.__init__(self, tasks)


def report(table, folder, network=None):
    seed_everything(0)
    dls = dataloaders(table, size=32, batch_size=8, cache=folder / "cache")
    network = network or Tiny()
    log = {"log": lambda line: None, "settings": {}, "folder": folder / "run"}
    learn = train(find("ms-mtl-present"), network, dls, SMALL, **log)
    return learn, network.presence(learn)


def as_busi(root, images=10):
    """BUSI's folders with phantoms in them: a few of each kind, and black masks of normal ones."""
    for label in ("benign", "malignant", "normal"):
        (root / label).mkdir(parents=True)
        for n in range(1, images + 1):
            drawn = phantom.draw(label, np.random.default_rng([n, len(label)]), 64)
            name = f"{label} ({n})"
            Image.fromarray(drawn.image).save(root / label / f"{name}.png")
            white = (drawn.mask > 0).astype(np.uint8) * 255
            Image.fromarray(white).save(root / label / f"{name}_mask.png")
    return root


def test_the_mixed_phantom_has_all_four_kinds_and_the_phantoms_own_pictures(tmp_path):
    cases = sources.read("phantom-mixed", tmp_path / "mixed", cases=60, size=32)
    shares = cases["label"].value_counts(normalize=True)
    assert set(shares.index) == set(KINDS)
    assert shares["normal"] == pytest.approx(0.25, abs=0.04)
    assert shares["both"] == pytest.approx(0.15, abs=0.04)
    same = phantom.read(tmp_path / "same", cases=60, size=32, normal=0.25, both=0.15)
    for one, other in zip(cases["image"], same["image"], strict=True):
        assert np.array_equal(Image.open(one), Image.open(other))


def test_a_run_on_the_mixed_phantom_records_presence(tmp_path):
    table, _ = prepare_cases(sources.read("phantom-mixed", tmp_path / "m", cases=80, size=64))
    learn, found = report(table, tmp_path)
    found = json.loads(json.dumps(found, allow_nan=False))
    assert found["decision"]["kinds"] == list(KINDS)
    rows = found["per_image"]
    assert rows["case"] == learn.dls.cases[2]["case"].tolist()
    named = learn.dls.cases[2]["label"].map(KINDS.index).tolist()
    assert rows["kind"] == named
    for answer in ANSWERS:
        assert {"AUC_benign", "AUC_malignant", "false_nodules", *CONTRADICTIONS} <= set(
            found["metrics"][answer]
        )
    assert not any(found["metrics"]["joint"][name] for name in CONTRADICTIONS)
    plain, _ = predict(learn)  # what every run records, too
    assert metrics.summarise(plain)["dice_nodule"] >= 0


@pytest.mark.parametrize("tasks", [("cls", "seg2"), ("cls", "seg3")])
def test_a_run_on_busis_layout_with_its_normal_images(tasks, tmp_path):
    """No image holds both: it is no possible answer. A decided nodule has one class."""
    cases = sources.read("busi", as_busi(tmp_path / "Dataset_BUSI_with_GT"))
    table, problems = prepare_cases(cases)
    assert not [p for p in problems if p.left_out]
    _, found = report(table, tmp_path, Tiny(tasks))
    assert found["decision"]["kinds"] == ["normal", "benign", "malignant"]
    rows = found["per_image"]
    assert rows["kind"].count(0) == (table[table["split"] == "test"]["label"] == "normal").sum()
    said = np.array([rows["joint_said_benign"], rows["joint_said_malignant"]])
    assert not said.all(0).any()
    assert found["metrics"]["raw"]["false_alarm"] >= 0


def test_labels_that_contradict_masks_are_left_out_with_a_note(tmp_path):
    cases = sources.read("phantom-mixed", tmp_path / "m", cases=40, size=32)
    both, normal, benign = (
        cases.index[cases["label"] == kind][0] for kind in ("both", "normal", "benign")
    )
    cases.at[both, "mask"] = cases.at[both, "mask"][:1]  # the malignant one is lost
    cases.at[benign, "label"] = "normal"
    cases.at[normal, "label"] = "both"
    _, problems = check_cases(cases)
    told = {p.case: p.what for p in problems if p.left_out}
    assert told.keys() == set(cases.loc[[both, normal, benign], "case"])
    assert "labelled both, but no malignant nodule is drawn" in told[cases.at[both, "case"]]
    assert "labelled both, but its mask is empty" in told[cases.at[normal, "case"]]
    assert "normal" in told[cases.at[benign, "case"]]


def test_augmented_images_are_of_the_kind_that_they_show(tmp_path):
    table, _ = prepare_cases(sources.read("phantom-mixed", tmp_path / "m", cases=60, size=64))
    seed_everything(0)
    dls = dataloaders(table, size=32, batch_size=8, cache=tmp_path / "cache")
    seen = [present(m.as_subclass(torch.Tensor), y.as_subclass(torch.Tensor)) for _, m, y in dls[0]]
    assert len(torch.cat(seen).unique(dim=0)) == 4


@pytest.mark.parametrize("system", PRESENCE, ids=lambda system: system.name)
def test_a_presence_system_is_the_papers_network(system):
    """The same weights as its namesake, but for the layer of T1 where it has four scores."""
    budget = replace(profiles.find("smoke"), encoder="resnet18", weights=None)
    if system.parts:
        return
    paper = next(k for k in (MSMTL, UNet, ClsNet) if issubclass(system.network, k))
    options = {k: v for k, v in system.options.items() if k != "exclusive"}
    theirs = paper(**budget.network_options(), **options).state_dict()
    ours = system.build(budget).state_dict()
    differ = [name for name in theirs if ours[name].shape != theirs[name].shape]
    assert ours.keys() == theirs.keys()
    assert all("classification_head" in name for name in differ)
    assert bool(differ) == system.options.get("exclusive", False)
