"""The fast statistics of many systems are the slow ones' numbers."""

import numpy as np
import pandas as pd
import pytest
from records import record, some_rows

from book.kit.stats import (
    bootstrap_intervals,
    compare,
    mean_differences,
    mean_intervals,
    paired_difference,
    permutation_test,
)
from lib.metrics import summarise

MEASURES = ["ACC", "F1", "AUC", "AUC_seg", "dice_paper_mean", "dice_class_mean", "inconsis_cls"]


def two_systems():
    return some_rows(60), some_rows(60, wrong_maps=0.1, seed=1)


def test_intervals_of_one_run_are_those_of_the_bootstrap():
    rows, _ = two_systems()
    fast = mean_intervals([rows], MEASURES, n=300)
    slow = bootstrap_intervals(rows, MEASURES, groups=rows["group"], n=300)
    assert fast.keys() == slow.keys() == set(MEASURES)
    for measure in MEASURES:
        assert fast[measure] == pytest.approx(slow[measure], abs=1e-12)


def test_the_interval_of_a_mean_over_runs_is_narrower_than_the_mean_of_their_intervals():
    runs = [some_rows(seed=k) for k in range(4)]
    mean = mean_intervals(runs, ["ACC"])["ACC"]
    assert mean.estimate == pytest.approx(np.mean([summarise(rows)["ACC"] for rows in runs]))
    each = [mean_intervals([rows], ["ACC"])["ACC"] for rows in runs]
    assert mean.high - mean.low < np.mean([one.high - one.low for one in each])


def test_differences_of_one_pair_are_those_of_compare():
    a, b = two_systems()
    fast = mean_differences([a], [b], MEASURES, n=200, permutations=999)
    records = [record(name, rows=rows) for name, rows in (("a", a), ("b", b))]
    slow = compare(*records, MEASURES, n=200, permutations=999)
    for column in ("a", "b", "difference", "low", "high", "p"):
        assert fast[column].to_numpy() == pytest.approx(slow[column].to_numpy(), abs=1e-9)


def test_all_swaps_are_taken_where_there_are_few():
    a, b = (rows[:16] for rows in two_systems())
    fast = mean_differences([a], [b], MEASURES, n=50)
    for measure in MEASURES:
        test = permutation_test(a, b, measure, groups=a["group"])
        assert test.exact and fast.loc[measure, "p"] == pytest.approx(test.p)


def test_ties_and_unknown_labels_count_as_in_the_slow_form():
    a, b = (rows.assign(p_malignant=rows["p_malignant"].round(1)) for rows in two_systems())
    label = a["label"].where(a.index % 7 > 0, -1)
    a, b = a.assign(label=label), b.assign(label=label)
    fast = mean_differences([a], [b], ["AUC"], n=200, permutations=499).loc["AUC"]
    slow = paired_difference(a, b, "AUC", groups=a["group"], n=200)
    assert fast[["difference", "low", "high"]].tolist() == pytest.approx(list(slow))
    test = permutation_test(a, b, "AUC", groups=a["group"], n=499)
    assert fast["p"] == pytest.approx(test.p, abs=1 / 499)


def test_a_system_against_itself_is_never_told_apart():
    runs = [some_rows(seed=k) for k in range(2)]
    found = mean_differences(runs, runs, MEASURES, n=50, permutations=99)
    assert (found[["difference", "low", "high"]] == 0).all(axis=None) and (found["p"] == 1).all()


def test_several_runs_pool_what_one_run_is_too_noisy_to_show():
    benign = np.arange(60) % 2 == 0

    def run(rate, seed):
        wrong = np.random.default_rng(seed).random(60) < rate
        return pd.DataFrame({"label": ~benign * 1, "p_malignant": (benign == wrong) * 1.0})

    good, bad = ([run(rate, k + shift) for k in range(8)] for rate, shift in ((0.2, 0), (0.3, 50)))
    options = {"n": 50, "permutations": 999}
    one = mean_differences(good[:1], bad[:1], ["ACC"], **options).loc["ACC", "p"]
    every = mean_differences(good, bad, ["ACC"], **options).loc["ACC", "p"]
    assert every < 0.05 < one


def test_runs_that_do_not_pair_up_are_refused():
    a, b = two_systems()
    with pytest.raises(ValueError, match="a has 1 runs and b has 2"):
        mean_differences([a], [b, b], ["ACC"])
    with pytest.raises(ValueError, match="60 images but rows_b has 59"):
        mean_differences([a], [b[:59]], ["ACC"])
    with pytest.raises(ValueError, match="there is no run"):
        mean_intervals([], ["ACC"])


def test_runs_with_test_images_of_their_own_draw_a_patient_for_all():
    """Each seed has drawn its split: what is left of a patient's weight counts in each run."""
    rows, worse = two_systems()
    parts = [slice(0, 40), slice(20, 60)]
    runs, others = ([system[part] for part in parts] for system in (rows, worse))
    found = mean_intervals(runs, MEASURES, n=200)
    patient, names = pd.factorize(pd.concat(runs)["group"])
    weights = np.random.default_rng(0).multinomial(len(names), [1 / len(names)] * len(names), 200)
    each = []
    for draw in weights:
        repeated = [rows.loc[rows.index.repeat(draw[number])] for rows, number in
                    zip(runs, np.split(patient, [40]), strict=True)]  # fmt: skip
        each.append(np.mean([summarise(again)["AUC"] for again in repeated]))
    assert found["AUC"].estimate == pytest.approx(np.mean([summarise(r)["AUC"] for r in runs]))
    assert found["AUC"][1:] == pytest.approx(np.quantile(each, [0.025, 0.975]))
    apart = mean_differences(runs, others, MEASURES, n=200, permutations=199)
    single = [summarise(a)["ACC"] - summarise(b)["ACC"] for a, b in zip(runs, others, strict=True)]
    assert apart.loc["ACC", "difference"] == pytest.approx(np.mean(single))
    unnamed = [run.drop(columns=["group", "case"], errors="ignore") for run in (rows, rows[:59])]
    with pytest.raises(ValueError, match="60, 59 images without a column case"):
        mean_intervals(unnamed, ["ACC"])
