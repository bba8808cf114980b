"""ROC curves with their bands."""

import numpy as np
import pytest
from records import record, some_rows
from sklearn.metrics import roc_curve

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


def test_scores_need_both_classes():
    rows = some_rows().assign(label=0)
    with pytest.raises(ValueError, match="benign and malignant"):
        figures.roc([record(rows=rows)])


def test_runs_without_a_class_are_left_out():
    outlines = record("msl", rows=some_rows().drop(columns="p_malignant"))
    drawn = figures.roc([outlines, record()])
    assert [t.name.partition("<br>")[0] for t in drawn.data if "AUC" in (t.name or "")] == [
        "ms-mtl"
    ]
