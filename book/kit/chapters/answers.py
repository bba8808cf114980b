"""Answers of the three tasks, made by hand: a disc as a mask, and how sure a task is of it."""

import numpy as np
import torch
from torch import Tensor

from lib.losses import one_hot


def disc(x: float, y: float | None = None, r: float = 8, size: int = 32) -> np.ndarray:
    """A Boolean mask (size, size) of a disc of radius `r` pixels around column `x` and row `y`.

    Without a `y` it lies half way down.

    >>> disc(1, r=1, size=4).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]]
    """
    rows, columns = np.mgrid[:size, :size]
    middle = size / 2 if y is None else y
    return (rows - middle) ** 2 + (columns - x) ** 2 <= r * r


def pixels(mask: np.ndarray | Tensor, channels: int, sure: float = 0.9) -> Tensor:
    """Probabilities (1, channels, H, W) of a task that is `sure` of every pixel of a mask (H, W).

    mask: the channel of each pixel, 0 the background. The other channels share the rest evenly.

    >>> pixels(np.array([[0, 2]]), 3, sure=0.5)[0, :, 0].T
    tensor([[0.5000, 0.2500, 0.2500],
            [0.2500, 0.2500, 0.5000]])
    """
    chosen = one_hot(torch.as_tensor(mask).long()[None], channels)
    return chosen * sure + (1 - chosen) * (1 - sure) / (channels - 1)


def image_class(p: float) -> Tensor:
    """T1's probabilities (1, 2), benign and malignant, where that of malignant is `p`.

    >>> image_class(0.25)
    tensor([[0.7500, 0.2500]])
    """
    return torch.tensor([[1 - p, p]])
