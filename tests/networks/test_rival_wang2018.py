"""Wang et al. 2018: a branch of convolution, max-pooling and a fully connected layer."""

import pytest
import torch
from overfit import overfit
from tiny import LITE, SMALL

from lib.networks import Wang2018


def test_the_class_is_read_where_the_branch_is_highest():
    """The branch by hand, on the deepest features; its gradient takes one cell per channel."""
    network = Wang2018("resnet18", **SMALL).eval()
    torch.nn.init.normal_(network.classification_head[-1][-1].weight)  # it starts at 0
    image = torch.randn(2, 1, 64, 96)
    convolution, norm, _, _, _, linear = network.classification_head
    deepest = network.encoder(image)[-1].detach().requires_grad_()
    maps = norm(convolution(deepest)).relu()
    assert maps.shape == (2, 256, 2, 3)
    by_hand = linear(maps.amax((2, 3)))
    assert torch.allclose(network(image).cls, by_hand, atol=1e-5)
    (grad,) = torch.autograd.grad(network.classification_head[3:](maps)[0, 1], maps)
    assert (grad[0] != 0).flatten(1).sum(1).max() == 1


@pytest.mark.slow
def test_overfits_sixteen_phantoms():
    measures = overfit(Wang2018(**LITE), steps=25)
    assert measures["dice_class_mean"] > 0.9 and measures["AUC"] > 0.95, measures
