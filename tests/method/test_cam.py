"""Grad-CAM on networks small enough to compute by hand, and on the book's own."""

import numpy as np
import pytest
import torch
from tiny import TinyNet
from torch import nn

from lib import cam
from lib.blocks import GREY
from lib.networks import MSMTL, ClsNet, Combined, TaskLogits, UNet

CHANNELS = (8, 8, 8, 8, 8)


class Classic(nn.Module):
    """One convolution, global average pooling, one linear layer: Grad-CAM is Zhou's CAM (2016)."""

    def __init__(self, classes=2):
        super().__init__()
        self.features = nn.Conv2d(1, 3, 3, padding=1, stride=2)
        self.head = nn.Linear(3, classes)
        self.other = nn.Conv2d(1, 4, 1)  # a map that the class is not computed from

    def forward(self, image):
        seg2 = self.other(image)[:, :2]
        return TaskLogits(cls=self.head(self.features(image).mean((2, 3))), seg2=seg2)


def classic_cam(network, image, target):
    """Zhou et al. 2016: the feature maps weighted by the head's weights of the class."""
    with torch.no_grad():
        features = network.features(image)
        maps = torch.einsum("c,nchw->nhw", network.head.weight[target], features).relu()
    return maps / maps.amax((1, 2), keepdim=True)


@pytest.mark.parametrize("target", [0, 1])
def test_it_is_the_classic_cam_where_that_exists(target):
    network, image = Classic(), torch.randn(3, 1, 16, 12)
    found = cam.layer_map(network, image, target)
    torch.testing.assert_close(found, classic_cam(network, image, target))
    assert found.shape == (3, 8, 6)


def test_a_map_by_hand():
    network = Classic()
    with torch.no_grad():
        network.features.weight.zero_()
        network.features.bias.zero_()
        network.features.weight[0, 0, 1, 1] = 1  # channel 0: every other pixel as it is
        network.head.weight.copy_(torch.tensor([[2.0, 5.0, 5.0], [-1.0, 5.0, 5.0]]))
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, ::2, ::2] = torch.tensor([[1.0, 2.0], [4.0, -3.0]])
    # shape: (1, 2, 2); for class 0 the evidence is 2 x channel 0, for class 1 it is minus channel 0
    expected = {0: [[0.25, 0.5], [1.0, 0.0]], 1: [[0.0, 0.0], [0.0, 1.0]]}
    for target, values in expected.items():
        found = cam.layer_map(network, image, target, "features")
        torch.testing.assert_close(found, torch.tensor([values]))


def test_each_image_is_explained_for_its_own_predicted_class():
    network, image = Classic(classes=5), torch.randn(40, 1, 16, 16)
    with torch.no_grad():
        network.head.bias.zero_()
        network.features.bias.zero_()
    guess = network(image).cls.argmax(1).tolist()
    assert len(set(guess)) > 1
    one_by_one = [cam.grad_cam(network, image[[k]], target) for k, target in enumerate(guess)]
    torch.testing.assert_close(cam.grad_cam(network, image), torch.cat(one_by_one))


def test_no_evidence_for_the_class_is_an_empty_map_and_not_nan():
    network = Classic()
    with torch.no_grad():
        network.features.weight.zero_()
        network.features.bias.fill_(1.0)
        network.head.weight.fill_(-1.0)
    assert cam.grad_cam(network, torch.rand(2, 1, 16, 16), 0).eq(0).all()


@pytest.mark.parametrize(
    ("network", "size", "layer", "name", "cells"),
    [
        (lambda: ClsNet("resnet18"), 96, None, "encoder.layer3", 6),
        (lambda: ClsNet("resnet18"), 192, None, "encoder.layer4", 6),
        (lambda: ClsNet("resnet18"), 96, 32, "encoder.layer4", 3),
        (lambda: ClsNet("resnet18"), 64, 8, "encoder.layer2", 8),
        (
            lambda: UNet("resnet18", classification=True, decoder_channels=CHANNELS),
            96, 16, "encoder.layer3", 6,
        ),
        (
            lambda: Combined(
                UNet("resnet18", mask="seg2", decoder_channels=CHANNELS), ClsNet("resnet18")
            ),
            96, None, "networks.1.encoder.layer3", 6,
        ),
        (
            lambda: MSMTL("tu-tf_efficientnet_lite0", decoder_channels=CHANNELS),
            96, None, "stage1.encoder.model.blocks.4", 6,
        ),
        (
            lambda: MSMTL("tu-tf_efficientnet_lite0", decoder_channels=CHANNELS),
            64, 32, "stage1.encoder.model.blocks.6", 2,
        ),
        (TinyNet, 32, None, "body", 32),
        (Classic, 8, None, "features", 4),
    ],
)  # fmt: skip
def test_the_layer_leaves_a_stage_of_the_encoder_that_feeds_the_class(
    network, size, layer, name, cells
):
    found = cam.find_layer(network(), torch.rand(1, 1, size, size), layer)
    assert found == cam.Layer(name, (cells, cells))


def test_grey_pictures_are_scaled_as_the_loaders_scale_them():
    network = TinyNet()
    grey = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    scaled = (grey[:, None] / 255 - GREY[0]) / GREY[1]
    torch.testing.assert_close(cam.grad_cam(network, grey), cam.grad_cam(network, scaled))


def test_the_network_is_left_as_it_was():
    network = TinyNet().train()
    network.drop.eval()
    network.cls.weight.requires_grad_(False)
    network.body[0].weight.grad = torch.ones_like(network.body[0].weight)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.rand(2, 1, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert cam.grad_cam(network, image).dtype == torch.float32
        assert not torch.is_grad_enabled()
    assert network.training and network.body.training and not network.drop.training
    assert network.body[0].weight.grad.eq(1).all() and network.cls.weight.grad is None
    assert not network.cls.weight.requires_grad and not image.requires_grad
    assert not any(module._forward_hooks for module in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_frozen_network_is_explained_all_the_same():
    network, image = TinyNet(), torch.rand(2, 1, 32, 32)
    free = cam.grad_cam(network, image)
    torch.testing.assert_close(cam.grad_cam(network.requires_grad_(False), image), free)


def test_hooks_are_gone_after_an_error():
    network = TinyNet(tasks=("seg2",))
    with pytest.raises(ValueError, match=r"TinyNet gives no class \(T1, cls\)"):
        cam.grad_cam(network, torch.rand(1, 1, 32, 32))
    assert network.training and not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": 2}, "target=2; use 'predicted' or 0 to 1"),
        ({"target": "malign"}, "target='malign'"),
        ({"layer": "other"}, "no layer 'other'; there are features"),
        ({"layer": 4}, "no feature map of stride 4 feeds the class; there are 2"),
    ],
)
def test_a_wrong_wish_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        cam.grad_cam(Classic(), torch.rand(1, 1, 16, 16), **options)


def test_images_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"torch.uint8 \(1, 1, 8, 8\)"):
        cam.grad_cam(Classic(), torch.zeros(1, 1, 8, 8, dtype=torch.uint8))


def test_mass_inside_by_hand():
    maps = np.array([[[1, 0], [2, 1]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]], np.float32)
    mask = np.array([[[1, 0], [2, 0]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]], np.uint8)
    share = cam.mass_inside(maps, mask)
    assert share[0] == pytest.approx(0.75) and share[1:].isnan().all()


def test_an_even_map_has_the_nodules_share_of_the_image_however_coarse_it_is():
    mask = torch.zeros(1, 96, 96, dtype=torch.uint8)
    mask[0, 10:34, 40:88] = 3
    assert cam.mass_inside(torch.full((1, 3, 3), 0.3), mask)[0] == pytest.approx(0.125)


def test_mass_inside_wants_as_many_maps_as_masks():
    with pytest.raises(ValueError, match="same N"):
        cam.mass_inside(torch.ones(2, 4, 4), torch.ones(3, 4, 4))


def test_a_class_from_no_feature_map_says_so():
    class Counts(nn.Module):
        """The class from how much of the image is bright, without a gradient, as a forest's is."""

        def forward(self, image):
            bright = (image > 0).float().mean((1, 2, 3))
            return TaskLogits(cls=torch.stack([bright, 1 - bright], 1))

    with pytest.raises(cam.NoFeatureMapError, match="Counts computes the class from no feature"):
        cam.find_layer(Counts(), torch.rand(1, 1, 16, 16))
