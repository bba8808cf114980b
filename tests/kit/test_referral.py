"""Errors left when images go to a human: by hand, and against scikit-learn and SciPy."""

import numpy as np
import pandas as pd
import pytest
from records import cells, record, some_rows
from scipy.spatial.distance import jensenshannon

from book.kit import figures, referral
from book.kit.referral import ORDERS, Left, at_contradictions, doubts, jensen_shannon, left
from book.kit.stats import Evidence, Spread

ONCE = np.ones((1, 4))


@pytest.mark.parametrize(
    ("doubt", "coverage", "wrong"),
    [
        ([1, 2, 3, 4], 0.75, 1),  # the last, which is wrong, is referred
        ([1, 2, 3, 4], 0.5, 0),
        ([4, 3, 2, 1], 0.5, 2),  # the wrong ones are the surest
        ([1, 1, 1, 1], 0.5, 1),  # nobody knows: half of the errors
        ([1, 2, 2, 2], 0.5, 2 / 3),  # one of three, of which two are wrong
    ],
)
def test_the_most_doubtful_are_referred_and_equal_doubts_in_equal_parts(doubt, coverage, wrong):
    found = left(np.array([0.0, 0, 1, 1]), np.array(doubt), ONCE, np.array([[coverage]]))
    assert found.wrong.item() == pytest.approx(wrong)
    assert found.kept.item() == pytest.approx(4 * coverage)


def test_an_image_that_is_drawn_twice_counts_twice():
    weights = np.array([[2.0, 0, 1, 1]])
    found = left(np.array([0.0, 0, 1, 1]), np.arange(4), weights, np.array([[0.75]]))
    assert (found.wrong.item(), found.kept.item()) == (1, 3)


def some_doubts(wrong, apart, sure):
    """One run's images; `sure` says how sure all orders but contradictions are."""
    sure = np.array(sure, float)
    same = dict.fromkeys(("t1", "joint", "shannon"), -sure)
    rows = {"case": [f"c{k}" for k in range(len(wrong))], "wrong": np.array(wrong, float)}
    return pd.DataFrame(rows | {"contradiction": np.array(apart, float)} | same)


def test_as_many_are_referred_as_contradict_each_other():
    rows = some_doubts(wrong=[0, 0, 1, 1], apart=[0, 0, 0, 1], sure=[1, 2, 3, 4])
    coverage, told = at_contradictions(rows)
    assert coverage[0] == 0.75
    assert told["contradiction"].wrong[0] == 1  # of the two errors one is referred
    assert told["t1"].wrong[0] == 2  # the least sure was right
    assert coverage.shape == told["t1"].kept.shape == (2001,)


def test_runs_are_ranked_by_themselves_and_counted_together():
    one = some_doubts([0, 0, 1, 1], [0] * 4, [4, 3, 2, 1])
    other = some_doubts([0, 0, 0, 1], [0] * 4, [0.4, 0.3, 0.2, 0.1])
    found = referral.curves([one, other])["t1"][0]
    at = {round(c, 2): share for c, share in zip(referral.GRID, found, strict=True)}
    assert at[1.0] == pytest.approx(3 / 8)
    assert at[0.5] == 0  # two of each; in one ranking all of the second would have been referred


def test_disagreement_is_that_of_scipy():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 50))
    wanted = [
        jensenshannon([p, 1 - p], [q, 1 - q], 2) ** 2 for p, q in zip(one, other, strict=True)
    ]
    assert jensen_shannon(one, other) == pytest.approx(np.array(wanted))


def full_rows(images=120, seed=0, alarm=True):
    """Images of all three tasks; the joint answer is wrong mostly where the alarm rings."""
    rows = some_rows(images, wrong_maps=0, seed=seed)
    rng = np.random.default_rng(seed)
    apart = rng.random(images) < 0.3
    wrong = apart & (rng.random(images) < 0.8) if alarm else rng.random(images) < 0.25
    right = np.where(wrong, 1 - rows["label"], rows["label"])
    rows["p_malignant"] = np.where(right == 1, 0.9, 0.1)
    rows["seg_as_cls"] = np.where(apart, 1 - right, right)
    rows["seg_as_cls_p"] = np.where(rows["seg_as_cls"] == 1, 0.7, 0.3)
    rows["group"] = rows["case"]
    return rows.assign(seg2seg3_inter=1, seg2seg3_union=1)


def test_a_run_tells_where_it_is_wrong_and_in_doubt():
    rows = full_rows()
    rows.loc[0, "label"] = -1
    told = doubts(record(rows=rows))
    assert len(told) == len(rows) - 1 and set(ORDERS) | {"wrong"} <= set(told)
    known = rows[1:].reset_index(drop=True)
    assert told["wrong"].tolist() == ((known["p_malignant"] > 0.5) != known["label"]).tolist()
    apart = (known["p_malignant"] > 0.5) != known["seg_as_cls"]
    assert told["contradiction"].tolist() == apart.tolist()
    # T3 .7 after its softmax: before it the scores were log(.7 / .3) apart
    before = (1 + np.log(0.7 / 0.3)) / 2
    first = told.index[(known["p_malignant"] == 0.9) & (known["seg_as_cls"] == 1)][0]
    wanted = jensenshannon([0.9, 0.1], [before, 1 - before], 2) ** 2
    assert told["shannon"][first] == pytest.approx(wanted)
    assert doubts(record(rows=some_rows())) is None  # no T2


@pytest.fixture(scope="module")
def referred():
    runs = [record(seed=s, rows=full_rows()) for s in (0, 1)]
    runs += [record("blind", seed=s, rows=full_rows(alarm=False)) for s in (0, 1)]
    runs.append(record("clsnet", rows=full_rows()[["case", "group", "label", "p_malignant"]]))
    return referral.referred(Evidence(runs), ["ms-mtl", "blind", "clsnet"])


def test_a_good_alarm_is_told_apart_and_a_blind_one_is_not(referred):
    assert list(referred) == ["ms-mtl", "blind"]
    good, blind = referred.values()
    rows = full_rows()
    apart = ((rows["p_malignant"] > 0.5) != rows["seg_as_cls"]).to_numpy()
    assert good.coverage[0] == pytest.approx(1 - apart.mean())
    assert good.shares["contradiction"][0] == 0  # every error is in a contradictory image
    assert good.less["t1"].clear and good.less["t1"].difference < -0.1
    assert not blind.less["t1"].clear
    assert good.less["t1"].trainings == 2 and good.less["t1"].spread_known


def test_more_trainings_make_it_surer():
    """No draw of patients moves the difference: all that is left is what trainings add."""
    shares = {"contradiction": np.full(51, 0.2), "t1": np.full(51, 0.1)}
    rows = some_doubts([0, 1] * 20, [0, 1] * 20, range(40)).assign(group=range(40))
    spread = Spread(between=4e-4, explained=0.0, freedom=3)
    for trainings in (1, 4):
        runs = {(seed, ""): rows for seed in range(trainings)}
        found = referral._less(shares, "t1", spread, rows, runs)
        assert found.error**2 == pytest.approx(4e-4 / trainings)


def test_the_words_the_table_and_the_figure_say_it(referred):
    good, blind = referred.values()
    assert "not told apart" in figures.referral_in_words(blind)
    assert "points lower" in figures.referral_in_words(good)
    table = cells(figures.referral_table(referred, {"ms-mtl": "MS-MTL"}))
    assert table[1][0].startswith("MS-MTL") and len(table) == 1 + 2 * (1 + len(ORDERS))
    assert table[2][1].startswith("0.0") and table[3][3] == "fewer errors"
    drawn = figures.referral_curves([doubts(record(rows=full_rows()))], good)
    assert [t.name for t in drawn.data if t.showlegend is None][-1].startswith("contradictory")
    assert drawn.data[-1].y[0] == 0 and "at 50% kept" in drawn.layout.meta["alt"]
    for make in (figures.referral_table, figures.referral_curves):
        with pytest.raises(ValueError, match="no run"):
            make([] if make is figures.referral_curves else {}, good)


def test_nothing_kept_is_no_share():
    empty = Left(np.zeros(2), np.zeros(2))
    assert np.isnan(referral._share([empty])).all()
