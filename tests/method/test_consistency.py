"""The consistency losses against Algorithms 1 and 2 written out as loops, Fig. 3, and by hand."""

import math

import pytest
import torch

from lib.consistency import (
    inter_task,
    intra_task,
    seg2_as_seg3,
    seg3_as_seg2,
    seg_as_cls,
    soft_cross_entropy,
    three_task,
)


def answers(n=3, classes=2, h=7, w=5, seed=0, dtype=torch.float64, sharp=2.0):
    """Cls, Seg2 and Seg3 of a random network."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        (sharp * torch.randn(*shape, generator=generator, dtype=torch.float64)).softmax(1).to(dtype)
        for shape in ((n, classes), (n, 2, h, w), (n, classes + 1, h, w))
    )


# Algorithms 1 and 2 line by line, on lists of numbers


def slow_softmax(values):
    total = sum(math.exp(v) for v in values)
    return [math.exp(v) / total for v in values]


def slow_seg_as_cls(seg3, locations="max"):
    result = []
    for image in seg3.tolist():
        channels, h, w = len(image), len(image[0]), len(image[0][0])
        numerator, denominator = [0.0] * channels, [0.0] * channels
        for i in range(h):
            for j in range(w):
                largest = max(image[c][i][j] for c in range(channels))
                for c in range(channels):
                    if locations == "all" or largest <= image[c][i][j]:
                        numerator[c] += image[c][i][j]
                        denominator[c] += 1
        eps = 1e-3 if locations == "max" else 0.0
        mean = [numerator[c] / (denominator[c] + eps) for c in range(channels)]
        result.append(slow_softmax(mean[1:]))
    return result


def slow_sce(target, prediction, softmax):
    total = 0.0
    for y, p in zip(target, prediction, strict=True):
        p = slow_softmax(p) if softmax == "double" else [max(v, 1e-7) for v in p]
        for i in range(len(y)):
            total += y[i] * math.log(p[i])
    return -total / len(target)


def slow_inter_task(cls, seg3, locations, order, softmax):
    seg, cls = slow_seg_as_cls(seg3, locations), cls.tolist()
    sc, cs = slow_sce(seg, cls, softmax), slow_sce(cls, seg, softmax)
    return {"both": sc + cs, "sc": sc, "cs": cs}[order]


def slow_dice(target, prediction):
    losses = []
    for c in range(len(target[0])):
        overlap = total = 0.0
        for a, b in zip(target, prediction, strict=True):
            for row_a, row_b in zip(a[c], b[c], strict=True):
                for x, y in zip(row_a, row_b, strict=True):
                    overlap += x * y
                    total += x + y
        losses.append(1 - (2 * overlap + 1) / (total + 1))
    return sum(losses) / len(losses)


def slow_seg2_as_seg3(seg2, cls):
    painted = []
    for image, scores in zip(seg2.tolist(), cls.tolist(), strict=True):
        label = scores.index(max(scores))
        zero = [[0.0] * len(row) for row in image[0]]
        result = [image[0]] + [zero for _ in scores]
        result[1 + label] = image[1]
        painted.append(result)
    return painted


def slow_seg3_as_seg2(seg3):
    merged = []
    for image in seg3.tolist():
        nodule = [
            [sum(image[c][i][j] for c in range(1, len(image))) for j in range(len(image[0][0]))]
            for i in range(len(image[0]))
        ]
        merged.append([image[0], nodule])
    return merged


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(5))
def test_against_the_algorithms_as_printed(classes, dtype, seed):
    cls, seg2, seg3 = answers(n=3, classes=classes, seed=seed, dtype=dtype)
    same = {"abs": 1e-5, "rel": 0}
    assert torch.allclose(
        seg3_as_seg2(seg3), torch.tensor(slow_seg3_as_seg2(seg3), dtype=dtype), atol=1e-5, rtol=0
    )
    assert torch.allclose(
        seg2_as_seg3(seg2, cls), torch.tensor(slow_seg2_as_seg3(seg2, cls), dtype=dtype)
    )
    assert intra_task(seg2, seg3).item() == pytest.approx(
        slow_dice(slow_seg3_as_seg2(seg3), seg2.tolist()), **same
    )
    assert three_task(cls, seg2, seg3).item() == pytest.approx(
        slow_dice(slow_seg2_as_seg3(seg2, cls), seg3.tolist()), **same
    )
    for locations in ("max", "all"):
        expected = torch.tensor(slow_seg_as_cls(seg3, locations), dtype=dtype)
        assert torch.allclose(seg_as_cls(seg3, locations), expected, atol=1e-5, rtol=0)
        for order in ("both", "sc", "cs"):
            for softmax in ("double", "single"):
                assert inter_task(cls, seg3, locations, order, softmax).item() == pytest.approx(
                    slow_inter_task(cls, seg3, locations, order, softmax), **same
                )


# Fig. 3


def maps_that_give(seg, size=12):
    """A Seg3 (1, 3, H, W) with Seg-as-Cls `seg`: one class, at the probability that gives it."""
    seg3 = torch.zeros(1, 3, size, size)
    seg3[:, 0] = 1
    score = math.log(seg[1] / seg[0])
    channel = 2 if score > 0 else 1
    nodule = (slice(None), slice(3, 9), slice(2, 10))
    seg3[:, channel][nodule] = min(abs(score), 1.0)
    seg3[:, 0][nodule] = 1 - min(abs(score), 1.0)
    return seg3


FIG_3 = [
    # Seg-as-Cls, Cls, the printed loss, the loss with Eq. 5's plain log, clipped
    ((0.731, 0.269), (1.0, 0.0), 1.0711, 4.6489),
    ((0.269, 0.731), (0.0, 1.0), 1.0716, 4.6489),
    ((0.270, 0.730), (0.999, 0.001), 1.9918, 6.3515),
    ((0.270, 0.730), (0.986, 0.014), 1.9738, 4.4157),
]


@pytest.mark.parametrize(("seg", "cls", "printed", "plain"), FIG_3)
def test_the_losses_printed_in_fig_3(seg, cls, printed, plain):
    seg3, cls = maps_that_give(seg), torch.tensor([cls])
    assert seg_as_cls(seg3)[0].tolist() == pytest.approx(seg, abs=0.0006)
    assert inter_task(cls, seg3).item() == pytest.approx(printed, abs=0.001)
    assert inter_task(cls, seg3, detach_target=False).item() == pytest.approx(printed, abs=0.001)
    single = inter_task(cls, seg3, softmax="single").item()
    assert single == pytest.approx(plain, abs=0.01) and single > 2 * printed


def test_all_locations_is_a_guess_in_fig_3():
    benign, malignant = (maps_that_give(seg, size=100) for seg, *_ in FIG_3[:2])
    for seg3 in (benign, malignant):
        assert seg_as_cls(seg3, "all")[0].tolist() == pytest.approx([0.5, 0.5], abs=0.002)


# By hand

SEG2 = [[[[0.9, 0.2]], [[0.1, 0.8]]]]
SEG3 = [[[[0.8, 0.4]], [[0.15, 0.1]], [[0.05, 0.5]]]]


def soft(p):
    return torch.tensor([[p, 1 - p]])


HAND = [
    # shape: seg2 (1, 2, 1, 2), seg3 (1, 3, 1, 2); (1 - 2.6 / 3.3 + 1 - 2 / 2.7) / 2
    (lambda: intra_task(torch.tensor(SEG2), torch.tensor(SEG3)), 0.235690),
    # the same without the background
    (lambda: intra_task(torch.tensor(SEG2), torch.tensor(SEG3), background=False), 0.259259),
    # shape: cls (1, 2): malignant; (1 - 2.6 / 3.3 + 1 - 1 / 1.25 + 1 - 1.81 / 2.45) / 3
    (lambda: three_task(torch.tensor([[0.3, 0.7]]), *map(torch.tensor, (SEG2, SEG3))), 0.224448),
    # shape: cls (1, 2): benign; (1 - 2.6 / 3.3 + 1 - 1.19 / 2.15 + 1 - 1 / 1.55) / 3
    (lambda: three_task(torch.tensor([[0.7, 0.3]]), *map(torch.tensor, (SEG2, SEG3))), 0.337824),
    # shape: (1, 3, 1, 2); sigmoid(.5 / 1.001)
    (lambda: seg_as_cls(torch.tensor(SEG3))[0, 1], 0.622342),
    # shape: (1, 3, 1, 2); sigmoid(.275 - .125)
    (lambda: seg_as_cls(torch.tensor(SEG3), "all")[0, 1], 0.537430),
    # shape: (1, 3, 1, 1); a tie counts for both: equal scores
    (lambda: seg_as_cls(torch.tensor([[[[0.0]], [[0.5]], [[0.5]]]]))[0, 1], 0.500000),
    # shape: (1, 3, 1, 1); a tie with the background still scores: sigmoid(.5 / 1.001)
    (lambda: seg_as_cls(torch.tensor([[[[0.5]], [[0.5]], [[0.0]]]]))[0, 0], 0.622342),
    # shape: (1, 2); -.6 log .9 - .4 log .1
    (lambda: soft_cross_entropy(soft(0.6), soft(0.9), "single"), 0.984250),
    # shape: (1, 2); log(1 + exp(-.8)) + .4 * .8
    (lambda: soft_cross_entropy(soft(0.6), soft(0.9)), 0.691101),
    # shape: (1, 2); clipped: -log 1e-7
    (lambda: soft_cross_entropy(soft(1.0), soft(0.0), "single"), 16.118096),
]


@pytest.mark.parametrize(("compute", "expected"), HAND)
def test_by_hand(compute, expected):
    assert compute().item() == pytest.approx(expected, abs=1.5e-6)


def test_no_nodule_pixel_is_undecided():
    seg3 = torch.tensor([0.6, 0.3, 0.1]).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert torch.equal(seg_as_cls(seg3), torch.full((2, 2), 0.5))
    assert seg_as_cls(seg3, "all")[0, 0] > 0.5


def test_agreement_is_better_than_contradiction():
    # shape: one-hot maps, cls (1, 2)
    mask = torch.zeros(1, 8, 8, dtype=torch.long)
    mask[:, 2:6, 2:6] = 1
    seg3 = torch.nn.functional.one_hot(mask * 2, 3).permute(0, 3, 1, 2).float()
    seg2 = torch.nn.functional.one_hot(mask, 2).permute(0, 3, 1, 2).float()
    right, wrong = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    assert intra_task(seg2, seg3) == 0 and three_task(right, seg2, seg3) == 0
    assert three_task(wrong, seg2, seg3) > 0.5
    assert inter_task(wrong, seg3) > inter_task(right, seg3) + 0.9
    assert inter_task(right, seg3).item() == pytest.approx(1.0709, abs=1e-3)
    assert torch.equal(seg2_as_seg3(seg2, right), seg3) and torch.equal(seg3_as_seg2(seg3), seg2)


def test_where_the_plain_and_the_double_form_lead():
    target = torch.tensor([[0.731, 0.269]], dtype=torch.float64)
    grid = torch.linspace(0.5, 1, 1001, dtype=torch.float64)

    def best(softmax):
        losses = [
            soft_cross_entropy(target, torch.stack([p, 1 - p])[None], softmax).item() for p in grid
        ]
        return grid[losses.index(min(losses))].item()

    assert best("single") == pytest.approx(0.731, abs=1e-3)
    assert best("double") == pytest.approx(1, abs=1e-3)


# Gradients


def gradients(loss, *inputs):
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    return [g is not None and bool(g.abs().sum() > 0) for g in found]


@pytest.mark.parametrize(
    ("order", "detach", "moves_cls", "moves_seg3"),
    [
        ("sc", True, True, False),
        ("cs", True, False, True),
        ("both", True, True, True),
        ("sc", False, True, True),
        ("cs", False, True, True),
    ],
)
def test_who_moves_in_the_inter_task_loss(order, detach, moves_cls, moves_seg3):
    cls, _, seg3 = (t.requires_grad_() for t in answers())
    loss = inter_task(cls, seg3, order=order, detach_target=detach)
    assert gradients(loss, cls, seg3) == [moves_cls, moves_seg3]


def test_who_moves_in_the_other_losses():
    cls, seg2, seg3 = (t.requires_grad_() for t in answers())
    assert gradients(intra_task(seg2, seg3), seg2, seg3) == [True, True]
    assert gradients(three_task(cls, seg2, seg3), cls, seg2, seg3) == [False, True, True]


def test_max_locations_move_only_the_maxima():
    _, _, seg3 = answers(n=1)
    (gradient,) = torch.autograd.grad(seg_as_cls(seg3.requires_grad_())[0, 0], seg3)
    is_max = seg3 == seg3.amax(1, keepdim=True)
    is_max[:, 0] = False
    assert torch.equal(gradient != 0, is_max)


@pytest.mark.parametrize("classes", [2, 4])
def test_gradcheck(classes):
    cls, seg2, seg3 = (t.requires_grad_() for t in answers(n=2, classes=classes, h=2, w=3))
    check = torch.autograd.gradcheck
    assert check(seg3_as_seg2, (seg3,)) and check(intra_task, (seg2, seg3))
    assert check(lambda s2, s3: three_task(cls.detach(), s2, s3), (seg2, seg3))
    for locations in ("max", "all"):
        assert check(lambda s, where=locations: seg_as_cls(s, where), (seg3,))
        for softmax in ("double", "single"):
            for order in ("both", "sc", "cs"):
                how = (locations, order, softmax)
                assert check(lambda c, s, h=how: inter_task(c, s, *h, False), (cls, seg3))
            seg, cut = seg3.detach(), cls.detach()
            assert check(lambda c, h=(locations, "sc", softmax), s=seg: inter_task(c, s, *h), cls)
            assert check(lambda s, h=(locations, "cs", softmax), c=cut: inter_task(c, s, *h), seg3)


# Types and devices


def everything(cls, seg2, seg3):
    return [
        seg3_as_seg2(seg3),
        seg_as_cls(seg3),
        seg2_as_seg3(seg2, cls),
        intra_task(seg2, seg3),
        inter_task(cls, seg3),
        inter_task(cls, seg3, softmax="single"),
        three_task(cls, seg2, seg3),
    ]


@pytest.mark.parametrize(
    ("given", "computed"),
    [
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ],
)
def test_types(given, computed):
    inputs = answers(dtype=given)
    results = everything(*inputs)
    assert {r.dtype for r in results} == {computed}
    # exactly what the same numbers give in the wider type, and nothing is left of the narrow one
    for got, expected in zip(results, everything(*(t.to(computed) for t in inputs)), strict=True):
        assert torch.equal(got, expected)


def test_autocast_changes_nothing():
    inputs = answers(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        results = everything(*inputs)
    for got, expected in zip(results, everything(*inputs), strict=True):
        assert got.dtype == torch.float32 and torch.equal(got, expected)


def test_memory_layout_changes_nothing():
    cls, seg2, seg3 = answers(dtype=torch.float32)
    last = (t.contiguous(memory_format=torch.channels_last) for t in (seg2, seg3))
    for got, expected in zip(everything(cls, *last), everything(cls, seg2, seg3), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_cuda(dtype):
    inputs = answers(dtype=dtype)
    for got, expected in zip(
        everything(*(t.cuda() for t in inputs)), everything(*inputs), strict=True
    ):
        assert got.is_cuda and torch.allclose(got.cpu(), expected, atol=1e-5)


def test_certain_and_wrong_stays_finite():
    cls = torch.tensor([[1.0, 0.0]], requires_grad=True)
    seg3 = maps_that_give((0.269, 0.731)).requires_grad_()
    for softmax in ("double", "single"):
        loss = inter_task(cls, seg3, softmax=softmax, detach_target=False)
        assert loss.isfinite()
        assert all(g.isfinite().all() for g in torch.autograd.grad(loss, (cls, seg3)))


# Ill input


def bad(index, value):
    tensors = list(answers(dtype=torch.float32))
    tensors[index] = tensors[index].clone()
    tensors[index].view(-1)[3] = value
    return tensors


CALLS = {
    "intra": lambda cls, seg2, seg3: intra_task(seg2, seg3),
    "inter": lambda cls, seg2, seg3: inter_task(cls, seg3),
    "three": lambda cls, seg2, seg3: three_task(cls, seg2, seg3),
    "seg3_as_seg2": lambda cls, seg2, seg3: seg3_as_seg2(seg3),
    "seg_as_cls": lambda cls, seg2, seg3: seg_as_cls(seg3),
    "seg2_as_seg3": lambda cls, seg2, seg3: seg2_as_seg3(seg2, cls),
}
TAKES = {
    "intra": (1, 2),
    "inter": (0, 2),
    "three": (0, 1, 2),
    "seg3_as_seg2": (2,),
    "seg_as_cls": (2,),
    "seg2_as_seg3": (0, 1),
}
NAMES = ("cls", "seg2", "seg3")


@pytest.mark.parametrize(("call", "index"), [(c, i) for c, takes in TAKES.items() for i in takes])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.5, r"\[0, .*is 1.5, outside \[0, 1\].*softmax"),
        (-0.01, r"is -0.01, outside \[0, 1\]"),
        (math.nan, "is nan, not a number"),
        (math.inf, "is inf, outside"),
    ],
)
def test_ill_values(call, index, value, message):
    tensors = bad(index, value)
    message = message.replace(r"\[0, .*", r"\[1, .*" if index == 0 else r"\[0, .*")
    with pytest.raises(ValueError, match=f"^{NAMES[index]}.*{message}"):
        CALLS[call](*tensors)


def test_rounding_is_no_ill_value():
    for value in (1.0009, -0.0009):
        for index in range(3):
            assert three_task(*bad(index, value)).isfinite()


def random(*shape):
    return torch.rand(*shape)


@pytest.mark.parametrize(
    ("call", "shapes", "message"),
    [
        # shape: cls, seg2, seg3
        ("intra", [(2, 2), (2, 3, 4, 4), (2, 3, 4, 4)], r"seg2 has shape \(2, 3, .*2, H, W"),
        ("intra", [(2, 2), (2, 2, 4, 4), (2, 2, 4, 4)], r"seg3 .*3 or more, H, W"),
        ("intra", [(2, 2), (2, 2, 4), (2, 3, 4, 4)], r"seg2 has shape \(2, 2, 4\)"),
        ("intra", [(2, 2), (2, 2, 4, 4), (3, 3, 4, 4)], "seg2 has 2 images but seg3 has 3"),
        ("intra", [(2, 2), (2, 2, 4, 4), (2, 3, 4, 5)], "seg2 has 4 x 4 pixels but seg3 has 4 x 5"),
        ("intra", [(2, 2), (0, 2, 4, 4), (0, 3, 4, 4)], "empty"),
        ("inter", [(3, 2), (2, 2, 4, 4), (2, 3, 4, 4)], "cls has 3 images but seg3 has 2"),
        ("inter", [(2, 2), (2, 2, 4, 4), (2, 4, 4, 4)], "cls has 2 classes but seg3 has 4"),
        ("inter", [(2, 1), (2, 2, 4, 4), (2, 3, 4, 4)], r"cls has shape \(2, 1\)"),
        ("inter", [(2, 2, 1), (2, 2, 4, 4), (2, 3, 4, 4)], r"cls has shape \(2, 2, 1\)"),
        ("three", [(3, 2), (2, 2, 4, 4), (2, 3, 4, 4)], "cls has 3 images but seg2 has 2"),
        ("three", [(2, 3), (2, 2, 4, 4), (2, 3, 4, 4)], "3 classes but seg3 has 3 channels, not 4"),
        ("three", [(2, 2), (2, 2, 4, 5), (2, 3, 4, 4)], "seg2 has 4 x 5 pixels but seg3 has 4 x 4"),
    ],
)
def test_ill_shapes(call, shapes, message):
    with pytest.raises(ValueError, match=message):
        CALLS[call](*(random(*shape) for shape in shapes))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"locations": "mean"}, "locations='mean' is not an option; use one of max, all"),
        ({"order": "SC"}, "order='SC' is not an option; use one of both, sc, cs"),
        ({"softmax": "none"}, "softmax='none' is not an option; use one of double, single"),
    ],
)
def test_ill_options(option, message):
    cls, _, seg3 = answers()
    with pytest.raises(ValueError, match=message):
        inter_task(cls, seg3, **option)


def test_not_a_tensor():
    cls, _, seg3 = answers()
    with pytest.raises(TypeError, match="cls is a list"):
        inter_task(cls.tolist(), seg3)
    with pytest.raises(ValueError, match=r"seg3 holds torch\.int64"):
        seg_as_cls((seg3 > 0.5).long())


def test_soft_cross_entropy_ill_shapes():
    with pytest.raises(ValueError, match="target has 2 classes but prediction has 3"):
        soft_cross_entropy(random(2, 2), random(2, 3))
    with pytest.raises(ValueError, match="target has 2 images but prediction has 1"):
        soft_cross_entropy(random(2, 2), random(1, 2))
