"""ClsNet: the class alone (Table 2)."""

from torch import Tensor, nn

from .encoders import smp_encoder
from .heads import ClassHead
from .logits import TaskLogits


class ClsNet(nn.Module):
    """An encoder, global average pooling and a fully connected layer (He et al. 2016).

    `encoder` and `weights` as in `UNet`; `decoder_channels` is taken so that every network takes
    a profile's options, and not used. Shapes: image (N, 1, H, W) to cls (N, 2). With resnet101
    it has 42.5 million parameters.

    >>> import torch
    >>> ClsNet("resnet18")(torch.zeros(2, 1, 64, 64)).cls.shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (),
    ):
        super().__init__()
        self.encoder = smp_encoder(encoder, weights=weights)
        self.classification_head = ClassHead(self.encoder.out_channels[-1])

    def forward(self, image: Tensor) -> TaskLogits:
        return TaskLogits(cls=self.classification_head(self.encoder(image)[-1]))
