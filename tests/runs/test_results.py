"""Results: written whole or not at all, read back checked."""

import json
import math
import os
import subprocess

import committed
import pandas as pd
import pytest

from book.kit import paper
from lib import experiments, metrics, profiles, results
from lib.home import HOME


def record(**changes):
    whole = {key: {} for key in results.KEYS} | {
        "schema": results.SCHEMA,
        "experiment": "ms-mtl",
        "source": "phantom",
        "profile": "smoke",
        "seed": 0,
        "commit": "unknown",
        "code": {},
        "memory_mb": 1.0,
        "history": [],
        "metrics": {"ACC": 0.5},
        "per_image": {"case": ["a", "b"], "p_malignant": [0.25, None]},
    }
    return whole | changes


def test_what_is_saved_is_what_is_loaded(tmp_path):
    file = results.save(record(), tmp_path)
    assert file == tmp_path / "phantom" / "smoke" / "ms-mtl" / "seed0.json"
    whole = results.LATER | record()
    assert results.load(file) == whole and results.load_all(tmp_path) == [whole]
    rows = results.rows(results.load(file))
    assert rows["case"].tolist() == ["a", "b"] and math.isnan(rows["p_malignant"][1])


def test_a_run_on_a_fold_lies_beside_the_others(tmp_path):
    runs = [record(fold=fold, seed=seed) for fold in (0, 2) for seed in (0, 1)]
    files = [results.save(run, tmp_path).name for run in runs]
    assert files == ["seed0.json", "seed1.json", "fold2-seed0.json", "fold2-seed1.json"]
    found = {(run["fold"], run["seed"]) for run in results.load_all(tmp_path)}
    assert found == {(0, 0), (0, 1), (2, 0), (2, 1)}
    results.save_failure(dict.fromkeys(results.FAILURE_KEYS) | record(fold=3), tmp_path)
    assert [failure["fold"] for failure in results.load_failures(tmp_path)] == [3]
    assert len(results.load_all(tmp_path)) == 4


@pytest.mark.parametrize("fold", [-1, 1.5, True, "2"])
def test_a_fold_is_a_whole_number(tmp_path, fold):
    with pytest.raises(results.ResultError, match=r"fold .* is not a whole number"):
        results.save(record(fold=fold), tmp_path)


def test_older_runs_say_what_they_did_not_record(tmp_path):
    file = results.path("phantom", "smoke", "ms-mtl", 0, tmp_path)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(record()))  # as it was written then: no fold, no validation images
    older = results.load(file)
    assert (older["fold"], older["joint"], older["validation"]) == (0, None, None)
    with pytest.raises(results.ResultError, match="did not record validation; run it again"):
        results.rows(older, "validation")
    results.save(record(validation={"case": ["c"], "label": [1]}), tmp_path)
    assert results.rows(results.load(file), "validation").to_dict("list") == {
        "case": ["c"], "label": [1]
    }  # fmt: skip


def test_columns_keep_every_number():
    table = pd.DataFrame({"n": [1, 2], "p": [0.123456789, math.nan], "case": ["a", "b"]})
    columns = results.columns(table)
    assert columns == {"n": [1, 2], "p": [0.123456789, None], "case": ["a", "b"]}
    assert isinstance(columns["n"][0], int)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": {"AUC": math.nan}}, "metrics.AUC"),
        ({"history": [{"train": {"total": math.inf}}]}, r"history\[0\].train.total"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path, change, words):
    with pytest.raises(results.ResultError, match=words):
        results.save(record(**change), tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_record_with_a_part_missing_is_refused(tmp_path):
    whole = record()
    del whole["metrics"]
    with pytest.raises(results.ResultError, match="lacks metrics"):
        results.save(whole, tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_keeps_the_older_file(tmp_path, monkeypatch, fault):
    file = results.save(record(), tmp_path)
    before = file.read_bytes()

    def broken(*_):
        raise fault

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(type(fault)):
        results.save(record(seed=0, metrics={"ACC": 0.9}), tmp_path)
    assert file.read_bytes() == before and os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ('{"schema": 1', "cannot be read"),
        ("[]", "schema list"),
        ('{"schema": 99}', "schema 99, this version reads 1"),
        ('{"schema": 1}', "lacks experiment"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, words):
    file = tmp_path / "seed0.json"
    file.write_text(text)
    with pytest.raises(results.ResultError, match=f"seed0.json.*{words}"):
        results.load(file)


def test_a_run_that_is_not_there(tmp_path):
    with pytest.raises(results.ResultError, match="no such run"):
        results.load(tmp_path / "seed0.json")


@pytest.mark.parametrize("file", ["lib/a.py", "book/experiment.ipynb"])
def test_a_commit_says_whether_the_code_of_a_run_was_changed(tmp_path, monkeypatch, file):
    for name in ("lib/a.py", "book/experiment.ipynb", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "1"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "repository", lambda: tmp_path)
    (tmp_path / "README.md").write_text("2")
    assert len(results.commit()) == 40
    (tmp_path / file).write_text("2")
    assert results.commit().endswith("-changed")


def test_the_committed_runs_are_those_that_git_tracks(tmp_path, monkeypatch):
    for profile in ("laptop", "quick"):
        file = results.path("phantom", profile, "mtl", 0, tmp_path / "results")
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "results/phantom/laptop"], cwd=tmp_path, check=True)
    monkeypatch.setattr(committed, "HOME", tmp_path)
    found = [file.relative_to(tmp_path).as_posix() for file in committed.files.__wrapped__()]
    assert found == ["results/phantom/laptop/mtl/seed0.json"]


def test_committed_results_are_whole_and_name_no_machine():
    assert committed.files()
    for file in committed.files():
        run = results.load(file)
        names = (run[key] for key in ("source", "profile", "experiment", "seed"))
        assert results.path(*names, HOME / "results") == file
        text = file.read_text()
        assert "/home" not in text and "/root" not in text and os.uname().nodename not in text
        again = metrics.summarise(results.rows(run))
        assert {name: again[name] for name in run["metrics"]} == pytest.approx(
            run["metrics"], abs=1e-5
        )


def test_versions_and_machine_name_what_the_numbers_depend_on():
    assert {"python", "torch", "fastai"} <= set(results.versions())
    assert results.machine("cpu")["threads"] >= 1
    assert json.dumps(results.machine("cpu"))


@pytest.mark.parametrize(
    ("find", "name", "words"),
    [
        (experiments.find, "ms-mtl+inter+intra", r"did you mean.*ms-mtl\+intra\+inter"),
        (profiles.find, "lapttop", "did you mean laptop"),
        (profiles.find, "zzz", "laptop-long, evidence, evidence-256, paper"),
    ],
)
def test_unknown_names_list_the_near_ones(find, name, words):
    with pytest.raises(ValueError, match=words):
        find(name)


def test_catalogue_of_the_headline_pair():
    plain, full = (experiments.find(n) for n in ("ms-mtl", "ms-mtl+intra+inter"))
    assert plain.consistency() == [] and plain.network is full.network
    terms = full.record()["consistency"]
    assert [t["term"] for t in terms] == ["L_T2T3", "L_T1T3", "L_T1T2T3"]
    assert {t["weight"] for t in terms} == {0.3}  # lambda in Eq. 9
    assert full.consistency()[0] is not full.consistency()[0]
    # The paper's own means are the means of its own classes.
    for row in (paper.of(plain), paper.of(full)):
        for shape in ("dice", "iou"):
            both = (row[f"{shape}_paper_benign"] + row[f"{shape}_paper_malignant"]) / 2
            assert row[f"{shape}_paper_mean"] == pytest.approx(both, abs=1e-4)


def test_profiles_reach_the_network():
    laptop = profiles.find("laptop")
    assert laptop.record()["size"] == 96 and "about" not in laptop.record()
    network = experiments.find("ms-mtl").network(**profiles.find("smoke").network_options())
    assert network.stage1.decoder.blocks[0].conv1[0].out_channels == 32


def failure(**changes):
    return (
        dict.fromkeys(results.FAILURE_KEYS)
        | {
            "experiment": "mtl",
            "source": "phantom",
            "profile": "smoke",
            "seed": 1,
            "error": "MemoryError",
            "message": "no room",
        }
        | changes
    )


def test_a_failure_lies_beside_the_results_and_is_no_result(tmp_path):
    results.save(record(experiment="mtl", seed=1), tmp_path)
    file = results.save_failure(failure(), tmp_path)
    assert file == tmp_path / "phantom" / "smoke" / "mtl" / "seed1.failed.json"
    assert results.load_failures(tmp_path) == [{"fold": 0} | failure()]
    assert [run["seed"] for run in results.load_all(tmp_path)] == [1]


def test_a_failure_that_is_no_record_is_told(tmp_path):
    file = tmp_path / "phantom" / "smoke" / "mtl" / "seed0.failed.json"
    file.parent.mkdir(parents=True)
    file.write_text("5")
    with pytest.raises(results.ResultError, match=r"seed0.failed.json: is no record of a failure"):
        results.load_failures(tmp_path)


def test_a_failure_with_a_part_missing_is_refused(tmp_path):
    whole = failure()
    del whole["cell"]
    with pytest.raises(results.ResultError, match="lacks cell"):
        results.save_failure(whole, tmp_path)
    file = results.save_failure(failure(), tmp_path)
    file.write_text("{}")
    with pytest.raises(results.ResultError, match="lacks experiment"):
        results.load_failures(tmp_path)


def test_a_failure_on_ones_own_images_keeps_their_names_to_itself(tmp_path):
    what = dict.fromkeys(results.FAILURE_KEYS) | {
        "profile": "laptop",
        "experiment": "mtl",
        "seed": 0,
    }
    for source, told in (("folder", False), ("busbra", True)):
        said = "Smith_1950.png: cannot be read"
        file = results.save_failure(what | {"source": source, "message": said}, tmp_path)
        assert ("Smith" in file.read_text()) is told
