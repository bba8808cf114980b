"""Networks: shapes, sizes, and weights that come without a download."""

import pytest
import segmentation_models_pytorch as smp
import torch

from ci.recipe import stages_apart
from lib.cost import forward_flops, parameter_count
from lib.networks import MSMTL, TaskLogits, WeightsError, encoders, smp_model

LITE = "tu-tf_efficientnet_lite0"
SMALL = {"decoder_channels": (32, 24, 16, 16, 8)}


def test_msmtl_at_the_papers_size():
    with torch.device("meta"):
        network = MSMTL("resnet101")
        logits = network(torch.zeros(2, 1, 512, 512))
    # shape: cls (2, 2), seg2 (2, 2, 512, 512), seg3 (2, 3, 512, 512)
    assert logits.cls.shape == (2, 2)
    assert logits.seg2.shape == (2, 2, 512, 512) and logits.seg3.shape == (2, 3, 512, 512)
    assert round(parameter_count(network) / 1e6, 1) == 103.0


def test_stage_2_reads_stage_1s_logits():
    """Changing T2's bias moves T3, and T3's gradient reaches stage 1 only through T2."""
    torch.manual_seed(0)
    network = MSMTL("resnet18", **SMALL).eval()
    image = torch.randn(1, 1, 64, 64)
    before = network(image).seg3
    network(image).seg3.sum().backward()
    assert network.stage1.segmentation_head[0].bias.grad.abs().sum() > 0
    assert network.stage1.classification_head[-1][-1].weight.grad is None
    with torch.no_grad():
        network.stage1.segmentation_head[0].bias += 1
    assert not torch.allclose(before, network(image).seg3)


def test_classification_branch_is_pool_flatten_normalise_linear():
    network = MSMTL("resnet18", **SMALL)
    image = torch.randn(4, 1, 64, 64)
    pooled = network.stage1.encoder(image)[-1].mean((2, 3))
    assert network(image).cls.abs().max() == 0  # the layer starts at 0: equal probabilities
    linear = network.stage1.classification_head[-1][-1]
    torch.nn.init.normal_(linear.weight)
    spread = ((pooled - pooled.mean(0)) ** 2).mean(0)
    expected = (pooled - pooled.mean(0)) / (spread + 1e-5).sqrt() @ linear.weight.T
    assert torch.allclose(network(image).cls, expected, atol=1e-3)


def test_a_training_batch_of_one_image_is_refused_and_read_when_trained():
    network = MSMTL("resnet18", **SMALL)
    with pytest.raises(ValueError, match="a training batch of one image"):
        network(torch.zeros(1, 1, 64, 64))
    assert network.eval()(torch.zeros(1, 1, 64, 64)).cls.shape == (1, 2)


def test_the_trial_of_stages_apart_keeps_t3s_gradient_in_stage_2():
    torch.manual_seed(0)
    network = MSMTL("resnet18", **SMALL).eval()
    image = torch.randn(1, 1, 64, 64)
    before = network(image).seg3
    stages_apart(network)
    network(image).seg3.sum().backward()
    assert torch.equal(before, network(image).seg3)  # the answers are the same
    assert all(weight.grad is None for weight in network.stage1.parameters())
    assert network.stage2.encoder.conv1.weight.grad.abs().sum() > 0
    network(image).seg2.sum().backward()  # T2 still teaches stage 1
    assert network.stage1.encoder.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("handoff", "channels"), [("logits", 3), ("features", 9)])
def test_handoff(handoff, channels):
    network = MSMTL("resnet18", handoff=handoff, **SMALL)
    assert network.stage2.encoder.conv1.in_channels == channels
    assert network(torch.zeros(2, 1, 64, 64)).seg3.shape == (2, 3, 64, 64)


def test_the_two_stages_share_no_weights():
    network = MSMTL("resnet18", **SMALL)
    one, two = ({id(p) for p in s.parameters()} for s in (network.stage1, network.stage2))
    assert one and two and not one & two


def test_another_architecture_as_building_block():
    network = MSMTL("resnet18", architecture="FPN")
    assert network(torch.zeros(2, 1, 64, 64)).seg3.shape == (2, 3, 64, 64)


def test_packaged_weights_compute_what_timm_computes():
    """The renamed tensors in timm's own network give the features of ours, for three channels."""
    import timm

    ours = smp_model("Unet", LITE, in_channels=3, weights="imagenet", **SMALL).encoder.eval()
    theirs = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    theirs.load_state_dict({k.removeprefix("model."): v for k, v in ours.state_dict().items()})
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for mine, other in zip(ours(image)[-5:], theirs(image), strict=True):
            assert torch.equal(mine, other)
    first = next(iter(encoders._packaged_weights(LITE, ours.state_dict()).values()))
    assert first.shape == (32, 3, 3, 3) and first.abs().sum() > 1


def test_grey_input_sees_what_three_equal_channels_see():
    grey = smp_model("Unet", LITE, in_channels=1, weights="imagenet", **SMALL).encoder.eval()
    rgb = smp_model("Unet", LITE, in_channels=3, weights="imagenet", **SMALL).encoder.eval()
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(grey(image)[-1], rgb(image.expand(-1, 3, -1, -1))[-1], atol=1e-3)


def test_a_package_that_does_not_fit_is_an_error(monkeypatch):
    monkeypatch.setitem(encoders.PACKAGED, "tu-tf_efficientnet_lite1", encoders.PACKAGED[LITE])
    with pytest.raises(WeightsError, match="does not fit"):
        smp_model("Unet", "tu-tf_efficientnet_lite1", weights="imagenet")


def test_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch):
    def offline(*args, **kwargs):
        if kwargs.get("encoder_weights"):
            raise OSError("no route to host")
        return smp.Unet(*args, **kwargs)

    monkeypatch.setattr(encoders.smp, "Linknet", offline)
    offline.forward = None
    with pytest.raises(WeightsError, match=r"resnet18 could not be fetched.*weights=None"):
        smp_model("Linknet", "resnet18", weights="imagenet")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MSMTL("resnet18", handoff="all"), "handoff='all'"),
        (lambda: MSMTL("resnet18", architecture="Une"), "no architecture 'Une'"),
        (lambda: MSMTL("resnet1"), "encoder 'resnet1'"),
        (lambda: MSMTL("resnet18", weights="random"), "weights='random'"),
    ],
)
def test_bad_options(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_task_logits_names_what_is_there_and_normalises_it():
    logits = TaskLogits(cls=torch.zeros(1, 2, dtype=torch.bfloat16), seg3=torch.zeros(1, 3, 2, 2))
    assert [name for name, _ in logits.items()] == ["cls", "seg3"]
    chances = logits.probabilities
    assert chances.cls.dtype == torch.float32 and chances.seg2 is None
    assert torch.allclose(chances.seg3, torch.full((1, 3, 2, 2), 1 / 3))


def test_flops_of_one_convolution():
    network = torch.nn.Conv2d(1, 4, 3, padding=1, bias=False)
    # 4 x 8 x 8 outputs, 9 multiplications and additions each
    assert forward_flops(network, 8) == 2 * 4 * 8 * 8 * 9
    assert parameter_count(network) == 36
