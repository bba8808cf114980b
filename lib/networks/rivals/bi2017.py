"""Bi et al. 2017: fully convolutional networks in a row, and their answers fused."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...losses import task_losses
from ..encoders import smp_encoder
from ..logits import TaskLogits

CLASSES = 3  # background, benign, malignant
FUSIONS = ("log-odds", "learned")


class FCN(nn.Module):
    """FCN-8s on any encoder: the scores of its last three maps, added from coarse to fine.

    Each map, of stride 32, 16 and 8, has a convolution of 1 x 1 for its scores; bilinear upsampling
    leads from one to the next and to the image's size. Long et al. 2015. Shapes:
    (N, in_channels, H, W) to (N, 3, H, W).
    """

    def __init__(self, encoder: str, *, in_channels: int, weights: str | None):
        super().__init__()
        self.encoder = smp_encoder(encoder, in_channels=in_channels, weights=weights)
        self.heads = nn.ModuleList(
            nn.Conv2d(channels, CLASSES, 1) for channels in self.encoder.out_channels[-3:]
        )

    def forward(self, image: Tensor) -> Tensor:
        maps = self.encoder(image)[-3:]
        *finer, scores = (head(level) for head, level in zip(self.heads, maps, strict=True))
        for level in reversed(finer):
            scores = level + _resize(scores, level)
        return _resize(scores, image)


class Bi2017(nn.Module):
    """FCNs in a row: the first reads the image, each later one also what the one before it said.

    Bi et al. 2017 for skin lesions. Each stage learns from a Dice loss of its own, as if the stages
    were trained one after the other: what is handed on, the probabilities, is a constant to the
    gradient. The answers of all stages are fused: `fusion="log-odds"` is `fuse_log_odds`, and
    `"learned"` a convolution of 1 x 1 over all scores, with a Dice loss of its own, that starts at
    their mean.

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        stages: how many.
        fusion: see above.
        weights: None, or "imagenet" for all encoders.
        decoder_channels: taken so that every network takes a profile's options, and not used: an
            FCN has no decoder.

    Shapes: image (N, 1, H, W) to seg3 (N, 3, H, W); `extra` holds the scores of the stages, a tuple
    of (N, 3, H, W). With resnet101 and three stages it has 127.5 million parameters. Raises
    ValueError for an unknown option, `WeightsError` if weights cannot be had.

    >>> answer = Bi2017("resnet18")(torch.zeros(2, 1, 64, 64))
    >>> answer.seg3.shape, len(answer.extra)
    (torch.Size([2, 3, 64, 64]), 3)
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        stages: int = 3,
        fusion: str = "log-odds",
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (),
    ):
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"fusion={fusion!r}; use one of {', '.join(FUSIONS)}")
        if stages < 1:
            raise ValueError(f"stages={stages}; at least one is needed")
        self.stages = nn.ModuleList(
            FCN(encoder, in_channels=1 + CLASSES * (at > 0), weights=weights)
            for at in range(stages)
        )
        self.fusion = _mean_of(stages) if fusion == "learned" else None

    def forward(self, image: Tensor) -> TaskLogits:
        scores: list[Tensor] = []
        for stage in self.stages:
            handed = [scores[-1].detach().softmax(1)] if scores else []
            scores.append(stage(torch.cat([image, *handed], dim=1)))
        if self.fusion is None:
            fused = fuse_log_odds(scores)
        else:
            fused = self.fusion(torch.cat([one.detach() for one in scores], dim=1))
        return TaskLogits(seg3=fused, extra=tuple(scores))

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Dice of the 3-class mask of each stage: "Stage 1 Dice", ...; "Fused Dice" if learned."""
        named = {f"Stage {at} Dice": one for at, one in enumerate(logits.extra, 1)}
        if self.fusion is not None:
            named["Fused Dice"] = logits.seg3
        return {
            name: task_losses(TaskLogits(seg3=scores), mask, label)["T3 Dice"]
            for name, scores in named.items()
        }


def _resize(scores: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(scores, like.shape[-2:], mode="bilinear", align_corners=False)


def fuse_log_odds(scores: list[Tensor]) -> Tensor:
    """The scores whose log-odds between any two classes are the mean of those of the stages.

    Shapes: each (N, C, H, W) to the same, log-probabilities up to a constant. A stage that is
    sure outweighs one that hesitates. For two classes this is the mean of the logits.

    >>> sure, unsure = torch.tensor([0.9, 0.1]).log(), torch.tensor([0.4, 0.6]).log()
    >>> fuse_log_odds([sure, unsure]).softmax(0)  # the odds are sqrt(9 x 2/3) to 1
    tensor([0.7101, 0.2899])
    """
    return torch.stack(scores).mean(0)


def _mean_of(stages: int) -> nn.Conv2d:
    fusion = nn.Conv2d(stages * CLASSES, CLASSES, 1)
    with torch.no_grad():
        fusion.weight.copy_(torch.eye(CLASSES).repeat(1, stages)[..., None, None] / stages)
        fusion.bias.zero_()
    return fusion
