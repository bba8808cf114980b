"""What each process of tests/engine/test_distributed.py runs: a small training, told in a line."""

import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from fastai.callback.core import Callback, CancelFitException
from tiny import TinyNet, tiny_loaders
from torch import nn

import lib
from ci.engine import distributed
from lib import callbacks
from lib.checkpoint import Checkpoint


class Sequel(Callback):
    """End the training after some epochs, when their checkpoint is written."""

    order = 90

    def __init__(self, epochs):
        self.epochs = epochs

    def after_epoch(self):
        if self.epoch + 1 == self.epochs:
            raise CancelFitException


class Greedy(TinyNet):
    def forward(self, image):
        return replace(super().forward(image), extra=[image])


def main(folder, epochs, batch_size=8, stop_after=0, network="TinyNet"):
    distributed.join()
    lib.learner.seed_everything(0)
    dls = tiny_loaders(folder / f"data{os.environ['RANK']}", batch_size=batch_size, augment=False)
    model = {"TinyNet": TinyNet, "Greedy": Greedy}[network]()
    # Batches' statistics can be shared between GPUs only, and dropout draws in each process.
    model.body[1], model.drop = nn.GroupNorm(2, 8), nn.Identity()
    terms = [callbacks.IntraTask(), callbacks.InterTask(), callbacks.ThreeTask()]
    lines = []
    learn = lib.task_learner(dls, model, consistency=terms, lr=1e-2, log=lines.append)
    if stop_after:
        learn.add_cb(Sequel(stop_after))
    checkpoint = Checkpoint(folder / "run", {"seed": 0}, lambda m: m["dice_class_mean"])
    lib.fit(learn, epochs, checkpoint=checkpoint)
    sha = hashlib.sha256()
    for value in learn.model.state_dict().values():
        sha.update(value.numpy().tobytes())
    said = {"history": learn.history, "weights": sha.hexdigest(), "lines": len(lines)}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), **json.loads(sys.argv[2]))
