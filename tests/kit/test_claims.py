"""The ledger: verdicts by hand, what is refused, the claims' data, and the tables that show it."""

import numpy as np
import pytest
from records import cells, record, some_rows
from test_stats import made

from book.kit import claims, figures, paper
from book.kit.claims import (
    CLAIMS,
    FULL,
    PLAIN,
    Claim,
    Comparison,
    Finding,
    Part,
    combined,
    verdict,
)
from book.kit.stats import FURTHER, PRIMARY, Evidence
from lib.experiments import EXPERIMENTS

PAPER = {name: paper.of(system) for name, system in EXPERIMENTS.items()}
COMPARISONS = [c for claim in CLAIMS for c in claim.comparisons]


def run(experiment, seed=0, wrong=0.3, images=80, **changes):
    return record(experiment, seed, some_rows(images, wrong, seed=seed), **changes)


def judged(comparison, *records):
    claim = Claim("?", "It is so.", "section 5", (comparison,))
    (found,) = claims.ledger([claim], Evidence(records), {})
    return found


# ---------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("interval", "printed", "expected"),
    [
        ((0.01, 0.05), 0.02, "reproduced"),
        ((0.01, 0.05), 0.20, "reproduced"),  # smaller than the paper's, but there
        ((-0.05, -0.01), 0.02, "reversed"),
        ((-0.01, 0.01), 0.02, "not reproduced"),  # the paper's size is ruled out
        ((-0.01, 0.03), 0.02, "undecided"),
        ((-0.01, 0.03), None, "undecided"),
        ((0.0, 0.03), 0.02, "undecided"),  # 0 itself is not left out
        ((-0.03, 0.0), 0.02, "not reproduced"),
        ((0.0, 0.0), None, "undecided"),
    ],
)
def test_the_verdict_on_a_comparison(interval, printed, expected):
    assert verdict(*interval, printed) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["reproduced"] * 3, "reproduced"),
        (["reproduced", "undecided"], "undecided"),
        (["reproduced", "not run"], "not run"),
        (["reproduced", "reversed", "not run"], "reversed"),
        (["not reproduced", "undecided", "not run"], "not reproduced"),
        ([], "not testable here"),
    ],
)
def test_a_claim_stands_if_all_of_its_comparisons_do(parts, expected):
    assert combined(parts) == expected
    assert combined(reversed(parts)) == expected


def test_a_comparison_is_judged_by_the_pairs_own_family():
    records = [run(PLAIN), run(FULL, wrong=0.0)]
    (part,) = judged(Comparison(PLAIN, FULL, "inconsis_cls"), *records).parts
    assert part.found == Evidence(records).differences(PLAIN, FULL)["inconsis_cls"]
    assert part.verdict == "reproduced"
    (half,) = judged(Comparison(PLAIN, FULL, "inconsis_cls", 0.5), *records).parts
    assert half.found.level == part.found.level
    assert half.found.difference == pytest.approx(part.found.above / 2)


def test_one_contradiction_proves_that_there_are_any():
    comparison = Comparison("mtl", None, "inconsis_cls")
    rows = some_rows(80, 0.0)
    assert judged(comparison, record("mtl", rows=rows)).verdict == "undecided"
    rows.loc[7, "seg_as_cls"] = 1 - rows.loc[7, "seg_as_cls"]
    found = judged(comparison, record("mtl", rows=rows))
    assert found.verdict == "reproduced" and "1.2 % of the test images" in found.parts[0].why


def test_what_cannot_be_compared_says_why():
    comparison = Comparison(PLAIN, FULL, "ACC")
    found = judged(comparison, run(PLAIN), run(FULL, seed=1))
    assert found.verdict == "not run" and "no training in common" in found.parts[0].why
    found = judged(Comparison(PLAIN, FULL, "cam_inside"), run(PLAIN), run(FULL))
    assert found.verdict == "not testable here" and "has not kept cam_inside" in found.parts[0].why
    few = [run(name) for name in (PLAIN, FULL)]
    for one in few:
        one["per_image"] = one["per_image"] | {"label": [0] * 79 + [1]}
    found = judged(Comparison(PLAIN, FULL, "AUC"), *few)
    assert found.verdict == "not testable here" and "a class of 1 patient" in found.parts[0].why


# ---------------------------------------------------------------------------------- what is claimed


def test_a_comparison_in_the_file_is_each_above_with_each_below_for_each_measure(tmp_path):
    file = tmp_path / "claims.toml"
    file.write_text(
        '[[claim]]\nquestion = "?"\nsays = "It is."\nwhere = "here"\n'
        'compare = [{ above = ["a", "b"], below = "c", measures = ["ACC", "F1"], share = 0.5 }]\n'
        '[[reason]]\nasks = "Why?"\nabout = "So."\nexperiments = ["a"]\n'
    )
    (claim,), (reason,) = claims.read(file)
    assert [c[:3] for c in claim.comparisons] == [
        ("a", "c", "ACC"), ("a", "c", "F1"), ("b", "c", "ACC"), ("b", "c", "F1"),
    ]  # fmt: skip
    assert {c.share for c in claim.comparisons} == {0.5} and reason.experiments == ("a",)


def test_every_system_of_a_claim_or_reason_can_be_run_and_every_measure_is_judged():
    named = {name for c in COMPARISONS for name in c[:2] if name}
    named |= {name for reason in claims.REASONS for name in reason.experiments}
    assert named <= EXPERIMENTS.keys()
    assert {c.measure for c in COMPARISONS} <= {*PRIMARY, *FURTHER}


def test_a_claim_can_be_tested_or_says_why_not():
    assert all(bool(claim.comparisons) != bool(claim.untestable) for claim in CLAIMS)
    assert len({claim.says for claim in CLAIMS}) == len(CLAIMS)


def test_every_claim_that_the_paper_prints_numbers_for_is_in_its_direction():
    """But for the class of MS-MTL against MTL: the note of that claim says so."""
    values = {c: claims.printed(c, PAPER) for c in COMPARISONS}
    none = {c.measure for c, value in values.items() if value is None}
    assert none == {"dice_nodule", "cam_inside"}
    flat = [c[:3] for c, value in values.items() if value is not None and value <= 0]
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
    found = claims.ledger(CLAIMS, Evidence([run(PLAIN), run(FULL, wrong=0.0)]), PAPER)
    rows = cells(figures.verdicts_table({"phantom": found}))
    assert len(rows) == 1 + len(CLAIMS) + len({c.question for c in CLAIMS})
    said = {row[0]: row[-1] for row in rows}
    claim = next(c for c in CLAIMS if c.comparisons == (Comparison(PLAIN, FULL, "inconsis_cls"),))
    assert "reproduced" in said[claim.says + claim.where]
    assert "one training" in said[claim.says + claim.where]
    shown = cells(figures.ledger_table(found, {PLAIN: "MS-MTL", FULL: "all"}))
    (line,) = [r for r in shown if r[0] == "Contradictions, T1 and T3: all below MS-MTL"][:1]
    assert line[1] == "+10.8" and line[4] == "1" and "probability that it is false" in line[5]
    assert not any("not run: clsnet" in cell for row in shown for cell in row)
    assert figures.counted(found).startswith(f"Of {len(CLAIMS)} claims: ")


def in_the_table(word, found, printed=None):
    """What the table says of a claim that rests on this one difference."""
    part = Part(Comparison("a", "b", found.measure), word, found, printed)
    claim = Claim("?", "It is so.", "section 5", (part.comparison,))
    return figures.verdicts_table({"": [Finding(claim, word, (part,))]})


def test_the_papers_size_is_ruled_out_by_the_whole_interval():
    found = made("AUC", 0.02, 0.005, low=0.01, high=0.03)
    assert "size is ruled out" in in_the_table("reproduced", found, 0.04)
    assert "ruled out" not in in_the_table("reproduced", found, 0.02)  # within it


def test_contradictions_are_told_from_the_better_system_on():
    """It is a less b; the claim is of b, which is said to have fewer."""
    found = made("inconsis_cls", 0.01, 0.01, low=-0.01, high=0.03)
    shown = in_the_table("undecided", found).replace("\N{NO-BREAK SPACE}", " ")
    assert "1.0 points fewer (95 %: 3.0 fewer to 1.0 more)" in shown


def test_older_runs_judge_only_what_the_others_have_not_got():
    old = [run(name, wrong=0.3, profile="laptop") for name in (PLAIN, FULL, "mtl")]
    new = [run(PLAIN, profile="evidence"), run(FULL, wrong=0.0, profile="evidence")]
    pairs = [Comparison(PLAIN, FULL, "inconsis_cls"), Comparison("mtl", PLAIN, "AUC")]
    pairs.append(Comparison("mtl", "segnet", "AUC"))
    asked = [Claim("?", f"Claim {n}.", "section 5", (pair,)) for n, pair in enumerate(pairs)]
    one, two, three = claims.ledger(asked, Evidence(new), {}, Evidence(old))
    assert one.verdict == "reproduced"  # by the older runs the two are alike
    assert [found.parts[0].profile for found in (one, two, three)] == ["", "laptop", ""]
    assert two.parts[0].found.trainings == 1 and three.verdict == "not run"
    shown = figures.verdicts_table({"": [one, two, three]})
    assert shown.count("profile laptop") == 1
    table = figures.ledger_table([one, two, three])
    assert table.count("profile laptop") == 2  # at the claim, and at its comparison


def test_a_claim_that_is_partly_run_says_how_far():
    claim = next(c for c in CLAIMS if len(c.comparisons) == 12)
    (found,) = claims.ledger([claim], Evidence([run(FULL), run("segnet")]), {})
    assert "1 of 12 run" in figures.verdicts_table({"": [found]})
    assert "not run: nnunet" in figures.ledger_table([found])


def test_a_reason_compares_its_systems_its_profile_or_the_sources():
    def place(source, profile, *names):
        sizes = {"fingerprint": source, "counts": {"train": {"benign": 6, "malignant": 7}}}
        return Evidence([run(n, source=source, profile=profile, data=sizes) for n in names])

    found = {
        ("busbra", "laptop"): place("busbra", "laptop", PLAIN, FULL, "weak"),
        ("busbra", "long"): place("busbra", "long", PLAIN, FULL),
    }
    titles = {name: name for name in (PLAIN, FULL, "weak")}
    reasons = {
        "weak": claims.Reason("?", "", ("weak",)),
        "long": claims.Reason("?", "", profile="long", than="laptop"),
        "sizes": claims.Reason("?", ""),
    }
    said = {name: figures.reason_table(one, found, titles) for name, one in reasons.items()}
    assert list(said["weak"]) == ["BUS-BRA, profile laptop"] == list(said["long"])
    rows = {name: [row[0] for row in cells(*tables.values())] for name, tables in said.items()}
    one = "1 training of each"
    assert rows["weak"][1:] == [f"{FULL}{one}", f"weak{one}"]
    assert rows["long"][1:] == [f"{FULL}{one}", f"{FULL}, long{one}"]
    assert rows["sizes"][1] == f"BUS-BRA, profile laptop: 13 images{one}"
    other = claims.Reason("?", "", profile="long", than="evidence")
    assert figures.reason_table(other, found, titles) == {}  # set beside no other profile
    assert (
        figures.reason_table(claims.Reason("?", "", ("none",)), found, {"none": "", **titles}) == {}
    )


def test_what_is_settled_is_named_and_nothing_else():
    found = [
        Finding(Claim("?", f"Claim {name}.", "section 5", ()), name, ())
        for name in ("reproduced", "undecided", "reversed", "not run", "not reproduced")
    ]
    said = figures.settled(found)
    assert [line.split("**")[1] for line in said.splitlines() if "**" in line] == [
        "reproduced", "reversed", "not reproduced",
    ]  # fmt: skip
    assert "Claim undecided" not in said and "\n  - “Claim reversed.”\n" in said
    assert "one training" not in said


def classifier(experiment, right, profile="evidence"):
    """A run whose classes are right in every image, or no better than a guess."""
    rows = some_rows(80)
    sure = rows["label"] if right else np.arange(80) // 2 % 2
    return record(experiment, 0, rows.assign(p_malignant=0.1 + 0.8 * sure), profile=profile)


def test_a_claim_that_one_older_training_settles_says_so():
    old = [classifier(PLAIN, False, "laptop"), classifier("mtl", True, "laptop")]
    asked = Claim("?", "It is so.", "section 5", (Comparison("mtl", PLAIN, "AUC"),))
    new = Evidence([run(PLAIN, profile="evidence")])
    found = claims.ledger([asked], new, {}, Evidence(old))
    assert found[0].verdict == "reproduced"
    assert figures.settled(found).endswith("“It is so.” *(one training, profile laptop)*")


def test_a_network_for_one_task_is_read_as_a_half_of_the_pair():
    new = [classifier(claims.HALF_OF, True), classifier(PLAIN, False)]
    old = [classifier("clsnet", False, "laptop"), classifier(PLAIN, True, "laptop")]
    below, mask = Comparison("clsnet", PLAIN, "AUC"), Comparison("clsnet", PLAIN, "inconsis_cls")
    asked = [Claim("?", "It is so.", "section 5", (one,)) for one in (below, mask)]
    first, second = claims.ledger(asked, Evidence(new), {}, Evidence(old))
    assert first.verdict == "reproduced"  # the older runs say the opposite, and are not asked
    (part,) = first.parts
    assert (part.half, part.profile, part.comparison) == ("clsnet", "", below)
    assert part.found == Evidence(new).differences(claims.HALF_OF, PLAIN)["AUC"]
    assert second.parts[0].half == ""  # a classifier has no contradictions
    shown = figures.verdicts_table({"": [first]})
    assert "ClsNet as a half<br>of U-Net(Seg2) ⊕ ClsNet" in shown
    both = claims.ledger(asked[:1], Evidence([*new, classifier("clsnet", False)]), {})
    assert both[0].parts[0].half == ""  # where it was run alone, that counts
    more = [one | {"seed": 1} for one in new]
    often = claims.ledger(asked[:1], Evidence([*new, *more, classifier("clsnet", False)]), {})
    assert often[0].parts[0].half == "clsnet"  # but the pair, where it has more trainings
