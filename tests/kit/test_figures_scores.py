"""ROC curves with their bands, and reliability diagrams."""

import numpy as np
import pytest
from records import record, some_rows
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_curve
from statsmodels.stats.proportion import proportion_confint

from book.kit import figures
from book.kit.figures.scores import GRID, roc_draws
from lib.metrics import summarise


def test_roc_starts_and_ends_in_the_corners_and_names_its_auc():
    band, curve, _ = figures.roc([record()], titles={"ms-mtl": "MS-MTL"}).data
    area = np.trapezoid(curve.y, curve.x)
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert area == pytest.approx(summarise(some_rows())["AUC"], abs=1e-3)
    assert curve.name.startswith(f"MS-MTL<br>AUC {100 * area:.1f} [")
    assert band.legendgroup == curve.legendgroup
    assert not band.showlegend


def test_the_band_goes_out_along_its_top_and_back_along_its_bottom_around_the_curve():
    band, curve, _ = figures.roc([record()]).data
    top, bottom = np.array(band.y[:101]), np.array(band.y[101:])[::-1]
    assert list(band.x[:101]) == pytest.approx(list(GRID))
    assert list(band.x[101:]) == pytest.approx(list(GRID[::-1]))
    at = np.interp(GRID, curve.x, curve.y)
    assert (bottom <= at + 1e-3).all()
    assert (at <= top + 1e-3).all()
    assert (top - bottom).max() > 0.1
    low, high = figures.roc_band(some_rows())
    assert top == pytest.approx(high, abs=5e-4)
    assert bottom == pytest.approx(low, abs=5e-4)


def test_each_draw_gives_the_curve_of_scikit_learn_with_its_weights():
    rng = np.random.default_rng(1)
    truth, score = rng.random(30) < 0.4, rng.random(30).round(1)  # with ties
    weights = rng.multinomial(30, np.full(30, 1 / 30), 5)
    for weight, curve in zip(weights, roc_draws(truth, score, weights), strict=True):
        false, true, _ = roc_curve(truth, score, sample_weight=weight, drop_intermediate=False)
        assert curve == pytest.approx(np.interp(GRID, false, true))


def test_a_draw_that_lacks_a_class_has_no_curve():
    curves = roc_draws(np.array([True, False]), np.array([0.8, 0.3]), np.array([[2, 0], [1, 1]]))
    assert np.isnan(curves[0]).all()
    assert (curves[1] == 1).all()


def test_the_band_draws_patients_not_images():
    rows = some_rows()
    alone = rows.drop(columns="group")
    together = rows.assign(group=np.arange(len(rows)) // 10)
    widths = [np.mean(np.diff(figures.roc_band(r), axis=0)) for r in (alone, together)]
    assert widths[0] != pytest.approx(widths[1], rel=0.01)


@pytest.mark.parametrize("drawing", [figures.roc, figures.reliability])
def test_scores_need_both_classes(drawing):
    rows = some_rows().assign(label=0)
    with pytest.raises(ValueError, match="benign and malignant"):
        drawing([record(rows=rows)])


def test_runs_without_a_class_are_left_out():
    outlines = record("msl", rows=some_rows().drop(columns="p_malignant"))
    drawn = figures.roc([outlines, record()])
    assert [t.name.partition("<br>")[0] for t in drawn.data if "AUC" in (t.name or "")] == [
        "ms-mtl"
    ]


def test_calibration_by_hand():
    score = np.array([0.1, 0.2, 0.3, 0.8, 0.9, 1.0])
    truth = np.array([False, True, False, True, True, True])
    groups = figures.calibration(truth, score, bins=2)
    assert groups["images"].tolist() == [3, 3]
    assert groups["p"].tolist() == pytest.approx([0.2, 0.9])
    assert groups["share"].tolist() == pytest.approx([1 / 3, 1])
    # (|1/3 - .2| + |1 - .9|) / 2
    assert figures.calibration_error(groups) == pytest.approx((2 / 15 + 1 / 10) / 2)
    # Wilson: (p + z2/2n ± z sqrt(p q / n + z2/4n2)) / (1 + z2/n), here p = 1 and n = 3
    z2 = 1.959964**2
    assert groups["low"][1] == pytest.approx(3 / (3 + z2), abs=1e-6)
    assert groups["high"][1] == pytest.approx(1)


def test_the_calibration_error_weighs_groups_by_their_images():
    score, truth = np.array([0.5, 0.5, 0.5, 1.0]), np.array([True, True, True, True])
    groups = figures.calibration(truth, score, bins=2)
    assert groups["images"].tolist() == [3, 1]
    assert figures.calibration_error(groups) == pytest.approx(3 / 4 * 0.5)


@pytest.mark.parametrize("digits", [8, 1])  # 1: many ties, down to groups that vanish
def test_calibration_has_the_groups_of_scikit_learn(digits):
    rng = np.random.default_rng(2)
    score = (rng.random(97) ** 3).round(digits)
    truth = rng.random(97) < score
    groups = figures.calibration(truth, score, 10)
    share, p = calibration_curve(truth, score, n_bins=10, strategy="quantile")
    assert groups["share"].to_numpy() == pytest.approx(share)
    assert groups["p"].to_numpy() == pytest.approx(p)
    assert groups["images"].sum() == 97
    with pytest.raises(ValueError, match="bins is 0"):
        figures.calibration(truth, score, 0)


def test_reliability_draws_the_groups_their_intervals_and_the_scores():
    rows = some_rows()
    drawn = figures.reliability([record()], titles={"ms-mtl": "MS-MTL"}, bins=4)
    dots, bars, _ = drawn.data
    groups = figures.calibration(
        rows["label"].to_numpy() == 1, rows["p_malignant"].to_numpy(), bins=4
    )
    assert list(dots.x) == pytest.approx(groups["p"].tolist(), abs=1e-4)
    assert list(dots.y) == pytest.approx(groups["share"].tolist(), abs=1e-4)
    low, high = proportion_confint(
        groups["share"] * groups["images"], groups["images"], method="wilson"
    )
    assert np.array(dots.y) - dots.error_y.arrayminus == pytest.approx(low, abs=2e-4)
    assert np.array(dots.y) + dots.error_y.array == pytest.approx(high, abs=2e-4)
    assert sum(bars.y[:-1]) == pytest.approx(1)  # the last only closes the step
    error = f"{100 * figures.calibration_error(groups):.1f}"
    assert dots.name == f"MS-MTL<br>calibration error {error} %"
    assert f"expected calibration error {error}," in drawn.layout.meta["alt"]
