"""One answer from a run's own columns, against the same by hand; and the first page's figure."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from records import TWO_IMAGES as ROWS

from book.kit import figures, stats
from book.kit.stats import SUFFIX, together
from lib.metrics import summarise

NAMES = {"source": "phantom", "profile": "laptop", "experiment": "ms-mtl", "seed": 0}
LINK = "](results.html#every-number)"
ONE_HALF = "](together.html)"  # where the shares at one half stand


def test_the_logits_are_averaged_and_the_nodule_is_painted():
    one = together(NAMES | {"per_image": ROWS})
    rows = pd.DataFrame(one["per_image"])
    logit = (math.log(0.45 / 0.55) + math.log(0.7 / 0.3)) / 2
    assert rows["p_malignant"][1] == pytest.approx(1 / (1 + math.exp(-logit)))
    assert one["experiment"] == f"ms-mtl{SUFFIX}"
    assert rows[["benign_inter", "benign_pred"]].values.tolist() == [[6, 7], [0, 0]]
    assert rows[["malignant_inter", "malignant_pred"]].values.tolist() == [[0, 0], [7, 8]]
    measures = summarise(rows)
    assert measures["ACC"] == 1 and "inconsis_cls" not in measures
    assert measures["dice_class_malignant"] == pytest.approx(2 * 7 / (8 + 9))


def test_a_run_that_recorded_its_joint_answers_is_taken_at_its_word():
    own = {f"joint_{name}": values for name, values in ROWS.items() if name.startswith("benign_i")}
    own |= {"joint_p_malignant": [0.9, 0.9]}
    one = together(NAMES | {"per_image": ROWS | own})
    assert one["per_image"]["p_malignant"] == [0.9, 0.9]


def test_a_painted_network_has_nothing_to_decide():
    """Its own columns say the class in full precision: even so it stays as it was answered."""
    rows = {name: values for name, values in ROWS.items() if not name.startswith("seg")}
    own = {"joint_p_malignant": [0.2000001, 0.45]}
    assert together(NAMES | {"per_image": rows | own})["per_image"]["p_malignant"] == [0.2, 0.45]


@pytest.mark.parametrize("gone", ["p_malignant", "seg_as_cls_p", "seg2seg3_inter"])
def test_without_all_three_tasks_there_is_nothing_to_decide(gone):
    rows = {name: values for name, values in ROWS.items() if name != gone}
    assert together(NAMES | {"per_image": rows}) is None


def test_two_classes_in_one_image_are_not_guessed_at():
    assert together(NAMES | {"per_image": ROWS | {"malignant_true": [3, 9]}}) is None


def spaced(words):
    return words.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def found():
    rows = {
        name: [f"{v}{k}" if isinstance(v, str) else v for k in range(20) for v in values]
        for name, values in ROWS.items()
    }
    size = {"model": {"parameters": 3_000_000}}
    records = [NAMES | size | {"experiment": n, "per_image": rows} for n in ("ms-mtl", "terms")]
    return stats.Evidence(stats.with_together(records))


def test_the_figure_shows_what_the_evidence_says(found):
    drawn = figures.finding({("phantom", "laptop"): found}, "ms-mtl", "terms")
    contradictions = {trace.name: list(trace.x) for trace in drawn.data[:3]}
    assert contradictions == {
        "as answered": [50.0],
        "trained with the three terms": [50.0],
        "decided together, same network": [0.0],
    }
    assert "contradictions, as answered: Phantom 50.0" in drawn.layout.meta["alt"]
    with pytest.raises(ValueError, match="no run of ms-mtl"):
        figures.finding({}, "ms-mtl", "terms")


def test_a_system_that_cannot_contradict_itself_stands_beside(found):
    rows = {k: v for k, v in found.records[0]["per_image"].items() if k != "seg_as_cls"}
    once = NAMES | {"experiment": "once", "per_image": rows}
    both = stats.Evidence([*found.records, once])
    drawn = figures.finding({("phantom", "laptop"): both}, "ms-mtl", "terms", {"painted": "once"})
    assert [trace.name for trace in drawn.data[:4]][-1] == "painted"
    assert list(drawn.data[3].x) == [0.0]  # its one answer contradicts nothing


def test_only_a_system_with_one_answer_is_at_0(found):
    """One that has not kept its contradictions is not drawn as if it had none."""
    rows = {k: v for k, v in found.records[0]["per_image"].items() if k != "seg_as_cls"}
    lost = stats.Evidence([NAMES | {"experiment": n, "per_image": rows} for n in ("a", "b")])
    drawn = figures.finding({("phantom", "laptop"): lost}, "a", "b", {"painted": "b"})
    assert [list(trace.x) for trace in drawn.data[:4]] == [[], [0.0], [], [0.0]]
    drawn = figures.finding({("phantom", "laptop"): lost}, "a", "b")
    assert [list(trace.x) for trace in drawn.data[:3]] == [[], [], []]


def test_the_words_have_the_numbers(found):
    words = spaced(figures.found_in_words(found, "ms-mtl", "terms"))
    family = found.differences("terms", "ms-mtl")
    fewer = figures.sentence(family["inconsis_cls"])
    alone = "of one training, whose chance is not in the interval"
    assert f"terms.** Contradictions [from 50.0 % to 50.0 %: {fewer}, {alone}" in words
    assert f"{LINK}. AUC, F1, class Dice and nodule Dice: [{alone}{LINK}." in words
    joint = found.differences(f"ms-mtl{SUFFIX}", "ms-mtl")
    clear = [d for m, d in joint.items() if m in ("AUC", "dice_class_mean") and d.clear]
    assert clear and not any(one.spread_known for one in clear)
    assert not any(brief(one) in words for one in clear)  # of one training: not told


def right_and_wrong(*names, **changes):
    """Two trainings of each system: the first is wrong in half of the images, the others never."""
    wrong = [0.2, 0.8] * 20 + [0.8, 0.2] * 20
    rows = {"label": [0, 1] * 40, "case": [f"{k}" for k in range(80)], "seg_as_cls": [0, 1] * 40}
    return stats.Evidence(
        [
            NAMES
            | {"experiment": name, "seed": seed, "per_image": rows | {"p_malignant": p}}
            | changes
            for name, p in zip(names, [wrong, *[[0.2, 0.8] * 40] * (len(names) - 1)], strict=True)
            for seed in (0, 1)
        ]
    )


def brief(told):
    """A difference by hand, in the words of the first page."""
    near, far = sorted(abs(100 * end) for end in (told.low, told.high))
    way = "higher" if told.difference > 0 else "lower"
    return f"{abs(100 * told.difference):.1f} points {way} ({near:.1f} to {far:.1f})"


def test_the_words_have_what_is_told_apart():
    found = right_and_wrong("ms-mtl", "terms")
    words = spaced(figures.found_in_words(found, "ms-mtl", "terms"))
    family = found.differences("terms", "ms-mtl")
    assert family["AUC"].clear
    told = "; ".join(f"{m} {brief(family[m])}" for m in ("AUC", "F1"))
    assert f". [{told}{LINK}." in words
    assert "not decided" not in words
    over = replace(family["AUC"], difference=0.25, low=0.125, high=0.375)
    pooled = {("terms", "ms-mtl"): {"AUC": over}}
    said = spaced(figures.found_in_words(found, "ms-mtl", "terms", pooled=pooled))
    assert f". [{told}{LINK}." in said  # what this source tells by itself is not told again
    pooled = {("terms", "ms-mtl"): {"dice_nodule": replace(over, measure="dice_nodule")}}
    said = spaced(figures.found_in_words(found, "ms-mtl", "terms", pooled=pooled))
    assert f"; pooled, [nodule Dice 25.0 points higher (12.5 to 37.5){LINK}." in said
    wide = {"dice_nodule": replace(over, difference=0.0, low=-0.1, high=0.1, p=0.5)}
    said = figures.found_in_words(found, "ms-mtl", "terms", pooled={("terms", "ms-mtl"): wide})
    assert "pooled" not in said
    fewer = figures.sentence(family["inconsis_cls"]).replace("95 %: ", "").replace(" fewer)", ")")
    both = figures.found_in_words(found, "ms-mtl", "terms", others={"the phantom": found})
    assert f": {fewer}{LINK}." in words
    assert f": {fewer}{LINK}; in the phantom [{fewer}{LINK}." in spaced(both)


def test_deciding_is_set_against_training_and_two_networks_against_one():
    names = f"terms{SUFFIX}", "ms-mtl", f"ms-mtl{SUFFIX}", f"two{SUFFIX}"
    found = right_and_wrong(*names)
    said = spaced(figures.found_in_words(found, "ms-mtl", "terms", "two")).splitlines()
    better = brief(found.differences(f"terms{SUFFIX}", f"ms-mtl{SUFFIX}")["AUC"])
    assert said[2].startswith("- **Doing both, compared with deciding alone:** [")
    assert f"AUC {better}; F1 " in said[2] and "little" not in said[2]
    assert said[3].startswith("- **Two networks in place of one** (exploratory): ")
    assert len(figures.found_in_words(found, "ms-mtl", "terms").splitlines()) == 3


def test_fewer_or_more_malignant_nodules_are_told_where_that_is_told_apart():
    worse = right_and_wrong(f"ms-mtl{SUFFIX}", "ms-mtl", profile="evidence")
    lower = brief(worse.difference(f"ms-mtl{SUFFIX}", "ms-mtl", "REC"))
    said = spaced(figures.found_in_words(worse, "ms-mtl", "terms", others={"others": worse}))
    assert (
        f". Sensitivity (exploratory) here [{lower}{ONE_HALF}, in others [{lower}{ONE_HALF}."
        in said
    )
    better = right_and_wrong("ms-mtl", f"ms-mtl{SUFFIX}", profile="evidence")
    higher = brief(better.difference(f"ms-mtl{SUFFIX}", "ms-mtl", "REC"))
    assert "higher" in higher
    finer = right_and_wrong(f"ms-mtl{SUFFIX}", "ms-mtl", profile="evidence-256")
    said = spaced(figures.found_in_words(better, "ms-mtl", "terms", others={"others": finer}))
    assert f" here [{higher}{ONE_HALF}, in others [{lower}](results.html#the-same-at-256-px" in said


def test_a_simpler_network_is_set_beside_by_the_trainings_that_both_have():
    rows = right_and_wrong("ms-mtl", "mtl")
    titles = {"mtl": "MTL", "ms-mtl": "MS-MTL"}
    place = ("phantom", "laptop")
    told = rows.difference("mtl", "ms-mtl", "inconsis_cls")
    said = figures.simpler_in_words({place: rows}, "mtl", "ms-mtl", titles)
    assert "MTL, without any term, contradicts itself, in the trainings that both have" in said
    assert "Phantom: 0.0 % of images" in said
    assert f"MS-MTL {100 * told.below:.1f} %: {figures.sentence(told)}." in said
    assert figures.simpler_in_words({place: rows}, "once", "ms-mtl", titles) == ""
