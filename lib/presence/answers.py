"""Which of benign and malignant an image holds: neither, one of them, or both.

Two independent answers in the place of the paper's one of two classes. As an index, a *kind*, the
four possible answers are `KINDS`: benign counts 1 and malignant 2.
"""

import torch
from torch import Tensor

from .. import checks
from ..cases import CLASSES

KINDS = ("normal", *CLASSES, "both")
HOLDS = ((0, 0), (1, 0), (0, 1), (1, 1))  # kind to (benign, malignant)
SURE = 0.5  # above this a class is said to be present


def present(mask: Tensor, label: Tensor) -> Tensor:
    """What each image holds: (N, 2) of 1 present, 0 absent and -1 unknown.

    `mask` (N, H, W): 0 background, 1 benign, 2 malignant, 3 a nodule of unknown class; `label`
    (N,): 0 benign, 1 malignant (also of an image with both), -1 none. A class is present that the
    mask shows or the label names; an image with a nodule of unknown class is unknown. Raises
    ValueError for other values or shapes.

    >>> mask = torch.tensor([[[0, 0]], [[0, 1]], [[1, 2]], [[0, 3]]])
    >>> present(mask, torch.tensor([-1, 0, 1, -1])).tolist()
    [[0, 0], [1, 0], [1, 1], [-1, -1]]
    """
    classes = len(CLASSES)
    mask = checks.integers("mask", mask, 0, classes + 1)
    label = checks.integers("label", label, -1, classes - 1)
    if mask.shape[:1] != label.shape:
        raise ValueError(f"mask has {len(mask)} images but label has shape {tuple(label.shape)}")
    seen = torch.stack([(mask == k).flatten(1).any(1) | (label == k - 1) for k in (1, 2)], 1)
    unknown = (mask == classes + 1).flatten(1).any(1)
    return torch.where(unknown[:, None], -1, seen.long())


def kind(held: Tensor) -> Tensor:
    """The index in `KINDS` of what images hold: (N, 2) as `present` gives it to (N,), -1 unknown.

    >>> kind(torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1], [-1, -1]])).tolist()
    [0, 1, 2, 3, -1]
    """
    return torch.where((held < 0).any(1), -1, held[:, 0] + 2 * held[:, 1])
