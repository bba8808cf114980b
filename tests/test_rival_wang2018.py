"""Wang et al. 2018: a branch of convolution, max-pooling and a fully connected layer."""

import pytest
import torch
from overfit import overfit

from lib.cost import parameter_count
from lib.networks import Wang2018

SMALL = {"decoder_channels": (32, 24, 16, 16, 8)}
LITE = {"encoder": "tu-tf_efficientnet_lite0", "weights": "imagenet", **SMALL}


def test_at_the_papers_size():
    with torch.device("meta"):
        network = Wang2018("resnet101")
        logits = network(torch.zeros(2, 1, 512, 512))
    # shape: cls (2, 2), seg2 (2, 2, 512, 512)
    assert logits.cls.shape == (2, 2) and logits.seg2.shape == (2, 2, 512, 512)
    assert logits.seg3 is None
    assert round(parameter_count(network) / 1e6, 1) == 56.2


def test_the_class_is_read_where_the_branch_is_highest():
    """The branch by hand, on the deepest features; its gradient takes one cell per channel."""
    network = Wang2018("resnet18", **SMALL).eval()
    image = torch.randn(2, 1, 64, 96)
    convolution, norm, _, _, _, linear = network.classification_head
    deepest = network.encoder(image)[-1].detach().requires_grad_()
    maps = norm(convolution(deepest)).relu()
    assert maps.shape == (2, 256, 2, 3)
    by_hand = linear(maps.amax((2, 3)))
    assert torch.allclose(network(image).cls, by_hand, atol=1e-5)
    (grad,) = torch.autograd.grad(network.classification_head[3:](maps)[0, 1], maps)
    assert (grad[0] != 0).flatten(1).sum(1).max() == 1


def test_a_three_class_head_if_wanted():
    logits = Wang2018("resnet18", mask="seg3", **SMALL)(torch.zeros(2, 1, 64, 64))
    assert [name for name, _ in logits.items()] == ["cls", "seg3"]
    with pytest.raises(ValueError, match="mask='seg4'"):
        Wang2018("resnet18", mask="seg4")


@pytest.mark.slow
def test_overfits_sixteen_phantoms():
    measures = overfit(Wang2018(**LITE), steps=25)
    assert measures["dice_class_mean"] > 0.9 and measures["AUC"] > 0.95, measures
