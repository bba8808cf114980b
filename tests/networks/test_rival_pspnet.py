"""PSPNet: the whole encoder at stride 8, the pyramid, and the auxiliary loss."""

import pytest
import torch
from overfit import overfit
from tiny import two_nodules

from lib.learner import TaskLoss
from lib.losses import task_losses
from lib.networks import PSPNet, TaskLogits

LITE = {"encoder": "tu-tf_efficientnet_lite0", "decoder_channels": (128, 64, 32, 16, 16)}


def test_the_deepest_features_have_stride_8():
    with torch.device("meta"):
        deepest = PSPNet("resnet101").encoder(torch.zeros(2, 1, 512, 512))[-1]
    assert deepest.shape == (2, 2048, 64, 64)


@pytest.mark.parametrize("encoder", ["resnet18", LITE["encoder"]])
def test_every_layer_of_the_encoder_gets_a_gradient(encoder):
    """The trap of smp's own defaults: levels 4 and 5 that never reach the output."""
    network = PSPNet(encoder)
    image, mask, label = two_nodules()
    TaskLoss(network.losses)(network(image), mask, label).backward()
    for name, weight in network.encoder.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_the_pyramid_carries_far():
    """With the encoder left out, one corner still moves the opposite one: by the means alone."""
    decoder = PSPNet("resnet18").decoder.eval()
    features = torch.rand(1, 512, 12, 12, requires_grad=True)
    decoder([features])[..., -1, -1].sum().backward()
    assert features.grad[..., 0, 0].abs().sum() > 0
    assert [block.pool_size for block in decoder.psp.blocks] == [1, 2, 3, 6]


def test_the_auxiliary_loss_is_weighted_and_trains_the_level_before_the_last():
    network = PSPNet("resnet18", auxiliary=0.4)
    image, mask, label = two_nodules()
    logits = network(image)
    terms = network.losses(logits, mask, label)
    second = task_losses(TaskLogits(seg3=logits.extra), mask, label)["T3 Dice"]
    assert set(terms) == {"T3 Dice", "T3 Dice, auxiliary"}
    assert terms["T3 Dice, auxiliary"].item() == pytest.approx(0.4 * second.item())
    terms["T3 Dice, auxiliary"].backward()
    assert network.encoder.layer3[-1].conv2.weight.grad.abs().sum() > 0
    assert network.encoder.layer4[-1].conv2.weight.grad is None
    assert set(network.eval().losses(network(image), mask, label)) == {"T3 Dice"}


@pytest.mark.parametrize("size", [64, 96])
def test_the_laptops_encoder_dilates_and_keeps_its_weights(size):
    network = PSPNet(weights="imagenet", **LITE).to(memory_format=torch.channels_last)
    image = torch.randn(1, 1, size, size).contiguous(memory_format=torch.channels_last)
    assert network.encoder(image)[-1].shape == (1, 320, size // 8, size // 8)
    assert network(image).seg3.shape == network.eval()(image).seg3.shape == (1, 3, size, size)


def test_a_negative_weight():
    with pytest.raises(ValueError, match="auxiliary=-1"):
        PSPNet("resnet18", auxiliary=-1)


@pytest.mark.slow
def test_overfits():
    assert overfit(PSPNet("resnet18"), steps=40, lr=1e-3)["dice_class_mean"] > 0.9
