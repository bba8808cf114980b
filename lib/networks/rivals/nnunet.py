"""nnU-Net: a plain U-Net as deep as the image allows, supervised at every scale (Isensee 2021)."""

import math

from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import Tensor, nn
from torch.nn import functional as F

from ...losses import class_known, dice_loss, full_precision, one_hot
from ..logits import TaskLogits
from ..unet import UNet

CLASSES = 3  # background, benign, malignant
SMALLEST = 4  # px a side of the deepest map
WIDEST = 512  # channels


def scale_weights(scales: int) -> list[float]:
    """Weight of each scale's loss, from the finest: halved each time, the last 0, sum 1.

    A single scale has all the weight.

    >>> [round(weight, 3) for weight in scale_weights(4)]
    [0.571, 0.286, 0.143, 0.0]
    """
    weights = [2.0**-at for at in range(scales)]
    if scales > 1:
        weights[-1] = 0.0
    return [weight / sum(weights) for weight in weights]


def supervise(scales: tuple[Tensor, ...], mask: Tensor) -> dict[str, Tensor]:
    """nnU-Net's loss: "T3 Dice" without background and "T3 CE", each a weighted sum over scales.

    Shapes: scores (N, 3, H / s, W / s) for any strides s, the finest first, and mask (N, H, W),
    whose pixel nearest to the middle stands for each s x s. Dice sums over the batch. Images that
    hold a nodule of unknown class stay out; if that is all of them, both terms are 0.

    >>> import torch
    >>> sure = 20 * torch.eye(3).reshape(1, 3, 1, 3)  # one pixel of each class
    >>> terms = supervise((sure,), torch.tensor([[[0, 1, 2]]]))
    >>> {name: round(term.item(), 4) for name, term in terms.items()}
    {'T3 Dice': 0.0, 'T3 CE': 0.0}
    """
    known = class_known(mask, CLASSES)
    mask = mask[known]
    dice, cross_entropy = mask.new_zeros((), dtype=scales[0].dtype), 0.0
    for weight, scores in zip(scale_weights(len(scales)), scales, strict=True):
        if not weight:
            continue
        scores = full_precision(scores)[known]
        step = math.ceil(mask.shape[-1] / scores.shape[-1])
        target = mask[:, step // 2 :: step, step // 2 :: step]
        wanted = one_hot(target, CLASSES)
        dice = dice + weight * dice_loss(wanted, scores.softmax(1), background=False, smooth=1e-5)
        total = F.cross_entropy(scores, target, reduction="sum")
        cross_entropy = cross_entropy + weight * total / max(target.numel(), 1)
    return {"T3 Dice": dice, "T3 CE": cross_entropy}


class NNUNet(UNet):
    """A U-Net on a profile's encoder with nnU-Net's loss at its one scale.

    Kang et al. 2022 give every system the same encoder; this is nnU-Net under that rule, and
    `NNUNetNative` its own network.

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        weights: None, or "imagenet".
        options: for smp's Unet, e.g. `decoder_channels`.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to seg3 (N, 3, H, W). With resnet101 it
    has 51.5 million parameters. Errors as in `UNet`.

    >>> import torch
    >>> NNUNet("resnet18")(torch.zeros(2, 1, 64, 64)).seg3.shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self, encoder: str = "resnet101", *, weights: str | None = None, **options: object
    ):
        super().__init__(encoder, weights=weights, **options)

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """See `supervise`."""
        return supervise((logits.seg3,), mask)


class NNUNetNative(nn.Module):
    """nnU-Net's plain network in two dimensions, with a mask at every scale.

    Two convolutions a stage with instance normalisation and leaky ReLU, strided ones down and
    transposed ones up, channels doubling up to 512. How many stages an image has room for is
    nnU-Net's plan, `plan`; `lib.experiments` asks for it.

    Args:
        stages: levels of the U-Net: 5 for 64 to 127 px, 8 for 512 px.
        decoder_channels: its last but one is the width of the finest stage, 32 as in nnU-Net in
            the paper's profile, less in a smaller one.
        encoder, weights: taken so that every network takes a profile's options, and not used.

    Shapes: image (N, 1, H, W), H and W multiples of 2^(stages - 1), to seg3 (N, 3, H, W); `extra`
    holds the scores of all scales but the deepest, the finest first. With 8 stages it has 46.3
    million parameters. Raises ValueError for an image that does not fit the stages.

    >>> import torch
    >>> answer = NNUNetNative(decoder_channels=(32, 24, 16, 8, 8))(torch.zeros(2, 1, 64, 64))
    >>> [tuple(scale.shape[1:]) for scale in answer.extra]
    [(3, 64, 64), (3, 32, 32), (3, 16, 16), (3, 8, 8)]
    """

    def __init__(
        self,
        encoder: str = "plain",
        *,
        stages: int = 5,
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
    ):
        super().__init__()
        if stages < 2:
            raise ValueError(f"stages={stages}; a U-Net has at least 2")
        width = decoder_channels[-2]
        self.stride = 2 ** (stages - 1)
        self.body = PlainConvUNet(
            input_channels=1,
            n_stages=stages,
            features_per_stage=[min(width * 2**at, WIDEST) for at in range(stages)],
            conv_op=nn.Conv2d,
            kernel_sizes=3,
            strides=[1] + [2] * (stages - 1),
            n_conv_per_stage=2,
            num_classes=CLASSES,
            n_conv_per_stage_decoder=2,
            conv_bias=True,
            norm_op=nn.InstanceNorm2d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            deep_supervision=True,
        )
        self.body.apply(PlainConvUNet.initialize)

    @staticmethod
    def plan(size: int) -> dict[str, int]:
        """The stages for images of `size` px a side: halved while 4 px are left, and evenly.

        >>> [NNUNetNative.plan(size)["stages"] for size in (64, 96, 512)]
        [5, 5, 8]
        """
        stages = 1
        while size >= 2 * SMALLEST and size % 2 == 0:
            size, stages = size // 2, stages + 1
        return {"stages": stages}

    def forward(self, image: Tensor) -> TaskLogits:
        height, width = image.shape[-2:]
        # Instance normalisation of a single pixel would leave nothing
        if height % self.stride or width % self.stride or height * width <= self.stride**2:
            raise ValueError(
                f"the image is {height} x {width} px, too small or no multiple of {self.stride}; "
                f"use stages={self.plan(min(height, width))['stages']}"
            )
        scales = tuple(self.body(image))
        return TaskLogits(seg3=scales[0], extra=scales)

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """See `supervise`."""
        return supervise(logits.extra, mask)
