"""The runner of ci/bench_instead.py, with the contestants that need nothing more than the book."""

import doctest
import json
import subprocess
import sys
import time
from itertools import count
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import lib
from ci import bench_instead
from ci.instead import book, fastai_smp
from ci.instead import clock as clocks
from ci.instead.clock import Budget, Clock, processor_seconds
from ci.instead.task import Task, lay_out
from lib.networks import Adapted, TaskLogits


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("instead")
    cases = lib.sources.phantom.read(f"{folder}/phantom", cases=40, size=64)
    return lay_out(lib.prepare_cases(cases)[0], folder)


def test_pictures_are_laid_out_once_in_their_own_size(task):
    assert [len(task.files(part)) for part in ("train", "valid", "test")] == [24, 8, 8]
    for file in task.files("test"):
        row = task.cases.set_index("case").loc[file.stem]
        image, mask = lib.cases.decode(row.to_dict() | {"case": file.stem})
        assert np.array_equal(np.asarray(Image.open(file)), image)
        assert np.array_equal(np.asarray(Image.open(task.mask(file))), mask > 0)
    written = task.files("test")[0].stat().st_mtime_ns
    assert lay_out(task.cases, task.folder.parents[1]).folder == task.folder
    assert task.files("test")[0].stat().st_mtime_ns == written


def test_a_clock_counts_the_training_and_not_the_looks():
    seconds = count(step=1)
    spend = []

    def look(answer):
        spend.extend(next(seconds) for _ in range(50))
        return len(spend)

    clock = Clock(10 / 60, look, lambda: next(seconds))
    clock.start()
    shares = [clock.share]
    while clock.step(4, None):
        shares.append(clock.share)
    assert (clock.steps, clock.images, clock.spent) == (10, 40, 10)
    assert shares == [pytest.approx(step / 10) for step in range(10)]
    assert [round(60 * at) for at, _ in clock.curve] == [2, 3, 5, 8, 10]
    assert clock.preparation == 1


def test_the_example_of_a_clock_runs():
    assert doctest.testmod(clocks) == (0, 5)


def test_no_step_begins_that_would_not_end_in_time():
    clock = Clock(10 / 60, lambda answer: 0.0, count(step=4).__next__)
    clock.start()
    while clock.step(1, None):
        pass
    assert (clock.steps, clock.spent, len(clock.curve)) == (2, 8, 2)


def test_what_a_child_spends_counts():
    before, own = processor_seconds(), time.process_time()
    busy = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert time.process_time() - own < 0.3  # it was not this process
    assert processor_seconds() - before > 0.45


def test_a_schedule_follows_the_clock_and_validation_does_not_count():
    clock = Clock(1, lambda answer: 0.0, count(step=6).__next__)
    budget = Budget(clock, None)
    budget.learn = SimpleNamespace(training=True, xb=[[0] * 4], pct_train=None)
    budget.before_train()
    budget.after_batch()
    budget.before_batch()
    assert budget.learn.pct_train == clock.share == 6 / 60
    budget.before_validate()
    spent = clock.spent
    for _ in range(9):
        clock.now()  # a long validation
    budget.before_train()
    clock.stop()
    assert clock.spent == spent + 6


def test_masks_are_scored_in_the_pictures_own_size(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / "test" / kind).mkdir(parents=True)
    mask = np.zeros((20, 40), np.uint8)
    mask[5:15, 10:30] = 1
    for name in "ab":
        for kind in ("images", "masks"):
            Image.fromarray(mask).save(tmp_path / "test" / kind / f"{name}.png")
    cases = pd.DataFrame({"case": ["a", "b"], "split": "test", "group": ["1", "2"]})
    task = Task(cases.assign(label=["benign", "malignant"]), tmp_path)
    half = mask.copy()
    half[:, 20:] = 0
    square = np.zeros((8, 8), np.uint8)  # of 40 px: rows 10 to 30 are the picture
    square[3:5, 2:6] = 1
    rows = bench_instead.score(lambda files: [half, square], task.files("test"), task)
    assert rows["nodule_inter"].tolist()[0] == 100
    assert rows["label"].tolist() == [0, 1]
    assert bench_instead.dice(rows[:1]) == pytest.approx(2 * 100 / 300)
    assert bench_instead.dice(rows[1:]) > 0.9


@pytest.mark.parametrize("name", ["unet-seg2", "ms-mtl", "fastai-lite0", "fastai-resnet34"])
def test_a_contestant_trains_for_its_budget_and_is_judged(task, name):
    contestant = bench_instead.CONTESTANTS[name]
    record = bench_instead.run(contestant, 3 / 60, task, count(step=1).__next__)
    assert record["images"] == 16 * record["steps"] > 0
    assert record["seconds"]["training"] <= 3
    assert record["looked_at"] == {"valid": 2, "test": 8}
    assert record["curve"][-1][0] == pytest.approx(record["seconds"]["training"] / 60)
    rows = lib.results.rows(record)
    assert sorted(rows["case"]) == [file.stem for file in task.files("test")]
    assert record["dice_nodule"] == lib.metrics.summarise(rows)["dice_nodule"]


def test_test_images_are_looked_at_once_and_at_the_end(task, monkeypatch):
    looked = []

    def answer(files):
        looked.append({file.parents[1].name for file in files})
        return [np.zeros((64, 64), np.uint8)] * len(files)

    def train(task, clock):
        clock.start()
        while clock.step(1, answer):
            pass
        return answer

    monkeypatch.setattr(bench_instead.Contestant, "load", lambda self: (lib, train))
    contestant = bench_instead.Contestant("x", "book", "x")
    bench_instead.run(contestant, 3 / 60, task, count(step=1).__next__)
    *during, last = looked
    assert during and all(parts == {"valid"} for parts in during) and last == {"test"}


class Bright(nn.Module):
    """Says that what is bright is nodule; its weight is there to be trained, and does nothing."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image):
        return torch.cat([-image, image + 0 * self.weight], 1)


@pytest.fixture
def wide(tmp_path):
    """Pictures of several shapes that show their masks, off the middle."""
    table = []
    for at, part in enumerate(["train"] * 16 + ["valid"] * 2 + ["test"] * 2):
        shape = (60, 100) if at % 2 else (90, 50)
        mask = np.zeros(shape, np.uint8)
        mask[10:40, 5:30] = 255
        for kind, shown in (("images", mask), ("masks", mask // 255)):
            (tmp_path / "instead" / "x" / part / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(shown).save(tmp_path / "instead" / "x" / part / kind / f"{at}.png")
        file = str(tmp_path / "instead" / "x" / part / "masks" / f"{at}.png")
        row = {"case": str(at), "split": part, "group": str(at), "label": "benign", "crop": None}
        row["image"] = file.replace("masks", "images")
        table.append(row | {"mask": (lib.cases.Region(file),)})
    return Task(pd.DataFrame(table), tmp_path / "instead" / "x")


def test_answers_lie_where_the_nodule_is_in_pictures_of_any_shape(wide, monkeypatch):
    adapted = Adapted(Bright(), lambda scores: TaskLogits(seg2=scores))
    monkeypatch.setattr(lib.experiments.Experiment, "build", lambda system, profile: adapted)
    for train, last in ((book.train, "unet-seg2"), (fastai_smp.train, Bright())):
        clock = Clock(1 / 60, lambda answer: 0.0, count(step=1).__next__)
        answer = train(wide, clock, last)
        rows = bench_instead.score(answer, wide.files("test"), wide)
        assert bench_instead.dice(rows) > 0.9


def test_lines_without_comments_and_explanations_are_counted():
    source = '"""What it is."""\n\nimport os  # why\n\n\ndef f():\n    """Twice."""\n    # how\n'
    source += "    return os.x(\n        1,\n    )\n"
    assert bench_instead.lines_of_code(source) == 5
    assert bench_instead.lines_of_code(source + "# end\n") == 5


def test_what_stands_is_not_repeated_and_is_written_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_instead, "FOLDER", tmp_path)
    file = tmp_path / "monai-5.json"
    bench_instead.save({"contestant": "monai", "minutes": 5.0}, file)
    assert json.loads(file.read_text())["minutes"] == 5
    assert bench_instead.main(["monai", "5"]) == 0
    assert "monai-5.json stands" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        bench_instead.main(["monai", "0"])
    with pytest.raises(ValueError):
        bench_instead.save({"dice": float("nan")}, file)
    assert json.loads(file.read_text())["minutes"] == 5
