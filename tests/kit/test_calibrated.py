"""Reliability over all trainings of a system: by hand, and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from book.kit import calibrated, controls, figures
from book.kit.stats import SUFFIX

RUN = {"source": "phantom", "profile": "laptop", "experiment": "ms-mtl", "seed": 0}


def honest(images=2000, exaggerate=1.0, seed=0):
    """Images whose probability is true, or its log-odds stretched."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, images)
    label = (rng.random(images) < 1 / (1 + np.exp(-odds))).astype(int)
    return pd.DataFrame(
        {
            "case": [f"c{k}" for k in range(images)],
            "label": label,
            "p_malignant": 1 / (1 + np.exp(-exaggerate * odds)),
        }
    )


def test_four_images_by_hand():
    rows = pd.DataFrame({"label": [0, 1, 1, -1, 1], "p_malignant": [0.1, 0.3, 0.8, 0.9, 1.0]})
    told = calibrated.reliability_of(rows, bins=2)  # .1 and .3; .8 and 1; one has no label
    assert told.p.tolist() == pytest.approx([0.2, 0.9])
    assert [one.estimate for one in told.shares] == [0.5, 1.0]
    assert told.errors[0] == pytest.approx((0.3 + 0.1) / 2)
    assert told.patients == 4
    with pytest.raises(ValueError, match="no image"):
        calibrated.reliability_of(rows[3:4])


def test_the_groups_are_those_of_scikit_learn():
    rows = honest()
    told = calibrated.reliability_of(rows)
    share, p = calibration_curve(rows["label"], rows["p_malignant"], n_bins=10, strategy="quantile")
    assert [one.estimate for one in told.shares] == pytest.approx(share.tolist())
    assert told.p == pytest.approx(p)


def test_true_probabilities_have_the_smaller_error():
    true, loud = (calibrated.reliability_of(honest(exaggerate=k)).error for k in (1, 4))
    assert true.estimate < 0.03 < 0.1 < loud.low
    assert loud.low < loud.estimate < loud.high


def test_brier_score_is_judged_by_the_rule():
    loud, true = honest(300, 4), honest(300)
    readings = [
        calibrated.with_brier(lambda record, others, rows=rows: rows) for rows in (true, loud)
    ]
    found = controls.two_readings([RUN], *readings)
    one = found.difference(f"ms-mtl{SUFFIX}", "ms-mtl", calibrated.BRIER)
    assert one.above == pytest.approx(brier_score_loss(true["label"], true["p_malignant"]))
    assert one.below == pytest.approx(brier_score_loss(loud["label"], loud["p_malignant"]))
    assert one.clear and one.difference < 0
    told = {"decided together": calibrated.reliability_of(true)}
    words = figures.calibration_in_words(told, found, "ms-mtl")
    assert "points lower" in words and words.startswith("Calibration error: decided together **")
    assert "Brier" not in figures.calibration_in_words(told, found, "no such")


def test_images_without_a_label_have_no_score():
    rows = honest(4).assign(label=[0, 1, -1, 1])
    scored = calibrated.with_brier(lambda record, others: rows)({}, [])
    assert scored[calibrated.BRIER].isna().tolist() == [False, False, True, False]
    assert calibrated.with_brier(lambda record, others: None)({}, []) is None


def test_a_reading_that_one_run_lacks_is_told_of_none():
    tell = {"a": honest(3), "b": None}
    read = lambda record, others: tell[record]  # noqa: E731
    assert calibrated.rows_of(["a", "b"], read) is None
    assert len(calibrated.rows_of(["a", "a"], read)) == 6
    assert calibrated.rows_of([], read) is None


def test_the_figure_has_a_dot_for_each_group():
    told = {
        "T1": calibrated.reliability_of(honest(200)),
        "<b>": calibrated.reliability_of(honest()),
    }
    drawn = figures.reliability_curves(told)
    assert len(drawn.data) == 3 and len(drawn.data[0].x) == 10
    assert "&lt;b&gt;" in drawn.data[1].name and "T1: calibration error" in drawn.layout.meta["alt"]
    with pytest.raises(ValueError, match="no run"):
        figures.reliability_curves({})
