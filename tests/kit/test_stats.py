"""The one rule: draws and measures against loops, its parts by hand, Holm and Wilson by others."""

import math

import numpy as np
import pandas as pd
import pytest
from records import record, some_rows
from scipy.stats import t
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from book.kit import stats
from book.kit.stats import Difference, Evidence, Spread, corrected, draw, holm, wilson, wilson_p
from book.kit.stats.bootstrap import drawn, measured
from lib.metrics import summarise

MEASURES = ["ACC", "F1", "AUC", "AUC_seg", "dice_paper_mean", "dice_class_mean", "inconsis_cls"]


def run(system, seed=0, wrong=0.3, fold="", images=60, rows=None):
    rows = some_rows(images, wrong, seed=100 * seed + hash_of(system)) if rows is None else rows
    truth = some_rows(images)[["case", "group", "label"]]
    rows = rows.assign(**{name: truth[name] for name in truth})
    rows["nodule_inter"] -= 5 * seed  # a training that draws worse outlines of every nodule
    return record(system, seed, rows, parameters={"fold": fold})


def hash_of(system):
    return sum(map(ord, system))


def three_classes(n=40, seed=0):
    """Rows as from count_batch, of a network of three classes; two images have no label."""
    g = np.random.default_rng(seed)
    label = np.r_[-1, -1, np.arange(n - 2) % 3]
    rows = {"label": label, "seg_as_cls": np.where(g.random(n) < 0.4, (label + 1) % 3, label)}
    for stem in ("p", "seg_as_cls_p"):
        scores = g.gamma(np.where(label[:, None] == range(3), 2.0, 1.0)).round(1) + 0.1
        for k, score in enumerate((scores / scores.sum(1, keepdims=True)).T, start=1):
            rows[f"{stem}_class{k}"] = score
    return pd.DataFrame(rows)


# ------------------------------------------------------------------------------------------ draws


def test_patients_are_drawn_whole_about_once_and_alike_in_every_run():
    rows = some_rows(60)
    weights = draw(rows)
    by_patient = pd.DataFrame(weights.T).groupby(rows["group"].to_numpy())
    assert (by_patient.nunique() == 1).all(axis=None)
    assert weights.mean() == pytest.approx(1, abs=0.02)
    assert by_patient.first().to_numpy().var() == pytest.approx(1, abs=0.05)
    part = rows.iloc[20:40]  # beside others or alone: the patient's name decides
    assert (draw(part) == weights[:, 20:40]).all()


@pytest.mark.parametrize(
    ("rows", "measures"),
    [
        (some_rows(60), MEASURES),
        (some_rows(60).assign(p_malignant=some_rows(60)["p_malignant"].round(1)), ["AUC", "ACC"]),
        (three_classes(), ["ACC", "F1_macro", "F1_class2", "AUC_macro", "AUC_seg_macro"]),
    ],
)
def test_a_measure_under_a_draw_is_that_of_the_repeated_rows(rows, measures):
    found = drawn(rows, 25)
    weights = np.vstack([np.ones(len(rows), int), draw(rows, 25)])
    for measure in measures:
        expected = [
            summarise(rows.loc[np.repeat(rows.index, w)]).get(measure, np.nan) for w in weights
        ]
        assert measured([found], measure) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_an_auc_of_folds_pairs_images_of_one_fold():
    folds = [
        some_rows(30, seed=k).assign(group=lambda r, k=k: r["group"] + f" {k}") for k in (1, 2)
    ]
    folds[1]["p_malignant"] /= 3  # another scale: across folds nearly all pairs would be in order
    single = [summarise(rows)["AUC"] for rows in folds]
    together = measured([drawn(rows, 5) for rows in folds], "AUC")[0]
    assert together == pytest.approx(np.mean(single))


def test_a_row_without_a_patient_is_refused():
    with pytest.raises(ValueError, match="row 3 has no group"):
        draw(some_rows(8).assign(group=[*"abc", None, *"efgh"]))


# -------------------------------------------------------------------------------------- intervals


@pytest.mark.parametrize(("right", "count"), [(45, 50), (0, 20), (20, 20), (1, 12)])
def test_wilson_is_statsmodels_for_a_proportion(right, count):
    share = right / count
    found = wilson(share, share * (1 - share) / count, count)
    assert found[1:] == pytest.approx(proportion_confint(right, count, method="wilson"))


def test_far_from_the_ends_it_is_the_normal_interval():
    found = wilson(0.02, 0.01**2, 300, bounds=(-1, 1))
    assert found[1:] == pytest.approx((0.02 - 0.0196, 0.02 + 0.0196), abs=1e-4)
    few = wilson(0.02, 0.01**2, 300, bounds=(-1, 1), freedom=4)
    assert few.high - few.low == pytest.approx(2 * 0.01 * t.ppf(0.975, 4), rel=0.01)


@pytest.mark.parametrize("value", [-0.9, -0.2, 0.0, 0.97])
@pytest.mark.parametrize("error", [0.01, 0.25, 1.5])
def test_an_interval_stays_in_its_range_and_p_agrees_with_it(value, error):
    for level in (0.5, 0.95, 0.999):
        _, low, high = wilson(value, error**2, 40, bounds=(-1, 1), level=level, freedom=6)
        assert -1 <= low <= value <= high <= 1
        p = wilson_p(value, error**2, 40, freedom=6)
        assert (p < 1 - level) == (low > 0 or high < 0)


def test_a_level_of_95_is_refused():
    with pytest.raises(ValueError, match="level is 95"):
        wilson(0.5, 0.01, 40, level=95)


# ---------------------------------------------------------------------------------------- the rule


def three_systems(seeds=3):
    return [run(system, seed) for system in "abc" for seed in range(seeds)]


def test_the_variance_is_that_over_patients_and_what_trainings_add():
    """On one test set, with three seeds: s² of the systems, and 1.5 times the bootstrap's gap."""
    evidence = Evidence(three_systems())
    rows = [[pd.DataFrame(r["per_image"]) for r in evidence.runs[s].values()] for s in "abc"]
    weights = draw(rows[0][0]).astype(float)

    def right(one):
        return ((one["p_malignant"] > 0.5) == (one["label"] == 1)).to_numpy(float)

    draws = np.array([[weights @ right(one) / weights.sum(1) for one in runs] for runs in rows])
    values = np.array([[right(one).mean() for one in runs] for runs in rows])
    between = values.var(axis=1, ddof=1).mean()
    gap = draws.var(axis=2, ddof=1).mean(1) - draws.mean(1).var(axis=1, ddof=1)
    spread = evidence.spread("ACC")
    assert spread == pytest.approx((between, 1.5 * gap.mean(), 6))
    found = evidence.difference("a", "b", "ACC")
    over_patients = (draws[0].mean(0) - draws[1].mean(0)).var(ddof=1)
    total = over_patients + 2 / 3 * max(0, between - 1.5 * gap.mean())
    assert found.error**2 == pytest.approx(total)
    assert found.freedom == pytest.approx(6 * (total / (2 / 3 * between)) ** 2)
    assert found.difference == pytest.approx(values[0].mean() - values[1].mean())
    assert (found.seeds, found.trainings, found.images, found.patients) == ((0, 1, 2), 3, 60, 30)


def test_a_system_with_one_training_borrows_the_spread_of_the_others():
    alone = Evidence([run("d"), run("e")]).difference("d", "e", "dice_nodule")
    among = Evidence([*three_systems(), run("d"), run("e")])
    borrowed = among.difference("d", "e", "dice_nodule")
    assert not alone.spread_known and borrowed.spread_known
    more = 2 * among.spread("dice_nodule").excess
    assert more > 0 and borrowed.error**2 == pytest.approx(alone.error**2 + more)


def test_what_is_common_to_a_test_set_is_no_spread_between_trainings():
    """Each seed draws its split: one is easy for all systems, another hard for all."""
    values = np.array([[0.6, 0.8, 0.9], [0.65, 0.85, 0.95]]).reshape(-1, 1)
    draws = np.hstack([values, values])
    sets = [frozenset("a"), frozenset("b"), frozenset("c")] * 2
    found = Spread.between_trainings(["x"] * 3 + ["y"] * 3, sets, np.hstack([draws, values]))
    assert found.between == pytest.approx(0) and found.freedom == 2
    same = Spread.between_trainings(["x"] * 3 + ["y"] * 3, sets[:1] * 6, np.hstack([draws, values]))
    assert same.between == pytest.approx(values[:3].var(ddof=1)) and same.freedom == 4


def test_a_system_that_deciding_together_never_changes_tells_nothing_of_its_spread():
    """Painted networks decide nothing: their zeros would make the interval of others narrow."""
    alone = [run(f"a{end}", seed) for seed in (0, 1, 2) for end in ("", stats.SUFFIX)]
    painted = [
        run(f"b{end}", seed, rows=some_rows(60, seed=seed))
        for seed in (0, 1, 2)
        for end in ("", stats.SUFFIX)
    ]
    decided, answered = f"a{stats.SUFFIX}", "a"
    beside, by_itself = Evidence([*alone, *painted]), Evidence(alone)
    found = beside.within("F1")
    assert found.known and found == by_itself.within("F1")
    assert beside.differences(decided, answered) == by_itself.differences(decided, answered)
    assert beside.difference(f"b{stats.SUFFIX}", "b", "F1").error == 0


def test_what_is_decided_together_is_no_training_of_its_own():
    alone = [run("a", seed) for seed in range(3)]
    decided = [run(f"a{stats.SUFFIX}", seed, wrong=0.1) for seed in range(3)]
    both = Evidence([*alone, *decided])
    for measure in ("dice_nodule", "ACC"):
        assert both.spread(measure) == Evidence(alone).spread(measure)


def test_a_training_without_the_measure_tells_nothing_of_its_spread():
    """No image of the class: of three trainings, two are left; in no draw, none is."""
    draws = np.random.default_rng(0).random((3, 50))
    one, test = ["x"] * 3, [frozenset("a")] * 3
    values = np.hstack([[[0.6], [0.8], [np.nan]], draws])
    assert Spread.between_trainings(one, test, values).freedom == 1
    values[1, 1:] = np.nan
    assert not Spread.between_trainings(one, test, values).known
    assert not Spread.between_trainings([], [], np.array([])).known


def test_folds_of_a_seed_are_pooled_and_each_is_a_training():
    parts = {"1": slice(0, 30), "2": slice(30, 60)}
    whole = {s: some_rows(60, seed=hash_of(s)).assign(label=some_rows(60)["label"]) for s in "ab"}
    runs = [
        record(system, 0, rows.iloc[part].reset_index(drop=True), parameters={"fold": fold})
        for system, rows in whole.items()
        for fold, part in parts.items()
    ]
    evidence = Evidence(runs)
    assert evidence.value("a", "F1") == pytest.approx(summarise(whole["a"])["F1"])
    found = evidence.difference("a", "b", "F1")
    assert (found.trainings, found.images, found.seeds) == (2, 60, (0,))
    again = [record(r["experiment"], 0, pd.DataFrame(r["per_image"]), parameters={"fold": f})
             for r, f in zip(runs, ["1", "1b"] * 2, strict=True)]  # fmt: skip
    again[1]["per_image"]["group"][0] = again[0]["per_image"]["group"][0]
    again[3]["per_image"]["group"][0] = again[0]["per_image"]["group"][0]
    with pytest.raises(ValueError, match="patient 'patient 0' is in fold '1' too"):
        Evidence(again)


def test_the_same_comparison_has_the_same_digits_beside_other_runs():
    runs = three_systems()
    some = [r | {"experiment": f"new {r['experiment']}"} for r in runs if r["seed"] == 0]
    assert Evidence(runs).differences("a", "b") == Evidence([*runs, *some]).differences("a", "b")
    there, back = Evidence(runs).differences("a", "b"), Evidence(runs).differences("b", "a")
    for measure, found in there.items():
        assert back[measure].p == pytest.approx(found.p)
        assert back[measure].low == pytest.approx(-found.high)


def test_a_class_of_few_patients_has_no_interval_and_ends_nothing():
    """One malignant image: DeLong's test ended the whole comparison there."""
    rows = [some_rows(60, seed=k).assign(label=[1] + [0] * 59) for k in range(2)]
    evidence = Evidence([record("a", rows=rows[0]), record("b", rows=rows[1])])
    family = evidence.differences("a", "b")
    assert family["AUC"].why == "a class of 1 patient" and math.isnan(family["AUC"].low)
    assert math.isnan(family["AUC"].p) and not family["AUC"].clear
    assert family["ACC"].low <= family["ACC"].difference <= family["ACC"].high
    assert math.isnan(evidence.level("a", "AUC").low)
    assert math.isnan(evidence.level("a", "F1").low)
    assert not math.isnan(evidence.level("a", "ACC").low)


def test_a_system_against_itself_differs_by_nothing():
    runs = three_systems()
    copies = [r | {"experiment": "copy"} for r in runs if r["experiment"] == "a"]
    for found in Evidence([*runs, *copies]).differences("a", "copy").values():
        assert found.interval == (0, 0, 0) and found.p == pytest.approx(1)


def test_a_share_of_the_higher_one():
    evidence = Evidence(three_systems())
    whole, half = (evidence.difference("a", "b", "ACC", share=s) for s in (1.0, 0.5))
    assert half.difference == pytest.approx(whole.difference - whole.above / 2)
    assert -1 <= half.low <= half.high <= 0.5


def test_what_trainings_add_to_a_share_is_smaller():
    alone = Evidence([run("d"), run("e")])
    among = Evidence([*three_systems(), run("d"), run("e")])
    one, other = (e.difference("d", "e", "dice_nodule", share=0.5) for e in (alone, among))
    more = (0.5**2 + 1) * among.spread("dice_nodule").excess
    assert more > 0 and other.error**2 == pytest.approx(one.error**2 + more)


def test_what_cannot_be_compared_is_refused_by_name():
    one, other = run("a"), run("b")
    for part, changes in (
        ("fingerprint", {"data": {"fingerprint": "f" * 16}}),
        ("profile", {"profile": "laptop"}),
        ("source", {"source": "busbra"}),
    ):
        with pytest.raises(ValueError, match=f"a/seed0 and .*b/seed0: other {part}"):
            Evidence([one, other | changes])
    one["data"], split = one["data"] | {"split": "a"}, other["data"] | {"split": "b"}
    with pytest.raises(ValueError, match="other split, a and b"):
        Evidence([one, other | {"data": split}])
    images = other["per_image"] | {"case": [f"other {k}" for k in range(60)]}
    with pytest.raises(ValueError, match="different test images"):
        Evidence([one, other | {"per_image": images}])
    groups = other["per_image"] | {"group": [f"other {k}" for k in range(60)]}
    with pytest.raises(ValueError, match=r"different test images: .*'group'"):
        Evidence([one, other | {"per_image": groups}])
    with pytest.raises(ValueError, match="a/seed0 is there twice"):
        Evidence([one, one])
    with pytest.raises(ValueError, match="share no training that gives 'dice'"):
        Evidence([one, other]).difference("a", "b", "dice")


# ---------------------------------------------------------------------------------- the correction


def test_holm_by_hand_and_by_statsmodels():
    # Sorted: .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 = .04, no less than .06
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert holm(p) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    drawn = np.random.default_rng(0).random(20) ** 3
    theirs = multipletests(drawn, method="holm")[1]
    assert [*holm(dict(enumerate(drawn))).values()] == pytest.approx(theirs)
    assert holm({}) == {}
    with pytest.raises(ValueError, match=r"the p-value of 'b' is nan"):
        holm({"a": 0.3, "b": math.nan})


def made(measure, difference, error, **more):
    at = {"above": 0.5, "below": 0.5, "share": 1.0, "seeds": (0,), "trainings": 1, "images": 90}
    at |= {"patients": 45, "smallest": 45, "spread_known": True, "freedom": math.inf}
    return Difference(measure, difference=difference, error=error, **at | more)


def test_an_interval_leaves_out_0_just_where_the_corrected_p_is_below_5_per_cent():
    """m = 4: tested at .05 / 4, .05 / 3 and .05 / 2, where it stops; the last one is not tried."""
    family = {
        name: made(name, 0.01 * z, 0.01)
        for name, z in {"first": 3.5, "second": 2.5, "third": 2.1, "last": 2.05}.items()
    } | {"few": made("few", 0.3, math.nan, why="a class of 2 patients")}
    found = corrected(family)
    levels = {name: 1 - d.level for name, d in found.items() if not d.why}
    assert levels == pytest.approx(
        {"first": 0.05 / 4, "second": 0.05 / 3, "third": 0.05 / 2, "last": 0.05 / 2}
    )
    for d in found.values():
        assert d.clear == (d.low > 0 or d.high < 0)
    assert [name for name, d in found.items() if d.clear] == ["first", "second"]
    assert found["few"] == family["few"]


def test_the_families_are_the_primary_measures_and_the_further_ones():
    evidence = Evidence(three_systems())
    found = evidence.differences("a", "b")
    for names in (stats.PRIMARY, stats.FURTHER):
        members = {m: evidence.difference("a", "b", m) for m in names if m in found}
        assert {m: found[m] for m in members} == corrected(members)


@pytest.mark.parametrize(
    ("measure", "low", "high", "expected"),
    [
        ("AUC", -0.005, 0.05, True),
        ("AUC", -0.03, 0.05, False),
        ("AUC", 0.01, 0.05, True),
        ("inconsis_cls", -0.05, 0.005, True),  # less is better
        ("inconsis_cls", -0.01, 0.05, False),
    ],
)
def test_no_worse_is_read_off_the_bad_end_of_the_interval(measure, low, high, expected):
    assert made(measure, (low + high) / 2, 0.01, low=low, high=high).no_worse == expected


def test_the_power_is_what_simulation_says():
    detectable = stats.smallest_difference(0.01, level=0.99)
    shown = np.random.default_rng(0).normal(detectable, 0.01, 20_000) - 2.5758 * 0.01 > 0
    assert shown.mean() == pytest.approx(0.8, abs=0.01)


def test_few_trainings_tell_no_less_than_by_themselves():
    """Where the patients explain the spread, what is left of it has no share in the variance."""
    explained = stats.rule.Spread(between=4.0, explained=3.9, freedom=2)
    variance, freedom = explained.added(0.5, times=0.5)
    assert (variance, freedom) == (pytest.approx(0.55), 2)  # by Satterthwaite alone, 0.15
    wide = stats.rule.Spread(between=4.0, explained=0.0, freedom=2)
    assert wide.added(2.0, times=0.5) == (4.0, 8.0)  # twice what the trainings add: 2 x 2²


def test_a_measure_of_ones_own_lies_between_0_and_1():
    """The interval is a share's; a distance in millimetres would get one without sense."""
    rows = {"label": [0, 1], "each_distance": [21.6, 3.0]}
    names = {"source": "phantom", "profile": "quick", "seed": 0, "experiment": "mtl"}
    with pytest.raises(ValueError, match=r"each_distance goes from 3 to 21\.6"):
        Evidence([names | {"per_image": rows}]).level("mtl", "each_distance")
