"""The simulation of the rule: few repetitions hold, and a rule without its parts is caught."""

import json

import pytest

from book.kit.stats import FURTHER, PRIMARY, Spread
from ci import null

DESIGN = (1, 3, 4, 0)


@pytest.fixture(scope="module")
def few():
    return null.counted(DESIGN, 40, draws=150)


def test_intervals_hold_the_truth_most_of_the_time(few):
    assert few["pairs"] == 80 and set(few["differences"]) <= {*PRIMARY, *FURTHER}
    assert min(few["differences"].values()) > 86  # 80 pairs: 95 less more than three errors
    assert max(few["false claims"].values()) <= 12


def test_others_that_contradict_themselves_less_lend_their_spread_and_are_not_compared():
    (found,) = null.trials((1, 2, 2, 3), 1, draws=150)
    often = [found.value(system, "inconsis_cls") for system in found.runs]
    assert max(often[2:]) < min(often[:2]) and len(often) == 5
    told = null.counted((1, 2, 2, 3), 3, draws=150)
    assert (told["pairs"], told["systems"]) == (3, 5)


def test_without_the_spread_between_trainings_the_outline_is_not_held(few, monkeypatch):
    monkeypatch.setattr(Spread, "added", lambda self, variance, times: (variance, float("inf")))
    found = null.counted(DESIGN, 25, draws=150)
    assert found["differences"]["dice_nodule"] < 75 < few["differences"]["dice_nodule"]


def test_the_committed_figures_are_of_this_simulation():
    kept = json.loads(null.TARGET.read_text())
    assert kept["seed"] == null.SEED and kept["designs"].keys() == null.DESIGNS.keys()
    for name, design in kept["designs"].items():
        assert design["repetitions"] == null.REPETITIONS[name]
