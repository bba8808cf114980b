"""Folds where a data set has none: whole patients, each tested on once, the same for every seed."""

import warnings

import numpy as np
import pandas as pd
import pytest

from lib import sources
from lib.cases import CaseError, grouped_folds, prepare_cases, split_digest


def patients(number=60, seed=0):
    """Cases of patients with one to four images, a third of them malignant."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"c{patient:03d}-{image}", f"p{patient}", ("malignant" if patient % 3 == 0 else "benign"))
        for patient in range(number)
        for image in range(rng.integers(1, 5))
    ]
    return pd.DataFrame(rows, columns=["case", "group", "label"])


@pytest.mark.parametrize("count", [3, 5])
def test_every_patient_is_in_one_fold_and_every_fold_has_both_classes(count):
    cases = patients()
    folds = grouped_folds(cases, count)
    assert sorted(folds["fold"].unique()) == list(range(1, count + 1))
    assert (folds.groupby("group")["fold"].nunique() == 1).all()
    shares = folds.groupby("fold")["label"].apply(lambda label: (label == "malignant").mean())
    assert (abs(shares - (cases["label"] == "malignant").mean()) < 0.1).all()
    sizes = folds["fold"].value_counts()
    assert sizes.max() - sizes.min() <= 0.1 * len(cases)


def test_the_order_of_the_rows_changes_nothing():
    cases = patients()
    mixed = cases.sample(frac=1, random_state=1)
    assert grouped_folds(mixed)["fold"].sort_index().equals(grouped_folds(cases)["fold"])


def test_a_rare_label_is_no_warning_and_a_part_of_its_own_is_not_needed():
    cases = patients()
    cases.loc[cases["group"] == "p1", "label"] = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert grouped_folds(cases)["fold"].nunique() == 5


def test_fewer_patients_than_folds():
    with pytest.raises(CaseError, match="4 groups do not make 5 folds"):
        grouped_folds(patients(4))


def test_the_folds_of_a_prepared_set_test_every_case_once(tmp_path):
    cases = sources.phantom.read(tmp_path, cases=60, size=64)
    tested = []
    for fold in range(1, 6):
        table, _ = prepare_cases(cases, seed=fold, fold=fold)
        other, _ = prepare_cases(cases, seed=99, fold=fold)
        assert split_digest(table) == split_digest(other)  # no seed changes it
        tested += table["case"][table["split"] == "test"].tolist()
        assert (table.groupby("group")["split"].nunique() == 1).all()
        assert table["split"].value_counts().between(8, 40).all()
    assert sorted(tested) == sorted(cases["case"])
    with pytest.raises(CaseError, match="no fold 6; there are 1, 2, 3, 4, 5"):
        prepare_cases(cases, fold=6)
    with pytest.raises(CaseError, match="have a split of their own; leave fold out"):
        prepare_cases(cases.assign(split="train"), fold=1)


def test_a_class_with_fewer_cases_than_folds():
    few = pd.DataFrame({"case": list("abcdefghijkl"), "group": list("abcdefghijkl")})
    few["label"] = pd.Series(["benign", "malignant", None] * 4, dtype=object)
    with pytest.raises(CaseError, match="5 folds cannot be made"):
        grouped_folds(few)
