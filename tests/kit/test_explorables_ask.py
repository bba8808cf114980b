"""Ask the network: how the page fits pictures, reads answers and searches; what is kept."""

import base64
import hashlib
import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from statsmodels.stats.proportion import proportion_confint

from book.kit import explorables
from lib import decode, metrics, presence, results
from lib.blocks import GREY
from lib.sources.phantom import Features, all_features
from lib.square import fit_image

SCRIPT = Path(__file__).parents[1] / "js" / "ask.mjs"
KEPT = results.RESULTS / "bench" / "ask"
SHAPES = [(128, 128, 64), (40, 70, 64), (301, 97, 64), (63, 65, 64), (5, 3, 64), (64, 20, 64)]
SHAPES += [(200, 333, 128), (1, 1, 64)]


def node(given):
    done = subprocess.run(
        ["node", SCRIPT], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packed(values, kind):
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()


# ---- Pictures


def test_pictures_are_fitted_bit_for_bit_as_in_training():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, shape[:2], np.uint8) for shape in SHAPES]
    pictures[1][:] = np.arange(70)[None] * 3  # not noise alone
    given = [
        {"grey": packed(p, "u1"), "width": p.shape[1], "height": p.shape[0], "size": size}
        for p, (*_, size) in zip(pictures, SHAPES, strict=True)
    ]
    for picture, page, (*_, size) in zip(
        pictures, node({"pictures": given})["fitted"], SHAPES, strict=True
    ):
        assert (fit_image(picture, size).ravel() == page).all(), picture.shape


def test_grey_is_scaled_as_in_training():
    levels = np.arange(256)
    ours = (torch.from_numpy(levels) / 255 - GREY[0]) / GREY[1]
    assert node({"scaled": levels.tolist()})["scaled"] == pytest.approx(ours.tolist(), abs=1e-7)


# ---- Answers


def drawn(rng, side=6):
    """Probabilities of one picture, sharp enough for maps with and without a nodule."""

    def softmax(*shape):
        scores = torch.from_numpy(rng.normal(0, 2, shape)).float()
        scores[0] += rng.normal(0, 3)
        return scores.softmax(0)[None]

    return {"cls": softmax(2), "seg2": softmax(2, side, side), "seg3": softmax(3, side, side)}


def test_answers_are_read_as_the_measures_and_the_decoder_read_them():
    rng = np.random.default_rng(1)
    weights = decode.Weights(0.7, 0.2, bias=(0.1, -0.1))
    cases = [drawn(rng) for _ in range(60)]
    cases[0]["seg3"][:] = torch.tensor([1.0, 0, 0])[None, :, None, None]  # no nodule
    cases[1]["seg2"][:], cases[1]["seg3"][:] = 1 / 2, 1 / 3  # ties everywhere
    given = [
        {name: packed(values, "<f4") for name, values in case.items()}
        | {"weights": weights.record()}
        for case in cases
    ]
    nothing = torch.zeros(1, 6, 6, dtype=torch.long)
    seen = set()
    for case, page in zip(cases, node({"answers": given})["read"], strict=True):
        rows = metrics.count_batch(mask=nothing, label=torch.tensor([0]), **case).iloc[0]
        one = decode.joint(case, weights)
        assert page["p"] == pytest.approx(case["cls"][0].tolist(), abs=1e-6)
        assert page["p"][1] == pytest.approx(rows["p_malignant"], abs=1e-6)
        assert page["says"] == case["cls"].argmax(1).item()
        assert page["draws"] == rows["seg_as_cls"]
        assert page["contradicts"] == (page["says"] != page["draws"])
        union = rows["seg2seg3_union"]
        assert page["shared"] == pytest.approx(rows["seg2seg3_inter"] / union if union else 1)
        assert sum(page["t2"]) == rows["nodule_pred"]
        assert sum(page["benign"]) == rows["benign_pred"]
        assert sum(page["malignant"]) == rows["malignant_pred"]
        assert page["together"] == one.label.item()
        assert page["sure"] == pytest.approx(one.cls[0, 1].item(), abs=1e-5)
        assert page["decided"] == (one.nodule * (one.label + 1)).flatten().int().tolist()
        seen.add((page["draws"], page["contradicts"]))
    assert {(0, False), (0, True), (1, False), (1, True), (-1, True)} <= seen


def islands(rng, side=9):
    """Probabilities of one picture with none to some pieces of either class, and two answers."""
    scores = np.full((3, side, side), -1.0)
    for _ in range(rng.integers(0, 5)):
        row, column = rng.integers(0, side - 2, 2)
        high, wide = rng.integers(1, 4, 2)
        scores[rng.integers(1, 3), row : row + high, column : column + wide] += 3
    scores[0] += 1.5
    other = np.stack([scores[0], scores[1:].max(0) - rng.choice([0.0, 2.0, 9.0])])
    seg2, seg3 = (
        torch.from_numpy(some + rng.normal(0, 0.4, some.shape)).float().softmax(0)[None]
        for some in (other, scores)
    )
    return {"cls": torch.from_numpy(rng.random((1, 2))).float(), "seg2": seg2, "seg3": seg3}


def ruled(rng):
    """A decision's rule with any kinds, weights and limits."""
    kinds = tuple(sorted(rng.choice(4, rng.integers(2, 5), replace=False).tolist()))
    bias = tuple(rng.normal(0, 1, len(kinds)).tolist()) if rng.random() < 0.7 else ()
    weights = decode.Weights(*rng.uniform(0, 1.5, 4), bias=bias)
    return presence.Rule(weights, kinds, float(rng.choice([0, 0.3, 0.7])), int(rng.choice([0, 4])))


def test_presence_is_read_and_decided_as_lib_presence_does():
    rng = np.random.default_rng(2)
    cases = [(islands(rng), ruled(rng)) for _ in range(300)]
    cases[0][0]["seg2"][:], cases[0][0]["seg3"][:] = 1 / 2, 1 / 3  # ties everywhere
    given = [
        {name: packed(values, "<f4") for name, values in case.items()} | {"rule": rule.record()}
        for case, rule in cases
    ]
    nothing, unknown = torch.zeros(1, 9, 9, dtype=torch.long), torch.tensor([-1])
    names, answers = set(), set()
    for (case, rule), page in zip(cases, node({"present": given})["present"], strict=True):
        one = presence.decide(case, rule)
        rows = presence.count_presence(nothing, unknown, case, one)
        row, there = rows.iloc[0], presence.contradictions(rows).iloc[0]
        expected = [name for kind, name in presence.CONTRADICTIONS.items() if there[kind]]
        assert sorted(page["names"]) == sorted(expected)
        assert page["says"] == row["t1_benign"] + 2 * row["t1_malignant"] - 1
        assert page["draws"] == row["t3_benign"] + 2 * row["t3_malignant"] - 1
        assert any(page["t2"]) == row["t2"]
        assert page["posterior"] == pytest.approx(one.posterior[0].tolist(), abs=1e-5)
        assert page["probability"] == pytest.approx(one.probability[0].tolist(), abs=1e-5)
        assert page["sure"] == page["probability"][1]
        assert page["decided"] == one.mask.flatten().tolist()
        assert page["together"] == presence.kind(one.present.int()).item() - 1
        names |= set(expected)
        answers.add(page["together"])
    assert names == set(presence.CONTRADICTIONS.values()) and answers == {-1, 0, 1, 2}


def test_two_classes_are_named_by_piece_where_there_may_be_two_nodules():
    """T1 of one softmax says one class: of T1, T2 and T3 as lib.presence reads them."""
    rng = np.random.default_rng(3)
    cases = [islands(rng) for _ in range(100)]
    for case in cases:
        case["cls"] = torch.cat([case["cls"][:, :1], 1 - case["cls"][:, :1]], 1)
    weights = {"weights": decode.EQUAL.record(), "byPiece": True}
    given = [{name: packed(p, "<f4") for name, p in case.items()} | weights for case in cases]
    seen = set()
    for case, page in zip(cases, node({"answers": given})["read"], strict=True):
        drawn = presence.piece_classes(case["seg3"])[0]
        t1 = torch.nn.functional.one_hot(case["cls"][0].argmax(), 2)
        rows = [(*t1.tolist(), (case["seg2"].argmax(1) > 0).any().item(), *drawn.tolist())]
        columns = ["t1_benign", "t1_malignant", "t2", "t3_benign", "t3_malignant"]
        there = presence.contradictions(pd.DataFrame(rows, columns=columns)).iloc[0]
        expected = [name for kind, name in presence.CONTRADICTIONS.items() if there[kind]]
        assert sorted(page["names"]) == sorted(expected)
        assert page["draws"] == presence.kind(drawn.int()[None]).item() - 1
        assert page["contradicts"] == (page["says"] != page["draws"])
        seen |= set(expected)
    assert len(seen) == 4  # T1 names one class, neither none nor two


# ---- The search and the count


def test_the_search_goes_outwards_and_leaves_nothing_out():
    start = Features()
    given = {"table": explorables.tirads(), "around": asdict(start), "neck": 2, "necks": 999}
    found = node(given | {"seed": 3, "most": 3})["rounds"]
    again, other = (node(given | {"seed": seed, "most": 3})["rounds"] for seed in (3, 4))
    assert found == again != other
    assert found[0] == {"nodule": asdict(start), "neck": 2, "round": 0}
    rounds = [place["round"] for place in found]
    assert rounds == sorted(rounds) and set(rounds) == {0, 1, 2, 3}
    expected = {}
    for nodule in all_features():
        far = sum(asdict(nodule)[name] != value for name, value in asdict(start).items())
        for neck, away in ((1, 1), (2, 0), (3, 1), (999, 2), (4, 2), (998, 3), (5, 3)):
            if far + away <= 3:
                expected[(*asdict(nodule).values(), neck)] = far + away
    assert {(*p["nodule"].values(), p["neck"]): p["round"] for p in found} == expected
    assert len(found) == len(expected)


def test_the_interval_is_wilsons():
    shares = [(0, 50), (1, 50), (25, 50), (50, 50), (7, 1000), (3, 7)]
    for (hits, count), page in zip(shares, node({"shares": shares})["intervals"], strict=True):
        ours = proportion_confint(hits, count, method="wilson")
        assert page == pytest.approx(ours, abs=1e-9)


# ---- What is kept


@pytest.fixture(scope="module")
def made():
    return json.loads((KEPT / explorables.MADE).read_text())


def test_the_networks_are_those_that_were_measured_and_small(made):
    sizes = 0
    for one in made["networks"].values():
        data = (KEPT / one["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (one["bytes"], one["sha256"])
        sizes += len(data)
    names = ["ms-mtl", "ms-mtl+intra+inter", "ms-mtl-present"]
    assert list(made["networks"]) == names and sizes <= 2_000_000
    ways = ["weights", "weights", "rule"]  # the last may say none and both
    assert [
        next(key for key in ("weights", "rule") if key in made["networks"][n]) for n in names
    ] == ways


def test_the_page_was_equal_to_torch_and_its_own_error_is_told(made):
    assert made["compared"] >= 50
    for one in made["networks"].values():
        assert max(one["equal"][kind]["largest"] for kind in ("float", "int8")) <= 1e-3
        ways = one["quantisation"]
        assert ways["weights"]["mean"] == min(way["mean"] for way in ways.values())
        assert ways["weights"]["pixels"] < 0.01


def test_the_script_hands_over_the_files(made):
    text = explorables.networks_script(KEPT)
    held = json.loads(text.partition(".networks = ")[2].rstrip(";\n"))
    for name, one in made["networks"].items():
        assert base64.b64decode(held[name]) == (KEPT / one["file"]).read_bytes()


def test_a_missing_network_is_named(tmp_path):
    (tmp_path / explorables.MADE).write_text('{"networks": {"mtl": {"file": "mtl.onnx"}}}')
    with pytest.raises(FileNotFoundError, match=r"mtl\.onnx"):
        explorables.networks_script(tmp_path)
