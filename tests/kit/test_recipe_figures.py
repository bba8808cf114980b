"""The figures of the page *The recipe*."""

import pytest

from book.kit import figures

CURVE = [
    {"minutes": 1.0, "dice_nodule": 0.70, "AUC": 0.8},
    {"minutes": 2.5, "dice_nodule": 0.75, "AUC": 0.7, "inconsis_cls": 0.125},
]


def test_a_line_for_each_measure_that_a_trial_has():
    drawn = figures.recipe_curves(
        {"both": {"curve": CURVE}, "class <alone>": {"curve": [{"minutes": 1.0, "AUC": 0.9}]}}
    )
    assert [(line.name, line.x, line.y) for line in drawn.data] == [
        ("both", (1.0, 2.5), (0.70, 0.75)),
        ("both", (1.0, 2.5), (0.8, 0.7)),
        ("class &lt;alone&gt;", (1.0,), (0.9,)),
    ]
    assert "both: Nodule Dice 0.750 after 2.5 minutes" in drawn.layout.meta["alt"]
    with pytest.raises(ValueError, match="no trial"):
        figures.recipe_curves({})


def test_the_table_has_the_last_epoch_and_dashes_for_what_is_not_there():
    shown = figures.recipe_table({"one": {"minutes": 2.54, "curve": CURVE}}, "Note.")
    for cell in ("2.5", "75.0", "70.0", "12.5", "Note."):
        assert cell in shown
    alone = figures.recipe_table({"one": {"minutes": 1.0, "curve": [{"AUC": 0.9}]}})
    assert alone.count(figures.ABSENT) == 2


def test_angles_are_drawn_over_the_share_of_the_training():
    seen = [{"done": 0.25, "cosine T1 T2": 0.1, "cosine T1 T3": -0.2, "cosine T2 T3": 0.5}]
    drawn = figures.gradient_angles(seen)
    assert [(line.x, line.y) for line in drawn.data] == [((25,), (v,)) for v in (0.1, -0.2, 0.5)]
    with pytest.raises(ValueError, match="no gradient"):
        figures.gradient_angles([])
