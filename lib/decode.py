"""One answer: the class and the mask that T1, T2 and T3 find most probable together.

Not in the paper, which trains contradictions down; here they are decided away. A consistent
configuration is a class c and a mask M in which every nodule pixel has class c. Each task is an
expert, and the product of the experts is, as a logarithm and up to a constant,

    J(c, M) = bias_c + w_cls log T1(c)
              + w_maps / A  sum over the pixels i of  w_seg2 log T2_i(M_i) + w_seg3 log T3_i(c M_i)

where T2_i(M_i) is T2's probability of background (M_i = 0) or nodule, and T3_i(c M_i) is T3's of
background or class c. The pixels of one nodule are not independent witnesses: a sum over a thousand
of them would silence T1. So A, the number of pixels that the maps would give to a nodule of any
class, makes their sum a mean over the nodule. It is a number for each image that neither c nor M
can change, and therefore the most probable configuration is exact and cheap: for a given c every
pixel is decided by itself, and then the best c wins. The class of a nodule without a single pixel
is no answer: it is "no nodule". Hinton 2002, product of experts.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor

from .consistency import CLIP, agree
from .losses import check_scores, full_precision

if TYPE_CHECKING:  # who only decides need not wait for the networks
    from .networks.logits import TaskLogits

__all__ = ["EQUAL", "Joint", "Weights", "class_features", "fit_weights", "joint", "log_likelihood"]

TASKS = ("cls", "seg2", "seg3")
TINY = torch.finfo(torch.float32).tiny  # T1's word is not cut off: images would tie


@dataclass(frozen=True)
class Weights:
    """How much each expert counts; 1 for all of them is the plain product.

    cls: T1, on the class; maps: T2 and T3 together, on the class; seg2, seg3: the two against each
    other, in every pixel; bias: added to each class's score (empty: nothing). Raises ValueError for
    a weight that is negative or not finite.

    >>> import json
    >>> fitted = Weights(cls=0.4, maps=0.1, bias=(0.0, -0.2))
    >>> Weights(**json.loads(json.dumps(fitted.record()))) == fitted
    True
    """

    cls: float = 1.0
    maps: float = 1.0
    seg2: float = 1.0
    seg3: float = 1.0
    bias: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "bias", tuple(self.bias))
        for name in ("cls", "maps", "seg2", "seg3"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name}={value}; the weight of an expert is 0 or more")
        if not all(map(math.isfinite, self.bias)):
            raise ValueError(f"bias={self.bias}; use finite numbers, one for each class")

    def record(self) -> dict[str, float | list[float]]:
        """As JSON takes it, and `Weights(**record)` gives back."""
        return asdict(self) | {"bias": list(self.bias)}


EQUAL = Weights()


@dataclass(frozen=True)
class Joint:
    """The one answer to each image; no two of its parts can contradict each other.

    cls (N, K), float64: the posterior of each class, if there is a nodule; seg2 (N, 2, H, W):
    background and nodule in each pixel, given the most probable class. `lib.metrics.count_batch`
    takes the two as they are.

    >>> map = torch.tensor([[[[0.8, 0.1]], [[0.1, 0.2]], [[0.1, 0.7]]]])  # 1 x 2 pixels
    >>> answer = joint({"cls": torch.tensor([[0.6, 0.4]]), "seg3": map})
    >>> answer.label, answer.mask
    (tensor([1]), tensor([[[0, 2]]]))
    """

    cls: Tensor
    seg2: Tensor

    @property
    def nodule(self) -> Tensor:
        """Where the nodule is, (N, H, W), Boolean."""
        return self.seg2[:, 1] > self.seg2[:, 0]

    @property
    def label(self) -> Tensor:
        """The class of each image, (N,): 0..K-1, or -1 for "no nodule"."""
        return torch.where(self.nodule.flatten(1).any(1), self.cls.argmax(1), -1)

    @property
    def mask(self) -> Tensor:
        """The 3-class map, (N, H, W): 0 background, 1..K the class, as in a case's own mask."""
        return self.nodule * (1 + self.cls.argmax(1))[:, None, None]


def joint(given: "TaskLogits | Mapping[str, Tensor]", weights: Weights = EQUAL) -> Joint:
    """The most probable consistent configuration of each image, exactly, for these weights.

    `given`: probabilities, as `TaskLogits.probabilities` or a dict, of any tasks that hold a class
    and a map: cls (N, K), seg2 (N, 2, H, W), seg3 (N, K+1, H, W). With cls and seg2 alone this is
    T2's nodule painted with T1's class (Alg. 2), with seg2 and seg3 the class comes from the map.
    Ties go to the background and to the first class. Values are not looked at, so that nothing
    waits for a GPU: `lib.metrics.count_batch` checks them. In a map, less than 1e-7 counts as that.
    Raises ValueError for wrong shapes or names, or where no task holds a class, or none a map.

    >>> cls = torch.tensor([[0.2, 0.8]])  # T1: malignant
    >>> seg2 = torch.tensor([[[[0.9, 0.3, 0.2]], [[0.1, 0.7, 0.8]]]])  # T2: the second and third
    >>> seg3 = torch.tensor([[[[0.9, 0.2, 0.1]], [[0.1, 0.5, 0.7]], [[0.0, 0.3, 0.2]]]])  # benign
    >>> answer = joint({"cls": cls, "seg2": seg2, "seg3": seg3})
    >>> answer.label.item(), answer.mask.tolist(), round(answer.cls[0, 1].item(), 3)
    (1, [[[0, 2, 2]]], 0.624)
    """
    scores, pixels = _experts(given, weights)
    posterior = scores.double().softmax(1)
    own = posterior.argmax(1)[:, None, None, None]
    chosen = pixels.expand(-1, scores.shape[1], -1, -1).take_along_dim(own, 1)
    return Joint(posterior, torch.cat([-chosen, chosen], 1).sigmoid())


def log_likelihood(
    given: "TaskLogits | Mapping[str, Tensor]",
    mask: Tensor,
    label: Tensor,
    weights: Weights = EQUAL,
) -> Tensor:
    """How probable the decoder finds the truth: the log-likelihood of each image, (N,), 0 at most.

    The two steps of the decision, each as a probability: the log-posterior of the true class, and
    the mean over all pixels of the log-probability of the true mask, given that class. `mask`
    (N, H, W) of integers, a nodule where it is above 0; `label` (N,), the class 0..K-1, or -1: then
    the sum over the classes is taken, so that the mask alone is told. Differentiable in every task.
    `given`, `weights` and errors as in `joint`.

    >>> sure = {"cls": torch.tensor([[0.1, 0.9]]), "seg2": torch.tensor([[[[0.2]], [[0.8]]]])}
    >>> nodule = torch.ones(1, 1, 1, dtype=torch.long)
    >>> [round(log_likelihood(sure, nodule, torch.tensor([c])).item(), 3) for c in (0, 1)]
    [-2.526, -0.329]
    """
    scores, pixels = _experts(given, weights)
    if mask.shape != (len(pixels), *pixels.shape[2:]) or label.shape != mask.shape[:1]:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)} and label {tuple(label.shape)}; "
            f"{(len(pixels), *pixels.shape[2:])} and {(len(pixels),)} are needed"
        )
    nodule = (mask > 0).to(pixels.dtype)[:, None].expand_as(pixels)
    outline = -F.binary_cross_entropy_with_logits(pixels, nodule, reduction="none").mean((2, 3))
    both = scores.log_softmax(1) + outline
    own = both.take_along_dim(label.clamp(min=0)[:, None], 1)[:, 0]
    return torch.where(label < 0, both.logsumexp(1), own)


def class_features(given: "TaskLogits | Mapping[str, Tensor]", weights: Weights = EQUAL) -> Tensor:
    """What T1 and what the maps say about each class: (N, 2, K), for `fit_weights`.

    The first row is T1's log-probability, the second the maps' mean over the nodule; a task that
    is not there says 0. Only `weights.seg2` and `weights.seg3` count. `given` and errors as in
    `joint`.

    >>> class_features({"cls": torch.tensor([[0.5, 0.5]]), "seg2": torch.ones(1, 2, 4, 4) / 2})
    tensor([[[-0.6931, -0.6931],
             [ 0.0000,  0.0000]]])
    """
    cls, pixels, area = _read(given, weights)
    evidence = pixels.clamp(min=0).sum((2, 3)) / area[:, None]
    cls = torch.zeros_like(evidence) if cls is None else cls
    return torch.stack(torch.broadcast_tensors(cls, evidence), 1)


def fit_weights(
    features: Tensor, label: Tensor, *, ridge: float = 1.0, weights: Weights = EQUAL
) -> Weights:
    """The weights that make the posterior of the class right on images that did not train.

    A logistic regression of the class on `features`, from `class_features` on the validation
    images; for K classes a conditional one, with one weight for T1, one for the maps, and a bias
    for each class. Weights stay at 0 or above, and `ridge` pulls them towards 1 and the biases
    towards 0, so that few images change little; an expert that is not there keeps a weight of 1.
    `label` (N,) 0..K-1; images with -1 are left out. `weights`: the two maps' own, which stay.
    Raises ValueError for wrong shapes, values that are not finite, or a class without an image.
    McFadden 1974, conditional logit.

    >>> generator = torch.Generator().manual_seed(0)
    >>> label = torch.randint(2, (500,), generator=generator)
    >>> sure = F.one_hot(label, 2) + torch.randn(500, 2, generator=generator)  # says something
    >>> noise = torch.randn(500, 2, generator=generator)  # says nothing
    >>> fitted = fit_weights(torch.stack([sure, noise], 1), label)
    >>> round(fitted.cls, 1), round(fitted.maps, 1)
    (0.9, 0.2)
    """
    if features.ndim != 3 or features.shape[1] != 2 or label.shape != features.shape[:1]:
        raise ValueError(
            f"features have shape {tuple(features.shape)} and label {tuple(label.shape)}; "
            "(N, 2, K) and (N,) are needed"
        )
    if not (math.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"ridge={ridge}; use a number from 0 up")
    known = (label >= 0).cpu().numpy()
    x = features.detach().cpu().double().numpy()[known]
    if not np.isfinite(x).all():
        raise ValueError("features hold values that are not finite; look at the probabilities")
    counts = np.bincount(label.cpu().numpy()[known], minlength=x.shape[2])
    if len(counts) != x.shape[2] or not counts.all():
        raise ValueError(f"the classes have {counts.tolist()} images; each needs at least one")
    truth = np.eye(x.shape[2])[label.cpu().numpy()[known]]

    start = np.r_[1.0, 1.0, np.zeros(x.shape[2])]

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.einsum("nfk,f->nk", x, free[:2]) + free[2:]
        scores = scores - scores.max(1, keepdims=True)
        log = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        error, away = np.exp(log) - truth, free - start
        gradient = np.r_[np.einsum("nfk,nk->f", x, error), error.sum(0)] + ridge * away
        return -(truth * log).sum() + ridge / 2 * (away**2).sum(), gradient

    bounds = [(0, None)] * 2 + [(None, None)] * x.shape[2]
    exact = {"ftol": 1e-14, "gtol": 1e-8, "maxiter": 1000}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=exact).x
    return Weights(*found[:2].tolist(), weights.seg2, weights.seg3, found[2:].tolist())


# The experts


def _experts(given: "TaskLogits | Mapping[str, Tensor]", weights: Weights) -> tuple[Tensor, Tensor]:
    """max over M of J(c, M) for each class, (N, K), and each pixel's log-odds of nodule given c."""
    cls, pixels, area = _read(given, weights)
    scores = weights.maps * pixels.clamp(min=0).sum((2, 3)) / area[:, None]
    if cls is not None:
        scores = scores + weights.cls * cls
    if weights.bias:
        if len(weights.bias) != scores.shape[1]:
            raise ValueError(
                f"the weights have a bias for {len(weights.bias)} classes, but there are "
                f"{scores.shape[1]}; fit them on this network"
            )
        scores = scores + scores.new_tensor(weights.bias)
    return scores, pixels


def _read(
    given: "TaskLogits | Mapping[str, Tensor]", weights: Weights
) -> tuple[Tensor | None, Tensor, Tensor]:
    """T1's logs (N, K); each pixel's log-odds of class c (N, K or 1, H, W); the area (N,)."""
    tasks = {name: values for name, values in given.items() if values is not None}
    if unknown := sorted(set(tasks) - set(TASKS)):
        raise ValueError(f"{unknown} are no tasks; there are {', '.join(TASKS)}")
    if not ("cls" in tasks or "seg3" in tasks):
        raise ValueError("nothing says the class; give cls or seg3, too")
    if not ("seg2" in tasks or "seg3" in tasks):
        raise ValueError("nothing says where the nodule is; give seg2 or seg3, too")
    for name, channels in (("cls", 2), ("seg2", 2), ("seg3", 3)):
        if name in tasks:
            maps = name != "cls"
            check_scores(name, tasks[name], maps=maps, channels=channels, or_more=name != "seg2")
    for one, other in (("cls", "seg3"), ("seg2", "seg3"), ("seg2", "cls")):
        if one in tasks and other in tasks:
            agree(one, tasks[one], other, tasks[other])
    logs = {name: _log(p, CLIP) for name, p in tasks.items() if name != "cls"}
    pixels = 0.0
    if "seg2" in tasks:
        pixels = weights.seg2 * (logs["seg2"][:, 1:] - logs["seg2"][:, :1])
    if "seg3" in tasks:
        pixels = pixels + weights.seg3 * (logs["seg3"][:, 1:] - logs["seg3"][:, :1])
    area = (pixels.amax(1) > 0).sum((1, 2)).clamp(min=1)
    cls = _log(tasks["cls"], TINY) if "cls" in tasks else None
    return cls, pixels, area


def _log(probabilities: Tensor, least: float) -> Tensor:
    return full_precision(probabilities).clamp(min=least).log()
