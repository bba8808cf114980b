"""The soft terms: against SciPy, against the hard ones where these agree, and their gradients."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from lib import consistency, soft


def answers(n=4, classes=2, seed=0, sharp=2.0):
    """Cls, Seg2 and Seg3 of a random network, ready for gradients."""
    generator = torch.Generator().manual_seed(seed)
    scores = [
        (sharp * torch.randn(*shape, generator=generator, dtype=torch.float64)).requires_grad_()
        for shape in ((n, classes), (n, 2, 7, 5), (n, classes + 1, 7, 5))
    ]
    return scores, [score.softmax(1) for score in scores]


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_the_divergence_is_scipys(classes, seed):
    rng = np.random.default_rng(seed)
    one, other = rng.dirichlet([0.5] * classes, 6), rng.dirichlet([0.5] * classes, 6)
    expected = np.mean(jensenshannon(one, other, base=2, axis=1) ** 2)
    assert soft.jensen_shannon(torch.tensor(one), torch.tensor(other)).item() == pytest.approx(
        expected, abs=1e-12
    )


def test_a_class_that_both_call_impossible_adds_nothing_and_has_a_finite_gradient():
    one = torch.tensor([[1.0, 0.0]], requires_grad=True)
    value = soft.jensen_shannon(one, torch.tensor([[1.0, 0.0]]))
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(one.grad).all()


def test_the_gradient_is_that_of_small_steps():
    scores, _ = answers(n=2)
    assert torch.autograd.gradcheck(
        lambda cls, seg3: soft.soft_inter_task(cls.softmax(1), seg3.softmax(1)),
        (scores[0], scores[2]),
    )


def test_no_decision_stands_between_the_tasks():
    """The soft three-task term reaches the class; the paper's argmax keeps its gradient away."""
    scores, (cls, seg2, seg3) = answers()
    soft.soft_three_task(cls, seg2, seg3).backward(retain_graph=True)
    assert all(score.grad.abs().max() > 0 for score in scores)
    scores[0].grad = None
    consistency.three_task(cls, seg2, seg3).backward()
    assert scores[0].grad is None


def test_for_a_sure_class_the_two_ways_to_paint_agree():
    _, (_, seg2, _) = answers()
    sure = torch.eye(2, dtype=torch.float64)[[0, 1, 1, 0]]
    assert torch.equal(soft.soft_seg2_as_seg3(seg2, sure), consistency.seg2_as_seg3(seg2, sure))


def test_the_class_is_the_one_with_more_mass_and_no_nodule_is_an_even_answer():
    seg3 = torch.zeros(2, 3, 4, 4)
    seg3[0, 0] = 1  # no nodule
    seg3[1, 1], seg3[1, 2] = 0.25, 0.75
    assert soft.soft_seg_as_cls(seg3)[0].tolist() == [0.5, 0.5]
    assert soft.soft_seg_as_cls(seg3)[1].argmax() == 1


def test_the_loss_falls_when_a_step_follows_its_gradient():
    scores, (cls, _, seg3) = answers()
    before = soft.soft_inter_task(cls, seg3)
    before.backward()
    cls, seg3 = ((s - 0.1 * s.grad).softmax(1) for s in (scores[0], scores[2]))
    assert soft.soft_inter_task(cls, seg3) < before


def test_answers_of_different_batches_are_refused():
    _, (cls, seg2, seg3) = answers()
    with pytest.raises(ValueError, match="cls has 3 images but seg2 has 4"):
        soft.soft_three_task(cls[:3], seg2, seg3)
    with pytest.raises(ValueError, match="5 classes"):
        soft.soft_three_task(answers(classes=5)[1][0], seg2, seg3)
