"""Consistency as callbacks: the right term, the right weight, the right error."""

import math
from functools import partial

import pytest
import torch
from test_checks import Looks
from tiny import SMALL, TinyNet, tiny_loaders

from lib import callbacks, consistency, losses
from lib.callbacks import InterTask, IntraTask, MissingTaskError, NonFiniteLossError, ThreeTask
from lib.checkpoint import Checkpoint
from lib.learner import fit, task_learner
from lib.likelihood import JointLikelihood
from lib.networks import Painted
from lib.soft import SoftInterTask, SoftThreeTask


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ramp": 2}, "ramp=2"),
        ({"order": "cross"}, r"order='cross'.*both, sc, cs \(did you mean cs"),
        ({"locations": "maximum"}, r"locations='maximum'.*did you mean max"),
        ({"detach_target": 2}, "detach_target=2"),
        ({"odrer": "sc"}, r"InterTask has no option 'odrer'.*did you mean order"),
        ({"background": False}, "InterTask has no option 'background'"),
    ],
)
def test_a_wrong_option_ends_the_making_of_a_term(options, words):
    with pytest.raises(ValueError, match=words):
        InterTask(**options)
    InterTask(order="cs", locations="all", softmax="single", detach_target=False)


def test_a_learner_has_terms_of_its_own(dls):
    mine = [IntraTask(0.2), InterTask(0.2, order="sc")]
    one, other = learner(dls, mine, weight=0.1), learner(dls, mine)
    assert [term.weight for term in mine] == [0.2, 0.2] and mine[0].learn is None
    assert (one.intra_task.weight, other.intra_task.weight) == (0.1, 0.2)
    assert one.inter_task.options == {"order": "sc"} and one.inter_task.learn is one
    with pytest.raises(ValueError, match="weight=-1"):
        learner(dls, mine, weight=-1)


class Poison(callbacks.Callback):
    """Make one task's scores NaN in the second epoch: in training, or in validation."""

    order = 1

    def __init__(self, task="cls", training=True):
        self.task, self.part = task, training

    def after_pred(self):
        if self.training == self.part and self.epoch == 1 and self.iter == self.training:
            getattr(self.learn.pred, self.task).data.fill_(math.nan)


ALL = (IntraTask, InterTask, ThreeTask)


@pytest.mark.parametrize("task", ["cls", "seg2", "seg3"])
@pytest.mark.parametrize("terms", [(), ALL], ids=["alone", "with the terms"])
def test_a_loss_that_is_not_finite_names_the_files_and_keeps_the_last_good_epoch(
    dls, tmp_path, task, terms
):
    learn = learner(dls, [term() for term in terms], lr=0.01)
    learn.add_cb(Poison(task))
    saved = Checkpoint(tmp_path / "run", {}, lambda measures: 1.0)
    with pytest.raises(NonFiniteLossError, match="is nan in epoch 2, batch 2 ") as caught:
        fit(learn, 3, checkpoint=saved)
    batch = dls.train.batch_cases(1)
    for at in batch:
        assert dls.cases[0]["image"].iloc[at] in str(caught.value)
    rate = learn.opt.hypers[-1]["lr"]
    assert f"at the learning rate {rate:.4g}" in str(caught.value)
    assert saved.last_epoch().name == "epoch-001" and saved.best_weights.exists()


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({}, "the loss is nan in epoch 2, validation batch 1"),
        (
            {"T1 BCE": 0.0},
            r"scores of T1 \(classification\) are nan in epoch 2, validation batch 1",
        ),
    ],
)
def test_a_validation_image_is_named_too_also_where_no_loss_reads_its_scores(dls, weights, words):
    learn = learner(dls, loss_options={"weights": weights})
    learn.add_cb(Poison(training=False))
    with pytest.raises(NonFiniteLossError, match=words) as caught:
        learn.fit(2)
    assert dls.cases[1]["image"].iloc[dls.valid.batch_cases(0)[0]] in str(caught.value)


class Watched(callbacks.Callback):
    """Counts the looks at the device from a batch's beginning to its end."""

    order = -100

    def __init__(self, counts):
        self.counts = counts

    def before_batch(self):
        self.looks = Looks()
        self.looks.__enter__()


class WatchEnds(callbacks.Callback):
    order = 100

    def after_batch(self):
        self.watched.looks.__exit__(None, None, None)
        if self.training:
            self.watched.counts.append(self.watched.looks.names)


EVERY = (*ALL, SoftInterTask, SoftThreeTask, JointLikelihood)


@pytest.mark.parametrize(
    ("network", "precision"),
    [
        (TinyNet, "float32"),
        (TinyNet, "bfloat16"),
        (partial(Painted, "resnet18", classification_loss=True, **SMALL), "float32"),
    ],
)
def test_a_training_step_waits_for_its_device_once(dls, network, precision):
    terms = [term(0.3, ramp=0.4) for term in (EVERY if network is TinyNet else ())]
    options = {"consistency": terms, "precision": precision, "log": lambda line: None}
    learn, counts = task_learner(dls, network(), **options), []
    learn.add_cbs([Watched(counts), WatchEnds()])
    learn.fit(2)
    first, *later = counts  # of the first batch, the values of mask and label are looked at
    assert later == [["tolist"]] * (len(counts) - 1) and len(later) > 3
    assert len(first) > 1


def test_the_first_batch_must_have_a_truth_that_fits(dls):
    class Relabelled(callbacks.Callback):
        order = 0

        def before_batch(self):
            self.learn.yb = (self.yb[0], self.yb[1] + 1)

    learn = learner(dls)
    learn.add_cb(Relabelled())
    with pytest.raises(ValueError, match=r"label holds the values .*expected -1 to 1"):
        learn.fit(1)


def test_fastais_own_record_of_the_loss_is_kept(dls):
    learn = learner(dls, [IntraTask()])
    seen = []

    class Note(callbacks.Callback):
        order = 100

        def after_batch(self):
            if self.training:
                seen.append(self.loss.item())

    learn.add_cb(Note())
    learn.fit(1)
    smooth = 0.0
    for count, (loss, kept) in enumerate(zip(seen, learn.recorder.losses, strict=True), 1):
        smooth = 0.98 * smooth + 0.02 * loss
        assert float(kept) == pytest.approx(smooth / (1 - 0.98**count), rel=1e-5)


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
