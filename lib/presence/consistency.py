"""Algorithms 1 and 2 where an image may hold no nodule, or one of each class; and their terms.

The paper's two algorithms turn one task's answer into another's, for exactly one nodule. Here T1
answers twice, so each does: cls (N, 2) are the probabilities that a benign and that a malignant
nodule are present (`lib.networks.PresenceLogits`), and need not sum to 1. For two answers that do
sum to 1, and a map that holds one class, everything here is what the paper's form gives. L_T2T3
needs no other form. Shapes and checks of the maps as in `lib.consistency`.
"""

import torch
from torch import Tensor

from ..callbacks import Consistency
from ..checks import takes_probabilities
from ..consistency import EMPTY, Order, Softmax, cls_against_seg
from ..losses import dice_loss
from .answers import SURE


@takes_probabilities
def seg_as_present(seg3: Tensor) -> Tensor:
    """Read off Seg3 which classes are present: (N, 3, H, W) to (N, 2). Alg. 1 with two answers.

    As in Algorithm 1, each channel is scored by its mean probability over the pixels where it is
    the most probable one. A class that has pixels is present by its score. A class that has none is
    absent by the score of what stands in its place: the other class or, in a map without any
    nodule, the background, whose score Algorithm 1 throws away. A sigmoid takes the place of the
    softmax, so that values lie in .269 to .731 as there: an empty map is an answer, "neither",
    where in the paper's form it is silence.

    >>> def channels(background, benign, malignant):
    ...     return torch.tensor([background, benign, malignant])[None, :, None]
    >>> seg_as_present(channels([0.0, 1.0], [0.0, 0.0], [1.0, 0.0]))  # a malignant pixel
    tensor([[0.2691, 0.7309]])
    >>> seg_as_present(channels([1.0, 1.0], [0.0, 0.0], [0.0, 0.0]))  # background alone
    tensor([[0.2690, 0.2690]])
    """
    is_max = (seg3.detach().amax(1, keepdim=True) <= seg3.detach()).to(seg3.dtype)
    pixels = is_max.sum((2, 3))
    mean = (seg3 * is_max).sum((2, 3)) / (pixels + EMPTY)
    background, classes = mean[:, :1], mean[:, 1:]
    there = pixels[:, 1:] > 0
    other, other_there = classes.flip(1), there.flip(1)
    absent = -torch.where(other_there, other, background)
    return torch.where(there, classes, absent).sigmoid()


@takes_probabilities
def seg2_as_seg3_present(seg2: Tensor, cls: Tensor, seg3: Tensor) -> Tensor:
    """Give Seg2's nodule the classes that Cls says are present: to (N, 3, H, W). Alg. 2.

    One class present: all of the nodule is of that class, as in Algorithm 2. Both: each pixel is of
    the one that Seg3 finds more probable there, for Cls cannot tell where. Neither: there is
    nothing to paint, and all is background. What is present and where are constants to the
    gradient, which reaches `seg2` alone.

    >>> seg2 = torch.tensor([[[[0.25, 0.25]], [[0.75, 0.75]]]])
    >>> seg3 = torch.tensor([[[[0.2, 0.2]], [[0.5, 0.2]], [[0.3, 0.6]]]])
    >>> painted = seg2_as_seg3_present(seg2, torch.tensor([[0.9, 0.8]]), seg3)
    >>> painted[0, 1:, 0]  # benign on the left, malignant on the right
    tensor([[0.7500, 0.0000],
            [0.0000, 0.7500]])
    """
    said = (cls.detach() > SURE)[:, :, None, None]
    background, nodule = seg2.split(1, dim=1)
    here = torch.where(said, seg3.detach()[:, 1:], -1.0).argmax(1, keepdim=True)
    painted = [nodule * (said[:, k : k + 1] & (here == k)) for k in range(cls.shape[1])]
    background = torch.where(said.any(1, keepdim=True), background, 1.0)
    return torch.cat([background, *painted], dim=1)


@takes_probabilities
def inter_task_present(
    cls: Tensor,
    seg3: Tensor,
    order: Order = "both",
    softmax: Softmax = "double",
    detach_target: bool = True,
) -> Tensor:
    """L_T1T3 of two answers: soft cross-entropy of each with the map's, a scalar. Eq. 6, Alg. 1.

    Each answer is a question of its own, absent or present, and Eq. 5 and 6 are taken of both: the
    mean. To agree on no nodule is worth as much as to agree on one: 1.0708 at the least, as in the
    paper's form. Options as in `lib.consistency.inter_task`.

    >>> empty = torch.tensor([[[[1.0]], [[0.0]], [[0.0]]]])
    >>> neither, benign = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    >>> [round(inter_task_present(cls, empty).item(), 3) for cls in (neither, benign)]
    [1.071, 1.533]
    """
    said, read = _questions(cls), _questions(seg_as_present(seg3))
    return cls_against_seg(said, read, order, softmax, detach_target)


@takes_probabilities
def three_task_present(cls: Tensor, seg2: Tensor, seg3: Tensor) -> Tensor:
    """L_T1T2T3: Dice loss between `seg2_as_seg3_present` and Seg3, a scalar. Eq. 7, Alg. 2.

    Images in which T1 says "neither" are left out: it paints nothing there, and the term would
    teach the maps to be silent because T1 is. That contradiction is L_T1T3's.

    >>> seg2 = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # background, nodule
    >>> seg3 = torch.tensor([[[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]]])  # background, malignant
    >>> answers = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])[:, None]
    >>> [round(three_task_present(cls, seg2, seg3).item(), 3) for cls in answers]
    [0.333, 0.0, 0.0]
    """
    said = (cls.detach() > SURE).any(1)[:, None, None, None]
    return dice_loss(seg2_as_seg3_present(seg2, cls, seg3) * said, seg3 * said)


def _questions(present: Tensor) -> Tensor:
    """Each probability as a question by itself: (N, 2) to (2N, 2), absent and present."""
    return torch.stack([1 - present, present], 2).flatten(0, 1)


class PresenceInterTask(Consistency):
    """L_T1T3: which classes T1 says are present against those read off the 3-class mask.

    Options: `order`, `softmax`, `detach_target` (see `inter_task_present`).

    >>> PresenceInterTask(weight=0.3, order="sc").options
    {'order': 'sc'}
    """

    term, needs, function = "L_T1T3", ("cls", "seg3"), inter_task_present


class PresenceThreeTask(Consistency):
    """L_T1T2T3: nodule mask painted with the classes present against 3-class mask.

    >>> PresenceThreeTask(weight=0.3).needs
    ('cls', 'seg2', 'seg3')
    """

    term, needs, function = "L_T1T2T3", ("cls", "seg2", "seg3"), three_task_present
