"""SegNet: values go back to where the encoder's pooling found them (Badrinarayanan et al. 2017)."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ..encoders import smp_encoder
from ..logits import TaskLogits

VGG16 = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)


class SegNetNative(nn.Module):
    """The convolutions of VGG16 with batch normalisation, and their mirror image as a decoder.

    Each of the five max-pools keeps the places of its maxima. The decoder enlarges its maps by
    putting every value at its place, the rest 0, and convolves as often as the encoder does at that
    size; its last convolution gives the scores. Nothing else is handed across.

    Args:
        encoder, decoder_channels: taken so that every network takes a profile's options, and not
            used.
        weights: None, or "imagenet" for those of VGG16, which need a download and `width=1`.
        width: factor on all channels: 1 is the source's, 0.25 can be trained on a laptop.

    Shapes: image (N, 1, H, W), at least 32 px a side, to seg3 (N, 3, H, W). It has 29.4 million
    parameters, and 1.8 million at width 0.25.
    Raises ValueError for a `width` not above 0, or another than 1 with weights, and `WeightsError`
    if the weights cannot be had.

    >>> import torch
    >>> SegNetNative(width=0.125)(torch.zeros(2, 1, 64, 64)).seg3.shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        encoder: str = "vgg16_bn",
        *,
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (),
        width: float = 1.0,
    ):
        super().__init__()
        if not width > 0:
            raise ValueError(f"width={width}; use a factor above 0, e.g. 0.25")
        if weights is not None and width != 1:
            raise ValueError(f"weights={weights!r} fit width=1 only, not {width}; use weights=None")
        first, *rest = ([max(1, round(width * c)) for c in stage] for stage in VGG16)
        chain = [(1, *first)]  # of channels: what a stage takes, and what its convolutions give
        for stage in rest:
            chain.append((chain[-1][-1], *stage))
        self.encoder = nn.ModuleList(_convolutions(*stage) for stage in chain)
        mirrored = [tuple(reversed(stage)) for stage in reversed(chain)]
        mirrored[-1] = mirrored[-1][:-1]  # the head stands for its last convolution
        self.decoder = nn.ModuleList(_convolutions(*stage) for stage in mirrored)
        self.segmentation_head = nn.Conv2d(first[0], 3, 3, padding=1)
        if weights is not None:
            self.load_vgg(smp_encoder("vgg16_bn", weights=weights).features)

    def load_vgg(self, features: nn.Module) -> None:
        """Copy VGG16's parameters: the same layers in the same order, for a grey image.

        `features` is the convolutional part as torchvision and smp have it, with one input channel.
        """
        names = self.encoder.state_dict()
        self.encoder.load_state_dict(dict(zip(names, features.state_dict().values(), strict=True)))

    def forward(self, image: Tensor) -> TaskLogits:
        x, places = image, []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[-2:]
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            places.append((indices, size))
        for stage, (indices, size) in zip(self.decoder, reversed(places), strict=True):
            x = stage(F.max_unpool2d(x, indices, 2, output_size=size))
        return TaskLogits(seg3=self.segmentation_head(x))


class SegNet(nn.Module):
    """SegNet's decoder on any encoder: one unpooling by places, and no skips.

    A ResNet has a single max-pool (3 x 3, stride 2, after the stem), so only from stride 4 to 2 do
    values go back to their places; the other levels are enlarged bilinearly. An encoder without a
    max-pool gets the same one beside its own path, on its features of stride 2, for the places
    alone.

    Args:
        encoder: any encoder of segmentation-models-pytorch with features of stride 2.
        weights: None, or "imagenet".
        decoder_channels: of the five levels, the deepest first. The third is not used: what is
            unpooled must have as many channels as the places have.

    Shapes: image (N, 1, H, W) to seg3 (N, 3, H, W). With resnet101 it has 48.4 million parameters.
    Raises ValueError for an encoder without features of stride 2 or another number of levels, and
    as `smp_encoder`.

    >>> import torch
    >>> SegNet("resnet18")(torch.zeros(2, 1, 64, 64)).seg3.shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
    ):
        super().__init__()
        if len(decoder_channels) != 5:
            raise ValueError(f"decoder_channels={decoder_channels}; five numbers are needed")
        self.encoder = smp_encoder(encoder, weights=weights)
        stem, deepest = self.encoder.out_channels[1], self.encoder.out_channels[-1]
        if not stem:
            raise ValueError(
                f"encoder {encoder!r} has no features of stride 2, whose maxima SegNet needs; "
                "use a ResNet or an EfficientNet"
            )
        one, two, _, four, five = decoder_channels
        self.decoder = nn.ModuleList(
            _convolutions(taken, given, given)
            for taken, given in pairwise((deepest, one, two, stem, four, five))
        )
        self.segmentation_head = nn.Conv2d(five, 3, 3, padding=1)

    def forward(self, image: Tensor) -> TaskLogits:
        *larger, x = self.encoder(image)
        stem = larger[1]
        # The encoder's own pool again, if it has one: this spares its code a second output
        _, places = F.max_pool2d(stem, 3, 2, 1, return_indices=True)
        for stage, level in zip(self.decoder, reversed(larger), strict=True):
            size = level.shape[-2:]
            if level is stem:
                x = F.max_unpool2d(x, places, 3, 2, 1, output_size=size)
            else:
                x = F.interpolate(x, size=size, mode="bilinear")
            x = stage(x)
        return TaskLogits(seg3=self.segmentation_head(x))


def _convolutions(*channels: int) -> nn.Sequential:
    """3 x 3 convolutions from each number of channels to the next, normalised, with ReLU."""
    layers: list[nn.Module] = []
    for taken, given in pairwise(channels):
        layers += [nn.Conv2d(taken, given, 3, padding=1), nn.BatchNorm2d(given), nn.ReLU()]
    return nn.Sequential(*layers)
