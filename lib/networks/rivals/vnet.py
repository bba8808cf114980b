"""V-Net in two dimensions: its encoder and decoder (Milletari et al. 2016)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = 16, 32, 64, 128, 256
DOWN = 1, 2, 3, 3, 3  # convolutions of each level on the way down
UP = 1, 2, 3, 3  # and up, from the finest level


class VNet(nn.Module):
    """Encoder, decoder and segmentation head under the names that smp's networks have.

    Each level adds its input to what its convolutions make of it; convolutions of 2 x 2 and
    stride 2 lead down, transposed ones up. Kernels are 3 wide, with batch normalisation and ReLU,
    as in Zhou et al. 2021; Milletari et al. have 5.

    Args:
        classes: channels of the mask.
        channels: of the levels, from the image's size down; each twice the one before.

    With two classes it has 5.0 million parameters.

    >>> net = VNet(2)
    >>> features = net.encoder(torch.zeros(1, 1, 32, 32))
    >>> [tuple(level.shape[1:]) for level in features]
    [(1, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2)]
    >>> net.segmentation_head(net.decoder(features)).shape
    torch.Size([1, 2, 32, 32])
    """

    def __init__(self, classes: int, channels: tuple[int, ...] = CHANNELS):
        super().__init__()
        self.encoder = VNetEncoder(channels)
        self.decoder = VNetDecoder(channels)
        self.segmentation_head = nn.Conv2d(2 * channels[0], classes, 1)


class VNetEncoder(nn.Module):
    """Image (N, 1, H, W) to a list of feature maps: the image, then each level."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS):
        super().__init__()
        if any(fine * 2 != coarse for fine, coarse in pairwise(channels)):
            raise ValueError(f"channels={channels}; each level has twice the one before")
        if len(channels) != len(DOWN):
            raise ValueError(f"channels={channels}; V-Net has {len(DOWN)} levels")
        self.out_channels = (1, *channels)
        self.output_stride = 2 ** (len(channels) - 1)
        # The image is added to each channel of the first level
        self.levels = nn.ModuleList([_Residual(1, channels[0], DOWN[0])])
        for (fine, coarse), convolutions in zip(pairwise(channels), DOWN[1:], strict=True):
            self.levels.append(
                nn.Sequential(
                    nn.Conv2d(fine, coarse, 2, stride=2, bias=False),
                    nn.BatchNorm2d(coarse),
                    nn.ReLU(),
                    _Residual(coarse, coarse, convolutions),
                )
            )

    def forward(self, image: Tensor) -> list[Tensor]:
        if image.shape[-2] % self.output_stride or image.shape[-1] % self.output_stride:
            raise ValueError(
                f"the image is {image.shape[-2]} x {image.shape[-1]} px; height and width must be "
                f"multiples of {self.output_stride}"
            )
        features = [image]
        for level in self.levels:
            features.append(level(features[-1]))
        return features


class VNetDecoder(nn.Module):
    """The encoder's list to features of the image's size, with twice the first level's channels."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS):
        super().__init__()
        wide = (*(2 * c for c in channels[:-1]), channels[-1])  # what comes up from each level
        self.ups, self.levels = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(channels) - 1)):
            self.ups.append(
                nn.Sequential(
                    nn.ConvTranspose2d(wide[level + 1], channels[level], 2, stride=2, bias=False),
                    nn.BatchNorm2d(channels[level]),
                    nn.ReLU(),
                )
            )
            self.levels.append(_Residual(wide[level], wide[level], UP[level]))

    def forward(self, features: list[Tensor]) -> Tensor:
        _, *skips, below = features
        for up, level in zip(self.ups, self.levels, strict=True):
            below = level(torch.cat([up(below), skips.pop()], dim=1))
        return below


class _Residual(nn.Sequential):
    """Convolutions whose result is added to their input, before the last ReLU."""

    def __init__(self, inputs: int, channels: int, convolutions: int):
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            layers += [
                nn.Conv2d(inputs, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            inputs = channels
        super().__init__(*layers[:-1])

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + super().forward(features))
