"""The figures of the page *What else one could use*."""

import numpy as np
import pytest

from book.kit import figures


def record(contestant, minutes, dice, title=None, images=400):
    """A training whose test images all have this Dice: 2 x inter of 200 pixels in both."""
    rng = np.random.default_rng(0)
    each = np.clip(dice + rng.normal(0, 0.1, 60), 0, 1)
    each += dice - each.mean()
    rows = {
        "case": [f"c{at}" for at in range(60)],
        "group": [f"p{at // 2}" for at in range(60)],
        "label": [at % 2 for at in range(60)],
        "nodule_inter": list(1000 * each),
        "nodule_pred": [1000] * 60,
        "nodule_true": [1000] * 60,
    }
    return {
        "contestant": contestant,
        "title": title or contestant,
        "minutes": minutes,
        "seconds": {"training": 59.0 * minutes, "preparation": 10.0},
        "images": images,
        "steps": 200,
        "dice_nodule": dice,
        "curve": [[minutes / 2, dice / 2], [minutes, dice]],
        "lines": 42,
        "notes": {"patch": [384, 448], "batch": 13} if contestant == "nnunet" else {},
        "precision": "bfloat16" if contestant == "ms-mtl" else "float32",
        "machine": {"name": "A processor"},
        "versions": {"torch": "2.0"} | ({"nnunetv2": "2.8.1"} if contestant == "nnunet" else {}),
        "per_image": rows,
    }


def test_the_interval_is_that_of_the_draws_of_patients():
    run = record("monai", 5, 0.75)
    found = figures.instead_level(run)
    rng = np.random.default_rng(1)
    dice = np.array(run["per_image"]["nodule_inter"]).reshape(30, 2) / 1000
    means = [dice[rng.integers(0, 30, 30)].mean() for _ in range(4000)]
    assert found.estimate == pytest.approx(0.75)
    assert found[1:] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.008)


def test_a_line_and_a_point_for_each_training_in_the_colour_of_its_contestant():
    drawn = figures.instead_curves(
        [record("monai", 15, 0.75), record("monai", 5, 0.5), record("nnunet", 5, 0.25, "nn <U>")]
    )
    lines = [line for line in drawn.data if line.mode == "lines"]
    points = [line for line in drawn.data if line.mode == "markers"]
    assert [line.y for line in lines] == [(25.0, 50.0), (37.5, 75.0), (12.5, 25.0)]
    assert [point.y for point in points] == [(50.0,), (75.0,), (25.0,)]
    assert [line.showlegend for line in lines] == [True, False, True]
    assert lines[0].line.color == points[1].marker.color != lines[2].line.color
    assert lines[2].name == "nn &lt;U&gt;"
    assert "monai 75.0 on test images after 15 minutes" in drawn.layout.meta["alt"]
    with pytest.raises(ValueError, match="no run"):
        figures.instead_curves([])


def test_a_bar_reaches_the_ends_of_its_interval():
    run = record("monai", 5, 0.93)
    value, low, high = (100 * end for end in figures.instead_level(run))
    (point,) = [trace for trace in figures.instead_curves([run]).data if trace.mode == "markers"]
    assert high - value < value - low - 0.2  # near 1, so that the two cannot be mixed up
    assert point.error_y.array[0] == pytest.approx(high - value, abs=0.06)
    assert point.error_y.arrayminus[0] == pytest.approx(value - low, abs=0.06)


def test_the_table_has_a_row_for_each_training_and_stands_empty():
    shown = figures.instead_table([record("ms-mtl", 5, 0.5, images=1234)])
    for part in ("ms-mtl", "<b>50.0</b>", "1,234", "42 lines", "10 s", "one joint answer"):
        assert part in shown
    assert "<tbody>" in figures.instead_table([])


def test_what_came_out_is_told_best_first_with_what_was_not_run():
    said = figures.instead_in_words([record("monai", 5, 0.5), record("nnunet", 5, 0.75)])
    assert said.index("nnunet 75.0") < said.index("monai 50.0")
    assert "5 minutes: U-Net(Seg2), MS-MTL, fastai with Lite0, fastai with ResNet-34;" in said
    assert "15 minutes: all; 45 minutes: all" in said


@pytest.mark.parametrize(
    ("runs", "nnunet", "monai"),
    [
        ([("ms-mtl", 5, 0.86), ("nnunet", 45, 0.5), ("monai", 15, 0.84)], "reached", "reached"),
        ([("ms-mtl", 15, 0.86), ("nnunet", 45, 0.5), ("monai", 15, 0.9)], "open", "missed"),
        ([("unet-seg2", 5, 0.86), ("nnunet", 15, 0.9), ("monai", 5, 0.84)], "missed", "open"),
        ([("unet-seg2", 15, 0.84), ("nnunet", 5, 0.5)], "open", "open"),
        ([("unet-seg2", 45, 0.84), ("nnunet", 5, 0.5), ("monai", 5, 0.5)], "missed", "missed"),
    ],
)
def test_goals_are_judged_by_the_shortest_budget_that_reached_them(runs, nnunet, monai):
    *said, _, mind = figures.instead_goals([record(*run) for run in runs]).splitlines()
    assert "by the Dice itself" in mind
    assert [line.split(":")[1].split(".")[0].strip() for line in said] == [nnunet, monai]


def test_with_what_it_was_computed():
    said = figures.instead_made([record("ms-mtl", 5, 0.5), record("nnunet", 5, 0.5, "nnU-Net")])
    assert "A processor" in said and "torch 2.0, nnunetv2 2.8.1" in said
    assert "In bfloat16: ms-mtl. In float32: nnU-Net." in said
    assert "384 x 448 px in batches of 13" in said


def test_the_overlap_is_with_the_folds_that_were_chosen_on():
    tested = [{"per_image": {"case": ["a", "b", "c"]}}]
    runs = [{"fold": fold, "validation": {"case": [case]}} for fold, case in ((4, "c"), (1, "a"))]
    runs.append({"fold": 5})  # of before validation images were recorded
    assert figures.instead_overlap(tested, runs, [4, 5]).startswith("1 of the 3 test images")


def test_a_time_between_two_budgets_is_judged_by_the_shorter():
    runs = [("unet-seg2", 5, 0.86), ("monai", 15, 0.86)]
    told = [
        figures.instead_goals([record(*run) for run in [*runs, ("monai", minutes, 0.8)]])
        for minutes in (5, 10)
    ]
    ours = "unet-seg2 needs at most 5 minutes"
    assert f"MONAI: open.** {ours}, MONAI more than 5 and at most 15." in told[0]
    assert f"MONAI: reached.** {ours}, MONAI more than 10 and at most 15." in told[1]
    shorter = figures.instead_goals([record(*run) for run in [("ms-mtl", 2.5, 0.84), *runs]])
    assert "MONAI: open.** unet-seg2 needs more than 2.5 and at most 5 minutes" in shorter


def test_a_training_of_a_few_steps_is_told():
    short = record("nnunet", 5, 0.5) | {"steps": 3}
    assert "(3 steps: too short to say anything of it)" in figures.instead_in_words([short])
    goals = figures.instead_goals([record("unet-seg2", 5, 0.86), short])
    assert "nnU-Net: cannot be judged.** unet-seg2 needs" in goals
    assert "nnU-Net more than 5 (3 steps: too short to say anything of it)." in goals
