"""Chen et al. 2018: features pass through gates, both ways."""

import pytest
import torch
from overfit import overfit
from tiny import LITE, SMALL

from lib.networks import Chen2018
from lib.networks.rivals.chen2018 import FeaturePassing, GatedPass


def test_two_branches_of_256_channels():
    passing = FeaturePassing(2048)
    branches = (passing.class_branch, passing.mask_branch)
    assert [(b[0].out_channels, b[0].kernel_size) for b in branches] == [(256, (1, 1))] * 2


@pytest.mark.parametrize(("bias", "passed"), [(50.0, 1.0), (0.0, 0.5), (-50.0, 0.0)])
def test_a_gate_lets_through_all_half_or_nothing(bias, passed):
    one, other = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    gate = GatedPass(4)
    torch.nn.init.zeros_(gate.gate.weight)
    torch.nn.init.constant_(gate.gate.bias, bias)
    assert torch.allclose(gate(one, other), one + passed * gate.message(other), atol=1e-6)


def test_features_pass_both_ways():
    """A change in one branch moves what the other hands on, and only as far as its gate is open."""
    passing = FeaturePassing(8, 4).eval()
    shared = torch.randn(1, 8, 2, 2)

    def moved(branch, receiver):
        """How far output `receiver` moves when `branch` does."""
        before = passing(shared)[receiver]
        with torch.no_grad():
            branch[1].bias += 1
            after = passing(shared)[receiver]
            branch[1].bias -= 1
        return float((after - before).detach().abs().max())

    ways = ((passing.mask_branch, 0), (passing.class_branch, 1))
    assert all(moved(*way) > 1e-3 for way in ways)
    for gate in (passing.to_class, passing.to_mask):
        torch.nn.init.constant_(gate.gate.bias, -50.0)
    assert all(moved(*way) < 1e-6 for way in ways)


@pytest.mark.parametrize(
    ("task", "receiver", "sender"),
    [("cls", "to_class", "mask_branch"), ("seg2", "to_mask", "class_branch")],
)
def test_gradients_flow_both_ways(task, receiver, sender):
    """Each task's scores teach the other task's branch, through the gate that leads from it."""
    network = Chen2018("resnet18", **SMALL)
    linear = network.classification_head[-1][-1]
    torch.nn.init.normal_(linear.weight)  # it starts at 0, which lets no gradient through
    torch.nn.init.normal_(linear.bias)
    getattr(network(torch.randn(2, 1, 64, 64)), task).square().sum().backward()
    passing = network.passing
    for layer in (getattr(passing, sender)[0], *getattr(passing, receiver).children()):
        assert layer.weight.grad.abs().sum() > 0
    unused = {"to_class": passing.to_mask, "to_mask": passing.to_class}[receiver]
    assert all(p.grad is None for p in unused.parameters())


def test_the_decoder_starts_at_the_masks_branch():
    network = Chen2018("resnet18", **SMALL)
    first = network.decoder.blocks[0].conv1[0]
    assert first.in_channels == 256 + 256  # the branch and resnet18's features of stride 16


@pytest.mark.slow
def test_overfits_sixteen_phantoms():
    measures = overfit(Chen2018(**LITE), steps=25)
    assert measures["dice_class_mean"] > 0.9 and measures["AUC"] > 0.95, measures
