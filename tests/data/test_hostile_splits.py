"""Splits that nobody could judge: one patient with most images, a part without a class."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from test_cases import assert_disjoint, make, table_of

from lib.cases import CaseError, prepare_cases, split_cases


def with_one_large_group(number: int, large: int) -> pd.DataFrame:
    """One third malignant in every group; the others of one image each."""
    cases = table_of(number)
    cases["group"] = ["large"] * large + [f"g{at}" for at in range(number - large)]
    cases["label"] = np.where(np.arange(number) % 3, "benign", "malignant")
    return cases


def test_a_group_of_a_tenth_comes_everywhere_and_the_sizes_stay():
    """A patient with a tenth of the images comes into every part, as the seed has it."""
    cases = with_one_large_group(100, 10)
    places = Counter()
    for seed in range(40):
        table = split_cases(cases, seed=seed)
        assert_disjoint(table)
        places[table["split"][0]] += 1
        sizes = table["split"].value_counts()
        assert abs(sizes["train"] - 60) <= 5 and abs(sizes["test"] - 20) <= 5
        malignant = table["split"][table["label"] == "malignant"].value_counts()
        assert abs(malignant["train"] - 20) <= 5 and abs(malignant["test"] - 7) <= 4
    # 60 : 20 : 20 of 40; outside these bounds once in a thousand times
    assert 14 < places["train"] < 34 and 1 <= places["valid"] < 18 and 1 <= places["test"] < 18
    shuffled = split_cases(cases.sample(frac=1, random_state=1), seed=39).set_index("case")
    pd.testing.assert_series_equal(
        shuffled["split"].sort_index(), table.set_index("case")["split"].sort_index()
    )


@pytest.mark.parametrize("number", [40, 100])
def test_a_group_of_most_images_is_trained_on(number):
    """A patient with most of the images is trained on: elsewhere too little would be left."""
    cases = with_one_large_group(number, number * 6 // 10)
    for seed in range(10):
        table = split_cases(cases, seed=seed)
        assert table["split"][0] == "train" and table.attrs["left_out"] == []
        sizes = table["split"].value_counts(normalize=True)
        assert sizes["train"] <= 0.65 and min(sizes["valid"], sizes["test"]) >= 0.15
        tested = table[table["split"] == "test"]
        assert tested["group"].nunique() == len(tested) and tested["label"].nunique() == 2


def test_sizes_that_no_split_can_have_are_noted():
    """A patient with most of the images: the sizes that come out are noted."""
    cases = with_one_large_group(50, 40)
    table = split_cases(cases)
    (note,) = table.attrs["left_out"]
    assert table["split"][0] == "train" and not note.left_out
    assert "not 3:1:1: 40 of 50 images are of one group" in note.what


@pytest.mark.parametrize("seed", range(5))
def test_every_part_has_a_rare_class(seed):
    """Three malignant patients of sixty: one for each part."""
    cases = table_of(60, per_group=1).assign(group=[f"g{at}" for at in range(60)])
    cases["label"] = np.where(np.arange(60) < 3, "malignant", "benign")
    parts = split_cases(cases, seed=seed)
    assert parts["split"][parts["label"] == "malignant"].nunique() == 3


def test_a_class_that_cannot_be_in_every_part():
    """Two malignant patients of sixty: no split can be judged."""
    cases = table_of(60).assign(group=[f"g{at}" for at in range(60)])
    cases["label"] = np.where(np.arange(60) < 2, "malignant", "benign")
    with pytest.raises(CaseError, match=r"cannot be judged: no malignant case in .*add patients"):
        split_cases(cases)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda c: c.loc[c["split"] == "train", "label"], "no malignant case in train"),
        (lambda c: c.loc[c["split"] == "test", "label"], "no malignant case in test"),
        (lambda c: c.loc[c["split"] == "test", "group"], "1 patient in test"),
        (lambda c: c.loc[c["split"] == "valid", "group"], "1 patient in valid"),
    ],
)
def test_a_given_split_that_cannot_be_judged(tmp_path, spoil, words):
    """A given split without a class, or with one patient, in one of its parts is refused."""
    cases = make(tmp_path, 40).assign(split=["train"] * 20 + ["valid"] * 10 + ["test"] * 10)
    assert len(prepare_cases(cases)[0]) == 40
    cells = spoil(cases)
    cases.loc[cells.index, cells.name] = "benign" if cells.name == "label" else "one"
    with pytest.raises(CaseError, match=words) as told:
        prepare_cases(cases)
    assert "Change the column split, leave it out" in str(told.value)
