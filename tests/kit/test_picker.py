"""The picker's script under node against the statistics: the same numbers, on real and odd runs."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from records import record, some_rows

from book.kit import figures, stats
from book.kit.figures.picker import MISSING, STEPS, packed_numbers
from lib import results

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")
PROGRAM = """
const { compare } = require(process.argv[1]);
const [packed, a, b, options] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const plain = (_, v) => (typeof v === "number" && !Number.isFinite(v) ? null : v);
console.log(JSON.stringify(compare(packed, a, b, options), plain));
"""


def in_page(packed, a=0, b=1, **options):
    assert NODE, "node is needed: the page's script is tested with it"
    given = json.dumps([packed, a, b, options])
    script = str(ROOT / "book" / "assets" / "picker.js")
    done = subprocess.run(
        [NODE, "-e", PROGRAM, script], input=given, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def packed(*records):
    (one,) = figures.picker_sets(records).values()
    return one


@cache
def committed(source, name):
    return results.load(ROOT / "results" / source / "laptop" / name / "seed0.json")


REAL = [
    ("phantom", "ms-mtl+intra+inter", "ms-mtl"),
    ("phantom", "mtl", "msl+intra"),  # one has no class
    ("phantom", "unet-seg2+clsnet", "clsnet"),  # one has no mask, the other no seg3
    ("busbra", "ms-mtl+intra+inter", "ms-mtl"),  # several images of a patient
]


def check(one, two, draws=4000):
    """All of the page's numbers for two records against those of `book.kit.stats`."""
    both = packed(one, two)
    order = [run["name"] for run in both["runs"]]
    shown = in_page(
        both, *(order.index(r["experiment"]) for r in (one, two)), draws=draws, permutations=draws
    )
    rows_a, rows_b = (results.rows(r) for r in (one, two))
    summary = [stats.bootstrap.summarise(rows) for rows in (rows_a, rows_b)]
    wanted = [m for m in figures.HEADLINE if all(m in s for s in summary)]
    assert list(shown["rows"]) and set(shown["rows"]) == set(wanted)
    groups = rows_a["group"]
    for name, row in shown["rows"].items():
        assert [row["a"], row["b"]] == pytest.approx([s[name] for s in summary], abs=1e-9)
        # what the page computes itself: exactly from ranks and classes, else to half a step
        steps = 1e-9 if name in ("ACC", "F1", "AUC", "inconsis_cls") else 0.5 / STEPS
        assert row["computed"] == pytest.approx([s[name] for s in summary], abs=steps)
        interval = stats.paired_difference(rows_a, rows_b, name, groups=groups, n=draws, seed=3)
        width = interval.high - interval.low
        assert row["difference"] == pytest.approx(interval.estimate, abs=1e-9)
        assert row["interval"] == pytest.approx(interval[1:], abs=0.1 * width)
        alone = stats.bootstrap_interval(rows_a, name, groups=groups, n=draws, seed=3)
        assert row["a_interval"] == pytest.approx(alone[1:], abs=0.1 * (alone.high - alone.low))
        test = stats.permutation_test(rows_a, rows_b, name, groups=groups, n=draws, seed=3)
        noise = 4 * np.sqrt(test.p * (1 - test.p) * 2 / draws) + 2 / draws
        assert row["p"] == pytest.approx(test.p, abs=noise)
    return shown


@pytest.mark.parametrize(("source", "one", "two"), REAL)
def test_the_page_agrees_with_the_library_on_committed_runs(source, one, two):
    check(committed(source, one), committed(source, two), draws=2000)


def test_ties_missing_answers_and_unknown_labels():
    a, b = some_rows(60, 0.3, seed=1), some_rows(60, 0.1, seed=1)
    a["p_malignant"] = a["p_malignant"].round(1)  # many ties, some at .5 exactly
    b["p_malignant"] = np.random.default_rng(2).permutation(b["p_malignant"].round(1))
    assert (a["p_malignant"] == 0.5).any()
    for rows in (a, b):
        rows.loc[3:5, "label"] = -1
        rows.loc[7, "seg_as_cls"] = -1
        for name in ("benign", "malignant"):
            rows.loc[9, [f"{name}_inter", f"{name}_pred", f"{name}_true"]] = np.nan
    shown = check(plain(record("a", rows=a)), plain(record("b", rows=b)))
    assert shown["images"] == 60 and shown["patients"] == 30


def plain(run):
    run["per_image"] = {
        k: [None if v != v else v for v in values] for k, values in run["per_image"].items()
    }
    return run


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    both = packed(record("a"), record("b", rows=some_rows(wrong_maps=0.1)))
    first, again, other = (in_page(both, draws=200, permutations=200, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first["rows"]["inconsis_cls"]["interval"] != other["rows"]["inconsis_cls"]["interval"]


def test_a_run_against_itself_differs_by_nothing():
    shown = in_page(packed(record("a")), 0, 0, draws=50, permutations=50)
    assert all(row["difference"] == 0 and row["p"] == 1 for row in shown["rows"].values())
    assert all(row["interval"] == [0, 0] for row in shown["rows"].values())


def test_the_roc_curve_is_scikit_learns():
    from sklearn.metrics import auc, roc_curve

    rows = some_rows(60, seed=4)
    rows["p_malignant"] = rows["p_malignant"].round(1)
    points = np.array(in_page(packed(record("a", rows=rows)), 0, 0, draws=9)["runs"][0]["roc"])
    false, true, _ = roc_curve(rows["label"], rows["p_malignant"], drop_intermediate=False)
    assert points == pytest.approx(np.column_stack([false, true]))
    assert auc(*points.T) == pytest.approx(stats.bootstrap.measured(rows, "AUC"))


def test_contradictions_are_counted_as_in_the_results():
    rows = pd.DataFrame(
        {
            "label": [0, 1, 0, 1, 1, -1],
            "p_malignant": [0.2, 0.8, 0.6, 0.5, 0.9, 0.9],
            "seg_as_cls": [0, 0, 0, 1, -1, 0],
        }
    )
    counts = in_page(packed(record("a", rows=rows)), 0, 0, draws=9)["runs"][0]["contradictions"]
    assert counts == {"images": 5, "agree": 1, "T1": 1, "T3": 2, "none": 1}
    table = figures.contradictions_table([record("a", rows=rows)])
    assert all(f">{n}</td>" in table for n in counts.values())


# ------------------------------------------------------------------------------------ the packing


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"fingerprint": "f"}},
        {"data": {"fingerprint": "0123456789abcdef", "split": "b"}},
        {"rows": some_rows(42)},
    ],
)
def test_other_data_are_never_in_one_set(changes):
    first = record("a") | {"data": {"fingerprint": "0123456789abcdef", "split": "a"}}
    sets = figures.picker_sets([first, record("b", **changes)])
    assert list(sets) == ["phantom/smoke", "phantom/smoke/2"]
    assert [len(one["runs"]) for one in sets.values()] == [1, 1]


def test_a_run_that_did_not_record_its_split_goes_with_the_same_images():
    first = record("a") | {"data": {"fingerprint": "0123456789abcdef", "split": "a"}}
    assert len(figures.picker_sets([first, record("b")])) == 1


def test_packed_numbers_that_do_not_fit_are_refused():
    assert len(packed_numbers(np.arange(MISSING + 1))) == 2 * (MISSING + 1)
    for wrong in (-1, MISSING + 1):
        with pytest.raises(ValueError, match="can be kept"):
            packed_numbers(np.array([wrong]))


def test_a_full_set_of_runs_stays_small():
    """40 systems and 20 more seeds on BUS-BRA's 376 test images: below 400 kB."""
    run = committed("busbra", "ms-mtl")
    one = len(figures.picker_script(packed(run)))
    two = len(figures.picker_script(packed(run, run | {"experiment": "other"})))
    assert one + 59 * (two - one) < 400_000


def test_the_html_is_safe_for_titles_and_refuses_nothing_to_pick():
    page = figures.picker({"a/b": 'the "phantom" <x>'})
    assert "<x>" not in page and page.count("<script") == 1
    with pytest.raises(ValueError, match="no run to pick"):
        figures.picker({})
