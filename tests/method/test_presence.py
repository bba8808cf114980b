"""No nodule, and both at once: the two-class form where there is one, values by hand elsewhere."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from lib import consistency, decode, losses, metrics
from lib.cases import UNKNOWN
from lib.networks import PresenceLogits, TaskLogits
from lib.presence import (
    CONTRADICTIONS,
    KINDS,
    Rule,
    contradictions,
    count_presence,
    decide,
    fit_rule,
    fit_silence,
    inter_task_present,
    kind,
    piece_classes,
    pieces,
    presence_losses,
    presence_measures,
    present,
    seg2_as_seg3_present,
    seg_as_present,
    summarise_presence,
    three_task_present,
    without_specks,
    words,
)

# ---------------------------------------------------------------- one nodule: the two-class form


@pytest.fixture
def one_nodule():
    """Answers to 12 images of one nodule each: T1's sum to 1, and each map holds one class."""
    rng = torch.Generator().manual_seed(0)
    label = torch.arange(12) % 2
    mask = torch.zeros(12, 8, 8, dtype=torch.long)
    mask[:, 2:6, 2:6] = 1 + label[:, None, None]
    scores = {
        "cls": torch.nn.functional.one_hot(label, 2) + torch.randn(12, 2, generator=rng),
        "seg2": torch.randn(12, 2, 8, 8, generator=rng),
        "seg3": torch.randn(12, 3, 8, 8, generator=rng),
    }
    drawn = torch.randint(0, 2, (12,), generator=rng)  # the class that T3 draws: not always right
    scores["seg3"][torch.arange(12), 2 - drawn] -= 9  # the other one is nowhere the surest
    return scores, mask, label


def as_presence(scores):
    """The same answers as two probabilities: a sigmoid gives what the softmax gave."""
    shares = scores["cls"].double().softmax(1)
    return PresenceLogits(**scores | {"cls": shares.logit().float()})


def test_two_answers_that_sum_to_1_are_the_softmax(one_nodule):
    scores, *_ = one_nodule
    torch.testing.assert_close(
        as_presence(scores).probabilities.cls, TaskLogits(**scores).probabilities.cls
    )


def test_losses_of_one_nodule_are_the_papers(one_nodule):
    scores, mask, label = one_nodule
    ours, theirs = (
        presence_losses(as_presence(scores), mask, label),
        losses.task_losses(TaskLogits(**scores), mask, label),
    )
    assert ours.keys() == theirs.keys() | {"T2 none", "T3 none"}
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)
    assert ours["T2 none"] == ours["T3 none"] == 0


@pytest.mark.parametrize("softmax", ["double", "single"])
@pytest.mark.parametrize("order", ["both", "sc", "cs"])
def test_terms_of_one_nodule_are_the_papers(one_nodule, order, softmax):
    given = TaskLogits(**one_nodule[0]).probabilities
    torch.testing.assert_close(
        seg_as_present(given.seg3), consistency.seg_as_cls(given.seg3), atol=1e-3, rtol=0
    )  # an absent class is scored 0 there, and here by the other one: the same up to EMPTY
    options = {"order": order, "softmax": softmax}
    torch.testing.assert_close(
        inter_task_present(given.cls, given.seg3, **options),
        consistency.inter_task(given.cls, given.seg3, **options),
    )
    torch.testing.assert_close(
        seg2_as_seg3_present(given.seg2, given.cls, given.seg3),
        consistency.seg2_as_seg3(given.seg2, given.cls),
    )
    torch.testing.assert_close(
        three_task_present(given.cls, given.seg2, given.seg3),
        consistency.three_task(given.cls, given.seg2, given.seg3),
    )


@pytest.mark.parametrize("tasks", [("cls", "seg2"), ("cls", "seg3"), ("cls", "seg2", "seg3")])
def test_the_decision_on_one_nodule_is_the_joint_one(one_nodule, tasks):
    """With the weights, too, that the same validation images teach."""
    scores, _, label = one_nodule
    given = dict(TaskLogits(**{name: scores[name] for name in tasks}).probabilities.items())
    rule = fit_rule(words(given), 1 + label)
    weights = decode.fit_weights(decode.class_features(given), label)
    assert rule.kinds == (1, 2)
    found, expected = ((w.cls, w.maps, *w.bias) for w in (rule.weights, weights))
    assert expected[0] > 0.1 and list(found) == pytest.approx(list(expected), abs=1e-3)
    for ours, theirs in ((Rule(), decode.EQUAL), (rule, weights)):
        mine, joint = decide(given, ours), decode.joint(given, theirs)
        torch.testing.assert_close(mine.mask, joint.mask)
        torch.testing.assert_close(mine.posterior[:, 1:3], joint.cls, atol=1e-5, rtol=1e-4)
        assert (mine.posterior[:, [0, 3]] == 0).all()


def test_contradictions_on_one_nodule_are_the_papers(one_nodule):
    scores, mask, label = one_nodule
    given = dict(TaskLogits(**scores).probabilities.items())
    rows = count_presence(mask, label, given, decide(given, Rule()))
    found = contradictions(rows)
    theirs = metrics.count_batch(mask=mask, label=label, **given)
    differ = (theirs["p_malignant"] > 0.5).astype(int) != theirs["seg_as_cls"]
    assert 0 < differ.sum() < len(rows)
    assert found["other_class"].tolist() == differ.tolist()
    others = found.drop(columns="other_class")
    assert not others.to_numpy().any()
    summary, paper = summarise_presence(rows), metrics.summarise(theirs)
    assert summary["contradiction"] == pytest.approx(paper["inconsis_cls"])
    assert summary["dice_nodule"] == pytest.approx(paper["dice_nodule"])
    assert summary["AUC_malignant"] == pytest.approx(paper["AUC"])


def test_a_map_of_one_piece_draws_the_class_that_algorithm_1_reads():
    """However its pixels are mixed; beside it, each piece by itself."""
    rng = torch.Generator().manual_seed(2)
    seg3 = torch.zeros(40, 3, 9, 9)
    seg3[:, 0] = 9.0
    seg3[:, 0, 1:5, 1:5] = -9.0
    seg3[:, 1:, 1:5, 1:5] = torch.randn(40, 2, 4, 4, generator=rng)
    seg3 = seg3.softmax(1)
    read = consistency.seg_as_cls(seg3).argmax(1)
    assert piece_classes(seg3).tolist() == torch.nn.functional.one_hot(read, 2).bool().tolist()
    seg3[:, :, 6:] = torch.tensor([0.1, 0.0, 0.9]).view(1, 3, 1, 1)
    assert piece_classes(seg3).tolist() == [[bool(k == 0), True] for k in read]


# -------------------------------------------------------------------------------- none, and both


def channels(*pixels):
    """One image of one row: a tuple (background, benign, malignant) for each pixel."""
    return torch.tensor(pixels, dtype=torch.float32).T[None, :, None]


B, M, N = (0.1, 0.8, 0.1), (0.1, 0.1, 0.8), (0.9, 0.06, 0.04)


@pytest.mark.parametrize(
    ("map", "expected"),
    [
        ((N, N, N, N), (-0.9, -0.9)),  # neither, by the background's own mean
        ((B, N, N, N), (0.8, -0.8)),
        ((N, M, M, N), (-0.8, 0.8)),
        ((B, M, N, N), (0.8, 0.8)),  # both
    ],
)
def test_what_a_map_says_is_present(map, expected):
    read = seg_as_present(channels(*map))[0]
    assert read.tolist() == pytest.approx([1 / (1 + math.exp(-v)) for v in expected], abs=1e-3)


def test_to_agree_on_nothing_is_worth_as_much_as_on_something():
    """The floor of the paper's form, 1.0708, for each kind of image; and more where they differ."""
    maps = {
        "normal": [(1, 0, 0)] * 2,
        "benign": [(1, 0, 0), (0, 1, 0)],
        "malignant": [(1, 0, 0), (0, 0, 1)],
        "both": [(0, 1, 0), (0, 0, 1)],
    }
    for at, name in enumerate(KINDS):
        losses_of = [
            inter_task_present(torch.tensor([[float(k % 2), float(k // 2)]]), channels(*maps[name]))
            for k in range(4)
        ]
        assert losses_of[at].item() == pytest.approx(1.0708, abs=5e-4)
        assert min(range(4), key=lambda k: losses_of[k]) == at


def test_two_nodules_are_painted_where_the_map_has_them():
    seg2 = torch.tensor([[[[0.2, 0.3, 0.9]], [[0.8, 0.7, 0.1]]]])
    seg3 = channels(B, M, N)
    both = seg2_as_seg3_present(seg2, torch.tensor([[0.6, 0.7]]), seg3)
    assert both[0, :, 0].T.flatten().tolist() == pytest.approx(
        [0.2, 0.8, 0, 0.3, 0, 0.7, 0.9, 0.1, 0]
    )
    neither = seg2_as_seg3_present(seg2, torch.tensor([[0.4, 0.3]]), seg3)
    assert neither[0, 0].eq(1).all() and neither[0, 1:].eq(0).all()


def test_the_three_task_term_teaches_no_silence():
    """T1 says neither: no gradient reaches the maps, which may be right."""
    seg2, seg3 = torch.rand(1, 2, 4, 4).softmax(1), torch.rand(1, 3, 4, 4).softmax(1)
    for cls, moves in (([0.1, 0.2], False), ([0.1, 0.9], True)):
        maps = [seg2.clone().requires_grad_(), seg3.clone().requires_grad_()]
        three_task_present(torch.tensor([cls]), *maps).backward()
        assert [bool(m.grad.any()) for m in maps] == [moves, moves]


def test_what_images_hold():
    mask = torch.tensor([[[0, 0]], [[1, 0]], [[0, 2]], [[1, 2]], [[3, 0]], [[0, 0]]])
    held = present(mask, torch.tensor([-1, 0, 1, 1, -1, 0]))
    assert held.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1], [-1, -1], [1, 0]]
    assert kind(held).tolist() == [0, 1, 2, 3, -1, 1]
    for wrong in (
        {"mask": mask, "label": torch.tensor([-1, 0, 1, 1, -1, 2])},
        {"mask": mask + 1, "label": torch.zeros(6, dtype=torch.long)},
        {"mask": mask, "label": torch.zeros(5, dtype=torch.long)},
    ):
        with pytest.raises(ValueError, match=r"expected|shape"):
            present(**wrong)


def test_losses_of_every_kind_by_hand():
    """A normal, a benign, a both and an unknown image of one row of two pixels."""
    mask = torch.tensor([[[0, 0]], [[1, 0]], [[1, 2]], [[UNKNOWN, 0]]])
    label = torch.tensor([-1, 0, 1, -1])
    p = torch.tensor([[0.2, 0.1], [0.7, 0.4], [0.6, 0.9], [0.5, 0.5]])
    n = torch.tensor([[0.1, 0.3], [0.8, 0.2], [0.9, 0.7], [0.6, 0.4]])  # T2's nodule
    logits = PresenceLogits(cls=p.logit(), seg2=torch.stack([1 - n, n], 1)[:, :, None].log())
    found = presence_losses(logits, mask, label)
    told = [0.8, 0.9, 0.7, 0.6, 0.6, 0.9]  # of what is true, the unknown image left out
    assert found["T1 BCE"].item() == pytest.approx(-sum(map(math.log, told)) / 6, abs=1e-6)
    silent = -(math.log(0.9) + math.log(0.7)) / 2 / 4  # over all four images
    assert found["T2 none"].item() == pytest.approx(silent, abs=1e-6)
    # Dice over the last three: background .8 + .6 of 2 + 2.4, nodule .8 + 1.6 + .6 of 4 + 3.6
    dice = 1 - ((2 * 1.4 + 1) / (2 + 2.4 + 1) + (2 * 3.0 + 1) / (4 + 3.6 + 1)) / 2
    assert found["T2 Dice"].item() == pytest.approx(dice, abs=1e-6)
    four = PresenceLogits(cls=torch.tensor([[0.4, 0.3, 0.2, 0.1]] * 4).log())
    exclusive = presence_losses(four, mask, label)
    assert exclusive["T1 CE"].item() == pytest.approx(-math.log(0.4 * 0.3 * 0.1) / 3, abs=1e-6)


def test_normal_images_alone_have_losses_with_slopes():
    """Where Dice would be 1 whatever is wrong, each wrong pixel has its price."""
    mask, label = torch.zeros(2, 8, 8, dtype=torch.long), torch.tensor([-1, -1])
    values = []
    for wrong in (1, 20):
        scores = torch.zeros(2, 2, 8, 8)
        scores[:, 0] = 5.0
        scores.view(2, 2, -1)[:, 1, :wrong] = 10.0
        seg2 = scores.requires_grad_()
        loss = presence_losses(TaskLogits(seg2=seg2), mask, label)
        assert loss["T2 Dice"] == 0
        sum(loss.values()).backward()
        assert seg2.grad.abs().amax() > 1e-3
        values.append(loss["T2 none"].item())
    assert values[1] > 15 * values[0]


def test_the_decision_may_say_none_or_both():
    """T1 is unsure; the maps are empty, of one class, and of two."""
    seg3 = torch.cat([channels(*row) for row in ((N, N, N, N), (N, M, M, N), (B, B, M, N))])
    seg2 = torch.stack([seg3[:, 0], 1 - seg3[:, 0]], 1)
    cls = torch.tensor([[0.3, 0.3], [0.3, 0.7], [0.6, 0.6]])
    given = {"cls": cls, "seg2": seg2, "seg3": seg3}
    one = decide(given, Rule(kinds=(0, 1, 2, 3), threshold=0.5))
    assert one.mask[:, 0].tolist() == [[0, 0, 0, 0], [0, 2, 2, 0], [1, 1, 2, 0]]
    assert one.present.tolist() == [[False, False], [False, True], [True, True]]
    large = decide(given, Rule(kinds=(0, 1, 2, 3), threshold=0.5, size=3))
    assert large.present.tolist() == [[False, False], [False, False], [True, True]]
    placeless = decide({"cls": cls, "seg2": seg2}, Rule(kinds=(0, 1, 2, 3)))
    assert set(placeless.mask[2].unique().tolist()) == {0, UNKNOWN}
    assert placeless.present[2].all()


def test_a_decided_answer_cannot_contradict_itself():
    """Whatever the answers: what is said to be present is what the mask holds, and no other."""
    rng = torch.Generator().manual_seed(1)
    scores = {
        "cls": 3 * torch.randn(60, 2, generator=rng),
        "seg2": 3 * torch.randn(60, 2, 6, 6, generator=rng),
        "seg3": 3 * torch.randn(60, 3, 6, 6, generator=rng),
    }
    for size in (0, 5, 40):
        one = decide(
            dict(PresenceLogits(**scores).probabilities.items()),
            Rule(kinds=(0, 1, 2, 3), threshold=0.6, size=size),
        )
        for k in (1, 2):
            assert torch.equal(one.present[:, k - 1], (one.mask == k).flatten(1).any(1))
        assert (one.mask.flatten(1).any(1) == one.present.any(1)).all()
        assert ((pieces(one.mask)[1] == 0) | (pieces(one.mask)[1] >= size)).all()


def test_specks_are_counted_with_their_corners():
    mask = torch.tensor([[[1, 0, 0, 0], [0, 1, 0, 2], [0, 0, 0, 2], [2, 0, 0, 2]]])
    assert [v.item() for v in pieces(mask)] == [3, 3]
    assert without_specks(mask, 3).sum() == 6
    assert without_specks(mask, 2).sum() == 8


def test_silence_is_chosen_to_tell_normal_images_from_others():
    """Small false pieces in normal images; one nodule that is improbable but large."""
    kinds = torch.tensor([0, 0, 0, 1, 2, 3])
    some = torch.tensor([0.9, 0.9, 0.2, 0.9, 0.4, 0.9])
    largest = torch.tensor([10, 6, 90, 40, 60, 80])
    assert fit_silence(some, largest, kinds) == (0.4, 16)  # .4 is not below .4
    assert fit_silence(some, largest, kinds.clamp(min=1)) == (0.0, 0)


def test_validation_images_without_a_kind_rule_it_out():
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (90,), generator=rng)  # as BUSI: no image with both
    told = torch.randn(90, 2, 4, generator=rng)
    told[torch.arange(90), 0, truth] += 2
    rule = fit_rule(told, truth)
    assert rule.kinds == (0, 1, 2) and len(rule.weights.bias) == 3
    assert fit_rule(told, torch.full((90,), -1)) == Rule()


ROWS = pd.DataFrame(
    [  # what T1, T2 and T3 hold, and the kinds that this is
        ((0, 0), 1, (0, 0), {"mask_without_class", "one_mask_empty"}),
        ((0, 0), 1, (1, 1), {"mask_without_class"}),
        ((1, 0), 0, (0, 0), {"class_without_mask"}),
        ((1, 0), 1, (0, 0), {"class_without_mask", "one_mask_empty"}),
        ((1, 0), 1, (0, 1), {"other_class"}),
        ((1, 1), 1, (0, 1), {"two_and_one"}),
        ((0, 1), 1, (1, 1), {"one_and_two"}),
        ((0, 0), 0, (0, 0), set()),
        ((0, 1), 1, (0, 1), set()),
        ((1, 1), 1, (1, 1), set()),
    ],
    columns=["t1", "t2", "t3", "kinds"],
)


def test_each_kind_of_contradiction_has_its_name():
    pairs = {f"{t}_{c}": [v[k] for v in ROWS[t]] for t in ("t1", "t3")
             for k, c in enumerate(("benign", "malignant"))}  # fmt: skip
    rows = pd.DataFrame(pairs | {"t2": ROWS["t2"]})
    found = contradictions(rows)
    assert list(found) == list(CONTRADICTIONS)
    assert [set(found.columns[row]) for row in found.to_numpy()] == ROWS["kinds"].tolist()
    alone = contradictions(rows[["t1_benign", "t1_malignant", "t2"]])
    assert alone.columns[alone.any()].tolist() == ["mask_without_class", "class_without_mask"]


def test_false_nodules_are_counted_in_normal_images_alone():
    mask = torch.zeros(3, 4, 4, dtype=torch.long)
    mask[1, 0, 0], mask[2, 0, :2], mask[2, 3, :2] = 1, 1, 2
    label = torch.tensor([-1, 0, 1])
    nodule = torch.zeros(3, 4, 4)
    nodule[0, 0, 0] = nodule[0, 3, 3] = nodule[2, 0, :3] = 1.0  # two false, one missed, one of two
    given = {
        "cls": torch.tensor([[0.6, 0.1], [0.7, 0.2], [0.8, 0.9]]),
        "seg2": torch.stack([1 - nodule, nodule], 1),
    }
    rows = count_presence(mask, label, given, decide(given, Rule(kinds=(0, 1, 2, 3), size=2)))
    raw, joint = (presence_measures(rows, answer) for answer in ("raw", "joint"))
    assert raw["false_nodules"].tolist()[:1] == [2] and raw["false_nodules"].isna().sum() == 2
    assert joint["false_nodules"].iloc[0] == 0  # both are smaller than 2 px
    assert raw["missed"].iloc[1:].tolist() == [0 + 1, 0]
    assert raw["dice_nodule"].iloc[2] == pytest.approx(2 * 2 / (3 + 4))
    assert raw["kind_right"].tolist() == [0, 1, 1]
    assert raw["class_without_mask"].tolist() == [0, 1, 0]
    assert joint["contradiction"].sum() == 0
    assert summarise_presence(rows)["AUC_malignant"] == 1.0
    assert np.isnan(raw["dice_malignant"].iloc[1])
