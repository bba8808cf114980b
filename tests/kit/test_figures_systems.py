"""Many systems and seeds in one table, tests in another, and the paper's Fig. 3."""

import math

import numpy as np
import pytest
from records import as_numbers, cells, record, some_rows

from book.kit import figures, paper
from book.kit.figures.fig3 import ROUNDING
from book.kit.stats import Difference, Evidence
from lib.metrics import summarise

TITLES = {"clsnet": "ClsNet", "msl": "MSL", "ms-mtl": "MS-MTL"}


def own_rows(seed):
    """What another training answers on the same test images."""
    same = some_rows()[["case", "group", "label"]]
    return some_rows(seed=seed).assign(**{name: same[name] for name in same})


def some_runs():
    """Three systems out of order: two seeds of all tasks, one of outlines, one of the class."""
    return [
        record("ms-mtl", seed=1, rows=own_rows(1)),
        record("msl", rows=some_rows().drop(columns="p_malignant")),
        record("clsnet", rows=some_rows()[["case", "group", "label", "p_malignant"]]),
        record("ms-mtl", seed=0),
    ]


def lines_of(table):
    head, *body = cells(table)
    return {line[0]: dict(zip(head, line, strict=True)) for line in body}


def test_rows_are_systems_in_the_order_of_the_titles_with_their_seeds_counted():
    lines = lines_of(figures.systems_table(Evidence(some_runs()), TITLES))
    assert list(lines) == ["ClsNet", "MSL", "MS-MTL"]
    assert [line["trainings"] for line in lines.values()] == ["1", "1", "2"]
    assert list(lines_of(figures.systems_table(Evidence(some_runs()), {"msl": "MSL"}))) == ["MSL"]


def test_each_has_the_mean_over_its_trainings_with_the_interval_of_the_rule():
    evidence = Evidence(some_runs())
    lines = lines_of(figures.systems_table(evidence, TITLES))
    for system, title in (("clsnet", "ClsNet"), ("ms-mtl", "MS-MTL")):
        level = [100 * v for v in evidence.level(system, "ACC")]
        assert as_numbers(lines[title]["Accuracy"]) == pytest.approx(level, abs=0.051)
    mean = np.mean([summarise(own_rows(seed))["ACC"] for seed in (0, 1)])
    assert evidence.level("ms-mtl", "ACC").estimate == pytest.approx(mean)


def test_a_task_that_a_system_lacks_is_a_dash_and_derived_measures_are_marked():
    table = figures.systems_table(Evidence(some_runs()), TITLES)
    lines = lines_of(table)
    assert lines["MSL"]["Accuracy"] == lines["ClsNet"]["Dice,nodule"] == figures.ABSENT
    assert as_numbers(lines["MSL"]["Accuracy†"])[0] == pytest.approx(
        100 * summarise(some_rows())["ACC_seg"], abs=0.051
    )
    assert "† Derived, not in the paper" in table
    only = figures.systems_table(Evidence(some_runs()), TITLES, measures={"ACC": "Accuracy"})
    assert "†" not in only
    assert lines_of(only)["MSL"]["Accuracy"] == figures.ABSENT


def test_the_papers_value_stands_below_ours_and_where_we_have_none():
    theirs = {"ms-mtl": {"ACC": 0.8785}, "msl": {"ACC": 0.5}}
    table = figures.systems_table(Evidence(some_runs()), TITLES, theirs, {"ACC": "Accuracy"})
    lines = lines_of(table)
    assert as_numbers(lines["MS-MTL"]["Accuracy"])[3:] == [87.8]
    assert lines["MSL"]["Accuracy"] == figures.ABSENT + "50.0*"
    assert "private" in table
    assert "private" not in figures.systems_table(Evidence(some_runs()), TITLES)


def test_systems_refuse_nothing_to_show():
    with pytest.raises(ValueError, match="no run to show"):
        figures.systems_table(Evidence([]))
    with pytest.raises(ValueError, match="no run to show"):
        figures.systems_table(Evidence([record()]), {"other": "another"})
    with pytest.raises(ValueError, match="any of the measures"):
        figures.systems_table(Evidence([record()]), measures={"none": "None"})


def test_one_training_alone_is_said_to_leave_out_what_another_would_give():
    assert "between trainings is not known" in figures.systems_table(Evidence([record()]))
    assert "is not known" not in figures.systems_table(Evidence(some_runs()), {"ms-mtl": ""})


# ------------------------------------------------------------------------------------------- tests


def found(measure="ACC", **changes):
    at = {"above": 0.9, "below": 0.8, "difference": 0.1, "low": 0.02, "high": 0.18, "p": 0.02}
    at |= {"error": 0.03, "share": 1.0, "seeds": (0,), "trainings": 1, "images": 90}
    return Difference(
        measure, **at | {"patients": 45, "smallest": 45, "spread_known": True} | changes
    )


FELL = {"difference": -0.1, "low": -0.18, "high": -0.02}
OPEN = {"p": 0.3, "low": -0.005}


@pytest.mark.parametrize(
    ("measure", "changes", "words"),
    [
        ("ACC", {}, "10.0 points higher (95 %: 2.0 to 18.0 higher)"),
        ("inconsis_cls", FELL, "10.0 points fewer (95 %: 2.0 to 18.0 fewer)"),
        ("ACC", OPEN, "10.0 points higher (95 %: 0.5 lower to 18.0 higher)"),
        ("ACC", {"low": 0.0004}, "10.0 points higher (95 %: 0.04 to 18.0 higher)"),
        ("ACC", {"low": -0.0004}, "10.0 points higher (95 %: 0.04 lower to 18.0 higher)"),
        ("ACC", {"difference": -0.0004}, "no difference (95 %: 2.0 to 18.0 higher)"),
        ("AUC", {"why": "a class of 2 patients"},
         "10.0 points higher (no interval: a class of 2 patients)"),
    ],
)  # fmt: skip
def test_a_difference_reads_as_a_sentence(measure, changes, words):
    assert figures.sentence(found(measure, **changes)) == words


@pytest.mark.parametrize(
    ("measure", "changes", "word"),
    [
        ("ACC", {}, "higher"),
        ("ACC", FELL, "lower"),
        ("inconsis_cls", FELL, "fewer"),
        ("ACC", OPEN, "not told apart; no worse by 1 point"),
        ("ACC", {"p": 0.05, "low": -0.03}, "not told apart"),
        ("ACC", {"p": math.nan, "why": "a class of 2 patients"}, "too few patients"),
    ],
)
def test_the_verdict_is_that_of_the_corrected_p(measure, changes, word):
    assert figures.verdict(found(measure, **changes)) == word


def test_tests_show_what_they_compared():
    head, line = cells(figures.tests_table({"ACC": found()}, titles=("<a>", "b")))
    assert head[1:4] == ["&lt;a&gt;", "b", "&lt;a&gt; minusb"] and head[-1] == "verdict"
    assert line[0] == "Accuracy"
    assert [as_numbers(cell) for cell in line[1:4]] == [[90.0], [80.0], [10.0, 2.0, 18.0]]
    assert line[4:] == [".020", "8.4", "higher"]
    (_, line) = cells(figures.tests_table({"ACC": found(p=0.0001, spread_known=False)}))
    assert line[4] == "&lt; .001"
    assert "is not known" in figures.tests_table({"ACC": found(spread_known=False)})
    with pytest.raises(ValueError, match="no training in common"):
        figures.tests_table({})


# ------------------------------------------------------------------------------------------- Fig. 3


def both_orders(seg, cls, double):
    """The sum of both soft cross-entropies, written out."""
    seg, cls = np.array([1 - seg, seg]), np.array([1 - cls, cls])

    def log(p):
        return np.log(np.exp(p) / np.exp(p).sum()) if double else np.log(np.maximum(p, 1e-7))

    return -(seg * log(cls)).sum() - (cls * log(seg)).sum()


@pytest.mark.parametrize("row", paper.FIGURE_3)
def test_the_printed_losses_of_fig_3_are_those_of_the_double_softmax(row):
    losses = figures.fig3_losses(row)
    assert losses["double"] == pytest.approx(
        both_orders(row.seg_malignant, row.cls_malignant, True)
    )
    assert losses["single"] == pytest.approx(
        both_orders(row.seg_malignant, row.cls_malignant, False), abs=1e-5
    )
    assert losses["low"] <= row.loss <= losses["high"]
    assert losses["single"] > 2 * row.loss
    steps = np.linspace(-ROUNDING, ROUNDING, 9)
    inside = [
        both_orders(
            np.clip(row.seg_malignant + up, 1 / (1 + np.e), np.e / (1 + np.e)),
            np.clip(row.cls_malignant + across, 0, 1),
            True,
        )
        for up in steps
        for across in steps
    ]
    assert (losses["low"], losses["high"]) == pytest.approx((min(inside), max(inside)))


def test_fig_3_as_a_table():
    head, *body = cells(figures.fig3_table())
    assert len(body) == 4
    assert [line[head.index("loss*")] for line in body] == ["1.0711", "1.0716", "1.9918", "1.9738"]
    assert body[3][1:4] == ["0.499 0.501", "0.270 0.730", "0.986 0.014"]
    assert body[3][head.index("double softmax")] == "1.9734"
    assert body[3][-1].startswith("4.4")


# ---------------------------------------------------------------------------------------- headline


def test_the_headline_begins_with_contradictions_and_tells_the_rest_by_verdict():
    family = {
        "inconsis_cls": found("inconsis_cls", **FELL),
        "ACC": found(),
        "F1": found("F1", **OPEN),
        "AUC": found("AUC", p=0.3, low=-0.05),
        "dice_nodule": found("dice_nodule", p=math.nan, why="a class of 2 patients"),
    }
    assert figures.headline(family) == (
        "T1 and T3 contradict each other in **90.0 %** of the test images with the three terms and "
        "in **80.0 %** without: **10.0 points fewer (95 %: 2.0 to 18.0 fewer)**. "
        "Accuracy: 10.0 points higher (95 %: 2.0 to 18.0 higher). "
        "Not told apart, and no worse by 1 point: F1. "
        "Not told apart, though it may be worse by more: AUC. "
        "Too few patients to tell: Dice, nodule."
    )
    unclear = figures.headline({"inconsis_cls": found("inconsis_cls", p=0.3)})
    assert unclear.endswith("more), **not told apart**.")
    alone = figures.headline({"inconsis_cls": found("inconsis_cls", spread_known=False, **FELL)})
    assert alone.endswith("fewer), **not told apart**.")


def test_two_folds_of_a_system_are_two_columns():
    shown = cells(figures.measures_table([record() | {"fold": fold} for fold in (1, 2)]))
    assert shown[0][1:3] == ["ms-mtl, fold 1", "ms-mtl, fold 2"]


def test_what_calling_everything_malignant_reaches():
    found = {("busbra", "laptop"): Evidence([record("a")])}
    assert figures.trivial_in_words(found).endswith("an F1 of: BUS-BRA 66.7 %.")


def test_an_answer_counts_images_and_says_why_there_is_none():
    pair = [record("a"), record("b", rows=some_rows(wrong_maps=0))]
    said = figures.answer(Evidence(pair), "b", "a")
    assert said.startswith("40 test images of 20 patients (20 benign, 20 malignant), 1 training of")
    assert "between trainings is not known" in said
    assert figures.answer("other fingerprint", "b", "a") == (
        "*Nothing to compare: other fingerprint.*"
    )
    assert "not run here yet: c" in figures.answer(Evidence(pair), "a", "c")


def test_settings_are_compared_training_by_training():
    """Two seeds may differ in a setting; two systems of one seed that do are told to."""

    def run(name, seed, epochs):
        return record(name, seed, some_rows(seed=seed), parameters={"epochs": epochs})

    alike = [run(name, seed, 10 + seed) for name in "ab" for seed in (0, 1)]
    assert "also differ" not in figures.answer(Evidence(alike), "b", "a")
    unlike = [run("a", 0, 10), run("b", 0, 20)]
    assert "Mind: the two systems also differ in epochs." in figures.answer(
        Evidence(unlike), "b", "a"
    )


def test_settings_of_a_system_are_no_difference_of_its_run():
    one, two = (
        {"parameters": {"network": n, "losses": n, "lr": lr, "size": 96, **more}}
        for n, lr, more in (("A", 1, {}), ("B", 2, {"new": 1}))
    )
    assert figures.unlike(one, two) == ["lr"]
    assert figures.unlike(one, one) == []
