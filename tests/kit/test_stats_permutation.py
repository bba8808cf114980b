"""The permutation test against every swap built by hand, and against SciPy."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_stats import made_up, three_classes

from book.kit.stats import permutation_test
from lib.metrics import summarise

A, B = made_up(n=14, seed=2, quality=2.0), made_up(n=14, seed=2, quality=1.0)
PATIENTS = list("aabbbcddefffgh")


def ranked(rows):
    """A model's scores as their ranks among its own labelled images."""
    scores = [c for c in rows if c.startswith(("p_", "seg_as_cls_p"))]
    return rows.assign(**{c: rows[c].where(rows["label"] >= 0).rank() for c in scores})


def by_hand(rows_a, rows_b, patients):
    """For every measure the share of all swaps whose difference is at least the observed."""
    names = sorted(set(patients))
    differences = []
    for choice in itertools.product([False, True], repeat=len(names)):
        swap = np.array([choice[names.index(p)] for p in patients])
        first = summarise(pd.concat([rows_a[~swap], rows_b[swap]]))
        second = summarise(pd.concat([rows_b[~swap], rows_a[swap]]))
        differences.append(pd.Series(first) - pd.Series(second))  # NaN if one lacks the measure
    table = pd.DataFrame(differences).abs()
    return (~(table < table.iloc[0] - 1e-9)).mean()


@pytest.mark.parametrize(
    ("a", "b", "patients"),
    [
        (A, B, list("aabbbcddeeaaab")),
        (three_classes(seed=1), three_classes(seed=2), [i // 10 for i in range(40)]),
    ],
    ids=["two classes", "three classes"],
)
def test_exact_against_every_swap(a, b, patients):
    plain, by_rank = by_hand(a, b, patients), by_hand(ranked(a), ranked(b), patients)
    summary_a, summary_b = summarise(a), summarise(b)
    for measure in summary_a:
        found = permutation_test(a, b, measure, groups=patients)
        assert found.exact and found.n == 2 ** len(set(patients))
        assert found.difference == pytest.approx(summary_a[measure] - summary_b[measure])
        expected = (by_rank if "AUC" in measure else plain)[measure]
        assert found.p == pytest.approx(expected), measure


def test_exact_against_scipy():
    dice = [2 * r["nodule_inter"] / (r["nodule_true"] + r["nodule_pred"]) for r in (A, B)]
    theirs = scipy.stats.permutation_test(
        dice, lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    ours = permutation_test(A, B, "dice_nodule", groups=None, n=2**14)
    assert ours.exact and ours.n == 2**14
    assert ours.difference == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue)


def test_random_swaps_come_near_the_exact_p():
    exact = permutation_test(A, B, "dice_nodule", groups=None, n=2**14)
    sampled = permutation_test(A, B, "dice_nodule", groups=None, n=2**14 - 1)
    assert not sampled.exact and sampled.n == 2**14 - 1
    assert 0.05 < exact.p < 0.95
    assert sampled.p == pytest.approx(exact.p, abs=0.02)  # five standard errors
    assert sampled.p == permutation_test(A, B, "dice_nodule", groups=None, n=2**14 - 1).p
    assert sampled.p != permutation_test(A, B, "dice_nodule", groups=None, n=2**14 - 1, seed=1).p


def test_what_was_observed_counts_as_one_of_the_random_permutations():
    label = np.arange(60) % 2
    right = pd.DataFrame({"label": label, "p_malignant": label})
    wrong = right.assign(p_malignant=1 - label)
    assert permutation_test(right, wrong, "ACC", groups=None, n=199).p == 1 / 200
    assert permutation_test(right, right, "ACC", groups=None, n=199).p == 1


def test_patients_swap_whole():
    """Four copies of each image are no more evidence than one, if they are one patient's."""
    copies = [pd.concat([rows] * 4, ignore_index=True) for rows in (A, B)]
    groups = list(range(14)) * 4
    single = permutation_test(A, B, "dice_nodule", groups=None, n=2**14)
    assert permutation_test(*copies, "dice_nodule", groups=groups, n=2**14) == pytest.approx(single)
    naive = permutation_test(*copies, "dice_nodule", groups=None, n=999)
    assert naive.p < single.p - 0.05


def test_the_scale_of_the_scores_plays_no_part_in_an_auc():
    squeezed = B.assign(p_malignant=B["p_malignant"] ** 5 / 3)
    plain = permutation_test(A, B, "AUC", groups=PATIENTS)
    assert permutation_test(A, squeezed, "AUC", groups=PATIENTS) == pytest.approx(plain)


def test_images_without_a_label_play_no_part_in_an_auc():
    more = [pd.concat([rows, rows.iloc[:3].assign(label=-1)], ignore_index=True) for rows in (A, B)]
    found = permutation_test(*more, "AUC", groups=[*PATIENTS, "a", "b", "c"])
    assert found == pytest.approx(permutation_test(A, B, "AUC", groups=PATIENTS))


def test_an_undefined_permutation_counts_as_large():
    a = pd.DataFrame({"label": [1, 0], "p_malignant": [0.9, 0.1]})
    b = pd.DataFrame({"label": [1, 0], "p_malignant": [0.1, 0.9]})
    # Swapping one image leaves one model without a malignant prediction, so without a precision.
    assert permutation_test(a, b, "PRE", groups=None) == (1.0, 1.0, 4, True)


def test_columns_that_one_model_lacks_are_no_hindrance():
    found = permutation_test(A, B[["label", "p_malignant"]], "ACC", groups=PATIENTS)
    assert found == permutation_test(A, B, "ACC", groups=PATIENTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "dice"}, "'dice' cannot be computed"),
        ({"groups": ["a"]}, "groups names 1 patients but there are 14 rows"),
        ({"n": 0}, "n is 0"),
        ({"rows_b": B[:5]}, "rows_a has 14 images but rows_b has 5"),
        ({"rows_b": B.assign(label=1 - B["label"])}, "differ in 'label' at row 0"),
    ],
)
def test_ill_options(options, message):
    with pytest.raises(ValueError, match=message):
        permutation_test(
            **{"rows_a": A, "rows_b": B, "measure": "ACC", "groups": PATIENTS} | options
        )
