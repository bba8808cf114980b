"""MS-MTL: two stages, three tasks (Kang et al. 2022, section 3.2, Fig. 2)."""

import torch
from torch import Tensor, nn

from .encoders import smp_model
from .logits import TaskLogits

HANDOFFS = ("logits", "features")


class MSMTL(nn.Module):
    """Stage 1 gives class and nodule mask, stage 2 reads image and mask and gives the 3-class mask.

    Stage 1 is a U-Net with a classification branch on its encoder (global average pooling, flatten,
    fully connected); stage 2 is another U-Net with an encoder of its own. Its input is the image
    and what comes before the softmax of stage 1's mask: the 2 logits (`handoff="logits"`), or the
    decoder's last features (`"features"`).

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        weights: None, or "imagenet" for both encoders.
        architecture: the smp class used for both stages.
        handoff: see above.
        options: for the smp class, e.g. `decoder_channels`.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to cls (N, 2), seg2 (N, 2, H, W) and seg3
    (N, 3, H, W). With resnet101 it has 103.0 million parameters.
    Raises ValueError for an unknown option, `WeightsError` if weights cannot be had.
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        weights: str | None = None,
        architecture: str = "Unet",
        handoff: str = "logits",
        **options: object,
    ):
        super().__init__()
        if handoff not in HANDOFFS:
            raise ValueError(f"handoff={handoff!r}; use one of {', '.join(HANDOFFS)}")
        self.handoff = handoff
        self.stage1 = smp_model(
            architecture,
            encoder,
            in_channels=1,
            weights=weights,
            classes=2,
            aux_params={"classes": 2, "pooling": "avg"},
            **options,
        )
        handed = 2 if handoff == "logits" else self.stage1.segmentation_head[0].in_channels
        self.stage2 = smp_model(
            architecture, encoder, in_channels=1 + handed, weights=weights, classes=3, **options
        )

    def forward(self, image: Tensor) -> TaskLogits:
        self.stage1.check_input_shape(image)
        encoded = self.stage1.encoder(image)
        features = self.stage1.decoder(encoded)
        seg2 = self.stage1.segmentation_head(features)
        cls = self.stage1.classification_head(encoded[-1])
        handed = seg2 if self.handoff == "logits" else features
        seg3 = self.stage2(torch.cat([image, handed], dim=1))
        return TaskLogits(cls=cls, seg2=seg2, seg3=seg3)
