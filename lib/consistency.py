"""Task consistency: turn one task's answer into another's, and measure how far the two disagree.

The three losses of Kang et al. 2022, section 3.3, on probabilities. Shapes throughout::

    cls   (N, K)           benign, malignant                 the class of the nodule      (T1)
    seg2  (N, 2, H, W)     background, nodule                its outline                  (T2)
    seg3  (N, K+1, H, W)   background, benign, malignant     its outline with a class     (T3)

K is 2 in the paper and any number of classes here. Everything is computed in float32, or in
float64 where that is given. A wrong shape, a value outside [0, 1] or a NaN raises ValueError.
"""

import torch
from torch import Tensor

from .losses import as_probabilities, dice_loss

__all__ = [
    "inter_task",
    "intra_task",
    "seg2_as_seg3",
    "seg3_as_seg2",
    "seg_as_cls",
    "soft_cross_entropy",
    "three_task",
]

EMPTY = 1e-3  # Alg. 1, step 3: keeps the mean over no pixels at 0
CLIP = 1e-7  # smallest probability whose plain log is taken: -log is at most 16.1


# One task's answer in the shape of another's


def seg3_as_seg2(seg3: Tensor) -> Tensor:
    """Merge the classes of Seg3 into one nodule: (N, K+1, H, W) to (N, 2, H, W).

    Background stays, the nodule is the sum over the classes. Section 3.3.1.

    >>> seg3_as_seg2(torch.tensor([[[[0.5]], [[0.125]], [[0.375]]]])).flatten()
    tensor([0.5000, 0.5000])
    """
    seg3 = _seg3(seg3)
    background, classes = seg3.split([1, seg3.shape[1] - 1], dim=1)
    return torch.cat([background, classes.sum(1, keepdim=True)], dim=1)


def seg_as_cls(seg3: Tensor, locations: str = "max") -> Tensor:
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
    one_of("locations", locations, ("max", "all"))
    seg3 = _seg3(seg3)
    classes = seg3[:, 1:]  # the background's own mean is dropped in step 4: never compute it
    if locations == "all":
        return classes.mean((2, 3)).softmax(1)
    is_max = (seg3.detach().amax(1, keepdim=True) <= classes.detach()).to(seg3.dtype)
    mean = (classes * is_max).sum((2, 3)) / (is_max.sum((2, 3)) + EMPTY)
    return mean.softmax(1)


def seg2_as_seg3(seg2: Tensor, cls: Tensor) -> Tensor:
    """Give Seg2's nodule the class that Cls finds most probable: to (N, K+1, H, W).

    Background is Seg2's, the channel of the chosen class is Seg2's nodule, the others are 0. The
    choice is a constant to the gradient, so none reaches `cls`. Alg. 2, steps 1 to 9.

    >>> seg2 = torch.tensor([[[[0.25]], [[0.75]]]])
    >>> seg2_as_seg3(seg2, cls=torch.tensor([[0.1, 0.9]])).flatten()
    tensor([0.2500, 0.0000, 0.7500])
    """
    seg2, cls = _seg2(seg2), _cls(cls)
    agree("seg2", seg2, "cls", cls)
    label = cls.argmax(1)[:, None, None, None]
    background, nodule = seg2.split(1, dim=1)
    return torch.cat([background, *(nodule * (label == k) for k in range(cls.shape[1]))], dim=1)


# How far two answers disagree


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
    merged, seg2 = seg3_as_seg2(seg3), _seg2(seg2)
    agree("seg2", seg2, "seg3", merged)
    return dice_loss(merged, seg2, background=background, flatten=flatten)


def inter_task(
    cls: Tensor,
    seg3: Tensor,
    locations: str = "max",
    order: str = "both",
    softmax: str = "double",
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
    one_of("order", order, ("both", "sc", "cs"))
    cls, seg = _cls(cls), seg_as_cls(seg3, locations)
    agree("cls", cls, "seg3", seg3)
    return cls_against_seg(cls, seg, order, softmax, detach_target)


def cls_against_seg(
    cls: Tensor, seg: Tensor, order: str, softmax: str, detach_target: bool
) -> Tensor:
    """Soft cross-entropy of Cls and Seg-as-Cls, both (N, K), each or either the target. Eq. 6."""
    one_of("order", order, ("both", "sc", "cs"))
    loss = 0.0
    for name, target, prediction in (("sc", seg, cls), ("cs", cls, seg)):
        if order in (name, "both"):
            target = target.detach() if detach_target else target
            loss = loss + soft_cross_entropy(target, prediction, softmax)
    return loss


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
    painted, seg3 = seg2_as_seg3(seg2, cls), _seg3(seg3)
    agree("cls", cls, "seg3", seg3)
    agree("seg2", painted, "seg3", seg3)
    return dice_loss(painted, seg3, background=background, flatten=flatten)


def soft_cross_entropy(target: Tensor, prediction: Tensor, softmax: str = "double") -> Tensor:
    """Cross-entropy of two soft labels (N, K), mean over the images: a scalar. Eq. 5.

    `softmax="single"` is Eq. 5 as written, the log of the probability, clipped below at 1e-7 so
    that it stays finite (and flat below). `"double"` takes the log of a softmax of the
    probabilities: only this gives the losses printed in the paper's Fig. 3. The plain form is least
    at the target itself, the double form at a surer prediction: certainty for a target of .731.

    >>> target, prediction = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.25, 0.75]])
    >>> [soft_cross_entropy(target, prediction, form) for form in ("double", "single")]
    [tensor(0.4741), tensor(0.2877)]
    """
    one_of("softmax", softmax, ("double", "single"))
    target = as_probabilities("target", target, maps=False, channels=2, or_more=True)
    prediction = as_probabilities("prediction", prediction, maps=False, channels=target.shape[1])
    agree("target", target, "prediction", prediction)
    log = prediction.log_softmax(1) if softmax == "double" else prediction.clamp(min=CLIP).log()
    return -(target * log).sum(1).mean()


# The checks


def _cls(cls: Tensor) -> Tensor:
    return as_probabilities("cls", cls, maps=False, channels=2, or_more=True)


def _seg2(seg2: Tensor) -> Tensor:
    return as_probabilities("seg2", seg2, maps=True, channels=2)


def _seg3(seg3: Tensor) -> Tensor:
    return as_probabilities("seg3", seg3, maps=True, channels=3, or_more=True)


def agree(name: str, one: Tensor, other_name: str, other: Tensor) -> None:
    """Same images, and same pixels or K classes for K+1 channels where both have them."""
    if one.shape[0] != other.shape[0]:
        unequal = f"{one.shape[0]} images", str(other.shape[0])
    elif one.ndim == other.ndim == 4 and one.shape[2:] != other.shape[2:]:
        unequal = tuple(f"{h} x {w} pixels" for h, w in (one.shape[2:], other.shape[2:]))
    elif (name, other_name) == ("cls", "seg3") and one.shape[1] + 1 != other.shape[1]:
        unequal = f"{one.shape[1]} classes", f"{other.shape[1]} channels, not {one.shape[1] + 1}"
    else:
        return
    raise ValueError(
        f"{name} has {unequal[0]} but {other_name} has {unequal[1]}; "
        "pass the answers of one network to one batch"
    )


def one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ValueError(f"{name}={value!r} is not an option; use one of {', '.join(options)}")
