"""Any network of any library, made to answer in `TaskLogits`."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .. import checks
from .logits import TaskLogits


class Adapted(nn.Module):
    """Runs a network as it is, and lets `read` turn what it returns into `TaskLogits`.

    Args:
        network: any module that takes the image, (N, 1, H, W); put `nn.Conv2d(1, 3, 1)` in front of
            one that wants colours.
        read: gets the network's output, whatever that is, and gives the raw scores (no softmax) of
            the tasks that are in it: cls (N, K), seg2 (N, 2, H, W), seg3 (N, K+1, H, W).

    The image and the maps must have the same height and width. Raises TypeError if `read` gives
    something else than `TaskLogits` of tensors, and ValueError if it gives no task, a class for
    another number of images, or a map of another size.

    >>> import torch
    >>> network = nn.Conv2d(1, 5, 1)  # five channels: two for seg2, three for seg3
    >>> answer = Adapted(network, lambda out: TaskLogits(seg2=out[:, :2], seg3=out[:, 2:]))
    >>> {name: tuple(scores.shape) for name, scores in answer(torch.zeros(4, 1, 8, 8)).items()}
    {'seg2': (4, 2, 8, 8), 'seg3': (4, 3, 8, 8)}
    """

    def __init__(self, network: nn.Module, read: Callable[[Any], TaskLogits]):
        super().__init__()
        self.network, self.read = network, read

    def forward(self, image: Tensor) -> TaskLogits:
        logits = self.read(self.network(image))
        if not isinstance(logits, TaskLogits):
            raise TypeError(
                f"read gave a {type(logits).__name__}; it must give "
                "lib.networks.TaskLogits(cls=..., seg2=..., seg3=...), without the tasks that the "
                "network lacks"
            )
        if not logits.items():
            raise ValueError("read gave a TaskLogits without cls, seg2 and seg3; give one of them")
        for name, scores in logits.items():
            checks.fit(name, scores, "image", image)
        return logits
