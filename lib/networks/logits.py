"""What every network returns: the raw scores of the tasks it has."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

TASKS = ("cls", "seg2", "seg3")


@dataclass(frozen=True)
class TaskLogits:
    """Raw scores of T1, T2 and T3; None where a network lacks the task (Eq. 1).

    Shapes: cls (N, K), seg2 (N, 2, H, W), seg3 (N, K+1, H, W), before the softmax. `extra` is
    anything that the network's own loss needs beside them, e.g. coarser scales of a mask.

    >>> import torch
    >>> answer = TaskLogits(cls=torch.zeros(1, 2))
    >>> answer.probabilities.cls
    tensor([[0.5000, 0.5000]])
    """

    cls: Tensor | None = None
    seg2: Tensor | None = None
    seg3: Tensor | None = None
    extra: Any = None

    @cached_property
    def probabilities(self) -> "TaskLogits":
        """The same tasks after the softmax, in float32 (float64 if the scores are)."""
        return TaskLogits(**{name: _softmax(scores) for name, scores in self.items()})

    def items(self) -> list[tuple[str, Tensor]]:
        """Name and tensor of each task that is there."""
        pairs = ((name, getattr(self, name)) for name in TASKS)
        return [(name, scores) for name, scores in pairs if scores is not None]


def _softmax(scores: Tensor) -> Tensor:
    # Contiguous once, here: sums over channels_last maps would copy them in every later loss.
    return (scores if scores.element_size() > 4 else scores.float()).contiguous().softmax(1)
