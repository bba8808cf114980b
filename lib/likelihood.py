"""The joint decision as one training term: how probable it finds the true class and mask."""

from typing import Any

from .callbacks import Consistency, MissingTaskError
from .decode import Weights, log_likelihood


class JointLikelihood(Consistency):
    """Add `weight` times the negative log-likelihood of the true (c, M) under the joint decision.

    In the place of the paper's three terms, which compare the answers with each other: this one
    compares what they decide together with the truth, so it cannot be lowered by agreeing on a
    mistake. `weight` and `ramp` as in `lib.callbacks.Consistency`, `options` are those of
    `lib.decode.Weights`. It works with any tasks that hold a class and a map, and raises
    MissingTaskError if there is none of either. Images without a label teach the mask alone. See
    `lib.decode.log_likelihood`.

    >>> JointLikelihood(weight=0.3, maps=0.1).weights
    Weights(cls=1.0, maps=0.1, seg2=1.0, seg3=1.0, bias=())
    """

    term, needs = "L_joint", ()

    def __init__(self, weight: float = 0.3, *, ramp: float = 0.0, **options: Any):
        super().__init__(weight, ramp=ramp, **options)
        self.weights = Weights(**options)

    def after_loss(self) -> None:
        if self.weight == 0 or not len(self.yb):
            return
        try:
            likelihood = log_likelihood(self.pred.probabilities, *self.yb, self.weights)
        except ValueError as error:
            network = type(getattr(self.model, "network", self.model)).__name__
            raise MissingTaskError(
                f"JointLikelihood (L_joint) cannot use what the network {network} gives: {error}"
            ) from error
        self.add(-likelihood.mean())
