"""Who decides? computes what torch computes: the joint decision of 400 random cases."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from book.kit import explorables
from lib import consistency, decode

SCRIPT = Path(__file__).parents[1] / "js" / "decide.mjs"
CASES = 400
TOLERANCE = 1e-6
TASKS = [("cls", "seg2", "seg3"), ("cls", "seg2"), ("cls", "seg3"), ("seg2", "seg3"), ("seg3",)]
STATES = [
    {},
    {"p": 0.1, "q": 0.9},
    {"p": 0.55, "q": 0.05, "s2": 1, "s3": 1},
    {"p": 0, "q": 1, "maps": 0.2, "cls": 1.7},
    {"p": 0.9, "q": 0.5, "t3": "e64_64_0_0"},
    {"t2": "e64_64_0_0", "t3": "e64_64_0_0"},
    {"s2": 0.5, "s3": 0.5},
    {"t2": "e20_20_9_9", "t3": "e90_90_9_9", "s2": 0.7, "s3": 0.9},
]


def node(given):
    done = subprocess.run(
        ["node", SCRIPT], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def case(seed):
    generator = torch.Generator().manual_seed(seed)

    def one_of(*values):
        return values[torch.randint(len(values), (1,), generator=generator).item()]

    def probabilities(*shape):
        scores = torch.randn(shape, generator=generator, dtype=torch.float64)
        kind = one_of(0, 1, 2, 3)
        if kind == 0:  # certain
            return torch.nn.functional.one_hot(scores.argmax(1), shape[1]).movedim(-1, 1).double()
        return (scores * (0.3, 2, 12)[kind - 1]).softmax(1)

    images, classes, high, wide = one_of(1, 2, 3), one_of(2, 2, 3, 4), one_of(1, 3, 6), one_of(2, 5)
    shapes = {"cls": (classes,), "seg2": (2, high, wide), "seg3": (classes + 1, high, wide)}
    given = {name: probabilities(images, *shapes[name]) for name in one_of(*TASKS)}
    weights = torch.rand(4, generator=generator, dtype=torch.float64).mul(2).tolist()
    bias = torch.randn(classes, generator=generator, dtype=torch.float64).tolist()
    weights = decode.Weights(*weights, bias=one_of((), tuple(bias)))
    return given, one_of(decode.EQUAL, weights), (images, classes, high * wide)


def clear(posterior):
    """Images whose best class is better than the next by more than rounding: the others may tip."""
    return (posterior.topk(2).values.diff().abs() > 1e-9)[:, 0]


def same(answer, page, where):
    """Label and pixels of those images, but for pixels between nodule and background."""
    nodule = torch.tensor(page["nodule"], dtype=torch.bool).view(answer.nodule.shape)
    edge = (answer.seg2[:, 1] - 0.5).abs() < 1e-9
    unlike = ((nodule != answer.nodule) & ~edge)[where]
    return not unlike.any() and torch.equal(torch.tensor(page["label"])[where], answer.label[where])


def test_the_decision_is_torchs():
    cases = [case(seed) for seed in range(CASES)]
    pages = node(
        {
            "cases": [
                {name: p.flatten().tolist() for name, p in given.items()}
                | {"weights": weights.record()}
                | {"shape": dict(zip(("images", "classes", "pixels"), shape, strict=True))}
                for given, weights, shape in cases
            ]
        }
    )["cases"]
    labels, compared = set(), 0
    for (given, weights, shape), page in zip(cases, pages, strict=True):
        answer = decode.joint(given, weights)
        posterior = torch.tensor(page["posterior"], dtype=torch.float64).view(shape[:2])
        assert (posterior - answer.cls).abs().max() < TOLERANCE
        assert same(answer, page, clear(answer.cls))
        compared += int(clear(answer.cls).sum())
        features = decode.class_features(given, weights) * torch.tensor(
            [[weights.cls], [weights.maps]], dtype=torch.float64
        )
        ours = torch.tensor([page["cls"], page["maps"]], dtype=torch.float64)
        assert (ours.view(2, *shape[:2]).movedim(0, 1) - features).abs().max() < TOLERANCE
        labels |= set(page["label"])
    assert labels == {-1, 0, 1, 2, 3} and compared > 0.9 * sum(shape[0] for *_, shape in cases)


def test_the_states_of_the_page_are_torchs():
    for found in node({"states": STATES})["states"]:
        state = found["state"]
        cls, seg2, seg3 = explorables.answers(state)
        weights = decode.Weights(state["cls"], state["maps"])
        answer = decode.joint({"cls": cls, "seg2": seg2, "seg3": seg3}, weights)
        assert found["joint"]["posterior"] == pytest.approx(answer.cls[0].tolist(), abs=TOLERANCE)
        assert same(answer, found["joint"], clear(answer.cls))
        painted = consistency.seg2_as_seg3(seg2, cls).argmax(1)
        nodule = torch.tensor(found["painted"]["nodule"]).view_as(painted)
        assert torch.equal((1 + found["painted"]["label"][0]) * nodule, painted)
        alone = decode.joint({"seg3": seg3})
        assert same(alone, found["alone"], clear(alone.cls))


def test_beyond_the_tipping_point_t1_has_its_way():
    for changed in ({}, {"q": 0.6}, {"maps": 0.3}, {"cls": 0.5, "q": 0.45}):
        (found,) = node({"states": [changed]})["states"]
        tips = found["tips"]
        below, above = node(
            {"states": [changed | {"p": tips - 1e-6}, changed | {"p": tips + 1e-6}]}
        )["states"]
        assert (below["joint"]["label"], above["joint"]["label"]) == ([0], [1])
