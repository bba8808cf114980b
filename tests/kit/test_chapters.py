"""What the teaching chapters draw: the right thing at the right place, and what cannot be drawn."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from book.kit import chapters, paper
from lib.sources import phantom


def test_a_disc_lies_where_it_is_asked_for():
    drawn = chapters.disc(20, 9, r=4)
    rows, columns = np.nonzero(drawn)
    assert drawn.shape == (32, 32) and (rows.mean(), columns.mean()) == (9, 20)
    assert (np.ptp(rows), np.ptp(columns)) == (8, 8)  # the diameter, from middle to middle


def test_pixels_are_probabilities_from_a_mask_of_either_kind():
    mask = chapters.disc(16)
    made = chapters.pixels(2 * mask, 3, sure=0.8)
    torch.testing.assert_close(made.sum(1), torch.ones(1, 32, 32))
    assert torch.equal(made, chapters.pixels(torch.as_tensor(2 * mask), 3, sure=0.8))
    assert np.array_equal(made.argmax(1)[0].numpy() == 2, mask)


def above(drawn, trace):
    """The names above the panel in which a trace stands."""
    axis = drawn.layout[trace.yaxis.replace("y", "yaxis")].domain
    over = drawn.layout[trace.xaxis.replace("x", "xaxis")].domain
    return [
        note.text
        for note in drawn.layout.annotations
        if over[0] < note.x < over[1] and abs(note.y - axis[1]) < 0.05
    ]


def test_names_stand_above_their_own_pictures():
    """Four in two rows: each panel is named after the image that it shows."""
    nodule = phantom.Features()
    drawings = {name: phantom.draw(nodule, seed, size=48) for seed, name in enumerate("abcd")}
    drawn = chapters.pictures("Four nodules.", drawings, columns=3)
    for trace, (name, drawing) in zip(drawn.data, drawings.items(), strict=True):
        assert above(drawn, trace) == [name]
        png = base64.b64decode(trace.source.partition(",")[2])
        seen = np.array(Image.open(io.BytesIO(png)).convert("L"))  # stretched from black to white
        assert np.corrcoef(seen.ravel(), drawing.image.ravel())[0, 1] > 0.999


def test_maps_in_rows_have_their_own_names():
    maps = torch.arange(4).view(4, 1, 1) / 4
    drawn = chapters.number_maps("Four maps of one pixel.", maps, list("abcd"), columns=2)
    found = {above(drawn, trace)[0]: float(trace.z[0, 0]) for trace in drawn.data}
    assert found == {"a": 0, "b": 0.25, "c": 0.5, "d": 0.75}


def test_maps_need_a_name_each():
    with pytest.raises(ValueError, match="2 maps and 1 names: each map needs its own"):
        chapters.number_maps("Two maps.", torch.zeros(2, 3, 3), ["one"])
    with pytest.raises(ValueError, match="2 maps and 3 names"):
        chapters.pull_maps("Two maps.", torch.ones(2, 3, 3), ["one", "two", "three"])


def test_each_kind_of_pixel_has_one_colour():
    kinds = ["disc", "ring", "bar"]
    painted = torch.tensor([[[0, 1], [2, 3]]])
    drawn = chapters.painted_pictures("One.", painted, painted, ["T1", "T3"], kinds)
    heat = drawn.data[1]
    for value in range(4):
        at = value / heat.zmax
        low = [colour for step, colour in heat.colorscale if step <= at][-1]
        high = next(colour for step, colour in heat.colorscale if step >= at)
        assert low == high  # not between two colours
    assert heat.text.tolist() == [["background", "disc"], ["ring", "bar"]]
    with pytest.raises(ValueError, match="only 6 kinds can be told apart, but there are 7"):
        chapters.painted_pictures("One.", painted, painted, ["T1", "T3"], list("abcdefg"))


def test_curves_differ_by_colour_and_dash_and_name_their_minima():
    x = np.linspace(0, 1, 11)
    lines = {"early": (x - 0.2) ** 2, "late": (x - 0.7) ** 2}
    drawn = chapters.curves("Two parabolas.", x, lines, minima=True, symbols=True, height=200)
    first, least, second, _ = drawn.data
    assert least.name == "its minimum, at 0.200" and least.x[0] == pytest.approx(0.2)
    assert first.line.color != second.line.color and first.line.dash != second.line.dash
    assert first.marker.symbol != second.marker.symbol and drawn.layout.height == 200
    with pytest.raises(ValueError, match="only 6 series"):
        chapters.curves("Seven lines.", x, {name: x for name in "abcdefg"})


def test_the_orders_pull_on_what_they_are_asked_for():
    """The lines of an order go along its own pull, in the units of the figure."""
    pulls = {"sc": (2, 0), "cs": (0, -1), "both": (1, 1)}
    drawn = chapters.pull_field(lambda t1, t3, order: pulls[order])
    ends = {
        line.name: np.subtract((line.x[1], line.y[1]), (line.x[0], line.y[0]))
        for line in drawn.data[:3]
    }
    assert ends["order SC"] == pytest.approx((0.24, 0))
    assert ends["order CS"] == pytest.approx((0, -0.06))
    assert ends["order both"] == pytest.approx((0.12, 0.06))
    assert len(drawn.data[0].x) == 3 * len(drawn.data[3].x) == 3 * 35


def test_a_row_lies_on_the_line_of_its_outline():
    """By the page's formula: mean Dice = accuracy x (1 + d) / 2."""
    drawn = chapters.accuracy_and_dice("All rows.", {"all": paper.table(1).dropna()}, {})
    for line, d in zip(drawn.data[:4], (0.70, 0.75, 0.80, 0.85), strict=True):
        assert 2 * line.y[0] / line.x[0] - 1 == pytest.approx(d, abs=2e-4)
    assert len(drawn.data[4].x) == 9


def test_the_interval_is_the_binomial_one():
    drawn = chapters.accuracy_by_size(0.9, {"alone": 1, "in fours": 4})
    alone, fours = (trace.error_y.array for trace in drawn.data)
    assert alone[1] == pytest.approx(1.96 * 0.03, abs=5e-5)  # the root of .9 x .1 / 100
    assert fours == pytest.approx(2 * alone, abs=2e-4)


def test_no_design_effect_where_all_images_are_right():
    rows = pd.DataFrame({"label": [1, 0] * 8, "p_malignant": [0.9, 0.1] * 8})
    with np.errstate(invalid="ignore", divide="ignore"):
        assert not np.isfinite(chapters.design_effect(rows))


def test_coverage_that_is_near_is_not_named():
    held = {"systems": 3, "differences": {"ACC": 95.0, "F1": 93.0}, "false claims": {}}
    shown = chapters.coverage_table({"one fold": held})
    assert "Outside 93 to 97: none." in shown and "one fold, 3 systems" in shown
