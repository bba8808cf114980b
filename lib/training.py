"""One run of the catalogue: from a system, its network and loaders to a trained learner."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from torch import nn

from .checkpoint import Checkpoint
from .experiments import Experiment, find
from .learner import fit, task_learner, validation_score
from .profiles import Profile


def train(
    system: Experiment,
    network: nn.Module,
    dls: DataLoaders,
    profile: Profile,
    *,
    folder: Path,
    settings: Mapping[str, Any],
    resume: bool = True,
    log: Callable[[str], object] = print,
) -> Learner:
    """Train one system's `network` in place, resumably, and load the best validation epoch.

    `folder` keeps the checkpoints, and belongs to a run with these `settings`. A system made of
    parts trains them one after the other, each with a checkpoint and a best epoch of its own; its
    history is theirs side by side. The learner has `history`, as `EpochLog` keeps it, and
    `best_epoch`, a number or one for each part. Raises CheckpointError if `folder` holds another
    run, MissingTaskError if the network lacks a task that a term needs.

    >>> from dataclasses import replace
    >>> from tempfile import TemporaryDirectory
    >>> from lib import dataloaders, profiles, sources
    >>> from lib.networks import Adapted, TaskLogits
    >>> network = Adapted(nn.Conv2d(1, 3, 1), lambda scores: TaskLogits(seg3=scores))
    >>> budget = replace(profiles.find("smoke"), epochs=1)
    >>> with TemporaryDirectory() as folder:
    ...     cases = sources.phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     dls = dataloaders(cases, size=32, batch_size=4, cache=folder)
    ...     run = {"folder": Path(folder, "run"), "settings": {"seed": 0}, "log": lambda line: None}
    ...     learn = train(find("unet-seg3"), network, dls, budget, **run)
    >>> learn.best_epoch, sorted(learn.history[0]["train"])
    (1, ['T3 Dice', 'total'])
    """
    if system.parts:
        return _train_parts(system, network, dls, profile, folder, settings, resume, log)
    budget = system.budget(profile)
    learn = _learner(system, network, dls, budget, log)
    checkpoint = Checkpoint(folder, {**settings, "system": system.name}, validation_score)
    fit(learn, budget.epochs, checkpoint=checkpoint, resume=resume, schedule_name=budget.schedule)
    if hasattr(network, "after_training"):
        network.after_training(dls[0])  # what cannot learn by gradients, on the training images
    learn.best_epoch = checkpoint.best["epoch"]
    return learn


def forget(folder: Path) -> None:
    """Delete the checkpoints of a run whose results stand.

    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> forget(folder)
    >>> folder.exists()
    False
    """
    shutil.rmtree(folder, ignore_errors=True)


def _train_parts(system, network, dls, profile, folder, settings, resume, log) -> Learner:
    trained = []
    for name, part in zip(system.parts, network.networks, strict=True):
        log(f"{name}:")
        learn = train(
            find(name),
            part,
            dls,
            profile,
            folder=folder / name,
            settings=settings,
            resume=resume,
            log=log,
        )
        trained.append(learn)
    whole = _learner(system, network, dls, system.budget(profile), log)
    histories = zip(*(learn.history for learn in trained), strict=True)
    whole.history = [_side_by_side(epochs) for epochs in histories]
    whole.best_epoch = {n: t.best_epoch for n, t in zip(system.parts, trained, strict=True)}
    return whole


def _learner(system, network, dls, budget, log) -> Learner:
    options = {"consistency": system.consistency(), "loss_options": system.losses, "log": log}
    return task_learner(dls, network, **options, **budget.learner_options())


def _side_by_side(epochs: tuple[dict, ...]) -> dict[str, Any]:
    """One epoch of several trainings: terms and measures together, totals and times summed."""
    merged = {"epoch": epochs[0]["epoch"], "lr": epochs[0]["lr"]}
    for part in ("train", "valid"):
        merged[part] = {name: value for epoch in epochs for name, value in epoch[part].items()}
        merged[part]["total"] = sum(epoch[part]["total"] for epoch in epochs)
    merged["metrics"] = {k: v for epoch in epochs for k, v in epoch["metrics"].items()}
    for part in ("seconds", "seconds_train", "seconds_data", "seconds_processor"):
        merged[part] = sum(epoch[part] for epoch in epochs)
    return merged
