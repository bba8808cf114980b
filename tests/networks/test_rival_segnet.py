"""SegNet: values return to the places that pooling took them from."""

import pytest
import torch
from overfit import overfit
from tiny import SMALL
from torchvision.models.vgg import cfgs, make_layers

from lib.cost import parameter_count
from lib.networks import SegNet, SegNetNative

LITE = {"encoder": "tu-tf_efficientnet_lite0", "decoder_channels": (128, 64, 32, 16, 16)}


def watch(module, store, name, *, given=False):
    """Keep what `module` returns, or is given, under `name`."""
    if given:
        module.register_forward_pre_hook(lambda _, args: store.__setitem__(name, args[0]))
    else:
        module.register_forward_hook(lambda _, args, out: store.__setitem__(name, out))


def test_native_width():
    assert round(parameter_count(SegNetNative(width=0.25)) / 1e6, 1) == 1.8


def test_native_has_the_encoder_of_torchvisions_vgg16():
    """With its parameters, the fifth pool (torchvision's layer 43) gives the same maxima."""
    torch.manual_seed(0)
    theirs = make_layers(cfgs["D"], batch_norm=True)
    theirs[0] = torch.nn.Conv2d(1, 64, 3, padding=1)
    ours = SegNetNative()
    ours.load_vgg(theirs)
    assert [i for i, m in enumerate(theirs) if isinstance(m, torch.nn.MaxPool2d)] == [
        6, 13, 23, 33, 43,
    ]  # fmt: skip
    kept = {}
    watch(ours.encoder[-1], kept, "last")
    image = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        ours.eval()(image)
        pooled = torch.nn.functional.max_pool2d(kept["last"], 2)
        assert torch.allclose(pooled, theirs.eval()(image), atol=1e-6)


def test_native_decoder_mirrors_the_encoder():
    network = SegNetNative()
    sizes = [
        [(m.in_channels, m.out_channels) for m in part.modules() if isinstance(m, torch.nn.Conv2d)]
        for part in (network.encoder, network.decoder)
    ]
    down, up = sizes
    assert len(down) == 13 and [(b, a) for a, b in reversed(down[1:])] == up
    assert (network.segmentation_head.in_channels, network.segmentation_head.out_channels) == (
        64,
        3,
    )


def test_native_values_return_to_where_each_window_had_its_maximum():
    network, kept = SegNetNative(width=0.125).eval(), {}
    for level in range(5):
        watch(network.encoder[level], kept, f"encoded {level}")
        watch(network.decoder[4 - level], kept, f"unpooled {level}", given=True)
        watch(network.decoder[4 - level], kept, f"decoded {level}")
    with torch.no_grad():
        network(torch.randn(2, 1, 64, 64))
    for level in range(4):  # what enters the unpooling is what the level below decoded
        source, found = kept[f"encoded {level}"], kept[f"unpooled {level}"]
        values = kept[f"decoded {level + 1}"]
        n, c, h, w = values.shape
        windows = source.reshape(n, c, h, 2, w, 2).transpose(3, 4).flatten(4)
        expected = torch.zeros_like(windows)
        expected.scatter_(4, windows.argmax(4, keepdim=True), values[..., None])
        expected = expected.unflatten(4, (2, 2)).transpose(3, 4).reshape(n, c, 2 * h, 2 * w)
        assert torch.equal(found, expected) and found.abs().sum() > 0


@pytest.mark.parametrize("encoder", ["resnet18", LITE["encoder"]])
def test_stem_values_return_to_local_maxima_of_the_stem(encoder):
    network, kept = SegNet(encoder, **SMALL).eval(), {}
    watch(network.decoder[2], kept, "values")
    watch(network.decoder[3], kept, "unpooled", given=True)
    image = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        network(image)
        stem = network.encoder(image)[1]
    values, unpooled = kept["values"][0], kept["unpooled"][0]
    assert values.shape[-2:] == (8, 8) and unpooled.shape[-2:] == (16, 16)
    expected = torch.zeros_like(unpooled)
    for channel in range(len(stem[0])):
        for row in range(8):
            for column in range(8):
                top, left = max(2 * row - 1, 0), max(2 * column - 1, 0)
                window = stem[0, channel, top : 2 * row + 2, left : 2 * column + 2]
                down, right = divmod(int(window.argmax()), window.shape[1])
                expected[channel, top + down, left + right] = values[channel, row, column]
    assert torch.equal(unpooled, expected) and unpooled.abs().sum() > 0


def test_the_resnets_own_pool_has_the_same_places():
    network = SegNet("resnet18").eval()
    image, kept = torch.randn(1, 1, 64, 64), {}
    watch(network.encoder.maxpool, kept, "pooled")
    with torch.no_grad():
        stem = network.encoder(image)[1]
    again, places = torch.nn.functional.max_pool2d(stem, 3, 2, 1, return_indices=True)
    assert torch.equal(again, kept["pooled"])
    assert torch.equal(stem.flatten(2).gather(2, places.flatten(2)), again.flatten(2))


def test_no_skips():
    """The decoder gets the deepest features and places, so none of its convolutions is wider."""
    network = SegNet("resnet18", **SMALL)
    taken = [stage[0].in_channels for stage in network.decoder]
    assert taken == [512, 32, 24, network.encoder.out_channels[1], 16]


@pytest.mark.parametrize("size", [64, 96])
@pytest.mark.parametrize(
    "make", [lambda: SegNet(weights="imagenet", **LITE), lambda: SegNetNative(width=0.125)]
)
def test_laptop_and_memory_layouts(make, size):
    network = make().eval()
    image = torch.randn(2, 1, size, size)
    with torch.no_grad():
        plain = network(image).seg3
        network.to(memory_format=torch.channels_last)
        last = network(image.contiguous(memory_format=torch.channels_last)).seg3
    assert plain.shape == (2, 3, size, size)
    assert torch.allclose(plain, last, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SegNetNative(width=0), "width=0"),
        (lambda: SegNetNative(width=0.5, weights="imagenet"), r"width=1 only, not 0\.5"),
        (lambda: SegNet("resnet18", decoder_channels=(8, 8)), "five numbers"),
        (lambda: SegNet("mit_b0"), "no features of stride 2"),
    ],
)
def test_bad_options(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "steps", "lr"),
    [
        (lambda: SegNet("resnet18", **SMALL), 70, 2e-3),
        (lambda: SegNetNative(width=0.125), 100, 5e-3),
    ],
)
def test_overfits(make, steps, lr):
    assert overfit(make(), steps, lr)["dice_class_mean"] > 0.9
