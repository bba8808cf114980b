"""What trials of recipes add to a training."""

import pytest
import torch
from torch import nn

import lib
from ci.recipe import LateClass, drop_features
from lib import sources
from lib.learner import seed_everything, task_learner
from lib.networks import TaskLogits
from lib.networks.heads import ClassHead


class ClassAndOutline(nn.Module):
    """A layer that T1 and T2 share, and one of its own for each."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Conv2d(1, 4, 3, padding=1)
        self.head, self.outline = ClassHead(4), nn.Conv2d(4, 2, 1)

    def forward(self, image):
        seen = self.shared(image)
        return TaskLogits(cls=self.head(seen), seg2=self.outline(seen))


@pytest.mark.parametrize(("share", "learnt"), [(0.0, True), (0.5, True), (1.0, False)])
def test_the_class_is_learnt_once_its_loss_has_joined(tmp_path, share, learnt):
    cases = sources.phantom.read(f"{tmp_path}/phantom", cases=20, size=64)
    seed_everything(0)
    dls = lib.dataloaders(cases, size=32, batch_size=4, cache=tmp_path)
    network = ClassAndOutline()
    begun = {name: value.detach().clone() for name, value in network.named_parameters()}
    learn = task_learner(dls, network, lr=1e-2, log=lambda _: None, callbacks=[LateClass(share)])
    learn.fit(1)
    moved = {name for name, value in network.named_parameters() if not value.equal(begun[name])}
    assert ("head.2.1.weight" in moved) == learnt
    assert {"shared.weight", "outline.weight"} <= moved


def test_features_are_dropped_in_training_alone():
    head = ClassHead(8)
    drop_features(head, 0.5)
    nn.init.ones_(head[2][-1].weight)
    features = torch.randn(16, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    head.eval()
    assert torch.equal(head(features), head(features))
    head.train()
    assert not torch.equal(head(features), head(features))
