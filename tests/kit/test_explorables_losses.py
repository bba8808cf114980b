"""The loss laboratory computes what torch computes: losses and gradients of 500 random cases."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from lib import consistency

SCRIPT = Path(__file__).parents[1] / "js" / "losses.mjs"
CASES = 500
TOLERANCE = 1e-6
TERMS = ("intra", "inter", "three")


def node(given):
    done = subprocess.run(
        ["node", SCRIPT], input=json.dumps(given), capture_output=True, text=True, check=False
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
