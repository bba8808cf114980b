"""T1 and T2 on one encoder, trained as the one 3-class mask that they make together."""

from torch import Tensor

from ..losses import class_outline_loss, task_losses
from ..soft import soft_seg2_as_seg3
from .logits import TaskLogits
from .unet import UNet


class Painted(UNet):
    """A U-Net for T2 with a classification branch for T1; their product is held to T3's truth.

    Background is T2's, class k has T1's share k of T2's nodule (`lib.soft.soft_seg2_as_seg3`), and
    the loss is the Dice loss of that product against the 3-class mask (Eq. 2). No two answers can
    contradict each other, in training or after. Dice alone knows T1 only through whole nodules;
    `classification_loss` gives it its own cross-entropy, too. Images with a nodule of unknown class
    do not teach the product.

    Args:
        encoder: any encoder of segmentation-models-pytorch.
        classification_loss: whether T1 also has its own loss (Eq. 3).
        options: for `UNet`, e.g. `weights` and `decoder_channels`.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to cls (N, 2) and seg2 (N, 2, H, W).

    >>> import torch
    >>> network = Painted("resnet18")
    >>> logits = network(torch.zeros(2, 1, 64, 64))
    >>> mask = torch.ones(2, 64, 64, dtype=torch.long)
    >>> [name for name, _ in logits.items()], list(network.losses(logits, mask, mask[:, 0, 0] - 1))
    (['cls', 'seg2'], ['T1 x T2 Dice'])
    """

    def __init__(
        self, encoder: str = "resnet101", *, classification_loss: bool = False, **options: object
    ):
        super().__init__(encoder, mask="seg2", classification=True, **options)
        self.classification_loss = classification_loss

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The loss of the product by name, and T1's own where that is wanted."""
        given = logits.probabilities
        product = soft_seg2_as_seg3(given.seg2, given.cls)
        terms = {"T1 x T2 Dice": class_outline_loss(product, mask)}
        if self.classification_loss:
            terms |= task_losses(TaskLogits(cls=logits.cls), mask, label)
        return terms
