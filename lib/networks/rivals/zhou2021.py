"""Zhou et al. 2021: the class is read off the three deepest scales of a V-Net."""

import torch
from torch import Tensor, nn

from ..encoders import smp_model
from ..heads import ClassLayer
from ..logits import TaskLogits
from ..unet import mask_channels
from .vnet import CHANNELS, VNet


class _MultiScale(nn.Module):
    """A network for one mask, and a class from the means of its encoder's three deepest maps."""

    def __init__(self, mask: str, body: nn.Module):
        super().__init__()
        self.mask = mask
        self.encoder, self.decoder = body.encoder, body.decoder
        self.segmentation_head = body.segmentation_head
        self.classification_head = ClassLayer(sum(body.encoder.out_channels[-3:]))

    def forward(self, image: Tensor) -> TaskLogits:
        encoded = self.encoder(image)
        means = torch.cat([scale.mean((2, 3)) for scale in encoded[-3:]], dim=1)
        scores = {self.mask: self.segmentation_head(self.decoder(encoded))}
        return TaskLogits(cls=self.classification_head(means), **scores)


class Zhou2021(_MultiScale):
    """An encoder of five levels, four steps down and up between them, and a class from three.

    Zhou et al. 2021 classify and outline tumours in 3D breast ultrasound; as in Kang et al. 2022
    (section 5.1) the operations are 2D and the iterative refinement is off. An encoder such as
    resnet101 takes the place of V-Net's: its levels lie at /2 to /32, and a last step leads up to
    the image's size. The classifier is global average pooling of the maps at /8, /16 and /32 and
    one fully connected layer (512 + 1024 + 2048 numbers with resnet101). `Zhou2021Native` is V-Net.

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        mask: "seg2", whose nodule the measures paint with the predicted class, or "seg3".
        weights: None, or "imagenet".
        options: for smp's Unet, e.g. `decoder_channels`.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to cls (N, 2) and seg2 (N, 2, H, W). With
    resnet101 it has 51.5 million parameters. Raises ValueError for an unknown option,
    `WeightsError` if weights cannot be had.

    >>> answer = Zhou2021("resnet18")(torch.zeros(2, 1, 64, 64))
    >>> [(name, tuple(scores.shape)) for name, scores in answer.items()]
    [('cls', (2, 2)), ('seg2', (2, 2, 64, 64))]
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        mask: str = "seg2",
        weights: str | None = None,
        **options: object,
    ):
        classes = mask_channels(mask)
        super().__init__(
            mask, smp_model("Unet", encoder, weights=weights, classes=classes, **options)
        )


class Zhou2021Native(_MultiScale):
    """`Zhou2021` on V-Net itself, without pretraining: 5.0 million parameters.

    `channels` are those of V-Net's levels; the classifier reads the last three (64 + 128 + 256).
    `mask` as in `Zhou2021`. `encoder`, `weights` and `decoder_channels` are taken so that every
    network takes a profile's options, and not used. Shapes as in `Zhou2021`, H and W multiples
    of 16.

    >>> Zhou2021Native()(torch.zeros(2, 1, 32, 32)).seg2.shape
    torch.Size([2, 2, 32, 32])
    """

    def __init__(
        self,
        encoder: str = "v-net",
        *,
        channels: tuple[int, ...] = CHANNELS,
        mask: str = "seg2",
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (),
    ):
        super().__init__(mask, VNet(mask_channels(mask), channels))
