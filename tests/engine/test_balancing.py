"""Two ways to weigh tasks, as trials of recipes use them."""

import math

import pytest
import torch
from torch import nn

import lib
from ci.balancing import GradientSurgery, Uncertainty, surgery
from lib import sources
from lib.learner import seed_everything, task_learner
from lib.networks import TaskLogits


class TwoTasks(nn.Module):
    """A layer that T2 and T3 share, and one of its own for each."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Conv2d(1, 2, 3, padding=1)
        self.outline, self.map = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 3, 3)

    def forward(self, image):
        seen = nn.functional.pad(self.shared(image), (1, 1, 1, 1))
        return TaskLogits(seg2=self.outline(seen), seg3=self.map(seen))


@pytest.fixture(scope="module")
def loaders(tmp_path_factory):
    """Makes the same loaders each time: the order of their batches goes on from use to use."""
    folder = tmp_path_factory.mktemp("balancing")
    cases = sources.phantom.read(f"{folder}/phantom", cases=20, size=64)
    return lambda: lib.dataloaders(cases, size=32, batch_size=4, cache=folder)


def trained(loaders, *callbacks):
    """The parameters after one epoch, from one seed."""
    seed_everything(0)
    dls = loaders()
    seed_everything(0)
    network = TwoTasks().to(memory_format=torch.channels_last)
    options = {"channels_last": True, "log": lambda _: None, "callbacks": callbacks}
    learn = task_learner(dls, network, lr=1e-2, **options)
    learn.fit(1)
    return {name: value.detach().clone() for name, value in learn.model.named_parameters()}


def test_surgery_takes_away_only_what_is_against():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    along = torch.tensor([0.5, 0.5])
    assert torch.equal(surgery([a, along]), a + along)
    without = a - a.dot(b) / b.dot(b) * b
    assert without.dot(b) == pytest.approx(0, abs=1e-7)
    torch.testing.assert_close(surgery([a, b]), without + b - b.dot(a) / a.dot(a) * a)


def test_the_order_of_three_tasks_is_drawn_and_seeded():
    one = torch.tensor([1.0, 0.0, 0.0, 0.0])
    three = [one, torch.tensor([-1.0, 1.0, 0.0, 0.0]), torch.tensor([-1.0, -0.5, 1.0, 0.0])]
    torch.manual_seed(0)
    first = [surgery(three) for _ in range(8)]
    torch.manual_seed(0)
    assert all(torch.equal(again, surgery(three)) for again in first)
    assert len({tuple(drawn.tolist()) for drawn in first}) > 1


def test_surgery_of_tasks_that_agree_is_plain_training(loaders, monkeypatch):
    monkeypatch.setattr("ci.balancing.surgery", lambda gradients: torch.stack(gradients).sum(0))
    plain, cut = trained(loaders), trained(loaders, GradientSurgery())
    for name, value in plain.items():
        torch.testing.assert_close(cut[name], value, rtol=1e-4, atol=1e-6)


def test_surgery_reaches_the_shared_layer(loaders, monkeypatch):
    monkeypatch.setattr("ci.balancing.surgery", lambda gradients: 0 * gradients[0])
    seed_everything(0)
    before = dict(TwoTasks().named_parameters())
    cut = trained(loaders, GradientSurgery())
    assert {name for name, value in cut.items() if torch.equal(value, before[name])} == {
        "shared.weight",
        "shared.bias",
    }


def test_uncertainty_is_the_plain_sum_until_it_has_learnt():
    terms = {"T1 BCE": torch.tensor(1.0), "T2 Dice": torch.tensor(2.0), "T2 CE": torch.tensor(4.0)}
    weigh = Uncertainty(("T1", "T2"))
    assert float(weigh.total(terms).detach()) == 7
    with torch.no_grad():
        weigh.log_variance["T2"].fill_(1.0)
    assert float(weigh.total(terms).detach()) == pytest.approx(1 + 6 * math.exp(-1) + 1)


def test_uncertainty_learns_a_weight_for_each_task(loaders):
    weigh = Uncertainty(("T2", "T3"))
    weighed, plain = trained(loaders, weigh), trained(loaders)
    assert all(float(s.detach()) != 0 for s in weigh.log_variance.values())
    assert not torch.equal(weighed["shared.weight"], plain["shared.weight"])
