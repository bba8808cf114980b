"""Beside an expert: the point where the expert works, by hand and against scikit-learn."""

import json

import numpy as np
import pandas as pd
import pytest
from records import cells, record, some_rows
from sklearn.metrics import roc_auc_score, roc_curve

from book.kit import expert, figures, plan
from book.kit.expert import SENSITIVITY, Expert
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
        "busbra",
        "0123456789abcdef",
        "",
        dict(zip(rows["case"], rows["group"].map(given), strict=True)),
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
    told = Expert("", "", "", given).patients(run)
    assert told["group"].tolist() == ["p", "q"]  # r has no class
    assert told["category"].tolist() == [4, 2]
    joint = together(run)["per_image"]["p_malignant"]
    assert told["odds"][0] == pytest.approx(np.mean(log_odds(joint[:2])))


def test_an_image_without_a_category_is_named(runs):
    with pytest.raises(ValueError, match="gave no category to case 0"):
        Expert("", "", "", {}).patients(runs[0])


def test_sensitivity_is_read_in_the_middle_of_the_step_at_the_experts_false_alarms(runs, reader):
    rows = reader.patients(runs[0])
    alarms, seen, _ = roc_curve(rows["label"], rows["odds"], drop_intermediate=False)
    step = seen[np.isclose(alarms, (rows["category"][rows["label"] == 0] >= 4).mean())]
    network, given, of = (side[0] for side in expert.at_the_corner(rows))
    assert network / of == pytest.approx((step.min() + step.max()) / 2)
    assert given == ((rows["category"] >= 4) & (rows["label"] == 1)).sum()


def test_a_patient_who_is_drawn_twice_counts_twice(runs, reader, monkeypatch):
    rows = reader.patients(runs[0])
    twice = pd.concat([rows, rows.iloc[:7]], ignore_index=True)
    times = np.r_[np.full(7, 2), np.ones(len(rows) - 7)]
    monkeypatch.setattr(expert, "draw", lambda some: times[None, : len(some)])
    drawn = [side[1] for side in expert.at_the_corner(rows)]
    monkeypatch.setattr(expert, "draw", lambda some: np.ones((1, len(some))))
    assert drawn == [side[0] for side in expert.at_the_corner(twice)]


def test_an_expert_who_answers_as_the_network_does_is_not_told_apart_from_it(found):
    one = Evidence([r for r in found.records if r["seed"] == 1])
    rows = results.rows(one.runs[f"{SYSTEM}{SUFFIX}"][1, ""])
    alike = dict(zip(rows["case"], np.where(rows["p_malignant"] > 0.5, 5, 2), strict=True))
    seen = expert.beside(one, Expert("", "", "", alike), [SYSTEM])[SYSTEM][SENSITIVITY]
    # The network's threshold may lie anywhere between two benign patients
    assert abs(seen.difference) < 2.5 / (len(rows) / 2)
    assert not seen.clear


def test_both_questions_are_judged_and_corrected(found, reader):
    told = expert.beside(found, reader, [SYSTEM, "mtl"])
    assert list(told) == [SYSTEM]
    assert list(told[SYSTEM]) == ["AUC", SENSITIVITY]
    auc = told[SYSTEM]["AUC"]
    each = []
    for run in found.runs[SYSTEM].values():
        rows = reader.patients(run)
        truth = rows["label"]
        each.append([roc_auc_score(truth, rows[name]) for name in ("odds", "category")])
    assert [auc.above, auc.below] == pytest.approx(np.mean(each, axis=0))
    assert auc.trainings == 2
    assert auc.patients == 80
    assert all(one.level >= 0.95 for one in told[SYSTEM].values())
    assert all(one.spread_known for one in told[SYSTEM].values())


def test_the_curve_is_that_of_scikit_learn(found, reader):
    share = np.linspace(0, 1, 11)
    one = Evidence([r for r in found.records if r["seed"] == 0])
    rows = reader.patients(next(iter(one.runs[SYSTEM].values())))
    alarms, seen, _ = roc_curve(rows["label"], rows["odds"], drop_intermediate=False)
    assert expert.curve(one, reader, SYSTEM, share) == pytest.approx(np.interp(share, alarms, seen))


def test_only_patients_of_the_category_count_and_the_threshold_comes_from_validation(found, reader):
    one = expert.in_category(found, reader, 4)
    for run in one.runs[SYSTEM].values():
        rows = results.rows(run)
        assert set(rows["category"]) == {4}
        # The rows are the validation rows, too: no more than 2 % of the malignant lie below
        spared = rows[expert.CANCER].notna()
        ill = rows["label"] == 1
        assert (spared & ill).sum() <= np.floor(0.02 * ill.sum())
        assert (rows[expert.SPARED][~ill] == spared[~ill]).all()
    assert one.level(SYSTEM, "AUC").estimate > 0.5


def test_the_thirds_hold_every_image_once_and_the_smallest_first(found, reader):
    told = expert.by_size(found, reader, SYSTEM)
    sizes = [results.rows(one.runs[SYSTEM][0, ""])["nodule_true"] for one in told.values()]
    assert sum(map(len, sizes)) == 80
    assert sizes[0].max() <= sizes[1].min()
    assert sizes[1].max() <= sizes[2].min()
    joint = f"{SYSTEM}{SUFFIX}"
    rows = results.rows(told["small"].runs[joint][0, ""])
    ill = rows["label"] == 1
    suspicious = reader.of(rows["case"]) >= 4
    each = told["small"].value(joint, expert.BY_EXPERT[SENSITIVITY])
    other = results.rows(told["small"].runs[joint][1, ""])
    second = (reader.of(other["case"]) >= 4)[other["label"] == 1].mean()
    assert each == pytest.approx(np.mean([suspicious[ill].mean(), second]))


def test_tables_sentences_and_the_figure_say_what_was_computed(found, reader):
    told = expert.beside(found, reader, [SYSTEM])
    auc = told[SYSTEM]["AUC"]
    shown = cells(figures.expert_table({"128 px": told}, {SYSTEM: "MS-MTL"}))
    assert f"{100 * auc.above:.1f} / {100 * auc.below:.1f}" in str(shown)
    said = figures.expert_in_words(told[SYSTEM], "MS-MTL")
    assert f"the expert finds {100 * told[SYSTEM][SENSITIVITY].below:.1f} %" in said
    assert ("not told apart" in said) == any(not one.clear for one in told[SYSTEM].values())
    drawn = figures.expert_curves({"128 px": found}, SYSTEM, reader, "MS-MTL")
    assert "from 4 on" in drawn.layout.meta["alt"]
    each = {category: expert.in_category(found, reader, category) for category in (2, 3, 4, 5)}
    table = cells(figures.category_table(each, SYSTEM, reader, found))
    rows = expert.tested(found, reader, SYSTEM)
    assert [int(row[1]) for row in table[1:]] == [
        int((rows["category"] == category).sum()) for category in (2, 3, 4, 5)
    ]
    assert "AUC" in figures.category_in_words(each[4], SYSTEM)
    thirds = expert.by_size(found, reader, SYSTEM)
    assert len(cells(figures.size_table(thirds, SYSTEM))) == 4
    assert "small third" in figures.size_in_words(thirds, SYSTEM)


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
