"""Singh et al. 2019: two players in one network, and a forest on the shape of the mask."""

import math

import numpy as np
import pytest
import tiny
import torch
from overfit import overfit, sixteen_phantoms
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from tiny import two_nodules

from lib.cost import parameter_count
from lib.learner import OPTIMISERS, TaskLoss
from lib.networks import Singh2019
from lib.networks.rivals.forest import Forest
from lib.networks.rivals.shape import STATISTICS, shape_statistics
from lib.networks.rivals.singh2019 import Atrous, ChannelWeighting, PatchDiscriminator, ssim

SMALL = {"encoder": "resnet18", **tiny.SMALL}
GENERATOR = ("Adversarial", "L1", "SSIM")


def gradients(network, terms, *names):
    """Which parameters the terms of these names reach, as two sets: generator, discriminator."""
    network.zero_grad()
    sum(terms[name] for name in names).backward(retain_graph=True)
    reached = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    judge = {name for name in reached if name.startswith("discriminator")}
    return reached - judge, judge


def test_the_discriminator_at_the_papers_size():
    with torch.device("meta"):
        network = Singh2019("resnet101", classification="fc")
        logits = network(torch.zeros(2, 1, 512, 512))
        judged = network.discriminator(logits.extra, torch.zeros(2, 1, 512, 512))
    assert judged.shape == (2, 1, 62, 62)
    assert round(parameter_count(network.discriminator) / 1e6, 1) == 2.8


def test_each_term_trains_its_own_player():
    network = Singh2019(**SMALL, classification="fc")
    image, mask, label = two_nodules()
    terms = network.losses(network(image), mask, label)
    assert set(terms) == {*GENERATOR, "Discriminator", "T1 BCE"}
    for name in GENERATOR:
        drawn, judge = gradients(network, terms, name)
        assert "encoder.conv1.weight" in drawn and not judge, name
    drawn, judge = gradients(network, terms, "Discriminator")
    assert not drawn and len(judge) == len(list(network.discriminator.parameters()))
    drawn, judge = gradients(network, terms, "T1 BCE")
    assert "classification_head.1.weight" in drawn and not judge


def test_one_adam_is_two():
    """One step over all parameters equals a step of each player's own Adam."""
    image, mask, label = two_nodules()
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        networks.append(Singh2019(**SMALL))
    one, two = networks
    adam = OPTIMISERS["adam-gan"]
    sum(one.losses(one(image), mask, label).values()).backward()
    adam(one.parameters(), lr=2e-4).step()

    terms = two.losses(two(image), mask, label)
    judge = list(two.discriminator.parameters())
    draw = [p for name, p in two.named_parameters() if not name.startswith("discriminator")]
    for player, names in ((draw, GENERATOR), (judge, ("Discriminator",))):
        total = sum(terms[name] for name in names)
        found = torch.autograd.grad(total, player, retain_graph=True)
        for weight, gradient in zip(player, found, strict=True):
            weight.grad = gradient
    adam(draw, lr=2e-4).step()
    adam(judge, lr=2e-4).step()
    moved = [torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True)]
    assert all(moved)


def test_the_discriminator_learns():
    """Against a generator that stands still it tells true masks from drawn ones."""
    network = Singh2019(**SMALL)
    image, mask, label = sixteen_phantoms(64)
    with torch.no_grad():
        logits = network(image)
    before = [p.clone() for p in network.discriminator.parameters()]
    player = OPTIMISERS["adam-gan"](network.discriminator.parameters(), lr=2e-3)
    history = []
    for _ in range(8):
        player.zero_grad()
        loss = network.losses(logits, mask, label)["Discriminator"]
        loss.backward()
        player.step()
        history.append(loss.item())
    assert history[-1] < history[0] / 2
    assert not any(
        torch.equal(p, q) for p, q in zip(before, network.discriminator.parameters(), strict=True)
    )


def test_discriminator_keeps_no_averages_and_sees_patches():
    judge = PatchDiscriminator(4)
    assert not list(judge.buffers())
    image = torch.randn(1, 1, 256, 256, requires_grad=True)
    plain = torch.nn.Sequential(
        *(m for m in judge.layers if not isinstance(m, torch.nn.InstanceNorm2d))
    )
    plain(torch.cat([image, image], 1))[0, 0, 15, 15].backward()
    seen = image.grad[0, 0].nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


def test_atrous_branches_reach_their_rates():
    block = Atrous(2, 3).eval()
    for branch, reach in zip(block.branches, (1, 2, 4), strict=True):
        image = torch.randn(1, 2, 17, 17, requires_grad=True)
        branch[0](image)[0, :, 8, 8].sum().backward()
        rows = image.grad[0].sum(0).nonzero()[:, 0]
        assert {abs(int(row) - 8) for row in rows} == {0, reach}


def test_channel_weighting_scales_whole_channels():
    block = ChannelWeighting(32)
    features = torch.rand(2, 32, 4, 4) + 0.5
    ratio = block(features) / features
    assert torch.allclose(ratio, ratio[:, :, :1, :1].expand_as(ratio), atol=1e-6)
    assert ratio.min() > 0 and ratio.max() < 1 and ratio.std() > 0


def test_ssim_against_scipys_gaussian():
    one, other = torch.rand(2, 24, 32).double().numpy()
    other = (one + other) / 2

    def blur(values):
        return ndimage.gaussian_filter(values, 1.5, radius=5)[5:-5, 5:-5]

    mean1, mean2 = blur(one), blur(other)
    covariance = blur(one * other) - mean1 * mean2
    variances = blur(one**2) - mean1**2 + blur(other**2) - mean2**2
    expected = (2 * mean1 * mean2 + 1e-4) * (2 * covariance + 9e-4)
    expected = expected / ((mean1**2 + mean2**2 + 1e-4) * (variances + 9e-4))
    found = ssim(*(torch.from_numpy(values)[None, None] for values in (one, other)))
    assert found.item() == pytest.approx(expected.mean(), abs=1e-9)


def test_shape_of_a_rectangle_by_hand():
    mask = torch.zeros(1, 10, 12, dtype=torch.bool)
    mask[0, 3:6, 4:9] = True  # 3 x 5, the outline has 12 pixels
    found = dict(zip(STATISTICS, shape_statistics(mask)[0].tolist(), strict=True))
    radii = np.array(
        [math.hypot(r, c) for r in (-1, 0, 1) for c in range(-2, 3) if abs(r) == 1 or abs(c) == 2]
    )
    assert len(radii) == 12
    unit = (radii - radii.mean()) / radii.std()
    expected = {
        "area": 15 / 120,
        "height to width": 3 / 5,
        "share of its box": 1,
        "roundness": 4 * math.pi * 15 / 12**2,
        "mean radius": radii.mean() / math.sqrt(15 / math.pi),
        "deviation of radius": radii.std() / radii.mean(),
        "skewness of radius": (unit**3).mean(),
        "kurtosis of radius": (unit**4).mean(),
        "longest radius": math.hypot(1, 2) / radii.mean(),
    }
    assert found == pytest.approx(expected, rel=1e-5)


def test_shape_of_nothing_and_of_everything():
    empty, full = torch.zeros(1, 8, 8, dtype=torch.bool), torch.ones(1, 8, 8, dtype=torch.bool)
    assert not shape_statistics(empty).any()
    found = dict(zip(STATISTICS, shape_statistics(full)[0].tolist(), strict=True))
    assert found["area"] == found["share of its box"] == found["height to width"] == 1
    assert found["roundness"] == pytest.approx(4 * math.pi * 64 / 28**2)


def test_forest_is_scikit_learns():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 9)).astype(np.float32)
    label = (values[:, 0] + values[:, 3] ** 2 + rng.normal(size=200) > 1).astype(int)
    forest = Forest(9, trees=20, depth=5)
    assert forest(torch.from_numpy(values)).unique().tolist() == [0.5] and not forest.fitted
    forest.fit(torch.from_numpy(values), torch.from_numpy(label))
    theirs = RandomForestClassifier(20, max_depth=5, random_state=0).fit(values, label)
    more = rng.normal(size=(300, 9)).astype(np.float32)
    expected = theirs.predict_proba(more)[:, 1]
    assert np.allclose(forest(torch.from_numpy(more)), expected, atol=1e-12)
    again = Forest(9, trees=20, depth=5)
    again.load_state_dict(forest.state_dict())
    assert again.fitted and np.allclose(again(torch.from_numpy(more)), expected, atol=1e-12)
    with pytest.raises(ValueError, match=r"\[1\]; a forest needs"):
        forest.fit(torch.zeros(3, 9), torch.ones(3, dtype=torch.long))


def test_forest_names_the_class_after_training():
    network = Singh2019(**SMALL)
    image, mask, label = sixteen_phantoms(64)
    assert network(image).cls is None and network.eval()(image).cls is None
    unlabelled = torch.where(torch.arange(16) < 2, -1, label)
    network.after_training(
        [(image[:8], mask[:8], unlabelled[:8]), (image[8:], mask[8:], label[8:])]
    )
    logits = network(image)
    expected = network.forest(shape_statistics(logits.seg2.argmax(1).bool()))
    assert network.forest.fitted
    assert torch.allclose(logits.probabilities.cls[:, 1].double(), expected, atol=1e-5)
    assert expected.std() > 0 and network.train()(image).cls is None
    other = Singh2019(**SMALL)
    other.after_training([(image, mask, label * 0)])
    assert not other.forest.fitted and other(image).cls is None


@pytest.mark.parametrize("size", [64, 96])
def test_laptop(size):
    network = Singh2019(
        "tu-tf_efficientnet_lite0", weights="imagenet", decoder_channels=(128, 64, 32, 16, 16)
    ).to(memory_format=torch.channels_last)
    image, mask, label = two_nodules(size)
    image = image.contiguous(memory_format=torch.channels_last)
    assert torch.isfinite(TaskLoss(network.losses)(network(image), mask, label))
    network.after_training([(image, mask, label)])
    with torch.no_grad():
        logits = network(image)
    assert logits.seg2.shape == (2, 2, size, size) and logits.cls.shape == (2, 2)


def test_bad_options():
    with pytest.raises(ValueError, match="classification='svm'; use one of rf, fc"):
        Singh2019(classification="svm")


@pytest.mark.slow
def test_overfits():
    measures = overfit(Singh2019(**SMALL, classification="fc"), steps=50, lr=2e-3)
    assert measures["dice_nodule"] > 0.9 and measures["AUC"] > 0.95
