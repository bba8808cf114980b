"""Ask the network: how the page fits pictures, reads answers and searches; what is kept."""

import base64
import hashlib
import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from statsmodels.stats.proportion import proportion_confint

from book.kit import explorables
from lib import decode, metrics, results
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
        assert page["p"] == pytest.approx(rows["p_malignant"], abs=1e-6)
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
        assert page["nodule"] == one.nodule.flatten().int().tolist()
        seen.add((page["draws"], page["contradicts"]))
    assert {(0, False), (0, True), (1, False), (1, True), (-1, True)} <= seen


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
    assert list(made["networks"]) == ["ms-mtl", "ms-mtl+intra+inter"] and sizes <= 2_000_000


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
