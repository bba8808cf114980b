"""MS-MTL and MSL: two stages (Kang et al. 2022, section 3.2, Fig. 2)."""

import torch
from torch import Tensor, nn

from .logits import TaskLogits
from .unet import UNet

HANDOFFS = ("logits", "features")


class MSMTL(nn.Module):
    """Stage 1 gives class and nodule mask, stage 2 reads image and mask and gives the 3-class mask.

    Stage 1 is a U-Net with a classification branch, stage 2 another U-Net with an encoder of its
    own. Its input is the image and what comes before the softmax of stage 1's mask: the 2 logits
    (`handoff="logits"`), or the decoder's last features (`"features"`).

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        classification: False leaves T1 out: the paper's MSL.
        weights: None, or "imagenet" for both encoders.
        architecture: the smp class used for both stages.
        handoff: see above.
        options: for the smp class, e.g. `decoder_channels`.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to cls (N, 2), seg2 (N, 2, H, W) and seg3
    (N, 3, H, W). With resnet101 it has 103.0 million parameters.
    Two classes. Raises ValueError for an unknown handoff, `WeightsError` if weights cannot be had;
    an option that smp does not know is passed over by it.

    >>> network = MSMTL("resnet18")
    >>> [(name, tuple(scores.shape)) for name, scores in network(torch.zeros(2, 1, 64, 64)).items()]
    [('cls', (2, 2)), ('seg2', (2, 2, 64, 64)), ('seg3', (2, 3, 64, 64))]
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        classification: bool = True,
        weights: str | None = None,
        architecture: str = "Unet",
        handoff: str = "logits",
        **options: object,
    ):
        super().__init__()
        if handoff not in HANDOFFS:
            raise ValueError(f"handoff={handoff!r}; use one of {', '.join(HANDOFFS)}")
        self.handoff = handoff
        shared = {"weights": weights, "architecture": architecture, **options}
        self.stage1 = UNet(encoder, mask="seg2", classification=classification, **shared)
        handed = 2 if handoff == "logits" else self.stage1.segmentation_head[0].in_channels
        self.stage2 = UNet(encoder, in_channels=1 + handed, **shared)

    def forward(self, image: Tensor) -> TaskLogits:
        one, features = self.stage1.with_features(image)
        handed = one.seg2 if self.handoff == "logits" else features
        two = self.stage2(torch.cat([image, handed], dim=1))
        return TaskLogits(cls=one.cls, seg2=one.seg2, seg3=two.seg3)
