"""A network of a few hundred parameters and a few phantoms: enough to train in a second."""

import torch
from torch import nn

from lib import sources
from lib.blocks import dataloaders
from lib.cases import prepare_cases
from lib.networks import TaskLogits


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


def tiny_loaders(folder, cases=40, batch_size=8, **options):
    """Loaders of small phantoms, everything kept under `folder`."""
    torch.manual_seed(0)
    table = phantom_cases(folder / "phantom", cases)
    return dataloaders(table, size=32, batch_size=batch_size, cache=folder / "cache", **options)
