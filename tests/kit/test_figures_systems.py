"""Many systems and seeds in one table, tests in another, and the paper's Fig. 3."""

import numpy as np
import pandas as pd
import pytest
from records import as_numbers, cells, record, some_rows

from book.kit import figures
from book.kit.figures.fig3 import ROUNDING
from book.kit.stats import bootstrap_interval, compare, compare_seeds, over_seeds
from lib import paper
from lib.metrics import summarise

TITLES = {"clsnet": "ClsNet", "msl": "MSL", "ms-mtl": "MS-MTL"}


def some_runs():
    """Three systems out of order: two seeds of all tasks, one of outlines, one of the class."""
    return [
        record("ms-mtl", seed=1, rows=some_rows(seed=1)),
        record("msl", rows=some_rows().drop(columns="p_malignant")),
        record("clsnet", rows=some_rows()[["case", "group", "label", "p_malignant"]]),
        record("ms-mtl", seed=0),
    ]


def lines_of(table):
    head, *body = cells(table)
    return {line[0]: dict(zip(head, line, strict=True)) for line in body}


def test_rows_are_systems_in_the_order_of_the_titles_with_their_seeds_counted():
    lines = lines_of(figures.systems_table(some_runs(), TITLES))
    assert list(lines) == ["ClsNet", "MSL", "MS-MTL"]
    assert [line["seeds"] for line in lines.values()] == ["1", "1", "2"]
    assert next(iter(lines_of(figures.systems_table(some_runs(), {"msl": "MSL"})))) == "MSL"


def test_one_seed_has_its_interval_over_patients_and_several_over_seeds():
    lines = lines_of(figures.systems_table(some_runs(), TITLES))
    rows = some_rows()
    one = bootstrap_interval(rows, "ACC", groups=rows["group"])
    assert as_numbers(lines["ClsNet"]["Accuracy"]) == pytest.approx(
        [100 * v for v in one], abs=0.051
    )
    two = over_seeds([summarise(some_rows(seed=k))["ACC"] for k in (0, 1)])
    assert as_numbers(lines["MS-MTL"]["Accuracy"]) == pytest.approx(
        [100 * v for v in two], abs=0.051
    )


def test_a_task_that_a_system_lacks_is_a_dash_and_derived_measures_are_marked():
    table = figures.systems_table(some_runs(), TITLES)
    lines = lines_of(table)
    assert lines["MSL"]["Accuracy"] == lines["ClsNet"]["Dice,nodule"] == figures.ABSENT
    assert as_numbers(lines["MSL"]["Accuracy†"])[0] == pytest.approx(
        100 * summarise(some_rows())["ACC_seg"], abs=0.051
    )
    assert "† Derived, not in the paper" in table
    only = figures.systems_table(some_runs(), TITLES, measures={"ACC": "Accuracy"})
    assert "†" not in only
    assert lines_of(only)["MSL"]["Accuracy"] == figures.ABSENT


def test_the_papers_value_stands_below_ours_and_where_we_have_none():
    theirs = {"ms-mtl": {"ACC": 0.8785}, "msl": {"ACC": 0.5}}
    table = figures.systems_table(some_runs(), TITLES, theirs, {"ACC": "Accuracy"})
    lines = lines_of(table)
    assert as_numbers(lines["MS-MTL"]["Accuracy"])[3:] == [87.8]
    assert lines["MSL"]["Accuracy"] == figures.ABSENT + "50.0*"
    assert "private" in table
    assert "private" not in figures.systems_table(some_runs(), TITLES)


def test_systems_refuse_nothing_and_the_same_run_twice():
    with pytest.raises(ValueError, match="no run to show"):
        figures.systems_table([])
    with pytest.raises(ValueError, match="any of the measures"):
        figures.systems_table([record()], measures={"none": "None"})
    with pytest.raises(ValueError, match=r"ms-mtl has a seed twice \(seeds \[0, 0\]\)"):
        figures.systems_table([record(), record()])


def test_runs_on_other_data_are_other_systems():
    lines = lines_of(figures.systems_table([record(), record(source="busbra")]))
    assert list(lines) == ["ms-mtl, phantom", "ms-mtl, busbra"]


def test_a_forest_has_a_dot_for_each_system_that_has_the_measure():
    theirs = {"ms-mtl": {"ACC": 0.8785}}
    drawn = figures.forest(some_runs(), "ACC", TITLES, theirs)
    ours, printed = drawn.data
    assert list(ours.y) == ["ClsNet", "MS-MTL"]
    mean, low, high = over_seeds([summarise(some_rows(seed=k))["ACC"] for k in (0, 1)])
    assert ours.x[1] == pytest.approx(100 * mean, abs=0.01)
    assert ours.error_x.arrayminus[1] == pytest.approx(100 * (mean - low), abs=0.011)
    assert ours.error_x.array[1] == pytest.approx(100 * (high - mean), abs=0.011)
    assert (list(printed.y), list(printed.x)) == (["MS-MTL"], [87.85])
    assert drawn.layout.xaxis.title.text == "Accuracy, %"
    with pytest.raises(ValueError, match="measure 'none'"):
        figures.forest(some_runs(), "none")


def test_a_menu_shows_the_forest_of_one_measure_at_a_time():
    theirs, names = (
        {"ms-mtl": {"ACC": 0.8785}},
        {"none": "None", "ACC": "Acc", "AUC_seg": "AUC, T3"},
    )
    drawn = figures.forests(some_runs(), names, TITLES, theirs)
    (menu,) = drawn.layout.updatemenus
    assert [button.label for button in menu.buttons] == ["Acc", "AUC, T3"]
    for index, (button, measure) in enumerate(zip(menu.buttons, ("ACC", "AUC_seg"), strict=True)):
        changed, layout = button.args
        shown = [trace for trace, on in zip(drawn.data, changed["visible"], strict=True) if on]
        alone = figures.forest(some_runs(), measure, TITLES, theirs).data
        assert [(list(t.x), list(t.y)) for t in shown] == [(list(t.x), list(t.y)) for t in alone]
        assert [trace.visible for trace in shown] == [index == 0] * len(shown)
        assert layout["xaxis.title.text"] == f"{button.label}, %"
    assert "AUC, T3: MSL" in drawn.layout.meta["alt"]
    with pytest.raises(ValueError, match="any of the measures"):
        figures.forests(some_runs(), {"none": "None"})


def test_costs_are_means_over_seeds_and_say_where_they_were_paid():
    runs = [
        record(seed=0, machine={"device": "cpu", "threads": 1}),
        record(
            seed=1,
            seconds={"total": 210.0},
            memory_mb=600.0,
            machine={"device": "cuda", "gpu": "A <fast> one"},
        ),
        record("msl", model={"parameters": 2_000_000, "forward_flops": 3_450_000_000}),
    ]
    lines = [line[1:] for line in cells(figures.costs_table(runs, TITLES))]
    assert lines[1:] == [
        ["2.0", "3.45", "1.5", "512", "cpu"],
        ["1.5", figures.ABSENT, "2.5", "556", "cpu, 1 thread, A &lt;fast&gt; one"],
    ]
    with pytest.raises(ValueError, match="no run to show"):
        figures.costs_table([])


# ------------------------------------------------------------------------------------------- tests


def compared(**columns):
    row = {"a": 0.9, "b": 0.8, "difference": 0.1, "low": 0.02, "high": 0.18, "p": 0.01}
    row |= {"p_holm": 0.02, "p_mcnemar": np.nan, "p_delong": np.nan} | columns
    return pd.DataFrame({"ACC": row}).T.rename_axis("measure")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, ["higher"]),
        ({"difference": -0.1, "low": -0.18, "high": -0.02}, ["lower"]),
        ({"p_holm": 0.05}, ["unclear"]),
        ({"p_holm": np.nan}, ["unclear"]),
    ],
)
def test_the_verdict_is_that_of_the_corrected_p(columns, words):
    _, line = cells(figures.tests_table(compared(**columns)))
    assert line[-1:] == words


def test_tests_show_what_they_compared():
    head, line = cells(figures.tests_table(compared(), titles=("with", "without")))
    assert head == [
        "in % and points",
        "with",
        "without",
        "with lesswithout",
        "p",
        "p, Holm",
        "verdict",
    ]
    assert line[0] == "Accuracy"
    assert [as_numbers(cell) for cell in line[1:4]] == [[90.0], [80.0], [10.0, 2.0, 18.0]]
    assert line[4:6] == [".010", ".020"]
    _, line = cells(figures.tests_table(compared(p=0.0001, p_delong=1.0), {"ACC": "Right"}))
    assert (line[0], line[4], line[6]) == ("Right", "&lt; .001", "1.000")
    with pytest.raises(ValueError, match="no row"):
        figures.tests_table(compared().iloc[:0])


def test_tests_take_what_lib_stats_gives():
    one, two = some_rows(), some_rows(wrong_maps=0)
    frame = compare(record(rows=two), record(rows=one), ["ACC", "AUC"], n=20, permutations=19)
    head, *body = cells(figures.tests_table(frame))
    assert [line[0] for line in body] == ["Accuracy", "AUC"]
    assert "p, McNemar" in head
    assert "p, DeLong" in head
    seeds = compare_seeds(
        [record(rows=two), record(rows=two, seed=1)],
        [record(rows=one), record(rows=one, seed=1)],
        ["dice_paper_mean"],
        n=20,
        permutations=19,
    )
    body = cells(figures.tests_table(seeds))[1:]
    assert [line[0] for line in body][::2] == ["seed 0", "seed 1", "over seeds"]
    assert as_numbers(body[5][1])[0] == pytest.approx(
        100 * summarise(two)["dice_paper_mean"], abs=0.051
    )


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
        both_orders(row.seg_malignant + up, np.clip(row.cls_malignant + across, 0, 1), True)
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


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"difference": -0.1, "low": -0.18, "high": -0.02}, "**fewer**, by"),
        ({}, "**more**, by"),
        ({"p_holm": 0.05}, "**could not be told apart from none**"),
    ],
)
def test_the_headline_begins_with_contradictions_and_heeds_the_corrected_p(columns, words):
    said = figures.headline(compared(**columns).rename({"ACC": "inconsis_cls"}))
    assert said.startswith("T1 and T3 contradict each other in **90.0 %**")
    assert "**80.0 %** without" in said
    assert words in said
    low, high = (columns.get(end, default) for end, default in (("low", 0.02), ("high", 0.18)))
    assert as_numbers(said)[3:] == pytest.approx([100 * low, 100 * high])


def test_the_headline_tells_what_else_changed_and_what_did_not():
    fell = {"difference": -0.1, "low": -0.18, "high": -0.02}
    found = pd.concat(
        [
            compared(),
            compared(**fell).rename({"ACC": "dice_nodule"}),
            compared(p_holm=0.9).rename({"ACC": "AUC"}),
            compared().rename({"ACC": "F1"}),
        ]
    )
    said = figures.headline(found).replace(figures.MINUS, "-")
    assert said == (
        "Accuracy rose (+10.0 [+2.0, +18.0]); Dice, nodule fell (-10.0 [-18.0, -2.0]). "
        "Not told apart from no change: AUC."
    )
    seeds = pd.concat({0: compared(p_holm=0.9), "all": compared()}, names=["seed", "measure"])
    assert figures.headline(seeds).startswith("Accuracy rose")


def test_settings_of_a_system_are_no_difference_of_its_run():
    one, two = (
        {"parameters": {"network": n, "losses": n, "lr": lr, "size": 96, **more}}
        for n, lr, more in (("A", 1, {}), ("B", 2, {"new": 1}))
    )
    assert figures.unlike(one, two) == ["lr"]
    assert figures.unlike(one, one) == []
