"""The paper's networks, asked which classes are present: neither, one of them, or both."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..checks import full_precision
from ..presence.answers import HOLDS, KINDS
from ..presence.losses import presence_losses
from .clsnet import ClsNet
from .combined import Combined
from .heads import ClassHead
from .logits import TaskLogits
from .msmtl import MSMTL
from .unet import UNet

if TYPE_CHECKING:
    from fastai.learner import Learner


@dataclass(frozen=True)
class PresenceLogits(TaskLogits):
    """Raw scores of which T1 makes two answers; T2 and T3 are the paper's.

    `cls` (N, 2): a score for benign and one for malignant, each through a sigmoid of its own; or
    (N, 4): one for each of `lib.presence.KINDS`, through one softmax, where a class's probability
    is the sum over the kinds that hold it. In `probabilities`, cls (N, 2) need not sum to 1: both
    near 0 is no nodule, both near 1 is one of each.

    >>> import torch
    >>> PresenceLogits(cls=torch.tensor([[0.0, -9.0]])).probabilities.cls.round(decimals=2)
    tensor([[0.5000, 0.0000]])
    >>> four = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    >>> PresenceLogits(cls=four).probabilities.cls.round(decimals=2)
    tensor([[0.6000, 0.7000]])
    """

    @cached_property
    def probabilities(self) -> TaskLogits:
        """The same tasks as probabilities, in float32 (float64 if the scores are)."""
        maps = TaskLogits(seg2=self.seg2, seg3=self.seg3).probabilities
        cls = None if self.cls is None else _presences(full_precision(self.cls))
        return TaskLogits(cls=cls, seg2=maps.seg2, seg3=maps.seg3)


def _presences(scores: Tensor) -> Tensor:
    holds = scores.new_tensor(HOLDS)
    return scores.softmax(1) @ holds if scores.shape[1] == len(KINDS) else scores.sigmoid()


class Presence(nn.Module):
    """What makes a network answer twice: mixed into one, in front of it.

    The network is unchanged, but for the layer of T1 if `exclusive`: then it has four scores in the
    place of two. Its losses are `lib.presence.presence_losses`.

    >>> import torch
    >>> network = PresentUNet("resnet18", mask="seg2", classification=True)
    >>> isinstance(network, UNet), type(network(torch.zeros(2, 1, 64, 64))).__name__
    (True, 'PresenceLogits')
    """

    def __init__(self, encoder: str = "resnet101", *, exclusive: bool = False, **options: Any):
        super().__init__(encoder, **options)
        if exclusive:
            stage = getattr(self, "stage1", self)  # of MS-MTL, where the class is
            stage.classification_head = ClassHead(stage.encoder.out_channels[-1], len(KINDS))

    def forward(self, image: Tensor) -> PresenceLogits:
        return PresenceLogits(**dict(super().forward(image).items()))

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The losses by name; see `lib.presence.presence_losses`."""
        return presence_losses(logits, mask, label)

    def presence(self, learn: "Learner") -> dict[str, Any]:
        """What a run of it records of presence; see `lib.presence.report`."""
        from ..presence.report import presence_report  # the learner imports the networks

        return presence_report(learn)


class PresentUNet(Presence, UNet):
    """`UNet`, for T2 or T3, with T1 if wanted, asked which classes are present.

    Args:
        encoder: any encoder of segmentation-models-pytorch.
        exclusive: whether T1 chooses one of four kinds; else it answers two questions.
        options: for `UNet`.

    Shapes: image (N, 1, H, W) to cls (N, 2), or (N, 4), and the mask's scores.

    >>> import torch
    >>> network = PresentUNet("resnet18", classification=True, exclusive=True)
    >>> network(torch.zeros(2, 1, 64, 64)).cls.shape
    torch.Size([2, 4])
    """


class PresentClsNet(Presence, ClsNet):
    """`ClsNet`, asked which classes are present. Arguments as in `PresentUNet`.

    >>> import torch
    >>> PresentClsNet("resnet18")(torch.zeros(2, 1, 64, 64)).probabilities.cls[0].tolist()
    [0.5, 0.5]
    """


class PresentMSMTL(Presence, MSMTL):
    """`MSMTL`, asked which classes are present. Arguments as in `PresentUNet`.

    >>> import torch
    >>> [name for name, _ in PresentMSMTL("resnet18")(torch.zeros(2, 1, 64, 64)).items()]
    ['cls', 'seg2', 'seg3']
    """


class PresentCombined(Presence, Combined):
    """`Combined` of networks that were asked apart which classes are present.

    >>> import torch
    >>> parts = PresentUNet("resnet18", mask="seg2"), PresentClsNet("resnet18")
    >>> [name for name, _ in PresentCombined(*parts)(torch.zeros(2, 1, 64, 64)).items()]
    ['cls', 'seg2']
    """

    def __init__(self, *networks: nn.Module):
        Combined.__init__(self, *networks)
