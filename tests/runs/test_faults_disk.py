"""A disk that is full or cannot be written to: an error with the file, nothing half there.

The faults are real: a file system of 1 MB that is full or mounted read-only (as root, on Linux), a
limit on the length of files everywhere, and another user's folder.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import hostile
import numpy as np
import pandas as pd
import pytest
import torch
from test_resume import train
from test_template import CODE, start
from tiny import phantom_cases

from book.kit import gallery
from ci.engine import grid, progress
from lib import blocks, cache, cases, results, sources
from lib.atomic import replacing
from lib.checkpoint import save_tensors

NAMES = {"source": "phantom", "profile": "smoke", "experiment": "mtl", "seed": 0}


@contextmanager
def short_files(folder: Path):
    """No file may grow beyond 64 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def full(folder: Path):
    """Everything that is free on the file system of `folder` is taken."""
    filler = folder.parent / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only(folder: Path):
    remount(folder, "ro")
    try:
        yield
    finally:
        remount(folder, "rw")


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", folder.parent], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own, of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk]
    done = subprocess.run(words, capture_output=True, text=True) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        pytest.skip(
            "a file system can be mounted by root only, on Linux, and not in every container"
        )
    (disk / "inside").mkdir()
    yield disk / "inside"
    subprocess.run(["umount", "-l", disk], check=True)


def write_results(folder: Path, version: int) -> Path:
    record = {key: {} for key in results.KEYS} | NAMES | {"schema": results.SCHEMA}
    record["per_image"] = {"score": list(range(version * 2000))}
    return results.save(record, folder)


def write_failure(folder: Path, version: int) -> Path:
    what = dict.fromkeys(results.FAILURE_KEYS) | NAMES
    return results.save_failure(what | {"message": "why " * 2000 * version}, folder)


def write_gallery(folder: Path, version: int) -> Path:
    noise = np.random.default_rng(version).integers(0, 255, (2, 64, 64), dtype=np.uint8)
    rows = pd.DataFrame({"case": ["a", "b"], "label": [0, 1]})
    return gallery.save(folder / "seed0.gallery.npz", rows, {"image": noise, "mask": noise})


def write_tensors(folder: Path, version: int) -> Path:
    save_tensors(folder / "best.safetensors", {"weight": torch.full((20_000,), float(version))})
    return folder / "best.safetensors"


def write_listing(folder: Path, version: int) -> Path:
    """What `make plan` keeps of the data; their reading is not what is tried here."""
    table = pd.DataFrame({"case": ["a"], "image": [f"{version}.png"], "mask": [()]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "read", lambda *_, **__: table)
        patch.setattr(cases, "prepare_cases", lambda *_, **__: (table.assign(split="train"), []))
        patch.setattr(cases, "fingerprint", lambda _: "0a1b" * 16)
        grid.prepare("phantom", None, "smoke", [0], cache=folder)
    return folder


def write_phantom(folder: Path, version: int) -> Path:
    sources.phantom.read(folder / f"phantom{version}", cases=3, size=32)
    return folder / f"phantom{version}"


WRITERS = [
    write_results, write_failure, write_gallery, write_tensors, write_listing, write_phantom
]  # fmt: skip


def fails_cleanly(write, folder, fault, errors):
    """The second write fails with the file's or its folder's name; the first one is as it was."""
    write(folder, 1)
    with hostile.untouched(folder):
        with fault(folder), pytest.raises(OSError) as told:
            write(folder, 2)
        assert told.value.errno in errors
        assert told.value.filename and str(folder) in str(told.value.filename)
        assert Path(told.value.filename).name in str(told.value)
    write(folder, 2)  # and it can be repeated


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__[6:])
def test_files_that_may_not_grow(tmp_path, write):
    (tmp_path / "inside").mkdir()
    fails_cleanly(write, tmp_path / "inside", short_files, {27})


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__[6:])
def test_a_full_disk(small_disk, write):
    fails_cleanly(write, small_disk, full, {28})


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__[6:])
def test_a_disk_that_is_read_only(small_disk, write):
    fails_cleanly(write, small_disk, read_only, {30})


@pytest.mark.parametrize("fault", [short_files, full, read_only], ids=lambda f: f.__name__)
def test_a_checkpoint_keeps_the_older_one(small_disk, fault):
    _, learn, saved = train(small_disk, "run")
    learn.epoch += 1
    with hostile.untouched(small_disk):
        with fault(small_disk), pytest.raises(OSError) as told:
            saved.save(saved.folder / "epoch-005")
        assert "epoch-005" in str(told.value) and str(small_disk) in str(told.value.filename)
    assert saved.restore() == 4


def test_another_users_folder(tmp_path):
    """As nobody, in a folder that only its owner may write to."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    write_results(tmp_path, 1)
    with hostile.untouched(tmp_path):
        assert as_nobody(tmp_path, lambda: write_results(tmp_path, 2)).startswith("PermissionError")
        run = tmp_path / "phantom" / "smoke" / "mtl" / "seed1"
        said = as_nobody(tmp_path, lambda: progress.hold(run))
        assert said.startswith("PermissionError") and "seed1.lock" in said


def as_nobody(folder: Path, what) -> str:
    """The error that `what` ends with, when a process of the user nobody does it."""
    ours = Path(tempfile.gettempdir())
    for part in (folder, *(above for above in folder.parents if ours in above.parents)):
        part.chmod(0o755)

    def become_nobody():
        os.setgroups([]), os.setgid(65534), os.setuid(65534)
        what()

    return hostile.in_a_child(become_nobody)


def test_a_run_on_a_read_only_disk_ends_before_it_trains(small_disk):
    given = {"device": "cpu", "profile": "smoke", "results": str(small_disk / "results")}
    with read_only(small_disk), pytest.raises(OSError, match="Read-only") as told:
        start(**given)
    assert str(small_disk) in str(told.value.filename)


# ---- the images that are decoded once, which are written through a memory map


def test_decoded_images_need_room(small_disk):
    """Without this the process would end with a bus error and no word."""
    table = pd.DataFrame({"case": [str(k) for k in range(300)]})
    with pytest.raises(OSError, match=r"MB are free, 5\.3 MB are needed.*LIB_CACHE") as told:
        cache.require_room(table, 96, "0a1b" * 16, small_disk / "cache")
    assert told.value.errno == 28 and told.value.filename == str(small_disk / "cache")
    cache.require_room(table[:100], 96, "0a1b" * 16, small_disk / "cache")
    there = small_disk / "cache" / f"{'0a1b' * 4}-96"
    there.mkdir(parents=True)
    layers = np.zeros((1, 4, 4), np.uint8)
    for name in ("images", "masks"):
        np.save(there / f"{name}.npy", layers)
    (there / "cases.json").write_text(json.dumps({"digest": blocks.digest(layers, layers)}))
    cache.require_room(table, 96, "0a1b" * 16, small_disk / "cache")  # they are there


def test_decoded_images_longer_than_a_file_may_be(tmp_path):
    table = pd.DataFrame({"case": ["a"]})
    with short_files(tmp_path), pytest.raises(OSError, match="ulimit -f") as told:
        cache.require_room(table, 96, "0a1b" * 16, tmp_path)
    assert told.value.filename == str(tmp_path)


def test_the_template_asks_for_room_before_it_decodes():
    code = "\n".join(cell.source for cell in CODE)
    assert code.index("cache.require_room(") < code.index("lib.dataloaders(")
    assert code.index("cache.require_unchanged(") < code.index("results.save(record")


def test_what_killed_processes_have_left_goes(tmp_path):
    """Drafts of a process that is gone, at the next write; of the decoded images, after a day."""
    script = (
        "import os, sys; from pathlib import Path; from lib.atomic import replacing\n"
        "with replacing(Path(sys.argv[1], 'seed0.json')) as draft:\n"
        "    draft.write_text('half'); os.kill(os.getpid(), 9)"
    )
    words = [sys.executable, "-c", script, tmp_path]
    assert subprocess.run(words, cwd=Path(__file__).parents[2]).returncode == -9
    assert [path.name[:7] for path in tmp_path.iterdir()] == [".draft-"]
    with replacing(tmp_path / "seed1.json") as mine, replacing(tmp_path / "seed0.json") as draft:
        draft.write_text(json.dumps("whole"))
        mine.write_text("whole")  # a draft of this process, which lives, stays
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed0.json", "seed1.json"]

    for name, age in ((".draft-old", 2 * cache.DAY), (".draft-new", 60)):
        (tmp_path / name).mkdir()
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    cache.require_room(pd.DataFrame({"case": ["a"]}), 32, "0a1b", tmp_path)
    assert not (tmp_path / ".draft-old").exists() and (tmp_path / ".draft-new").exists()


@pytest.mark.parametrize("fault", ["cut", "empty", "zeroed", "gone", "no words"])
def test_decoded_images_that_are_damaged_are_decoded_again(tmp_path, fault):
    table = phantom_cases(tmp_path / "phantom", cases=20)
    mark, home = cases.fingerprint(table), tmp_path / "cache"
    before = np.array(blocks.decode_once(table, 32, home).images)
    (folder,) = home.iterdir()
    cache.require_room(table, 32, mark, home)
    assert folder.exists()
    file = folder / ("cases.json" if fault == "no words" else "images.npy")
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[:-9], "zeroed": whole[:-9] + bytes(9)}.get(fault, b""))
    if fault == "gone":
        file.unlink()
    cache.require_room(table, 32, mark, home)
    assert not folder.exists()
    assert (blocks.decode_once(table, 32, home).images[:] == before).all()


def test_a_file_can_be_read_by_others_and_the_draft_of_another_machine_stays(tmp_path):
    """On a shared disk: whether that machine's process lives cannot be seen from here."""
    theirs = tmp_path / ".draft-00000000-999999999-abc"
    theirs.touch()
    with replacing(tmp_path / "seed0.json") as draft:
        draft.write_text("whole")
    assert (tmp_path / "seed0.json").stat().st_mode & 0o777 == 0o644
    assert theirs.exists()
