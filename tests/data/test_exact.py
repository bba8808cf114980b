"""Functions and random numbers that do not depend on the processor: they are the right ones."""

import numpy as np
import pytest
from scipy import stats

from lib.sources import exact


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_functions_against_numpy(kind):
    x = np.linspace(-39.9, 39.9, 50_001).astype(kind)
    assert exact.exp(x) == pytest.approx(np.exp(x.astype(float)), rel=6e-6)
    wide = np.linspace(-100, 100, 50_001).astype(kind)
    for ours, numpys in ((exact.cos, np.cos), (exact.sin, np.sin)):
        right = numpys(wide.astype(float))
        assert np.abs(ours(wide) - right).max() < (1e-7 if kind is np.float64 else 2e-5)
    near = np.linspace(-6, 6, 50_001).astype(kind)
    assert exact.bell(near) == pytest.approx(np.exp(-(near.astype(float) ** 2)), rel=1e-5)
    power = np.exp(np.linspace(-40, 40, 50_001)).astype(kind)
    assert exact.decibels(power) == pytest.approx(10 * np.log10(power.astype(float)), abs=2e-5)
    for function in (exact.exp, exact.cos, exact.bell, exact.decibels):
        assert function(power[:20]).dtype == kind


def test_the_angle_of_every_direction():
    x, y = np.random.default_rng(0).normal(size=(2, 20_000))
    assert np.abs(exact.angle(y, x) - np.arctan2(y, x)).max() < 2e-6
    x, y = np.array([1.0, 1, 0, -1, -1, -1, 0, 1, 0]), np.array([0.0, 1, 1, 1, 0, -1, -1, -1, 0])
    assert exact.angle(y, x) == pytest.approx(np.arctan2(y, x), abs=2e-6)


def test_ends_are_flat():
    assert exact.exp(np.array([-50.0, -1e9, 50, 1e9])) == pytest.approx(
        np.exp([-40.0, -40, 40, 40]), rel=1e-5
    )
    assert 0 <= exact.bell(np.float32(300)) < 1e-15


def test_large_arrays_are_the_same_as_small_ones():
    x = np.random.default_rng(0).normal(0, 9, (3, exact.BLOCK + 5)).astype(np.float32)
    for function in (exact.exp, exact.bell):
        assert (function(x) == np.stack([function(row[::-1])[::-1] for row in x])).all()
    assert (exact.decibels(x * x) == np.stack([exact.decibels(row * row) for row in x])).all()


def test_normal_numbers():
    rng = exact.Generator(np.random.PCG64(0))
    pair = rng.standard_normal((2, 200_000))
    assert pair.dtype == np.float32 and np.abs(pair).max() < 4.25
    for values in pair:
        # From 4096 radii and directions: near the normal law to a thousandth.
        assert stats.kstest(values[:20_000], "norm").pvalue > 0.01
        assert values.mean() == pytest.approx(0, abs=0.01)
        assert values.var() == pytest.approx(1, abs=0.01)
        assert stats.kurtosis(values) == pytest.approx(0, abs=0.05)
    assert abs(np.corrcoef(pair)[0, 1]) < 0.01
    assert abs(np.corrcoef(pair**2)[0, 1]) < 0.01  # nor does the size of one tell the other's
    assert [rng.standard_normal(n).shape for n in (1, 7, (3, 5))] == [(1,), (7,), (3, 5)]
    assert np.std([rng.normal() for _ in range(2000)]) == pytest.approx(1, abs=0.06)


def test_exponential_and_uniform_numbers():
    rng = exact.Generator(np.random.PCG64(1))
    values = rng.standard_exponential((40, 500))
    assert values.shape == (40, 500) and values.dtype == np.float32
    assert stats.kstest(values.ravel(), "expon").pvalue > 0.01
    assert stats.kstest(rng.uniform(-3, 5, 20_000), "uniform", args=(-3, 8)).pvalue > 0.01
    assert type(rng.uniform(2, 3)) is float and 2 <= rng.uniform(2, 3) < 3


def test_a_generator_goes_on_with_the_stream_of_another():
    other, same = np.random.default_rng(5), np.random.default_rng(5)
    other.random(3)
    first = exact.Generator(other.bit_generator).random()
    assert first == same.random(4)[3]
    assert other.random() == same.random()
