"""Every system of the catalogue on images of every kind, and killed and resumed like any other."""

import json
import math
from dataclasses import replace

import pytest
import torch
from tiny import phantom_cases

from lib import metrics, profiles, results
from lib.blocks import dataloaders
from lib.cases import UNKNOWN, Region
from lib.experiments import EXPERIMENTS, find
from lib.learner import predict, seed_everything
from lib.training import train

SMALL = replace(
    profiles.find("smoke"),
    weights=None,
    decoder_channels=(16, 16, 8, 8, 8),
    size=32,
    batch_size=8,
)


@pytest.fixture(scope="module")
def loaders(tmp_path_factory):
    """Loaders of images with one nodule, none, or two of different classes; some lost their label.

    Called anew for each run: loaders count on from where the last one left them.
    """
    folder = tmp_path_factory.mktemp("every-kind")
    cases = phantom_cases(folder / "phantom", 30, normal=0.2, both=0.2)
    lost = (cases.index % 4 == 0) & (cases["label"] != "both")
    cases.loc[lost, "label"] = None
    cases.loc[lost, "mask"] = cases["mask"][lost].map(
        lambda regions: tuple(Region(region.outline) for region in regions)
    )

    def make():
        seed_everything(0)
        return dataloaders(
            cases, size=SMALL.size, batch_size=SMALL.batch_size, cache=folder / "cache"
        )

    return make


def run(name, loaders, folder, epochs, log=lambda line: None):
    dls, system = loaders(), find(name)
    seed_everything(0)
    budget = replace(SMALL, epochs=epochs)
    network = system.build(system.budget(budget))
    return train(system, network, dls, budget, folder=folder, settings={}, log=log)


def test_the_images_are_of_every_kind(loaders):
    found = set()
    for subset in (0, 2):
        for _, mask, label in loaders()[subset]:
            found |= {
                (tuple(one.unique().tolist()), kind)
                for one, kind in zip(mask, label.tolist(), strict=True)
            }
    kinds = {((0, 1), 0), ((0, 2), 1), ((0, 1, 2), 1), ((0, UNKNOWN), -1), ((0,), -1)}
    assert kinds <= found


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_images_of_every_kind_train_and_test_it(name, loaders, tmp_path):
    """No crash, and nothing in the record that is not a number."""
    learn = run(name, loaders, tmp_path, epochs=1)
    table, _ = predict(learn)
    record = {
        "history": learn.history,
        "metrics": metrics.summarise(table),
        "per_image": results.columns(table),
    }
    json.dumps(record, allow_nan=False)
    assert all(
        math.isfinite(v) for part in ("train", "valid") for v in learn.history[0][part].values()
    )
    assert all(torch.isfinite(p).all() for p in learn.model.parameters())
    assert record["metrics"]


class Killed(BaseException):
    """Ends a run in the middle, as nothing in the library would catch it."""


# What each adds up in training, beside "total": its own losses, stages or players
OWN_TERMS = {
    "maskrcnn": {"Objectness", "Proposal boxes", "Box class", "Boxes", "Masks"},
    "singh2019": {"Adversarial", "L1", "SSIM", "Discriminator"},
    "singh2019-fc": {"Adversarial", "L1", "SSIM", "Discriminator", "T1 BCE"},
    "bi2017": {"Stage 1 Dice", "Stage 2 Dice", "Stage 3 Dice"},
    "kang2019": {"Boundary Dice", "T3 Dice"},
    "nnunet-native-recipe": {"T3 Dice", "T3 CE"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_TERMS)
def test_killed_and_resumed_it_logs_every_term_and_ends_with_the_same_numbers(
    name, loaders, tmp_path
):
    def kill(line):
        if "epoch   2/" in line:  # the second epoch is not saved yet
            raise Killed

    whole = run(name, loaders, tmp_path / "whole", epochs=2)
    with pytest.raises(Killed):
        run(name, loaders, tmp_path / "killed", epochs=2, log=kill)
    resumed = run(name, loaders, tmp_path / "killed", epochs=2)
    assert [epoch["epoch"] for epoch in resumed.history] == [1, 2]
    for one, two in zip(whole.history, resumed.history, strict=True):
        assert one["train"].keys() == two["train"].keys() == OWN_TERMS[name] | {"total"}
        assert one["train"]["total"] == pytest.approx(
            sum(one["train"][term] for term in OWN_TERMS[name])
        )
        for part in ("train", "valid", "metrics"):
            assert one[part] == two[part]
    states = whole.model.state_dict(), resumed.model.state_dict()  # Singh's forest is in it
    assert name != "singh2019" or whole.model.forest.fitted
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert whole.best_epoch == resumed.best_epoch
