"""Small things to test with: a network of a few hundred parameters, phantoms, options."""

import torch
from torch import nn

from lib import sources
from lib.blocks import dataloaders
from lib.cases import prepare_cases
from lib.networks import TaskLogits

SMALL = {"decoder_channels": (32, 24, 16, 16, 8)}
LITE = {"encoder": "tu-tf_efficientnet_lite0", "weights": "imagenet", **SMALL}


class TinyNet(nn.Module):
    """All three tasks from three convolutions, with dropout, so that random states matter."""

    def __init__(self, tasks=("cls", "seg2", "seg3")):
        super().__init__()
        self.tasks = tasks
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.drop = nn.Dropout(0.2)
        self.cls, self.seg2, self.seg3 = nn.Linear(8, 2), nn.Conv2d(8, 2, 1), nn.Conv2d(8, 3, 1)

    def forward(self, image):
        features = self.drop(self.body(image))
        every = {
            "cls": self.cls(features.mean((2, 3))),
            "seg2": self.seg2(features),
            "seg3": self.seg3(features),
        }
        return TaskLogits(**{name: every[name] for name in self.tasks})


def phantom_cases(root, cases=40, **options):
    """A checked and split table of small phantoms under `root`."""
    return prepare_cases(sources.phantom.read(root, cases=cases, size=64, **options))[0]


def two_nodules(size=64):
    """Noise (2, 1, size, size), the masks of a benign and a malignant square, and the labels."""
    mask = torch.zeros(2, size, size, dtype=torch.long)
    mask[0, 10:30, 10:30], mask[1, 20:50, 20:50] = 1, 2
    return torch.randn(2, 1, size, size), mask, torch.tensor([0, 1])


def tiny_loaders(folder, cases=40, batch_size=8, **options):
    """Loaders of small phantoms, everything kept under `folder`."""
    torch.manual_seed(0)
    table = phantom_cases(folder / "phantom", cases)
    return dataloaders(table, size=32, batch_size=batch_size, cache=folder / "cache", **options)
