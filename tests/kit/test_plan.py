"""What the plan compares: over sources, against a network for one task, with folds or not."""

import math
import re
import subprocess
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
from records import PAINTED, as_numbers, cells, record, some_rows
from scipy.stats import norm, ttest_ind_from_stats

from book.kit import figures, plan, stats
from book.kit.claims import FULL, PLAIN
from book.kit.stats import SUFFIX, Difference, Evidence, apart, over_sources, pooled

ROOT = Path(__file__).parents[2]
COUNTS = {"seg2seg3_inter": 40, "seg2seg3_union": 50}


def difference(measure="AUC", value=0.02, error=0.01, freedom=math.inf, **more):
    known = {"above": 0.8, "below": 0.8 - value, "share": 1.0, "seeds": (0,), "trainings": 2}
    known |= {"images": 90, "patients": 60, "smallest": 30, "spread_known": True}
    return Difference(measure, difference=value, error=error, freedom=freedom, **known | more)


def runs(source, seeds=(0, 1), folds=(0,), **systems):
    """Runs of MS-MTL without and with the terms, which agree in more images with them."""
    made = []
    for seed in seeds:
        for fold in folds:
            for name, wrong in (systems or {PLAIN: 0.35, FULL: 0.05}).items():
                rows = some_rows(120, wrong, seed=10 * seed + len(name)).assign(**COUNTS)
                rows["case"] = [f"{source} {fold} {one}" for one in rows["case"]]
                rows["group"] = [f"{source} {fold} {one}" for one in rows["group"]]
                parameters = {"fold": fold, "encoder": "resnet18"}
                made.append(
                    record(name.replace("_", "-"), seed, rows, source=source, profile="laptop")
                    | {"parameters": parameters, "data": {"fingerprint": source}}
                )
    return made


@pytest.fixture(scope="module")
def found():
    return figures.shown(runs("busbra", folds=(1, 2), seeds=(0,)) + runs("phantom") + runs("ddti"))


def test_sources_are_weighted_by_their_precision():
    one, two = difference(value=0.03, error=0.01), difference(value=0.0, error=0.02)
    both = over_sources([one, two])
    assert both.difference == pytest.approx((0.03 * 4 + 0.0) / 5)  # weights 1/.01² and 1/.02²
    assert both.error == pytest.approx(1 / math.sqrt(1e4 + 2.5e3))
    assert both.trainings == 4 and both.patients == 120
    assert both.low == pytest.approx(both.difference - norm.ppf(0.975) * both.error, abs=1e-3)


def test_sources_that_are_further_apart_than_their_errors_have_no_mean():
    """2.5 points between errors of .5 and .4: t = 3.9; with one degree of freedom it tells less."""
    one, two = difference(value=-0.002, error=0.005), difference(value=-0.027, error=0.004)
    assert apart([one, two]) and pooled([{"AUC": one}, {"AUC": two}]) == {}
    # Welch's t test of the same two, by another library
    known = (-0.002, 0.005 * math.sqrt(4), 4), (-0.027, 0.004 * math.sqrt(3), 3)
    p = ttest_ind_from_stats(*known[0], *known[1], equal_var=False).pvalue
    few = [difference(value=v, error=s / math.sqrt(n), freedom=n - 1) for v, s, n in known]
    assert apart(few) == (p < 0.05)
    third = difference(value=-0.027, error=0.004, freedom=0.5)
    assert not apart([replace(one, freedom=0.5), third])
    assert not apart([one, difference(value=0.0, error=0.005)])


def test_few_trainings_of_one_source_are_not_lost_in_the_pool():
    many = over_sources([difference(freedom=math.inf), difference(freedom=4)])
    assert many.freedom == pytest.approx(4 / 0.25)  # (sum of w²/f)⁻¹, with weights of a half
    assert math.isinf(over_sources([difference(), difference()]).freedom)


def test_what_one_source_cannot_tell_is_not_pooled():
    blind = difference(error=math.nan, why="a class of 3 patients")
    assert pooled([{"AUC": difference()}, {"AUC": blind}]) == {}
    told = pooled([{m: difference(m) for m in ("AUC", "F1")} for _ in range(2)])
    assert sorted(one.level for one in told.values()) == pytest.approx([0.95, 0.975])  # Holm


def test_a_claim_is_false_as_often_as_the_other_side_is_probable():
    assert difference(value=0.02, error=0.01).not_above == pytest.approx(norm.cdf(-2))
    assert difference(value=-0.02, error=0.01).false_claim == pytest.approx(norm.cdf(-2))
    assert difference(value=0.02, error=0.01, freedom=3).false_claim > norm.cdf(-2)
    assert math.isnan(difference(value=0.0, error=0.0).false_claim)


def test_with_folds_a_source_counts_each_patient_once_and_every_training(found):
    told = plan.compared(found)
    terms = told[plan.PAIRS[0].change]
    assert list(terms) == ["Pooled", "BUS-BRA", "Phantom", "DDTI"]
    assert terms["BUS-BRA"]["AUC"].trainings == 2 and terms["BUS-BRA"]["AUC"].images == 240
    assert plan.sizes(found)["BUS-BRA"] == {"benign": 120, "malignant": 120}
    assert terms["Pooled"]["inconsis_cls"].patients == 120 + 60  # DDTI enters no verdict


def test_sources_that_point_in_different_ways_are_not_pooled():
    turned = {PLAIN: 0.05, FULL: 0.35}
    both = figures.shown(runs("busbra") + runs("phantom", **turned))
    told = plan.compared(both)[plan.PAIRS[0].change]
    assert "inconsis_cls" not in told.get("Pooled", {})
    said = figures.answers(plan.compared(both), plan.pooled_rows())
    alone = told["BUS-BRA"]["inconsis_cls"]
    assert alone.clear and f"**BUS-BRA {figures.sentence(alone)}**" in said
    assert re.search(r"T1 and T3: each source for itself: \*\*BUS-BRA .* fewer", said)


def with_profile(profile, records):
    return [one | {"profile": profile} for one in records]


def test_a_source_is_shown_by_the_first_profile_that_it_has():
    every = with_profile("evidence", runs("busbra")) + runs("busbra", mtl=0.3) + runs("phantom")
    every += with_profile("quick", runs("ddti"))
    shown, older = figures.shown(every), figures.earlier(every)
    assert list(shown) == [("phantom", "laptop"), ("busbra", "evidence")]
    assert "mtl" not in shown["busbra", "evidence"].runs
    assert list(older) == [("busbra", "laptop")] and "mtl" in older["busbra", "laptop"].runs


def test_one_training_is_neither_pooled_nor_told_apart():
    """Its interval is about patients alone, and so too narrow to be weighed against others."""
    single = runs("phantom", seeds=(0,))
    told = plan.compared(figures.shown(runs("busbra") + single))[plan.PAIRS[0].change]
    assert "Pooled" not in told and not told["Phantom"]["inconsis_cls"].spread_known
    alone = plan.compared(figures.shown(single))
    said = figures.answers(alone, plan.pooled_rows())
    assert alone[plan.PAIRS[0].change]["Phantom"]["inconsis_cls"].clear
    assert "T3: Phantom of one training, whose chance is not in" in said
    assert "<b>\N{MINUS SIGN}" not in figures.effects_table(alone, ("inconsis_cls",), {})


def test_the_key_names_what_is_drawn(found):
    told = plan.compared(found)
    key = figures.effects_key(told)
    drawn = [change for change, each in told.items() if each]
    assert 0 < len(drawn) < len(told)  # of one pair nothing was run
    assert all((escape(change) in key) == bool(each) for change, each in told.items())
    every = figures.effects_key(dict.fromkeys(told, told[drawn[0]]))
    assert all(escape(change) in every for change in told)


def test_two_profiles_are_not_pooled():
    mixed = figures.shown(with_profile("evidence", runs("busbra")) + runs("phantom"))
    alike = figures.shown(runs("busbra") + runs("phantom"))
    change = plan.PAIRS[0].change
    assert "Pooled" not in plan.compared(mixed)[change]
    assert "Pooled" in plan.compared(alike)[change]


def test_the_answers_have_the_numbers_and_say_what_is_constructed(found):
    told = plan.compared(found)
    said = figures.answers(told, plan.pooled_rows())
    first = told[plan.PAIRS[0].change]["Pooled"]["inconsis_cls"]
    assert first.clear and f"**Contradictions, T1 and T3: {figures.sentence(first)}**" in said
    assert said.count("0 by construction, which is no finding") == 2


def test_a_verdict_that_rests_on_the_spread_of_other_systems_is_named():
    """A third system whose seeds differ much widens every interval, but not the pair's own."""
    systems = {PLAIN: 0.35, FULL: 0.05, "ms-mtl+joint": 0.5}
    made = runs("busbra", seeds=range(4), **systems)
    for at, one in enumerate(made):
        if one["experiment"] == "ms-mtl+joint" and one["seed"] % 2:
            made[at] = runs("busbra", seeds=[one["seed"]], **{"ms-mtl+joint": 0.02})[0]
    pair, measure = plan.PAIRS[:1], "inconsis_cls"
    wide = figures.shown(made)
    own = plan.by_own_spread(wide, pair)
    one = wide["busbra", "laptop"]
    same = figures.shown([r for r in made if r["experiment"] != "ms-mtl+joint"])
    assert own == plan.compared(same, pair)
    assert one.only(FULL).spread(measure).excess < one.spread(measure).excess
    compared = plan.compared(wide, pair)
    change = pair[0].change
    flipped = [
        m
        for m, d in own[change]["BUS-BRA"].items()
        if d.clear != compared[change]["BUS-BRA"][m].clear
    ]
    assert flipped, "no verdict of this example rests on the third system"
    words = figures.assumed_in_words(compared, own)
    assert f"{len(flipped)} of {len(own[change]['BUS-BRA'])} verdicts would be another" in words
    assert all(figures.sentence(own[change]["BUS-BRA"][m]) in words for m in flipped)
    assert "none of the" in figures.assumed_in_words(own, own)


def test_a_system_is_set_against_the_network_it_shares_most_trainings_with():
    both = runs("busbra", (0, 1), (1, 2), once=0.3, **{"unet-seg2+clsnet": 0.3})
    found = Evidence([*both, *runs("busbra", (0,), (1, 2), clsnet=0.3)])
    assert plan.reference(found, "once", "AUC") == "unet-seg2+clsnet"
    fewer = Evidence([run for run in found.records if run["seed"] == 0])
    assert plan.reference(fewer, "once", "AUC") == "unet-seg2+clsnet"  # as many: the half of a pair
    alone = Evidence([run for run in found.records if run["experiment"] != "unet-seg2+clsnet"])
    assert plan.reference(alone, "once", "AUC") == "clsnet"
    assert plan.reference(alone, "once", "dice_nodule") is None


def test_what_was_not_run_is_listed():
    made = with_profile("evidence", runs("busbra", folds=(1, 2, 3, 4, 5)) + runs("ddti"))
    missing = plan.not_run(made + runs("phantom"), {"once": "Once"})
    assert "Once (0 of 5 trainings done)" in missing["BUS-BRA"]
    assert not any(told.startswith(f"{PLAIN} (") for told in missing["BUS-BRA"])  # 10 of 10
    assert f"{PLAIN} (2 of 5 trainings done)" in missing["DDTI"]
    assert f"{PLAIN} (0 of 5 trainings done)" in missing["Phantom"]  # of another profile
    later = plan.not_run_later(made, {"segnet": "SegNet"})
    assert f"{PLAIN} (10 of 20)" in later["Part 6, more of the headline, BUS-BRA"]
    assert PLAIN in later["Part 6, more of the headline, phantom"]
    (rivals,) = (told for part, told in later.items() if part.startswith("Part 5"))
    assert "SegNet" in rivals and "segnet-native" not in rivals  # which fills no row
    never = plan.never_run(made, {"once-product": "The product"})
    assert "The product" in never and PLAIN not in never
    nothing = figures.shown(runs("busbra", ms_mtl=0.3))
    said = figures.answers(plan.compared(nothing), plan.pooled_rows())
    assert "Not run." in said


def test_a_fold_that_one_system_lacks_is_named():
    made = runs("busbra", folds=(1, 2), seeds=(0,), mtl=0.3) + runs("busbra", (0,), (1,), once=0.3)
    one = Evidence(made)
    assert plan.missing_folds(one, {"once": "Once"}) == "Once: fold 2"
    assert plan.missing_folds(Evidence(made[:2]), {}) == ""


def test_two_sizes_stand_below_each_other():
    small, large = (
        Evidence(runs("busbra", folds=folds, seeds=(0,), **{PLAIN.replace("-", "_"): wrong}))
        for folds, wrong in (((1, 2), 0.3), ((1,), 0.1))
    )
    shown = figures.resolution_table({"128 px": small, "256 px": large}, {PLAIN: "MS"}, ("AUC",))
    _, first, second = cells(shown)[-3:]
    assert first[0] == "128 px2 trainings, 240 images" and "1 training, 120 images" in second[0]
    for row, one in ((first, small), (second, large)):
        wanted = [100 * v for v in one.level(PLAIN, "AUC")]
        assert as_numbers(row[1]) == pytest.approx(wanted, abs=0.051)
    with pytest.raises(ValueError, match="none of these systems"):
        figures.resolution_table({"128 px": small}, {"once": "Once"}, ("AUC",))


def test_only_what_is_shown_to_be_no_worse_is_named():
    good, bad = difference(value=0.0, error=0.001), difference(value=0.0, error=0.02)
    known = [
        replace(one, measure=m, low=-1.7 * one.error, high=1.7 * one.error)
        for one in (good, bad)
        for m in ("dice_nodule", "AUC")
    ]
    against = {
        "a": {"X": dict(zip(("dice_nodule", "AUC"), known[:2], strict=True))},
        "b": {"X": {"dice_nodule": known[0], "AUC": known[3]}},
        "two": {"X": {"dice_nodule": None, "AUC": None}},
    }
    said = figures.no_worse_in_words(against, {"a": "A & B"}, ["X", "Y"])
    assert said.endswith("outline and class: X: **A &amp; B**.")
    assert "none" in figures.no_worse_in_words({"b": against["b"]}, {}, ["X"])


def test_the_table_has_every_difference(found):
    told = plan.compared(found)
    shown = cells(figures.effects_table(told, plan.PRIMARY, plan.sizes(found)))
    row = next(line for line in shown if line[0].startswith("BUS-BRA"))
    wanted = told[plan.PAIRS[0].change]["BUS-BRA"]["inconsis_cls"]
    assert as_numbers(row[1]) == pytest.approx(
        [100 * v for v in (wanted.difference, wanted.low, wanted.high)], abs=0.051
    )
    assert row[0] == "BUS-BRA120 benign120 malignant"


def test_marks_of_one_training_are_hollow_with_a_thin_bar():
    one = figures.shown(runs("busbra", seeds=(0,)) + runs("phantom"))
    drawn = figures.effects(plan.compared(one), "inconsis_cls", plan.sizes(one))
    looks = {
        (trace.marker.symbol, trace.error_x.thickness)
        for trace in drawn.data
        if trace.marker.symbol.startswith("circle")
    }
    assert looks == {("circle-open", 1), ("circle", 3)}
    assert "120" not in drawn.layout.meta["alt"] and "BUS-BRA" in drawn.layout.meta["alt"]


def test_nothing_is_drawn_that_is_not_told():
    few = difference(low=math.nan, high=math.nan, error=math.nan, why="a class of 3 patients")
    drawn = figures.effects({"change": {"DDTI": {"AUC": few}}}, "AUC", {}, ("DDTI",))
    assert drawn.data[0].error_x.array is None
    with pytest.raises(ValueError, match="nothing was compared"):
        figures.effects({}, "AUC", {})


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.001, 0.02, "better"),
        (-0.009, 0.02, "no worse by 1 point"),
        (-0.011, 0.02, "not shown"),
        (-0.03, -0.001, "worse"),
        (-0.03, -0.011, "worse by more than 1 point"),
    ],
)
@pytest.mark.parametrize("measure", ["AUC", "inconsis_cls"])
def test_better_no_worse_and_worse(measure, low, high, said):
    if measure.startswith("inconsis"):
        low, high = -high, -low
    assert figures.standing(difference(measure, low=low, high=high)) == said


def test_consistent_systems_are_set_against_the_network_for_one_task():
    own = {PLAIN: 0.3, "unet-seg2+clsnet": 0.0}
    found = figures.shown(runs("busbra", **own) + runs("phantom", **own))
    against = plan.against_one_task(found)
    assert against["unet-seg2+clsnet"]["BUS-BRA"] == {"dice_nodule": None, "AUC": None}
    one = found["busbra", "laptop"]
    wanted = one.difference(f"{PLAIN}{SUFFIX}", "unet-seg2+clsnet", "AUC", level=0.9)
    assert against[plan.JOINT]["BUS-BRA"]["AUC"] == wanted
    assert [*against[plan.JOINT]] == ["BUS-BRA", "Phantom"] and against["once"] == {}
    table = figures.consistent_table(against, {}, plan.parameters(found))
    assert "by construction" in table and "1.5 million parameters" in table


def test_what_enters_no_verdict_is_set_against_nothing():
    own = {plan.PLAIN: 0.3, "unet-seg2+clsnet": 0.0}
    found = figures.shown(runs("busbra", **own) + runs("ddti", **own))
    assert [*plan.against_one_task(found)[plan.JOINT]] == ["BUS-BRA"]


def test_every_patient_of_a_fold_is_drawn_and_none_twice():
    twice = runs("busbra", folds=(1,), seeds=(0,)) + runs("busbra", folds=(0,), seeds=(0,))
    for made in twice:
        made["per_image"]["group"] = runs("busbra", seeds=(0,))[0]["per_image"]["group"]
    assert "is in fold" in figures.shown(twice)["busbra", "laptop"]


def test_the_commit_of_the_plan_is_that_of_the_page():
    if not (ROOT / ".git").exists():
        pytest.skip("not a repository")
    told = subprocess.run(
        ["git", "log", "--format=%h", "--diff-filter=A", "--", "book/plan.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    shallow = ["git", "rev-parse", "--is-shallow-repository"]
    cut = subprocess.run(shallow, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    if not told or cut != "false":
        pytest.skip("its history is not here")
    assert told[-1].startswith(plan.COMMIT) or plan.COMMIT.startswith(told[-1])


def test_a_new_run_is_read_by_its_own_joint_columns():
    rows = some_rows(40).assign(**COUNTS)
    counts = [f"{name}_{part}" for name in (*PAINTED, "nodule") for part in ("inter", "pred")]
    own = {f"joint_{name}": rows[name] for name in counts}
    rows = rows.assign(**own, joint_p_malignant=np.where(rows["label"] == 1, 0.9, 0.1))
    new = Evidence(stats.with_together([record(PLAIN, 0, rows)]))
    assert new.value(f"{PLAIN}{SUFFIX}", "ACC") == 1


def test_a_gain_in_mean_dice_alone_is_said_to_be_the_class():
    at = {"above": 0.9, "below": 0.8, "share": 1.0, "seeds": (0,), "trainings": 5, "images": 90}
    at |= {"patients": 45, "smallest": 45, "spread_known": True, "difference": 0.1}
    whole = Difference("dice_paper_mean", low=0.05, high=0.15, p=0.001, **at)
    own = Difference("dice_class_mean", low=-0.05, high=0.15, p=0.4, **at)
    both = {"dice_paper_mean": whole, "dice_class_mean": own}
    said = figures.whose_gain_in_words({"with": {"Pooled": both, "BUS-BRA": both}}, ["BUS-BRA"])
    assert "in 1 comparison:" in said
    assert said.endswith("Pooled, with.")
    alone = figures.whose_gain_in_words({"with": {"BUS-BRA": both, "DDTI": both}}, ["BUS-BRA"])
    assert alone.endswith("BUS-BRA, with.")  # DDTI is not among the rows that are judged
    clear = both | {"dice_class_mean": replace(own, p=0.001)}
    assert not figures.whose_gain_in_words({"with": {"Pooled": clear}}, [])
