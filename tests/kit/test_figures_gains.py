"""A gain in mean Dice, taken apart: by hand, and against the measures."""

import numpy as np
import pandas as pd
import pytest
from records import as_numbers, cells, record, some_rows

from book.kit import figures, paper
from book.kit.figures import MeanDice
from book.kit.figures.gains import PARTS
from book.kit.figures.style import MINUS
from book.kit.stats import Evidence
from lib.metrics import summarise


def masks(*images):
    """Rows from, for each image, (inter, pred, true) of benign and of malignant."""
    columns = [
        f"{name}_{part}" for name in ("benign", "malignant") for part in ("inter", "pred", "true")
    ]
    return pd.DataFrame(images, columns=columns).assign(
        label=[-1 if not i[2] + i[5] else int(i[5] > i[2]) for i in images],
        case=[f"case {k}" for k in range(len(images))],
    )


RIGHT = (8, 10, 10, 0, 0, 0)  # Dice .8 for benign, 1 for malignant: mean .9
WRONG = (0, 0, 10, 0, 10, 0)  # 0 and 0
EMPTY = (0, 0, 10, 0, 0, 0)  # 0 and 1: mean .5 all the same
MIXED = (6, 7, 10, 0, 3, 0)  # mostly right: 12/17 and 0, not 1
NORMAL = (0, 0, 0, 0, 0, 0)  # 1 and 1
CONTOUR = (9, 10, 10, 0, 0, 0)  # Dice .9


@pytest.mark.parametrize(
    ("images", "mean", "agreement", "dice", "remainder"),
    [
        ([RIGHT], 0.9, 1, 0.8, 0),
        ([RIGHT, WRONG], 0.45, 0.5, 0.8, 0),
        ([RIGHT, EMPTY], 0.7, 0.5, 0.8, 0.25),  # 1/2 of half the images
        ([RIGHT, NORMAL], 0.95, 1, 0.9, 0),
        ([MIXED], 6 / 17, 1, 12 / 17, -0.5),
        (
            [RIGHT, CONTOUR, WRONG, MIXED],
            0.25 * (0.9 + 0.95 + 6 / 17),
            0.75,
            (1.7 + 12 / 17) / 3,
            -1 / 8,
        ),
    ],
)
def test_mean_dice_has_three_parts(images, mean, agreement, dice, remainder):
    parts = figures.split_dice(masks(*images))
    assert tuple(parts) == pytest.approx((mean, agreement, dice, remainder))
    assert parts.mean == pytest.approx(parts.agreement * (1 + parts.dice) / 2 + parts.remainder)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_parts_give_the_measures_mean_dice_exactly(seed):
    rng = np.random.default_rng(seed)
    rows = some_rows(seed=seed)
    rows["benign_pred"] += np.where(rng.random(len(rows)) < 0.3, 5, 0)  # now some masks are mixed
    parts = figures.split_dice(rows)
    assert parts.remainder < 0
    assert parts.mean == pytest.approx(summarise(rows)["dice_paper_mean"], abs=1e-12)
    assert parts.agreement * (1 + parts.dice) / 2 + parts.remainder == pytest.approx(parts.mean)


def test_masks_of_one_class_leave_no_remainder_and_agree_as_accuracy_says():
    rows = some_rows()
    parts = figures.split_dice(rows)
    assert parts.remainder == 0
    assert parts.agreement == pytest.approx(summarise(rows)["ACC_seg"])


def test_no_right_mask_has_no_dice_and_unknown_classes_do_not_enter():
    assert np.isnan(figures.split_dice(masks(WRONG)).dice)
    some = masks(RIGHT, WRONG).astype({"benign_true": float})
    unknown = some.assign(benign_inter=[8, np.nan], benign_true=[10, np.nan])
    assert figures.split_dice(unknown) == figures.split_dice(masks(RIGHT))
    with pytest.raises(ValueError, match="no image with a mask"):
        figures.split_dice(unknown.iloc[1:])
    with pytest.raises(ValueError, match=r"lacks benign_pred.* no class-wise mask"):
        figures.split_dice(some.drop(columns="benign_pred"))


def test_weights_repeat_images():
    rows = masks(RIGHT, WRONG, MIXED)
    drawn = figures.split_dice(rows, np.array([[2, 1, 0], [0, 1, 2]]))
    for k, images in enumerate([(RIGHT, RIGHT, WRONG), (WRONG, MIXED, MIXED)]):
        assert [part[k] for part in drawn] == pytest.approx(figures.split_dice(masks(*images)))


def test_a_gain_is_split_evenly_between_its_factors():
    """By hand: A .5 to 1 at d .6 and .8; the mean of first agreement and first contours."""
    before, after = MeanDice(0.4, 0.5, 0.6, 0.0), MeanDice(0.85, 1.0, 0.8, -0.05)
    parts = figures.split_gain(before, after)
    first, second = (1 - 0.5) * (1 + 0.6) / 2, (1 - 0.5) * (1 + 0.8) / 2
    assert parts["agreement on the class"] == pytest.approx((first + second) / 2)
    assert parts["contours"] == pytest.approx((0.5 + 1.0) / 2 * (0.8 - 0.6) / 2)
    assert parts["mixed and empty masks"] == pytest.approx(-0.05)
    assert sum(parts[name] for name in PARTS[1:]) == pytest.approx(parts["mean Dice"])
    back = figures.split_gain(after, before)
    assert [back[name] for name in PARTS] == pytest.approx([-parts[name] for name in PARTS])


def test_only_one_factor_changed():
    same = figures.split_gain(MeanDice(0.45, 0.5, 0.8, 0.0), MeanDice(0.9, 1.0, 0.8, 0.0))
    assert list(same.values()) == pytest.approx([0.45, 0.45, 0, 0])
    none = figures.split_gain(MeanDice(0.5, 0.0, np.nan, 0.5), MeanDice(0.9, 1.0, 0.8, 0.0))
    assert list(none.values()) == pytest.approx([0.4, 0.9, 0, -0.5])


def pair_of(before, *after):
    """Two systems, each with as many trainings."""
    runs = [record("before", seed, before) for seed in range(len(after))]
    return Evidence(runs + [record("after", seed, rows) for seed, rows in enumerate(after)])


ALL = {"all terms": ("before", "after")}


def test_gained_pairs_the_same_patients():
    rows, better = some_rows(wrong_maps=0.5), some_rows(wrong_maps=0)
    evidence = pair_of(rows, better)
    found = figures.gained(evidence, ALL)["all terms"]
    by_hand = figures.split_gain(figures.split_dice(rows), figures.split_dice(better))
    for name in PARTS:
        assert found[name].estimate == pytest.approx(by_hand[name])
        assert found[name].low <= found[name].estimate <= found[name].high
    assert found["agreement on the class"].low > 0
    assert found["mean Dice"] == evidence.differences("after", "before")["dice_paper_mean"].interval
    itself = figures.gained(pair_of(rows, rows), ALL)["all terms"]
    assert all(interval == (0, 0, 0) for interval in itself.values())
    assert figures.gained(evidence, {"not run": ("before", "other")}) == {}


def test_all_trainings_count_together_and_their_spread_widens_the_interval():
    before = some_rows(wrong_maps=0.5)
    after = [some_rows(wrong_maps=wrong) for wrong in (0.0, 0.4)]
    both = figures.gained(pair_of(before, *after), ALL)["all terms"]
    one = figures.gained(pair_of(before, after[0]), ALL)["all terms"]
    means = [summarise(rows)["dice_paper_mean"] for rows in (before, *after)]
    assert both["mean Dice"].estimate == pytest.approx(np.mean(means[1:]) - means[0])
    name = "agreement on the class"
    assert both[name].high - both[name].low > one[name].high - one[name].low


def test_the_papers_rows_have_the_d_that_its_numbers_imply():
    parts = figures.printed_dice("U-Net(Seg2) ⊕ ClsNet")
    assert parts.dice == pytest.approx(0.7876, abs=1e-4)  # 2 * .7692 / .8606 - 1
    assert figures.printed_dice("MS-MTL + Intra and Inter").dice == pytest.approx(0.7816, abs=1e-4)
    with pytest.raises(ValueError, match=r"for 'MSL'.*MS-MTL"):
        figures.printed_dice("MSL")


def test_the_bars_of_a_gain_add_up_to_its_dot():
    found = pair_of(some_rows(wrong_maps=0.5), some_rows(wrong_maps=0))
    theirs = {"full model": ("MS-MTL", "MS-MTL + Intra and Inter")}
    drawn = figures.gain(found, ALL, theirs)
    halves = {"all terms": drawn.data[:4], "full model (the paper's)": drawn.data[4:]}
    for title, traces in halves.items():
        *bars, dot = [trace.x[0] for trace in traces]
        assert sum(bars) == pytest.approx(dot, abs=0.16)  # each is rounded
        assert traces[0].y[0].replace("<br>", " ") == title
    assert [trace.name for trace in drawn.data[:4]] == [*PARTS[1:], PARTS[0]]
    # how mixed the paper's masks were is not printed
    assert [trace.name for trace in drawn.data[4:]] == [*PARTS[1:3], PARTS[0]]
    _, low, high = figures.gained(found, ALL)["all terms"]["mean Dice"]
    ours, printed = drawn.data[3], drawn.data[6]
    assert ours.x[0] + ours.error_x.array[0] == pytest.approx(100 * high, abs=0.06)
    assert ours.x[0] - ours.error_x.arrayminus[0] == pytest.approx(100 * low, abs=0.06)
    table1 = paper.table(1)["dice_paper_mean"]
    assert printed.x[0] == pytest.approx(
        100 * (table1["MS-MTL + Intra and Inter"] - table1["MS-MTL"]), abs=0.051
    )
    assert printed.marker.symbol == "diamond-open"
    assert drawn.data[4].marker.color == "rgba(0,0,0,0)"
    assert sum(bool(trace.showlegend) for trace in drawn.data) == 4
    with pytest.raises(ValueError, match="no pair"):
        figures.gain(Evidence([]), {})


def test_the_gain_in_numbers():
    found = pair_of(some_rows(wrong_maps=0.5), some_rows(wrong_maps=0))
    head, line = cells(figures.gain_table(found, ALL))
    assert head[1:] == list(PARTS)
    parts = figures.gained(found, ALL)["all terms"]
    for text, name in zip(line[1:], PARTS, strict=True):
        assert as_numbers(text) == pytest.approx([100 * v for v in parts[name]], abs=0.051)


def test_the_plane_shows_each_system_and_lines_of_equal_contours():
    rows = masks(RIGHT, RIGHT, WRONG, EMPTY)
    drawn = figures.dice_plane({"ours": [record(rows=rows)]}, printed=["MTL"])
    lines = [trace for trace in drawn.data if trace.name.startswith("d = ")]
    (left, right), (bottom, top) = drawn.layout.xaxis.range, drawn.layout.yaxis.range
    assert {"d = 50 %", "d = 80 %"} <= {line.name for line in lines}
    for line in lines:
        dice = int(line.name.removeprefix("d = ").removesuffix(" %")) / 100
        assert list(line.y) == pytest.approx([x * (1 + dice) / 2 for x in line.x], abs=0.02)
        assert left < line.x[1] <= right and line.y[1] < top - 2  # its name, below the upper edge
    ours, theirs = drawn.data[len(lines) :]
    assert (ours.x[0], ours.y[0]) == pytest.approx((50, 57.5))
    # down to .5 * (1 + .8) / 2
    assert ours.y[0] - ours.error_y.arrayminus[0] == pytest.approx(45)
    assert ours.error_y.array[0] == 0
    assert (theirs.x[0], theirs.y[0]) == (87.96, 77.12)
    assert theirs.marker.symbol.endswith("-open")
    assert "the paper's" in theirs.name
    assert left <= 50 < 87.96 <= right <= 100 and bottom < 57.5
    with pytest.raises(ValueError, match="no run and no row"):
        figures.dice_plane({})


def test_a_system_and_its_row_of_the_paper_have_one_colour():
    systems = {"mtl": [record("mtl")], "MS-MTL": [record("ms-mtl")]}
    drawn = figures.dice_plane(systems, ["MTL", "MS-MTL"])
    looks = {t.name: (t.marker.color, t.marker.symbol) for t in drawn.data if t.marker.symbol}
    own, theirs = looks["MS-MTL"], looks["MS-MTL (the paper's)"]
    assert theirs == (own[0], f"{own[1]}-open")
    assert len({colour for colour, _ in looks.values()}) == 3


def test_a_gain_in_words_has_the_parts_of_the_table():
    pair = [record("a", rows=some_rows(wrong_maps=8)), record("b", rows=some_rows(wrong_maps=0))]
    found, pairs = Evidence(pair), {"B & co": ("a", "b")}
    parts = figures.gained(found, pairs)["B & co"]
    said = figures.gain_in_words(found, pairs)
    assert parts[PARTS[0]].estimate  # there is something to say
    assert said.startswith("- B &amp; co: **") and said.count("\n") == 0
    assert all(
        f"{100 * part.estimate:+.1f} [" in said.replace(MINUS, "-") or not part.estimate
        for part in parts.values()
    )
    assert figures.gain_in_words(found, {"C": ("a", "c")}) == ""
