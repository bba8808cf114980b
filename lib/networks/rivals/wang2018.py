"""Wang et al. 2018: a U-Net whose bottleneck also names the class."""

from torch import nn

from ..heads import ClassLayer
from ..unet import UNet

CHANNELS = 256


class Wang2018(UNet):
    """A U-Net with a branch of convolution, max-pooling and a fully connected layer (T1).

    Wang, Patel and Hacihaliloglu 2018 for bone surfaces. Their network that enhances the image
    first is left out, as Kang et al. 2022 do (section 5.1). Ours: 256 channels of 3 x 3, and a
    maximum over the whole map, so that any size of image fits.

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        mask: "seg2", whose nodule the measures paint with the predicted class, or "seg3".
        weights: None, or "imagenet".
        options: for the smp class, e.g. `decoder_channels`.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to cls (N, 2) and seg2 (N, 2, H, W). With
    resnet101 it has 56.2 million parameters. Errors as in `UNet`.

    >>> import torch
    >>> answer = Wang2018("resnet18")(torch.zeros(2, 1, 64, 64))
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
        super().__init__(encoder, mask=mask, weights=weights, **options)
        self.classification_head = nn.Sequential(
            nn.Conv2d(self.encoder.out_channels[-1], CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            ClassLayer(CHANNELS),
        )
