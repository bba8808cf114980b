"""The figures of the page *The recipe*."""

import pytest

from book.kit import figures, trials
from lib.profiles import find

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


def trial(dice, auc, minutes=9.0, apart=0.1):
    """Three epochs, of which the second has the best AUC."""
    every = [(1, auc - 0.1), (2, auc + 0.02), (3, auc)]
    return {
        "curve": [
            {"epoch": at, "AUC": a, "dice_nodule": dice, "inconsis_cls": apart, "minutes": minutes}
            for at, a in every
        ]
    }


def test_the_words_take_the_last_epoch_and_name_the_best():
    known = {
        "128-norm": trial(0.80, 0.70, minutes=9.0),
        "128-norm-long": trial(0.82, 0.71),
        "early-64-128-norm": trial(0.79, 0.69, minutes=5.04),
        "seg2-128": trial(0.90, 0.5),
    }
    runs = [
        {"profile": profile, "source": source, "parameters": {"epochs": epochs}}
        for profile, source, epochs in (
            ("evidence", "busbra", 12),
            ("evidence", "busbra", 11),
            ("evidence", "phantom", 30),
            ("laptop", "busbra", 99),
        )
    ]
    told = figures.length_in_words(known, find("evidence"), runs)
    for words in (
        "is 82.0 in place of 80.0, the AUC 71.0 in place of 70.0.",
        "(72.0 in epoch 2; 73.0 in epoch 2)",
        "11 or 12 epochs of a BUS-BRA fold and 30 of the phantom",
        "5.0 minutes of processor in place of 9.0 (nodule Dice 79.0, AUC 69.0)",
        "for the mask alone (90.0).",
    ):
        assert words in told
    del known["seg2-128"]
    with pytest.raises(KeyError, match="seg2-128"):
        figures.length_in_words(known, find("evidence"), runs)


def test_what_the_outline_loses_is_told_beside_what_agreement_gains():
    known = {
        "128-norm-apart": trial(0.86, 0.80, apart=0.2),
        "128-norm": trial(0.84, 0.82, apart=0.06),
        "seg2-128": trial(0.87, 0.5),
    }
    told = figures.outline_in_words(known)
    assert "the outline reaches 86.0, as built 84.0, alone 87.0." in told
    assert "20.0 % in place of 6.0 %, and the AUC is 80.0 in place of 82.0" in told


def test_a_mean_of_the_weights_is_told_by_its_median_and_range():
    def kept(system, dice):
        last = {"dice_nodule": 0.8, "AUC": 0.75, "inconsis_cls": 0.1}
        mean = {"0.997": last | {"dice_nodule": dice}}
        return {"trial": {"system": system}, "curve": [last], "averaged": mean}

    known = {
        "a": kept("ms-mtl", 0.81),
        "b": kept("ms-mtl", 0.795),
        "c": kept("ms-mtl", 0.802),
        "alone": kept("unet-seg2", 0.9),
        "none": trial(0.8, 0.7),
    }
    told = figures.averaged_in_words(known)
    assert told.startswith("In 3 trainings of MS-MTL")
    assert f"Nodule Dice +0.2 ({figures.MINUS}0.5 to +1.0); AUC of T1 0.0 (0.0 to 0.0)" in told
    with pytest.raises(ValueError, match="kept a mean with the decay"):
        figures.averaged_in_words(known, decay="0.5")


def test_angles_are_told_on_average():
    seen = [
        {"cosine T1 T2": a, "cosine T1 T3": 0.25, "cosine T2 T3": b}
        for a, b in ((-0.5, 0.5), (0.25, 0.75))
    ]
    told = figures.angles_in_words(seen)
    assert "-0.12 between T1 and T2, 0.25 between T1 and T3, and 0.62 between T2 and T3" in told


def test_trials_are_read_by_their_files(tmp_path):
    (tmp_path / "b.json").write_text('{"minutes": 2}')
    (tmp_path / "a.json").write_text('{"minutes": 1}')
    every = trials.load_all(tmp_path)
    assert list(every.items()) == [("a", {"minutes": 1}), ("b", {"minutes": 2})]
    assert trials.named(every, {"b": "two", "c": "none"}) == {"two": {"minutes": 2}}
