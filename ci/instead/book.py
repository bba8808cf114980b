"""This book's own systems, in the profile `evidence`."""

import numpy as np
import torch
from PIL import Image

import lib
from lib.square import fit_image

from .clock import EPOCHS, Answer, Budget, Clock
from .task import Task

PROFILE = lib.profiles.find("evidence")


def train(task: Task, clock: Clock, system: str) -> Answer:
    """Train a system of `lib.experiments` by its name."""
    system = lib.experiments.find(system)
    dls = lib.dataloaders(
        task.cases,
        size=PROFILE.size,
        batch_size=PROFILE.batch_size,
        cache=task.folder.parents[1],
    )
    learn = lib.task_learner(
        dls,
        system.build(PROFILE),
        consistency=system.consistency(),
        loss_options=system.losses,
        log=lambda line: None,
        **PROFILE.learner_options(),
    )

    @torch.inference_mode()
    def answer(files):
        learn.model.eval()
        for file in files:
            image = fit_image(np.asarray(Image.open(file)), PROFILE.size)
            image = torch.tensor(image)[None, None] / 127.5 - 1
            with torch.autocast("cpu", torch.bfloat16, enabled=learn.precision == "bfloat16"):
                logits = learn.model(image.contiguous(memory_format=torch.channels_last))
            yield logits.seg2.argmax(1)[0].byte().numpy()
        learn.model.train()

    schedule = lib.learner.schedule(PROFILE.schedule, PROFILE.lr)
    learn.fit(EPOCHS, cbs=[schedule, Budget(clock, answer)])
    return answer


def unet_seg2(task: Task, clock: Clock) -> Answer:
    """The outline alone."""
    return train(task, clock, "unet-seg2")


def ms_mtl(task: Task, clock: Clock) -> Answer:
    """Class, outline and 3-class mask."""
    return train(task, clock, "ms-mtl")
