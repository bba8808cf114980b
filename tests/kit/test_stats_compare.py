"""Holm's correction by hand, and the table of two systems against the functions behind it."""

import numpy as np
import pandas as pd
import pytest
from test_stats import PATIENTS, made_up

from book.kit.stats import (
    compare,
    compare_seeds,
    delong,
    holm,
    mcnemar,
    paired_difference,
    paired_over_seeds,
    paired_t_test,
    permutation_test,
)
from lib import results
from lib.metrics import summarise

MEASURES = ["ACC", "AUC", "inconsis_cls", "dice_class_mean"]
QUICK = {"n": 50, "permutations": 99}


def record(quality, seed=0, **changes):
    """A run's record, as far as a comparison reads it."""
    rows = made_up(quality=quality).assign(group=PATIENTS, case=[f"case{i}" for i in range(60)])
    noise = np.random.default_rng(seed).normal(0, 0.1, 60)
    rows["p_malignant"] = (rows["p_malignant"] + noise).clip(0, 1)
    return {
        "source": "made-up", "profile": "quick", "experiment": f"quality{quality}", "seed": seed,
        "data": {"fingerprint": "f" * 64}, "per_image": results.columns(rows),
    } | changes  # fmt: skip


# ---------------------------------------------------------------------------------------- Holm


def test_holm_by_hand():
    # Sorted: .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 = .04, no less than .06
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(found) == ["a", "b", "c", "d"]


def test_holm_at_the_ends():
    assert holm({}) == {}
    assert holm({"a": 0.3}) == {"a": 0.3}
    assert holm({"a": 0.7, "b": 0.6}) == {"a": 1, "b": 1}
    for bad in (float("nan"), -0.1, 1.1):
        with pytest.raises(ValueError, match=r"the p-value of 'b' is .*between 0 and 1"):
            holm({"a": 0.3, "b": bad})


# ---------------------------------------------------------------------------------------- two runs


def test_every_cell_comes_from_its_own_function():
    a, b = record(2.0), record(1.0)
    table = compare(a, b, MEASURES, **QUICK, seed=3, level=0.9)
    rows_a, rows_b = results.rows(a), results.rows(b)
    assert list(table.index) == MEASURES
    for measure in MEASURES:
        row = table.loc[measure]
        interval = paired_difference(
            rows_a, rows_b, measure, groups=PATIENTS, n=50, seed=3, level=0.9
        )
        test = permutation_test(rows_a, rows_b, measure, groups=PATIENTS, n=99, seed=3)
        assert tuple(row[["difference", "low", "high"]]) == interval
        assert row["p"] == test.p
        assert row["a"] == summarise(rows_a)[measure] and row["b"] == summarise(rows_b)[measure]
    assert table["p_holm"].to_dict() == holm(table["p"].to_dict())
    assert (table["p_holm"] > table["p"]).any()
    assert table["p_mcnemar"].dropna().to_dict() == {
        "ACC": mcnemar(rows_a, rows_b, "correct").p,
        "inconsis_cls": mcnemar(rows_a, rows_b, "contradictions").p,
    }
    assert table["p_delong"].dropna().to_dict() == {"AUC": delong(rows_a, rows_b).p}


def test_a_run_without_patients_has_images_as_its_own():
    a, b = record(2.0), record(1.0)
    for one in (a, b):
        del one["per_image"]["group"]
    test = permutation_test(results.rows(a), results.rows(b), "ACC", groups=None, n=99)
    assert compare(a, b, ["ACC"], **QUICK).loc["ACC", "p"] == test.p


def test_runs_on_different_test_sets_are_refused():
    a, b = record(2.0), record(1.0)
    with pytest.raises(
        ValueError,
        match=r"made-up/quick/quality2.0/seed0 and made-up/quick/quality1.0/seed0 ran on different "
        r"data \(fingerprints ffffffffffff and eeeeeeeeeeee\)",
    ):
        compare(a, b | {"data": {"fingerprint": "e" * 64}}, ["ACC"])
    other = record(1.0)
    other["per_image"]["case"][7] = "case99"
    with pytest.raises(
        ValueError, match=r"have different test images: .* differ in 'case' at row 7"
    ):
        compare(a, other, ["ACC"])
    fewer = b | {"per_image": {name: values[:-1] for name, values in b["per_image"].items()}}
    with pytest.raises(ValueError, match="rows_a has 60 images but rows_b has 59"):
        compare(a, fewer, ["ACC"])


def test_measures_that_cannot_be_compared():
    a, b = record(2.0), record(1.0)
    with pytest.raises(ValueError, match="no measure to compare"):
        compare(a, b, [])
    with pytest.raises(ValueError, match="'dice' cannot be computed"):
        compare(a, b, ["ACC", "dice"])


def test_committed_runs():
    runs = {
        name: results.load(results.path("busbra", "laptop", name, 0, results.ROOT / "results"))
        for name in ("ms-mtl", "ms-mtl+intra+inter")
    }
    table = compare(runs["ms-mtl+intra+inter"], runs["ms-mtl"], MEASURES, **QUICK)
    for side, name in (("a", "ms-mtl+intra+inter"), ("b", "ms-mtl")):
        stored = {measure: runs[name]["metrics"][measure] for measure in MEASURES}
        assert table[side].to_dict() == pytest.approx(stored, abs=1e-5)
    assert (table["low"] <= table["difference"]).all()
    assert (table["difference"] <= table["high"]).all()
    assert table["p"].between(0.01, 1).all()


# ---------------------------------------------------------------------------------------- seeds


def test_each_seed_then_over_seeds():
    measures = ["ACC", "AUC"]
    a, b = [record(2.0, k) for k in (0, 1, 4)], [record(1.0, k) for k in (4, 1, 0)]
    table = compare_seeds(a, b, measures, **QUICK)
    assert table.index.names == ["seed", "measure"]
    assert list(table.index) == [(k, m) for k in (0, 1, 4, "all") for m in measures]
    pd.testing.assert_frame_equal(
        table.loc[4], compare(a[2], b[0], measures, **QUICK), check_names=False
    )
    over = table.loc["all"]
    for measure in measures:
        one, other = (
            {r["seed"]: summarise(results.rows(r))[measure] for r in runs} for runs in (a, b)
        )
        interval = paired_over_seeds(one, other)
        assert tuple(over.loc[measure, ["difference", "low", "high"]]) == pytest.approx(interval)
        assert over.loc[measure, "p"] == pytest.approx(paired_t_test(one, other))
        assert over.loc[measure, "a"] == pytest.approx(np.mean(list(one.values())))
        assert over.loc[measure, "b"] == pytest.approx(np.mean(list(other.values())))
    assert over["p_holm"].to_dict() == holm(over["p"].to_dict())
    assert over[["p_mcnemar", "p_delong"]].isna().all(axis=None)


def test_seeds_that_do_not_pair():
    a, b = [record(2.0, k) for k in (0, 1)], [record(1.0, k) for k in (0, 1)]
    with pytest.raises(ValueError, match=r"a has the seeds \[0, 1\] and b has \[0\]"):
        compare_seeds(a, b[:1], ["ACC"])
    with pytest.raises(ValueError, match="pass the same seeds of both, at least two"):
        compare_seeds(a[:1], b[:1], ["ACC"])
    with pytest.raises(ValueError, match=r"b has seed 0 twice: made-up/quick/quality1.0/seed0"):
        compare_seeds(a, [*b, b[0]], ["ACC"])
    moved = {"data": {"fingerprint": "e" * 64}}
    with pytest.raises(
        ValueError, match=r"quality2.0/seed0 and .*quality2.0/seed1 ran on different"
    ):
        compare_seeds([a[0], a[1] | moved], [b[0], b[1] | moved], ["ACC"])


def test_a_seed_may_draw_the_split_too():
    """Each seed's pair on its own test images; over seeds, the mean of their differences."""

    def part(quality, seed):
        rows = results.rows(record(quality, seed)).iloc[20 * seed : 20 * seed + 40]
        return record(quality, seed, per_image=results.columns(rows))

    a, b = ([part(quality, k) for k in (0, 1)] for quality in (2.0, 1.0))
    table = compare_seeds(a, b, ["AUC"], **QUICK)
    each = [compare(a[k], b[k], ["AUC"], **QUICK).loc["AUC", "difference"] for k in (0, 1)]
    assert table.loc[("all", "AUC"), "difference"] == pytest.approx(np.mean(each))
    with pytest.raises(ValueError, match=r"quality2.0/seed1 and .*seed1 have different test im"):
        compare_seeds(a, [b[0], b[1] | {"per_image": b[0]["per_image"]}], ["AUC"], **QUICK)
