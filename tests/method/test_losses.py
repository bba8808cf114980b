"""Dice, one-hot and the three task losses, against numbers worked out by hand."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from lib.losses import TERMS, dice_loss, one_hot, task_losses

TARGET = [[[[1.0, 0.0]], [[0.0, 1.0]]]]
PREDICTION = [[[[0.8, 0.4]], [[0.2, 0.6]]]]

DICE = [
    # shape: (1, 2, 1, 2); (1 - 2.6 / 3.2 + 1 - 2.2 / 2.8) / 2
    (TARGET, PREDICTION, {}, 0.200893),
    # shape: (1, 2, 1, 2); the second channel alone
    (TARGET, PREDICTION, {"background": False}, 0.214286),
    # shape: (1, 2, 1, 2); 1 - 3.8 / 5
    (TARGET, PREDICTION, {"flatten": True}, 0.240000),
    # shape: (1, 2, 1, 2); (1 - 1.7 / 2.3 + 1 - 1.3 / 1.9) / 2
    (TARGET, PREDICTION, {"smooth": 0.1}, 0.288330),
    # shape: (2, 2, 1, 1); sums over the batch: (1 - 2.8 / 3.2 + 1 - 2.4 / 2.8) / 2
    (
        [[[[1.0]], [[0.0]]], [[[0.0]], [[1.0]]]],
        [[[[0.9]], [[0.1]]], [[[0.3]], [[0.7]]]],
        {},
        0.133929,
    ),
    # shape: (1, 2, 1, 2); equal and one-hot
    (TARGET, TARGET, {}, 0.0),
    # shape: (1, 2, 1, 2); nothing in common: 1 - 1 / 3 in both channels
    (TARGET, [[[[0.0, 1.0]], [[1.0, 0.0]]]], {}, 0.666667),
    # shape: (1, 3, 1, 1); a class absent from both costs 0: (1 - 2 / 2.5 + 1 - 1 / 1.5) / 3
    ([[[[1.0]], [[0.0]], [[0.0]]]], [[[[0.5]], [[0.5]], [[0.0]]]], {}, 0.177778),
]


@pytest.mark.parametrize(("target", "prediction", "options", "expected"), DICE)
def test_dice_by_hand(target, prediction, options, expected):
    loss = dice_loss(torch.tensor(target), torch.tensor(prediction), **options)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_dice_sharpens_between_equal_soft_maps():
    q = torch.full((1, 1, 400, 400), 0.6)
    assert dice_loss(q, q).item() == pytest.approx(0.4, abs=1e-4)


def test_dice_closer_is_better():
    target = one_hot(torch.tensor([[[0, 1], [2, 0]]]), 3)
    losses = [dice_loss(target, target * (1 - e) + e / 3).item() for e in (0, 0.2, 0.5, 1)]
    assert losses == sorted(losses) and losses[0] == 0 and losses[-1] > 0.3


def test_dice_types():
    target, prediction = torch.tensor(TARGET), torch.tensor(PREDICTION)
    assert dice_loss(target.bool(), prediction.bfloat16()).dtype == torch.float32
    assert dice_loss(target.double(), prediction.double()).dtype == torch.float64
    # many equal pixels: bfloat16 sums would stop growing at 256
    large = torch.ones(1, 1, 64, 64, dtype=torch.bfloat16)
    assert dice_loss(large, large).item() == pytest.approx(0, abs=1e-6)


def test_dice_gradient():
    torch.manual_seed(0)
    target, prediction = (torch.rand(2, 3, 2, 2, dtype=torch.float64) for _ in range(2))
    target, prediction = target.requires_grad_(), prediction.requires_grad_()
    for options in ({}, {"background": False}, {"flatten": True}):
        assert torch.autograd.gradcheck(
            lambda t, p, o=options: dice_loss(t, p, **o), (target, prediction)
        )


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        # shape: (1, 2, 3, 3) and (1, 3, 3, 3)
        ((1, 2, 3, 3), (1, 3, 3, 3), {}, r"\(1, 2, 3, 3\).*\(1, 3, 3, 3\)"),
        # shape: (4,): no channels
        ((4,), (4,), {}, r"expected \(N, C, ...\)"),
        # shape: (1, 1, 3, 3): nothing left
        ((1, 1, 3, 3), (1, 1, 3, 3), {"background": False}, "C at least 2"),
        # shape: (1, 2, 3, 3)
        ((1, 2, 3, 3), (1, 2, 3, 3), {"smooth": 0}, "smooth is 0"),
    ],
)
def test_dice_ill_input(first, second, options, message):
    with pytest.raises(ValueError, match=message):
        dice_loss(torch.rand(first), torch.rand(second), **options)


def test_one_hot():
    # shape: (1, 2, 2) to (1, 3, 2, 2)
    mask = torch.tensor([[[0, 1], [2, 1]]])
    expected = torch.tensor([[[[1, 0], [0, 0]], [[0, 1], [0, 1]], [[0, 0], [1, 0]]]]).float()
    for dtype in (torch.int64, torch.uint8, torch.int32):
        assert torch.equal(one_hot(mask.to(dtype), 3), expected)
    random = torch.randint(0, 5, (2, 6, 7))
    assert torch.equal(one_hot(random, 5), F.one_hot(random, 5).permute(0, 3, 1, 2).float())


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.tensor([[[0, 3]]]), "0 to 3; expected 0 to 2"),
        (torch.tensor([[[-1, 2]]]), "-1 to 2"),
        (torch.tensor([[[0.0, 1.0]]]), "float32; pass integers"),
    ],
)
def test_one_hot_ill_input(mask, message):
    with pytest.raises(ValueError, match=message):
        one_hot(mask, 3)


def scores(cls=None, seg2=None, seg3=None):
    return SimpleNamespace(cls=cls, seg2=seg2, seg3=seg3)


def batch(n=4, size=6, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    mask = torch.randint(0, 3, (n, size, size), generator=generator)
    label = torch.randint(0, 2, (n,), generator=generator)
    return normal(n, 2), normal(n, 2, size, size), normal(n, 3, size, size), mask, label


def test_task_losses_by_hand():
    # shape: cls (2, 2), seg2 (2, 2, 1, 1), seg3 (2, 3, 1, 1); softmax(0, log 3) = (.25, .75)
    log3 = torch.tensor(3.0).log().item()
    seg2 = torch.tensor([[[[0.0]], [[log3]]], [[[log3]], [[0.0]]]])
    seg3 = torch.tensor([[[[0.0]], [[log3]], [[0.0]]], [[[log3]], [[0.0]], [[0.0]]]])
    cls = torch.tensor([[0.0, log3], [0.0, 0.0]])
    mask, label = torch.tensor([[[1]], [[0]]]), torch.tensor([0, 1])
    losses = task_losses(scores(cls, seg2, seg3), mask, label)
    assert list(losses) == list(TERMS)
    # -(log .25 + log .5) / 2
    assert losses["T1 BCE"].item() == pytest.approx(1.039721, abs=1e-6)
    # both channels: 1 - (2 * .75 + 1) / (1 + 1 + 1)
    assert losses["T2 Dice"].item() == pytest.approx(0.166667, abs=1e-6)
    # (1 - 2.2 / 2.8, 1 - 2.2 / 2.8, 1 - 1 / 1.4), averaged
    assert losses["T3 Dice"].item() == pytest.approx(0.238095, abs=1e-6)


def test_cross_entropy_over_two_outputs_is_the_papers_bce():
    cls, _, _, mask, label = batch()
    p = cls.softmax(1)[:, 1]
    expected = F.binary_cross_entropy(p, label.float())
    assert torch.allclose(task_losses(scores(cls), mask, label)["T1 BCE"], expected)


def test_only_the_tasks_of_the_network():
    cls, seg2, seg3, mask, label = batch()
    assert list(task_losses(scores(cls), mask, label)) == ["T1 BCE"]
    assert list(task_losses(scores(seg3=seg3), mask, label)) == ["T3 Dice"]
    assert list(task_losses(SimpleNamespace(cls=cls, seg2=seg2), mask, label)) == list(TERMS[:2])


def test_unlabelled_images_stay_out_of_t1():
    cls, seg2, seg3, mask, label = batch()
    some = label.clone()
    some[1:3] = -1
    got = task_losses(scores(cls, seg2, seg3), mask, some)
    kept = task_losses(scores(cls[[0, 3]]), mask[[0, 3]], label[[0, 3]])
    assert torch.allclose(got["T1 BCE"], kept["T1 BCE"])
    everything = task_losses(scores(cls, seg2, seg3), mask, label)
    assert got["T2 Dice"] == everything["T2 Dice"] and got["T3 Dice"] == everything["T3 Dice"]


def test_unknown_classes_stay_out_of_t3_and_enter_t2():
    cls, seg2, seg3, mask, label = batch()
    unknown = mask.clone()
    unknown[1][unknown[1] > 0] = 3
    got = task_losses(scores(cls, seg2, seg3), unknown, label)
    rest = [0, 2, 3]
    kept = task_losses(scores(seg3=seg3[rest]), mask[rest], label[rest])
    assert torch.allclose(got["T3 Dice"], kept["T3 Dice"])
    assert got["T2 Dice"] == task_losses(scores(seg2=seg2), mask, label)["T2 Dice"]


def test_no_valid_image_gives_zero_with_a_graph():
    cls, seg2, seg3, mask, label = batch()
    losses = task_losses(scores(cls, seg2, seg3), torch.full_like(mask, 3), label * 0 - 1)
    assert losses["T1 BCE"] == 0 and losses["T3 Dice"] == 0 and losses["T2 Dice"] > 0
    sum(losses.values()).backward()
    assert cls.grad.abs().sum() == 0 and seg3.grad.abs().sum() == 0
    assert seg2.grad.abs().sum() > 0


def test_weights():
    cls, seg2, seg3, mask, label = batch()
    plain = task_losses(scores(cls, seg2, seg3), mask, label)
    got = task_losses(scores(cls, seg2, seg3), mask, label, weights={"T2 Dice": 0.5, "T1 BCE": 0})
    assert list(got) == ["T2 Dice", "T3 Dice"]
    assert torch.allclose(got["T2 Dice"], plain["T2 Dice"] / 2)
    assert got["T3 Dice"] == plain["T3 Dice"]


def test_task_losses_in_float32_unless_float64():
    cls, seg2, seg3, mask, label = batch()
    half = task_losses(scores(cls.bfloat16(), seg2.bfloat16(), seg3.bfloat16()), mask, label)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = task_losses(scores(cls, seg2, seg3), mask, label)
    full = task_losses(scores(cls, seg2, seg3), mask, label)
    for term in TERMS:
        assert half[term].dtype == autocast[term].dtype == torch.float32
        assert torch.equal(autocast[term], full[term])
        assert torch.allclose(half[term], full[term], atol=0.02)
    cls, seg2, seg3, mask, label = batch(n=2, size=3, dtype=torch.float64)
    exact = task_losses(scores(cls, seg2, seg3), mask, label)
    assert {loss.dtype for loss in exact.values()} == {torch.float64}
    for name, term in zip(("cls", "seg2", "seg3"), TERMS, strict=True):
        assert torch.autograd.gradcheck(
            lambda s, n=name, t=term: task_losses(scores(**{n: s}), mask, label)[t],
            {"cls": cls, "seg2": seg2, "seg3": seg3}[name],
        )


def test_five_classes():
    seg3, cls = torch.randn(3, 6, 4, 4), torch.randn(3, 5)
    mask, label = torch.randint(0, 6, (3, 4, 4)), torch.tensor([4, 0, 2])
    losses = task_losses(scores(cls, None, seg3), mask, label)
    assert torch.allclose(losses["T1 BCE"], F.cross_entropy(cls, label))
    mask[0, 0, 0] = 6  # the unknown class: one above the last
    got = task_losses(scores(seg3=seg3), mask, label)["T3 Dice"]
    assert torch.allclose(got, task_losses(scores(seg3=seg3[1:]), mask[1:], label[1:])["T3 Dice"])


def test_fastai_tensor_types_mix():
    core = pytest.importorskip("fastai.torch_core")
    cls, seg2, seg3, mask, label = batch()
    plain = task_losses(scores(cls, seg2, seg3), mask, label)
    dressed = task_losses(
        scores(core.TensorBase(cls), core.TensorImage(seg2), core.TensorImage(seg3)),
        core.TensorMask(mask),
        core.TensorCategory(label),
    )
    for term in TERMS:
        assert type(dressed[term]) is torch.Tensor and torch.equal(dressed[term], plain[term])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": torch.tensor([0, 1, 2, 0])}, "label holds the values 0 to 2; expected -1 to 1"),
        ({"label": torch.tensor([0, 1])}, r"label has shape \(2,\) but cls has \(4, 2\)"),
        ({"label": torch.tensor([0.0, 1, 0, 1])}, "label holds torch.float32"),
        ({"mask": torch.full((4, 6, 6), 4)}, "mask holds the values 4 to 4"),
        ({"mask": torch.full((4, 6, 6), -1)}, "mask holds the values -1"),
        ({"mask": torch.zeros(4, 6, 6)}, "mask holds torch.float32"),
        (
            {"mask": torch.zeros(4, 6, 5, dtype=torch.long)},
            "seg2 has 6 x 6 pixels but mask has 6 x 5; add",
        ),
        (
            {"mask": torch.zeros(3, 6, 6, dtype=torch.long)},
            r"cls has shape \(4, 2\) but mask has 3 images",
        ),
        ({"seg2": torch.zeros(4, 3, 6, 6)}, r"seg2 has shape \(4, 3, 6, 6\); expected"),
        ({"seg3": torch.zeros(4, 2, 6, 6)}, r"seg3 has shape \(4, 2, 6, 6\); expected"),
        ({"weights": {"T4": 1.0}}, "weights names .'T4'.; the terms are T1 BCE"),
        ({"cls": None, "seg2": None, "seg3": None}, "none of cls, seg2 and seg3"),
    ],
)
def test_task_losses_ill_input(change, message):
    cls, seg2, seg3, mask, label = batch()
    given = {"cls": cls, "seg2": seg2, "seg3": seg3, "mask": mask, "label": label} | change
    logits = scores(given["cls"], given["seg2"], given["seg3"])
    with pytest.raises(ValueError, match=message):
        task_losses(logits, given["mask"], given["label"], weights=given.get("weights"))
