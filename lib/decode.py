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
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from scipy.special import softmax
from torch import Tensor

from . import metrics
from .checks import check_scores, full_precision
from .consistency import CLIP

if TYPE_CHECKING:  # who only decides need not wait for the networks
    from .networks.logits import TaskLogits

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


def decidable(tasks: Iterable[str]) -> bool:
    """Whether these tasks hold both a class and a map, so that `joint` can decide them.

    >>> decidable(["cls", "seg2"]), decidable(["seg3"]), decidable(["seg2"])
    (True, True, False)
    """
    there = set(tasks)
    return bool(there & {"cls", "seg3"} and there & {"seg2", "seg3"})


def joint(given: "TaskLogits | Mapping[str, Tensor]", weights: Weights = EQUAL) -> Joint:
    """The most probable consistent configuration of each image, exactly, for these weights.

    `given`: probabilities, as `TaskLogits.probabilities` or a dict, of any tasks that hold a class
    and a map: cls (N, K), seg2 (N, 2, H, W), seg3 (N, K+1, H, W). With cls and seg2 alone this is
    T2's nodule painted with T1's class (Alg. 2), with seg2 and seg3 the class comes from the map.
    Ties go to the background and to the first class. Values are not looked at, so that nothing
    waits for a GPU: scores in place of probabilities, or NaN, give a wrong answer without an error.
    In a map, less than 1e-7 counts as that.
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


def count_joint(
    given: "TaskLogits | Mapping[str, Tensor]",
    mask: Tensor,
    label: Tensor,
    weights: Weights = EQUAL,
) -> pd.DataFrame:
    """The joint answers as rows of counts, and all that `decide_again` needs of them.

    The columns of `lib.metrics.count_batch` for a network of class and outline, and beside them
    what T1 and what the maps say for malignant, as log-odds (`cls`, `maps`; for more than two
    classes, a log each, `cls_*` and `maps_*`), and the nodule that each class would get, in pixels:
    `if_*_pred`, `if_*_inter` with that class's own nodule, `if_*_nodule` with any. An image with a
    nodule of unknown class has NaN for `if_*_inter`. Arguments and errors as in `joint` and
    `lib.metrics.count_batch`.

    >>> given = {"cls": torch.tensor([[0.2, 0.8]]), "seg2": torch.tensor([[[[0.2]], [[0.8]]]])}
    >>> rows = count_joint(given, torch.ones(1, 1, 1, dtype=torch.long), torch.tensor([0]))
    >>> rows[["if_benign_inter", "if_malignant_inter", "if_malignant_nodule"]].iloc[0].tolist()
    [1, 0, 1]
    """
    one = joint(given, weights)
    rows = metrics.count_batch(mask=mask, label=label, cls=one.cls, seg2=one.seg2)
    names = metrics.classes_of(rows)
    for stem, words in zip(("cls", "maps"), class_features(given, weights).unbind(1), strict=True):
        for column, values in zip(_columns(stem, names), _told(words.double()), strict=True):
            rows[column] = values.cpu().numpy()
    pixels = _read(given, weights)[1].expand(-1, len(names), -1, -1)
    for k, name in enumerate(names):
        nodule = pixels[:, k]
        answer = torch.stack([-nodule, nodule], 1).sigmoid()
        sure = torch.eye(len(names), dtype=answer.dtype, device=answer.device)[[k] * len(nodule)]
        counts = metrics.count_batch(mask=mask, label=label, cls=sure, seg2=answer)
        for ours, theirs in (("pred", "nodule_pred"), ("nodule", "nodule_inter")):
            rows[f"if_{name}_{ours}"] = counts[theirs]
        rows[f"if_{name}_inter"] = counts[f"{name}_inter"]
    return rows


def decide_again(rows: pd.DataFrame, weights: Weights) -> pd.DataFrame:
    """The joint answers with other weights, from the rows of a run and without its network.

    Args:
        rows: of `count_joint`, or of `lib.learner.predict` and a results file through
            `lib.metrics.decided`.
        weights: with the `seg2` and `seg3` that the rows were made with, which are no part of it.

    Returns:
        The rows with the counts of the new answers, as `lib.metrics.summarise` takes them.

    Raises:
        ValueError: the rows do not tell what the decision needs.

    >>> given = {"cls": torch.tensor([[0.4, 0.6]]), "seg2": torch.tensor([[[[0.2]], [[0.8]]]])}
    >>> rows = count_joint(given, torch.ones(1, 1, 1, dtype=torch.long), torch.tensor([0]))
    >>> again = decide_again(rows, Weights(bias=(1.0, 0.0)))
    >>> [metrics.summarise(some)["ACC"] for some in (rows, again)]
    [0.0, 1.0]
    """
    names = metrics.classes_of(rows)
    needed = [*_columns("cls", names), *_columns("maps", names)]
    needed += [f"if_{name}_{part}" for name in names for part in ("pred", "inter", "nodule")]
    if missing := [column for column in needed if column not in rows]:
        raise ValueError(
            f"rows lack {', '.join(missing)}; only runs that recorded the joint answer can be "
            "decided again"
        )
    scores = weights.cls * _words(rows, "cls", names) + weights.maps * _words(rows, "maps", names)
    if weights.bias:
        scores = scores + _bias(weights, len(names))
    chosen = scores.argmax(1)
    again = rows.copy()
    posterior = softmax(scores, 1)
    for k, name in enumerate(names):
        if f"p_{name}" in again:
            again[f"p_{name}"] = posterior[:, k]
        mine = chosen == k
        for part in ("pred", "inter"):
            own = again[f"if_{name}_{part}"]
            again[f"{name}_{part}"] = own.where(mine | own.isna(), 0)
        for ours, theirs in (("pred", "pred"), ("inter", "nodule")):
            again.loc[mine, f"nodule_{ours}"] = again.loc[mine, f"if_{name}_{theirs}"]
    unknown = again[f"{names[0]}_true"].isna()
    again.loc[unknown, [f"{name}_pred" for name in names]] = np.nan
    return again


def _columns(stem: str, names: tuple[str, ...]) -> list[str]:
    return [stem] if len(names) == 2 else [f"{stem}_{name}" for name in names]


def _told(words: Tensor) -> list[Tensor]:
    """The logs for K classes, or their one difference for two."""
    return [words[:, 1] - words[:, 0]] if words.shape[1] == 2 else list(words.unbind(1))


def _words(rows: pd.DataFrame, stem: str, names: tuple[str, ...]) -> np.ndarray:
    words = rows[_columns(stem, names)].to_numpy(float)
    return np.c_[np.zeros(len(rows)), words] if len(names) == 2 else words


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
        scores = scores + scores.new_tensor(_bias(weights, scores.shape[1]))
    return scores, pixels


def _bias(weights: Weights, classes: int) -> tuple[float, ...]:
    if len(weights.bias) != classes:
        raise ValueError(
            f"the weights have a bias for {len(weights.bias)} classes, but there are {classes}; "
            "fit them on this network"
        )
    return weights.bias


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
    check_scores(**tasks)
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
