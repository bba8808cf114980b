"""The catalogue: complete, buildable, and with the paper's values beside each system."""

import json
from dataclasses import replace

import pytest
import torch
from tiny import TinyNet, tiny_loaders

from lib import paper, profiles
from lib.cost import parameter_count
from lib.experiments import EXPERIMENTS, FULL, WEIGHT, Experiment, find
from lib.learner import TaskLoss, seed_everything
from lib.networks import NNUNetNative, TaskLogits
from lib.training import forget, train

SMALL = replace(
    profiles.find("smoke"), encoder="resnet18", weights=None, decoder_channels=(16, 16, 8, 8, 8)
)


def filled(number):
    rows = [row for e in EXPERIMENTS.values() for table, row in e.rows if table == number]
    assert len(rows) == len(set(rows)), f"a row of Table {number} is filled twice"
    return set(rows)


@pytest.mark.parametrize("number", [1, 3, 4, 5, 6])
def test_every_row_of_the_papers_tables_is_filled_once(number):
    assert filled(number) == set(paper.table(number).index)


def test_values_of_several_tables_stand_together():
    full = find(FULL).paper
    assert full["dice_paper_mean"] == 0.8084 and full["inconsis_cls"] == 0.0368
    assert find("ms-mtl+t1t3").paper == {"dice_paper_mean": 0.7944, "F1": 0.8747}
    assert find(f"{FULL}-single").paper == {}


def test_a_network_may_plan_its_depth_from_the_input_size():
    with torch.device("meta"):
        paper_size = find("nnunet-native").build(profiles.find("paper"))
    assert round(parameter_count(paper_size) / 1e6, 1) == 46.3


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if "-native" in name])
def test_a_native_network_records_its_own_make_not_the_profiles(name):
    laptop = profiles.find("laptop")
    recorded = find(name).budget(laptop).record()
    assert recorded["encoder"] != laptop.encoder and recorded["weights"] is None


def test_an_unknown_name_lists_the_near_ones():
    with pytest.raises(
        ValueError, match=r"no experiment is called 'ms-mtl\+t1t3-al'; did you mean"
    ):
        find("ms-mtl+t1t3-al")


# nnU-Net drops the loss of its coarsest scale, and so leaves that scale's head as it is
UNTRAINED = {NNUNetNative: "body.decoder.seg_layers.0."}
NETWORKS = {(e.network, *sorted(e.options.items())): e for e in EXPERIMENTS.values()}


@pytest.mark.parametrize("system", NETWORKS.values(), ids=lambda system: system.name)
def test_every_weight_of_each_network_learns(system, tmp_path):
    seed_everything(0)
    network = system.build(system.budget(SMALL))
    loss = TaskLoss(getattr(network, "losses", None), **system.losses)
    mask = torch.zeros(2, 64, 64, dtype=torch.long)
    mask[0, 20:40, 20:40], mask[1, 30:50, 10:30] = 1, 2
    loss(network.train()(torch.rand(2, 1, 64, 64)), mask, torch.tensor([0, 1])).backward()
    still = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert all(name.startswith(UNTRAINED.get(system.network, "no")) for name in still), still


OTHER_WEIGHTS = {f"{FULL}-weak": 0.1, f"{FULL}-strong": 1.0}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_terms_of_each_system_fit_its_tasks_and_its_record(name):
    system = EXPERIMENTS[name]
    record = json.loads(json.dumps(system.record()))
    assert record["experiment"] == name and len(record["consistency"]) == len(system.terms)
    given = TaskLogits(
        cls=torch.randn(2, 2), seg2=torch.randn(2, 2, 8, 8), seg3=torch.randn(2, 3, 8, 8)
    ).probabilities
    for term in system.consistency():
        assert term.weight == OTHER_WEIGHTS.get(name, WEIGHT)
        value = type(term).function(*(getattr(given, n) for n in term.needs), **term.options)
        assert value > 0


class Tiny(TinyNet):
    def __init__(self, tasks, **profile):
        super().__init__(tasks)


def test_parts_are_trained_apart_and_equal_two_trainings(tmp_path, monkeypatch):
    """In a system of two parts, each ends as a run of its own would."""
    small = {
        "outline": Experiment("outline", "", Tiny, {"tasks": ("seg2",)}),
        "class": Experiment("class", "", Tiny, {"tasks": ("cls",)}),
        "both": Experiment("both", "", parts=("outline", "class")),
    }
    for name, system in small.items():
        monkeypatch.setitem(EXPERIMENTS, name, system)

    def run(name):
        seed_everything(0)
        network = find(name).build(SMALL)
        dls = tiny_loaders(tmp_path)
        seed_everything(1)
        return train(find(name), network, dls, SMALL, folder=tmp_path / name, settings={}, log=list)

    whole, part = run("both"), run("outline")
    for one, two in zip(whole.model.networks[0].parameters(), part.model.parameters(), strict=True):
        assert torch.equal(one, two)
    epoch = whole.history[-1]
    assert epoch["train"].keys() == {"T1 BCE", "T2 Dice", "total"}
    assert epoch["train"]["T2 Dice"] == part.history[-1]["train"]["total"]
    assert epoch["train"]["total"] == epoch["train"]["T1 BCE"] + epoch["train"]["T2 Dice"]
    assert {"dice_nodule", "ACC"} <= epoch["metrics"].keys()
    assert whole.best_epoch.keys() == {"outline", "class"}
    assert whole.best_epoch["outline"] == part.best_epoch
    assert (tmp_path / "both" / "class" / "best.safetensors").exists()
    forget(tmp_path / "both")
    assert not (tmp_path / "both").exists()
