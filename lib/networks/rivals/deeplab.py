"""DeepLabv3+: parallel atrous convolutions, and a short decoder (Chen et al. 2018)."""

from torch import Tensor

from ..unet import UNet


class DeepLabV3Plus(UNet):
    """Atrous spatial pyramid pooling at output stride 16, refined by features of stride 4.

    smp's network with other atrous rates: (6, 12, 18) belong to output stride 16, and smp's
    default, twice as much, to 8.

    Args:
        encoder, weights: as in `UNet`; the encoder must be able to dilate (ResNets and
            EfficientNets can, VGG cannot).
        decoder_channels: taken so that every network takes a profile's options, and not used: this
            decoder has one width, not one for each level.
        channels: that width.
        rates: dilations of the three atrous branches, in pixels of stride 16.

    Shapes: image (N, 1, H, W), H and W multiples of 16, to seg3 (N, 3, H, W). With resnet101 it has
    45.7 million parameters.
    Raises ValueError for a batch of one image in training, for the pyramid's image-wide mean is
    normalised over the batch; and as `UNet`.

    >>> import torch
    >>> DeepLabV3Plus("resnet18")(torch.zeros(2, 1, 64, 64)).seg3.shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (),
        channels: int = 256,
        rates: tuple[int, int, int] = (6, 12, 18),
    ):
        super().__init__(
            encoder,
            weights=weights,
            architecture="DeepLabV3Plus",
            encoder_output_stride=16,
            decoder_channels=channels,
            decoder_atrous_rates=rates,
        )

    def with_features(self, image: Tensor):
        if self.training and len(image) < 2:
            raise ValueError("DeepLabv3+ cannot train on a batch of one image; use batch_size >= 2")
        return super().with_features(image)
