"""Faults while a run goes on: data that change, two runs at once, a clock that is moved back."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from test_resume import train
from test_template import CODE
from tiny import phantom_cases

from ci.engine import progress
from lib import blocks, cache, experiments, profiles, sources
from lib.blocks import dataloaders
from lib.cases import CaseError, fingerprint, prepare_cases
from lib.checkpoint import Checkpoint
from lib.learner import fit, seed_everything, task_learner, validation_score
from lib.sources import phantom

ROOT = Path(__file__).parents[2]
# the cell that looks at the data once more, and then writes the results
SAVES = next(i for i, cell in enumerate(CODE) if "lib.results.save" in cell.source)


def invert(file: str) -> None:
    """Another picture of the same size under the same name."""
    pixels = 255 - np.asarray(Image.open(file))
    Image.fromarray(pixels).save(file, compress_level=1)


# ---- data that change while they are used


@pytest.fixture
def table(tmp_path):
    return phantom_cases(tmp_path / "phantom", 20)


def loaders(table, folder):
    return dataloaders(table, size=32, batch_size=4, cache=folder / "cache")


def test_an_image_that_changed_after_it_was_decoded(table, tmp_path):
    told, dls = fingerprint(table), loaders(table, tmp_path)
    cache.require_unchanged(table, dls, told)
    file = table["image"][3]
    invert(file)
    with pytest.raises(CaseError, match=r"changed while this ran \(1 images or masks") as error:
        cache.require_unchanged(table, dls, told)
    assert file in str(error.value) and "run it again" in str(error.value)


def test_a_mask_that_changed(table, tmp_path):
    told, dls = fingerprint(table), loaders(table, tmp_path)
    file = table["mask"][0][0].outline
    shifted = np.roll(np.asarray(Image.open(file)), 1, axis=0)  # turned round, it means the same
    Image.fromarray(shifted).save(file)
    with pytest.raises(CaseError, match="changed while this ran"):
        cache.require_unchanged(table, dls, told)


def test_an_image_that_changed_before_it_was_decoded(table, tmp_path):
    """The loaders hold the new state, the results would claim the old one."""
    told = fingerprint(table)
    invert(table["image"][3])
    with pytest.raises(CaseError, match="changed while this ran"):
        cache.require_unchanged(table, loaders(table, tmp_path), told)


def test_an_image_that_changed_and_changed_back(table, tmp_path, monkeypatch):
    """What was decoded meanwhile is not kept: it would lie under the wrong fingerprint."""
    told, write, file = fingerprint(table), blocks._write, table["image"][3]

    def meanwhile(*given):
        invert(file)
        try:
            write(*given)
        finally:
            invert(file)

    monkeypatch.setattr(blocks, "_write", meanwhile)
    with pytest.raises(CaseError, match="changed while they were decoded"):
        loaders(table, tmp_path)
    monkeypatch.undo()
    assert not list((tmp_path / "cache").iterdir())
    assert fingerprint(table) == told
    cache.require_unchanged(table, loaders(table, tmp_path), told)


def test_bytes_that_changed_under_an_old_date(table, tmp_path):
    """Dates can be set, bytes cannot."""
    told, dls = fingerprint(table), loaders(table, tmp_path)
    file = table["image"][3]
    then = os.stat(file)
    invert(file)
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns))
    with pytest.raises(CaseError, match=f"changed while this ran.*{file}"):
        cache.require_unchanged(table, dls, told)


def test_decoded_images_that_were_damaged_on_the_disk(table, tmp_path):
    told, dls = fingerprint(table), loaders(table, tmp_path)
    (file,) = (tmp_path / "cache").glob("*/masks.npy")
    with file.open("r+b") as stored:
        stored.seek(-1, os.SEEK_END)
        stored.write(b"\x02")
    with pytest.raises(CaseError, match="changed while this ran"):
        cache.require_unchanged(table, dls, told)
    assert not list((tmp_path / "cache").iterdir())


def test_a_file_that_is_gone(table, tmp_path):
    told, dls = fingerprint(table), loaders(table, tmp_path)
    Path(table["image"][3]).unlink()
    with pytest.raises(CaseError, match=f"{table['image'][3]}: no such file"):
        cache.require_unchanged(table, dls, told)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The template's cells, run on a phantom in which an image changes at the last moment."""
    home = tmp_path_factory.mktemp("changed")
    matplotlib.use("Agg")
    space = {}
    exec(CODE[0].source, space)
    space |= {"root": str(home / "phantom"), "experiment": "unet-seg3", "profile": "smoke"}
    space |= {"device": "cpu", "results": str(home / "results")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CACHE", home / "cache")
        for cell in CODE[1:SAVES]:
            exec(cell.source, space)
    return home, space


def test_a_run_whose_data_changed_writes_nothing(template):
    home, space = template
    images = sorted((home / "phantom" / "images").iterdir())
    invert(images[7])
    with pytest.raises(CaseError, match=f"changed while this ran.*{images[7].name}"):
        exec(CODE[SAVES].source, space)
    run = home / "results" / "phantom" / "smoke" / "unet-seg3"
    assert sorted(path.name for path in run.iterdir()) == ["seed0.lock", "seed0.unfinished"]
    invert(images[7])
    exec(CODE[SAVES].source, space)
    record = json.loads((run / "seed0.json").read_text())
    table, _ = prepare_cases(sources.phantom.read(home / "phantom", cases=80), seed=0)
    assert record["data"]["fingerprint"] == fingerprint(table)
    assert sorted(path.name for path in run.iterdir()) == ["seed0.gallery.npz", "seed0.json"]


# ---- two runs with one output


HOLD = (
    "import sys, time, pathlib; from ci.engine import progress; "
    "progress.hold(pathlib.Path(sys.argv[1])); print(1, flush=1);"
)


@pytest.fixture
def other(tmp_path):
    """Another process that makes the run, as a second papermill would."""
    run = tmp_path / "phantom" / "smoke" / "unet-seg3" / "seed0"
    words = [sys.executable, "-c", f"{HOLD} time.sleep(600)", run]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"1\n"
    yield process
    process.kill()
    process.wait()


def start(folder: Path) -> dict:
    space = {}
    exec(CODE[0].source, space)
    space |= {"experiment": "unet-seg3", "profile": "smoke", "device": "cpu"}
    space |= {"results": str(folder)}
    for cell in CODE[1:3]:
        exec(cell.source, space)
    return space


def test_a_second_run_with_the_same_output_is_refused(tmp_path, other):
    """It says who makes it; it begins once that one has ended, however it has."""
    with pytest.raises(
        progress.Busy, match=rf"process {other.pid} on .* is making seed0 in .*wait"
    ):
        start(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert not progress.is_held(tmp_path / "phantom" / "smoke" / "unet-seg3" / "seed0")
    start(tmp_path)


def test_what_an_engine_holds_its_kernels_may_make(tmp_path):
    """A process that the holder has started holds the run with it, and so does the holder."""
    run = tmp_path / "seed0"
    with progress.alone(run):
        progress.hold(run)()
        words = [sys.executable, "-c", HOLD, run]
        assert subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
        assert progress.is_held(run)
    assert not progress.is_held(run)


def test_the_others_of_a_shared_run_hold_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    progress.hold(tmp_path / "seed0")
    assert not list(tmp_path.iterdir())


# ---- a clock that is moved back


def test_a_clock_that_runs_backwards_changes_no_number(tmp_path, monkeypatch):
    """Each look at it is an hour earlier; then the checkpoint's files are of the next year."""
    expected, learn, _ = train(tmp_path, "whole")
    now = time.time()
    clock = iter(range(10**9))
    shutil.rmtree(tmp_path / "whole")
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(clock))
    again, other, saved = train(tmp_path, "whole")
    assert again == expected
    for one, two in zip(learn.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(one, two)
    future = now + 365 * 24 * 3600
    for path in [saved.folder, *saved.folder.rglob("*")]:
        os.utime(path, (future, future))
    assert saved.last_epoch().name == "epoch-004"
    assert train(tmp_path, "whole")[0] == expected  # goes on from files of the future


def test_a_phantom_from_the_future_is_used_and_its_drafts_are_left(tmp_path):
    first = phantom.read(tmp_path / "phantom", cases=4, size=32)
    digest, future = fingerprint(first), time.time() + 10**8
    draft = tmp_path / ".phantom.part-of-another"
    draft.mkdir()
    for path in tmp_path.rglob("*"):
        os.utime(path, (future, future))
    before = {path: path.stat().st_mtime for path in tmp_path.rglob("*")}
    assert fingerprint(phantom.read(tmp_path / "phantom", cases=4, size=32)) == digest
    assert {path: path.stat().st_mtime for path in tmp_path.rglob("*")} == before


def test_progress_of_a_run_from_the_future(tmp_path):
    _, _, saved = train(tmp_path, "phantom/smoke/mtl/seed0.unfinished", parameters={"epochs": 4})
    future = time.time() + 10**8
    for path in saved.folder.rglob("*"):
        os.utime(path, (future, future))
    (run,) = progress.running(tmp_path)
    assert (run.done, run.epochs, run.alive) == (4, 4, False) and run.seconds == 0


# ---- after the last epoch


def test_killed_after_its_last_epoch_a_run_predicts_the_same_bits(tmp_path):
    """It trains no more; its weights must lie in memory as if it had."""
    system = experiments.find("unet-seg3")
    budget = system.budget(profiles.find("smoke"))
    table = phantom_cases(tmp_path / "phantom", 40)

    def finished():
        seed_everything(3)
        dls = dataloaders(table, size=64, cache=tmp_path / "cache")
        learn = task_learner(dls, system.build(budget), channels_last=True, log=lambda line: None)
        fit(learn, 1, checkpoint=Checkpoint(tmp_path / "run", {"seed": 3}, validation_score))
        batch = next(iter(dls[2]))[0].as_subclass(torch.Tensor)
        with torch.no_grad():
            return learn.model.eval()(batch.contiguous(memory_format=torch.channels_last)).seg3

    assert torch.equal(finished(), finished())
