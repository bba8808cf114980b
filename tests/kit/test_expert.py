"""Beside an expert: the point where the expert works, by hand and against scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from records import cells, record, some_rows
from sklearn.metrics import roc_auc_score, roc_curve

from book.kit import expert, figures, plan
from book.kit.expert import ALARMS, SENSITIVITY, STEPS, Expert
from book.kit.stats import SUFFIX, Evidence, log_odds, together
from lib import results

SYSTEM = "ms-mtl"


def all_three(images, seed=0):
    """Rows of all three tasks, each image of a patient of its own."""
    rows = some_rows(images, seed=seed)
    return rows.assign(group=rows["case"], seg2seg3_inter=rows["nodule_inter"])


def a_reader(rows, right=0.9, seed=1):
    """Categories of the patients in these rows: suspicious where malignant, mostly."""
    rng = np.random.default_rng(seed)
    given = {}
    for patient, some in rows.groupby("group"):
        ill = bool(some["label"].max())
        suspicious = ill if rng.random() < right else not ill
        given[patient] = int(rng.choice([4, 5] if suspicious else [2, 3]))
    return Expert(
        "0123456789abcdef", dict(zip(rows["case"], rows["group"].map(given), strict=True))
    )


def some_runs(folds=(0, 1), images=80):
    """Runs of two seeds whose rows are their validation images, too; one image is one patient."""
    found = []
    for seed in folds:
        rows = all_three(images, seed)
        found.append(record(SYSTEM, seed, rows) | {"validation": results.columns(rows)})
    return found


@pytest.fixture(scope="module")
def runs():
    return some_runs()


@pytest.fixture(scope="module")
def reader(runs):
    return a_reader(results.rows(runs[0]))


@pytest.fixture(scope="module")
def found(runs):
    return Evidence([*runs, *map(together, runs)])


def test_two_images_of_a_patient_are_one_answer():
    rows = all_three(4).assign(group=["p", "p", "q", "r"], label=[1, 1, 0, -1])
    rows["p_malignant"] = [0.2, 0.6, 0.3, 0.5]
    given = dict(zip(rows["case"], [3, 4, 2, 5], strict=True))
    run = record(SYSTEM, 0, rows)
    told = Expert("", given).patients(run)
    assert told["group"].tolist() == ["p", "q"]  # r has no class
    assert told["category"].tolist() == [4, 2]
    joint = together(run)["per_image"]["p_malignant"]
    assert told["odds"][0] == pytest.approx(np.mean(log_odds(joint[:2])))


def test_an_image_without_a_category_is_named(runs):
    with pytest.raises(ValueError, match="gave no category to case 0"):
        Expert("", {}).patients(runs[0])


def test_the_network_is_read_in_the_middle_of_the_step_where_it_equals_the_expert(runs, reader):
    rows = reader.patients(runs[0])
    told = expert.at_the_corner(rows)
    alarms, seen, _ = roc_curve(rows["label"], rows["odds"], drop_intermediate=False)
    suspicious = rows["category"] >= 4
    network, given, of = (side[0] for side in told[SENSITIVITY])
    step = seen[np.isclose(alarms, suspicious[rows["label"] == 0].mean())]
    assert network / of == pytest.approx((step.min() + step.max()) / 2)
    assert given == (suspicious & (rows["label"] == 1)).sum()
    network, given, of = (side[0] for side in told[ALARMS])
    step = alarms[np.isclose(seen, suspicious[rows["label"] == 1].mean())]
    assert network / of == pytest.approx((step.min() + step.max()) / 2)
    assert given == (suspicious & (rows["label"] == 0)).sum()


def test_a_patient_who_is_drawn_twice_counts_twice(runs, reader, monkeypatch):
    rows = reader.patients(runs[0])
    twice = pd.concat([rows, rows.iloc[:7]], ignore_index=True)
    times = np.r_[np.full(7, 2), np.ones(len(rows) - 7)]
    monkeypatch.setattr(expert, "draw", lambda some: times[None, : len(some)])
    drawn = [side[1] for one in expert.at_the_corner(rows).values() for side in one]
    monkeypatch.setattr(expert, "draw", lambda some: np.ones((1, len(some))))
    assert drawn == [side[0] for one in expert.at_the_corner(twice).values() for side in one]


def test_in_four_steps_the_network_gives_each_answer_as_often_as_the_expert(runs, reader):
    rows = reader.patients(runs[0])
    told = expert.in_steps(rows)["p_malignant"].round(1)
    given = ((rows["category"] - 1) / 5).round(1)
    assert sorted(told) == sorted(given)
    assert told[rows["odds"].argmax()] == given.max()
    assert told[rows["odds"].argmin()] == given.min()


def test_category_and_network_together_are_fitted_on_validation_alone(runs, reader):
    alone, both = reader.patients(runs[0]), reader.helped(runs[0])
    assert roc_auc_score(both["label"], both["odds"]) > roc_auc_score(alone["label"], alone["odds"])
    other = results.rows(runs[0]).assign(label=lambda t: 1 - t["label"])
    turned = runs[0] | {"per_image": results.columns(other)}
    assert (reader.helped(turned)["odds"] == both["odds"]).all()  # test labels are not looked at
    assert reader.helped(runs[0] | {"validation": None}) is None


def test_an_expert_who_answers_as_the_network_does_is_not_told_apart_from_it(found):
    one = Evidence([r for r in found.records if r["seed"] == 1])
    rows = results.rows(one.runs[f"{SYSTEM}{SUFFIX}"][1, ""])
    alike = dict(zip(rows["case"], np.where(rows["p_malignant"] > 0.5, 5, 2), strict=True))
    seen = expert.beside(one, Expert("", alike), [SYSTEM])[SYSTEM][SENSITIVITY]
    # The network's threshold may lie anywhere between two benign patients
    assert abs(seen.difference) < 2.5 / (len(rows) / 2)
    assert not seen.clear


def test_the_three_questions_are_judged_and_corrected(found, reader):
    told = expert.beside(found, reader, [SYSTEM, "mtl"])
    assert list(told) == [SYSTEM]
    assert list(told[SYSTEM]) == [SENSITIVITY, ALARMS, STEPS, "AUC"]
    auc, steps = told[SYSTEM]["AUC"], told[SYSTEM][STEPS]
    each = []
    for run in found.runs[SYSTEM].values():
        rows = reader.patients(run)
        rows["step"] = expert.in_steps(rows)["p_malignant"]
        each.append([roc_auc_score(rows["label"], rows[n]) for n in ("odds", "category", "step")])
    assert [auc.above, auc.below, steps.above] == pytest.approx(np.mean(each, axis=0))
    assert steps.below == auc.below
    assert auc.trainings == 2
    assert auc.patients == 80
    asked = [one for name, one in told[SYSTEM].items() if name != "AUC"]
    assert max(one.level for one in asked) == pytest.approx(1 - 0.05 / 3)  # Holm, of three
    assert all(one.spread_known for one in asked)


def test_the_experts_own_levels_are_counted(found, reader):
    rows = expert.tested(found, reader, SYSTEM)
    own = expert.levels(rows)
    suspicious = rows["category"] >= 4
    assert own[SENSITIVITY].estimate == suspicious[rows["label"] == 1].mean()
    assert own[ALARMS].estimate == suspicious[rows["label"] == 0].mean()
    assert all(one.low < one.estimate < one.high for one in own.values())


def test_the_curve_is_a_mean_in_which_malignant_patients_count_alike(reader, runs):
    few = results.rows(runs[0])
    few = few[(few["label"] == 0) | (few.index < 20)]  # a training with fewer malignant patients
    pair = [runs[0] | {"per_image": results.columns(few)}, runs[1]]
    share = np.linspace(0, 1, 11)
    each = [expert.curve(Evidence([run]), reader, SYSTEM, share) for run in pair]
    malignant = [int((reader.patients(run)["label"] == 1).sum()) for run in pair]
    assert malignant == [10, 40]
    assert expert.curve(Evidence(pair), reader, SYSTEM, share) == pytest.approx(
        (10 * each[0] + 40 * each[1]) / 50
    )
    # At the first alarm nobody has been called but those whom all benign patients lie below
    rows = reader.patients(pair[1])
    benign = rows["label"] == 0
    above = (rows["odds"][~benign] > rows["odds"][benign].max()).mean()
    assert each[1][0] == pytest.approx(above)


def test_only_patients_of_the_category_count_and_nobody_malignant_of_validation_is_spared(
    found, reader
):
    one = expert.in_category(found, reader, 4)
    for run in one.runs[SYSTEM].values():
        rows = results.rows(run)
        assert set(rows["category"]) == {4}
        ill = rows["label"] == 1
        assert not rows[expert.MISSED][ill].any()  # its rows are its validation rows, too
        below = rows["odds"] < rows["odds"][ill].min()
        assert (rows[expert.SPARED][~ill] == below[~ill]).all()
        assert rows[expert.CANCER].notna().sum() == below.sum()
    assert one.level(SYSTEM, "AUC").estimate > 0.5


def test_the_thirds_hold_every_image_once_and_the_smallest_first(found, reader):
    told = expert.by_size(found, reader, SYSTEM)
    sizes = [results.rows(one.runs.runs[SYSTEM][0, ""])["nodule_true"] for one in told.values()]
    assert sum(map(len, sizes)) == 80
    assert sizes[0].max() <= sizes[1].min()
    assert sizes[1].max() <= sizes[2].min()


def test_over_all_sizes_the_network_gives_as_many_false_alarms_as_the_expert(found, reader):
    told = expert.by_size(found, reader, SYSTEM)
    joint = f"{SYSTEM}{SUFFIX}"
    for key, run in found.runs[joint].items():
        rows = results.rows(run)
        suspicious = reader.of(rows["case"]) >= 4
        ill = (rows["label"] == 1).to_numpy()
        given = [results.rows(one.beside.runs[SYSTEM][key])[expert.FOUND] for one in told.values()]
        assert pd.concat(given).sum() == (suspicious & ill).sum()
        seen = [results.rows(one.beside.runs[joint][key])[expert.FOUND] for one in told.values()]
        odds = log_odds(rows["p_malignant"].to_numpy())
        threshold = expert.as_many(odds[~ill], int((suspicious & ~ill).sum()))
        assert ((odds > threshold) & ~ill).sum() == (suspicious & ~ill).sum()
        assert pd.concat(seen).sum() == ((odds > threshold) & ill).sum()


def test_tables_sentences_and_the_figure_say_what_was_computed(found, reader):
    told = expert.beside(found, reader, [SYSTEM])
    seen = told[SYSTEM][SENSITIVITY]
    shown = cells(figures.expert_table({"128 px": told}, {SYSTEM: "MS-MTL"}))
    assert f"{100 * seen.above:.1f} / {100 * seen.below:.1f}" in str(shown)
    own = expert.levels(expert.tested(found, reader, SYSTEM))
    said = figures.expert_in_words(told[SYSTEM], own)
    assert f"finds {100 * seen.above:.1f} % of the malignant" in said
    asked = [told[SYSTEM][name] for name in (SENSITIVITY, ALARMS, STEPS)]
    lead = said.startswith("where the expert works, the two are not told apart.**")
    assert said.count("not told apart") == sum(not one.clear for one in asked) + lead
    drawn = figures.expert_curves({"128 px": found}, SYSTEM, reader, "MS-MTL")
    assert "from 4 on" in drawn.layout.meta["alt"]
    each = {category: expert.in_category(found, reader, category) for category in (2, 3, 4, 5)}
    table = cells(figures.category_table(each, SYSTEM, reader, found))
    rows = expert.tested(found, reader, SYSTEM)
    assert [int(row[1]) for row in table[1:]] == [
        int((rows["category"] == category).sum()) for category in (2, 3, 4, 5)
    ]
    assert "spared" in figures.category_in_words(each[4], SYSTEM)
    both = expert.beside(found, reader, [SYSTEM], reader.helped)
    assert f"{100 * both[SYSTEM][SENSITIVITY].above:.1f} %" in figures.helped_in_words(both[SYSTEM])
    thirds = expert.by_size(found, reader, SYSTEM)
    assert len(cells(figures.size_table(thirds, SYSTEM))) == 4


@pytest.mark.parametrize(
    ("seen", "alarms", "who"),
    [
        (-0.1, 0.2, "the expert is better"),
        (-0.1, None, "the expert is better"),
        (0.1, None, "the network is better"),
        (0.1, 0.2, "the two are not told apart"),  # one by the one, one by the other
        (None, None, "the two are not told apart"),
    ],
)
def test_who_is_better_where_the_expert_works(found, reader, seen, alarms, who):
    told = expert.beside(found, reader, [SYSTEM])[SYSTEM]
    for name, value in ((SENSITIVITY, seen), (ALARMS, alarms)):
        told[name] = replace(told[name], difference=value or 0.0, p=1.0 if value is None else 0.001)
    own = expert.levels(expert.tested(found, reader, SYSTEM))
    assert figures.expert_in_words(told, own).startswith(f"where the expert works, {who}.**")


@pytest.mark.parametrize("draw", ["expert_table", "expert_curves", "category_table", "size_table"])
def test_what_was_not_run_is_said(draw, found, reader):
    given = {
        "expert_table": ({}, {}),
        "expert_curves": ({"128 px": found}, "mtl", reader, "MTL"),
        "category_table": ({}, "mtl", reader, found),
        "size_table": (expert.by_size(found, reader, SYSTEM), "mtl"),
    }[draw]
    with pytest.raises(ValueError, match="been run"):
        getattr(figures, draw)(*given)


def test_the_books_categories_are_those_of_its_runs():
    reader = expert.load()
    told = json.loads(expert.FILE.read_text(encoding="utf-8"))["categories"]
    assert sum(map(len, told.values())) == len(reader.categories) == 1875
    folder = results.RESULTS / plan.REAL / plan.PROFILE / SYSTEM
    run = results.load(folder / "fold1-seed0.json")
    assert reader.covers(Evidence([run]))
    rows = reader.patients(run)
    assert len(rows) == len(set(run["per_image"]["group"]))
    assert pd.Series(reader.categories).between(2, 5).all()
    assert not reader.covers(Evidence([run | {"data": {"fingerprint": "other"}}]))
