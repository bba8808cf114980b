"""Algorithms 1 and 2 and Equations 2 to 7 as printed, in whole tensors: slow, and the reference.

Each step of the paper is a line here, on probabilities; nothing is shared with `lib`. The tests
hold `lib.consistency` and `ci.engine.fused` against it, and the benchmark its time.
"""

import torch


def dice_loss(target, prediction):
    """Eq. 2, a channel at a time, summed over images and pixels, mean over the channels."""
    losses = []
    for channel in range(target.shape[1]):
        y, p = target[:, channel], prediction[:, channel]
        losses.append(1 - (2 * (y * p).sum() + 1) / (y.sum() + p.sum() + 1))
    return torch.stack(losses).mean()


def seg3_as_seg2(seg3):
    """Section 3.3.1."""
    return torch.stack([seg3[:, 0], seg3[:, 1:].sum(1)], dim=1)


def seg_as_cls(seg3, eps=1e-3):
    """Algorithm 1, steps 1 to 4."""
    largest = seg3.max(dim=1, keepdim=True).values.expand_as(seg3)
    locations = torch.where(largest <= seg3, torch.ones_like(seg3), torch.zeros_like(seg3))
    numerator = (seg3 * locations).sum(dim=(2, 3))
    denominator = locations.sum(dim=(2, 3)) + eps
    return torch.softmax((numerator / denominator)[:, 1:], dim=1)


def soft_cross_entropy(target, prediction):
    """Eq. 5, with the second softmax that the losses of Fig. 3 show."""
    return -(target * torch.log(torch.softmax(prediction, dim=1))).sum(dim=1).mean()


def seg2_as_seg3(seg2, cls):
    """Algorithm 2, steps 1 to 9."""
    background, nodule = seg2[:, 0], seg2[:, 1]
    label = cls.argmax(dim=1)
    channels = [background]
    for k in range(cls.shape[1]):
        chosen = torch.zeros_like(nodule)
        chosen[label == k] = 1
        channels.append(nodule * chosen)
    return torch.stack(channels, dim=1)


def intra_task(seg2, seg3):
    """Eq. 4."""
    return dice_loss(seg3_as_seg2(seg3), seg2)


def inter_task(cls, seg3):
    """Eq. 6, both directions; a target is a constant."""
    seg = seg_as_cls(seg3)
    return soft_cross_entropy(seg.detach(), cls) + soft_cross_entropy(cls.detach(), seg)


def three_task(cls, seg2, seg3):
    """Eq. 7."""
    return dice_loss(seg2_as_seg3(seg2, cls), seg3)
