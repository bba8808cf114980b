"""Consistency as callbacks: the right term, the right weight, the right error."""

import math

import pytest
import torch
from tiny import TinyNet, tiny_loaders

from lib import callbacks, consistency, losses
from lib.callbacks import InterTask, IntraTask, MissingTaskError, NonFiniteLossError, ThreeTask
from lib.checkpoint import Checkpoint
from lib.learner import fit, task_learner


@pytest.fixture(scope="module")
def dls(tmp_path_factory):
    return tiny_loaders(tmp_path_factory.mktemp("callbacks"))


def learner(dls, terms=(), tasks=("cls", "seg2", "seg3"), **options):
    torch.manual_seed(0)
    return task_learner(dls, TinyNet(tasks), consistency=terms, log=lambda line: None, **options)


def first_loss(learn):
    """Terms and loss of the one batch of validation cases, in evaluation mode."""
    learn.validate()
    return learn.loss_func.terms, learn.loss


def test_each_callback_adds_its_weighted_term_to_what_is_optimised_and_logged(dls):
    terms = [IntraTask(), InterTask(), ThreeTask()]
    learn = learner(dls, terms, weight=0.3)
    seen, loss = first_loss(learn)
    image, mask, label = (b.as_subclass(torch.Tensor) for b in dls[1].one_batch())
    with torch.no_grad():
        logits = learn.model(image)
    cls, seg2, seg3 = logits.cls.softmax(1), logits.seg2.softmax(1), logits.seg3.softmax(1)
    expected = losses.task_losses(logits, mask, label)
    added = {
        "L_T2T3": consistency.intra_task(seg2, seg3),
        "L_T1T3": consistency.inter_task(cls, seg3),
        "L_T1T2T3": consistency.three_task(cls, seg2, seg3),
    }
    assert list(seen) == ["T1 BCE", "T2 Dice", "T3 Dice", "L_T2T3", "L_T1T3", "L_T1T2T3"]
    for name, value in {**expected, **added}.items():
        assert float(seen[name]) == pytest.approx(float(value), abs=1e-6)
    total = sum(expected.values()) + 0.3 * sum(added.values())
    assert float(loss) == pytest.approx(float(total), abs=1e-6)
    assert float(learn.loss_grad) == pytest.approx(float(total), abs=1e-6)


def test_the_term_reaches_the_gradient(dls):
    """With task losses of weight 0, only consistency can move the network."""
    nothing = {"T1 BCE": 0.0, "T2 Dice": 1e-12, "T3 Dice": 0.0}
    for terms, moves in (([], False), ([ThreeTask(1.0)], True)):
        learn = learner(dls, terms, loss_options={"weights": nothing})
        before = learn.model.seg3.weight.detach().clone()
        learn.fit(1)
        assert (learn.model.seg3.weight - before).abs().max().item() > 1e-4 or not moves
        assert moves or torch.equal(before, learn.model.seg3.weight)


def test_options_reach_the_function(dls):
    both = first_loss(learner(dls, [InterTask()]))[0]["L_T1T3"]
    parts = [first_loss(learner(dls, [InterTask(order=o)]))[0]["L_T1T3"] for o in ("sc", "cs")]
    assert float(both) == pytest.approx(float(sum(parts)), abs=1e-6)


def test_a_weight_of_zero_computes_nothing(dls, monkeypatch):
    monkeypatch.setattr(IntraTask, "function", lambda *a: pytest.fail("computed"))
    assert "L_T2T3" not in first_loss(learner(dls, [IntraTask(0.0)]))[0]


def test_the_weight_ramps_up(dls):
    learn = learner(dls, [IntraTask(0.3, ramp=0.4)])
    term = learn.intra_task
    for done, expected in ((0.0, 0.3 * math.exp(-5)), (0.2, 0.3 * math.exp(-1.25)), (0.4, 0.3)):
        learn.pct_train = done
        assert term.current_weight() == pytest.approx(expected)
    learn.pct_train = 1.0
    assert term.current_weight() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("term", "tasks", "missing"),
    [
        (IntraTask, ("cls", "seg3"), "nodule mask"),
        (InterTask, ("seg2", "seg3"), "classification"),
        (ThreeTask, ("cls", "seg2"), "3-class mask"),
    ],
)
def test_a_missing_task_is_named_with_its_network(dls, term, tasks, missing):
    learn = learner(dls, [term()], tasks)
    with pytest.raises(MissingTaskError, match=rf"{term.term}.*{missing}.*TinyNet"):
        learn.fit(1)


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_bad_weights(weight):
    with pytest.raises(ValueError, match="weight="):
        IntraTask(weight)


def test_bad_ramp_and_option(dls):
    with pytest.raises(ValueError, match="ramp=2"):
        IntraTask(ramp=2)
    with pytest.raises(ValueError, match=r"order='cross'.*both, sc, cs"):
        first_loss(learner(dls, [InterTask(order="cross")]))


class Poison(callbacks.Callback):
    """Make the network's answer NaN in the second epoch."""

    order = 1

    def after_pred(self):
        if self.training and self.epoch == 1 and self.iter == 1:
            self.learn.pred.cls.data.fill_(math.nan)


def test_a_loss_that_is_not_finite_names_the_files_and_keeps_the_last_good_epoch(dls, tmp_path):
    learn = learner(dls)
    learn.add_cb(Poison())
    saved = Checkpoint(tmp_path / "run", {}, lambda measures: 1.0)
    with pytest.raises(NonFiniteLossError, match="epoch 2, batch 2") as caught:
        fit(learn, 3, checkpoint=saved)
    batch = dls.train.batch_cases(1)
    for at in batch:
        assert dls.cases[0]["image"].iloc[at] in str(caught.value)
    assert saved.last_epoch().name == "epoch-001" and saved.best_weights.exists()


def test_history_holds_every_term_by_name_and_the_time_spent(dls):
    lines = []
    torch.manual_seed(0)
    learn = task_learner(dls, TinyNet(), consistency=[IntraTask()], log=lines.append)
    learn.fit(2)
    assert [epoch["epoch"] for epoch in learn.history] == [1, 2] and len(lines) == 2
    last = learn.history[-1]
    for part in ("train", "valid"):
        terms = last[part]
        assert list(terms) == ["T1 BCE", "T2 Dice", "T3 Dice", "L_T2T3", "total"]
        whole = terms["T1 BCE"] + terms["T2 Dice"] + terms["T3 Dice"] + 0.3 * terms["L_T2T3"]
        assert terms["total"] == pytest.approx(whole, abs=1e-5)
    assert 0 < last["seconds_data"] < last["seconds_train"] < last["seconds"]
    assert last["seconds_processor"] > 0
    assert {"ACC", "dice_class_mean", "inconsis_cls"} <= set(last["metrics"])
    assert "epoch   2/2" in lines[1] and "contrad." in lines[1]


def test_a_network_that_is_not_ours(dls):
    """A torchvision network joins in with a wrapper of five lines."""
    import torchvision

    from lib.networks import TaskLogits

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
                weights_backbone=None, num_classes=5
            )

        def forward(self, image):
            maps = self.net(image.expand(-1, 3, -1, -1))["out"]
            return TaskLogits(cls=maps[:, 1:3].mean((2, 3)), seg2=maps[:, 3:], seg3=maps[:, :3])

    terms = [IntraTask(), InterTask(), ThreeTask()]
    learn = task_learner(dls, Wrapped(), consistency=terms, log=lambda line: None)
    learn.fit(1)
    assert {"L_T2T3", "L_T1T3", "L_T1T2T3"} <= set(learn.history[0]["train"])
