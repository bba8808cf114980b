"""What others report stands beside the book's own networks, each told from the same five folds."""

import re

import pytest

from book.kit import figures
from book.kit.published import PUBLISHED
from lib import profiles

EVIDENCE, FINER = (profiles.find(name) for name in ("evidence", "evidence-256"))


def runs(system, folds=(1, 2, 3, 4, 5), seed=0, profile="evidence", source="busbra"):
    names = {"source": source, "profile": profile, "experiment": system, "seed": seed}
    return [
        names
        | {"parameters": {"fold": fold}, "metrics": {"dice_nodule": 0.8 + fold / 100, "AUC": 0.9}}
        for fold in folds
    ]


def test_the_mean_and_the_spread_of_the_folds():
    table = figures.published_table(runs("ms-mtl"), [EVIDENCE])
    assert "83.0 ± 1.6" in table and "90.0 ± 0.0" in table
    assert "U-Net(Seg2) and ClsNet" not in table


def test_seeds_of_a_fold_are_averaged_first():
    other = [run | {"metrics": {"dice_nodule": 0.9, "AUC": 0.8}} for run in runs("ms-mtl", (1,), 1)]
    table = figures.published_table(runs("ms-mtl", (1, 2)) + other, [EVIDENCE])
    # fold 1: (81 + 90) / 2; fold 2: 82
    assert "83.8 ± 2.5" in table and "87.5 ± 3.5" in table


def test_each_profile_has_a_line_with_its_size_and_its_folds():
    finer = runs("ms-mtl", folds=(2, 3, 5), profile="evidence-256")
    table = figures.published_table(runs("ms-mtl") + finer, [EVIDENCE, FINER])
    own = [row for row in table.split("<tr>") if "This book" in row]
    assert [">128<" in row for row in own] == [True, False] and ">256<" in own[1]
    assert "official 1 to 5" in own[0] and "official 2, 3, 5" in own[1]


@pytest.mark.parametrize(
    "others",
    [
        runs("ms-mtl", folds=(1,)),
        runs("ms-mtl", profile="quick"),
        runs("ms-mtl", source="phantom"),
    ],
)
def test_other_runs_and_a_single_fold_do_not_count(others):
    assert "MS-MTL" not in figures.published_table(others, [EVIDENCE])


def test_words_say_what_is_reached_and_the_ranges_of_others():
    said = figures.published_in_words(runs("unet-seg2+clsnet"), [EVIDENCE, FINER])
    assert "a nodule Dice of 83.0 ± 1.6 and an AUC of 90.0 ± 0.0 with 128 px. Others" in said
    assert "a Dice of 88.6 to 90.2 and an AUC of 89.1 to 93.1" in said
    assert figures.published_in_words(runs("ms-mtl"), [EVIDENCE, FINER]) == ""


def test_goals_are_told_by_the_mean_over_folds():
    said = figures.goals_in_words(runs("ms-mtl") + runs("unet-seg2+clsnet"), [EVIDENCE])
    lines = [line.split(": ")[1] for line in said.splitlines()]
    assert lines == [
        "83.0 ± 1.6 with 128 px, folds 1 to 5 (**missed**).",
        "90.0 ± 0.0 with 128 px, folds 1 to 5 (**reached**).",
        "83.0 ± 1.6 with 128 px, folds 1 to 5 (**missed**).",
        "90.0 ± 0.0 with 128 px, folds 1 to 5 (**missed**).",
    ]
    some = figures.goals_in_words(runs("ms-mtl", folds=(2, 3, 5)), [EVIDENCE])
    assert "px, folds 2, 3, 5 (" in some
    assert "MS-MTL, nodule Dice of 87: " in said and "apart, AUC of 91: " in said


def test_each_says_where_it_can_be_read_and_at_what_state():
    for one in PUBLISHED:
        assert re.match(r"https://(doi\.org/10\.|github\.com/.+/blob/[0-9a-f]{40}/)", one.link)
        assert one.dice or one.auc
