"""Checkpoints: everything of a run after each epoch, written atomically, and resuming there."""

import json
import os
import random
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from safetensors.torch import load_file, save_file
from torch import Tensor

from .atomic import replacing


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read or belongs to another run."""


class Checkpoint(Callback):
    """Save everything after each epoch, atomically, and go on from there.

    `folder` holds `epoch-NNN/` (weights, optimiser, random states, data order, history) for the
    last finished epoch, and `best.safetensors`, the weights of the epoch with the highest `score`
    on the validation cases. A run killed at any moment and started again gives the same numbers as
    one left alone. Raises CheckpointError if what is found belongs to a run with other
    `parameters`.

    >>> from tempfile import TemporaryDirectory
    >>> import lib
    >>> from lib.networks import Adapted, TaskLogits
    >>> network = Adapted(torch.nn.Conv2d(1, 2, 1), lambda scores: TaskLogits(seg2=scores))
    >>> with TemporaryDirectory() as folder:
    ...     cases = lib.sources.phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     dls = lib.dataloaders(cases, size=32, batch_size=4, cache=folder)
    ...     checkpoint = Checkpoint(Path(folder) / "run", {"seed": 0}, lambda m: m["dice_nodule"])
    ...     learn = lib.task_learner(dls, network, log=lambda line: None)
    ...     learn = lib.fit(learn, epochs=1, checkpoint=checkpoint)
    ...     found = sorted(path.name for path in checkpoint.folder.iterdir())
    >>> found, checkpoint.best["epoch"]
    (['best.safetensors', 'epoch-001'], 1)
    """

    order = 80  # the last thing that an epoch does

    def __init__(self, folder: Path, parameters: dict[str, Any], score: Callable[[dict], float]):
        self.folder, self.parameters, self.score = Path(folder), parameters, score
        self.best: dict[str, float] = {}

    @property
    def best_weights(self) -> Path:
        return self.folder / "best.safetensors"

    def last_epoch(self) -> Path | None:
        """The newest complete checkpoint's folder, if there is one."""
        return max(self.folder.glob("epoch-*"), default=None)

    def after_epoch(self) -> None:
        if not self.learn.history or self.learn.history[-1]["epoch"] != self.epoch + 1:
            return  # skipped by a resumed run
        score = self.score(self.learn.history[-1]["metrics"])
        if not self.best or score > self.best["score"]:
            self.best = {"epoch": self.epoch + 1, "score": score}
            _save_tensors(self.best_weights, self.model.state_dict())
        self.save(self.folder / f"epoch-{self.epoch + 1:03d}")

    def save(self, target: Path) -> None:
        """Write one complete checkpoint; older ones go once it stands."""
        draft = target.with_name(f".draft-{target.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _save_tensors(draft / "model.safetensors", self.model.state_dict())
        tensors, scalars = _split_optimiser(self.opt.state_dict())
        _save_tensors(draft / "optimiser.safetensors", tensors)
        _save_tensors(draft / "random.safetensors", _torch_states())
        state = {
            "epoch": self.epoch + 1,
            "parameters": self.parameters,
            "history": self.learn.history,
            "best": self.best,
            "optimiser": scalars,
            "random": _python_states(self.dls),
        }
        _write_text(draft / "state.json", json.dumps(state, allow_nan=False))
        shutil.rmtree(target, ignore_errors=True)
        os.replace(draft, target)
        for old in self.folder.glob("epoch-*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)

    def restore(self) -> int:
        """Load the newest checkpoint into the learner; the number of epochs already done."""
        found = self.last_epoch()
        if found is None:
            return 0
        try:
            state = json.loads((found / "state.json").read_text())
            model = load_file(found / "model.safetensors")
            tensors = load_file(found / "optimiser.safetensors")
            states = load_file(found / "random.safetensors")
        except Exception as error:
            raise CheckpointError(
                f"{found}: the checkpoint cannot be read ({error}); delete {self.folder} to start "
                "again"
            ) from error
        theirs, ours = state["parameters"], json.loads(json.dumps(self.parameters))
        if changed := [k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k)]:
            raise CheckpointError(
                f"{found}: belongs to a run with other parameters ("
                + "; ".join(f"{k}: {theirs.get(k)} there, {ours.get(k)} here" for k in changed)
                + f"). Delete {self.folder} to start again, or use the same parameters"
            )
        self.model.load_state_dict(model)
        if self.learn.opt is None:
            self.learn.create_opt()
        self.opt.load_state_dict(_join_optimiser(tensors, state["optimiser"]))
        self.learn.history, self.best = state["history"], state["best"]
        _set_states(states, state["random"], self.dls)
        return state["epoch"]

    def clear(self) -> None:
        """Forget the run: its results stand, or it is to start again."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.best = {}


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    with replacing(path) as draft:
        save_file({name: t.detach().contiguous().cpu() for name, t in tensors.items()}, draft)


def _write_text(path: Path, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _split_optimiser(state: dict) -> tuple[dict[str, Tensor], dict]:
    """A torch optimiser's state as tensors by name, and what JSON can hold."""
    tensors = {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in state["state"].items()
        for name, value in values.items()
    }
    return tensors, {"param_groups": state["param_groups"]}


def _join_optimiser(tensors: dict[str, Tensor], scalars: dict) -> dict:
    state: dict[int, dict] = defaultdict(dict)
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state[int(index)][name] = value
    return {"state": dict(state), **scalars}


def _torch_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return states


def _python_states(dls: Any) -> dict[str, Any]:
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [name, keys.tolist(), *rest],
        "loaders": [loader.rng.getstate() for loader in dls.loaders],
    }


def _set_states(torch_states: dict[str, Tensor], python_states: dict, dls: Any) -> None:
    def as_state(saved: list) -> tuple:
        version, numbers, gauss = saved
        return version, tuple(numbers), gauss

    torch.set_rng_state(torch_states["cpu"])
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            if f"cuda{index}" in torch_states:
                torch.cuda.set_rng_state(torch_states[f"cuda{index}"], index)
    random.setstate(as_state(python_states["python"]))
    name, keys, *rest = python_states["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    for loader, saved in zip(dls.loaders, python_states["loaders"], strict=True):
        loader.rng.setstate(as_state(saved))
