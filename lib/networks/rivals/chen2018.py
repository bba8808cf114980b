"""Chen et al. 2018: two branches at the bottleneck pass features to each other through gates."""

from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from ..encoders import smp_encoder
from ..heads import ClassHead
from ..logits import TaskLogits
from ..unet import mask_channels

CHANNELS = 256


class GatedPass(nn.Module):
    """Add to one branch what a gate lets through of the other: F + sigmoid(G * O) . (W * O).

    F and O are the features of the two branches, G and W convolutions of 1 x 1. Shapes:
    (N, C, H, W) twice to (N, C, H, W).

    >>> import torch
    >>> features, other = torch.ones(1, 2, 1, 1), torch.ones(1, 2, 1, 1)
    >>> pass_on = GatedPass(2)
    >>> _ = [nn.init.zeros_(p) for p in pass_on.parameters()]
    >>> _ = nn.init.ones_(pass_on.message.weight)  # W sums both channels, the gate is half open
    >>> pass_on(features, other).flatten().tolist()
    [2.0, 2.0]
    """

    def __init__(self, channels: int = CHANNELS):
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)
        self.message = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor, other: Tensor) -> Tensor:
        return features + self.gate(other).sigmoid() * self.message(other)


class FeaturePassing(nn.Module):
    """Shared features to those of the class and those of the mask, each enriched by the other.

    Both messages are made of what the branches hold before any passing. Shapes: (N, C, H, W) to
    twice (N, channels, H, W).
    """

    def __init__(self, inputs: int, channels: int = CHANNELS):
        super().__init__()
        self.class_branch, self.mask_branch = (
            nn.Sequential(
                nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
            )
            for _ in range(2)
        )
        self.to_class, self.to_mask = GatedPass(channels), GatedPass(channels)

    def forward(self, shared: Tensor) -> tuple[Tensor, Tensor]:
        of_class, of_mask = self.class_branch(shared), self.mask_branch(shared)
        return self.to_class(of_class, of_mask), self.to_mask(of_mask, of_class)


class Chen2018(nn.Module):
    """An encoder, feature passing at its end, then pooling for the class and a U-Net decoder.

    Chen et al. 2018, "A multi-task framework with feature passing module", for skin lesions. That
    the gate reads the sender, and that there is one gate per channel and pixel, is ours.

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        mask: "seg2", whose nodule the measures paint with the predicted class, or "seg3".
        weights: None, or "imagenet".
        decoder_channels: of smp's U-Net decoder, from the coarsest level.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to cls (N, 2) and seg2 (N, 2, H, W). With
    resnet101 it has 48.7 million parameters. Raises ValueError for an unknown option,
    `WeightsError` if weights cannot be had.

    >>> import torch
    >>> answer = Chen2018("resnet18")(torch.zeros(2, 1, 64, 64))
    >>> [(name, tuple(scores.shape)) for name, scores in answer.items()]
    [('cls', (2, 2)), ('seg2', (2, 2, 64, 64))]
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        mask: str = "seg2",
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
    ):
        super().__init__()
        channels = mask_channels(mask)
        self.mask = mask
        self.encoder = smp_encoder(encoder, weights=weights)
        *finer, deepest = self.encoder.out_channels
        self.passing = FeaturePassing(deepest)
        self.decoder = UnetDecoder((*finer, CHANNELS), decoder_channels, len(decoder_channels))
        self.segmentation_head = SegmentationHead(decoder_channels[-1], channels)
        self.classification_head = ClassHead(CHANNELS)
        # As smp starts its own U-Nets
        initialize_decoder(self.decoder)
        initialize_head(self.segmentation_head)

    def forward(self, image: Tensor) -> TaskLogits:
        *finer, deepest = self.encoder(image)
        of_class, of_mask = self.passing(deepest)
        scores = {self.mask: self.segmentation_head(self.decoder([*finer, of_mask]))}
        return TaskLogits(cls=self.classification_head(of_class), **scores)
