"""A run killed with -9 and started again ends with the numbers of one left alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import TinyNet, phantom_cases, tiny_loaders
from torch import nn

from lib.blocks import dataloaders
from lib.callbacks import InterTask
from lib.checkpoint import Checkpoint, CheckpointError, save_tensors
from lib.learner import fit, seed_everything, task_learner, validation_score

EPOCHS = 4


class SpreadNet(TinyNet):
    """With weights that lie otherwise in memory when their channels are last."""

    def __init__(self):
        super().__init__()
        self.seg3 = nn.Conv2d(8, 3, 3, padding=1)


def train(folder: Path, name: str, *, pause: float = 0.0, parameters=None):
    """Train the tiny network; `pause` slows the epochs down, so that a kill finds one."""
    seed_everything(3)
    dls = tiny_loaders(folder)
    seed_everything(3)

    def log(line: str) -> None:
        print(line, flush=True)
        time.sleep(pause)

    learn = task_learner(
        dls,
        SpreadNet(),
        consistency=[InterTask(ramp=0.5)],
        lr=1e-2,
        channels_last=True,
        log=log,
    )
    saved = Checkpoint(folder / name, parameters or {"seed": 3}, validation_score)
    fit(learn, EPOCHS, checkpoint=saved)
    final = learn.history[-1]
    return {part: final[part] for part in ("train", "valid", "metrics", "lr")}, learn, saved


def test_killed_and_resumed_equals_undisturbed(tmp_path):
    expected, learn, whole = train(tmp_path, "whole")
    script = f"import test_resume as t; t.train(t.Path({str(tmp_path)!r}), 'killed', pause=1.0)"
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here, *here.parents[:2])))}
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if "epoch   3/" in line:  # two epochs are saved, the third is not yet
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    assert Checkpoint(tmp_path / "killed", {}, validation_score).last_epoch().name == "epoch-002"

    resumed, again, saved = train(tmp_path, "killed")
    assert resumed == expected
    assert [e["epoch"] for e in again.history] == list(range(1, EPOCHS + 1))
    for one, two in zip(learn.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, two)
    assert saved.best == whole.best


def test_the_best_epoch_is_what_the_learner_ends_with(tmp_path):
    _, learn, saved = train(tmp_path, "run")
    scores = [validation_score(epoch["metrics"]) for epoch in learn.history]
    assert saved.best["epoch"] == scores.index(max(scores)) + 1
    best = load_file(saved.best_weights)
    assert all(torch.equal(best[k], v) for k, v in learn.model.state_dict().items())
    saved.clear()
    assert not saved.folder.exists()


def test_a_finished_run_is_not_trained_again(tmp_path, capsys):
    expected, _, _ = train(tmp_path, "run")
    capsys.readouterr()
    again, _, _ = train(tmp_path, "run")
    assert again == expected and "epoch" not in capsys.readouterr().out


def test_without_resume_it_starts_again(tmp_path):
    _, learn, saved = train(tmp_path, "run")
    learn.history = []
    learn.remove_cb(saved)
    fit(learn, 1, checkpoint=saved, resume=False)
    assert [epoch["epoch"] for epoch in learn.history] == [1]


def test_other_parameters_are_refused(tmp_path):
    train(tmp_path, "run")
    with pytest.raises(CheckpointError, match=r"seed: 3 there, 4 here.*Delete"):
        train(tmp_path, "run", parameters={"seed": 4})


def test_another_split_of_the_same_cases_is_refused(tmp_path):
    """What is tested there may have been trained on here."""
    train(tmp_path, "run")
    table = phantom_cases(tmp_path / "phantom")
    at = [table.index[table["split"] == part][0] for part in ("train", "test")]
    table.loc[at, "split"] = ["test", "train"]
    other = dataloaders(table, size=32, batch_size=8, cache=tmp_path / "cache")
    saved = Checkpoint(tmp_path / "run", {"seed": 3}, validation_score)
    learn = task_learner(other, SpreadNet(), channels_last=True, log=print)
    with pytest.raises(CheckpointError, match="another split of the same cases"):
        fit(learn, EPOCHS, checkpoint=saved)


def change_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def older_format(path: Path) -> None:
    if path.suffix == ".json":
        path.write_text(path.read_text().replace('{"format": 2', '{"format": 1', 1))
    else:
        save_file(load_file(path), path)


DAMAGE = {
    "cut off": (
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        "cut off|Unterminated|Expecting|differs",
    ),
    "empty": (lambda path: path.write_bytes(b""), "damaged|Expecting value"),
    "words": (lambda path: path.write_bytes(b"{not a checkpoint"), "damaged|Expecting property"),
    "changed": (change_a_byte, "its sha256 differs|damaged|Expecting"),
    "gone": (lambda path: path.unlink(), "no such file|No such file"),
    "older": (older_format, "its format is (1|None), this version reads 2"),
}
FILES = ["state.json", "model.safetensors", "optimiser.safetensors", "random.safetensors", "best"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a whole run, and the learner that made it; restored by `restore_into`."""
    folder = tmp_path_factory.mktemp("finished")
    return train(folder, "run")[1:]


def restore_into(learn, folder: Path, parameters=None) -> int:
    """What a run that is started again does first."""
    saved = Checkpoint(folder, parameters or {"seed": 3}, validation_score)
    with learn.added_cbs(saved):
        return saved.restore()


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_or_changed_checkpoint_is_named(finished, tmp_path, name, kind):
    learn, saved = finished
    shutil.copytree(saved.folder, tmp_path / "run")
    file = tmp_path / "run" / "epoch-004" / name
    if name == "best":
        file = tmp_path / "run" / "best.safetensors"
    break_it, why = DAMAGE[kind]
    break_it(file)
    before = [value.clone() for value in learn.model.state_dict().values()]
    with pytest.raises(
        CheckpointError, match=rf"epoch-004: the checkpoint.*({why}).*; delete"
    ) as told:
        restore_into(learn, tmp_path / "run")
    assert file.name in str(told.value) or name == "state.json"
    after = learn.model.state_dict().values()
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_a_layer_with_two_names_is_kept_under_both(tmp_path):
    """Some libraries register a layer twice; safetensors writes no memory twice by itself."""
    layer = nn.Linear(2, 3)
    network = nn.ModuleDict({"one": layer, "other": nn.Sequential(layer)})
    save_tensors(tmp_path / "w.safetensors", network.state_dict())
    kept = load_file(tmp_path / "w.safetensors")
    assert kept.keys() == network.state_dict().keys() and len(kept) == 4
    assert all(torch.equal(kept[name], value) for name, value in network.state_dict().items())


def test_a_file_of_another_run_or_epoch_is_refused(finished, tmp_path):
    learn, saved = finished
    shutil.copytree(saved.folder, tmp_path / "run")
    file = tmp_path / "run" / "epoch-004" / "model.safetensors"
    tensors = load_file(file)
    save_tensors(file, tensors, run="another")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: belongs to another run"):
        restore_into(learn, tmp_path / "run")
    save_tensors(file, {name: t + 1 for name, t in tensors.items()}, run=saved._run())
    with pytest.raises(CheckpointError, match=r"model\.safetensors: was changed"):
        restore_into(learn, tmp_path / "run")  # sound by itself, but not what the state names
    save_tensors(file, tensors, run=saved._run())
    assert restore_into(learn, tmp_path / "run") == EPOCHS


def test_a_checkpoint_of_another_network_says_so(finished, tmp_path):
    learn, saved = finished
    shutil.copytree(saved.folder, tmp_path / "run")
    whole = learn.model
    learn.model = torch.nn.Linear(2, 2)
    try:
        with pytest.raises(CheckpointError, match=r"epoch-004: does not fit this network"):
            restore_into(learn, tmp_path / "run")
    finally:
        learn.model = whole


def test_the_last_epoch_is_found_by_its_number(tmp_path):
    for name in ("epoch-999", "epoch-1000", "epoch-of-mine", ".draft-epoch-1001"):
        (tmp_path / name).mkdir()
    (tmp_path / "epoch-1002").touch()  # no folder
    assert Checkpoint(tmp_path, {}, validation_score).last_epoch().name == "epoch-1000"


def test_a_full_disk_keeps_the_older_checkpoint(tmp_path, monkeypatch):
    from lib import checkpoint

    _, learn, saved = train(tmp_path, "run")
    older = json.loads((saved.last_epoch() / "state.json").read_text())["state"]["epoch"]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    learn.epoch = EPOCHS
    with pytest.raises(OSError, match="No space left"):
        saved.save(saved.folder / f"epoch-{EPOCHS + 1:03d}")
    monkeypatch.undo()
    assert saved.last_epoch().name == f"epoch-{older:03d}"
    assert train(tmp_path, "run")[2].best == saved.best


def test_epochs_must_be_positive(tmp_path):
    seed_everything(0)
    learn = task_learner(tiny_loaders(tmp_path), TinyNet())
    with pytest.raises(ValueError, match="epochs=0"):
        fit(learn, 0)
