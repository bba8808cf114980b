"""The paper's tables beside our runs, what they cost, and the status of every run."""

import io
import math
import re
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import unquote

import pandas as pd
import pytest
from records import as_numbers, cells, record, some_rows
from sklearn.metrics import roc_auc_score

from book.kit import figures
from book.kit.figures.apart import apart
from book.kit.figures.reproduced import as_frame
from book.kit.figures.sortable import Column
from book.kit.stats import SUFFIX, Evidence, with_together
from lib.metrics import beside


def system(name, *rows, **more):
    known = {"title": name, "rows": rows, "recipe": {}, "about": "", "terms": ()}
    return SimpleNamespace(name=name, **known | more)


SYSTEMS = [
    system("clsnet", (1, "ClsNet")),
    system("unet-seg3", (1, "U-Net(Seg3)")),
    system("ms-mtl", (1, "MS-MTL"), (3, "MS-MTL"), (4, "none")),
    system("full", (1, "MS-MTL + Intra and Inter"), (3, "MS-MTL + Intra and Inter")),
]
FULL = "MS-MTL + Intra and Inter"
NO_INTERVAL = f"[{figures.ABSENT}, {figures.ABSENT}]"


def run(name, seed=0, rows=None, **changes):
    here = {"data": {"fingerprint": "0f", "split": "5a"}, "code": {"metrics": "0a"}}
    return record(name, seed, rows, **here | changes)


def table_runs():
    rows = some_rows(80)
    return [
        run("clsnet", rows=rows[["case", "group", "label", "p_malignant"]]),
        run("unet-seg3", rows=rows.drop(columns="p_malignant")),
        run("ms-mtl", rows=rows),
        run("full", rows=some_rows(80, wrong_maps=0)),
    ]


def by_title(rows):
    return {row.title: row for row in rows}


def lines_of(html):
    """The text of the cells of a sortable table's rows, by the row's title."""
    body = html.partition("<tbody>")[2]
    lines = {}
    for line in re.findall(r"<tr>(.*?)</tr>", body, re.S):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.S)
        lines[re.sub(r"<[^>]+>", "", cells[0])] = [re.sub(r"<[^>]+>", " ", c) for c in cells[1:]]
    return lines


def saved(html):
    content = re.search(r"charset=utf-8,([^\"]+)", html).group(1)
    return pd.read_csv(io.StringIO(unquote(content)))


# ------------------------------------------------------------------------------ the paper's tables


def test_every_row_of_the_paper_is_there_whether_run_failed_or_neither():
    failed = {"experiment": "full", "error": "MemoryError"}
    rows = by_title(figures.reproduce(1, Evidence(table_runs()[:3]), SYSTEMS, [failed]))
    assert len(rows) == 21
    assert rows["SegNet"].state == "not run" and rows["MS-MTL"].state == ""
    assert rows[FULL].state == "failed: MemoryError"
    lines = lines_of(figures.reproduced_table(1, list(rows.values()), "Table 1"))
    assert lines[FULL][0].strip() == "failed: MemoryError"
    assert lines["SegNet"][9].strip() == "69.90"  # the paper's mean Dice
    assert "Failed: MS-MTL + Intra and Inter." in figures.told(1, list(rows.values()))[0]
    titles = list(lines)  # those that were run come first, each group in the paper's order
    assert titles[:4] == ["ClsNet", "U-Net(Seg3)", "MS-MTL", "U-Net(Seg2) ⊕ ClsNet"]
    assert titles[4:] == [title for title in rows if title not in titles[:3]][1:]


def test_ours_is_the_level_of_the_rule_beside_the_papers_value():
    evidence = Evidence(table_runs())
    rows = figures.reproduce(1, evidence, SYSTEMS)
    wanted = evidence.level("ms-mtl", "dice_paper_mean")
    assert by_title(rows)["MS-MTL"].ours["dice_paper_mean"] == wanted
    paper, ours = lines_of(figures.reproduced_table(1, rows, ""))["MS-MTL"][9:11]
    assert paper.strip() == "78.13"
    assert as_numbers(ours) == pytest.approx([100 * v for v in wanted], abs=0.051)


def test_a_class_read_off_the_mask_is_a_marked_extra_and_no_part_of_the_tests():
    rows = figures.reproduce(1, Evidence(table_runs()), SYSTEMS)
    row = by_title(rows)["U-Net(Seg3)"]
    assert "ACC" not in row.ours and "ACC" in row.derived and "ACC" not in row.tests
    html = figures.reproduced_table(1, rows, "")
    assert any("†" in cell for cell in lines_of(html)["U-Net(Seg3)"])
    assert "† Derived, an extra" in html
    assert not by_title(rows)["ClsNet"].derived


def test_trainings_are_counted():
    runs = [run("ms-mtl", k, some_rows(80)) for k in range(3)]
    rows = figures.reproduce(4, Evidence(runs), SYSTEMS)
    assert by_title(rows)["none"].trainings == 3
    assert lines_of(figures.reproduced_table(4, rows, ""))["none"][0] == "3"
    assert "3 trainings each" in figures.told(4, rows)[0]


def test_where_an_interval_is_missing_nothing_is_said_of_overlaps():
    runs = [run(name, 0, some_rows(80)) for name in ("ms-mtl", "full", "unet-seg2+clsnet")]
    rows = list(by_title(figures.reproduce(3, Evidence(runs), SYSTEMS)).values())
    at = next(at for at, row in enumerate(rows) if "AUC" in row.ours)
    bare = rows[at].ours["AUC"]._replace(low=math.nan, high=math.nan)
    without = [*rows[:at], replace(rows[at], ours=rows[at].ours | {"AUC": bare}), *rows[at + 1 :]]
    for some, end in ((rows, "with it."), (without, "not all have an interval.")):
        (said,) = [line for line in figures.told(3, some) if line.startswith("Highest in AUC")]
        assert said.endswith(end)


def test_rows_are_compared_with_their_own_baseline_by_the_one_rule():
    evidence = Evidence(table_runs())
    rows = figures.reproduce(3, evidence, SYSTEMS)
    row = by_title(rows)[FULL]
    assert row.against == "MS-MTL" and not by_title(rows)["MS-MTL"].tests
    family = evidence.differences("full", "ms-mtl")
    assert row.tests and all(family[m] == found for m, found in row.tests.items())
    html = figures.reproduced_table(3, rows, "")
    assert "fewer than MS-MTL" in html and "▼" in html
    said = figures.sentence(family["inconsis_cls"])
    assert f"Contradictions, T1 and T3: {said}" in " ".join(figures.told(3, rows))
    line = saved(figures.reproduced_table(3, rows, "", "rows.csv")).set_index("row").loc[FULL]
    for measure, test in row.tests.items():
        kept = [line[f"{measure}_{part}"] for part in ("p", "difference", "difference_low")]
        assert kept == pytest.approx([test.p, test.difference, test.low], rel=1e-4)


def test_one_malignant_image_ends_nothing():
    runs = table_runs()
    for one in runs:
        one["per_image"] = one["per_image"] | {"label": [0] * 79 + [1]}
    rows = figures.reproduce(1, Evidence(runs), SYSTEMS)
    assert NO_INTERVAL in figures.reproduced_table(1, rows, "")


def test_nothing_differs_is_said_so():
    rows = some_rows(80)
    found = figures.reproduce(
        3, Evidence([run("ms-mtl", rows=rows), run("full", rows=rows)]), SYSTEMS
    )
    assert "none tells a system from its baseline" in " ".join(figures.told(3, found))
    assert "▲" not in figures.reproduced_table(3, found, "").partition("sortable-note")[0]


def test_a_table_on_every_source_begins_with_the_most_runs_and_says_what_it_cannot_show():
    runs = [*table_runs(), run("ms-mtl", source="busbra")]
    other = [run(name, source="ddti") for name in ("ms-mtl", "full")]
    other[1]["data"] = other[1]["data"] | {"fingerprint": "f0"}
    found = figures.evidence([*runs, *other], local=True)
    table = figures.Reproduction(3, found, SYSTEMS)
    said = table.shown("Look.")
    assert said.index("phantom") < said.index("BUS-BRA") < said.index("DDTI")
    assert "80 test images of 40 patients (40 benign, 40 malignant)." in said
    assert "other fingerprint, 0f and f0" in said
    assert said.count("choice-panel") == 3


def test_a_table_is_shown_as_answered_and_decided_together():
    counts = {"seg2seg3_inter": 40, "seg2seg3_union": 50}
    runs = [run(name, rows=some_rows(80).assign(**counts)) for name in ("ms-mtl", "full")]
    runs.append(run("unet-seg3", rows=some_rows(80).drop(columns="p_malignant")))
    found = Evidence(with_together(runs))
    rows = by_title(figures.reproduce(1, found, SYSTEMS, together=True))
    level = found.level(f"ms-mtl{SUFFIX}", "AUC")
    assert rows["MS-MTL"].decided and rows["MS-MTL"].ours["AUC"] == level
    assert not rows["U-Net(Seg3)"].decided
    family = found.differences(f"full{SUFFIX}", f"ms-mtl{SUFFIX}")
    assert rows[FULL].tests["AUC"] == family["AUC"]
    shown = figures.Reproduction(1, {("phantom", "smoke"): found}, SYSTEMS).shown("Look.")
    switch = shown.partition("data-switch")[2]
    assert switch.count("choice-panel") == 2 and 'data-title="decided together"' in switch
    together = lines_of(switch.partition('data-title="decided together"')[2])
    assert list(together) == ["MS-MTL", FULL] and together["MS-MTL"][1].strip() == "0 ‡"


def test_what_rests_on_memory_of_its_source_is_marked():
    rivals = "# Rivals\n\n**(M)** marks it.\n\n## SegNet\n\nFive (M).\n\n## PSPNet\n\nFour."
    memory = figures.from_memory(rivals)
    assert memory == ["SegNet"]
    rows = figures.reproduce(1, Evidence(table_runs()), SYSTEMS)
    html = figures.reproduced_table(1, rows, "", memory=memory)
    assert "SegNet <sup>M</sup>" in html and "PSPNet <sup>" not in html and "rivals.html" in html


def test_seeds_that_draw_their_own_split_stand_in_one_table():
    def seed(k):
        rows = some_rows(80).iloc[20 * k : 20 * k + 60].reset_index(drop=True)
        data = {"fingerprint": "0", "split": f"split {k}"}
        return [run(name, seed=k, rows=rows, data=data) for name in ("ms-mtl", "full")]

    rows = by_title(figures.reproduce(3, Evidence([*seed(0), *seed(1)]), SYSTEMS))
    assert rows[FULL].trainings == 2
    assert all(found.difference == 0 for found in rows[FULL].tests.values())


def test_a_pair_is_judged_by_one_profile_alone():
    older = table_runs()
    newer = [one for one in older if one["experiment"] in ("ms-mtl", "full")]
    found = {
        ("phantom", "laptop"): Evidence(older),
        ("phantom", "evidence"): Evidence(newer),
        ("busbra", "laptop"): Evidence(older),
    }
    table = figures.Reproduction(1, found, SYSTEMS)
    tests = {place: by_title(rows["as answered"]) for place, rows in table.rows.items()}
    both = [tests["phantom", how][FULL].tests for how in ("evidence", "laptop")]
    assert both[0] and not both[1] and tests["busbra", "laptop"][FULL].tests
    assert tests["phantom", "laptop"][FULL].ours == tests["busbra", "laptop"][FULL].ours
    others = {title: row for title, row in tests["phantom", "laptop"].items() if title != FULL}
    assert any(row.tests for row in others.values())  # what the newer runs have not got
    assert table.shown("Look.").count("what the newer ones have of a row is judged there") >= 1
    # The plan's own runs come first, what has nothing to compare comes last.
    assert next(iter(table.rows)) == ("phantom", "evidence")
    alone = {("busbra", "evidence"): Evidence(newer[:1])} | found
    assert [*figures.Reproduction(1, alone, SYSTEMS).rows][-1] == ("busbra", "evidence")


def test_runs_of_other_code_budget_machine_or_versions_are_marked():
    runs = table_runs()
    runs[3] |= {"code": {"metrics": "ff"}, "history": runs[3]["history"][:1]}
    runs[1] |= {"machine": {"device": "cuda"}, "versions": {"python": "3.12"}}
    rows = figures.reproduce(1, Evidence(runs), SYSTEMS)
    assert dict(by_title(rows)[FULL].apart) == {"code": ["metrics"], "settings": ["epochs"]}
    html = figures.reproduced_table(1, rows, "")
    assert f"{FULL} <sup>a, b</sup>" in html and "U-Net(Seg3) <sup>c, d</sup>" in html
    assert "other code than most runs here: metrics" in html


def test_what_a_system_sets_itself_does_not_set_it_apart():
    runs = [run("a"), run("b"), run("c", parameters={"encoder": "plain", "size": 64})]
    assert apart(runs)[2] == {"settings": ["encoder"]}
    assert apart(runs, {"c": ["encoder"]}) == [{}, {}, {}]


def test_the_file_has_every_row_every_measure_and_the_tests():
    rows = figures.reproduce(1, Evidence(table_runs()), SYSTEMS)
    frame = saved(figures.reproduced_table(1, rows, "Table 1", "table1.csv"))
    assert len(frame) == 21 and {"AUC_paper", "AUC_low", "AUC_p", "ACC_seg"} <= set(frame)
    own = frame.set_index("row").loc["MS-MTL"]
    assert own["dice_paper_mean_paper"] == 0.7813
    assert own["AUC"] == pytest.approx(by_title(rows)["MS-MTL"].ours["AUC"].estimate, rel=1e-4)
    assert frame["state"].eq("not run").sum() == 17
    assert as_frame(1, rows).shape == frame.shape


# ----------------------------------------------------------------------------------------- tables


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 cells, but there are 2 columns"):
        figures.sortable([Column("a"), Column("b")], [["x"]], "")


def test_columns_of_one_group_share_a_head_and_each_says_both_to_a_screen_reader():
    columns = [Column("run"), Column("paper", "Dice,<br>all"), Column("ours", "Dice,<br>all")]
    html = figures.sortable(columns, [["x", "1", "2"]], "A caption")
    assert 'scope="colgroup" colspan="2">Dice,<br>all' in html and 'rowspan="2">run' in html
    assert 'data-words="Dice, all ours"' in html
    name = re.search(r'sortable-caption" id="([^"]+)', html).group(1)
    assert f'role="region" tabindex="0" aria-labelledby="{name}"' in html


def test_a_choice_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing to choose"):
        figures.choice({})


def test_a_source_that_enters_no_verdict_has_no_sign_of_one():
    """The third system is right where the second is wrong: told apart, where anything is judged."""
    rows = some_rows(80)
    better = rows.assign(p_malignant=rows["label"].where(rows["label"] >= 0, 0.5))
    runs = [run(n, seed, r) for n, r in (("ms-mtl", rows), ("full", better)) for seed in (0, 1)]
    found = {("phantom", "laptop"): Evidence(runs)}
    shown, unjudged = (
        figures.Reproduction(1, found, SYSTEMS, unjudged=sources).shown("Look.")
        for sources in ((), ("phantom",))
    )
    assert "▲" in shown and figures.FEW_OF_A_CLASS not in shown
    assert "▲" not in unjudged and figures.FEW_OF_A_CLASS in unjudged
    assert "tells a system" not in unjudged and "not told apart" not in unjudged


def test_folds_may_differ_in_epochs_where_the_number_of_images_is_set():
    def trained(epochs, images):
        made = run("ms-mtl", rows=some_rows(20))
        settings = made["parameters"] | {"epochs": epochs, "images": images}
        return made | {"parameters": settings, "history": [{}] * epochs}

    assert apart([trained(10, 12000), trained(11, 12000), trained(10, 12000)]) == [{}, {}, {}]
    other = apart([trained(7, 8400), trained(11, 12000), trained(10, 12000)])
    assert other == [{"settings": ["images"]}, {}, {}]
    without = apart([trained(7, 0), trained(10, 0), trained(10, 0)])
    assert without == [{"settings": ["epochs"]}, {}, {}]


# ------------------------------------------------------------------------------------------- cost


def cost_runs():
    seconds = {"total": 120.0, "processor": 90.0}
    model = {"parameters": 2_000_000, "forward_flops": 5e8}
    return [r | {"seconds": seconds, "model": model} for r in table_runs()]


def test_cost_is_processor_seconds_over_epochs_and_dashes_where_not_noted():
    runs = cost_runs()
    runs[0]["seconds"] = {"total": 60.0}
    rows = figures.cost_rows(Evidence(runs), SYSTEMS, [])
    assert [row.place for row in rows] == [1, 2, 3, 4]
    assert rows[1].costs["epoch"] == pytest.approx(90 / 3) and rows[1].costs["minutes"] == 2
    lines = lines_of(figures.costs_beside(rows, ""))
    assert lines["clsnet"][3] == figures.ABSENT and lines["ms-mtl"][3] == "30.0"
    drawn = figures.cost_figure(rows)
    assert drawn.data[0].x[0] is None and "2 unet-seg3: Processor" in drawn.layout.meta["alt"]


def test_native_rivals_are_marked_apart_from_the_field():
    native = system("full", about="its own plain network")
    rows = figures.cost_rows(Evidence(cost_runs()), SYSTEMS[:2], [SYSTEMS[2], native])
    assert [row.kind for row in rows[2:]] == ["rival", "rival, native or own recipe"]
    mine = figures.cost_rows(Evidence(cost_runs()), SYSTEMS[:2], [SYSTEMS[2]], [native])
    assert [row.kind for row in mine[2:]] == ["this book's own", "rival"]
    html = figures.costs_beside(rows, "")
    assert "full <sup>‡</sup>" in html and "its own plain network" in html


def test_menus_of_the_cost_figure_give_each_trace_as_many_points_as_it_has():
    drawn = figures.cost_figure(figures.cost_rows(Evidence(cost_runs()), SYSTEMS[:2], SYSTEMS[2:]))
    for menu in drawn.layout.updatemenus:
        for button in menu.buttons:
            for values in button.args[0].values():
                assert [len(v) for v in values] == [len(trace.x) for trace in drawn.data]


# ----------------------------------------------------------------------------------------- status


def test_a_stale_run_names_the_modules_that_changed():
    runs = table_runs()[:2]
    code = {"clsnet": {"metrics": "0a"}, "unet-seg3": {"metrics": "1b"}}
    lines = lines_of(figures.runs_table(runs, [], code))
    states = [cells[4].strip() for cells in lines.values()]
    assert states == ["current", "stale: metrics"]


def test_the_sentence_and_the_table_count_the_same_runs_as_stale():
    runs = [one | {"seconds": {"total": 1.0}} for one in table_runs()[:3]]
    code = {"clsnet": {"metrics": "0a"}, "unet-seg3": {"metrics": "1b"}}  # the third is not known
    assert "**2** of them were made by code" in figures.runs_in_words(runs, [], code)
    assert "3 runs, 2 of them stale" in figures.runs_table(runs, [], code)


def test_failures_stand_among_the_runs_and_in_the_file():
    failure = {"experiment": "singh2019", "source": "busbra", "profile": "laptop", "seed": 1}
    failure |= {"error": "MemoryError", "message": "", "commit": "c" * 40}
    html = figures.runs_table(table_runs()[:1], [failure], csv="runs.csv")
    frame = saved(html)
    assert frame["state"].tolist() == ["not known", "failed: MemoryError"]
    assert "1 runs, 1 of them stale, and 1 that failed" in html  # of no known experiment


def test_machines_and_versions_are_numbered_by_how_often_they_were_used():
    runs = [{"machine": {"device": "cpu", "threads": n}} for n in (1, 2, 2)]
    lines = lines_of(figures.machines_table(runs))
    assert [cells[0] for cells in lines.values()] == ["2", "1"]
    assert lines["M1"][-1] == "2"


def test_an_external_test_stands_beside_its_own_source():
    rows = beside(some_rows(80), some_rows(80))
    external = {
        "source": "busi",
        "metrics": {"AUC": 0.912},
        "joint": {"AUC": 0.934},
        "notes": ["a"],
    }
    one = record("ms-mtl", rows=rows, fold=2, external=external) | {"source": "busbra"}
    drawn = figures.external_table([one], {"ms-mtl": "MS-MTL"})
    shown = cells(drawn)
    head, (heading,), answered, decided = shown
    assert "MS-MTL (profile smoke, seed 0, fold 2),trained on BUS-BRA, tested on BUSI" in heading
    assert "BUSI: 80 test images of 40 patients" in drawn and "malignant); a." in drawn
    at = head.index("AUC")
    value = 100 * roc_auc_score(rows["label"], rows["p_malignant"])
    assert as_numbers(answered[at])[0] == pytest.approx(value, abs=0.05)
    assert as_numbers(answered[at])[-1] == 91.2 and as_numbers(decided[at])[-1] == 93.4
    assert answered[head.index("T1 againstT3")].count("*") == 0  # unknown at home
    with pytest.raises(ValueError, match="no external test"):
        figures.external_table([])
