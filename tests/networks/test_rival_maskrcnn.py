"""Mask R-CNN: instances of a mask, the five losses, and masks painted from boxes."""

import pytest
import tiny
import torch
from overfit import overfit
from tiny import two_nodules
from torchvision.models.detection import MaskRCNN as Theirs
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from lib.cost import forward_flops, parameter_count
from lib.learner import TaskLoss
from lib.networks import MaskRCNN
from lib.networks.rivals.maskrcnn import TERMS, instances_of, paint

SMALL = {"encoder": "resnet18", **tiny.SMALL}
FIVE = set(TERMS.values())


def test_five_levels_at_the_papers_size():
    with torch.device("meta"):
        _, features = MaskRCNN("resnet101")(torch.zeros(2, 1, 512, 512)).extra
    assert {tuple(one.shape) for one in features.values()} == {
        (2, 256, side, side) for side in (128, 64, 32, 16, 8)
    }


def test_all_but_the_first_layer_is_torchvisions():
    """The same parameters as their constructor makes, for three channels of colour."""
    with torch.device("meta"):
        backbone = resnet_fpn_backbone(
            backbone_name="resnet101", weights=None, norm_layer=torch.nn.BatchNorm2d,
            trainable_layers=5,
        )  # fmt: skip
        theirs = Theirs(backbone, num_classes=3)
        ours = MaskRCNN("resnet101")
    assert parameter_count(theirs) - parameter_count(ours) == 64 * 2 * 7 * 7
    for part in ("rpn", "roi_heads"):
        shapes = [
            {name: p.shape for name, p in getattr(one, part).named_parameters()}
            for one in (ours, theirs)
        ]
        assert shapes[0] == shapes[1]


def test_instances_of_a_mask():
    mask = torch.zeros(6, 8, dtype=torch.long)
    mask[0, 0] = mask[1, 1] = 1  # touch at a corner
    mask[4:6, 2:5], mask[0:2, 6:8] = 1, 2
    found = instances_of(mask)
    assert found["labels"].tolist() == [1, 1, 2]
    assert found["boxes"].tolist() == [[0, 0, 2, 2], [2, 4, 5, 6], [6, 0, 8, 2]]
    assert torch.equal((found["masks"] * found["labels"][:, None, None]).sum(0), mask)
    nothing = instances_of(torch.zeros(6, 8, dtype=torch.long))
    assert nothing["boxes"].shape == (0, 4) and nothing["masks"].shape == (0, 6, 8)
    assert nothing["labels"].dtype == torch.int64


def test_paint_puts_the_most_probable_box_on_top():
    found = {
        "boxes": torch.tensor([[2.0, 2.0, 6.0, 6.0], [0.0, 0.0, 8.0, 8.0]]),
        "labels": torch.tensor([2, 1]),
        "masks": torch.stack([torch.full((1, 28, 28), 0.9), torch.full((1, 28, 28), 0.6)]),
    }
    painted = paint(found, (10, 10))
    assert torch.allclose(painted.sum(0), torch.ones(10, 10))
    assert painted[:, 4, 4].tolist() == pytest.approx([0.1, 0, 0.9])
    assert painted[:, 7, 4].tolist() == pytest.approx([0.4, 0.6, 0])
    assert painted[:, 9, 9].tolist() == [1, 0, 0]
    empty = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0).long(),
        "masks": torch.zeros(0, 1, 28, 28),
    }
    assert paint(empty, (4, 4))[0].all()
    faint = {**found, "masks": found["masks"] / 2}  # .45 and .3 paint nothing
    assert torch.equal(paint(faint, (4, 4)), paint(empty, (4, 4)))


def test_five_losses_train_every_part():
    network = MaskRCNN(**SMALL)
    image, mask, label = two_nodules()
    loss = TaskLoss(network.losses)
    loss(network(image), mask, label).backward()
    assert set(loss.terms) == FIVE and all(torch.isfinite(t) for t in loss.terms.values())
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
    assert dict(network(image).probabilities.items()) == {}


def test_empty_and_unknown_images():
    """An image without nodule is background; one of unknown class is not there at all."""
    network = MaskRCNN(**SMALL)
    image, mask, label = two_nodules()
    empty = network.losses(network(image), torch.zeros_like(mask), label)
    assert set(empty) == FIVE and empty["Masks"] == 0 == empty["Boxes"] and empty["Objectness"] > 0
    unknown = network.losses(network(image), torch.full_like(mask, 3), label)
    assert set(unknown) == FIVE and sum(unknown.values()) == 0
    sum(unknown.values()).backward()
    mask[1] = 3
    logits = network(image)
    images, features = logits.extra
    features = {name: one.detach().requires_grad_() for name, one in features.items()}
    sum(network.losses(type(logits)(extra=(images, features)), mask, label).values()).backward()
    assert features["0"].grad[0].any() and not features["0"].grad[1].any()


def test_evaluation_gives_a_mask_and_its_dice():
    network = MaskRCNN(**SMALL).eval()
    image, mask, label = two_nodules()
    with torch.no_grad():
        logits = network(image)
        terms = network.losses(logits, mask, label)
    assert set(terms) == {"T3 Dice"} and 0 <= terms["T3 Dice"] <= 1
    assert torch.allclose(logits.probabilities.seg3.sum(1), torch.ones(2, 64, 64))


def test_pixels_are_taken_in_proportion():
    network = MaskRCNN(**SMALL).eval()
    for side, rois in ((512, 512), (96, 18), (64, 16)):
        network._scale_to(side)
        squares = [cell[1] for cell in network.rpn.anchor_generator.cell_anchors]
        assert [float(s[2] - s[0]) for s in squares] == [side / 2**n for n in (4, 3, 2, 1, 0)]
        assert network.roi_heads.fg_bg_sampler.batch_size_per_image == rois
        assert network.roi_heads.mask_roi_pool.canonical_scale == 224 * side / 512


@pytest.mark.parametrize("size", [64, 96])
def test_laptop(size):
    network = MaskRCNN(
        "tu-tf_efficientnet_lite0", weights="imagenet", decoder_channels=(128, 64, 32, 16, 16)
    ).to(memory_format=torch.channels_last)
    image, mask, label = two_nodules(size)
    image = image.contiguous(memory_format=torch.channels_last)
    assert torch.isfinite(sum(network.losses(network(image), mask, label).values()))
    with torch.no_grad():
        assert network.eval()(image).seg3.shape == (2, 3, size, size)
    assert forward_flops(network, size) > 1e8


def test_bad_options():
    with pytest.raises(ValueError, match="instances=0"):
        MaskRCNN("resnet18", instances=0)


@pytest.mark.slow
def test_overfits():
    network = MaskRCNN(
        "tu-tf_efficientnet_lite0", weights="imagenet", decoder_channels=(48, 24, 16, 16, 8)
    )
    assert overfit(network, steps=60, lr=2e-3)["dice_class_mean"] > 0.9
