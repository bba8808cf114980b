"""The joint decision against brute force over every mask, by hand, and where it must not move."""

import itertools
import json
import math
import time

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lib import decode, metrics
from lib.consistency import seg2_as_seg3
from lib.decode import (
    EQUAL,
    Weights,
    class_features,
    count_joint,
    decide_again,
    fit_weights,
    joint,
    log_likelihood,
)
from lib.networks import MSMTL, TaskLogits

TASKS = ("cls", "seg2", "seg3")
SUBSETS = [TASKS, ("cls", "seg2"), ("cls", "seg3"), ("seg2", "seg3"), ("seg3",)]
UNEQUAL = Weights(cls=0.6, maps=1.7, seg2=0.4, seg3=1.3)


def answers(tasks=TASKS, n=3, classes=2, h=2, w=3, seed=0, sharp=2.0):
    """Probabilities of a random network, by task, in float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"cls": (n, classes), "seg2": (n, 2, h, w), "seg3": (n, classes + 1, h, w)}
    every = {
        name: (sharp * torch.randn(*shape, generator=generator, dtype=torch.float64)).softmax(1)
        for name, shape in shapes.items()
    }
    return {name: every[name] for name in tasks}


# Every configuration, written down as the product of the experts


def slow_score(given, image, c, nodule, weights):
    """J(c, M) of the docstring, in plain Python; `nodule` is a list of rows of 0 and 1."""
    classes = given["seg3"].shape[1] - 1 if "seg3" in given else 1

    def told(i, j, inside, c):
        pixel = 0.0
        if "seg2" in given:
            pixel += weights.seg2 * math.log(given["seg2"][image, inside, i, j])
        if "seg3" in given:
            pixel += weights.seg3 * math.log(given["seg3"][image, inside * (1 + c), i, j])
        return pixel

    places = [(i, j) for i, row in enumerate(nodule) for j, _ in enumerate(row)]
    area = sum(any(told(*at, 1, k) > told(*at, 0, k) for k in range(classes)) for at in places)
    total = weights.bias[c] if weights.bias else 0.0
    if "cls" in given:
        total += weights.cls * math.log(given["cls"][image, c])
    total += weights.maps / max(area, 1) * sum(told(i, j, nodule[i][j], c) for i, j in places)
    return total


def every_mask(h, w):
    for bits in itertools.product((0, 1), repeat=h * w):
        yield [list(bits[i * w : (i + 1) * w]) for i in range(h)]


@pytest.mark.parametrize("weights", [EQUAL, UNEQUAL, Weights(bias=(0.0, 0.5))], ids=str)
@pytest.mark.parametrize("tasks", SUBSETS, ids="+".join)
def test_the_best_of_all_configurations_of_six_pixels(tasks, weights):
    given = answers(tasks, n=12, seed=len(tasks))
    answer = joint(given, weights)
    chosen = set()
    for image in range(12):
        scores = {
            (c, str(nodule)): slow_score(given, image, c, nodule, weights)
            for c in range(2)
            for nodule in every_mask(2, 3)
        }
        c, nodule = max(scores, key=scores.get)
        assert answer.nodule[image].int().tolist() == json.loads(nodule)
        assert answer.label[image] == (c if "1" in nodule else -1)
        best = [max(v for (k, _), v in scores.items() if k == c) for c in range(2)]
        expected = 1 / (1 + math.exp(best[0] - best[1]))  # the posterior is that of the best masks
        assert answer.cls[image, 1].item() == pytest.approx(expected, abs=1e-12)
        chosen.add(c)
    assert chosen == {0, 1}


@pytest.mark.parametrize("seed", range(3))
def test_three_classes_by_brute_force(seed):
    weights = Weights(0.8, 2.0, 1.0, 0.5, bias=(0.1, 0.0, -0.3))
    given = answers(n=4, classes=3, seed=seed)
    answer = joint(given, weights)
    for image in range(4):
        configurations = [(c, nodule) for c in range(3) for nodule in every_mask(2, 3)]
        c, nodule = max(configurations, key=lambda one: slow_score(given, image, *one, weights))
        painted = [[inside * (1 + c) for inside in row] for row in nodule]
        assert answer.mask[image].tolist() == painted
        assert answer.cls.shape == (4, 3)


# By hand


def test_six_pixels_by_hand():
    """T3 sees a benign nodule and T1 a malignant one: the mean over the nodule is what weighs."""
    seg2 = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.8, 0.4]])
    benign = torch.tensor([[0.05, 0.6, 0.05], [0.05, 0.5, 0.3]])
    malignant = torch.tensor([[0.05, 0.2, 0.05], [0.05, 0.25, 0.2]])
    given = {
        "seg2": torch.stack([1 - seg2, seg2])[None],
        "seg3": torch.stack([1 - benign - malignant, benign, malignant])[None],
    }
    # Two pixels are a nodule's, those of the middle column; in the others all is below 0.
    # benign: log(.8/.2 x .6/.2) + log(.8/.2 x .5/.25); malignant: log(.8/.2 x 1) + log(.8/.2 x 1)
    odds = math.exp((math.log(12) + math.log(8)) / 2 - math.log(16) / 2)
    answer = joint(given)
    assert answer.cls[0, 0].item() == pytest.approx(odds / (1 + odds), abs=1e-6)
    assert answer.mask.tolist() == [[[0, 1, 0], [0, 1, 0]]]
    # T1 outweighs the map if its odds are above the map's, the root of 6
    assert odds == pytest.approx(math.sqrt(6))
    for p, label in ((0.71, 0), (0.711, 1)):
        answer = joint(given | {"cls": torch.tensor([[1 - p, p]])})
        assert answer.label.item() == label
        assert answer.mask.tolist() == [[[0, 1 + label, 0], [0, 1 + label, 0]]]


def test_faint_background_is_no_part_of_the_mean():
    """A wider picture around the same nodule says the same about the class."""
    small = answers(n=5, h=4, w=4)
    background = {"seg2": torch.tensor([0.6, 0.4]), "seg3": torch.tensor([0.6, 0.3, 0.1])}
    large = {"cls": small["cls"]}
    for name, values in background.items():
        large[name] = values.double().view(1, -1, 1, 1).repeat(5, 1, 12, 12)
        large[name][..., 4:8, 4:8] = small[name]
    assert torch.allclose(joint(small).cls, joint(large).cls, atol=1e-12)


def test_a_mean_not_a_sum():
    """The same picture with 16 times the pixels says the same about the class."""
    small = answers(n=5, h=4, w=4)
    large = {n: p if n == "cls" else p.repeat(1, 1, 4, 4) for n, p in small.items()}
    one, other = joint(small), joint(large)
    assert torch.allclose(one.cls, other.cls, atol=1e-12)
    assert torch.equal(one.mask.repeat(1, 4, 4), other.mask)


def test_t1_and_t2_are_painted_as_algorithm_2_paints():
    given = answers(("cls", "seg2"), n=20, h=7, w=5)
    answer = joint(given)
    painted = seg2_as_seg3(given["seg2"], given["cls"]).argmax(1)
    assert torch.equal(answer.mask, painted)
    assert torch.allclose(answer.cls, given["cls"])  # T2 says nothing about the class


@pytest.mark.parametrize("classes", [2, 3])
def test_tasks_that_agree_are_repeated(classes):
    # shape: one-hot maps (2, K+1, 4, 4), the second image with the last class
    mask = torch.zeros(2, 4, 4, dtype=torch.long)
    mask[0, 1:3, 1:3], mask[1, 0, :2] = 1, classes
    seg3 = torch.nn.functional.one_hot(mask, classes + 1).movedim(3, 1).double()
    seg2 = torch.nn.functional.one_hot((mask > 0).long(), 2).movedim(3, 1).double()
    cls = torch.eye(classes, dtype=torch.float64)[[0, classes - 1]]
    for given in ({"cls": cls, "seg2": seg2, "seg3": seg3}, {"seg2": seg2, "seg3": seg3}):
        answer = joint(given)
        assert torch.equal(answer.mask, mask) and answer.label.tolist() == [0, classes - 1]


def test_a_class_with_no_pixel_is_no_nodule():
    given = answers(n=2)
    given["seg2"][0, 0], given["seg2"][0, 1] = 0.999, 0.001
    given["seg3"][0, 0], given["seg3"][0, 1:] = 0.998, 0.001
    answer = joint(given)
    assert answer.label[0] == -1 and answer.label[1] >= 0
    assert not answer.mask[0].any() and answer.mask[1].any()
    assert torch.allclose(answer.cls[0], given["cls"][0])  # what T1 says, if there is one


def test_ties_go_to_the_background_and_to_the_first_class():
    even = {
        "cls": torch.tensor([[0.5, 0.5]]),
        "seg2": torch.tensor([[[[0.5, 0.1]], [[0.5, 0.9]]]]),
        "seg3": torch.tensor([[[[0.4, 0.2]], [[0.4, 0.4]], [[0.4, 0.4]]]]),
    }
    answer = joint(even)
    assert answer.cls.tolist() == [[0.5, 0.5]]
    assert answer.label.tolist() == [0] and answer.mask.tolist() == [[[0, 1]]]


# What must not matter


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_order_of_the_classes_does_not_matter(classes):
    order = torch.randperm(classes, generator=torch.Generator().manual_seed(classes)).flip(0)
    given = answers(n=30, classes=classes)
    channels = torch.cat([torch.zeros(1, dtype=torch.long), 1 + order])
    other = given | {"cls": given["cls"][:, order], "seg3": given["seg3"][:, channels]}
    bias = torch.linspace(-0.5, 0.5, classes)
    one = joint(given, Weights(bias=tuple(bias.tolist())))
    two = joint(other, Weights(bias=tuple(bias[order].tolist())))
    assert torch.allclose(one.cls[:, order], two.cls)
    assert torch.equal(one.mask, channels[two.mask])


def test_images_are_decided_one_by_one():
    given = answers(n=6)
    whole = joint(given)
    alone = [joint({n: p[k : k + 1] for n, p in given.items()}) for k in range(6)]
    assert torch.equal(whole.mask, torch.cat([one.mask for one in alone]))
    assert torch.equal(whole.cls, torch.cat([one.cls for one in alone]))


def test_a_common_factor_of_the_weights_changes_no_decision():
    given = answers(n=50, h=5, w=5)
    one, same = joint(given), joint(given, Weights(maps=0.25, seg2=4.0, seg3=4.0))
    assert torch.allclose(one.cls, same.cls) and torch.equal(one.mask, same.mask)
    assert torch.equal(one.mask, joint(given, Weights(cls=0.3, maps=0.3)).mask)


def test_a_silent_expert_changes_nothing():
    given = answers(n=20)
    without = {name: given[name] for name in ("cls", "seg2")}
    assert torch.equal(joint(given, Weights(seg3=0.0)).mask, joint(without).mask)
    assert torch.equal(joint(given, Weights(maps=0.0)).label.clamp(min=0), given["cls"].argmax(1))


def test_the_decision_keeps_no_gradient_that_was_not_asked_for():
    given = {name: p.requires_grad_() for name, p in answers().items()}
    with torch.no_grad():
        answer = joint(given)
    assert not answer.cls.requires_grad and not answer.seg2.requires_grad
    assert joint({n: p.detach() for n, p in given.items()}).cls.grad_fn is None


def test_nothing_is_read_back_from_the_device():
    """On the meta device there are no values: whoever looks at one fails."""
    given = {name: p.float().to("meta") for name, p in answers(n=4).items()}
    answer = joint(given, UNEQUAL)
    assert answer.mask.shape == (4, 2, 3) and answer.label.shape == (4,)
    log_likelihood(given, answer.mask, answer.label)


def test_logits_of_a_network_in_half_precision():
    scores = {n: p.log().bfloat16() for n, p in answers(n=8).items()}
    answer = joint(TaskLogits(**scores).probabilities)
    assert answer.cls.dtype == torch.float64 and answer.seg2.dtype == torch.float32
    assert joint({n: s.softmax(1) for n, s in scores.items()}).seg2.dtype == torch.float32


def test_certain_answers_stay_finite_and_t1s_keep_their_order():
    sure = {"seg2": torch.tensor([[[[1.0]], [[0.0]]], [[[0.0]], [[1.0]]]])}
    sure["seg3"] = torch.cat([sure["seg2"], torch.zeros(2, 1, 1, 1)], 1)
    sure["cls"] = torch.tensor([[1.0, 1e-20], [1.0, 1e-30]])
    answer = joint(sure)
    assert torch.isfinite(answer.cls).all() and answer.cls[0, 1] > 0
    without = joint({name: sure[name] for name in ("cls", "seg2")})
    assert 0 < without.cls[1, 1] < without.cls[0, 1]
    mask, label = torch.zeros(2, 1, 1, dtype=torch.long), torch.tensor([1, 1])
    assert torch.isfinite(log_likelihood(sure, mask, label)).all()


# Through the same door


@pytest.mark.parametrize("classes", [2, 3])
def test_the_measures_count_the_answer_and_find_no_contradiction(classes):
    given = answers(n=40, classes=classes, h=6, w=6, sharp=1.0)
    answer = joint(given)
    label = torch.arange(40) % classes
    rows = metrics.count_batch(mask=answer.mask, label=label, cls=answer.cls, seg2=answer.seg2)
    names = metrics.classes_of(rows)
    for k, name in enumerate(names):
        assert rows[f"{name}_pred"].tolist() == (answer.mask == k + 1).sum((1, 2)).tolist()
        assert (rows[f"{name}_inter"] == rows[f"{name}_pred"]).all()
    assert rows["nodule_pred"].tolist() == answer.nodule.sum((1, 2)).tolist()
    assert (rows[[f"{name}_pred" for name in names]].gt(0).sum(axis=1) <= 1).all()
    measures = metrics.summarise(rows)
    assert not [name for name in measures if name.startswith("inconsis")]
    assert measures["ACC"] == (answer.cls.argmax(1) == label).double().mean().item()


def test_it_costs_at_most_two_per_cent_of_inference():
    """Processor time, least of several, beside MS-MTL's forward of the same batch."""
    torch.manual_seed(0)
    network = MSMTL("tu-tf_efficientnet_lite0", decoder_channels=(128, 64, 32, 16, 16)).eval()
    image = torch.randn(16, 1, 96, 96).contiguous(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)

    def least(compute, times):
        spent = []
        for _ in range(times):
            start = time.process_time()
            compute()
            spent.append(time.process_time() - start)
        return min(spent)

    with torch.no_grad():
        given = network(image).probabilities
        share = least(lambda: joint(given), 15) / least(lambda: network(image), 3)
    assert share < 0.02


# Errors


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cls": None, "seg3": None}, "nothing says the class"),
        ({"seg2": None, "seg3": None}, "nothing says where"),
        ({"seg4": torch.ones(1, 2)}, r"\['seg4'\] are no tasks"),
        ({"cls": torch.ones(3, 4) / 4}, "4 classes"),
        ({"seg2": torch.ones(3, 2, 5, 5) / 2}, "5 x 5 pixels"),
        ({"cls": torch.ones(2, 2) / 2, "seg3": None}, "cls has 2 images but seg2 has 3"),
        ({"seg2": torch.ones(3, 3, 2, 3) / 3}, r"expected \(N, 2, H, W\)"),
    ],
)
def test_what_cannot_be_decided_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        joint(answers() | change)


@pytest.mark.parametrize(
    "bad", [{"cls": -1}, {"maps": math.nan}, {"seg2": math.inf}, {"bias": (0.0, math.nan)}]
)
def test_weights_that_are_none(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Weights(**bad)


def test_a_bias_of_other_classes_is_refused():
    with pytest.raises(ValueError, match="bias for 3 classes, but there are 2"):
        joint(answers(), Weights(bias=(0.0, 0.0, 0.0)))


# The weights


def experts(n, classes=2, weights=(0.5, 1.5), bias=(0.0, -0.7), seed=0):
    """Features of two simulated experts, and classes drawn with the probabilities they imply."""
    rng = np.random.default_rng(seed)
    features = 2 * rng.standard_normal((n, 2, classes))
    scores = np.einsum("nfk,f->nk", features, weights) + np.array(bias)
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    label = [rng.choice(classes, p=p) for p in chances]
    return torch.tensor(features), torch.tensor(label)


@pytest.mark.parametrize(("classes", "bias"), [(2, (0.0, -0.7)), (3, (0.0, -0.7, 0.4))])
def test_known_weights_are_found(classes, bias):
    fitted = fit_weights(*experts(20_000, classes, bias=bias))
    assert (fitted.cls, fitted.maps) == pytest.approx((0.5, 1.5), abs=0.05)
    assert [b - fitted.bias[0] for b in fitted.bias] == pytest.approx(bias, abs=0.06)
    assert (fitted.seg2, fitted.seg3) == (1.0, 1.0)


def test_for_two_classes_it_is_scikit_learns_logistic_regression():
    features, label = experts(300)
    apart = (features[:, :, 1] - features[:, :, 0]).numpy()
    plain = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(apart, label)
    fitted = fit_weights(features, label, ridge=0.0)
    assert (fitted.cls, fitted.maps) == pytest.approx(tuple(plain.coef_[0]), abs=1e-5)
    assert fitted.bias[1] - fitted.bias[0] == pytest.approx(plain.intercept_[0], abs=1e-5)


def test_few_images_change_little_and_an_absent_expert_keeps_its_weight():
    features, label = experts(6, seed=2)
    fitted = fit_weights(features, label, ridge=1e6)
    assert (fitted.cls, fitted.maps) == pytest.approx((1, 1), abs=1e-4)
    assert fitted.bias == pytest.approx((0, 0), abs=1e-4)
    features[:, 1] = 0
    assert fit_weights(features, label).maps == 1.0


def test_an_expert_may_fall_silent_but_not_turn_against_its_word():
    features, label = experts(500, weights=(1.0, -1.0))
    fitted = fit_weights(features, label)
    assert fitted.maps == 0.0 and fitted.cls > 0.3


def test_naming_the_classes_in_another_order_changes_nothing():
    features, label = experts(100, 3, bias=(0.0, -0.7, 0.4))
    order = [2, 0, 1]
    other = fit_weights(features[:, :, order], torch.tensor(order).argsort()[label])
    fitted = fit_weights(features, label)
    assert (other.cls, other.maps) == pytest.approx((fitted.cls, fitted.maps), abs=1e-6)
    assert other.bias == pytest.approx([fitted.bias[k] for k in order], abs=1e-6)


def test_images_of_no_class_are_left_out_and_separable_ones_stay_finite():
    features, label = experts(200)
    more = torch.cat([features, features[:5] * 100]), torch.cat([label, torch.full((5,), -1)])
    assert fit_weights(*more) == fit_weights(features, label)
    sure = 10 * torch.nn.functional.one_hot(label, 2).double()[:, None].expand(-1, 2, -1)
    assert fit_weights(sure, label).cls < 3


def test_the_features_are_what_the_decision_adds_up():
    given = answers(n=30)
    features = class_features(given)
    weights = Weights(0.7, 0.2, bias=(0.3, -0.3))
    scores = torch.einsum("nfk,f->nk", features, torch.tensor([0.7, 0.2], dtype=torch.float64))
    expected = (scores + torch.tensor([0.3, -0.3])).softmax(1)
    assert torch.allclose(joint(given, weights).cls, expected)


def test_weights_lower_the_cross_entropy_of_new_images():
    (features, label), (new, truth) = experts(400, seed=1), experts(4000, seed=2)
    fitted = fit_weights(features, label)

    def loss(weights):
        w = torch.tensor([weights.cls, weights.maps], dtype=torch.float64)
        scores = torch.einsum("nfk,f->nk", new, w) + torch.tensor(weights.bias or (0.0, 0.0))
        return torch.nn.functional.cross_entropy(scores, truth).item()

    assert loss(fitted) < loss(EQUAL) - 0.05


@pytest.mark.parametrize(
    ("features", "label", "words"),
    [
        (torch.zeros(4, 2), torch.zeros(4), r"\(N, 2, K\)"),
        (torch.zeros(4, 2, 2), torch.zeros(4, dtype=torch.long), r"\[4, 0\] images"),
        (torch.full((2, 2, 2), torch.nan), torch.tensor([0, 1]), "not finite"),
        (torch.zeros(2, 2, 2), torch.tensor([0, 2]), "images; each needs"),
    ],
)
def test_what_cannot_be_fitted_is_refused(features, label, words):
    with pytest.raises(ValueError, match=words):
        fit_weights(features, label)
    with pytest.raises(ValueError, match="ridge=-1"):
        fit_weights(*experts(10), ridge=-1)


def test_the_weights_go_through_json_unchanged():
    fitted = fit_weights(*experts(50))
    assert Weights(**json.loads(json.dumps(fitted.record()))) == fitted


# The differentiable side


@pytest.mark.parametrize("tasks", SUBSETS, ids="+".join)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_gradient_is_that_of_small_steps(tasks, classes):
    scores = [
        p.log().requires_grad_() for p in answers(tasks, n=2, classes=classes, seed=4).values()
    ]
    mask = torch.randint(0, 2, (2, 2, 3), generator=torch.Generator().manual_seed(0))
    label = torch.tensor([classes - 1, -1])

    def value(*scores):
        given = dict(zip(tasks, (s.softmax(1) for s in scores), strict=True))
        return log_likelihood(given, mask, label, UNEQUAL)

    assert torch.autograd.gradcheck(value, scores)


def test_the_likelihood_by_hand_is_its_two_parts():
    # shape: cls (1, 2), seg2 (1, 2, 1, 2): log .7, and the mean of log .9 and log .6
    given = {
        "cls": torch.tensor([[0.7, 0.3]]),
        "seg2": torch.tensor([[[[0.1, 0.6]], [[0.9, 0.4]]]]),
    }
    mask, outline = torch.tensor([[[1, 0]]]), (math.log(0.9) + math.log(0.6)) / 2
    for label, expected in ((0, math.log(0.7)), (1, math.log(0.3)), (-1, 0.0)):
        value = log_likelihood(given, mask, torch.tensor([label])).item()
        assert value == pytest.approx(expected + outline, abs=1e-6)


def test_the_answer_is_the_most_likely_truth():
    given = answers(n=5)
    answer = joint(given)
    best = log_likelihood(given, answer.mask, answer.cls.argmax(1))
    for label in (0, 1):
        for mask in every_mask(2, 3):
            other = log_likelihood(
                given, torch.tensor(mask).expand(5, 2, 3), torch.full((5,), label)
            )
            assert (other <= best + 1e-12).all()


def test_better_is_above_worse_and_certainty_reaches_zero():
    mask = torch.zeros(1, 4, 4, dtype=torch.long)
    mask[:, 1:3, 1:3] = 2
    label = torch.tensor([1])

    def network(sure, mask, label):
        def soft(one_hot):
            return one_hot * sure + (1 - one_hot) * (1 - sure) / (one_hot.shape[1] - 1)

        one_hot = torch.nn.functional.one_hot
        return {
            "cls": soft(one_hot(label, 2).double()),
            "seg2": soft(one_hot((mask > 0).long(), 2).movedim(3, 1).double()),
            "seg3": soft(one_hot(mask, 3).movedim(3, 1).double()),
        }

    def value(sure, mask_said=mask, label_said=label):
        return log_likelihood(network(sure, mask_said, label_said), mask, label).item()

    assert value(0.6) < value(0.8) < value(0.999) < 0
    assert value(1.0) == pytest.approx(0, abs=1e-6)
    assert value(0.9, label_said=1 - label) < value(0.9)
    assert value(0.9, mask_said=mask.roll(1, 2)) < value(0.9)
    assert value(0.9, mask_said=mask // 2) < value(0.9)  # the right place, called benign


def test_a_likelihood_of_another_batch_is_refused():
    given = answers(n=3)
    with pytest.raises(ValueError, match=r"mask has shape \(2, 2, 3\)"):
        log_likelihood(given, torch.zeros(2, 2, 3, dtype=torch.long), torch.zeros(2))
    assert decode.log_likelihood is log_likelihood


# Counted and decided again


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("tasks", [("cls", "seg2", "seg3"), ("seg2", "seg3"), ("cls", "seg3")])
def test_rows_alone_give_the_answers_of_other_weights(classes, tasks):
    n, generator = 60, torch.Generator().manual_seed(classes)
    given = answers(tasks, n, classes, h=5, w=4, seed=classes)
    mask = torch.randint(0, classes + 1, (n, 5, 4), generator=generator)
    mask[0, 0, 0] = classes + 1  # a nodule of unknown class
    label = torch.randint(-1, classes, (n,), generator=generator)
    bias = torch.randn(classes, generator=generator).tolist()
    weights = Weights(cls=0.3, maps=1.7, bias=bias)
    before, expected = (count_joint(given, mask, label, w) for w in (EQUAL, weights))
    again = decide_again(before, weights)
    pd.testing.assert_frame_equal(again, expected, check_dtype=False, atol=1e-6)
    assert (again["nodule_pred"] != before["nodule_pred"]).any()
    assert metrics.summarise(again) == pytest.approx(metrics.summarise(expected), abs=1e-6)


def test_rows_that_do_not_tell_enough_are_refused():
    given = {"cls": torch.ones(1, 2) / 2, "seg2": torch.ones(1, 2, 2, 2) / 2}
    rows = count_joint(given, torch.ones(1, 2, 2, dtype=torch.long), torch.tensor([0]))
    with pytest.raises(ValueError, match="rows lack maps, if_benign_pred"):
        decide_again(rows.drop(columns=["maps", "if_benign_pred"]), EQUAL)
