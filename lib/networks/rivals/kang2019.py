"""Kang et al. 2019: first background, interior and boundary, then the classes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...losses import dice_loss, one_hot, task_losses
from ..logits import TaskLogits
from ..unet import UNet

BOUNDARY = 3 / 512  # width of the boundary, as a share of the image's side
PARTS = 3  # background, interior, boundary


def boundary_target(mask: Tensor, width: int | None = None) -> Tensor:
    """Part of the nodule that each pixel belongs to: 0 background, 1 interior, 2 boundary.

    The boundary is the nodule without its erosion by `width` pixels (a square of 2 width + 1 a
    side); by default 3 px for an image of 512, in proportion for others, and 1 at least. It lies
    inside the nodule; where two nodules of different classes touch, it lies on both sides. The
    image's own edge is no boundary. Shapes: mask (N, H, W) of integers to the same.

    >>> boundary_target(torch.tensor([[[0, 1, 1, 1, 1, 1, 0]] * 3]), width=1)[0, 1].tolist()
    [0, 2, 1, 1, 1, 2, 0]
    """
    width = width or max(1, round(BOUNDARY * max(mask.shape[-2:])))
    values = mask[:, None].float()
    pool = {"kernel_size": 2 * width + 1, "stride": 1, "padding": width}
    highest, lowest = F.max_pool2d(values, **pool), -F.max_pool2d(-values, **pool)
    boundary = (highest != lowest)[:, 0]
    return torch.where(mask > 0, 1 + boundary.long(), 0)


class Kang2019(nn.Module):
    """Two U-Nets: one finds the nodule's interior and boundary, the other gives the 3-class mask.

    Kang, Lao and Fevens 2019 for nuclei, where the boundary tells touching ones apart. Stage 2
    reads the image and stage 1's three scores; the gradient of its loss reaches stage 1.

    Args:
        encoder: any encoder of segmentation-models-pytorch, for both stages; the paper's is
            resnet101.
        weights: None, or "imagenet" for both encoders.
        options: for smp's Unet, e.g. `decoder_channels`.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to seg3 (N, 3, H, W); `extra` holds stage
    1's scores (N, 3, H, W). With resnet101 it has 103.0 million parameters. Errors as in `UNet`.

    >>> answer = Kang2019("resnet18")(torch.zeros(2, 1, 64, 64))
    >>> answer.seg3.shape == answer.extra.shape == (2, 3, 64, 64)
    True
    """

    def __init__(
        self, encoder: str = "resnet101", *, weights: str | None = None, **options: object
    ):
        super().__init__()
        self.stage1 = UNet(encoder, weights=weights, **options)  # three channels, as seg3 has
        self.stage2 = UNet(encoder, in_channels=1 + PARTS, weights=weights, **options)

    def forward(self, image: Tensor) -> TaskLogits:
        parts = self.stage1(image).seg3
        return TaskLogits(
            seg3=self.stage2(torch.cat([image, parts], dim=1)).seg3,
            extra=parts,
        )

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Dice of stage 1's parts and of the 3-class mask: "Boundary Dice" and "T3 Dice"."""
        parts = TaskLogits(seg3=logits.extra).probabilities.seg3
        target = one_hot(boundary_target(mask.as_subclass(Tensor)), PARTS)
        return {"Boundary Dice": dice_loss(target, parts), **task_losses(logits, mask, label)}
