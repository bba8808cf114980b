"""The catalogue: complete, buildable, and with the paper's values beside each system."""

import json
from dataclasses import replace

import pytest
import torch
from tiny import TinyNet, tiny_loaders

from book.kit import paper
from lib import metrics, profiles
from lib.cost import forward_flops, parameter_count
from lib.experiments import EXPERIMENTS, FULL, Experiment, find
from lib.learner import TaskLoss, seed_everything
from lib.likelihood import JointLikelihood
from lib.networks import MSMTL, NNUNetNative, TaskLogits
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
    full = paper.of(find(FULL))
    assert full["dice_paper_mean"] == 0.8084 and full["inconsis_cls"] == 0.0368
    assert paper.of(find("ms-mtl+t1t3")) == {"dice_paper_mean": 0.7944, "F1": 0.8747}
    assert paper.of(find(f"{FULL}-single")) == {}


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
    untrained = UNTRAINED.get(system.network)
    assert not [name for name in still if not (untrained and name.startswith(untrained))]


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
        assert term.weight == OTHER_WEIGHTS.get(name, 0.3)  # Eq. 9
        if isinstance(term, JointLikelihood):
            continue  # it asks for the truth, too: see test_likelihood.py
        value = type(term).function(*(getattr(given, n) for n in term.needs), **term.options)
        assert value > 0


def test_systems_that_cannot_contradict_themselves():
    """No map with a class of its own, so nothing in the record could be a contradiction."""
    mask, label = torch.randint(0, 3, (2, 64, 64)), torch.tensor([0, 1])
    for name in ("once", "once-light", "once-product", "once-product+t1"):
        seed_everything(0)
        network = find(name).build(SMALL).eval()
        with torch.no_grad():
            given = dict(network(torch.rand(2, 1, 64, 64)).probabilities.items())
        assert given.keys() == {"cls", "seg2"}
        rows = metrics.count_batch(mask=mask, label=label, **given)
        assert not [key for key in metrics.summarise(rows) if key.startswith("inconsis")]


def test_once_is_half_of_ms_mtl():
    once, both = (find(name).build(SMALL) for name in ("once", "ms-mtl"))
    assert parameter_count(once) < 0.51 * parameter_count(both)
    assert forward_flops(once, 64) < 0.51 * forward_flops(both, 64)


def test_the_product_is_trained_against_the_three_class_mask():
    """By hand, 1 image of 1 x 2 pixels: T1 (.25, .75), T2's nodule (.8, .2), a malignant pixel."""
    logits = TaskLogits(
        cls=torch.tensor([[0.25, 0.75]]).log(),
        seg2=torch.tensor([[[[0.2, 0.8]], [[0.8, 0.2]]]]).log(),
    )
    mask, label = torch.tensor([[[2, 0]]]), torch.tensor([1])
    # background: .8 of 1 + 1; benign: 0 of 0 + .25; malignant: .6 of 1 + .75
    expected = (1 - 2.6 / 3 + 1 - 1 / 1.25 + 1 - 2.2 / 2.75) / 3
    losses = find("once-product+t1").build(SMALL).losses(logits, mask, label)
    assert losses["T1 x T2 Dice"].item() == pytest.approx(expected, abs=1e-6)
    assert losses["T1 BCE"].item() == pytest.approx(0.287682, abs=1e-6)  # -log .75
    unknown = find("once-product").build(SMALL).losses(logits, mask + 1, torch.tensor([-1]))
    assert unknown["T1 x T2 Dice"] == 0 and unknown.keys() == {"T1 x T2 Dice"}


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


def test_an_option_that_no_part_of_the_network_has_is_refused():
    """smp takes any word, so a slip of the pen would build another network than was asked for."""
    for name in ("handofff", "decoder_chanels"):
        slip = Experiment("mine", "Mine", MSMTL, {name: "features"})
        with pytest.raises(ValueError, match=f"no option is called '{name}'; did you mean"):
            slip.build(profiles.find("smoke"))
