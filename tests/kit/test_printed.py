"""The paper's own gains: what can be computed beside the book's code is computed again here."""

import math

import numpy as np
import pytest
from records import record, some_rows
from scipy.stats import norm

from book.kit import figures, printed
from book.kit.stats import Evidence

ROWS = ("MS-MTL + Intra and Inter", "MS-MTL")


@pytest.fixture(scope="module")
def found():
    made = []
    for seed in (0, 1, 2):
        for name in ("ms-mtl", "full"):
            rows = some_rows(120, 0.3, seed=seed if name == "full" else 7 + seed)
            rows[["case", "group"]] = some_rows(120)[["case", "group"]]
            made.append(record(name, seed, rows))
    return Evidence(made)


def test_what_is_borrowed_is_what_the_runs_show(found):
    ours = printed.paired(found, "full", "ms-mtl")
    differ = []
    for seed in (0, 1, 2):
        right = [
            (np.array(found.runs[name][seed, ""]["per_image"]["p_malignant"]) > 0.5)
            == np.array(found.runs[name][seed, ""]["per_image"]["label"])
            for name in ("full", "ms-mtl")
        ]
        differ.append(np.mean(right[0] != right[1]))
    assert ours.images == 360
    assert ours.discordance == pytest.approx(np.mean(differ))
    assert -1 <= ours.together <= 1


def test_the_accuracy_has_mcnemars_error(found):
    told = {one.measure: one for one in printed.reprinted(found, "full", "ms-mtl", "", ROWS)}
    accuracy, share = told["ACC"], printed.paired(found, "full", "ms-mtl").discordance
    gain = 0.9075 - 0.8785  # of the paper's Table 1
    assert accuracy.difference == pytest.approx(gain)
    assert accuracy.error == pytest.approx(math.sqrt((share - gain**2) / 897))
    assert accuracy.false(False) == pytest.approx(norm.sf(gain / accuracy.error))
    assert accuracy.whole >= accuracy.error and accuracy.freedom > 0
    low, high = accuracy.interval(False)[1:]
    assert (high - low) / 2 == pytest.approx(1.96 * accuracy.error, rel=1e-3)


def test_what_trainings_add_is_added_for_both_systems(found):
    told = {one.measure: one for one in printed.reprinted(found, "full", "ms-mtl", "", ROWS)}
    dice, more = told["dice_paper_mean"], found.spread("dice_paper_mean").excess
    assert more > 0 and dice.whole**2 == pytest.approx(dice.error**2 + 2 * more)


def test_two_aucs_of_the_same_images_differ_by_less_than_of_others():
    one, other = (printed.hanley_mcneil(auc, 383, 514) for auc in (0.95, 0.94))
    assert printed._auc_variance(0.95, 0.94, 0.0) == pytest.approx(one + other)
    assert printed._auc_variance(0.95, 0.95, 0.5) == pytest.approx(one)
    assert printed._auc_variance(0.95, 0.95, 1.0) == pytest.approx(0, abs=1e-12)


def test_the_reviewers_figures_come_out():
    """Discordance 14 %, paired spread .26: ACC +2.9 [.5, 5.3], Dice +2.7 [1.0, 4.4]."""
    accuracy = printed.Reprinted("", "ACC", 0.029, math.sqrt((0.14 - 0.029**2) / 897), 0.02, 9)
    assert [round(100 * v, 1) for v in accuracy.interval(False)] == [2.9, 0.5, 5.3]
    dice = printed.Reprinted("", "dice_paper_mean", 0.0271, 0.26 / math.sqrt(897), 0.02, 9)
    assert [round(100 * v, 1) for v in dice.interval(False)] == [2.7, 1.0, 4.4]


def test_hanley_and_mcneil_is_the_spread_of_drawn_scores():
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(600):
        benign, malignant = rng.exponential(1, 80), rng.exponential(4, 60)
        drawn.append((malignant[:, None] > benign).mean())
    wanted = printed.hanley_mcneil(0.8, 60, 80)  # exponential scores, as they assume
    assert np.std(drawn) == pytest.approx(math.sqrt(wanted), rel=0.1)


def test_the_table_marks_what_is_assumed(found):
    told = printed.reprinted(found, "full", "ms-mtl", "with, less without", ROWS)
    shown = figures.reprinted_table(told, "the phantom")
    assert "Assumed: on the paper's images" in shown and "+2.9" in shown
    assert "120" not in shown
    with pytest.raises(ValueError, match="no pair"):
        figures.reprinted_table([], "")
    words = figures.lent_in_words(printed.paired(found, "full", "ms-mtl"), "the phantom")
    assert "360 answers (trainings times test images)" in words
    with pytest.raises(ValueError, match="share no training"):
        printed.paired(found, "full", "mtl")


def test_each_pair_is_lent_by_the_first_runs_that_have_it():
    def some(*names):
        runs = []
        for name in names:
            rows = some_rows(120, 0.3, seed=len(name))
            rows[["case", "group"]] = some_rows(120)[["case", "group"]]
            runs.append(record(name, 0, rows))
        return Evidence(runs)

    newer = some("ms-mtl", "ms-mtl+intra+inter")
    older = some("ms-mtl", "ms-mtl+intra+inter", "mtl", "mtl+inter", "msl")
    told = printed.lent([newer, older])
    assert list(dict.fromkeys(one.title for one in told)) == [
        "MS-MTL + Intra and Inter, compared with MS-MTL",
        "MTL + Inter, compared with MTL",
    ]  # of MSL there is one system only
    alone = printed.lent([newer])
    assert alone == [one for one in told if "MS-MTL" in one.title]
    assert printed.lent([]) == []
