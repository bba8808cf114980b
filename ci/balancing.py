"""Two published ways to weigh tasks against each other, as callbacks for trials of recipes.

Neither is in `lib`: a trial asks first whether they pay (`ci/recipe.py`, the page *The recipe*).
"""

from collections import defaultdict

import torch
from fastai.callback.core import Callback, CancelBackwardException
from torch import Tensor, nn


def by_task(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """One loss for each task: "T2 Dice" and "T2 CE" are both of "T2".

    >>> losses = {"T1 BCE": torch.tensor(1.0), "T2 Dice": torch.tensor(2.0)}
    >>> sorted(by_task(losses | {"T2 CE": torch.tensor(3.0)}).items())
    [('T1', tensor(1.)), ('T2', tensor(5.))]
    """
    tasks = defaultdict(list)
    for name, term in terms.items():
        tasks[name.split()[0]].append(term)
    return {name: torch.stack(parts).sum() for name, parts in tasks.items()}


class Uncertainty(Callback):
    """Each task's loss L becomes exp(-s) L + s, with an s of its own that is learnt (Kendall 2018).

    `log_variance` has each task's s after the training. The tasks are those of `names`.
    """

    order = 3  # before what looks at the loss

    def __init__(self, names: tuple[str, ...] = ("T1", "T2", "T3")):
        self.log_variance = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(())) for name in names}
        )

    def before_fit(self) -> None:
        self.rate = torch.optim.Adam(self.log_variance.parameters(), lr=self.learn.lr)

    def after_loss(self) -> None:
        if self.training:
            self.learn.loss_grad = self.total(self.learn.loss_func.losses(self.pred, *self.yb))
            self.learn.loss = self.learn.loss_grad.detach().clone()

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighed sum of `terms`."""
        spread = self.log_variance
        return torch.stack(
            [
                torch.exp(-spread[name]) * loss + spread[name]
                for name, loss in by_task(terms).items()
            ]
        ).sum()

    def after_step(self) -> None:
        self.rate.step()
        self.rate.zero_grad()


class GradientSurgery(Callback):
    """A task's gradient loses the part that is against another task's (PCGrad, Yu 2020).

    Only over the parameters that all tasks share: elsewhere the sum is what it was.
    """

    def before_backward(self) -> None:
        terms = by_task(self.learn.loss_func.losses(self.pred, *self.yb))
        weights = [one for one in self.model.parameters() if one.requires_grad]
        each = [
            torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
            for loss in terms.values()
        ]
        shared = [all(one is not None for one in seen) for seen in zip(*each, strict=True)]
        flat = [
            torch.cat([g.flatten() for g, whose in zip(task, shared, strict=True) if whose])
            for task in each
        ]
        joint = surgery(flat)
        for weight, whose, seen in zip(weights, shared, zip(*each, strict=True), strict=True):
            if whose:
                own, joint = joint.split([weight.numel(), joint.numel() - weight.numel()])
                weight.grad = like(weight, own.view_as(weight))
            elif known := [one for one in seen if one is not None]:
                weight.grad = like(weight, torch.stack(known).sum(0))
        raise CancelBackwardException


def like(weight: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in the weight's layout in memory, which fused optimisers take for granted."""
    return torch.empty_like(weight).copy_(gradient)


def surgery(gradients: list[Tensor]) -> Tensor:
    """The sum of all `gradients` after each has lost what is against another, in a drawn order.

    >>> surgery([torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])])
    tensor([0.5000, 1.5000])
    """
    kept = []
    for at, own in enumerate(gradients):
        left = own.clone()
        for other in torch.randperm(len(gradients)).tolist():
            against = torch.dot(left, gradients[other])
            if other != at and against < 0:
                left -= against / gradients[other].square().sum() * gradients[other]
        kept.append(left)
    return torch.stack(kept).sum(0)
