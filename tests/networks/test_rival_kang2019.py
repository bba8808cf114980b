"""Kang et al. 2019: interior and boundary first."""

import numpy as np
import pytest
import torch
from overfit import overfit, sixteen_phantoms
from scipy.ndimage import binary_erosion
from tiny import LITE, SMALL

from lib.networks import Kang2019
from lib.networks.rivals.kang2019 import boundary_target


def test_stage_1_answers_at_the_papers_size():
    with torch.device("meta"):
        logits = Kang2019("resnet101")(torch.zeros(2, 1, 512, 512))
    assert logits.extra.shape == (2, 3, 512, 512)


def test_the_boundary_of_a_square():
    mask = torch.zeros(1, 7, 7, dtype=torch.long)
    mask[0, 1:6, 1:6] = 2
    expected = torch.zeros(7, 7, dtype=torch.long)
    expected[1:6, 1:6] = 2
    expected[2:5, 2:5] = 1
    assert torch.equal(boundary_target(mask, width=1)[0], expected)


@pytest.mark.parametrize("width", [1, 3])
def test_the_boundary_is_what_an_erosion_takes_away(width):
    """Against SciPy, on the phantoms' nodules: inside the nodule, nowhere else, `width` deep."""
    _, mask, _ = sixteen_phantoms()
    window = np.ones((2 * width + 1, 2 * width + 1), bool)
    for nodule, parts in zip(mask.numpy() > 0, boundary_target(mask, width).numpy(), strict=True):
        core = binary_erosion(nodule, window, border_value=1)
        assert np.array_equal(parts == 2, nodule & ~core)
        assert np.array_equal(parts == 1, core) and (parts == 2).any()


@pytest.mark.parametrize(("size", "width"), [(512, 3), (1024, 6), (96, 1), (32, 1)])
def test_the_boundary_is_three_pixels_wide_at_512(size, width):
    mask = torch.zeros(1, size, size, dtype=torch.long)
    mask[:, size // 4 : -size // 4, size // 4 : -size // 4] = 1
    row = boundary_target(mask)[0, size // 2]
    assert (row == 2).sum() == 2 * width
    assert (row > 0).sum() == size // 2


def test_touching_nodules_have_a_boundary_between_them_and_the_images_edge_has_none():
    mask = torch.tensor([[[1, 1, 1, 2, 2, 2]] * 3])
    assert boundary_target(mask, width=1)[0, 1].tolist() == [1, 1, 2, 2, 1, 1]
    unknown = torch.tensor([[[0, 3, 3, 3, 3, 0]] * 3])  # a nodule of unknown class is a nodule
    assert boundary_target(unknown, width=1)[0, 1].tolist() == [0, 2, 1, 1, 2, 0]


def test_stage_2_reads_the_image_and_three_scores():
    network = Kang2019("resnet18", **SMALL).eval()
    assert network.stage2.encoder.conv1.in_channels == 4
    image = torch.randn(1, 1, 64, 64)
    before = network(image)
    with torch.no_grad():
        network.stage1.segmentation_head[0].bias[2] += 1
    after = network(image)
    assert torch.allclose(after.extra - before.extra, torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1))
    assert not torch.allclose(after.seg3, before.seg3)


def test_losses_by_name():
    """The boundary's target is learnt by stage 1 alone, the classes by both."""
    network = Kang2019("resnet18", **SMALL)
    image, mask, label = (part[:4] for part in sixteen_phantoms())
    terms = network.losses(network(image), mask, label)
    assert list(terms) == ["Boundary Dice", "T3 Dice"]
    terms["Boundary Dice"].backward(retain_graph=True)
    assert all(p.grad is None for p in network.stage2.parameters())
    network.zero_grad()
    terms["T3 Dice"].backward()
    assert network.stage1.segmentation_head[0].weight.grad.abs().sum() > 0


def test_perfect_parts_have_next_to_no_boundary_loss():
    _, mask, label = sixteen_phantoms()
    parts = torch.nn.functional.one_hot(boundary_target(mask), 3).movedim(-1, 1) * 50.0
    network = Kang2019("resnet18", **SMALL)
    logits = network(torch.zeros(1, 1, 64, 64))
    given = type(logits)(seg3=torch.zeros(16, 3, 64, 64), extra=parts)
    assert network.losses(given, mask, label)["Boundary Dice"] < 1e-5


@pytest.mark.slow
def test_overfits_sixteen_phantoms():
    measures = overfit(Kang2019(**LITE), steps=25)
    assert measures["dice_class_mean"] > 0.9, measures
