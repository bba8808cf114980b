"""The consistency losses from raw scores: the maps are read once forward and once backward.

All that the losses of `lib.consistency`, which defines them, need of the maps is a handful of sums
for each image, and the gradient at a pixel is affine in that pixel's own probabilities. So the maps
are taken in pieces that fit a processor's cache: forward keeps only the sums, backward computes the
probabilities again and writes the gradient. No map is stored in between, and the losses share the
one pass::

    given = fused.sums(cls, seg2, seg3)
    loss = fused.intra_task(given) + fused.inter_task(given) + fused.three_task(given)

Values and gradients are those of `lib.consistency` on `softmax(1)` of the scores, to rounding.
Shapes as there, raw scores in place of probabilities. There is no second derivative.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lib.checks import check_scores, full_precision, one_of, trusted
from lib.consistency import EMPTY, cls_against_seg
from lib.losses import dice_of_sums

# Pixels of a piece. On a CPU, for each thread: so few that a piece's maps stay in the cache, so
# many that the calls themselves do not count. Elsewhere only memory bounds a piece.
CPU_PIXELS, OTHER_PIXELS = 1 << 16, 1 << 22


class Sums(NamedTuple):
    """What the consistency losses need of one batch of N images and K classes.

    cls: (N, K) probabilities of the classes; None if not given.
    pixels: of one image.
    seg3: (N, K+1) each channel of Seg3, summed over the pixels.
    at_max: (N, K) each class, summed over the pixels where no channel is more probable.
    count: (N, K) the number of these pixels.
    nodule: (N,) Seg2's nodule, summed; None without Seg2.
    overlap: (N, K+1) Seg2's nodule times each channel of Seg3, summed; None without Seg2.

    >>> given = sums(torch.zeros(1, 2), None, torch.zeros(1, 3, 4, 4))
    >>> given.cls.tolist(), given.pixels, given.nodule is None
    ([[0.5, 0.5]], 16, True)
    """

    cls: Tensor | None
    pixels: int
    seg3: Tensor
    at_max: Tensor
    count: Tensor
    nodule: Tensor | None
    overlap: Tensor | None


def sums(cls: Tensor | None, seg2: Tensor | None, seg3: Tensor) -> Sums:
    """Read the maps once: raw scores (N, K), (N, 2, H, W) and (N, K+1, H, W) to `Sums`.

    `cls` or `seg2` may be None where no loss that needs it is asked for. Computed in float32, or
    in float64 where Seg3 is; any memory layout. Raises TypeError for anything but a tensor and
    ValueError for a wrong shape. The values are not checked: NaN gives a loss of NaN.

    >>> given = sums(torch.zeros(1, 2), torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4))
    >>> given.nodule.item(), given.count.tolist()
    (8.0, [[16.0, 16.0]])
    """
    given = {"cls": cls, "seg2": seg2, "seg3": seg3}
    check_scores(**{n: scores for n, scores in given.items() if n == "seg3" or scores is not None})
    seg3 = seg3.as_subclass(Tensor)
    if seg2 is not None:
        seg2 = seg2.as_subclass(Tensor)
    if cls is not None:
        cls = full_precision(cls).softmax(1)
    total, at_max, count, nodule, overlap = _MapSums.apply(seg3, seg2)
    if seg2 is None:
        nodule = overlap = None
    return Sums(cls, seg3.shape[2] * seg3.shape[3], total, at_max, count, nodule, overlap)


def intra_task(given: Sums, *, background: bool = True, flatten: bool = False) -> Tensor:
    """L_T2T3, a scalar: `lib.consistency.intra_task`, with its options. Eq. 4.

    Raises ValueError if `sums` had no Seg2.

    >>> given = sums(None, torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4))
    >>> round(intra_task(given).item(), 4)
    0.4825
    """
    _needs(given, "seg2")
    outside = given.pixels - given.nodule, given.seg3[:, 0], given.seg3[:, 0] - given.overlap[:, 0]
    inside = given.nodule, given.seg3[:, 1:], given.overlap[:, 1:]
    seg2, seg3, overlap = (
        torch.stack([a.sum(), b.sum()]) for a, b in zip(outside, inside, strict=True)
    )
    return _dice(overlap, seg2 + seg3, background, flatten)


def inter_task(
    given: Sums,
    locations: str = "max",
    order: str = "both",
    softmax: str = "double",
    detach_target: bool = True,
) -> Tensor:
    """L_T1T3, a scalar: `lib.consistency.inter_task`, with its options. Eq. 6, Alg. 1.

    Raises ValueError for another option, or if `sums` had no Cls.

    >>> given = sums(torch.zeros(1, 2), None, torch.zeros(1, 3, 4, 4))
    >>> round(inter_task(given).item(), 4)
    1.3863
    """
    _needs(given, "cls")
    one_of("locations", locations, ("max", "all"))
    if locations == "max":
        mean = given.at_max / (given.count + EMPTY)
    else:
        mean = given.seg3[:, 1:] / given.pixels
    with trusted():
        return cls_against_seg(given.cls, mean.softmax(1), order, softmax, detach_target)


def three_task(given: Sums, *, background: bool = True, flatten: bool = False) -> Tensor:
    """L_T1T2T3, a scalar: `lib.consistency.three_task`, with its options. Eq. 7, Alg. 2.

    Raises ValueError if `sums` had no Cls or no Seg2.

    >>> given = sums(torch.zeros(1, 2), torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4))
    >>> round(three_task(given).item(), 4)
    0.6528
    """
    _needs(given, "cls")
    _needs(given, "seg2")
    chosen = F.one_hot(given.cls.argmax(1), given.cls.shape[1])
    nodule = given.nodule[:, None]
    painted = torch.cat([given.pixels - nodule, chosen * nodule], 1)
    overlap = torch.cat(
        [given.seg3[:, :1] - given.overlap[:, :1], chosen * given.overlap[:, 1:]], 1
    )
    return _dice(overlap.sum(0), (painted + given.seg3).sum(0), background, flatten)


def _dice(overlap: Tensor, total: Tensor, background: bool, flatten: bool) -> Tensor:
    if not background:
        overlap, total = overlap[1:], total[1:]
    return dice_of_sums(overlap.sum(), total.sum()) if flatten else dice_of_sums(overlap, total)


def _needs(given: Sums, name: str) -> None:
    if (given.cls if name == "cls" else given.nodule) is None:
        raise ValueError(f"this loss needs {name}, but sums(cls, seg2, seg3) was given none")


# The two passes over the maps


class _MapSums(torch.autograd.Function):
    """Scores of Seg3 and Seg2 to five sums over the pixels; without Seg2 the last two are 0."""

    @staticmethod
    def forward(ctx, seg3: Tensor, seg2: Tensor | None) -> tuple[Tensor, ...]:
        ctx.save_for_backward(seg3, seg2)
        n, channels = seg3.shape[:2]
        dtype = torch.promote_types(seg3.dtype, torch.float32)
        total, overlap = seg3.new_zeros(2, n, channels, dtype=dtype).unbind()
        at_max, count = seg3.new_zeros(2, n, channels - 1, dtype=dtype).unbind()
        nodule = seg3.new_zeros(n, dtype=dtype)
        with torch.autocast(seg3.device.type, enabled=False):
            for images, _, maps in _pieces(seg3, seg2, dtype):
                total[images] += maps.seg3.sum(2)
                nodule[images] += maps.nodule.sum((1, 2))
                overlap[images] += torch.bmm(maps.seg3, maps.nodule.mT)[:, :, 0]
                count[images] += maps.is_max.sum(2)
                at_max[images] += maps.is_max.mul_(maps.seg3[:, 1:]).sum(2)
        ctx.mark_non_differentiable(count)
        return total, at_max, count, nodule, overlap

    @staticmethod
    @once_differentiable
    def backward(ctx, total, at_max, _count, nodule, overlap):
        """The arguments are the loss's derivatives by the sums, coefficients of the maps here."""
        seg3, seg2 = ctx.saved_tensors
        grad3 = torch.empty_like(seg3.flatten(2))
        grad2 = None if seg2 is None else torch.empty_like(seg2.flatten(2))
        for images, pixels, maps in _pieces(seg3, seg2, total.dtype):
            # d loss / d probability, then through the softmax: p (d - sum of p d)
            slope, one = maps.room, maps.one
            torch.baddbmm(total[images, :, None], overlap[images, :, None], maps.nodule, out=slope)
            slope[:, 1:].addcmul_(maps.is_max, at_max[images, :, None])
            torch.sum(slope.mul_(maps.seg3), 1, keepdim=True, out=one)
            torch.addcmul(slope, maps.seg3, one, value=-1, out=grad3[images, :, pixels])
            if seg2 is None:
                continue
            # the same for the nodule, p = sigmoid: p (1 - p) d, and the background's opposite
            torch.baddbmm(nodule[images, None, None], overlap[images, None], maps.seg3, out=one)
            one.mul_(maps.nodule)
            inside = torch.addcmul(one, one, maps.nodule, value=-1, out=grad2[images, 1:, pixels])
            torch.neg(inside, out=grad2[images, :1, pixels])
        size = seg3.shape[2:]
        return grad3.unflatten(2, size), None if seg2 is None else grad2.unflatten(2, size)


class _Maps:
    """The probabilities of one piece, in buffers that the next piece of its shape takes over."""

    def __init__(self, shape: tuple[int, int, int], like: Tensor, dtype: torch.dtype):
        images, channels, pixels = shape
        self.seg3, self.room = like.new_empty(2, *shape, dtype=dtype).unbind()
        self.is_max = like.new_empty(images, channels - 1, pixels, dtype=dtype)
        self.one = like.new_empty(images, 1, pixels, dtype=dtype)
        self.nodule = like.new_zeros(images, 1, pixels, dtype=dtype)

    def read(self, seg3: Tensor, seg2: Tensor | None) -> None:
        torch.softmax(seg3, 1, dtype=self.seg3.dtype, out=self.seg3)
        torch.amax(self.seg3, 1, keepdim=True, out=self.one)
        torch.ge(self.seg3[:, 1:], self.one, out=self.is_max)  # 0 or 1, as a number
        if seg2 is not None:  # a softmax over two channels is a sigmoid of their difference
            background, nodule = seg2.to(self.nodule.dtype).split(1, dim=1)
            torch.sub(nodule, background, out=self.nodule).sigmoid_()


def _pieces(
    seg3: Tensor, seg2: Tensor | None, dtype: torch.dtype
) -> Iterator[tuple[slice, slice, _Maps]]:
    """Walk through the batch: the images and pixels of a piece, and its probabilities."""
    seg3, seg2 = seg3.flatten(2), None if seg2 is None else seg2.flatten(2)
    images, _, pixels = seg3.shape
    on_cpu = seg3.device.type == "cpu"
    most = CPU_PIXELS * torch.get_num_threads() if on_cpu else OTHER_PIXELS
    wide = -(-pixels // -(-pixels // most))  # equal parts: no last one of a few pixels
    high = max(1, most // pixels)
    maps = None
    for top in range(0, images, high):
        for left in range(0, pixels, wide):
            rows, columns = slice(top, top + high), slice(left, left + wide)
            piece = seg3[rows, :, columns]
            if maps is None or maps.seg3.shape != piece.shape:
                maps = _Maps(piece.shape, seg3, dtype)
            maps.read(piece, None if seg2 is None else seg2[rows, :, columns])
            yield rows, columns, maps
