"""Parameters that are NaN, infinite, negative, of another type, or unknown."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hostile
import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lib
from lib import profiles, sources
from lib.cases import CaseError, prepare_cases, split_cases

NAN, INF = float("nan"), float("inf")
ROOT = Path(__file__).parents[2]
TEMPLATE = nbformat.read(ROOT / "book" / "experiment.ipynb", as_version=4)
CODE = [cell.source for cell in TEMPLATE.cells if cell.cell_type == "code"]

GIVEN = {
    "seed": [-1, 2**32, 10**400, NAN, INF, 0.5, "0", None, True, [0]],
    "source": ["", "phantoms", "../../etc", "/etc/passwd", "<script>", None, 3, ["phantom"]],
    "experiment": ["", "ms-mlt", "../ms-mtl", "ms-mtl\0", None, 1, {"a": 1}],
    "profile": ["", "labtop", "../smoke", None, -1, NAN],
    "device": ["", "warp", "cuda:99", "cpu;ls", None, 0],
    "root": [None, 7, ["data"]],
    "results": [None, NAN],
    "resume": ["yes", 1, None],
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
        exec(CODE[1], space | {"device": "cpu"} | {name: value})
    assert name in str(told.value) or repr(value) in str(told.value)
    record_property("answer", str(told.value)[:300])


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
