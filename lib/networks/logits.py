"""What every network returns: the raw scores of the tasks it has."""

from dataclasses import dataclass, fields
from functools import cached_property

from torch import Tensor


@dataclass(frozen=True)
class TaskLogits:
    """Raw scores of T1, T2 and T3; None where a network lacks the task (Eq. 1).

    Shapes: cls (N, K), seg2 (N, 2, H, W), seg3 (N, K+1, H, W), before the softmax.
    """

    cls: Tensor | None = None
    seg2: Tensor | None = None
    seg3: Tensor | None = None

    @cached_property
    def probabilities(self) -> "TaskLogits":
        """The same tasks after the softmax, in float32 (float64 if the scores are)."""
        return TaskLogits(**{name: _softmax(scores) for name, scores in self.items()})

    def items(self) -> list[tuple[str, Tensor]]:
        """Name and tensor of each task that is there."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, scores) for name, scores in pairs if scores is not None]


def _softmax(scores: Tensor) -> Tensor:
    # Contiguous once, here: sums over channels_last maps would copy them in every later loss.
    return (scores if scores.element_size() > 4 else scores.float()).contiguous().softmax(1)
