"""The task losses where an image may hold no nodule, or one of each class.

T1 has two answers, each with a cross-entropy of its own. A mask may be empty, and Dice does not
know what to make of that. Of an empty mask alone it is 1 - 1 / (1 + s), where s is the sum of the
nodule's probabilities: near 1 whether ten pixels or a thousand are wrong, with next to no slope,
until it falls to 0 at perfect silence. So Dice takes the images that have a nodule, as in the
paper, and cross-entropy the pixels of those that have none: there each wrong pixel counts, and
silence earns nothing in the other images.
"""

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from .. import checks
from ..checks import full_precision
from ..losses import class_known, dice_loss, one_hot
from .answers import kind, present

if TYPE_CHECKING:  # a network brings these losses
    from ..networks.logits import TaskLogits

MAPS = {"seg2": "T2", "seg3": "T3"}


def presence_losses(logits: "TaskLogits", mask: Tensor, label: Tensor) -> dict[str, Tensor]:
    """The loss of each task that the network has, by name; scalars.

    "T1 BCE": mean over the images and the two questions of the binary cross-entropy, for scores cls
    (N, 2); "T1 CE": cross-entropy over the four kinds, for scores (N, 4). "T2 Dice" and "T3 Dice"
    (Eq. 2): over the images with a nodule. "T2 none" and "T3 none": cross-entropy against
    background, mean over all pixels of the batch, where only images without a nodule add to it.

    `mask` and `label` as in `lib.presence.present`. An image with a nodule of unknown class teaches
    T2 alone. What no image can feed is 0 and still has a graph. On images of one nodule each, and
    for two answers that sum to 1, every loss is that of `lib.losses.task_losses`. Raises ValueError
    for wrong shapes or values.

    >>> import torch
    >>> from lib.networks import TaskLogits
    >>> logits = TaskLogits(cls=torch.zeros(2, 2), seg2=torch.zeros(2, 2, 4, 4))
    >>> mask = torch.stack([torch.ones(4, 4), torch.zeros(4, 4)]).long()
    >>> found = presence_losses(logits, mask, torch.tensor([0, -1]))
    >>> {name: round(loss.item(), 3) for name, loss in found.items()}
    {'T1 BCE': 0.693, 'T2 Dice': 0.604, 'T2 none': 0.347}
    """
    for name, scores in logits.items():
        checks.fit(name, scores, "mask", mask)
    held = present(mask, label)
    nodule = (mask > 0).flatten(1).any(1)
    losses = {}
    if logits.cls is not None:
        losses |= _presence_loss(full_precision(logits.cls), held)
    with checks.trusted():  # looked at by `present`
        for name, task in MAPS.items():
            if (scores := getattr(logits, name)) is None:
                continue
            scores = full_precision(scores)
            target = mask if name == "seg3" else (mask > 0).long()
            known = class_known(target, scores.shape[1])
            losses[f"{task} Dice"] = _dice_where(scores.softmax(1), target, nodule & known)
            losses[f"{task} none"] = _silence(scores, ~nodule)
    return losses


def _presence_loss(scores: Tensor, held: Tensor) -> dict[str, Tensor]:
    known = held[:, 0] >= 0
    images = known.sum().clamp(min=1)
    if scores.shape[1] == held.shape[1]:
        target = held.clamp(min=0).to(scores.dtype)
        each = F.binary_cross_entropy_with_logits(scores, target, reduction="none").mean(1)
        return {"T1 BCE": (each * known).sum() / images}
    total = F.cross_entropy(scores, kind(held), ignore_index=-1, reduction="sum")
    return {"T1 CE": total / images}


def _dice_where(maps: Tensor, mask: Tensor, where: Tensor) -> Tensor:
    """Dice loss of some images of a batch. What is 0 in both maps does not count."""
    some = where.view(-1, 1, 1, 1)
    return dice_loss(one_hot(mask, maps.shape[1]) * some, maps * some)


def _silence(scores: Tensor, where: Tensor) -> Tensor:
    """Cross-entropy against background in some images, as a mean over all images and pixels."""
    surprise = -scores.log_softmax(1)[:, 0].mean((1, 2))
    return (surprise * where).mean()
