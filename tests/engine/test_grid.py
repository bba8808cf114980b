"""The grid: which runs there should be, which stand, and why the others do not."""

import copy
import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from ci.engine import grid, progress
from lib import profiles, results

DATA = grid.Data("f" * 64, "0123456789ab", training_images=48)
JOB = grid.Job("phantom", "smoke", "mtl", 0)


def record_of(job, today, **changes):
    """A record as a run of today would leave it."""
    whole = {key: {} for key in results.KEYS} | {"schema": results.SCHEMA, "metrics": {}}
    names = {k: getattr(job, k) for k in ("source", "profile", "experiment", "seed", "fold")}
    made = copy.deepcopy(today)
    made["parameters"] |= {"precision_used": "float32"}
    made["data"] |= {"counts": {"train": {"benign": 30, "malignant": 18}}}
    made["versions"] |= {"python": "3.11.7"}
    return whole | names | made | changes


@pytest.fixture(scope="module")
def today():
    return grid.expected(JOB, DATA)


# ---- the jobs


def test_the_tables_rows_are_all_filled():
    """21 rows of Table 1, and each row of Tables 3 to 6, by some job."""
    from book.kit import paper
    from lib import experiments

    names = {job.experiment for job in grid.jobs("phantom", "laptop")}
    filled = {row for name in names for row in experiments.find(name).rows}
    wanted = {(n, row) for n in grid.TABLES for row in paper.table(n).index}
    assert len(paper.table(1)) == 21 and wanted <= filled


def test_tables_and_only_choose():
    three = [job.experiment for job in grid.jobs("phantom", "smoke", tables=[3])]
    assert "ms-mtl" in three and "segnet" not in three
    only = grid.jobs("phantom", "smoke", [2, 1, 2], only=["segnet", "segnet", "unet-seg2"])
    assert [(j.experiment, j.seed) for j in only] == [
        ("segnet", 2), ("unet-seg2", 2), ("segnet", 1), ("unet-seg2", 1)
    ]  # fmt: skip
    folds = grid.jobs("busbra", "laptop", [0, 1], [1, 2], only=["mtl"])
    assert [job.stem for job in folds] == [
        "fold1-seed0",
        "fold2-seed0",
        "fold1-seed1",
        "fold2-seed1",
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"source": "busbar"}, "did you mean busbra"),
        ({"profile": "labtop"}, "did you mean laptop"),
        ({"only": ["segmet"]}, "did you mean segnet"),
        ({"tables": [2]}, "no table 2; the grid fills 1, 3, 4, 5, 6"),
        ({"seeds": []}, "at least one is needed"),
        ({"seeds": [0, -1]}, "none below 0"),
        ({"folds": [1, -1]}, "folds .*none below 0"),
    ],
)
def test_a_wrong_word_ends_it_before_it_begins(wrong, words):
    with pytest.raises(grid.GridError, match=words):
        grid.jobs(**{"source": "phantom", "profile": "smoke"} | wrong)


# ---- what stands


def test_a_run_of_today_stands_whatever_the_times_of_its_file(today, tmp_path):
    file = results.save(record_of(JOB, today), tmp_path)
    for when in (0, 2**31):
        os.utime(file, (when, when))
        assert grid.why(JOB, today, tmp_path) == ""


def test_epochs_follow_the_number_of_training_images():
    few, many = (
        grid.expected(grid.Job("ddti", "laptop", "mtl", 0), grid.Data("", "", n))["parameters"]
        for n in (300, 1202)
    )
    laptop = profiles.find("laptop")
    assert few["epochs"] == laptop.seeing(300).epochs > many["epochs"] == 7


def test_a_systems_own_recipe_is_its_parameter():
    singh = grid.expected(grid.Job("phantom", "laptop", "singh2019", 0), DATA)
    assert singh["parameters"]["lr"] == 2e-4


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("code", "networks.unet"), "0", "networks.unet changed"),
        (("code", "gone"), "0", "gone changed"),
        (("parameters", "epochs"), 99, "epochs 99, now 2"),
        (("parameters", "precision"), "auto", "precision auto, now float32"),
        (("data", "fingerprint"), "0", "other data"),
        (("data", "split"), "0", "other split of the data"),
        (("versions", "torch"), "1.0", "torch 1.0, now"),
    ],
)
def test_what_changed_is_said_in_words(today, tmp_path, where, value, words):
    record = record_of(JOB, today)
    record[where[0]][where[1]] = value
    results.save(record, tmp_path)
    reason = grid.why(JOB, today, tmp_path)
    assert reason.startswith(words) and ";" not in reason


@pytest.mark.parametrize(("where", "value"), [("python", "3.12"), ("pillow", "1")])
def test_versions_that_no_number_depends_on_do_not_count(today, where, value):
    record = record_of(JOB, today)
    record["versions"][where] = value
    assert grid.differences(record, today) == []


def test_a_record_of_before_says_what_it_lacks(today):
    record = record_of(JOB, today, code={})
    del record["data"]["split"], record["parameters"]["images"]
    assert grid.differences(record, today) == [
        "its code was not recorded",
        "images not recorded, now 0",
        "split of the data not recorded",
    ]


def test_runs_that_are_missing_damaged_or_failed_are_to_be_made(today, tmp_path):
    assert grid.why(JOB, today, tmp_path) == "no run yet"
    names = {k: getattr(JOB, k) for k in ("source", "profile", "experiment", "seed")}
    results.save_failure(dict.fromkeys(results.FAILURE_KEYS) | names, tmp_path)
    assert grid.why(JOB, today, tmp_path) == "it failed"
    file = results.path(**names, root=tmp_path)
    file.write_text('{"schema": 1')
    assert grid.why(JOB, today, tmp_path).startswith("cannot be read")


def test_a_fold_is_a_run_of_its_own(today, tmp_path):
    second = replace(JOB, fold=2)
    results.save_failure(dict.fromkeys(results.FAILURE_KEYS) | vars(second), tmp_path)
    assert (grid.why(JOB, today, tmp_path), grid.why(second, today, tmp_path)) == (
        "no run yet", "it failed"
    )  # fmt: skip
    now = grid.expected(second, DATA)
    results.save(record_of(second, now), tmp_path)
    assert grid.why(second, now, tmp_path) == ""
    assert grid.digest(now) != grid.digest(today)
    assert grid.differences(record_of(JOB, today), now) == ["fold 0, now 2"]
    older = record_of(JOB, today)
    del older["parameters"]["fold"]  # as runs recorded before there were folds
    assert grid.differences(older, today) == []


def test_the_digest_is_of_every_input(today):
    assert grid.digest(today) == grid.digest(json.loads(json.dumps(today)))
    for part in ("code", "parameters", "data", "versions"):
        other = copy.deepcopy(today)
        other[part]["added"] = 1
        assert grid.digest(other) != grid.digest(today)


def test_versions_are_those_of_the_lock(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("# torch==0\ntorch==2.0.1\nnumpy==1.2 ; python_version > '3'\npillow==9.0\n")
    assert grid.pinned(lock) == {"torch": "2.0.1", "numpy": "1.2"}
    assert set(grid.pinned()) == set(results.PACKAGES)


# ---- the data


def test_data_are_opened_once_and_again_when_a_file_changes(tmp_path, monkeypatch):
    from lib import cases, sources

    table = sources.phantom.read(tmp_path / "images", cases=20, size=64)
    monkeypatch.setattr(sources, "read", lambda *_, **__: table)
    opened = []
    whole = cases.fingerprint
    monkeypatch.setattr(cases, "fingerprint", lambda t: opened.append(1) or whole(t))
    ask = ("phantom", tmp_path / "images", "smoke", [0, 1], [0], tmp_path / "cache")
    first = grid.prepare(*ask)
    assert grid.prepare(*ask) == first and len(opened) == 2  # one for each seed
    assert first[0, 0].split != first[1, 0].split and first[0, 0].training_images == 12
    os.utime(table["image"].iloc[0], ns=(1, 1))
    assert grid.prepare(*ask) == first and len(opened) == 4
    os.utime(table["mask"].iloc[0][0].outline, ns=(1, 1))  # a mask that was drawn anew counts, too
    assert grid.prepare(*ask) == first and len(opened) == 6


def test_the_split_is_the_folds_and_not_the_seeds(tmp_path):
    ask = ("phantom", tmp_path / "images", "smoke", [0, 1])
    data = grid.prepare(*ask, folds=[1, 2], cache=tmp_path / "cache")
    assert data[0, 1] == data[1, 1] and data[0, 2] == data[1, 2]
    assert data[0, 1].split != data[0, 2].split
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert data[0, 1].fingerprint == data[0, 2].fingerprint


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(grid.GridError, match=r"busbra.*does not exist"):
        grid.prepare("busbra", tmp_path / "nowhere", "laptop", [0], cache=tmp_path)


# ---- time


def test_costs_are_processor_seconds_by_image_and_epoch(today):
    runs = [
        record_of(JOB, today, seconds={"processor": 48.0 * 2 * k, "train": 999.0}) for k in (1, 3)
    ]
    other = grid.Job("phantom", "smoke", "segnet", 0)
    runs.append(record_of(other, today, seconds={"train": 48.0 * 2 * 6}))
    rates = grid.costs(runs, "smoke")
    assert rates == {"mtl": 2.0, "segnet": 6.0, "": 4.0}
    assert grid.costs(runs, "laptop") == {}
    assert grid.estimate(JOB, today, DATA, rates) == 2.0 * 48 * 2
    unmeasured = grid.Job("phantom", "smoke", "pspnet", 0)
    assert grid.estimate(unmeasured, today, DATA, rates) == 4.0 * 48 * 2
    assert math.isnan(grid.estimate(JOB, today, DATA, {}))


# ---- locks and progress


HOLD = "import sys,time; from pathlib import Path; from ci.engine.progress import alone\n"
HOLD += "with alone(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"


def test_a_lock_keeps_others_out_and_goes_with_its_process(tmp_path):
    run = tmp_path / "seed0"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, run], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n" and progress.is_held(run)
        with pytest.raises(progress.Busy, match=f"process {holder.pid}"), progress.alone(run):
            pass
    finally:
        holder.kill()
        holder.wait()
    assert not progress.is_held(run)
    with progress.alone(run), pytest.raises(progress.Busy), progress.alone(run):
        pass
    assert not list(tmp_path.iterdir())


def unfinished(root, name, done, part=""):
    folder = root / f"{name}.unfinished" / part / f"epoch-{done:03d}"
    folder.mkdir(parents=True)
    history = [{"seconds": seconds} for seconds in (9.0, 2.0, 2.0)][:done]
    state = {"epoch": done, "parameters": {"epochs": 8}, "history": history}
    (folder / "state.json").write_text(json.dumps({"format": 2, "state": state}))


def test_progress_reads_the_checkpoints(tmp_path):
    unfinished(tmp_path, "phantom/quick/mtl/seed0", done=3)
    unfinished(tmp_path, "phantom/quick/unet-seg2+clsnet/seed1", done=1, part="clsnet")
    (tmp_path / "phantom/quick/msl/seed0.unfinished").mkdir(parents=True)
    with progress.alone(tmp_path / "phantom/quick/mtl/seed0"):
        found = {run.name.split("/")[2]: run for run in progress.running(tmp_path)}
    mtl = found["mtl"]
    assert (mtl.done, mtl.epochs, mtl.seconds, mtl.alive) == (3, 8, 10.0, True)
    assert found["unet-seg2+clsnet"].part == "clsnet" and not found["unet-seg2+clsnet"].alive
    assert found["msl"].done is None


def test_checkpoints_of_other_inputs_are_thrown_away(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script sets its own checkout before all
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    from ci.run import resumable

    checkpoints = tmp_path / "seed0.unfinished"
    assert resumable(checkpoints, "0a1b") == 0
    unfinished(tmp_path, "seed0", done=3)
    assert resumable(checkpoints, "0a1b") == 3
    assert resumable(checkpoints, "2c3d") == 0 and not list(checkpoints.glob("epoch-*"))
    unfinished(tmp_path, "seed0", done=2, part="clsnet")
    assert resumable(checkpoints, "2c3d") == 2
    (checkpoints / "clsnet" / "epoch-1000").mkdir()
    assert resumable(checkpoints, "2c3d") == 1000
    (checkpoints / "inputs").unlink()  # nothing says what they were made of
    assert resumable(checkpoints, "2c3d") == 0 and not list(checkpoints.glob("**/epoch-*"))


def test_progress_of_a_checkpoint_that_is_being_replaced(tmp_path):
    unfinished(tmp_path, "phantom/quick/mtl/seed0", done=1)
    (state,) = tmp_path.glob("**/state.json")
    state.write_text('{"form')
    assert progress.running(tmp_path)[0].done is None
