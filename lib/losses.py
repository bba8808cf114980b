"""The task losses: Dice for the two segmentations, cross-entropy for the class.

Names follow the paper's tasks (Kang et al. 2022, Eq. 1): T1 is the class of the nodule, T2 its
outline, T3 its outline with a class.
"""

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from . import checks
from .checks import full_precision

TASK_OF = {"T1 BCE": "cls", "T2 Dice": "seg2", "T3 Dice": "seg3"}
TERMS = tuple(TASK_OF)


def dice_loss(
    target: Tensor,
    prediction: Tensor,
    *,
    background: bool = True,
    flatten: bool = False,
    smooth: float = 1.0,
) -> Tensor:
    """Soft Dice loss of two probability maps: 0 for equal one-hot maps, near 1 for disjoint ones.

    Shapes (N, C, ...), values 0..1 (not checked here), channel 0 the background; returns a scalar.
    The sums run over batch and pixels for each class, and the mean over the classes is taken:
    sums over single images break on the class that an image lacks, and sums over all channels
    (`flatten=True`) let the rare class vanish. `background=False` leaves channel 0 out. `smooth`
    is the 1 above and below in the paper. Between soft maps the loss is not 0 at equality (a large
    channel of q everywhere against itself gives 1 - q), so it also sharpens.
    Raises ValueError for unequal shapes, no channels left, or `smooth` not above 0. Eq. 2.

    >>> mask = one_hot(torch.tensor([[0, 0, 1, 1]]), classes=2)
    >>> [round(dice_loss(mask, other).item(), 3) for other in (mask, mask.flip(1))]
    [0.0, 0.8]
    """
    if target.shape != prediction.shape:
        raise ValueError(
            f"target has shape {tuple(target.shape)} but prediction has "
            f"{tuple(prediction.shape)}; they must be equal"
        )
    first = 0 if background else 1
    if target.ndim < 2 or target.shape[1] <= first:
        raise ValueError(
            f"target and prediction have shape {tuple(target.shape)}; expected (N, C, ...) "
            f"with C at least {first + 1}"
        )
    if not smooth > 0:
        raise ValueError(f"smooth is {smooth}; it must be above 0, or an absent class gives 0/0")
    target, prediction = full_precision(target), full_precision(prediction)
    if not background:
        target, prediction = target[:, 1:], prediction[:, 1:]
    axes = [axis for axis in range(target.ndim) if flatten or axis != 1]
    overlap = (target * prediction).sum(axes)
    total = target.sum(axes) + prediction.sum(axes)
    return dice_of_sums(overlap, total, smooth)


def dice_of_sums(overlap: Tensor, total: Tensor, smooth: float = 1.0) -> Tensor:
    """Dice loss from the sums of products and of both maps' values: mean over the classes. Eq. 2.

    >>> dice_of_sums(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 3.0])).item()
    0.375
    """
    return (1 - (2 * overlap + smooth) / (total + smooth)).mean()


def one_hot(mask: Tensor, classes: int) -> Tensor:
    """One channel per class: mask (N, ...) of integers 0..classes-1 to float32 (N, classes, ...).

    Raises ValueError if the mask is not of integers or holds a value outside 0..classes-1.

    >>> one_hot(torch.tensor([[0, 2]]), classes=3)
    tensor([[[1., 0.],
             [0., 0.],
             [0., 1.]]])
    """
    mask = checks.integers("mask", mask, 0, classes - 1)
    values = torch.arange(classes, device=mask.device).view(1, -1, *[1] * (mask.ndim - 1))
    return (mask.unsqueeze(1) == values).float()


def class_known(mask: Tensor, channels: int) -> Tensor:
    """Which images can teach T3: mask (N, H, W) to (N,) Boolean, False with a nodule of no class.

    `channels` of T3, background and classes; it is also the mask's value for such a nodule.

    >>> class_known(torch.tensor([[[0, 1]], [[0, 3]]]), channels=3)
    tensor([ True, False])
    """
    return (mask != channels).flatten(1).all(1)


def class_outline_loss(maps: Tensor, mask: Tensor, *, background: bool = True) -> Tensor:
    """Dice loss of probabilities (N, K+1, H, W) against the mask of K classes, a scalar. Eq. 2.

    Images with a nodule of unknown class, K+1 in the mask, teach nothing; if there are no others,
    the loss is 0. Raises ValueError for a mask of other values.

    >>> maps = torch.tensor([[[[1.0]], [[0.0]], [[0.0]]]])
    >>> [round(class_outline_loss(maps, torch.tensor([[[c]]])).item(), 3) for c in (0, 2, 3)]
    [0.0, 0.333, 0.0]
    """
    channels = maps.shape[1]
    mask = checks.integers("mask", mask, 0, channels)
    # An image that cannot teach is 0 everywhere in both maps: to leave it out would ask the device
    # how many are left.
    known = class_known(mask, channels).view(-1, 1, 1, 1)
    with checks.trusted():
        target = one_hot(mask, channels)
    return dice_loss(target * known, maps * known, background=background)


def task_losses(
    logits: object,
    mask: Tensor,
    label: Tensor,
    *,
    weights: Mapping[str, float] | None = None,
    background: bool = True,
) -> dict[str, Tensor]:
    """The loss of each task that the network has: "T1 BCE", "T2 Dice", "T3 Dice" (Eq. 2, 3).

    `logits` has the attributes cls (N, K), seg2 (N, 2, H, W) and seg3 (N, K+1, H, W), raw scores,
    None where the network lacks the task. `mask` (N, H, W): 0 background, 1..K the nodule's class,
    K+1 a nodule of unknown class (K = 2: benign, malignant, and 3). `label` (N,): the class index
    0..K-1, -1 for none. Images without a label stay out of T1, images with a nodule of unknown
    class out of T3, and T2 takes any nodule. A term that no image of the batch can feed is 0 and
    still has a graph. `weights` multiplies terms by name; a term of weight 0 is not computed.
    `background=False` leaves the background out of the Dice losses.
    Cross-entropy over two softmax outputs is the paper's BCE. Computed in float32, or float64 if
    the logits are. Raises ValueError for wrong shapes, values, or weight names.

    >>> from lib.networks import TaskLogits
    >>> logits = TaskLogits(cls=torch.zeros(2, 2), seg2=torch.zeros(2, 2, 4, 4))
    >>> losses = task_losses(logits, torch.ones(2, 4, 4, dtype=torch.int64), torch.tensor([0, 1]))
    >>> {name: round(loss.item(), 3) for name, loss in losses.items()}
    {'T1 BCE': 0.693, 'T2 Dice': 0.634}
    """
    weights = dict(weights or {})
    if unknown := sorted(set(weights) - set(TERMS)):
        raise ValueError(f"weights names {unknown}; the terms are {', '.join(TERMS)}")
    tasks = {term: getattr(logits, name, None) for term, name in TASK_OF.items()}
    scores = {term: values for term, values in tasks.items() if values is not None}
    if not scores:
        raise ValueError("logits has none of cls, seg2 and seg3; the network must give one of them")
    for term, values in scores.items():
        checks.fit(TASK_OF[term], values, "mask", mask)
    losses = {
        "T1 BCE": _class_loss,
        "T2 Dice": partial(_outline_loss, background=background),
        "T3 Dice": partial(_class_outline_loss, background=background),
    }
    return {
        term: weights.get(term, 1.0) * losses[term](full_precision(values), mask, label)
        for term, values in scores.items()
        if weights.get(term, 1.0) != 0
    }


def _class_loss(cls: Tensor, mask: Tensor, label: Tensor) -> Tensor:
    label = checks.integers("label", label, -1, cls.shape[1] - 1).long()
    if label.shape != cls.shape[:1]:
        raise ValueError(f"label has shape {tuple(label.shape)} but cls has {tuple(cls.shape)}")
    total = F.cross_entropy(cls, label, ignore_index=-1, reduction="sum")
    return total / (label >= 0).sum().clamp(min=1)


def _outline_loss(seg2: Tensor, mask: Tensor, label: Tensor, *, background: bool) -> Tensor:
    if seg2.shape[1] != 2:
        raise ValueError(f"seg2 has shape {tuple(seg2.shape)}; expected (N, 2, H, W)")
    nodule = checks.integers("mask", mask, 0, None) > 0
    with checks.trusted():
        return dice_loss(one_hot(nodule.long(), 2), seg2.softmax(1), background=background)


def _class_outline_loss(seg3: Tensor, mask: Tensor, label: Tensor, *, background: bool) -> Tensor:
    channels = seg3.shape[1]
    if channels < 3:
        raise ValueError(f"seg3 has shape {tuple(seg3.shape)}; expected (N, classes + 1, H, W)")
    return class_outline_loss(seg3.softmax(1), mask, background=background)
