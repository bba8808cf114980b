"""nnU-Net: its plan, its loss at every scale, and the plain network."""

import math

import pytest
import torch
from overfit import overfit
from tiny import SMALL
from torch import nn

from lib.learner import TaskLoss
from lib.networks import NNUNet, NNUNetNative
from lib.networks.rivals.nnunet import scale_weights, supervise

LITE = {"encoder": "tu-tf_efficientnet_lite0", "weights": "imagenet"}


def test_the_papers_native_network():
    """Eight stages of 32 to 512 channels, seven supervised scales, the deepest map 4 x 4."""
    with torch.device("meta"):
        network = NNUNetNative(**NNUNetNative.plan(512))
        image = torch.zeros(2, 1, 512, 512)
        deepest, scales = network.body.encoder(image)[-1], network(image).extra
    assert deepest.shape == (2, 512, 4, 4)
    assert network.body.encoder.output_channels == [32, 64, 128, 256, 512, 512, 512, 512]
    assert [scale.shape[-1] for scale in scales] == [512, 256, 128, 64, 32, 16, 8]
    kinds = {type(module) for module in network.modules()}
    assert nn.InstanceNorm2d in kinds and nn.LeakyReLU in kinds and nn.BatchNorm2d not in kinds


@pytest.mark.parametrize(
    ("size", "stages"), [(32, 4), (64, 5), (96, 5), (128, 6), (160, 6), (352, 6), (512, 8)]
)
def test_the_plan_leaves_four_pixels_and_divides_evenly(size, stages):
    assert NNUNetNative.plan(size) == {"stages": stages}
    stride = 2 ** (stages - 1)
    assert size % stride == 0 and size // stride >= 4


def test_weights_of_the_scales():
    assert scale_weights(1) == [1]
    assert scale_weights(3) == pytest.approx([2 / 3, 1 / 3, 0])


def test_one_scale_by_hand():
    """Two pixels, background and benign: Dice of the classes 1 and 2, cross-entropy of both."""
    mask = torch.tensor([[[0, 1]]])
    chance = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.6, 0.2]])  # pixel, class
    terms = supervise((chance.log().T.reshape(1, 3, 1, 2),), mask)
    benign = 1 - 2 * 0.6 / (1 + 0.85)
    assert terms["T3 Dice"].item() == pytest.approx((benign + 1) / 2, abs=1e-4)
    assert terms["T3 CE"].item() == pytest.approx(-(math.log(0.5) + math.log(0.6)) / 2)


def test_scales_add_up_with_their_weights_and_the_lowest_is_dropped():
    mask = torch.zeros(1, 8, 8, dtype=torch.long)
    mask[:, :4, :4] = 2
    fine, middle, coarse = (torch.randn(1, 3, side, side) for side in (8, 4, 2))
    together = supervise((fine, middle, coarse), mask)
    for name, term in together.items():
        one = supervise((fine,), mask)[name]
        two = supervise((middle,), mask[:, 1::2, 1::2])[name]
        assert term.item() == pytest.approx((2 * one + two).item() / 3, rel=1e-5)


def test_a_nodule_of_unknown_class_stays_out():
    scores = torch.randn(2, 3, 8, 8, requires_grad=True)
    mask = torch.randint(0, 3, (2, 8, 8))
    mask[1, 0, 0] = 3
    with_it, without = supervise((scores,), mask), supervise((scores[:1],), mask[:1])
    assert with_it == without
    alone = supervise((scores,), torch.full((2, 8, 8), 3))
    sum(alone.values()).backward()
    assert [term.item() for term in alone.values()] == [0, 0] and not scores.grad.any()


def test_each_supervised_scale_gets_a_gradient():
    network = NNUNetNative(decoder_channels=(16, 8, 8, 4, 4))
    mask = torch.randint(0, 3, (2, 64, 64))
    loss = TaskLoss(network.losses)
    loss(network(torch.randn(2, 1, 64, 64)), mask, torch.tensor([0, 1])).backward()
    lowest, *others = network.body.decoder.seg_layers
    assert lowest.weight.grad is None
    assert all(layer.weight.grad.abs().sum() > 0 for layer in others) and len(others) == 3
    assert set(loss.terms) == {"T3 Dice", "T3 CE"}


@pytest.mark.parametrize("size", [64, 96])
def test_laptop(size):
    image = torch.randn(1, 1, size, size).contiguous(memory_format=torch.channels_last)
    for make, options in ((NNUNet, LITE), (NNUNetNative, LITE | NNUNetNative.plan(size))):
        network = make(**options, decoder_channels=(128, 64, 32, 16, 16))
        network.to(memory_format=torch.channels_last).eval()
        with torch.no_grad():
            assert network(image).seg3.shape == (1, 3, size, size)


def test_an_image_that_does_not_fit_the_stages():
    with pytest.raises(ValueError, match=r"96 x 96 px.*128; use stages=5"):
        NNUNetNative(stages=8, **SMALL)(torch.zeros(1, 1, 96, 96))
    with pytest.raises(ValueError, match=r"16 x 16 px, too small"):
        NNUNetNative(stages=5, **SMALL)(torch.zeros(1, 1, 16, 16))
    with pytest.raises(ValueError, match="stages=1"):
        NNUNetNative(stages=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "steps", "lr"),
    [
        (lambda: NNUNet("resnet18", **SMALL), 60, 2e-3),
        (lambda: NNUNetNative(decoder_channels=(32, 24, 16, 8, 8)), 80, 5e-3),
    ],
)
def test_overfits(make, steps, lr):
    assert overfit(make(), steps, lr)["dice_class_mean"] > 0.9
