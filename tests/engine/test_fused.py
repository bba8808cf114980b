"""The losses in one pass against their definition and against the paper's steps as printed."""

import itertools

import literal
import pytest
import torch

from ci.engine import fused
from ci.engine.fused import inter_task, intra_task, sums, three_task
from lib import consistency


def scores(n=3, classes=2, h=6, w=5, seed=0, dtype=torch.float64):
    """Raw scores of a random network, that ask for gradients: cls, seg2, seg3."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        (2 * torch.randn(*shape, generator=generator, dtype=torch.float64))
        .to(dtype)
        .requires_grad_()
        for shape in ((n, classes), (n, 2, h, w), (n, classes + 1, h, w))
    )


def probabilities(given):
    return [one.softmax(1) for one in given]


def values_and_gradients(losses, inputs):
    """Each loss and its gradients, zeros where an input does not move it."""
    found = list(losses)
    for loss in losses:
        gradients = torch.autograd.grad(loss, inputs, allow_unused=True, retain_graph=True)
        found += [
            torch.zeros_like(x) if g is None else g for x, g in zip(inputs, gradients, strict=True)
        ]
    return [one.detach() for one in found]


def all_fused(inputs):
    given = sums(*inputs)
    return [intra_task(given), inter_task(given), three_task(given)]


def all_from(module, inputs):
    cls, seg2, seg3 = probabilities(inputs)
    return [
        module.intra_task(seg2, seg3),
        module.inter_task(cls, seg3),
        module.three_task(cls, seg2, seg3),
    ]


def agree(got, expected, rtol=1e-5):
    """Values to `rtol`, gradients to `rtol` of the largest of their tensor."""
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert (one - other).abs().max() <= rtol * other.abs().max() + 1e-9


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(4))
def test_definition_and_paper_give_the_same_values_and_gradients(classes, dtype, seed):
    inputs = scores(classes=classes, seed=seed, dtype=dtype)
    expected = values_and_gradients(all_from(literal, inputs), inputs)
    agree(values_and_gradients(all_from(consistency, inputs), inputs), expected)
    agree(values_and_gradients(all_fused(inputs), inputs), expected)


INTER = [
    dict(zip(("locations", "order", "softmax", "detach_target"), options, strict=True))
    for options in itertools.product(
        ("max", "all"), ("both", "sc", "cs"), ("double", "single"), (True, False)
    )
]


@pytest.mark.parametrize("options", INTER, ids=lambda o: "-".join(map(str, o.values())))
def test_every_option_of_the_inter_task_loss(options):
    for classes in (2, 5):
        inputs = scores(classes=classes, seed=classes)
        cls, _, seg3 = probabilities(inputs)
        expected = [consistency.inter_task(cls, seg3, **options)]
        got = [inter_task(sums(*inputs), **options)]
        agree(values_and_gradients(got, inputs), values_and_gradients(expected, inputs))


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("flatten", [True, False])
def test_every_option_of_the_dice_losses(background, flatten):
    options = {"background": background, "flatten": flatten}
    for classes in (2, 5):
        inputs = scores(classes=classes, seed=classes)
        cls, seg2, seg3 = probabilities(inputs)
        expected = [
            consistency.intra_task(seg2, seg3, **options),
            consistency.three_task(cls, seg2, seg3, **options),
        ]
        given = sums(*inputs)
        got = [intra_task(given, **options), three_task(given, **options)]
        agree(values_and_gradients(got, inputs), values_and_gradients(expected, inputs))


def test_sums_by_hand():
    # shape: seg2 (1, 2, 1, 2), seg3 (1, 3, 1, 2); a softmax of logs gives the numbers back
    seg2 = torch.tensor([[[[0.9, 0.2]], [[0.1, 0.8]]]]).log()
    seg3 = torch.tensor([[[[0.8, 0.25]], [[0.15, 0.25]], [[0.05, 0.5]]]]).log()
    given = sums(torch.tensor([[0.3, 0.7]]).log(), seg2, seg3)
    assert given.pixels == 2 and given.cls[0].tolist() == pytest.approx([0.3, 0.7])
    assert given.seg3[0].tolist() == pytest.approx([1.05, 0.4, 0.55])
    assert given.at_max[0].tolist() == pytest.approx([0, 0.5])
    assert given.count[0].tolist() == [0, 1]
    assert given.nodule.tolist() == pytest.approx([0.9])
    assert given.overlap[0].tolist() == pytest.approx([0.28, 0.215, 0.405])


def test_ties_count_for_every_tied_class():
    seg3 = torch.zeros(1, 3, 2, 2)
    seg3[..., 0] = torch.tensor([0.0, 5.0, 5.0])[:, None]
    given = sums(None, None, seg3)
    assert given.count.tolist() == [[4, 4]]


@pytest.mark.parametrize("room", [1, 7, 12, 30, 60, 1000])
def test_pieces_of_any_size(monkeypatch, room):
    # 30 pixels an image: parts of an image, whole images, several, and a smaller last piece
    inputs = scores(n=5)
    expected = values_and_gradients(all_fused(inputs), inputs)
    monkeypatch.setattr(fused, "CPU_PIXELS", room)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    seen = []
    pieces = fused._pieces
    monkeypatch.setattr(
        fused,
        "_pieces",
        lambda *args: (seen.append(p[2].seg3.shape) or p for p in pieces(*args)),
    )
    agree(values_and_gradients(all_fused(inputs), inputs), expected, rtol=1e-12)
    assert max(n * p for n, _, p in seen) <= room


def test_no_map_is_kept():
    cls, seg2, seg3 = scores(n=2, h=64, w=64, dtype=torch.float32)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        sum(all_fused((cls, seg2, seg3)))
    large = {t.data_ptr() for t in kept if t.numel() >= seg2.numel() // 2}
    assert large == {seg2.data_ptr(), seg3.data_ptr()}


def test_the_maps_are_read_once_for_all_three(monkeypatch):
    inputs, passes = scores(), []
    pieces = fused._pieces
    monkeypatch.setattr(fused, "_pieces", lambda *args: passes.append(1) or pieces(*args))
    loss = sum(all_fused(inputs))
    assert len(passes) == 1
    loss.backward()
    assert len(passes) == 2


@pytest.mark.parametrize("classes", [2, 5])
def test_gradcheck(classes):
    inputs = scores(n=2, classes=classes, h=2, w=3)
    cls, seg2, seg3 = inputs

    def differentiable(*maps):
        given = sums(cls.detach(), *maps)
        return given.seg3, given.at_max, given.nodule, given.overlap

    assert torch.autograd.gradcheck(differentiable, (seg2, seg3))

    def inter(cls, seg3):
        return inter_task(sums(cls, None, seg3), detach_target=False)

    assert torch.autograd.gradcheck(inter, (cls, seg3))
    assert torch.autograd.gradcheck(lambda *maps: intra_task(sums(None, *maps)), (seg2, seg3))


def test_second_derivatives_are_refused():
    _, seg2, seg3 = scores()
    (first,) = torch.autograd.grad(intra_task(sums(None, seg2, seg3)), seg3, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_one_map_only_asks_for_gradients():
    cls, seg2, seg3 = scores()
    expected = torch.autograd.grad(sum(all_fused((cls, seg2, seg3))), (seg2, seg3))
    for index, moving in enumerate((seg2, seg3)):
        others = [m if m is moving else m.detach() for m in (seg2, seg3)]
        (got,) = torch.autograd.grad(sum(all_fused((cls, *others))), moving)
        assert torch.equal(got, expected[index])


# Types, layouts and devices


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_scores_are_computed_in_float32(dtype):
    inputs = scores(dtype=dtype)
    wide = [x.detach().float().requires_grad_() for x in inputs]
    got, expected = all_fused(inputs), all_fused(wide)
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == torch.float32 and torch.equal(one, other)
    gradients = torch.autograd.grad(sum(got), inputs)
    for one, other in zip(gradients, torch.autograd.grad(sum(expected), wide), strict=True):
        assert one.dtype == dtype and torch.equal(one, other.to(dtype))


def test_autocast_changes_nothing():
    inputs = scores(dtype=torch.float32)
    expected = values_and_gradients(all_fused(inputs), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        got = values_and_gradients(all_fused(inputs), inputs)
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == torch.float32 and torch.equal(one, other)


def laid_out(maps, layout):
    if layout == "channels last":
        return maps.contiguous(memory_format=torch.channels_last)
    return maps.mT.contiguous().mT if layout == "turned" else maps[:1].expand_as(maps)


@pytest.mark.parametrize("layout", ["channels last", "turned", "one image for all"])
def test_memory_layout_changes_nothing(layout):
    cls, *maps = (x.detach() for x in scores())
    other = [laid_out(m, layout) for m in maps]
    inputs = [cls, *(m.contiguous() for m in other)]
    results = []
    for given in (inputs, [cls, *other]):
        given = [x.detach().requires_grad_() for x in given]
        results.append(values_and_gradients(all_fused(given), given))
    agree(*results, rtol=1e-12)


def test_gradients_keep_channels_last():
    cls, *maps = (x.detach() for x in scores())
    maps = [laid_out(m, "channels last").requires_grad_() for m in maps]
    for gradient in torch.autograd.grad(sum(all_fused((cls, *maps))), maps):
        assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_large_scores_stay_finite():
    inputs = [(x * 1e4).detach().requires_grad_() for x in scores(dtype=torch.float32)]
    assert all(t.isfinite().all() for t in values_and_gradients(all_fused(inputs), inputs))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda():
    inputs = scores(dtype=torch.float32)
    there = [x.detach().cuda().requires_grad_() for x in inputs]
    got = values_and_gradients(all_fused(there), there)
    assert all(t.is_cuda for t in got)
    agree([t.cpu() for t in got], values_and_gradients(all_fused(inputs), inputs))


# Ill input


def test_a_loss_says_which_answer_it_lacks():
    cls, seg2, seg3 = scores()
    no_cls, no_seg2 = sums(None, seg2, seg3), sums(cls, None, seg3)
    assert no_seg2.nodule is no_seg2.overlap is None
    for loss, given, name in (
        (inter_task, no_cls, "cls"),
        (three_task, no_cls, "cls"),
        (intra_task, no_seg2, "seg2"),
        (three_task, no_seg2, "seg2"),
    ):
        with pytest.raises(ValueError, match=f"needs {name}"):
            loss(given)
    assert torch.equal(inter_task(no_seg2), inter_task(sums(cls, seg2, seg3)))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        # shape: cls, seg2, seg3
        ([(2, 2), (2, 3, 4, 4), (2, 3, 4, 4)], r"seg2 has shape \(2, 3, 4, 4\)"),
        ([(2, 2), (2, 2, 4, 4), (2, 2, 4, 4)], r"seg3 has shape .*3 or more"),
        ([(2, 2), (2, 2, 4, 5), (2, 3, 4, 4)], "seg2 has 4 x 5 pixels but seg3 has 4 x 4"),
        ([(2, 2), (3, 2, 4, 4), (2, 3, 4, 4)], "cls has 2 images but seg2 has 3"),
        ([(3, 2), (2, 2, 4, 4), (2, 3, 4, 4)], "cls has 3 images but seg2 has 2"),
        ([(2, 3), (2, 2, 4, 4), (2, 3, 4, 4)], "3 classes but seg3 has 3 channels, not 4"),
        ([(2, 2), (0, 2, 4, 4), (0, 3, 4, 4)], "empty"),
    ],
)
def test_ill_shapes(shapes, message):
    with pytest.raises(ValueError, match=message):
        sums(*(torch.zeros(*shape) for shape in shapes))


def test_ill_types_and_options():
    cls, seg2, seg3 = scores()
    with pytest.raises(TypeError, match="seg2 is a list"):
        sums(cls, seg2.tolist(), seg3)
    with pytest.raises(ValueError, match=r"seg3 holds torch\.int64"):
        sums(cls, seg2, seg3.long())
    for name in ("locations", "order", "softmax"):
        with pytest.raises(ValueError, match=f"{name}='none' is not an option"):
            inter_task(sums(cls, seg2, seg3), **{name: "none"})
