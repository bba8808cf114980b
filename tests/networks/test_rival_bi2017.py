"""Bi et al. 2017: stages in a row, fused by their log-odds."""

import pytest
import torch
from overfit import overfit

from lib.learner import TaskLoss
from lib.losses import task_losses
from lib.networks import Bi2017, TaskLogits
from lib.networks.rivals.bi2017 import FCN, fuse_log_odds


def test_three_stages_answer_at_the_papers_size():
    with torch.device("meta"):
        logits = Bi2017("resnet101")(torch.zeros(2, 1, 512, 512))
    assert [one.shape for one in logits.extra] == [(2, 3, 512, 512)] * 3


def test_the_log_odds_of_two_classes_are_the_mean_of_the_stages():
    chances = torch.tensor([0.9, 0.2, 0.6])
    stages = [torch.tensor([[1 - p, p]]).log() for p in chances.tolist()]
    expected = chances.logit().mean().sigmoid()
    assert fuse_log_odds(stages).softmax(1)[0, 1] == pytest.approx(float(expected))
    # a constant added to a stage's scores changes its probabilities as little as the fused ones
    shifted = [stages[0] + 7, *stages[1:]]
    assert torch.allclose(fuse_log_odds(shifted).softmax(1), fuse_log_odds(stages).softmax(1))


def test_an_fcn_adds_the_scores_of_three_strides():
    """With constant scores for each stride the answer is their sum, everywhere."""
    network = FCN("resnet18", in_channels=1, weights=None).eval()
    for head, score in zip(network.heads, (1.0, 10.0, 100.0), strict=True):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.constant_(head.bias, score)
    assert torch.allclose(network(torch.randn(1, 1, 64, 64)), torch.tensor(111.0))
    with torch.no_grad():  # the finest map alone: 8 x 8 cells of 8 px
        network.heads[0].weight.normal_()
    answer = network(torch.randn(1, 1, 64, 64))
    assert answer.std() > 0


def test_later_stages_read_the_image_and_the_stage_before():
    network = Bi2017("resnet18").eval()
    assert [stage.encoder.conv1.in_channels for stage in network.stages] == [1, 4, 4]
    image = torch.randn(1, 1, 64, 64)
    before = network(image).extra
    with torch.no_grad():
        network.stages[1].heads[0].bias[1] += 1
    first, second, third = network(image).extra
    assert torch.equal(first, before[0])
    assert not torch.allclose(second, before[1]) and not torch.allclose(third, before[2])


@pytest.mark.parametrize("fusion", ["log-odds", "learned"])
def test_each_stage_learns_from_its_own_dice_alone(fusion):
    network = Bi2017("resnet18", fusion=fusion)
    mask, label = torch.randint(0, 3, (2, 64, 64)), torch.tensor([0, 1])
    logits = network(torch.randn(2, 1, 64, 64))
    terms = network.losses(logits, mask, label)
    extra = ["Fused Dice"] * (fusion == "learned")
    assert list(terms) == ["Stage 1 Dice", "Stage 2 Dice", "Stage 3 Dice", *extra]
    plain = task_losses(TaskLogits(seg3=logits.extra[1]), mask, label)
    assert torch.equal(terms["Stage 2 Dice"], plain["T3 Dice"])
    terms["Stage 2 Dice"].backward(retain_graph=True)
    learns = [any(p.grad is not None for p in stage.parameters()) for stage in network.stages]
    assert learns == [False, True, False]
    total = TaskLoss(network.losses)(logits, mask, label)
    assert float(total.detach()) == pytest.approx(
        sum(float(term.detach()) for term in terms.values())
    )


def test_the_learned_fusion_starts_at_the_mean_and_learns():
    network = Bi2017("resnet18", fusion="learned")
    logits = network(torch.randn(2, 1, 64, 64))
    assert torch.allclose(logits.seg3, fuse_log_odds(logits.extra), atol=1e-5)
    terms = network.losses(logits, torch.ones(2, 64, 64, dtype=torch.long), torch.zeros(2).long())
    terms["Fused Dice"].backward()
    assert network.fusion.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.stages.parameters())


@pytest.mark.parametrize(
    ("options", "words"), [({"fusion": "vote"}, "fusion='vote'"), ({"stages": 0}, "stages=0")]
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        Bi2017("resnet18", **options)


@pytest.mark.slow
def test_overfits_sixteen_phantoms():
    network = Bi2017("tu-tf_efficientnet_lite0", stages=2, weights="imagenet")
    measures = overfit(network, steps=60, lr=1e-2)
    assert measures["dice_class_mean"] > 0.9, measures
