"""The loss laboratory computes what torch computes: losses and gradients of 500 random cases."""

import json
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from book.kit import explorables
from lib import consistency

SCRIPTS = Path(__file__).parents[1] / "js"
CASES = 500
TOLERANCE = 1e-6
TERMS = ("intra", "inter", "three")


def node(given, script="losses.mjs"):
    done = subprocess.run(
        ["node", SCRIPTS / script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def probabilities(*shape, generator):
    """Random ones, from even to certain; sometimes one-hot, sometimes with ties."""
    scores = torch.randn(shape, generator=generator, dtype=torch.float64)
    kind = torch.randint(6, (1,), generator=generator).item()
    if kind == 0:
        return torch.nn.functional.one_hot(scores.argmax(1), shape[1]).movedim(-1, 1).double()
    if kind == 1:
        scores = scores.round()  # whole scores tie often
    return (scores * [0.3, 1, 1, 1, 4, 12][kind]).softmax(1)


def case(seed):
    generator = torch.Generator().manual_seed(seed)

    def one_of(*values):
        return values[torch.randint(len(values), (1,), generator=generator).item()]

    images, classes, high, wide = one_of(1, 2, 3), one_of(2, 2, 3, 4), one_of(1, 3, 6), one_of(2, 5)
    answers = {
        "cls": probabilities(images, classes, generator=generator),
        "seg2": probabilities(images, 2, high, wide, generator=generator),
        "seg3": probabilities(images, classes + 1, high, wide, generator=generator),
    }
    options = {
        "locations": one_of("max", "all"),
        "order": one_of("both", "sc", "cs"),
        "softmax": one_of("double", "single"),
        "detach": one_of(True, False),
        "background": one_of(True, False),
        "flatten": one_of(True, False),
    }
    return answers, options


def by_torch(answers, options):
    """Each term with its gradients, and the three-task one's gradient of Seg3's scores."""
    dice = {name: options[name] for name in ("background", "flatten")}
    entropy = {name: options[name] for name in ("locations", "order", "softmax")}
    entropy["detach_target"] = options["detach"]
    terms = {
        "intra": lambda cls, seg2, seg3: consistency.intra_task(seg2, seg3, **dice),
        "inter": lambda cls, seg2, seg3: consistency.inter_task(cls, seg3, **entropy),
        "three": lambda cls, seg2, seg3: consistency.three_task(cls, seg2, seg3, **dice),
    }
    computed = {}
    for term, function in terms.items():
        leaves = {name: values.clone().requires_grad_() for name, values in answers.items()}
        loss = function(**leaves)
        loss.backward()
        gradient = {name: leaf.grad for name, leaf in leaves.items()}
        computed[term] = {"loss": loss.detach(), "gradient": gradient}
    given = computed["three"]["gradient"]["seg3"]
    seg3 = answers["seg3"]
    computed["scores"] = seg3 * (given - (seg3 * given).sum(1, keepdim=True))
    return computed


@pytest.fixture(scope="module")
def both():
    """What torch and what the page's script makes of every case."""
    cases = [case(seed) for seed in range(CASES)]
    given = [
        {name: values.flatten().tolist() for name, values in answers.items()}
        | {"options": options}
        | {
            "shape": {
                "images": answers["cls"].shape[0],
                "classes": answers["cls"].shape[1],
                "pixels": answers["seg2"][0, 0].numel(),
            }
        }
        for answers, options in cases
    ]
    return [(by_torch(*one), other) for one, other in zip(cases, node(given), strict=True)]


@pytest.mark.parametrize("term", TERMS)
def test_the_losses_are_torchs(both, term):
    assert len(both) == CASES
    gaps = [abs(torch_[term]["loss"].item() - page[term]["loss"]) for torch_, page in both]
    assert max(gaps) < TOLERANCE


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("name", ["cls", "seg2", "seg3"])
def test_the_gradients_are_torchs(both, term, name):
    compared = 0
    for torch_, page in both:
        wanted, got = torch_[term]["gradient"][name], page[term]["gradient"].get(name)
        if got is None:  # this term never reaches that answer
            assert wanted is None
            continue
        got = torch.tensor(got, dtype=torch.float64)
        if wanted is None:  # nor does it in this order, which the page shows as zeros
            assert not got.any()
            continue
        torch.testing.assert_close(got, wanted.flatten(), atol=TOLERANCE, rtol=TOLERANCE)
        compared += 1
    assert compared or (term, name) in {("intra", "cls"), ("inter", "seg2"), ("three", "cls")}


def test_the_gradient_of_scores_is_that_of_a_softmax(both):
    for torch_, page in both:
        got = torch.tensor(page["scores"], dtype=torch.float64)
        torch.testing.assert_close(got, torch_["scores"].flatten(), atol=TOLERANCE, rtol=TOLERANCE)


# ---- what agreeing costs, as the laboratory subtracts it


def floor_of_inter_task(order, softmax):
    """By scipy over T1's probability, for every Seg-as-Cls on a grid: of torch's cross-entropy."""

    def loss(p, y):
        cls, seg = (torch.tensor([[1 - v, v]], dtype=torch.float64) for v in (p, y))
        pairs = {"sc": [(seg, cls)], "cs": [(cls, seg)]}
        pairs["both"] = pairs["sc"] + pairs["cs"]
        return sum(consistency.soft_cross_entropy(*pair, softmax).item() for pair in pairs[order])

    sure = torch.tensor([1.0, 0.0], dtype=torch.float64).softmax(0)
    least = []
    for y in np.linspace(*sure.flip(0).tolist(), 9):
        inside = minimize_scalar(loss, args=(y,), bounds=(0, 1), method="bounded")
        least += [inside.fun, loss(0, y), loss(1, y)]
    return min(least)


def lab_states():
    """Every pair of order and logarithm, with random answers."""
    draw = random.Random(0)
    for order in ("both", "sc", "cs"):
        for softmax in ("double", "single"):
            for _ in range(6):
                yield {
                    **{name: round(draw.random(), 3) for name in "pq"},
                    **{name: round(draw.uniform(0.5, 1), 3) for name in ("s2", "s3")},
                    "t2": f"e{draw.randint(20, 100)}_64_20_15",
                    "t3": f"e{draw.randint(20, 100)}_60_25_15",
                    "order": order,
                    "softmax": softmax,
                    "background": draw.random() < 0.5,
                    "flatten": draw.random() < 0.5,
                }


def test_the_floors_are_torchs():
    states = list(lab_states())
    for state, page in zip(states, node(states, "floors.mjs"), strict=True):
        agreed = state | {"t2": state["t3"], "p": float(state["q"] > 0.5)}
        wanted = explorables.losses(agreed)
        assert page["floors"]["intra"] == pytest.approx(wanted["L_T2T3"], abs=TOLERANCE)
        assert page["floors"]["three"] == pytest.approx(wanted["L_T1T2T3"], abs=TOLERANCE)
        floor = floor_of_inter_task(state["order"], state["softmax"])
        assert page["floors"]["inter"] == pytest.approx(floor, abs=TOLERANCE)


def test_no_case_lies_below_the_floor_of_l_t1t3_and_one_reaches_it(both):
    floors = {}
    states = list(lab_states())
    for state, page in zip(states, node(states, "floors.mjs"), strict=True):
        floors[state["order"], state["softmax"]] = page["floors"]["inter"]
        assert page["losses"]["inter"] > page["floors"]["inter"]
    assert len(floors) == 6
    above = []
    for (answers, options), (torch_, _) in zip(map(case, range(CASES)), both, strict=True):
        if answers["cls"].shape[1] == 2:
            floor = floors[options["order"], options["softmax"]]
            above.append(torch_["inter"]["loss"].item() - floor)
    assert len(above) > 100 and min(above) > -TOLERANCE
    sure = {"p": 0, "q": 0, "s3": 1, "t2": "e64_64_40_40", "t3": "e64_64_40_40"}
    (page,) = node([sure], "floors.mjs")
    assert page["losses"]["inter"] == pytest.approx(page["floors"]["inter"], abs=1e-5)
