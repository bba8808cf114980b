"""The picker's script under node: it shows what the rule says, on real and odd runs."""

import json
import math
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from records import record, some_rows

from book.kit import figures
from book.kit.figures.picker import MISSING, packed_numbers
from book.kit.stats import Evidence
from lib import results
from lib.metrics import summarise

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")
PROGRAM = """
const { compare } = require(process.argv[1]);
const [packed, a, b, seed] = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(compare(packed, a, b, seed)));
"""


def in_page(found, a, b, seed=0):
    assert NODE, "node is needed: the page's script is tested with it"
    packed = json.loads(figures.picker_script(figures.picked(found)).partition("] = ")[2][:-2])
    names = [one["name"] for one in packed["systems"]]
    given = json.dumps([packed, names.index(a), names.index(b), seed])
    script = str(ROOT / "book" / "assets" / "picker.js")
    done = subprocess.run(
        [NODE, "-e", PROGRAM, script], input=given, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@cache
def committed(source, *names):
    folder = ROOT / "results" / source / "laptop"
    files = [file for name in names for file in sorted((folder / name).glob("seed?.json"))]
    return Evidence([results.load(file) for file in files])


def check(found, a, b):
    shown, family = in_page(found, a, b), found.differences(a, b)
    assert set(shown["rows"]) == {m for m in family if m in figures.HEADLINE}
    for name, row in shown["rows"].items():
        told = family[name]
        for side, system in (("a", a), ("b", b)):
            level = [math.nan if v is None else v for v in row[side]]
            expected = [100 * v for v in found.level(system, name)]
            assert level == pytest.approx(expected, abs=0.0501, nan_ok=True)
        assert row["difference"] == pytest.approx(100 * told.difference, abs=0.0501)
        if told.why:
            assert row["interval"] == [None, None] and row["p"] is None
            continue
        assert row["interval"] == pytest.approx([100 * told.low, 100 * told.high], abs=0.0501)
        assert row["p"] == pytest.approx(told.p, abs=0.000501)
        assert row["clear"] == told.clear
    one = next(iter(family.values()))
    assert [shown[k] for k in ("trainings", "images", "patients")] == [
        one.trainings, one.images, one.patients,
    ]  # fmt: skip
    return shown


@pytest.mark.parametrize(
    ("source", "one", "two"),
    [
        ("phantom", "ms-mtl+intra+inter", "ms-mtl"),
        ("phantom", "mtl", "msl+intra"),  # one has no class
        ("phantom", "unet-seg2+clsnet", "clsnet"),  # one has no mask, the other no seg3
        ("busbra", "ms-mtl+intra+inter", "ms-mtl"),  # several images of a patient
    ],
)
def test_the_page_says_what_the_rule_says_of_committed_runs(source, one, two):
    found = committed(source, one, two)
    check(found, one, two)
    check(found, two, one)  # turned about


def test_ties_missing_answers_and_few_patients():
    a, b = some_rows(60, 0.3, seed=1), some_rows(60, 0.1, seed=1)
    a["p_malignant"] = a["p_malignant"].round(1)  # many ties, some at .5 exactly
    b["p_malignant"] = np.random.default_rng(2).permutation(b["p_malignant"].round(1))
    assert (a["p_malignant"] == 0.5).any()
    for rows in (a, b):
        rows.loc[3:5, "label"] = -1
        rows.loc[7, "seg_as_cls"] = -1
    check(Evidence([record("a", rows=a), record("b", rows=b)]), "a", "b")
    few = [rows.assign(label=[1] + [0] * 59) for rows in (a, b)]
    shown = check(Evidence([record("a", rows=few[0]), record("b", rows=few[1])]), "a", "b")
    assert shown["rows"]["AUC"]["p"] is None


def test_a_system_against_itself_differs_by_nothing():
    shown = in_page(Evidence([record("a")]), "a", "a")
    assert all(row["difference"] == 0 and row["p"] == 1 for row in shown["rows"].values())


def test_the_roc_curve_is_scikit_learns_of_the_training_that_is_chosen():
    from sklearn.metrics import auc, roc_curve

    tables = [some_rows(60, seed=k).assign(label=some_rows(60)["label"]) for k in (4, 5)]
    for rows in tables:
        rows["p_malignant"] = rows["p_malignant"].round(1)
    found = Evidence([record("a", seed, rows) for seed, rows in enumerate(tables)])
    for seed, rows in enumerate(tables):
        points = np.array(in_page(found, "a", "a", seed)["runs"][0]["roc"])
        false, true, _ = roc_curve(rows["label"], rows["p_malignant"], drop_intermediate=False)
        assert points == pytest.approx(np.column_stack([false, true]))
        assert auc(*points.T) == pytest.approx(summarise(rows)["AUC"])


def test_contradictions_are_counted_as_in_the_results():
    rows = pd.DataFrame(
        {
            "label": [0, 1, 0, 1, 1, -1],
            "p_malignant": [0.2, 0.8, 0.6, 0.5, 0.9, 0.9],
            "seg_as_cls": [0, 0, 0, 1, -1, 0],
        }
    )
    run = record("a", rows=rows)
    counts = in_page(Evidence([run]), "a", "a")["runs"][0]["contradictions"]
    assert counts == {"images": 5, "agree": 1, "T1": 1, "T3": 2, "none": 1}
    table = figures.contradictions_table([run])
    assert all(f">{n}</td>" in table for n in counts.values())
    folds = figures.contradictions_table([run | {"fold": 1}, run | {"fold": 2}])
    assert all(f">{2 * n}</td>" in folds for n in counts.values())  # one row, both folds


# ------------------------------------------------------------------------------------ the packing


def test_numbers_are_rounded_once_and_0_has_no_sign():
    packed = figures.picked(Evidence([record("a"), record("b")]))
    (pair,) = packed["pairs"].values()
    every = [v for row in pair["rows"] if row for v in row[:3]]
    assert all(round(v, 1) == v and math.copysign(1, v) == 1 for v in every)


def test_packed_numbers_that_do_not_fit_are_refused():
    assert len(packed_numbers(np.arange(MISSING + 1))) == 2 * (MISSING + 1)
    for wrong in (-1, MISSING + 1):
        with pytest.raises(ValueError, match="can be kept"):
            packed_numbers(np.array([wrong]))


def test_a_full_set_of_runs_stays_small():
    """40 systems and 20 more trainings on BUS-BRA's 376 test images: below 400 kB."""
    found = committed("busbra", "ms-mtl", "ms-mtl+intra+inter")
    packed = figures.picked(found)
    systems, pairs = (
        len(json.dumps(packed[part], separators=(",", ":"))) for part in ("systems", "pairs")
    )
    assert systems / 2 * 60 / 3 + pairs * 40 * 39 / 2 < 400_000


def test_the_html_is_safe_for_titles_and_refuses_nothing_to_pick():
    page = figures.picker({"a/b": 'the "phantom" <x>'})
    assert "<x>" not in page and page.count("<script") == 1
    with pytest.raises(ValueError, match="no run to pick"):
        figures.picker({})
    with pytest.raises(ValueError, match="no run to pick"):
        figures.picked(Evidence([]))
