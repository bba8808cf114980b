"""The book's figures show the numbers they are given, and its tables say what follows from them."""

import base64
import io
import json
from html import unescape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image
from plotly_page import figure_html
from records import as_numbers, cells, record, some_rows

from book.kit import figures
from book.kit.figures.style import error_bars, number
from book.kit.stats import Evidence
from lib.metrics import summarise

PAIR = ("ms-mtl", "ms-mtl+intra+inter")
PICTURE = np.full((8, 8), 90, np.uint8)
MASK = np.zeros((8, 8), np.uint8)
MASK[2:5, 3:7] = 2


# ------------------------------------------------------------------------------------- every figure


def test_every_figure_has_words_a_clear_background_and_no_colour_for_text():
    runs = [record(), record("ms-mtl+intra+inter", rows=some_rows(wrong_maps=0))]
    maps = {"image": [PICTURE], "mask": [MASK], "seg3": [MASK], "cls": [0.8]}
    drawn = [
        figures.learning_curves(runs[0]["history"]),
        figures.overlays(pd.DataFrame({"label": [1]}), maps, {"Good": 0}),
        figures.roc(runs),
        figures.gain(Evidence(runs), {"terms": PAIR}, {"MTL": ("MTL", "MTL + Inter")}),
        figures.dice_plane({"with the terms": runs[1:]}, printed=["MTL"]),
    ]
    for figure in drawn:
        stored = json.loads(figure.to_json())
        assert len(stored["layout"]["meta"]["alt"]) > 40
        assert stored["layout"]["template"]["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
        assert "color" not in stored["layout"].get("font", {})
        assert "aria-label" in figure_html(stored)
        assert len(json.dumps(stored)) < 40_000


def test_no_two_runs_are_told_apart_by_colour_alone():
    runs = [record(f"run {k}") for k in range(3)]
    lines = [trace.line.dash for trace in figures.roc(runs).data if "AUC" in (trace.name or "")]
    assert len(set(lines)) == 3


def test_more_runs_than_there_are_colours_and_dashes_are_refused():
    runs = [record(f"run {k}") for k in range(7)]
    with pytest.raises(ValueError, match="only 6 series can be told apart"):
        figures.roc(runs)


def test_a_number_that_is_not_there_is_a_dash():
    shown = [number(v) for v in (None, float("nan"), 0.5, -0.1)]
    assert shown == [figures.ABSENT, figures.ABSENT, "50.0", f"{figures.MINUS}10.0"]


def test_a_bar_reaches_from_the_low_to_the_high_end():
    bars = error_bars(np.array([[50.0, 40.0, 55.0]]))  # estimate, low, high
    assert (bars["arrayminus"].tolist(), bars["array"].tolist()) == ([10], [5])


def test_what_rounds_to_0_has_no_sign():
    assert [number(v, signed=True) for v in (-0.0004, 0.0004, 0.0006)] == ["0.0", "0.0", "+0.1"]


def test_a_figure_without_words_is_refused():
    with pytest.raises(ValueError, match="alt is empty"):
        figures.figure(" ")


# ---------------------------------------------------------------------------------- learning curves


def test_learning_curves_draw_each_term_in_its_panel():
    drawn = figures.learning_curves(record()["history"])
    assert [title.text for title in drawn.layout.annotations] == ["T1 BCE", "total"]
    assert [trace.name for trace in drawn.data] == ["training", "validation"] * 2
    assert list(drawn.data[1].y) == pytest.approx([0.8, 0.4, 0.26667])
    assert list(drawn.data[1].x) == [1, 2, 3]
    assert [trace.line.dash for trace in drawn.data[:2]] == ["solid", "dash"]
    assert sum(trace.showlegend for trace in drawn.data) == 2


def test_learning_curves_of_two_runs_with_different_terms():
    more = [
        {part: {**e[part], "L_T2T3": 0.1} for part in ("train", "valid")} | {"epoch": e["epoch"]}
        for e in record()["history"]
    ]
    drawn = figures.learning_curves({"without": record()["history"], "with": more})
    titles = [unescape(title.text) for title in drawn.layout.annotations]
    assert titles == ["T1 BCE", "L_T2T3", "total"]
    assert len(drawn.data) == 4 + 2 + 4
    assert drawn.layout.height > figures.learning_curves(more[:1]).layout.height - 1


def test_learning_curves_of_no_epoch_is_an_error():
    with pytest.raises(ValueError, match="no epoch"):
        figures.learning_curves([])


# ------------------------------------------------------------------------------------------- cases


def picking(**columns):
    """Four images of 10 px nodules: benign, benign, malignant, malignant."""
    rows = {
        "label": [0, 0, 1, 1],
        "p_malignant": [0.1, 0.2, 0.9, 0.8],
        "seg_as_cls": [0, 0, 1, 1],
        "seg_as_cls_p": [0.3, 0.3, 0.7, 0.7],
        "benign_inter": [9, 5, 0, 0],
        "benign_pred": [10, 10, 0, 0],
        "benign_true": [10, 10, 0, 0],
        "malignant_inter": [0, 0, 8, 2],
        "malignant_pred": [0, 0, 10, 10],
        "malignant_true": [0, 0, 10, 10],
        "nodule_inter": [9, 5, 8, 2],
        "nodule_pred": [10] * 4,
        "nodule_true": [10] * 4,
    }
    return pd.DataFrame(rows | columns)


def test_picked_are_the_best_the_worst_and_the_surest_contradiction():
    assert figures.pick_cases(picking()) == {"Good": 0, "Bad": 3}
    disagreeing = picking(seg_as_cls=[1, 0, 0, 1], seg_as_cls_p=[0.7, 0.3, 0.3, 0.7])
    assert figures.pick_cases(disagreeing) == {"Good": 1, "Bad": 3, "Contradictory": 0}


def test_a_good_case_is_right_in_all_tasks():
    wrong_class = picking(p_malignant=[0.9, 0.2, 0.9, 0.8], seg_as_cls=[1, 0, 1, 1])
    assert figures.pick_cases(wrong_class)["Good"] == 2


def test_picking_without_classes_and_in_an_empty_table():
    outlines = picking(label=[-1] * 4).filter(regex="label|nodule")
    assert figures.pick_cases(outlines) == {"Good": 0, "Bad": 3}
    normal = picking(nodule_true=[0] * 4, benign_true=[0] * 4, malignant_true=[0] * 4)
    assert figures.pick_cases(normal) == {}
    with pytest.raises(ValueError, match="empty"):
        figures.pick_cases(picking().iloc[:0])


@pytest.mark.parametrize(
    ("pixels", "area", "loops"),
    [
        ([(1, 1)], 0.5, 1),  # one pixel: a diamond through the middles of its edges
        ([(1, 1), (1, 2)], 1.5, 1),
        ([(0, 0), (0, 1), (1, 0), (1, 1)], 3.5, 1),
        ([(0, 0), (3, 3)], 1.0, 2),
        ([], 0, 0),
    ],
)
def test_an_outline_is_closed_and_encloses_the_pixels(pixels, area, loops):
    mask = np.zeros((5, 5), bool)
    for pixel in pixels:
        mask[pixel] = True
    x, y = figures.outline(mask)
    breaks = np.flatnonzero(np.isnan(x))
    parts = list(zip(np.split(x, breaks), np.split(y, breaks), strict=True)) if x.size else []
    assert len(parts) == loops
    total = 0.0
    for px, py in parts:
        px, py = px[~np.isnan(px)], py[~np.isnan(py)]
        assert (px[0], py[0]) == (px[-1], py[-1])
        total += abs(np.sum(px[:-1] * py[1:] - px[1:] * py[:-1])) / 2
    assert total == pytest.approx(area)


def test_overlays_show_the_picture_its_masks_and_the_answers():
    benign = np.where(MASK > 0, 1, 0)
    maps = {
        "image": np.stack([PICTURE, PICTURE + 1]),
        "mask": np.stack([MASK, MASK]),
        "seg2": np.stack([benign, benign]),
        "seg3": np.stack([MASK, benign]),
        "cls": np.array([0.2, 0.93]),
    }
    drawn = figures.overlays(pd.DataFrame({"label": [1, 1]}), maps, {"A <title>": 1})
    left, right = (title.text for title in drawn.layout.annotations)
    assert left == "<b>A &lt;title&gt;</b><br>truth: malignant"
    assert right == "T1: malignant (0.93)<br>T3: benign"
    pictures = [trace for trace in drawn.data if isinstance(trace, go.Image)]
    stored = base64.b64decode(pictures[0].source.partition(",")[2])
    assert (np.array(Image.open(io.BytesIO(stored))) == 91).all()
    lines = [(t.name, t.line.dash, t.fill, t.xaxis) for t in drawn.data if t not in pictures]
    assert lines == [
        ("malignant", "dash", "none", "x"),
        ("benign", "solid", "toself", "x2"),
        ("T2, the outline", "dot", "none", "x2"),
    ]


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({}, " "),
        ({"seg3": [MASK * 0]}, "T3: no nodule"),
        ({"seg2": [MASK > 0], "cls": [0.4]}, "T1: benign (0.60)<br>T2: a nodule"),
        ({"seg3": [np.where(np.arange(8) < 4, MASK, MASK // 2)]}, "T3: benign (75% of it)"),
    ],
)
def test_overlays_of_networks_with_fewer_tasks(maps, words):
    maps = {"image": [PICTURE], "mask": [MASK], **maps}
    drawn = figures.overlays(pd.DataFrame({"label": [1]}), maps, {"Case": 0})
    assert drawn.layout.annotations[1].text == words


def test_overlays_refuse_unequal_shapes_and_no_case():
    maps = {"image": [PICTURE], "mask": [MASK[:4]]}
    with pytest.raises(ValueError, match=r"row 0.*\(8, 8\) but mask has \(4, 8\)"):
        figures.overlays(pd.DataFrame({"label": [1]}), maps, {"Case": 0})
    with pytest.raises(ValueError, match="no case"):
        figures.overlays(pd.DataFrame({"label": [1]}), maps, {})


# ------------------------------------------------------------------------------------ runs compared


def test_runs_of_one_experiment_are_told_apart_by_their_seed():
    drawn = figures.roc([record(seed=0), record(seed=1)], titles={"ms-mtl": "MS-MTL"})
    names = [trace.name for trace in drawn.data if "AUC" in (trace.name or "")]
    assert [name.partition("<br>")[0] for name in names] == ["MS-MTL, seed 0", "MS-MTL, seed 1"]


def test_measures_table_holds_the_measures_their_intervals_and_the_papers_values():
    table = figures.measures_table(
        [record()], paper={"ms-mtl": {"ACC": 0.8785}}, titles={"ms-mtl": "MS-MTL"}
    )
    assert table.startswith('<div class="table-scroll"')
    head, *body = cells(table)
    assert head == ["in %", "MS-MTL", "MS-MTLin the paper*"]
    expected = Evidence([record()]).level("ms-mtl", "ACC")
    (line,) = (row for row in body if row[0] == "Accuracy")
    assert as_numbers(line[1]) == pytest.approx([100 * v for v in expected], abs=0.051)
    assert line[2] == "87.8"
    (recall,) = (row for row in body if row[0].startswith("Recall"))
    assert recall[2] == figures.ABSENT
    assert not any(row[0].startswith("T2 against T3") for row in body)  # no such task here
    assert "private" in table
    assert "paper*" not in figures.measures_table([record()])


def test_every_measure_has_a_place_in_the_table():
    rows = some_rows().assign(
        **{
            f"{pair}_{part}": 5
            for pair in ("seg2seg3", "seg3seg2_benign", "seg3seg2_malignant")
            for part in ("inter", "union")
        }
    )
    placed = {measure for section in figures.SECTIONS.values() for measure in section}
    assert placed == set(summarise(rows))
    assert set(figures.HEADLINE) <= placed


def test_a_table_of_words_is_read_from_the_left():
    head, body = ["name", "what"], [["a", "b"]]
    assert "text-align:right" not in figures.table(head, body, words=True)
    shown = figures.table(head, body)
    assert shown.count("text-align:right") == shown.count('<td align="right">') == 1
