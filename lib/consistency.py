"""Task consistency: turn one task's answer into another's, and measure how far the two disagree.

The three losses of Kang et al. 2022, section 3.3, on probabilities. Shapes throughout::

    cls   (N, K)           benign, malignant                 the class of the nodule      (T1)
    seg2  (N, 2, H, W)     background, nodule                its outline                  (T2)
    seg3  (N, K+1, H, W)   background, benign, malignant     its outline with a class     (T3)

K is 2 in the paper and any number of classes here. Everything is computed in float32, or in
float64 where that is given. A wrong shape, a value outside [0, 1] or a NaN raises ValueError.
"""

from typing import Literal

import torch
from torch import Tensor

from .checks import takes_probabilities
from .losses import dice_loss

Locations = Literal["max", "all"]
Order = Literal["both", "sc", "cs"]
Softmax = Literal["double", "single"]

EMPTY = 1e-3  # Alg. 1, step 3: keeps the mean over no pixels at 0
CLIP = 1e-7  # smallest probability whose plain log is taken: -log is at most 16.1


# One task's answer in the shape of another's


@takes_probabilities
def seg3_as_seg2(seg3: Tensor) -> Tensor:
    """Merge the classes of Seg3 into one nodule: (N, K+1, H, W) to (N, 2, H, W).

    Background stays, the nodule is the sum over the classes. Section 3.3.1.

    >>> seg3_as_seg2(torch.tensor([[[[0.5]], [[0.125]], [[0.375]]]])).flatten()
    tensor([0.5000, 0.5000])
    """
    background, classes = seg3.split([1, seg3.shape[1] - 1], dim=1)
    return torch.cat([background, classes.sum(1, keepdim=True)], dim=1)


@takes_probabilities
def seg_as_cls(seg3: Tensor, locations: Locations = "max") -> Tensor:
    """Read a class off Seg3: (N, K+1, H, W) to (N, K), rows that sum to 1.

    Each class is scored by its mean probability over the pixels where it is the most probable
    channel (`locations="max"`, ties go to every tied class) or over all pixels (`"all"`); softmax
    makes the scores sum to 1. Scores lie in 0..1, so for K = 2 the answer lies in .269 to .731,
    and with no nodule pixel at all it is (.5, .5). Where the maxima lie is a constant to the
    gradient. Raises ValueError for another `locations`. Alg. 1, steps 1 to 4.

    >>> seg3 = torch.tensor([[[[0.0, 0.9]], [[0.0, 0.1]], [[1.0, 0.0]]]])  # malignant, background
    >>> seg_as_cls(seg3)
    tensor([[0.2691, 0.7309]])
    """
    classes = seg3[:, 1:]  # the background's own mean is dropped in step 4: never compute it
    if locations == "all":
        return classes.mean((2, 3)).softmax(1)
    is_max = (seg3.detach().amax(1, keepdim=True) <= classes.detach()).to(seg3.dtype)
    mean = (classes * is_max).sum((2, 3)) / (is_max.sum((2, 3)) + EMPTY)
    return mean.softmax(1)


@takes_probabilities
def seg2_as_seg3(seg2: Tensor, cls: Tensor) -> Tensor:
    """Give Seg2's nodule the class that Cls finds most probable: to (N, K+1, H, W).

    Background is Seg2's, the channel of the chosen class is Seg2's nodule, the others are 0. The
    choice is a constant to the gradient, so none reaches `cls`. Alg. 2, steps 1 to 9.

    >>> seg2 = torch.tensor([[[[0.25]], [[0.75]]]])
    >>> seg2_as_seg3(seg2, cls=torch.tensor([[0.1, 0.9]])).flatten()
    tensor([0.2500, 0.0000, 0.7500])
    """
    label = cls.argmax(1)[:, None, None, None]
    background, nodule = seg2.split(1, dim=1)
    return torch.cat([background, *(nodule * (label == k) for k in range(cls.shape[1]))], dim=1)


# How far two answers disagree


@takes_probabilities
def intra_task(
    seg2: Tensor, seg3: Tensor, *, background: bool = True, flatten: bool = False
) -> Tensor:
    """L_T2T3: Dice loss between Seg3-as-Seg2 and Seg2, a scalar; gradient to both. Eq. 4.

    `background` and `flatten` as in `lib.losses.dice_loss`.

    >>> seg2 = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # background, nodule
    >>> seg3 = torch.tensor([[[[1.0, 0.0]], [[0.0, 0.5]], [[0.0, 0.5]]]])
    >>> intra_task(seg2, seg3)
    tensor(0.)
    """
    return dice_loss(seg3_as_seg2(seg3), seg2, background=background, flatten=flatten)


@takes_probabilities
def inter_task(
    cls: Tensor,
    seg3: Tensor,
    locations: Locations = "max",
    order: Order = "both",
    softmax: Softmax = "double",
    detach_target: bool = True,
) -> Tensor:
    """L_T1T3: soft cross-entropy between Cls and Seg-as-Cls, a scalar. Eq. 6, Alg. 1.

    `order="sc"` takes Seg-as-Cls as the target of Cls, `"cs"` the reverse, `"both"` their sum.
    With `detach_target` no gradient flows into a target, so SC moves only `cls` and CS only
    `seg3`. `locations` as in `seg_as_cls`, `softmax` as in `soft_cross_entropy`. In its
    default form the loss never reaches 0: for K = 2 it is 1.0708 at full agreement. Raises
    ValueError for another option.

    >>> seg3 = torch.tensor([[[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]]])  # background, malignant
    >>> [round(inter_task(cls, seg3).item(), 2) for cls in torch.eye(2)[:, None]]
    [1.99, 1.07]
    """
    return cls_against_seg(cls, seg_as_cls(seg3, locations), order, softmax, detach_target)


@takes_probabilities
def cls_against_seg(
    cls: Tensor, seg: Tensor, order: Order, softmax: Softmax, detach_target: bool
) -> Tensor:
    """Soft cross-entropy of Cls and Seg-as-Cls, both (N, K), each or either the target. Eq. 6."""
    loss = 0.0
    for name, target, prediction in (("sc", seg, cls), ("cs", cls, seg)):
        if order in (name, "both"):
            target = target.detach() if detach_target else target
            loss = loss + soft_cross_entropy(target, prediction, softmax)
    return loss


@takes_probabilities
def three_task(
    cls: Tensor, seg2: Tensor, seg3: Tensor, *, background: bool = True, flatten: bool = False
) -> Tensor:
    """L_T1T2T3: Dice loss between Seg2-as-Seg3 and Seg3, a scalar. Eq. 7, Alg. 2.

    Gradient to `seg2` and `seg3`, none to `cls`. `background` and `flatten` as in
    `lib.losses.dice_loss`.

    >>> seg2 = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # background, nodule
    >>> seg3 = torch.tensor([[[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]]])  # background, malignant
    >>> [round(three_task(cls, seg2, seg3).item(), 3) for cls in torch.eye(2)[:, None]]
    [0.333, 0.0]
    """
    return dice_loss(seg2_as_seg3(seg2, cls), seg3, background=background, flatten=flatten)


@takes_probabilities
def soft_cross_entropy(target: Tensor, prediction: Tensor, softmax: Softmax = "double") -> Tensor:
    """Cross-entropy of two soft labels (N, K), mean over the images: a scalar. Eq. 5.

    `softmax="single"` is Eq. 5 as written, the log of the probability, clipped below at 1e-7 so
    that it stays finite (and flat below). `"double"` takes the log of a softmax of the
    probabilities: only this gives the losses printed in the paper's Fig. 3. The plain form is least
    at the target itself, the double form at a surer prediction: certainty for a target of .731.

    >>> target, prediction = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.25, 0.75]])
    >>> [soft_cross_entropy(target, prediction, form) for form in ("double", "single")]
    [tensor(0.4741), tensor(0.2877)]
    """
    log = prediction.log_softmax(1) if softmax == "double" else prediction.clamp(min=CLIP).log()
    return -(target * log).sum(1).mean()
