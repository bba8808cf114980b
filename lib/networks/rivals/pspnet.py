"""PSPNet: what is where, judged from means over regions of several sizes (Zhao et al. 2017)."""

import torch.nn.functional as F
from segmentation_models_pytorch.base.modules import Conv2dReLU
from torch import Tensor, nn

from ...losses import task_losses
from ..encoders import smp_model
from ..logits import TaskLogits


class PSPNet(nn.Module):
    """A dilated encoder, pyramid pooling over 1, 2, 3 and 6 bins a side, and a 3 x 3 head.

    smp's network with the whole encoder at output stride 8: at its defaults it stops after the
    third of five levels, and the deeper layers never reach the output.

    Args:
        encoder, weights: as in `UNet`; the encoder must be able to dilate (ResNets and
            EfficientNets can, VGG cannot).
        decoder_channels: taken so that every network takes a profile's options, and not used.
        output_stride: of the dilated encoder. 8 is the source's; 16 is for smaller machines.
        auxiliary: weight of a second mask's loss, read from the level before the last (layer3 of a
            ResNet) in training only; the source's is 0.4, and 0 leaves it out.

    Shapes: image (N, 1, H, W) to seg3 (N, 3, H, W); in training with the auxiliary mask, `extra`
    holds its scores, as large. With resnet101 it has 48.8 million parameters without it.
    Raises ValueError for a negative `auxiliary`, and as `smp_model`.

    >>> import torch
    >>> PSPNet("resnet18")(torch.zeros(2, 1, 64, 64)).seg3.shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (),
        output_stride: int = 8,
        auxiliary: float = 0.0,
    ):
        super().__init__()
        if not auxiliary >= 0:
            raise ValueError(f"auxiliary={auxiliary}; a weight of at least 0 is needed")
        model = smp_model(
            "PSPNet",
            encoder,
            weights=weights,
            encoder_depth=5,
            output_stride=output_stride,
            psp_out_channels=512,
            classes=3,
            upsampling=1,  # done here, to the size of the image
        )
        self.encoder, self.decoder = model.encoder, model.decoder
        self.segmentation_head = model.segmentation_head
        self.auxiliary = auxiliary
        if auxiliary:
            self.auxiliary_head = nn.Sequential(
                Conv2dReLU(self.encoder.out_channels[-2], 256, 3, padding=1, use_norm="batchnorm"),
                nn.Dropout2d(0.1),
                nn.Conv2d(256, 3, 1),
            )

    def forward(self, image: Tensor) -> TaskLogits:
        *_, before, last = self.encoder(image)
        size = image.shape[-2:]
        extra = None
        if self.auxiliary and self.training:
            extra = _enlarge(self.auxiliary_head(before), size)
        scores = self.segmentation_head(self.decoder([last]))
        return TaskLogits(seg3=_enlarge(scores, size), extra=extra)

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The mask's Dice loss, and in training the weighted one of the auxiliary mask."""
        terms = task_losses(logits, mask, label)
        if logits.extra is not None:
            second = task_losses(TaskLogits(seg3=logits.extra), mask, label)
            terms["T3 Dice, auxiliary"] = self.auxiliary * second["T3 Dice"]
        return terms


def _enlarge(scores: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(scores, size=size, mode="bilinear", align_corners=True)
