"""Bootstrap intervals against a plain loop that draws rows, and against SciPy."""

import time

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from book.kit.stats import Interval, bootstrap_interval, draw, paired_difference, replicates
from lib.metrics import CLASSES, summarise


def made_up(n=60, seed=0, quality=1.0):
    """Rows as from count_batch, of a network of the given quality; images and truth by seed."""
    truth = np.random.default_rng(seed)
    label = truth.integers(0, 2, n)
    area = truth.integers(20, 200, n)
    g = np.random.default_rng([seed, int(100 * quality)])
    score = 1 / (1 + np.exp(-quality * (2 * label - 1) - g.normal(size=n)))
    rows = {"label": label, "p_malignant": score.round(2)}  # rounded, so that there are ties
    seg = np.where(g.random(n) < 0.15, 1 - (score > 0.5), score > 0.5).astype(int)
    rows["seg_as_cls"] = np.where(g.random(n) < 0.05, -1, seg)
    share = g.uniform(0.5, 1, n)
    for index, name in enumerate(CLASSES):
        true, pred = area * (label == index), area * (rows["seg_as_cls"] == index)
        rows |= {f"{name}_true": true, f"{name}_pred": pred}
        rows[f"{name}_inter"] = (share * np.minimum(true, pred)).astype(int)
        rows[f"seg3seg2_{name}_union"] = pred + true
        rows[f"seg3seg2_{name}_inter"] = (share * np.minimum(true, pred)).astype(int)
    rows |= {"nodule_true": area, "nodule_pred": area, "nodule_inter": (share * area).astype(int)}
    rows |= {"seg2seg3_union": area, "seg2seg3_inter": (share * area).astype(int)}
    rows["seg_as_cls_p"] = np.clip(score + g.normal(0, 0.1, n), 0, 1).round(2)
    return pd.DataFrame(rows)


def three_classes(n=40, seed=0):
    """Rows as from count_batch, of a network of three classes; two images have no label."""
    g = np.random.default_rng(seed)
    label = np.r_[-1, -1, np.arange(n - 2) % 3]
    rows = {"label": label, "seg_as_cls": np.where(g.random(n) < 0.4, (label + 1) % 3, label)}
    for stem in ("p", "seg_as_cls_p"):
        scores = g.gamma(np.where(label[:, None] == range(3), 2.0, 1.0)).round(1) + 0.1
        for k, score in enumerate((scores / scores.sum(1, keepdims=True)).T, start=1):
            rows[f"{stem}_class{k}"] = score
    return pd.DataFrame(rows)


ROWS = made_up()
PATIENTS = np.repeat([f"p{i}" for i in range(25)], [1, 2, 3, 4, 2] * 5)
MEASURES = sorted(summarise(ROWS))


def test_the_example_gives_every_measure():
    assert len(MEASURES) == 5 + 3 + 12 + 2 + 4


@pytest.mark.parametrize("measure", MEASURES)
def test_replicates_are_what_summarise_gives_for_the_drawn_rows(measure):
    weights = draw(60, PATIENTS, n=25, seed=3)
    expected = [
        summarise(ROWS.loc[np.repeat(np.arange(60), w)]).get(measure, np.nan) for w in weights
    ]
    assert replicates(ROWS, measure, weights) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("measure", ["ACC", "F1_macro", "F1_class2", "AUC_macro", "AUC_seg_macro"])
def test_replicates_of_three_classes(measure):
    rows = three_classes()
    weights = draw(40, None, n=25, seed=3)
    expected = [
        summarise(rows.loc[np.repeat(np.arange(40), w)]).get(measure, np.nan) for w in weights
    ]
    assert replicates(rows, measure, weights) == pytest.approx(expected, abs=1e-12)


def test_patients_are_drawn_whole():
    weights = draw(60, PATIENTS, n=200, seed=0)
    assert weights.shape == (200, 60)
    frame = pd.DataFrame(weights.T).groupby(PATIENTS).nunique()
    assert (frame == 1).all(axis=None)
    per_patient = pd.DataFrame(weights.T).groupby(PATIENTS).first()
    assert (per_patient.sum() == 25).all()
    assert abs(per_patient.to_numpy().mean() - 1) < 1e-12
    assert per_patient.to_numpy().var() == pytest.approx(1 - 1 / 25, abs=0.1)


@pytest.mark.parametrize("measure", ["ACC", "dice_nodule", "inconsis_cls"])
def test_against_scipy_on_ungrouped_data(measure):
    values = {
        "ACC": (ROWS["p_malignant"] > 0.5) == ROWS["label"],
        "dice_nodule": 2 * ROWS["nodule_inter"] / (ROWS["nodule_true"] + ROWS["nodule_pred"]),
        "inconsis_cls": ROWS["seg_as_cls"] != (ROWS["p_malignant"] > 0.5),
    }[measure].to_numpy(float)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = bootstrap_interval(ROWS, measure, groups=None, n=9999)
    assert ours.estimate == pytest.approx(values.mean())
    assert ours[1:] == pytest.approx([theirs.low, theirs.high], abs=0.02)  # steps of 1/60


def test_auc_against_scipy_on_ungrouped_data():
    from sklearn.metrics import roc_auc_score

    theirs = scipy.stats.bootstrap(
        (ROWS["label"].to_numpy(), ROWS["p_malignant"].to_numpy()), roc_auc_score, paired=True,
        vectorized=False, n_resamples=400, method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    ours = bootstrap_interval(ROWS, "AUC", groups=None, n=5000)
    assert ours[1:] == pytest.approx([theirs.low, theirs.high], abs=0.025)


def test_groups_widen_the_interval_when_images_of_a_patient_are_alike():
    alike = pd.concat([ROWS] * 4, ignore_index=True)
    patient = list(range(60)) * 4
    single = bootstrap_interval(ROWS, "ACC", groups=None)
    grouped = bootstrap_interval(alike, "ACC", groups=patient)
    naive = bootstrap_interval(alike, "ACC", groups=None)
    width = {name: i.high - i.low for name, i in
             {"single": single, "grouped": grouped, "naive": naive}.items()}  # fmt: skip
    assert width["grouped"] == pytest.approx(width["single"])
    assert width["naive"] == pytest.approx(width["single"] / 2, rel=0.2)


def test_coverage():
    """About 95 of 100 intervals hold the true accuracy."""
    g = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        label = g.integers(0, 2, 100)
        score = np.where(g.random(100) < 0.8, label, 1 - label)
        rows = pd.DataFrame({"label": label, "p_malignant": score.astype(float)})
        interval = bootstrap_interval(rows, "ACC", groups=None, n=300)
        hits += interval.low <= 0.8 <= interval.high
    assert 88 <= hits <= 99


def test_same_seed_same_interval():
    first, second, other = (
        bootstrap_interval(ROWS, "F1", groups=PATIENTS, seed=seed) for seed in (4, 4, 5)
    )
    assert first == second != other
    assert isinstance(first, Interval) and first.low < first.estimate < first.high
    narrow = bootstrap_interval(ROWS, "F1", groups=PATIENTS, level=0.5)
    assert narrow.high - narrow.low < first.high - first.low


@pytest.mark.parametrize("measure", ["AUC", "dice_class_mean", "PRE"])
def test_paired_difference_against_a_loop(measure):
    better = made_up(quality=2.0)
    weights = draw(60, PATIENTS, n=80, seed=0)
    expected = []
    for w in weights:
        drawn = np.repeat(np.arange(60), w)
        expected.append(summarise(better.loc[drawn])[measure] - summarise(ROWS.loc[drawn])[measure])
    got = paired_difference(better, ROWS, measure, groups=PATIENTS, n=80)
    assert got.estimate == pytest.approx(summarise(better)[measure] - summarise(ROWS)[measure])
    assert got[1:] == pytest.approx(np.quantile(expected, [0.025, 0.975]))


def test_paired_difference_of_equals_is_zero():
    assert paired_difference(ROWS, ROWS, "AUC", groups=PATIENTS) == (0, 0, 0)


def test_pairing_cancels_what_both_share():
    shifted = ROWS.assign(nodule_inter=(0.95 * ROWS["nodule_inter"]))
    difference = paired_difference(ROWS, shifted, "dice_nodule", groups=PATIENTS)
    alone = bootstrap_interval(ROWS, "dice_nodule", groups=PATIENTS)
    assert difference.high - difference.low < 0.2 * (alone.high - alone.low)
    assert difference.low > 0


def test_fast_enough():
    rows, patients = made_up(n=376), np.arange(376) // 2
    start = time.thread_time()
    for measure in ("AUC", "dice_paper_mean", "F1"):
        bootstrap_interval(rows, measure, groups=patients)
    assert time.thread_time() - start < 10  # a loop over draws would take minutes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "dice"}, "measure 'dice' cannot be computed from these rows; they give ACC"),
        ({"groups": ["a", "b"]}, "groups names 2 patients but there are 60 rows"),
        ({"groups": ["a"] * 59 + [None]}, "groups has no patient for row 59"),
        ({"n": 0}, "n is 0"),
        ({"level": 95}, "level is 95; it must lie between 0 and 1"),
    ],
)
def test_ill_options(options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(ROWS, **{"measure": "ACC", "groups": PATIENTS} | options)


def test_a_measure_that_the_rows_do_not_give():
    with pytest.raises(ValueError, match="'AUC' cannot be computed"):
        bootstrap_interval(ROWS[ROWS["label"] == 0], "AUC", groups=None)


def test_draws_without_the_measure_are_left_out():
    few = made_up(n=8, seed=1)
    few["label"] = [1, 0, 0, 0, 0, 0, 0, 0]
    drawn = replicates(few, "AUC", draw(8, None, n=1000, seed=0))
    assert 0.2 < np.isnan(drawn).mean() < 0.5  # (7/8)^8 = .34 of the draws miss the one malignant
    interval = bootstrap_interval(few, "AUC", groups=None)
    assert 0 <= interval.low <= interval.high <= 1
    alone = few.iloc[:2].assign(p_malignant=[0.9, 0.1])
    with pytest.raises(ValueError, match="no draw gave AUC"):
        bootstrap_interval(alone, "AUC", groups=["a", "b"], n=1, seed=SEED_OF_TWICE_THE_SAME)


SEED_OF_TWICE_THE_SAME = next(s for s in range(50) if draw(2, None, n=1, seed=s).max() == 2)


def test_unpaired_rows():
    with pytest.raises(ValueError, match="rows_a has 60 images but rows_b has 59"):
        paired_difference(ROWS, ROWS[:59], "ACC", groups=PATIENTS)
    flipped = ROWS.assign(label=1 - ROWS["label"])
    with pytest.raises(ValueError, match="differ in 'label' at row 0"):
        paired_difference(ROWS, flipped, "ACC", groups=PATIENTS)
    named = ROWS.assign(case=[f"c{i}" for i in range(60)])
    moved = named.assign(case=named["case"].to_numpy()[::-1])
    with pytest.raises(ValueError, match="differ in 'case'"):
        paired_difference(named, moved, "ACC", groups=PATIENTS)
