"""Zhou et al. 2021: a V-Net, and a class from its three deepest scales."""

import pytest
import torch
from overfit import overfit
from tiny import LITE, SMALL

from lib.cost import parameter_count
from lib.networks import Zhou2021, Zhou2021Native
from lib.networks.rivals.vnet import VNet


@pytest.mark.parametrize(
    ("make", "scales"), [(Zhou2021, (512, 1024, 2048)), (Zhou2021Native, (64, 128, 256))]
)
def test_the_classifier_reads_three_scales(make, scales):
    with torch.device("meta"):
        assert make().classification_head[-1].in_features == sum(scales)


@pytest.mark.parametrize(
    "make",
    [lambda: Zhou2021("resnet18", **SMALL), lambda: Zhou2021Native(channels=(2, 4, 8, 16, 32))],
)
def test_the_class_hangs_on_the_means_of_three_scales(make):
    """Every deep scale has its own weights, and the finer scales have none."""
    network = make().eval()
    torch.nn.init.normal_(network.classification_head[-1].weight)  # it starts at 0
    image = torch.randn(2, 1, 64, 64)
    encoded = network.encoder(image)
    means = torch.cat([encoded[at].mean((2, 3)) for at in (-3, -2, -1)], 1)
    assert torch.allclose(
        network(image).cls, network.classification_head(means), rtol=1e-4, atol=1e-5
    )
    handed = [level.detach().requires_grad_() for level in encoded]
    network.encoder.forward = lambda _: handed
    grads = torch.autograd.grad(network(image).cls.sum(), handed, allow_unused=True)
    assert [grad is not None for grad in grads] == [False] * 3 + [True] * 3


def test_v_net_goes_four_times_down_and_up():
    network = VNet(2)
    down = [m for m in network.encoder.modules() if getattr(m, "stride", None) == (2, 2)]
    up = [m for m in network.decoder.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert len(down) == len(up) == 4
    # channels of the levels on the way up: twice those down, but for the bottom (Milletari 2016)
    assert [m.in_channels for m in up] == [256, 256, 128, 64]
    wide = [
        m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)
    ]
    assert len(wide) == (1 + 2 + 3 + 3 + 3) + (3 + 3 + 2 + 1)


def test_v_nets_levels_add_their_input():
    """With its convolutions silenced, a level gives back what it got, less what is negative."""
    network = VNet(2, channels=(2, 4, 8, 16, 32)).eval()
    level = network.encoder.levels[0]
    torch.nn.init.zeros_(level[-1].weight)  # of the last normalisation; its bias is 0 anyway
    image = torch.randn(1, 1, 16, 16)
    assert torch.equal(level(image), image.relu().expand(-1, 2, -1, -1))


def test_v_net_hands_each_level_across():
    """A change of the finest level alone reaches the decoder's features."""
    network = VNet(2, channels=(2, 4, 8, 16, 32)).eval()
    encoded = network.encoder(torch.randn(1, 1, 32, 32))
    before = network.decoder(encoded)
    for at in range(1, 6):
        changed = [level + (k == at) for k, level in enumerate(encoded)]
        assert not torch.allclose(network.decoder(changed), before), at


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Zhou2021Native(channels=(4, 8, 16)), "5 levels"),
        (lambda: Zhou2021Native(channels=(4, 8, 16, 30, 60)), "twice the one before"),
        (lambda: Zhou2021Native()(torch.zeros(2, 1, 40, 64)), "multiples of 16"),
    ],
)
def test_bad_options(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_native_network_takes_a_profiles_options():
    network = Zhou2021Native(encoder="resnet101", weights="imagenet", decoder_channels=(1,) * 5)
    assert parameter_count(network) == parameter_count(Zhou2021Native())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (lambda: Zhou2021(**LITE), 25),
        (lambda: Zhou2021Native(channels=(4, 8, 16, 32, 64)), 40),
    ],
)
def test_overfits_sixteen_phantoms(make, steps):
    measures = overfit(make(), steps=steps)
    assert measures["dice_class_mean"] > 0.9 and measures["AUC"] > 0.95, measures
