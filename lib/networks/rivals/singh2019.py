"""Singh et al. 2019: a conditional GAN draws the mask, and its shape names the class."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ...losses import task_losses
from ..encoders import smp_model
from ..heads import ClassLayer
from ..logits import TaskLogits
from .forest import Forest
from .shape import STATISTICS, shape_statistics

CLASSIFIERS = ("rf", "fc")
RATES = (1, 2, 4)  # px of stride 32
L1, SSIM = 100.0, 10.0  # weights of the terms


class Singh2019(nn.Module):
    """An encoder, atrous convolutions and channel weighting at its end, a U-Net decoder, a judge.

    Generator and discriminator live in one network and one Adam steps both: Adam treats each
    parameter for itself, and no gradient of the one's loss reaches the other, so this is what two
    optimisers would do that step at the same moment, each against the other's last state.

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        classification: "rf", the source's: a random forest on the shape of the predicted mask, to
            be grown by `after_training`, before which there is no class; or "fc", a fully connected
            layer on the pooled bottleneck, trained with the rest.
        weights: None, or "imagenet".
        decoder_channels: of smp's U-Net decoder; the first is also the width of each atrous branch,
            and a quarter of it that of the discriminator's first layer, 64 in the paper's profile.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to seg2 (N, 2, H, W) and cls (N, 2);
    `extra` is the image. With resnet101 it has 70.5 million parameters, 2.8 of them in the
    discriminator. Raises ValueError for an unknown option, `WeightsError` if weights cannot be had.

    >>> answer = Singh2019("resnet18", classification="fc")(torch.zeros(2, 1, 64, 64))
    >>> [(name, tuple(scores.shape)) for name, scores in answer.items()]
    [('cls', (2, 2)), ('seg2', (2, 2, 64, 64))]
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        classification: str = "rf",
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
    ):
        super().__init__()
        if classification not in CLASSIFIERS:
            raise ValueError(
                f"classification={classification!r}; use one of {', '.join(CLASSIFIERS)}"
            )
        model = smp_model(
            "Unet", encoder, weights=weights, classes=2, decoder_channels=decoder_channels
        )
        self.encoder, self.decoder = model.encoder, model.decoder
        self.segmentation_head = model.segmentation_head
        deepest, width = self.encoder.out_channels[-1], decoder_channels[0]
        self.bottleneck = nn.Sequential(Atrous(deepest, width), ChannelWeighting(deepest))
        self.discriminator = PatchDiscriminator(width // 4)
        self.forest = self.classification_head = None
        if classification == "rf":
            self.forest = Forest(len(STATISTICS))
        else:
            self.classification_head = ClassLayer(deepest)

    def forward(self, image: Tensor) -> TaskLogits:
        *finer, deepest = self.encoder(image)
        deepest = self.bottleneck(deepest)
        seg2 = self.segmentation_head(self.decoder([*finer, deepest]))
        return TaskLogits(cls=self._class(deepest, seg2), seg2=seg2, extra=image)

    def _class(self, deepest: Tensor, seg2: Tensor) -> Tensor | None:
        if self.forest is None:
            return self.classification_head(deepest.mean((2, 3)))
        if self.training or not self.forest.fitted:
            return None
        malignant = self.forest(_shape(seg2))
        both = torch.stack([1 - malignant, malignant], dim=1)
        return both.clamp(min=1e-6).log().to(torch.float32)

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The generator's "Adversarial", "L1" and "SSIM", the "Discriminator"'s, and "T1 BCE".

        Adversarial: cross-entropy of the discriminator's answer to the predicted mask against
        "real", with the discriminator held still. Discriminator: the mean of its cross-entropies
        for the true mask and the predicted one, which is held still. The mask is that of any
        nodule. "T1 BCE" is there with the fully connected layer.
        """
        image = logits.extra
        true = (mask > 0)[:, None].to(image.dtype)
        drawn = logits.probabilities.seg2[:, 1:].to(image.dtype)
        still = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        terms = {
            "Adversarial": _judged(
                functional_call(self.discriminator, still, (image, drawn)), True
            ),
            "L1": L1 * (drawn - true).abs().mean(),
            "SSIM": SSIM * (1 - ssim(drawn, true)),
            "Discriminator": 0.5
            * (
                _judged(self.discriminator(image, true), True)
                + _judged(self.discriminator(image, drawn.detach()), False)
            ),
        }
        if self.classification_head is not None:
            terms |= task_losses(TaskLogits(cls=logits.cls), mask, label)
        return terms

    @torch.no_grad()
    def after_training(self, batches: Iterable) -> None:
        """Grow the forest on the masks predicted for batches of (image, mask, label).

        `lib.training.train` calls this with the training loader once the best epoch's weights are
        loaded. Images without a label stay out. Where a class is missing, the forest is not grown,
        and the network gives no class.
        """
        if self.forest is None:
            return
        self.eval()
        values, labels = [], []
        for image, _, label in batches:
            values.append(_shape(self(image.as_subclass(Tensor)).seg2))
            labels.append(label.as_subclass(Tensor))
        label = torch.cat(labels)
        if set(label[label >= 0].tolist()) == {0, 1}:
            self.forest.fit(torch.cat(values)[label >= 0], label[label >= 0])


class Atrous(nn.Module):
    """Convolutions of 3 x 3 with several dilations side by side, joined and added to the input.

    Shapes: (N, C, H, W) to the same.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, width, 3, padding=rate, dilation=rate, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            )
            for rate in RATES
        )
        self.join = nn.Sequential(
            nn.Conv2d(len(RATES) * width, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        seen = torch.cat([branch(features) for branch in self.branches], dim=1)
        return F.relu(features + self.join(seen))


class ChannelWeighting(nn.Module):
    """Each channel times a weight of 0 to 1, read from the means of all channels (Hu et al. 2018).

    Shapes: (N, C, H, W) to the same.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        narrow = max(channels // reduction, 1)
        self.weigh = nn.Sequential(
            nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        return features * self.weigh(features.mean((2, 3)))[:, :, None, None]


class PatchDiscriminator(nn.Module):
    """Is the mask of this image real? One score for each patch of 70 x 70 px (Isola et al. 2017).

    Instance normalisation keeps no averages, so that judging a mask for the generator's sake
    leaves the discriminator as it is. Shapes: image and mask (N, 1, H, W), the mask 0..1, to
    scores (N, 1, H / 8 - 2, W / 8 - 2), before the sigmoid; H and W are 32 at least.

    >>> one = torch.zeros(1, 1, 96, 96)
    >>> PatchDiscriminator(8)(one, one).shape
    torch.Size([1, 1, 10, 10])
    """

    def __init__(self, width: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(2, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for power, stride in ((1, 2), (2, 2), (3, 1)):
            layers += [
                nn.Conv2d(width << power - 1, width << power, 4, stride, padding=1, bias=False),
                nn.InstanceNorm2d(width << power, affine=True),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width << 3, 1, 4, padding=1))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.layers(torch.cat([image, mask], dim=1))


def ssim(one: Tensor, other: Tensor, *, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Mean structural similarity of two maps of values 0..1: 1 if they are equal.

    Shapes (N, 1, H, W), a scalar back; the window is Gaussian and stays inside the image. Wang et
    al. 2004, Eq. 13, with their constants.

    >>> edge = torch.eye(16).reshape(1, 1, 16, 16)
    >>> round(ssim(edge, edge).item(), 4), ssim(edge, 1 - edge).item() < 0
    (1.0, True)
    """
    at = torch.arange(window, device=one.device, dtype=one.dtype) - window // 2
    weights = torch.softmax(-(at**2) / (2 * sigma**2), dim=0)

    def blur(values: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(values, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))

    mean1, mean2 = blur(one), blur(other)
    variance1, variance2 = blur(one * one) - mean1**2, blur(other * other) - mean2**2
    covariance = blur(one * other) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    similar = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    return (similar / ((mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2))).mean()


def _judged(scores: Tensor, real: bool) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))


def _shape(seg2: Tensor) -> Tensor:
    return shape_statistics(seg2[:, 1] > seg2[:, 0])
