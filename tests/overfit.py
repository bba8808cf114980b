"""Can a network learn sixteen phantoms by heart? One batch, again and again."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from lib import metrics
from lib.blocks import GREY
from lib.callbacks import Consistency
from lib.cases import CLASSES
from lib.learner import TaskLoss
from lib.sources import phantom


@cache
def sixteen_phantoms(size: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Image (16, 1, size, size), mask (16, size, size) and label (16,), half of them malignant."""
    label = torch.arange(16) % 2
    drawn = [phantom.draw(CLASSES[kind], seed, size) for seed, kind in enumerate(label.tolist())]
    image = torch.stack([torch.from_numpy(one.image) for one in drawn])[:, None] / 255
    mask = torch.stack([torch.from_numpy(one.mask).long() for one in drawn]).clamp(max=1)
    return (image - GREY[0]) / GREY[1], mask * (label + 1)[:, None, None], label


def overfit(
    network: nn.Module,
    steps: int = 60,
    lr: float = 5e-3,
    *,
    size: int = 64,
    terms: Sequence[Consistency] = (),
) -> dict[str, float]:
    """`metrics.summarise` of the sixteen after `steps` of Adam on them, in evaluation mode.

    The loss is what training takes: the network's own `losses`, or else the tasks', and `terms`.
    """
    image, mask, label = sixteen_phantoms(size)
    loss = TaskLoss(getattr(network, "losses", None))
    optimiser = torch.optim.Adam(network.parameters(), lr)
    network.train().to(memory_format=torch.channels_last)
    image = image.contiguous(memory_format=torch.channels_last)
    for _ in range(steps):
        optimiser.zero_grad()
        logits = network(image)
        total = loss(logits, mask, label)
        for term in terms:
            given = (getattr(logits.probabilities, name) for name in term.needs)
            total = total + term.weight * type(term).function(*given, **term.options)
        total.backward()
        optimiser.step()
    with torch.no_grad():
        _settle(network, image)
        chances = network.eval()(image).probabilities
    return metrics.summarise(metrics.count_batch(mask=mask, label=label, **dict(chances.items())))


def _settle(network: nn.Module, image: Tensor) -> None:
    """Let batch normalisation know the only batch there is: running means lag by many steps."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over the batches seen from here on
    network(image)
