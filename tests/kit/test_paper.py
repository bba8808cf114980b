"""The paper's numbers agree with each other as far as its rounding allows."""

import numpy as np
import pytest

from book.kit import figures, paper
from lib.metrics import MEANS

ROWS = {1: 21, 3: 6, 4: 8, 5: 2, 6: 4}
CELLS = {1: 150, 3: 12, 4: 16, 5: 4, 6: 8}  # that hold a number, counted in the paper
BASELINE, FULL = "MS-MTL", "MS-MTL + Intra and Inter"


@pytest.mark.parametrize("number", ROWS)
def test_every_printed_cell_is_there_and_is_a_fraction(number):
    table = paper.table(number)
    assert table.shape[0] == ROWS[number] and table.index.is_unique
    assert table.notna().to_numpy().sum() == CELLS[number]
    values = table.to_numpy()
    assert ((values > 0) & (values < 1) | np.isnan(values)).all()


@pytest.mark.parametrize("number", ROWS)
def test_columns_are_measures_of_ours(number):
    ours = {measure for section in figures.SECTIONS.values() for measure in section}
    assert set(paper.table(number).columns) <= ours


def test_the_two_classes_average_to_the_printed_mean():
    table = paper.table(1)
    for mean in ("dice_paper_mean", "iou_paper_mean"):
        gap = table[mean] - table[list(MEANS[mean])].mean(axis=1)
        # Each class is rounded by half a digit at most, and so is the mean
        assert gap.abs().max() <= 1e-4 + 1e-9


def test_iou_never_exceeds_dice():
    table = paper.table(1).dropna(subset=["dice_paper_mean"])
    for name in ("mean", "benign", "malignant"):
        assert (table[f"iou_paper_{name}"] < table[f"dice_paper_{name}"]).all()


@pytest.mark.parametrize(
    ("number", "row", "model"),
    [(4, "none", BASELINE), (6, "none", BASELINE), (4, "all three", FULL)],
)
def test_ablations_repeat_table_1(number, row, model):
    ablation = paper.table(number)
    assert ablation.loc[row].equals(paper.table(1).loc[model, ablation.columns].rename(row))


def test_tables_4_5_and_6_repeat_each_other():
    same = [paper.table(n).loc[r] for n, r in ((4, "T1T3"), (5, "max-probability"), (6, "SC + CS"))]
    assert (same[0] == same[1]).all() and (same[0] == same[2]).all()


def test_gains_of_the_text_follow_from_table_1():
    table = 100 * paper.table(1)
    gain = lambda to, of: (table.loc[to] - table.loc[of]).round(2)  # noqa: E731
    assert gain("MSL + Intra", "MSL")["dice_paper_mean"] == 0.8  # section 5.1.1
    assert gain("MTL + Inter", "MTL")[["iou_paper_mean", "F1", "AUC"]].to_list() == [
        2.24, 1.98, 0.92,
    ]  # fmt: skip
    columns = ["dice_paper_mean", "iou_paper_mean", "F1", "AUC"]
    assert gain(FULL, BASELINE)[columns].to_list() == [2.71, 2.53, 3.47, 0.85]  # section 5.1.3


def test_the_first_row_is_the_classifier_of_the_second():
    alone, combined = paper.table(1).iloc[0], paper.table(1).iloc[1]
    assert (alone.dropna() == combined[alone.dropna().index]).all()


def test_figure_3_holds_probabilities_that_sum_to_1():
    for row in paper.FIGURE_3:
        pairs = np.reshape(row[1:7], (3, 2))
        assert np.allclose(pairs.sum(1), 1)
    assert [row.truth for row in paper.FIGURE_3] == ["benign", "malignant"] * 2


def test_the_test_set_is_a_stratified_fifth():
    share = paper.IMAGES["malignant"] / sum(paper.IMAGES.values())
    assert sum(paper.IMAGES.values()) == 4493  # as printed
    assert round(paper.TEST_IMAGES * share) == paper.MALIGNANT
    assert paper.BENIGN + paper.MALIGNANT == paper.TEST_IMAGES == 897


def test_tables_are_fresh_and_unknown_ones_refused():
    changed = paper.table(5)
    changed.loc["all-probability", "F1"] = 0
    assert paper.table(5).loc["all-probability", "F1"] == 0.8576
    for number in (2, 7):
        with pytest.raises(ValueError, match=f"no Table {number} of measures; use one of 1, 3, 4"):
            paper.table(number)
