"""Checkpoints: everything of a run after each epoch, written atomically, and resuming there.

Nothing in a checkpoint can run code: tensors are safetensors, the rest is JSON. Every file carries
the format's number and a digest of what it holds, so that one that was cut off, changed or put
there from elsewhere is refused. The digests find damage and mistakes. They are no signature:
whoever may write into the folder can make new ones.
"""

import hashlib
import json
import os
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .atomic import naming, replacing

FORMAT = 2  # of the files: raise it whenever an older version could not read them


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read, was changed, or belongs to another run."""


class Checkpoint(Callback):
    """Save everything after each epoch, atomically, and go on from there.

    `folder` holds `epoch-NNN/` (weights, optimiser, random states, data order, history) for the
    last finished epoch, and `best.safetensors`, the weights of the epoch with the highest `score`
    on the validation cases. A run killed at any moment and started again gives the same numbers as
    one left alone. Raises CheckpointError if what is found is damaged, was changed, is of another
    format, or belongs to a run with other `parameters` or another split of the cases.

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
        found = {int(m[1]): p for p in self._epochs() if (m := re.search(r"(\d+)$", p.name))}
        return found[max(found)] if found else None

    def before_fit(self) -> None:
        """Give what `restore` loaded the layout of the weights, which another callback may set."""
        if self.learn.opt is not None:
            _lay_out(getattr(self.opt, "opt", self.opt))  # fastai wraps torch's optimisers

    def after_epoch(self) -> None:
        if not self.learn.history or self.learn.history[-1]["epoch"] != self.epoch + 1:
            return  # skipped by a resumed run
        score = self.score(self.learn.history[-1]["metrics"])
        if not self.best or score > self.best["score"]:
            self.best = {"epoch": self.epoch + 1, "score": score}
            save_tensors(self.best_weights, self.model.state_dict(), self._run())
        self.save(self.folder / f"epoch-{self.epoch + 1:03d}")

    def save(self, target: Path) -> None:
        """Write one complete checkpoint; older ones go once it stands.

        After an error, such as that of a full disk, the older one is as it was and nothing stays.
        """
        draft = target.with_name(f".draft-{target.name}")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True)
            self._write(draft)
            discard(target)
            os.replace(draft, target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        for old in self._epochs():
            if old != target:
                shutil.rmtree(old, ignore_errors=True)

    def _write(self, draft: Path) -> None:
        optimiser, scalars = _split_optimiser(self.opt.state_dict())
        tensors = {
            "model": self.model.state_dict(), "optimiser": optimiser, "random": _torch_states()
        }  # fmt: skip
        digests = {
            name: save_tensors(draft / f"{name}.safetensors", values, self._run())
            for name, values in tensors.items()
        }
        state = {
            "epoch": self.epoch + 1,
            "parameters": self.parameters,
            "split": _split(self.dls),
            "history": self.learn.history,
            "best": self.best,
            "optimiser": scalars,
            "random": _python_states(self.dls),
            "tensors": digests,
        }
        whole = {"format": FORMAT, "sha256": _digest_of_json(state), "state": state}
        _write_text(draft / "state.json", json.dumps(whole, allow_nan=False))

    def restore(self) -> int:
        """Load the newest checkpoint into the learner; the number of epochs already done.

        Everything is read and checked before anything of the learner is changed.
        """
        found = self.last_epoch()
        if found is None:
            return 0
        try:
            state = _read_state(found / "state.json")
            theirs = state["parameters"]
        except Exception as error:  # damaged bytes raise nearly every kind of error
            raise self._unusable(found, error) from error
        self._require_same_parameters(found, theirs)
        if state.get("split") not in (None, _split(self.dls)):  # older ones do not say it
            raise CheckpointError(
                f"{found}: belongs to a run with another split of the same cases, which may have "
                f"trained on what is tested here. Delete {self.folder} to start again, or use that "
                "split"
            )
        try:
            tensors = {
                name: load_tensors(found / f"{name}.safetensors", self._run(), digest)
                for name, digest in state["tensors"].items()
            }
            load_tensors(self.best_weights, self._run())
        except Exception as error:
            raise self._unusable(found, error) from error
        try:
            self.model.load_state_dict(tensors["model"])
            self._lay_out_weights()
            if self.learn.opt is None:
                self.learn.create_opt()
            self.opt.load_state_dict(_join_optimiser(tensors["optimiser"], state["optimiser"]))
            self.learn.history, self.best = state["history"], state["best"]
            _set_states(tensors["random"], state["random"], self.dls)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{found}: does not fit this network or its data ({error}); delete {self.folder} "
                "to start again"
            ) from error
        return state["epoch"]

    def _lay_out_weights(self) -> None:
        """As training would lay them out: a trained network that is only tested sums alike."""
        if plain := getattr(self.learn, "plain_tensors", None):
            self.model.to(memory_format=plain.layout)

    def _unusable(self, found: Path, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"{found}: the checkpoint cannot be read ({error or type(error).__name__}); delete "
            f"{self.folder} to start again"
        )

    def _require_same_parameters(self, found: Path, theirs: dict[str, Any]) -> None:
        ours = json.loads(json.dumps(self.parameters))
        if changed := [k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k)]:
            raise CheckpointError(
                f"{found}: belongs to a run with other parameters ("
                + "; ".join(f"{k}: {theirs.get(k)} there, {ours.get(k)} here" for k in changed)
                + f"). Delete {self.folder} to start again, or use the same parameters"
            )

    def _epochs(self) -> list[Path]:
        return [p for p in self.folder.glob("epoch-*") if p.is_dir()]

    def _run(self) -> str:
        """Digest of the parameters: whose run a file of tensors belongs to."""
        return _digest_of_json(sorted(self.parameters.items()))

    def clear(self) -> None:
        """Forget the run: its results stand, or it is to start again."""
        discard(self.folder)
        self.best = {}


def discard(folder: Path) -> None:
    """Delete a run's checkpoints; killed in the midst of it, none is left that is half there.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as home:
    ...     Path(home, "seed0.unfinished", "epoch-001").mkdir(parents=True)
    ...     discard(Path(home, "seed0.unfinished"))
    ...     list(Path(home).iterdir())
    []
    """
    away = folder.with_name(f".draft-gone-{folder.name}")
    shutil.rmtree(away, ignore_errors=True)  # of one that was killed
    with suppress(FileNotFoundError):
        os.replace(folder, away)
    shutil.rmtree(away, ignore_errors=True)


def save_tensors(
    path: Path,
    tensors: dict[str, Tensor],
    run: str = "",
    *,
    about: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Write tensors by name as safetensors, atomically; returns the sha256 of what they hold.

    The file says its format, the `run` that it belongs to, that sha256, and what `about` has. A
    tensor that goes by several names is written under each.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     digest = save_tensors(Path(folder, "a.safetensors"), {"w": torch.ones(2)}, "mine")
    ...     load_tensors(Path(folder, "a.safetensors"), "mine", digest)
    {'w': tensor([1., 1.])}
    """
    tensors = _apart({name: t.detach().contiguous().cpu() for name, t in tensors.items()})
    digest = _digest(tensors)
    with replacing(path) as draft:
        whole = {**about, "format": str(FORMAT), "run": run, "sha256": digest}
        _save_file(
            tensors, draft, whole | {"sha256_of_words": _digest_of_json(sorted(whole.items()))}
        )
    return digest


def _save_file(tensors: Mapping[str, Tensor], file: Path, about: dict[str, str]) -> None:
    """As safetensors does it, but a fault of the disk is an OSError."""
    try:
        save_file(tensors, file, about)
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        raise


def load_tensors(path: Path, run: str = "", digest: str | None = None) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote, checked; `digest` is what it returned, where that is known.

    Raises CheckpointError, naming the file, if it is missing, cut off, changed, of another format
    or of another `run`.

    >>> load_tensors(Path("best.safetensors"))
    Traceback (most recent call last):
        ...
    lib.checkpoint.CheckpointError: best.safetensors: no such file
    """
    told = read_metadata(path)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if told.get("run") != run:
        raise CheckpointError(f"{path.name}: belongs to another run")
    if _digest(tensors) != told.get("sha256") or digest not in (None, told["sha256"]):
        raise CheckpointError(f"{path.name}: was changed since it was written (its sha256 differs)")
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """What a file of `save_tensors` says of itself, without reading its tensors.

    Raises CheckpointError, naming the file, if it is missing, damaged or of another format.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.safetensors")
    ...     digest = save_tensors(file, {"w": torch.ones(2)}, about={"size": "96"})
    ...     read_metadata(file)["size"]
    '96'
    """
    with _opened(path) as file:
        told = file.metadata() or {}
    if told.get("format") != str(FORMAT):
        found = told.get("format")
        raise CheckpointError(f"{path.name}: its format is {found}, this version reads {FORMAT}")
    digest = told.pop("sha256_of_words", None)  # older ones have none
    if digest not in (None, _digest_of_json(sorted(told.items()))):
        raise CheckpointError(
            f"{path.name}: what it says of itself was changed since it was written (its sha256 "
            "differs)"
        )
    return told


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise CheckpointError(f"{path.name}: no such file")
    try:
        with safe_open(path, "pt") as file:
            yield file
    except Exception as error:  # damaged bytes raise nearly every kind of error
        what = f"damaged, cut off or no safetensors ({error})"
        raise CheckpointError(f"{path.name}: {what}") from error


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without shared memory, which safetensors refuses to write."""
    seen: set[int] = set()
    apart = {}  # nnU-Net's plain network names its encoder's layers four times
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return apart


def _digest(tensors: dict[str, Tensor]) -> str:
    """Sha256 over names, types, shapes and bits."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        sha.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return sha.hexdigest()


def _split(dls: Any) -> str:
    """Digest of which cases are for training, for validation and for testing."""
    parts = [sorted(map(str, getattr(loader.dataset, "items", ()))) for loader in dls.loaders]
    return _digest_of_json(parts)


def _read_state(path: Path) -> dict[str, Any]:
    """What `Checkpoint.save` wrote beside the tensors, checked."""
    whole = json.loads(path.read_text())
    found = whole.get("format") if isinstance(whole, dict) else None
    if found != FORMAT:
        raise CheckpointError(f"{path.name}: its format is {found}, this version reads {FORMAT}")
    if _digest_of_json(whole["state"]) != whole["sha256"]:
        raise CheckpointError(f"{path.name}: was changed since it was written (its sha256 differs)")
    return whole["state"]


def _digest_of_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _write_text(path: Path, text: str) -> None:
    with naming(path), open(path, "w") as file:
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


def _lay_out(optimiser: Any) -> None:
    """The strides of each parameter for its state: a fused optimiser reads both as plain memory."""
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)


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
