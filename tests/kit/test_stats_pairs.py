"""McNemar's and DeLong's tests against published numbers, loops over images, and each other."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score
from test_stats import made_up

from book.kit.stats import (
    bootstrap_interval,
    delong,
    delong_interval,
    mcnemar,
    paired_difference,
)
from lib.metrics import summarise

A, B = made_up(n=60, quality=2.0), made_up(n=60, quality=1.0)


# --------------------------------------------------------------------------------- McNemar's test


def answers(right):
    """Rows of malignant images, with the class right or wrong."""
    return pd.DataFrame({"label": 1, "p_malignant": np.where(right, 0.9, 0.1)})


def test_mcnemar_on_the_approval_ratings():
    """Agresti, Categorical Data Analysis: 794, 150, 86, 570, with z = (86 - 150) / sqrt(236)."""
    first = np.repeat([True, True, False, False], [794, 150, 86, 570])
    second = np.repeat([True, False, True, False], [794, 150, 86, 570])
    found = mcnemar(answers(first), answers(second))
    assert found[:2] == (150, 86)
    tail = sum(math.comb(236, k) for k in range(87)) / 2**236
    assert found.p == pytest.approx(2 * tail)
    z = (86 - 150) / math.sqrt(236)
    assert z == pytest.approx(-4.17, abs=0.005)
    assert found.p == pytest.approx(2 * scipy.stats.norm.cdf(z), rel=0.5)


def test_mcnemar_of_accuracy_against_a_loop():
    only_a = only_b = 0
    for a, b in zip(A.itertuples(), B.itertuples(), strict=True):
        right_a, right_b = ((r.p_malignant > 0.5) == (r.label == 1) for r in (a, b))
        only_a += right_a and not right_b
        only_b += right_b and not right_a
    p = scipy.stats.binomtest(only_a, only_a + only_b).pvalue
    assert only_a > only_b > 0
    assert mcnemar(A, B, "correct") == pytest.approx((only_a, only_b, p))
    assert mcnemar(B, A, "correct") == pytest.approx((only_b, only_a, p))
    assert (only_a - only_b) / 60 == pytest.approx(summarise(A)["ACC"] - summarise(B)["ACC"])


def test_mcnemar_of_contradictions_by_hand():
    rows = pd.DataFrame(
        {"label": [0, 1, 0, -1, 1, 0], "p_malignant": [0.1, 0.9, 0.6, 0.7, 0.2, 0.3]}
    )
    a = rows.assign(seg_as_cls=[0, 1, 1, 1, 0, 0])  # none
    b = rows.assign(seg_as_cls=[1, -1, 0, 0, 0, 0])  # four; no nodule contradicts too
    assert mcnemar(a, b, "contradictions") == (0, 4, 0.125)
    assert mcnemar(a, a, "contradictions") == (0, 0, 1)


def test_mcnemar_counts_labelled_images_only():
    more = [pd.concat([rows, rows.assign(label=-1)]) for rows in (A, B)]
    assert mcnemar(*more) == mcnemar(A, B)


def test_mcnemar_ill_rows():
    with pytest.raises(ValueError, match="what is 'right'; it must be one of correct, contra"):
        mcnemar(A, B, "right")
    with pytest.raises(ValueError, match="rows_b does not give inconsis_cls"):
        mcnemar(A, B.drop(columns="seg_as_cls"), "contradictions")
    with pytest.raises(ValueError, match="row 3 has a prediction in one of rows_a and rows_b only"):
        mcnemar(A, B.assign(p_malignant=B["p_malignant"].where(B.index != 3)))
    with pytest.raises(ValueError, match="differ in 'label' at row 0"):
        mcnemar(A, B.assign(label=1 - B["label"]))


# ---------------------------------------------------------------------------------- DeLong's test


def by_pairs(scores, label):
    """AUCs of each row of scores, and their covariance, from all pairs one by one."""
    malignant, benign = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    kernel = np.zeros((len(scores), len(malignant), len(benign)))
    for model, score in enumerate(scores):
        for i, one in enumerate(malignant):
            for j, other in enumerate(benign):
                difference = score[one] - score[other]
                kernel[model, i, j] = 1 if difference > 0 else 0.5 if difference == 0 else 0
    by_malignant, by_benign = kernel.mean(2), kernel.mean(1)
    covariance = np.cov(by_malignant) / len(malignant) + np.cov(by_benign) / len(benign)
    return kernel.mean((1, 2)), covariance


def test_delong_against_all_pairs():
    scores = np.stack([A["p_malignant"], B["p_malignant"]])
    assert len(np.unique(scores[1])) < 60  # ties
    auc, s = by_pairs(scores, A["label"].to_numpy())
    error = math.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    found = delong(A, B)
    assert found.difference == pytest.approx(auc[0] - auc[1])
    assert found.error == pytest.approx(error)
    low, high = scipy.stats.norm.interval(0.95, auc[0] - auc[1], error)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(scipy.stats.chi2.sf((found.difference / error) ** 2, 1))
    assert 0.001 < found.p < 0.9
    narrow = delong(A, B, level=0.5)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.6745 * error, rel=1e-4)

    single = delong_interval(B)
    low, high = scipy.stats.norm.interval(0.95, auc[1], math.sqrt(s[1, 1]))
    assert single == pytest.approx((roc_auc_score(B["label"], scores[1]), low, high))


def jackknife_variance(statistic, rows):
    """Leave one image out, the malignant and the benign each as a sample of their own."""
    variance = 0
    for label in (0, 1):
        images = rows.index[rows["label"] == label]
        left_out = np.array([statistic(rows.index != i) for i in images])
        variance += (len(images) - 1) / len(images) * ((left_out - left_out.mean()) ** 2).sum()
    return variance


def test_delong_against_the_jackknife():
    """With two samples DeLong's variance is the jackknife's (DeLong et al. 1988)."""

    def auc(rows, kept):
        return roc_auc_score(rows["label"][kept], rows["p_malignant"][kept])

    variance = jackknife_variance(lambda kept: auc(A, kept) - auc(B, kept), A)
    assert delong(A, B).error == pytest.approx(math.sqrt(variance))
    half = 1.959964 * math.sqrt(jackknife_variance(lambda kept: auc(B, kept), B))
    assert delong_interval(B).low == pytest.approx(auc(B, slice(None)) - half)


def test_delong_against_the_bootstrap():
    a, b = made_up(n=400, quality=1.5), made_up(n=400, quality=1.0)
    drawn = paired_difference(a, b, "AUC", groups=None, n=2000)
    found = delong(a, b)
    assert found.high - found.low == pytest.approx(drawn.high - drawn.low, rel=0.1)
    assert found.low == pytest.approx(drawn.low, abs=0.01)
    drawn, found = bootstrap_interval(a, "AUC", groups=None, n=2000), delong_interval(a)
    assert found == pytest.approx(drawn, abs=0.01)


def test_delong_uses_labelled_images_only():
    more = [pd.concat([rows, rows.assign(label=-1)]) for rows in (A, B)]
    assert delong(*more) == delong(A, B)
    assert delong_interval(more[0]) == delong_interval(A)


def test_delong_where_the_error_is_zero():
    assert delong(A, A)[:2] == (0, 0) and delong(A, A).p == 1
    perfect = A.assign(p_malignant=A["label"] * 1.0)
    assert delong_interval(perfect) == (1, 1, 1)
    tied = A.assign(p_malignant=0.5)
    with pytest.raises(ValueError, match=r"1\.000 and 0\.500 differ but have no standard error"):
        delong(perfect, tied)


def test_the_interval_stays_within_0_and_1():
    few = pd.DataFrame({"label": [0, 0, 0, 1, 1, 1], "p_malignant": [1, 2, 4, 3, 5, 6]})
    assert delong_interval(few).high == 1 and delong_interval(few).low > 0.5
    upside_down = few.assign(label=1 - few["label"])
    assert delong_interval(upside_down).low == 0 and delong_interval(upside_down).high < 0.5


def test_delong_ill_rows():
    alone = A[(A["label"] == 0) | (A.index == A.index[A["label"] == 1][0])]
    with pytest.raises(ValueError, match="1 malignant"):
        delong_interval(alone)
    with pytest.raises(ValueError, match="0 benign"):
        delong_interval(A[A["label"] == 1])
    with pytest.raises(ValueError, match="row 3 has a score in one"):
        delong(A.assign(p_malignant=A["p_malignant"].where(A.index != 3)), B)
    with pytest.raises(ValueError, match="rows_a has 60 images but rows_b has 59"):
        delong(A, B[:59])
    for call in (lambda: delong(A, B, level=95), lambda: delong_interval(A, level=95)):
        with pytest.raises(ValueError, match="level is 95"):
            call()
