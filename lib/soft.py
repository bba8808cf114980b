"""A soft form of the two terms that involve the class: no argmax, no choice of pixels.

Not in the paper. Algorithm 1 looks only at the pixels where a class is the most probable channel,
and Algorithm 2 paints with the most probable class: both take a decision, which the gradient cannot
undo. Here every pixel counts by its probability, and the nodule is painted with all the classes in
the shares that Cls gives them. Shapes and checks as in `lib.consistency`.
"""

import math

import torch
from torch import Tensor

from .callbacks import Consistency
from .checks import takes_probabilities
from .losses import dice_loss

NONE = 1.0  # pixels of each class that every image is given: no nodule at all is an even answer


@takes_probabilities
def soft_seg_as_cls(seg3: Tensor) -> Tensor:
    """Each class's share of the nodule's mass in Seg3: (N, K+1, H, W) to (N, K), rows sum to 1.

    The mass of a class is the sum of its probability over all pixels, plus one pixel. Where
    `lib.consistency.seg_as_cls` ends at .731, this comes as near to 1 as the map is large and sure.

    >>> seg3 = torch.tensor([[[[0.0] * 8], [[0.0] * 8], [[1.0] * 8]]])  # eight malignant pixels
    >>> soft_seg_as_cls(seg3)
    tensor([[0.1000, 0.9000]])
    """
    mass = seg3[:, 1:].sum((2, 3)) + NONE
    return mass / mass.sum(1, keepdim=True)


@takes_probabilities
def soft_seg2_as_seg3(seg2: Tensor, cls: Tensor) -> Tensor:
    """Share Seg2's nodule among the classes as Cls does: to (N, K+1, H, W).

    Background is Seg2's, class k has `cls[k]` of its nodule; gradient to both.

    >>> seg2 = torch.tensor([[[[0.25]], [[0.75]]]])
    >>> soft_seg2_as_seg3(seg2, cls=torch.tensor([[0.0, 1.0]])).flatten()
    tensor([0.2500, 0.0000, 0.7500])
    """
    background, nodule = seg2.split(1, dim=1)
    return torch.cat([background, nodule * cls[:, :, None, None]], dim=1)


@takes_probabilities
def jensen_shannon(one: Tensor, other: Tensor) -> Tensor:
    """Jensen-Shannon divergence of two soft labels (N, K), mean over the images: a scalar, 0 to 1.

    In bits: 0 for equal answers, 1 for two certain ones that differ. It is symmetric and finite
    also where a probability is 0. Lin 1991.

    >>> sure = torch.eye(2)
    >>> [jensen_shannon(sure, other).item() for other in (sure, sure.flip(0))]
    [0.0, 1.0]
    """
    middle = (one + other) / 2
    halves = sum(p * (_log(p) - _log(middle)) for p in (one, other))
    return halves.sum(1).mean() / (2 * math.log(2))


@takes_probabilities
def soft_inter_task(cls: Tensor, seg3: Tensor) -> Tensor:
    """Jensen-Shannon divergence of Cls and the soft Seg-as-Cls, a scalar, 0 to 1; gradient to both.

    In the place of L_T1T3. Unlike it, this is 0 at agreement.

    >>> seg3 = torch.tensor([[[[0.0] * 8], [[0.0] * 8], [[1.0] * 8]]])  # eight malignant pixels
    >>> [round(soft_inter_task(cls, seg3).item(), 2) for cls in torch.eye(2)[:, None]]
    [0.76, 0.05]
    """
    return jensen_shannon(cls, soft_seg_as_cls(seg3))


@takes_probabilities
def soft_three_task(
    cls: Tensor, seg2: Tensor, seg3: Tensor, *, background: bool = True, flatten: bool = False
) -> Tensor:
    """Dice loss between the soft Seg2-as-Seg3 and Seg3, a scalar; gradient to all three.

    In the place of L_T1T2T3. `background` and `flatten` as in `lib.losses.dice_loss`.

    >>> seg2 = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # background, nodule
    >>> seg3 = torch.tensor([[[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]]])  # background, malignant
    >>> [round(soft_three_task(cls, seg2, seg3).item(), 3) for cls in torch.eye(2)[:, None]]
    [0.333, 0.0]
    """
    return dice_loss(soft_seg2_as_seg3(seg2, cls), seg3, background=background, flatten=flatten)


class SoftInterTask(Consistency):
    """The soft form of L_T1T3: class against the nodule's mass in the 3-class mask.

    >>> SoftInterTask(weight=0.3, ramp=0.4).needs
    ('cls', 'seg3')
    """

    term, needs, function = "soft L_T1T3", ("cls", "seg3"), soft_inter_task


class SoftThreeTask(Consistency):
    """The soft form of L_T1T2T3: nodule mask painted with both classes against 3-class mask.

    >>> SoftThreeTask(weight=0.3, ramp=0.4).needs
    ('cls', 'seg2', 'seg3')
    """

    term, needs, function = "soft L_T1T2T3", ("cls", "seg2", "seg3"), soft_three_task


def _log(values: Tensor) -> Tensor:
    """Finite at 0, where its gradient is cut off: a class that both call impossible adds 0."""
    return values.clamp(min=torch.finfo(values.dtype).tiny).log()
