"""One answer where there may be no nodule, or two: the joint decision over four kinds of image.

The experts of `lib.decode` over more configurations: a kind of image (`KINDS`) and a mask whose
nodule pixels are of a class that it holds. For the kind k,

    J(k) = bias_k + w_cls / 2 sum over the two classes of log T1(present or absent, as in k)
                  + w_maps / A  sum over the pixels of max(0, s_c) for the best class c in k

with s_c a pixel's log-odds of class c against background, and A as in `lib.decode`. A normal image
has an empty mask, which the maps' sum takes as 0. Weights and biases are those of the same logistic
regression, fitted to validation images; kinds that these do not hold are no possible answer. So
with validation images of one nodule each, and for two answers that sum to 1, this is
`lib.decode.joint`, number for number.

"No nodule" is the answer where some nodule is less probable than `threshold`, or where no piece of
the mask has `size` pixels. What is said to be present is what the mask then holds, so the answer
cannot contradict itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from .. import decode
from ..cases import CLASSES, UNKNOWN
from ..consistency import EMPTY
from .answers import HOLDS, KINDS

NORMAL, BOTH = KINDS.index("normal"), KINDS.index("both")
ONE = (1, 2)  # the kinds that the paper has
SIZES = (0, 4, 8, 16, 32, 64, 128)  # smallest pieces to choose from, px of the network's input
EIGHT = np.ones((3, 3), int)  # pixels that touch at a corner are one piece


@dataclass(frozen=True)
class Rule:
    """What the decision was taught by validation images.

    weights: of the experts, with a bias for each of `kinds`, the possible answers by their index in
    `KINDS`; threshold: least probability of a nodule; size: fewest pixels of a piece.

    >>> Rule().record()["kinds"]
    ['benign', 'malignant']
    """

    weights: decode.Weights = decode.EQUAL
    kinds: tuple[int, ...] = ONE
    threshold: float = 0.0
    size: int = 0

    def record(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "weights": self.weights.record(),
            "kinds": [KINDS[k] for k in self.kinds],
            "threshold": self.threshold,
            "size": self.size,
        }


@dataclass(frozen=True)
class Decision:
    """The answer to each image: posterior (N, 4), the probability of each of `KINDS`; mask
    (N, H, W), 0 background, 1 benign, 2 malignant, 3 one of the two, which no map tells apart.
    """

    posterior: Tensor
    mask: Tensor

    @property
    def present(self) -> Tensor:
        """What the answer says is present: (N, 2), Boolean; just what its mask holds."""
        unknown = (self.mask == UNKNOWN).flatten(1).any(1)
        held = [(self.mask == k).flatten(1).any(1) | unknown for k in (1, 2)]
        return torch.stack(held, 1)

    @property
    def probability(self) -> Tensor:
        """How probable it is that each class is present: (N, 2)."""
        return self.posterior @ torch.tensor(HOLDS).to(self.posterior)


def words(given: Mapping[str, Tensor], weights: decode.Weights = decode.EQUAL) -> Tensor:
    """What T1 and what the maps say for each kind of image: (N, 2, 4), for `fit_rule`.

    `given`: probabilities, cls (N, 2) of `lib.networks.PresenceLogits`, seg2 (N, 2, H, W) and seg3
    (N, 3, H, W), at least one of the two. Raises ValueError without a class or a map.

    >>> empty = torch.tensor([[[[0.9]], [[0.1]]]])
    >>> words({"cls": torch.tensor([[0.5, 0.5]]), "seg2": empty})[0, 1]
    tensor([0., 0., 0., 0.], dtype=torch.float64)
    """
    said, pixels, area = _read(given, weights)
    maps = [
        pixels[:, [c for c in (0, 1) if held[c]]].amax(1).clamp(min=0).sum((1, 2)) / area
        if any(held)
        else torch.zeros_like(area)
        for held in HOLDS
    ]
    return torch.stack([said, torch.stack(maps, 1)], 1)


def decide(given: Mapping[str, Tensor], rule: Rule) -> Decision:
    """The most probable consistent answer to each image. `given` and errors as in `words`.

    >>> given = {"cls": torch.tensor([[0.1, 0.9]]), "seg2": torch.tensor([[[[0.2]], [[0.8]]]])}
    >>> decide(given, Rule()).mask.flatten()
    tensor([2])
    >>> decide(given, Rule(size=2)).present
    tensor([[False, False]])
    """
    posterior, best = _choose(words(given, rule.weights), rule)
    pixels = _read(given, rule.weights)[1]
    held = torch.tensor(HOLDS, device=best.device, dtype=torch.bool)[best][:, :, None, None]
    score, here = torch.where(held, pixels, -torch.inf).max(1)
    value = here + 1
    if "seg3" not in given:
        value = torch.where((best == BOTH)[:, None, None], UNKNOWN, value)
    mask = torch.where(score > 0, value, 0)
    none = posterior[:, NORMAL] > 1 - rule.threshold
    mask[none] = 0
    return Decision(posterior, without_specks(mask, rule.size))


def without_specks(mask: Tensor, size: int) -> Tensor:
    """The mask (N, H, W) without its pieces of fewer than `size` pixels, of whatever class.

    >>> without_specks(torch.tensor([[[1, 1, 0, 2]]]), size=2)
    tensor([[[1, 1, 0, 0]]])
    """
    if size < 2:
        return mask
    kept = [np.isin(named, np.flatnonzero(counts >= size)) for named, counts in _pieces(mask)]
    return mask * torch.from_numpy(np.stack(kept)).to(mask.device)


def pieces(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The number of pieces of each mask (N, H, W), and the pixels of its largest: both (N,).

    Pixels that touch, at a corner too, are one piece, of whatever class.

    >>> pieces(torch.tensor([[[1, 2, 0, 2]], [[0, 0, 0, 0]]]))
    (tensor([2, 0]), tensor([2, 0]))
    """
    found = [counts[1:] for _, counts in _pieces(mask)]
    largest = [int(counts.max(initial=0)) for counts in found]
    return torch.tensor([len(counts) for counts in found]), torch.tensor(largest)


def piece_classes(seg3: Tensor) -> Tensor:
    """Which classes a map (N, 3, H, W) of probabilities draws, piece by piece: (N, 2), Boolean.

    A piece is one nodule, so it is of one class, even where a few of its pixels are of the other:
    the class that Algorithm 1 reads off this piece alone. A map of one piece draws the class that
    `lib.consistency.seg_as_cls` reads off the whole map.

    >>> pixel = [[0.1, 0.8, 0.1], [0.1, 0.3, 0.6], [0.9, 0.1, 0.0], [0.2, 0.1, 0.7]]
    >>> piece_classes(torch.tensor(pixel).T[None, :, None])
    tensor([[True, True]])
    """
    drawn = torch.zeros(len(seg3), len(CLASSES), dtype=torch.bool)
    maps = seg3.cpu().double().numpy()
    for at, (named, counts) in enumerate(_pieces(seg3.argmax(1))):
        best = maps[at].argmax(0)
        pieces = range(1, len(counts))
        scores = [
            _mean(np.where(best == k, maps[at, k], 0), best == k, named, pieces) for k in (1, 2)
        ]
        drawn[at, np.argmax(scores, axis=0).astype(int)] = True
    return drawn.to(seg3.device)


def _mean(values: np.ndarray, where: np.ndarray, named: np.ndarray, pieces: range) -> np.ndarray:
    """The mean over some pixels of each piece, 0 if it has none of them: Alg. 1, step 3."""
    total, count = (np.asarray(ndimage.sum(v, named, pieces)) for v in (values, where))
    return total / (count + EMPTY)


def _pieces(mask: Tensor) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Each mask with its pieces numbered, and the pixels of each; number 0, background, has 0."""
    for one in mask.cpu().numpy():
        named, _ = ndimage.label(one > 0, structure=EIGHT)
        counts = np.bincount(named.ravel())
        counts[0] = 0
        yield named, counts


def fit_rule(told: Tensor, kinds: Tensor) -> Rule:
    """The weights, and the kinds that can be an answer, from validation images.

    `told` (N, 2, 4) from `words`; `kinds` (N,), the true ones, -1 unknown: left out. Equal weights
    if fewer than two kinds are known. `threshold` and `size` are 0; see `fit_silence`.

    >>> rng = torch.Generator().manual_seed(0)
    >>> truth = torch.arange(80) % 2 * 2  # normal and malignant
    >>> said = torch.nn.functional.one_hot(truth, 4) + torch.randn(80, 4, generator=rng)
    >>> fit_rule(torch.stack([said, torch.zeros(80, 4)], 1), truth).record()["kinds"]
    ['normal', 'malignant']
    """
    there = tuple(sorted(set(kinds[kinds >= 0].tolist())))
    if len(there) < 2:
        return Rule()
    place = torch.full((len(KINDS) + 1,), -1)
    place[list(there)] = torch.arange(len(there))
    return Rule(decode.fit_weights(told[:, :, list(there)], place[kinds]), there)


def fit_silence(some: Tensor, largest: Tensor, kinds: Tensor) -> tuple[float, int]:
    """The threshold and the size that tell images with a nodule from those without one best.

    By the mean of the share of normal images answered "no nodule" and of the others not so, on
    validation images: some (N,) the probability of a nodule, largest (N,) the pixels of the largest
    piece of the mask, kinds (N,) the true ones. Of equal ones the threshold nearest to .5, then the
    smaller size. Zeros if either sort of image is lacking.

    >>> some, largest = torch.tensor([0.9, 0.8, 0.6, 0.1]), torch.tensor([40, 30, 3, 0])
    >>> fit_silence(some, largest, torch.tensor([1, 2, 0, 0]))
    (0.5, 4)
    """
    normal, nodule = kinds == NORMAL, kinds > NORMAL
    if not (normal.any() and nodule.any()):
        return 0.0, 0
    found = []
    for threshold in np.arange(1, 20) / 20:
        for size in SIZES:
            silent = (some < threshold) | (largest < max(size, 1))
            right = silent[normal].double().mean() + (~silent[nodule]).double().mean()
            found.append((-round(float(right), 9), round(abs(threshold - 0.5), 3), size, threshold))
    *_, size, threshold = min(found)
    return float(threshold), size


def _choose(told: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """The posterior of the four kinds, (N, 4), and the most probable one but "normal", (N,)."""
    scores = rule.weights.cls * told[:, 0] + rule.weights.maps * told[:, 1]
    possible = torch.full((len(KINDS),), -torch.inf, dtype=scores.dtype, device=scores.device)
    possible[list(rule.kinds)] = 0.0
    if rule.weights.bias:
        possible[list(rule.kinds)] += scores.new_tensor(rule.weights.bias)
    scores = scores + possible
    nodule = scores.clone()
    nodule[:, NORMAL] = -torch.inf
    return scores.softmax(1), nodule.argmax(1)


def _read(given: Mapping[str, Tensor], weights: decode.Weights) -> tuple[Tensor, Tensor, Tensor]:
    """T1's word on each kind (N, 4), each pixel's log-odds of each class (N, 2, H, W), A (N,)."""
    if "cls" not in given:
        raise ValueError("nothing says which classes are present; give cls, too")
    _, pixels, area = decode._read(given, weights)
    yes, no = (decode._log(p, decode.TINY).double() for p in (given["cls"], 1 - given["cls"]))
    holds = torch.tensor(HOLDS, device=yes.device).bool()
    said = torch.where(holds, yes[:, None], no[:, None]).mean(2)
    return said, pixels.double().expand(-1, len(CLASSES), -1, -1), area.double()
