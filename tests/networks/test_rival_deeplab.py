"""DeepLabv3+: dilated encoder, rates that belong to its stride, batches of two or more."""

import pytest
import torch
from overfit import overfit

from lib.networks import DeepLabV3Plus

LITE = {"encoder": "tu-tf_efficientnet_lite0", "decoder_channels": (128, 64, 32, 16, 16)}


def test_the_deepest_features_have_stride_16():
    with torch.device("meta"):
        deepest = DeepLabV3Plus("resnet101").encoder(torch.zeros(2, 1, 512, 512))[-1]
    assert deepest.shape == (2, 2048, 32, 32)


def test_three_atrous_branches_with_the_rates_of_stride_16():
    network = DeepLabV3Plus("resnet18")
    convolutions = (m for m in network.decoder.aspp.modules() if isinstance(m, torch.nn.Conv2d))
    dilations = [m.dilation[0] for m in convolutions if m.dilation[0] > 1]
    assert dilations == [6, 12, 18]


def test_an_atrous_branch_sees_as_far_as_its_rate():
    """One lit pixel of stride 16 answers at 0 and at plus and minus its rate, nowhere else."""
    network = DeepLabV3Plus("resnet18", channels=4, rates=(2, 3, 4)).eval()
    for rate, branch in zip((2, 3, 4), network.decoder.aspp[0].convs[1:4], strict=True):
        depthwise = next(m for m in branch.modules() if isinstance(m, torch.nn.Conv2d))
        lit = torch.zeros(1, 512, 11, 11)
        lit[..., 5, 5] = 1
        torch.nn.init.ones_(depthwise.weight)
        rows = depthwise(lit)[0, 0].sum(1).nonzero().flatten().tolist()
        assert rows == [5 - rate, 5, 5 + rate]


@pytest.mark.parametrize("size", [64, 96])
def test_the_laptops_encoder_dilates_and_keeps_its_weights(size):
    network = DeepLabV3Plus(weights="imagenet", **LITE).to(memory_format=torch.channels_last)
    image = torch.randn(2, 1, size, size).contiguous(memory_format=torch.channels_last)
    assert network.encoder(image)[-1].shape == (2, 320, size // 16, size // 16)
    assert network(image).seg3.shape == (2, 3, size, size)
    assert network.eval()(image[:1]).seg3.shape == (1, 3, size, size)


def test_a_batch_of_one_in_training_says_what_to_do():
    network = DeepLabV3Plus("resnet18")
    with pytest.raises(ValueError, match="batch_size >= 2"):
        network(torch.zeros(1, 1, 64, 64))


def test_an_encoder_that_cannot_dilate():
    with torch.device("meta"), pytest.raises(ValueError, match="VGG"):
        DeepLabV3Plus("vgg11")


@pytest.mark.slow
def test_overfits():
    network = DeepLabV3Plus(weights="imagenet", channels=64, **LITE)
    assert overfit(network, steps=30)["dice_class_mean"] > 0.9
