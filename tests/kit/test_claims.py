"""The ledger: the rule by hand, differences against the statistics, refusals, the claims' data."""

import math

import numpy as np
import pytest
from records import cells, record, some_rows
from scipy.stats import norm

from book.kit import claims, figures, stats
from book.kit.claims import CLAIMS, FULL, PLAIN, Claim, Comparison, combined, difference, verdict
from lib import paper
from lib.experiments import EXPERIMENTS

PAPER = {name: system.paper for name, system in EXPERIMENTS.items()}
COMPARISONS = [c for claim in CLAIMS for c in claim.comparisons]


def run(experiment, seed=0, wrong=0.3, images=80, **changes):
    return record(experiment, seed, some_rows(images, wrong, seed=seed), **changes)


# ---------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("interval", "printed", "expected"),
    [
        ((0.01, 0.05), 0.02, "reproduced"),
        ((0.01, 0.05), 0.20, "reproduced"),  # smaller than the paper's, but there
        ((-0.05, -0.01), 0.02, "opposite"),
        ((-0.01, 0.01), 0.02, "not reproduced"),  # the paper's size is ruled out
        ((-0.01, 0.03), 0.02, "undecided"),
        ((-0.01, 0.03), None, "undecided"),
        ((0.0, 0.03), 0.02, "undecided"),  # 0 itself is not left out
        ((-0.03, 0.0), 0.02, "not reproduced"),
        ((0.0, 0.0), None, "undecided"),
    ],
)
def test_the_rule(interval, printed, expected):
    assert verdict(*interval, printed) == expected


def test_an_interval_upside_down_is_refused():
    with pytest.raises(ValueError, match="lower end first"):
        verdict(0.2, 0.1)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["reproduced"] * 3, "reproduced"),
        (["reproduced", "undecided"], "undecided"),
        (["reproduced", "not run yet"], "not run yet"),
        (["reproduced", "opposite", "not run yet"], "opposite"),
        (["not reproduced", "undecided", "not run yet"], "not reproduced"),
        ([], "not testable here"),
    ],
)
def test_a_claim_stands_if_all_of_its_comparisons_do(parts, expected):
    assert combined(parts) == expected
    assert combined(reversed(parts)) == expected


# --------------------------------------------------------------------------------- the differences


@pytest.mark.parametrize("measure", ["ACC", "AUC", "F1", "dice_paper_mean", "inconsis_cls"])
def test_one_seed_agrees_with_the_paired_bootstrap(measure):
    a, b = run(PLAIN, wrong=0.3), run(FULL, wrong=0.05, per_image=None)
    b["per_image"] = run(FULL, wrong=0.05)["per_image"]
    b["per_image"]["p_malignant"] = np.random.default_rng(5).permutation(
        b["per_image"]["p_malignant"]
    )
    found = difference([a], [b], Comparison(PLAIN, FULL, measure))
    rows = [claims.results.rows(r) for r in (a, b)]
    exact = stats.paired_difference(*rows, measure, groups=rows[0]["group"], n=4000, seed=1)
    assert found.difference == pytest.approx(exact.estimate, abs=1e-12)
    half = (exact.high - exact.low) / 2
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.12)
    assert found.high - found.difference == pytest.approx(norm.ppf(0.975) * found.error)
    assert (found.seeds, found.images, found.patients) == ((0,), 80, 40)


def test_a_column_of_the_images_is_a_measure_too():
    a, b = run(FULL), run(PLAIN)
    a["per_image"]["cam_inside"] = [0.5] * 79 + [None]
    b["per_image"]["cam_inside"] = [0.25] * 80
    found = difference([a], [b], Comparison(FULL, PLAIN, "cam_inside"))
    assert found.difference == pytest.approx(0.25)


def test_a_share_of_the_higher_one():
    a, b = run(PLAIN), run(FULL, wrong=0.1)
    whole, half = (
        difference([a], [b], Comparison(PLAIN, FULL, "inconsis_cls", share)) for share in (1.0, 0.5)
    )
    assert half.difference == pytest.approx(whole.difference - whole.above / 2)


def test_against_nothing_the_difference_is_the_measure():
    found = difference([run("mtl")], None, Comparison("mtl", None, "inconsis_cls"))
    assert (found.below, found.difference) == (0, found.above)


def test_several_seeds_add_their_spread_to_that_of_the_patients():
    """The variance is the sum of both; the mean is that of `compare_seeds`."""
    a = [run(PLAIN, seed) for seed in range(3)]
    b = [run(FULL, seed, wrong=0.1) for seed in range(3)]
    for seed in range(1, 3):  # one test set
        for side in (a, b):
            for name in ("case", "group", "label"):
                side[seed]["per_image"][name] = side[0]["per_image"][name]
    found = difference(a, b, Comparison(PLAIN, FULL, "inconsis_cls"))
    table = stats.compare_seeds(a, b, ["inconsis_cls"], n=200, permutations=9)
    over = table.loc[("all", "inconsis_cls")]
    assert found.difference == pytest.approx(over["difference"], abs=1e-12)
    each = [table.loc[(seed, "inconsis_cls"), "difference"] for seed in range(3)]
    spread = np.std(each, ddof=1) / math.sqrt(3)
    patients = math.sqrt(found.error**2 - spread**2)
    one = difference(a[:1], b[:1], Comparison(PLAIN, FULL, "inconsis_cls")).error
    assert one / 3 < patients < one
    assert found.seeds == (0, 1, 2)
    assert found.high - found.difference > norm.ppf(0.975) * found.error  # Student's t


def test_the_power_is_what_simulation_says():
    """A true difference of that size is shown about four times in five."""
    detectable = stats.smallest_difference(0.01, level=0.99)
    drawn = np.random.default_rng(0).normal(detectable, 0.01, 20_000)
    shown = np.mean(drawn - norm.ppf(0.995) * 0.01 > 0)
    assert shown == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    "options", [{"error": -1.0}, {"error": math.nan}, {"power": 1.0}, {"freedom": 0.0}]
)
def test_power_of_impossible_values_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        stats.smallest_difference(**{"error": 0.01} | options)


# ------------------------------------------------------------------------------------ the refusals


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": {"fingerprint": "f" * 16}}, "different data"),
        ({"data": {"fingerprint": "0123456789abcdef", "split": "b"}}, "split a and b"),
        ({"profile": "laptop"}, "profile"),
        ({"source": "busbra"}, "source"),
        ({"seed": 1}, r"seeds \[0\] and \[1\]"),
    ],
)
def test_runs_that_are_not_alike_are_not_compared(changes, why):
    one = run(PLAIN)
    one["data"] = one["data"] | {"split": "a"}
    with pytest.raises(ValueError, match=why):
        difference([one], [run(FULL) | changes], Comparison(PLAIN, FULL, "ACC"))


def test_other_test_images_are_not_compared():
    other = run(FULL)
    other["per_image"] = other["per_image"] | {"case": [f"other {k}" for k in range(80)]}
    with pytest.raises(ValueError, match="different test images"):
        difference([run(PLAIN)], [other], Comparison(PLAIN, FULL, "ACC"))


def test_a_run_without_the_measure_is_named():
    with pytest.raises(ValueError, match="inter/seed0 has not kept cam_inside"):
        difference([run(FULL)], [run(PLAIN)], Comparison(FULL, PLAIN, "cam_inside"))


def test_in_the_ledger_what_cannot_be_compared_says_why():
    claim = Claim("?", "", "", (Comparison(PLAIN, FULL, "ACC"),))
    records = [run(PLAIN), run(FULL, data={"fingerprint": "f"})]
    (found,) = claims.ledger([claim], records, {})
    assert found.verdict == "not testable here" and "different data" in found.parts[0].why
    (found,) = claims.ledger([claim], [run(PLAIN), run(FULL, seed=1)], {})
    assert found.verdict == "not run yet" and "no seed in common" in found.parts[0].why
    with pytest.raises(ValueError, match="there twice"):
        claims.ledger([claim], [run(PLAIN), run(PLAIN)], {})


def test_the_interval_is_corrected_for_the_whole_question():
    """More comparisons in the question, run or not: a wider interval."""
    one = Claim("same", "", "", (Comparison(PLAIN, FULL, "inconsis_cls"),))
    other = Claim("same", "", "", (Comparison("msl", "msl+intra", "inconsis_seg2"),) * 9)
    records = [run(PLAIN), run(FULL, wrong=0.1)]
    alone = claims.ledger([one], records, {})[0].parts[0].found
    among = claims.ledger([one, other], records, {})[0].parts[0].found
    ratio = (among.high - among.difference) / (alone.high - alone.difference)
    assert ratio == pytest.approx(norm.ppf(1 - 0.05 / 20) / norm.ppf(0.975))


# ---------------------------------------------------------------------------------- what is claimed


def test_every_system_of_a_claim_or_reason_can_be_run():
    named = {name for c in COMPARISONS for name in c[:2] if name}
    named |= {name for reason in claims.REASONS for name in reason.experiments}
    assert named <= EXPERIMENTS.keys()


def test_a_claim_can_be_tested_or_says_why_not():
    assert all(bool(claim.comparisons) != bool(claim.untestable) for claim in CLAIMS)
    assert len({claim.says for claim in CLAIMS}) == len(CLAIMS)


def test_every_claim_that_the_paper_prints_numbers_for_is_in_its_direction():
    """But for the class of MS-MTL against MTL: the note of that claim says so."""
    values = {c: claims.printed(c, PAPER) for c in COMPARISONS}
    none = {c.measure for c, value in values.items() if value is None}
    assert none == {"dice_nodule", "cam_inside"}
    flat = [c[:3] for c, value in values.items() if value and value[2] <= 0]
    assert flat == [(PLAIN, "mtl", "F1")]


def test_the_notes_numbers_are_the_papers():
    one, four = paper.table(1), paper.table(4)
    image = 1 / paper.TEST_IMAGES
    assert one.loc["MTL", "ACC"] - one.loc["MS-MTL", "ACC"] == pytest.approx(image, abs=1e-4)
    assert four.loc["all three", "F1"] - four.loc["T1T3 + T1T2T3", "F1"] == pytest.approx(0.0004)
    # the full model's 341 / 42 / 41: one false alarm more
    step = 682 / 765 - 682 / 766
    assert step == pytest.approx(0.0012, abs=5e-5)
    gap = four.loc["T1T2T3", "dice_paper_mean"] - four.loc["T1T3", "dice_paper_mean"]
    assert gap == pytest.approx(0.0017)
    counts = paper.table(3).loc["MS-MTL", "inconsis_cls"] * paper.TEST_IMAGES
    assert abs(counts - round(counts)) > 0.2


# ----------------------------------------------------------------------------------------- tables


def test_the_tables_say_what_was_found():
    records = [run(PLAIN), run(FULL, wrong=0.0)]
    found = claims.ledger(CLAIMS, records, PAPER)
    rows = cells(figures.verdicts_table({"phantom": found}))
    assert len(rows) == 1 + len(CLAIMS) + len({c.question for c in CLAIMS})
    said = {row[0]: row[-1] for row in rows}
    claim = next(c for c in CLAIMS if c.comparisons == (Comparison(PLAIN, FULL, "inconsis_cls"),))
    assert "reproduced" in said[claim.says + claim.where]
    assert "one seed" in said[claim.says + claim.where]
    shown = cells(figures.ledger_table(found, {PLAIN: "MS-MTL", FULL: "all"}))
    (line,) = [r for r in shown if r[0] == "Contradictions, T1 and T3: all below MS-MTL"][:1]
    assert line[1] == "+10.8" and line[4:6] == ["1", "40"]
    assert not any("not run yet: clsnet" in cell for row in shown for cell in row)


def test_a_claim_that_is_partly_run_says_how_far():
    claim = next(c for c in CLAIMS if len(c.comparisons) == 12)
    records = [run(FULL), run("segnet")]
    (found,) = claims.ledger([claim], records, {})
    assert "1 of 12 run" in figures.verdicts_table({"": [found]})
    assert "not run yet: nnunet" in figures.ledger_table([found])


def test_seeds_with_splits_of_their_own_are_paired_within_the_seed():
    """Two seeds whose test sets share half of their patients, against a bootstrap by hand."""
    rng = np.random.default_rng(0)
    runs, tables = {"a": [], "b": []}, []
    for seed, first in ((0, 0), (1, 20)):
        cases = [f"case {k}" for k in range(first, first + 40)]
        label = [k % 2 for k in range(40)]
        values = {system: rng.uniform(size=40).round(3).tolist() for system in runs}
        for system in runs:
            rows = {"case": cases, "group": cases, "label": label, "p_malignant": values[system]}
            names = {"source": "s", "profile": "p", "experiment": system, "seed": seed}
            data = {"fingerprint": "0", "split": str(seed)}
            runs[system].append(names | {"data": data, "per_image": rows})
        right = {s: (np.array(values[s]) > 0.5) == np.array(label, bool) for s in runs}
        tables.append((first, right["a"].astype(float) - right["b"]))
    found = claims.difference(runs["a"], runs["b"], Comparison("a", "b", "ACC"))
    assert (found.images, found.patients, found.seeds) == (60, 60, (0, 1))
    by_seed = [gain.mean() for _, gain in tables]
    assert found.difference == pytest.approx(np.mean(by_seed))
    draws = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), 4000)
    means = [
        np.mean([(w[f : f + 40] @ gain) / w[f : f + 40].sum() for f, gain in tables]) for w in draws
    ]
    by_hand = np.var(means) + np.var(by_seed, ddof=1) / 2
    assert found.error**2 == pytest.approx(by_hand, rel=0.1)
    runs["b"][1]["data"] = runs["b"][1]["data"] | {"split": "another"}
    with pytest.raises(ValueError, match="split 1 and another"):
        claims.difference(runs["a"], runs["b"], Comparison("a", "b", "ACC"))
