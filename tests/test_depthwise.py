"""The quick depthwise convolution against torch's own."""

import copy

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from lib.networks import UNet
from lib.networks.depthwise import Depthwise, quicken

CASES = [  # kernel, stride, padding, side
    (3, 1, 1, 7),
    (3, 2, 1, 8),
    (5, 1, 2, 3),
    (5, 1, 2, 6),
    (5, 2, 2, 9),
    (7, 1, 3, 8),
    (7, 2, 3, 9),
]
LAYOUTS = [torch.channels_last, torch.contiguous_format]


def gradients(layer, image, dtype=None):
    image = image.clone().requires_grad_()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        answer = layer(image)
    (answer.float() * torch.linspace(-1, 1, answer.numel()).view(answer.shape)).sum().backward()
    return answer.detach(), image.grad, layer.weight.grad


@pytest.mark.parametrize("kernel, stride, padding, side", CASES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_and_gradients_are_those_of_torch(kernel, stride, padding, side, layout):
    torch.manual_seed(0)
    plain = nn.Conv2d(32, 32, kernel, stride, padding, groups=32, bias=False)
    image = torch.randn(4, 32, side, side).contiguous(memory_format=layout)
    quick = Depthwise(copy.deepcopy(plain))
    for ours, theirs in zip(gradients(quick, image), gradients(plain, image), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kernel, stride, padding, side", CASES)
def test_bfloat16_is_as_close_to_float32_as_rounding_allows(kernel, stride, padding, side):
    torch.manual_seed(0)
    plain = nn.Conv2d(32, 32, kernel, stride, padding, groups=32, bias=False)
    image = torch.randn(4, 32, side, side).contiguous(memory_format=torch.channels_last)
    quick = Depthwise(copy.deepcopy(plain))
    rounded = gradients(quick, image, torch.bfloat16)
    assert rounded[0].dtype == torch.bfloat16
    for ours, exact in zip(rounded, gradients(plain, image), strict=True):
        assert (ours.float() - exact).abs().max() < 0.015 * exact.abs().max()


@pytest.mark.parametrize("side", [6, 7, 8, 9])
@pytest.mark.parametrize("stride", [1, 2])
def test_tensorflows_padding(side, stride):
    torch.manual_seed(0)
    plain = Conv2dSame(8, 8, 5, stride=stride, groups=8, bias=False)
    image = torch.randn(2, 8, side, side + 3)
    quick = Depthwise(copy.deepcopy(plain))
    for ours, theirs in zip(gradients(quick, image), gradients(plain, image), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


def test_a_network_answers_and_learns_alike():
    torch.manual_seed(0)
    plain = UNet("tu-tf_efficientnet_lite0", classification=True)
    quick = quicken(copy.deepcopy(plain))
    assert list(quick.state_dict()) == list(plain.state_dict())
    assert sum(isinstance(module, Depthwise) for module in quick.modules()) == 16
    image = torch.randn(4, 1, 64, 64)
    answers = [network(image) for network in (quick, plain)]
    torch.testing.assert_close(answers[0].seg3, answers[1].seg3, rtol=0, atol=0)
    for answer in answers:
        (answer.seg3.square().mean() + answer.cls.square().mean()).backward()
    for ours, theirs in zip(quick.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


def test_making_one_draws_no_random_number():
    network = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8, bias=False))
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    quicken(network)
    assert torch.rand(1) == expected


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 8, 3, groups=8, dilation=2, bias=False),
        nn.Conv2d(8, 16, 3, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, groups=4, bias=False),
        nn.Conv2d(8, 8, (3, 5), groups=8, bias=False),
        nn.Conv2d(8, 8, 4, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, groups=8, bias=False, padding="same"),
        nn.Conv2d(1, 1, 3, bias=False),
    ],
)
def test_others_are_left_alone(convolution):
    assert quicken(nn.Sequential(convolution))[0] is convolution
