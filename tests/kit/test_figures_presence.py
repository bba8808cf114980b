"""What is found and what is invented, from rows whose measures are known."""

import numpy as np
import pandas as pd
import pytest
from records import as_numbers, cells, record

from book.kit import figures
from book.kit.figures import places
from lib.cases import CLASSES
from lib.presence import KINDS, summarise_presence

PLAIN, TERMS = "ms-mtl-present", "ms-mtl-present+intra+inter"


def rows(alarms=4):
    """60 images of 60 patients, 15 of each kind; raw, `alarms` of the normal ones have a nodule."""
    kind = np.repeat(range(4), 15)
    held = {"benign": kind % 2 == 1, "malignant": kind >= 2}
    alarm = (kind == 0) & (np.arange(60) % 15 < alarms)
    table = {"case": [f"c{k}" for k in range(60)], "group": [f"p{k}" for k in range(60)]}
    table |= {"kind": kind, "t2": ((kind > 0) | alarm).astype(int)}
    for name in CLASSES:
        table |= {f"{task}_{name}": held[name].astype(int) for task in ("t1", "t3")}
    table |= {f"px_{n}": 50 * v for n, v in (held | {"nodule": kind > 0}).items()}
    for answer, false in (("raw", alarm), ("joint", np.zeros(60, bool))):
        for name in CLASSES:
            table[f"{answer}_{name}"] = np.where(held[name], 0.9, 0.1)
            table[f"{answer}_said_{name}"] = held[name].astype(int)
        table[f"{answer}_pieces"] = np.where(kind == 3, 2, (kind > 0) + 3 * false)
        for name, there in (held | {"nodule": kind > 0}).items():
            table[f"{answer}_pred_{name}"] = 50 * there
            table[f"{answer}_inter_{name}"] = 25 * there
    return pd.DataFrame({name: np.array(v).astype(object).tolist() for name, v in table.items()})


def run(name=PLAIN, seed=0, alarms=4):
    table = rows(alarms)
    rule = {"weights": {"cls": 1.5, "maps": 0.5, "seg2": 1, "seg3": 1, "bias": [0] * 4}}
    presence = {
        "decision": rule | {"kinds": list(KINDS), "threshold": 0.45, "size": 8},
        "metrics": {answer: summarise_presence(table, answer) for answer in ("raw", "joint")},
        "per_image": table.to_dict("list"),
    }
    return record(name, seed, source="phantom-mixed", profile="quick", presence=presence)


def test_a_table_of_what_is_found_and_invented():
    found = cells(figures.presence_table([run()], {PLAIN: "MS-MTL"}))
    head, title, raw, joint = found
    column = {name: at for at, name in enumerate(head)}
    assert title == ["MS-MTL"] and [raw[0], joint[0]] == ["as answered", "decided together"]
    alarm = column["normal images with a nodule"]
    assert as_numbers(raw[alarm])[0] == pytest.approx(100 * 4 / 15, abs=0.05)
    assert as_numbers(joint[alarm])[0] == 0
    assert raw[column["false nodules per normal image"]] == f"{3 * 4 / 15:.2f}"
    assert as_numbers(raw[column["Dice, nodule"]])[0] == 50.0
    assert as_numbers(raw[column["AUC, benign present"]])[0] == 100.0
    low, high = as_numbers(raw[alarm])[1:]
    assert 0 < low < 26.7 < high < 60


def test_contradictions_stand_by_their_kind():
    found = cells(figures.contradictions_by_kind([run()]))
    column = {name: at for at, name in enumerate(found[0])}
    share = 100 * 4 / 60
    for name in ("any", "a mask without a class", "of T2 and T3, one is empty"):
        assert as_numbers(found[1][column[name]])[0] == pytest.approx(share, abs=0.05)
    assert as_numbers(found[1][column["two classes in T1, one in T3"]])[0] == 0


def test_the_words_are_those_of_the_runs():
    said = figures.silence_in_words([run(), run(TERMS, alarms=6)], PLAIN, TERMS).splitlines()
    raw, terms, joint = map(as_numbers, said[:3])
    assert [raw[3], terms[3], joint[0]] == pytest.approx([26.7, 40.0, 0.0])  # false alarms
    assert terms[0] == pytest.approx(10.0) and "contradictions none, by construction" in said[2]
    with pytest.raises(ValueError, match=r"not run here yet: ms-mtl-present\+intra"):
        figures.silence_in_words([run()], PLAIN, TERMS)


def test_a_curve_for_each_class_and_answer_over_all_images():
    drawn = figures.presence_roc([run()], {PLAIN: "MS-MTL"})
    curves = [line for line in drawn.data if line.showlegend is not False]
    assert [line.name for line in curves] == [
        f"{name}, {said}: 100.0" for name in CLASSES for said in ("answered", "together")
    ]
    assert "MS-MTL, malignant, together: 100.0" in drawn.layout.meta["alt"]


def test_rules_and_counts():
    (_, line) = cells(figures.rules_table([run(seed=3)]))
    assert line == [PLAIN, "3", "1.50", "0.50", ", ".join(KINDS), "0.45", "8"]
    counted = figures.presence_counts([run()])
    assert counted == "60 test images: 15 normal, 15 benign, 15 malignant, 15 both."


def test_several_trainings_share_one_line():
    found = cells(figures.presence_table([run(), run(seed=1, alarms=8)]))
    alarm = found[0].index("normal images with a nodule")
    assert as_numbers(found[2][alarm])[0] == pytest.approx(100 * 6 / 15, abs=0.05)
    assert found[2][-1] == f"{3 * 6 / 15:.2f}"


def test_runs_of_presence_have_a_page_of_their_own():
    plain = record("ms-mtl", profile="quick")
    assert list(places([run(), plain], local=True)) == [("phantom", "quick")]
    assert list(figures.presence_places([run(), plain])) == [("phantom-mixed", "quick")]
    long = run() | {"profile": "evidence"}
    assert list(figures.presence_places([run(), long])) == [("phantom-mixed", "evidence")]
    with pytest.raises(ValueError, match="no run here says"):
        figures.presence_table([plain])


def test_what_the_terms_and_the_decision_change_is_judged_over_several_trainings():
    runs = [run(PLAIN, seed, 12 + seed % 2) for seed in range(4)]
    runs += [run(TERMS, seed, 1 + seed % 2) for seed in range(4)]
    changes = figures.presence_changes(runs)
    assert [*changes] == [
        "With the three terms, compared with without",
        "Decided together, compared with as answered",
        "With the terms, compared with without, both decided together",
    ]
    terms, decided, both = changes.values()
    alarm, any_kind = "each_false_alarm", "each_contradiction"
    assert terms[alarm].difference == pytest.approx(-11 / 15)
    assert terms[any_kind].difference == pytest.approx(-11 / 60)
    assert terms[alarm].clear and any_kind not in decided and any_kind not in both
    assert decided[alarm].difference == pytest.approx(-12.5 / 15)
    assert {"AUC_benign", "AUC_malignant", "each_missed"} <= terms.keys()
    head, first, second, _ = cells(figures.presence_changes_table(changes))
    column = head.index("normal images with a nodule")
    assert as_numbers(first[column])[0] == pytest.approx(-73.3)
    assert second[head.index("contradictions of any kind")] == "0 by construction"
    said = figures.presence_changes_in_words(changes).splitlines()
    assert "normal images with a nodule, **73.3 points lower (95 %:" in said[0]
    assert "Not told apart: AUC, benign present" in said[0]
    assert said[2].endswith("nothing is told apart.")


def test_a_noisy_system_may_move_the_verdicts_of_others_and_this_is_told():
    runs = [run(PLAIN, seed, 12) for seed in range(4)] + [run(TERMS, seed, 2) for seed in range(4)]
    assert figures.presence_assumed(runs, figures.presence_changes(runs)) == ""
    noisy = runs + [run("once-present", seed, 15 * (seed % 2)) for seed in range(4)]
    said = figures.presence_assumed(noisy, figures.presence_changes(noisy)).splitlines()
    first = (
        "- With the three terms, compared with without: normal images with a nodule, 66.7 points"
    )
    assert any(line.startswith(first) and line.endswith(", told apart.") for line in said)


def test_one_training_judges_nothing_of_presence():
    changes = figures.presence_changes([run(PLAIN), run(TERMS, alarms=0)])
    assert figures.presence_changes_in_words(changes).endswith("so nothing is judged.")
    assert "<b>" not in figures.presence_changes_table(changes).split("<tbody>")[-1]
    with pytest.raises(ValueError, match="no two systems"):
        figures.presence_changes_table({})
