"""The joint likelihood as a term of the training: what it adds, whom it moves, what it refuses."""

import pytest
import torch
from tiny import TinyNet, tiny_loaders
from torch import nn

import lib
from lib.callbacks import MissingTaskError
from lib.decode import Weights, log_likelihood
from lib.experiments import find
from lib.likelihood import JointLikelihood
from lib.networks import TaskLogits


class Spoken(nn.Module):
    """Answers whatever it was told, for any image, from parameters."""

    def __init__(self, tasks=("cls", "seg2", "seg3"), size=32):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        shapes = {"cls": (1, 2), "seg2": (1, 2, size, size), "seg3": (1, 3, size, size)}
        self.said = nn.ParameterDict(
            {name: torch.randn(shapes[name], generator=generator) for name in tasks}
        )

    def forward(self, image):
        spoken = self.said.items()
        return TaskLogits(**{n: s.expand(len(image), *s.shape[1:]) for n, s in spoken})


@pytest.fixture(scope="module")
def dls(tmp_path_factory):
    return tiny_loaders(tmp_path_factory.mktemp("phantoms"))


def learner(dls, network, **options):
    term = JointLikelihood(**options)
    return lib.task_learner(dls, network, consistency=[term], log=list)


def step(learn):
    """One batch, without an optimiser's step: the loss and its terms."""
    learn.loss_func.terms = {}
    batch = learn.dls.one_batch()
    learn.yb = tuple(b.as_subclass(torch.Tensor) for b in batch[1:])
    learn.pred = learn.model(batch[0].as_subclass(torch.Tensor))
    learn.loss_grad = learn.loss_func(learn.pred, *learn.yb)
    plain = learn.loss_grad.detach().clone()
    learn.joint_likelihood.after_loss()
    return plain, learn.loss_grad, dict(learn.loss_func.terms)


def test_it_adds_its_weight_times_the_negative_mean_log_likelihood(dls):
    learn = learner(dls, Spoken(), weight=0.4, maps=0.5)
    plain, total, terms = step(learn)
    expected = -log_likelihood(learn.pred.probabilities, *learn.yb, Weights(maps=0.5)).mean()
    assert terms["L_joint"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert total.item() == pytest.approx((plain + 0.4 * expected).item(), rel=1e-6)
    assert learn.loss.item() == total.item() and not learn.loss.requires_grad


def test_its_gradient_reaches_every_task(dls):
    learn = learner(dls, Spoken())
    _, total, terms = step(learn)
    plain = learn.loss_func(learn.pred, *learn.yb)
    (total - plain).backward()
    for name, said in learn.model.said.items():
        assert said.grad.abs().max() > 0, name
    assert torch.isfinite(terms["L_joint"])


def test_following_it_makes_the_truth_more_likely(dls):
    learn = learner(dls, Spoken(), weight=1.0)
    _, total, before = step(learn)
    (total - learn.loss_func(learn.pred, *learn.yb)).backward()
    with torch.no_grad():
        for said in learn.model.said.values():
            said -= 0.1 * said.grad
    given = learn.model(torch.zeros(len(learn.yb[0]), 1, 32, 32)).probabilities
    after = -log_likelihood(given, *learn.yb).mean()
    assert after < before["L_joint"]


def test_a_whole_training_records_it_by_name(dls):
    lib.learner.seed_everything(0)
    learn = lib.fit(learner(dls, TinyNet(), weight=0.3, ramp=0.4), epochs=2)
    assert "L_joint" in learn.history[-1]["train"]
    assert learn.history[1]["train"]["L_joint"] < learn.history[0]["train"]["L_joint"]


def test_a_weight_of_zero_costs_nothing(dls):
    plain, total, terms = step(learner(dls, Spoken(), weight=0.0))
    assert total == plain and "L_joint" not in terms


@pytest.mark.parametrize("tasks", [("cls", "seg2"), ("seg2", "seg3"), ("seg3",)], ids="+".join)
def test_fewer_tasks_will_do(dls, tasks):
    _, total, terms = step(learner(dls, Spoken(tasks)))
    assert torch.isfinite(total) and terms["L_joint"] > 0


@pytest.mark.parametrize("tasks", [("seg2",), ("cls",)], ids="+".join)
def test_a_network_that_tells_no_class_or_no_place_is_named(dls, tasks):
    learn = learner(dls, Spoken(tasks))
    with pytest.raises(MissingTaskError, match=r"L_joint.*Spoken.*nothing says"):
        step(learn)


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ValueError, match="maps=-1"):
        JointLikelihood(maps=-1.0)
    with pytest.raises(TypeError, match="mapz"):
        JointLikelihood(mapz=1.0)


def test_the_catalogue_has_it_by_name_and_records_it():
    record = find("ms-mtl+joint").record()["consistency"]
    assert record == [{"term": "L_joint", "weight": 0.3, "ramp": 0.0}]
