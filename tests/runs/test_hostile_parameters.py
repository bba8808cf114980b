"""Parameters that are NaN, infinite, negative, of another type, or unknown."""

import argparse
import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import hostile
import matplotlib
import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import lib
from lib import paths, profiles, results, sources
from lib.cases import CaseError, fingerprint, prepare_cases, split_cases
from lib.sources import layout

NAN, INF = float("nan"), float("inf")
ROOT = Path(__file__).parents[2]
TEMPLATE = nbformat.read(ROOT / "book" / "experiment.ipynb", as_version=4)
CODE = [cell.source for cell in TEMPLATE.cells if cell.cell_type == "code"]
START = "\n".join(CODE[1:3])  # imports, checks what is asked for, and names it

GIVEN = {
    "seed": [-1, 2**32, 10**400, NAN, INF, 0.5, "0", None, True, [0]],
    "source": ["", "phantoms", "../../etc", "/etc/passwd", "<script>", None, 3, ["phantom"]],
    "experiment": ["", "ms-mlt", "../ms-mtl", "ms-mtl\0", None, 1, {"a": 1}],
    "profile": ["", "labtop", "../smoke", None, -1, NAN],
    "device": ["", "warp", "cuda:99", "cpu;ls", None, 0],
    "root": [None, 7, ["data"]],
    "results": [None, NAN],
    "resume": ["yes", "false", 1, None],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in GIVEN.items() for value in values],
    ids=lambda value: repr(value)[:12],
)
def test_parameters_of_the_template(tmp_path, monkeypatch, name, value, record_property):
    """The notebook's first cell ends with an error that names the parameter or its value."""
    monkeypatch.chdir(tmp_path)
    space = {}
    exec(CODE[0], space)
    with hostile.untouched(tmp_path), pytest.raises(ValueError) as told:
        exec(START, space | {"device": "cpu"} | {name: value})
    assert name in str(told.value) or repr(value) in str(told.value)
    record_property("answer", str(told.value)[:300])


AS_TEXT = r"-r {} {} passes it on as text"
TOLD = [  # what papermill makes of -p NAME VALUE, and what the error says to do
    ("root", 2024, f"{AS_TEXT.format('root', 2024)}, and so does a path, ./2024"),
    ("root", 2024.5, "and so does a path, ./2024.5"),
    ("root", True, "./True"),
    ("results", 7, f"{AS_TEXT.format('results', 7)}, and so does a path, ./7"),
    ("source", None, AS_TEXT.format("source", None)),
    ("resume", "false", "write True or False, with a capital"),
    ("resume", 0, "write True or False, with a capital"),
    ("seed", "0", "write a whole number, such as 0"),
    ("seed", True, "write a whole number, such as 0"),
]


@pytest.mark.parametrize(("name", "value", "advice"), TOLD, ids=str)
def test_a_parameter_of_another_type_says_what_to_write(name, value, advice, record_property):
    """papermill makes numbers and words of what it is given; the error says how to pass it."""
    space = {}
    exec(CODE[0], space)
    with pytest.raises(ValueError) as told:
        exec(START, space | {"device": "cpu"} | {name: value})
    kind = {"seed": "int", "resume": "bool"}.get(name, "str")
    assert str(told.value).startswith(f"{name}={value!r} is not of the type {kind}: ")
    assert advice in str(told.value)
    record_property("answer", str(told.value))


SHADOWS = ["lib/__init__.py", "lib.py", "book/__init__.py", "book.py", "ci/__init__.py"]


@pytest.mark.parametrize("file", SHADOWS)
def test_a_folder_of_the_users_that_hides_this_project(tmp_path, file, record_property):
    """A `lib` of his own where the run is started: the error says which, before it is imported."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("raise SystemExit('imported')")
    done = start_in(tmp_path, "\n".join([CODE[0], "results = 'here'", CODE[1]]))
    said = done.stderr.splitlines()[-1]
    name = file.split("/")[0]
    assert f"`import {name.removesuffix('.py')}` finds {tmp_path / name}, which is not" in said
    assert (
        "papermill --cwd" in said
        and "imported" not in done.stderr
        and not (tmp_path / "here").exists()
    )
    record_property("answer", said.replace(str(tmp_path), "…"))


def test_a_folder_of_the_users_that_hides_nothing(tmp_path):
    """Without Python in it, a folder of that name hides no package."""
    for name in ("lib", "book", "ci"):
        (tmp_path / name / "data").mkdir(parents=True)
    begins = CODE[1].partition("import torch")[0]
    done = start_in(tmp_path, f"{begins}\nimport lib, book.kit, ci.engine; print(lib.sources)")
    assert done.returncode == 0 and str(ROOT / "lib") in done.stdout, done.stderr


def start_in(folder, program: str) -> subprocess.CompletedProcess:
    """A program in a Python that is started in this folder and knows this project."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True,
        timeout=300, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of one's own, and a place beside it where the commands are given."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def the_template(words: str) -> Path:
    space = {}
    exec(CODE[0], space)
    space |= {"device": "cpu", "results": words}
    exec(START, space)
    space["release"]()
    return Path(space["store"]).parents[3]


def fetched(words: str) -> Path:
    return command("data/fetch.py").given(words)


def command(file: str):
    spec = importlib.util.spec_from_file_location("command", ROOT / file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["command"] = module
    spec.loader.exec_module(module)
    return module


PLACES = {
    "the template's results": the_template,
    "a source's root": lambda words: Path(
        sources.read("phantom", words, cases=2, size=32)["image"][0]
    ).parents[1],
    "a published set": lambda words: layout.find_root("busbra", words, ()),
    "a run's results": lambda words: results.path("a", "b", "c", 0, words).parents[3],
    "the grid": lambda words: command("ci/grid.py").folder(words),
    "fetching": fetched,
}


@pytest.mark.parametrize("place", PLACES)
def test_the_home_is_meant_everywhere_alike(home, place, record_property):
    """`~/x` is a folder at home, in quotes too; no folder is called `~`."""
    (home / "x").mkdir()
    assert PLACES[place]("~/x") == home / "x"
    assert not list(Path().iterdir())
    record_property("answer", "the folder at home")


@pytest.mark.parametrize("place", PLACES)
def test_a_home_that_nobody_has_is_no_folder(home, place, record_property):
    """`~no-such-user/x` is refused, by its name."""
    with pytest.raises((ValueError, argparse.ArgumentTypeError), match="~no-such-user/x: "):
        PLACES[place]("~no-such-user/x")
    assert not list(Path().iterdir())
    record_property("answer", "refused")


@pytest.mark.parametrize("words", ["$HOME/x", "${HOME}/x", "a/$USER", "%HOME%/x"])
def test_a_variable_that_no_shell_has_read(home, words, record_property):
    """`$HOME/x`, in quotes, is refused; where there is such a folder it is meant."""
    with pytest.raises(ValueError, match="holds a variable") as told:
        the_template(words)
    assert not list(Path().iterdir())
    Path(words).mkdir(parents=True)
    assert paths.given(words) == Path(words)
    record_property("answer", str(told.value))


def test_a_home_in_the_cache_is_refused(home, monkeypatch, record_property):
    """LIB_CACHE='~/x' would decode patients' images into a folder that is called `~`."""
    monkeypatch.setattr(lib.blocks, "CACHE", Path("~/x"))
    with pytest.raises(OSError, match="write the home out in LIB_CACHE: '~/x'") as told:
        lib.cache.require_room(table(), 64, "0a1b")
    assert not list(Path().iterdir())
    record_property("answer", str(told.value))


def own_folder(root: Path, cases: int, seed: int = 0) -> Path:
    """Images of somebody's own, unlike those of another seed."""
    hostile.folder(root, cases)
    for at in range(cases):
        pixels = hostile.speckle(1000 * seed + at, (64, 64))
        Image.fromarray(pixels).save(root / "images" / f"{at}.png")
        Image.fromarray(hostile.nodule((64, 64))).save(root / "masks" / f"{at}.png")
    return root


def run_template(upto: int | None, **given) -> dict:
    """The template's cells, one after the other, up to one of them."""
    space = {}
    exec(CODE[0], space)
    space |= {"source": "folder", "experiment": "unet-seg3", "profile": "smoke", "device": "cpu"}
    space |= given
    try:
        for code in CODE[1:upto]:
            exec(code, space)
    finally:
        if "release" in space:
            space["release"]()
    return space


BEFORE_TRAINING = next(at for at, code in enumerate(CODE) if "dataloaders(" in code)


def test_two_folders_with_one_place_for_results(tmp_path, monkeypatch, capsys, record_property):
    """A folder of 12 training images is trained in batches of 12; a second one is refused."""
    matplotlib.use("Agg")
    monkeypatch.setattr(lib.blocks, "CACHE", tmp_path / "cache")
    place = str(tmp_path / "results")
    first, second = (own_folder(tmp_path / name, 20, at) for at, name in enumerate("ab"))
    space = run_template(None, root=str(first), results=place)
    assert "batches of 12, not 16: there are no more training images" in capsys.readouterr().out
    file = tmp_path / "results" / "folder" / "smoke" / "unet-seg3" / "seed0.json"
    before, record = file.read_bytes(), results.load(file)
    assert record["parameters"]["batch_size"] == 12
    assert sum(record["data"]["counts"]["train"].values()) == 12
    with pytest.raises(results.ResultError) as told:
        run_template(BEFORE_TRAINING, root=str(second), results=place)
    said = str(told.value)
    assert said.startswith(f"{file}: holds the results of other data (fingerprint ")
    assert space["fingerprint"][:16] in said and "-p results" in said and "replaces" not in said
    assert file.read_bytes() == before
    assert {path.name for path in file.parent.iterdir()} == {
        "seed0.json",
        "seed0.md",
        "seed0.safetensors",
    }
    run_template(BEFORE_TRAINING, root=str(first), results=place)  # its own are made again
    Image.fromarray(hostile.speckle(99, (64, 64))).save(first / "images" / "0.png")
    with pytest.raises(results.ResultError, match="before its files changed"):
        run_template(BEFORE_TRAINING, root=str(first), results=place)
    file.write_text("{")  # what cannot be read is nobody's result
    run_template(BEFORE_TRAINING, root=str(second), results=place)
    record_property("answer", said.replace(str(tmp_path), "…"))


def test_the_grid_starts_nothing_over_another_folders_results(
    tmp_path, monkeypatch, capsys, record_property
):
    """It says which file, and what to do, before the first run."""
    first, second = (own_folder(tmp_path / name, 20, at) for at, name in enumerate("ab"))
    ready, _ = prepare_cases(sources.read("folder", first))
    names = {"source": "folder", "profile": "smoke", "experiment": "unet-seg3", "seed": 0}
    record = {key: {} for key in results.KEYS} | names | {"schema": results.SCHEMA}
    record["data"] = {"fingerprint": fingerprint(ready), "counts": {"train": {"benign": 12}}}
    record |= {"seconds": {"train": 1.0}, "memory_mb": 1, "parameters": {"epochs": 2}}
    file = results.save(record, tmp_path / "results")
    before = file.read_bytes()
    made = command("ci/grid.py")
    monkeypatch.setattr(made.grid, "prepare", partial(made.grid.prepare, cache=tmp_path / "cache"))

    def plan(root: Path) -> int:
        asked = {"source": "folder", "root": root, "profile": "smoke", "only": "unet-seg3"}
        asked |= {"results": tmp_path / "results"}
        words = [str(word) for name, value in asked.items() for word in (f"--{name}", value)]
        monkeypatch.setattr(sys, "argv", ["grid.py", "plan", *words])
        return made.main()

    assert plan(first) == 0
    out = capsys.readouterr().out
    assert "1 are to be made" in out and f"RESULTS_IN={tmp_path / 'results'}" in out
    assert plan(second) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{file}: holds the results of other data") and "RESULTS_IN" in said
    assert said.endswith("Nothing was started.\n") and file.read_bytes() == before
    record_property("answer", said.replace(str(tmp_path), "…"))


def test_results_of_a_published_set_are_replaced_with_a_word(tmp_path):
    """The phantom and the sets have names of their own: their results follow the code."""
    names = {"source": "busbra", "profile": "smoke", "experiment": "mtl", "seed": 0}
    record = {key: {} for key in results.KEYS} | names | {"schema": results.SCHEMA}
    file = results.save(record | {"data": {"fingerprint": "0a1b"}}, tmp_path)
    assert results.replaced(file, "0a1b") == ""
    assert results.replaced(file, "2c3d") == "replaces results of other data (fingerprint 0a1b)"


def test_results_of_another_split_of_ones_own_images_stay(tmp_path):
    names = {"source": "folder", "profile": "smoke", "experiment": "mtl", "seed": 0}
    record = {key: {} for key in results.KEYS} | names | {"schema": results.SCHEMA}
    data = {"fingerprint": "0a1b", "split": "11"}
    file = results.save(record | {"data": data}, tmp_path)
    assert results.replaced(file, "0a1b", "11") == results.replaced(file, "0a1b") == ""
    with pytest.raises(results.ResultError, match=r"divided in another way \(split 11, here 22\)"):
        results.replaced(file, "0a1b", "22")


@pytest.mark.parametrize("name", ["sed", "lr", "epochs", "root2", "weights"])
def test_unknown_parameters_of_the_template(name, record_property):
    """A parameter that the notebook does not have ends the run before it begins."""
    space = {}
    exec(CODE[0], space)
    with pytest.raises(ValueError, match=rf"unknown parameters \['{name}'\]; there are") as told:
        exec(CODE[1], space | {"device": "cpu", name: 1})
    record_property("answer", str(told.value)[:300])


def test_papermill_ends_where_a_parameter_is_unknown(tmp_path, record_property):
    """The real thing: papermill fails, no result and no checkpoint is left."""
    (tmp_path / "results").mkdir()
    arguments = ["-p", "sed", "1", "-p", "results", str(tmp_path / "results")]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(ROOT / "book" / "experiment.ipynb"),
         str(tmp_path / "out.ipynb"), "--kernel", "python3", "--no-progress-bar", *arguments],
        capture_output=True, text=True, timeout=300, cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "LIB_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode and "unknown parameters ['sed']" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.ipynb", "results"]
    assert not list((tmp_path / "results").iterdir())
    record_property("answer", "unknown parameters ['sed']")


PROFILE = {
    "lr": [NAN, INF, -INF, 0, -1e-3, 2.0, "1e-3", None],
    "size": [0, -32, 33, NAN, 64.0, "64", None],
    "epochs": [0, -1, NAN, INF, 1.5, "7"],
    "batch_size": [0, -16, NAN, 2.5],
    "images": [-1, NAN],
    "phantoms": [0, -5, INF],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in PROFILE.items() for value in values],
    ids=str,
)
def test_numbers_of_a_profile(name, value, record_property):
    """A profile with such a number cannot be made; the error names it."""
    with pytest.raises(ValueError, match=f"^{name}=") as told:
        replace(profiles.find("smoke"), **{name: value})
    record_property("answer", str(told.value))


OPTIONS = [
    ("phantom", {"cases": 0}),
    ("phantom", {"cases": -1}),
    ("phantom", {"cases": NAN}),
    ("phantom", {"cases": 1e3}),
    ("phantom", {"cases": 10**9}),
    ("phantom", {"size": 0}),
    ("phantom", {"size": 10**6}),
    ("phantom", {"size": INF}),
    ("phantom", {"seed": -1}),
    ("phantom", {"seed": NAN}),
    ("phantom", {"malignant": NAN}),
    ("phantom", {"malignant": -0.1}),
    ("phantom", {"normal": INF}),
    ("phantom", {"both": 1.1}),
    ("phantom", {"normal": 0.6, "both": 0.6}),
    ("phantom", {"sizes": 64}),
    ("busbra", {"folds": 0}),
    ("busbra", {"folds": -5}),
    ("busbra", {"folds": NAN}),
    ("busbra", {"folds": "../5"}),
    ("tn3k", {"fold": -1}),
    ("tn3k", {"fold": 5}),
    ("tn3k", {"fold": NAN}),
    ("tn3k", {"fold": True}),
    ("tn3k", {"fold": 0.0}),
    ("tn3k", {"fold": "../0"}),
    ("folder", {"fold": 0}),
]


@pytest.mark.parametrize(("source", "options"), OPTIONS, ids=str)
def test_options_of_the_sources(tmp_path, source, options, record_property):
    """The error names the option; nothing is drawn, read or written."""
    with hostile.untouched(tmp_path), pytest.raises(CaseError) as told:
        sources.read(source, tmp_path / "new", **options)
    assert any(name in str(told.value) for name in options)
    record_property("answer", str(told.value).replace(str(tmp_path), "…"))


def table(count=20) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "case": [f"c{k}" for k in range(count)],
            "group": [f"g{k}" for k in range(count)],
            "label": ["benign", "malignant"] * (count // 2),
            "image": "", "mask": [()] * count, "crop": None,
        }
    )  # fmt: skip


SPLITS = [
    {"seed": -1}, {"seed": NAN}, {"seed": INF}, {"seed": 0.5}, {"seed": "0"}, {"seed": None},
    {"seed": 2**32}, {"seed": True},
    {"ratio": (3, 1)}, {"ratio": (3, 1, 0)}, {"ratio": (3, 1, -1)}, {"ratio": (3, 1, NAN)},
    {"ratio": (3, 1, INF)}, {"ratio": (0.6, 0.2, 0.2)}, {"ratio": ()}, {"ratio": None},
    {"ratio": 3}, {"ratio": "311"}, {"ratio": (10**9, 1, 1)},
    {"fold": -1}, {"fold": NAN}, {"fold": "1"}, {"fold": INF}, {"fold": 99},
]  # fmt: skip


@pytest.mark.parametrize("options", SPLITS, ids=str)
def test_options_of_the_split(options, record_property):
    """The error names the option, with official folds and without."""
    with pytest.raises(CaseError, match=next(iter(options))) as told:
        split_cases(table().assign(fold=np.arange(20) % 5 + 1), **options)
    record_property("answer", str(told.value))
    if "fold" in options:
        with pytest.raises(CaseError, match="no official folds"):
            split_cases(table(), **options)


def test_a_seed_is_checked_when_cases_are_prepared(tmp_path):
    cases = sources.phantom.read(tmp_path / "phantom", cases=20, size=32)
    with pytest.raises(CaseError, match="seed nan is not a whole number"):
        prepare_cases(cases, seed=NAN)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    name=st.sampled_from(["lr", "size", "epochs", "batch_size", "images", "phantoms"]),
    value=st.floats() | st.integers() | st.text(max_size=3) | st.none() | st.booleans(),
)
def test_any_number_makes_a_profile_or_a_named_error(name, value):
    """100 made-up values: a profile that can be used, or an error that names the parameter."""
    try:
        made = replace(profiles.find("smoke"), **{name: value})
    except ValueError as error:
        assert str(error).startswith(f"{name}=")
    else:
        assert np.isfinite(made.lr) and made.lr > 0
        assert made.epochs >= 1 and made.batch_size >= 1 and made.size % 32 == 0


TRAINING = [
    (lambda: lib.learner.schedule("cosin", 1e-3), "schedule"),
    (lambda: lib.learner.choose_device("warp"), "device"),
    (lambda: lib.learner.choose_precision("float8", "cpu"), "precision"),
    (lambda: lib.experiments.find("../mtl"), "experiment"),
    (lambda: lib.dataloaders(table(), size=0), "size"),
    (lambda: lib.dataloaders(table(), size=-32), "size"),
    (lambda: lib.dataloaders(table(), size=100), "size"),
]


@pytest.mark.parametrize(("call", "name"), TRAINING, ids=range(len(TRAINING)))
def test_parameters_of_the_training(call, name, record_property):
    """A name or size that cannot be used is named before anything is trained."""
    with pytest.raises(ValueError, match=name) as told:
        call()
    record_property("answer", str(told.value)[:300])
