"""The same trainings read in other ways: by hand, and against the decoder itself."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from records import TWO_IMAGES as ROWS
from records import as_numbers, cells

from book.kit import controls, figures
from book.kit.stats import SUFFIX, Evidence, with_together
from lib import decode, metrics

NAMES = {"source": "phantom", "profile": "laptop", "experiment": "ms-mtl", "seed": 0}
RUN = NAMES | {"per_image": ROWS}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def many(rows, copies=20):
    """The same images as those of many patients."""
    return {
        name: [f"{v}{k}" if isinstance(v, str) else v for k in range(copies) for v in values]
        for name, values in rows.items()
    }


def record_of_a_network(weights, seed=0, images=12):
    """A run that recorded its joint answers, and the probabilities behind it."""
    generator = torch.Generator().manual_seed(seed)

    def scores(*shape):
        return (2 * torch.randn(*shape, generator=generator)).softmax(1)

    given = {"cls": scores(images, 2), "seg2": scores(images, 2, 4, 4)}
    given["seg3"] = scores(images, 3, 4, 4)
    label = torch.arange(images) % 2
    mask = (1 + label)[:, None, None] * torch.ones(images, 4, 4, dtype=torch.long)
    rows = metrics.count_batch(mask=mask, label=label, **given)
    rows = metrics.beside(rows, decode.count_joint(given, mask, label, weights))
    told = {"weights": weights.record()}
    return NAMES | {"per_image": rows.to_dict("list"), "joint": told}, given, mask, label


@pytest.mark.parametrize(
    ("read", "malignant", "benign"),
    [
        (controls.by_t1, [0, 0], [6, 0]),  # T1 calls both benign: the second is missed
        (controls.by_t3, [0, 7], [6, 0]),
        (controls.joint, [0, 7], [6, 0]),
    ],
)
def test_the_nodule_is_painted_in_the_class_of_whom_is_asked(read, malignant, benign):
    rows = read(RUN, [RUN])
    assert rows[["benign_inter", "malignant_inter"]].T.values.tolist() == [benign, malignant]
    assert (rows["benign_pred"] + rows["malignant_pred"]).tolist() == [7, 8]


@pytest.mark.parametrize("control", controls.CONTROLS.values(), ids=list(controls.CONTROLS))
def test_a_network_without_t3_has_no_control(control):
    rows = {name: values for name, values in ROWS.items() if not name.startswith("seg_as")}
    run = NAMES | {"per_image": rows}
    assert control.read(run, [run]) is None


def test_contradictions_are_those_of_the_measure():
    rows = pd.DataFrame(many(ROWS) | {"seg_as_cls": [0, 1, -1, 0] * 10})
    said = controls.contradictory(rows)
    assert said.mean() == metrics.summarise(rows)["inconsis_cls"] == 0.5


def test_two_trainings_are_averaged_as_log_odds_and_none_counts_twice():
    other = RUN | {"seed": 1, "per_image": ROWS | {"p_malignant": [0.5, 0.9]}}
    third = RUN | {"seed": 3, "per_image": ROWS | {"p_malignant": [0.1, 0.3]}}
    every = [third, RUN, other]
    first = controls.two_trainings(RUN, every)["p_malignant"]
    assert first[1] == pytest.approx(sigmoid((math.log(0.45 / 0.55) + math.log(9)) / 2))
    assert controls.two_trainings(other, every) is None  # it is in the first's
    assert controls.two_trainings(third, every) is None  # one of an odd number
    last = controls.two_trainings(third, [*every, RUN | {"seed": 5}])["p_malignant"]
    assert last[0] == pytest.approx(sigmoid((math.log(1 / 9) + math.log(1 / 4)) / 2))
    assert controls.two_trainings(RUN, [RUN]) is None


def test_two_trainings_on_other_images_or_folds_are_no_pair():
    elsewhere = RUN | {"seed": 1, "per_image": ROWS | {"case": ["a", "c"]}}
    assert controls.two_trainings(RUN, [RUN, elsewhere]) is None
    fold = RUN | {"seed": 1, "parameters": {"fold": 2}}
    assert controls.two_trainings(RUN, [RUN, fold]) is None


def test_calibration_finds_how_much_t1_exaggerates():
    """T1's log-odds are twice the true ones, and one too high."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1.5, 6000)
    label = (rng.random(6000) < 1 / (1 + np.exp(-true))).astype(int)
    valid = {"label": label.tolist(), "joint_cls": (2 * true + 1).tolist()}
    rows = controls.calibrated(RUN | {"validation": valid}, [])
    said = [math.log(p / (1 - p)) for p in ROWS["p_malignant"]]
    assert rows["p_malignant"].tolist() == pytest.approx(
        [sigmoid((one - 1) / 2) for one in said], abs=0.03
    )
    one_class = {"label": [1, 1], "joint_cls": [0.0, 1.0]}
    assert controls.calibrated(RUN | {"validation": one_class}, []) is None
    assert controls.calibrated(RUN, []) is None


def test_the_coin_falls_only_where_tasks_disagree_and_is_as_sure_as_before():
    sides = []
    joint = controls.joint(RUN, [])["p_malignant"]
    for seed in range(40):
        run = RUN | {"seed": seed}
        rows = controls.by_coin(run, [])
        p = rows["p_malignant"]
        assert p[0] == pytest.approx(joint[0])
        assert abs(p[1] - 0.5) == pytest.approx(abs(joint[1] - 0.5))
        assert rows["malignant_pred"][1] == (8 if p[1] > 0.5 else 0)
        assert p.equals(controls.by_coin(run, [])["p_malignant"])
        sides.append(p[1] > 0.5)
    assert 8 < sum(sides) < 32


def test_the_coin_takes_the_nodule_that_the_decoder_would_give_to_its_class():
    run, *_ = record_of_a_network(decode.Weights(cls=0.5, bias=(0.2, -0.2)))
    rows, thrown = pd.DataFrame(run["per_image"]), controls.by_coin(run, [])
    apart = controls.contradictory(rows)
    before = (rows["joint_p_malignant"] > 0.5).to_numpy()
    now = (thrown["p_malignant"] > 0.5).to_numpy()
    assert apart.any() and (now == before)[~apart].all() and (now != before)[apart].any()
    for at, name in enumerate(("benign", "malignant")):
        mine = now == bool(at)
        wanted = rows[f"joint_if_{name}_pred"].where(mine, 0)
        assert thrown[f"{name}_pred"].tolist() == wanted.tolist()


def test_equal_weights_are_those_of_the_decoder():
    fitted = decode.Weights(cls=0.3, maps=0.05, bias=(0.4, -0.4))
    run, given, mask, label = record_of_a_network(fitted)
    again, wanted = controls.equal(run, []), decode.count_joint(given, mask, label)
    assert again["p_malignant"].tolist() == pytest.approx(wanted["p_malignant"].tolist(), abs=1e-5)
    assert again["malignant_pred"].tolist() == wanted["malignant_pred"].tolist()
    assert controls.equal(RUN, []) is None
    unfitted = run | {"joint": {"weights": decode.EQUAL.record()}}
    assert controls.equal(unfitted, []) is None


@pytest.fixture(scope="module")
def found():
    runs = [RUN | {"experiment": e, "per_image": many(ROWS)} for e in ("ms-mtl", "terms")]
    return controls.two_readings(runs, controls.joint, controls.answered)


def test_both_readings_are_judged_within_one_network(found):
    family = found.differences(f"ms-mtl{SUFFIX}", "ms-mtl")
    assert family["ACC"].above == 1 and family["ACC"].below == 0.5
    # as answered .5 (2 5/(6+8) + 0) benign and so on, one class 2 6/(7+8) and 2 7/(8+9)
    assert family["dice_class_mean"].above == pytest.approx((12 / 15 + 14 / 17) / 2)
    assert family["dice_class_mean"].below == pytest.approx((10 / 14 + 8 / 14) / 2)


def test_a_control_that_is_the_joint_decision_differs_in_nothing():
    runs = [RUN | {"per_image": many(ROWS)}]
    same = controls.two_readings(runs, controls.joint, controls.by_t3)
    family = same.differences(f"ms-mtl{SUFFIX}", "ms-mtl")
    assert family["F1"].difference == family["dice_nodule"].difference == 0


def test_deciding_together_has_one_interval_on_all_pages():
    """Of networks that cannot contradict themselves, which one page has not, nothing is learned."""
    rng = np.random.default_rng(0)
    runs = []
    for seed in (0, 1, 2):
        rows = many(ROWS)
        rows["seg_as_cls_p"] = rng.random(len(rows["label"])).tolist()
        painted = {name: values for name, values in rows.items() if not name.startswith("seg")}
        painted |= {f"joint_{k}": v for k, v in painted.items() if k.endswith(("_inter", "_pred"))}
        painted["joint_p_malignant"] = (np.array(rows["p_malignant"]) + 1e-7).tolist()
        runs += [
            RUN | {"experiment": name, "seed": seed, "per_image": columns}
            for name, columns in (("ms-mtl", rows), ("once", painted))
        ]
    found = Evidence(with_together(runs))
    _, decided = controls.of_painting(found, ["ms-mtl"])
    pair = f"ms-mtl{SUFFIX}", "ms-mtl"
    assert f"once{SUFFIX}" in found.runs and found.difference(*pair, "F1").error > 0
    assert decided.differences(*pair) == found.differences(*pair)


def test_the_first_sentence_is_about_painting():
    runs = [RUN | {"per_image": many(ROWS)}]
    painted, decided = controls.of_painting(Evidence(with_together(runs)), ["ms-mtl"])
    said = figures.worth(painted, decided, "ms-mtl")
    # as answered 5/7 and 0 in the first image, 0 and 4/7 in the second; painted 12/15, 14/17, 1, 1
    gain = 100 * ((12 / 15 + 1 + 14 / 17 + 1) / 4 - (10 / 14 + 8 / 14) / 4)
    assert as_numbers(said)[:2] == [round(gain, 1), round(gain, 1)]
    assert said.index("mean Dice over all images") < said.index("AUC")
    assert figures.worth(painted, decided, "no such") == ""


def test_the_words_and_the_table_say_the_same():
    runs = [RUN | {"per_image": many(ROWS)}]
    told = controls.against(Evidence(with_together(runs)), ["ms-mtl"])
    assert set(told) == {"t1", "t3", "coin"}  # no validation, no second seed
    lines = figures.controls_in_words(told, "ms-mtl").splitlines()
    assert len(lines) == len(controls.CONTROLS)
    assert "F1 100.0 points higher" in lines[0]
    assert lines[1].endswith("not told apart; AUC no difference (95 %: 0.0 to 0.0).")
    assert lines[2].endswith("not told by these runs.")
    assert "F1 100.0 points higher" in figures.beyond(told, "ms-mtl")
    table = cells(figures.controls_table(told, ["ms-mtl"], {"ms-mtl": "MS-MTL"}))
    assert table[1] == ["MS-MTL"] and len(table) == 5
    assert table[2][0] == "T1's class alone1 training" and table[2][2].startswith("higher")
    shown = cells(figures.controls_table(told, ["ms-mtl"], {}, judged=False))
    assert shown[2][2].startswith("+100.0")  # of a source that enters no verdict: no word of one
    with pytest.raises(ValueError, match="no run"):
        figures.controls_table({}, ["ms-mtl"], {})


def test_at_a_threshold_of_one_half():
    """T1 names both benign; T3 turns the second."""
    found = Evidence(with_together([NAMES | {"per_image": many(ROWS)}]))
    said = figures.at_one_half(found, "ms-mtl")
    assert "finds 100.0 % of the malignant nodules and T1 0.0 %: 100.0 points higher" in said
    assert "Of the benign ones it names 100.0 % so and T1 100.0 %: no difference" in said
    assert figures.at_one_half(found, "mtl") == ""
