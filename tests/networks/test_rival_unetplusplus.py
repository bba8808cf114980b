"""U-Net++ of segmentation-models-pytorch, as the catalogue builds it."""

import pytest
import tiny
import torch
from overfit import overfit

from lib.networks import UNet

SMALL = {"architecture": "UnetPlusPlus", **tiny.SMALL}


def test_the_paths_between_encoder_and_decoder_are_nested():
    """Ten nodes more than the encoder has, each reading all those before it at its level."""
    network = UNet("resnet18", **SMALL).eval()
    blocks = network.decoder.blocks
    # x_i_j of smp: level j, j = 3 being stride 2; i falls from j (first node) to 0 (last)
    assert set(blocks) == {f"x_{i}_{j}" for j in range(4) for i in range(j + 1)} | {"x_0_4"}
    read = {}
    for name in ("x_3_3", "x_2_3", "x_1_3", "x_0_3"):
        blocks[name].register_forward_pre_hook(
            lambda module, given, name=name: read.__setitem__(name, given[1].shape[1])
        )
    network(torch.zeros(1, 1, 64, 64))
    stem = network.encoder.out_channels[1]
    # the encoder's map alone, then with one, two and three nodes before
    assert [read[f"x_{i}_3"] // stem for i in (3, 2, 1, 0)] == [1, 2, 3, 4]


@pytest.mark.slow
def test_overfits():
    network = UNet(**tiny.LITE, architecture="UnetPlusPlus")
    assert overfit(network, steps=25)["dice_class_mean"] > 0.9
