"""Functions and random numbers that are the same to the last bit on every processor.

IEEE 754 rounds + - * / and the square root exactly, and scales by powers of two without rounding:
these give the same bits everywhere. exp, log and cos it leaves to libraries, which differ in the
last place from one set of vector instructions to the next, and so does a grey level rounded from
them. Here each function is a power series, added up in a fixed order. Every operation is a call of
its own: no compiler sees a product and a sum together, to contract them into one rounding.

The functions take numbers or arrays of floats, and keep float32.
"""

import math
from collections.abc import Callable
from functools import cache, wraps

import numpy as np

DECIBEL = 0.11512925464970228  # ln(10) / 20: an amplitude of x dB is exp(DECIBEL * x)
LN_2 = 0.6931471805599453
TURN = 6.283185307179586  # 2 pi
SLOPE = 0.41421356237309503  # tan(pi / 8)
BLOCK = 24576  # numbers at a time: what is kept in between stays in the processor's cache

# Factors of the power series, the highest power first.
POWER_OF_TWO = (  # 2^x: LN_2^n / n!
    0.0013333558146428443, 0.009618129107628477, 0.05550410866482158,
    0.24022650695910072, LN_2, 1.0,
)  # fmt: skip
SINE_OF_TURNS = (  # sin(TURN x) / x in x^2: TURN^n / n!
    -15.09464257682299, 42.058693944897655, -76.70585975306139,
    81.60524927607506, -41.34170224039976, TURN,
)  # fmt: skip
ARCTANGENT = (1 / 13, -1 / 11, 1 / 9, -1 / 7, 1 / 5, -1 / 3, 1.0)  # arctan(x) / x in x^2
DECIBELS = (  # 10 log10((1 + x) / (1 - x)) / x in x^2: 20 / (n ln(10))
    1.2408413768664337, 1.7371779276130073, 2.8952965460216786, 8.685889638065037,
)  # fmt: skip

Numbers = np.ndarray | float


def _series(factors: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """Horner's sum of a power series."""
    total = factors[0] * x
    total += factors[1]
    for factor in factors[2:]:
        total *= x
        total += factor
    return total


def _in_blocks(function: Callable[[Numbers], Numbers]) -> Callable[[Numbers], Numbers]:
    @wraps(function)
    def of_all(x: Numbers) -> Numbers:
        if np.size(x) <= BLOCK:
            return function(x)
        flat, values = x.reshape(-1), np.empty(x.size, x.dtype)
        for start in range(0, x.size, BLOCK):
            part = slice(start, start + BLOCK)
            values[part] = function(flat[part])
        return values.reshape(x.shape)

    return of_all


# --- Functions ----------------------------------------------------------------------------------


@_in_blocks
def exp(x: Numbers) -> Numbers:
    """e to the x, to 6e-6 of itself, for x of -40 to 40; that of the nearer end beyond them.

    >>> float(exp(0.0)), round(float(exp(1.0)), 4)
    (1.0, 2.7183)
    """
    x = np.asarray(x).clip(-40, 40) * (1 / LN_2)
    doublings = np.rint(x)
    x -= doublings
    return np.ldexp(_series(POWER_OF_TWO, x), doublings.astype(np.int32))


def bell(x: Numbers) -> Numbers:
    """exp(-x^2), to 6e-6 of itself, for x of -6 to 6; at most 3e-16 beyond them.

    >>> float(bell(0.0)), round(float(bell(1.0)), 4)
    (1.0, 0.3679)
    """
    return exp(-np.square(x))


def cos(x: Numbers) -> Numbers:
    """The cosine of x in radians: to 1e-7, in float32 to 2e-5, for x of -100 to 100.

    >>> round(float(cos(0.0)), 4), round(float(cos(1.0)), 4)
    (1.0, 0.5403)
    """
    turns = x * (1 / TURN)
    turns = 0.25 - np.abs(turns - np.rint(turns))  # cos(x) = sin(TURN / 4 - |x|)
    return turns * _series(SINE_OF_TURNS, np.square(turns))


def sin(x: Numbers) -> Numbers:
    """The sine of x in radians, as `cos`.

    >>> round(float(sin(1.0)), 4)
    0.8415
    """
    return cos(x - TURN / 4)


def angle(y: Numbers, x: Numbers) -> Numbers:
    """The angle of the point (x, y) in radians, -pi to pi, to 2e-6; 0 at the origin.

    >>> angle(np.array([0.0, 2.0]), np.array([3.0, -2.0])).round(4).tolist()
    [0.0, 2.3562]
    """
    across, down = np.abs(x), np.abs(y)
    slope = np.minimum(across, down) / np.maximum(np.maximum(across, down), 1e-30)
    slope = (slope - SLOPE) / (1 + SLOPE * slope)  # from 0..45 degrees to +-22.5
    turn = TURN / 16 + slope * _series(ARCTANGENT, np.square(slope))
    turn = np.where(down > across, TURN / 4 - turn, turn)
    turn = np.where(x < 0, TURN / 2 - turn, turn)
    return np.copysign(turn, y)


@_in_blocks
def decibels(power: Numbers) -> Numbers:
    """10 log10 of a positive power: to 1e-6, in float32 to 2e-5.

    >>> np.round(decibels(np.array([1.0, 100.0])), 4).tolist()
    [0.0, 20.0]
    """
    part, doublings = np.frexp(power)  # the power is part * 2^doublings, part from .5 to 1
    part *= math.sqrt(2)
    ratio = (part - 1) / (part + 1)
    level = ratio * _series(DECIBELS, np.square(ratio))
    level += (doublings - np.float32(0.5)).astype(level.dtype) * 3.010299956639812
    return level


# --- Random numbers -----------------------------------------------------------------------------

KINDS = 4096  # of radii and of directions that normal numbers are made of


@cache
def _radii() -> np.ndarray:
    """Lengths of a vector of two normal numbers, equally likely: sqrt(-2 ln u), u from 0 to 1."""
    shares = (np.arange(KINDS) + 0.5) / KINDS
    return np.sqrt(-0.4605170185988092 * decibels(shares)).astype(np.float32)


@cache
def _directions() -> np.ndarray:
    """Cosines (first row) and sines of directions, equally likely."""
    turns = np.arange(KINDS) * (TURN / KINDS)
    return np.stack([cos(turns), sin(turns)]).astype(np.float32)


class Generator(np.random.Generator):
    """NumPy's generator, whose `random` and `integers` are exact, with the others made exact.

    NumPy draws normal and exponential numbers with the library's exp and log, and its `uniform` is
    a product and a sum that some compilers contract. No other method than those below, `random` and
    `integers` is exact. `Generator(other.bit_generator)` goes on where `other` is.

    >>> Generator(np.random.PCG64(0)).standard_normal((2, 3)).shape
    (2, 3)
    """

    def uniform(self, low: float, high: float, size: int | None = None) -> Numbers:
        """Evenly from `low` to `high`, float64."""
        return low + (high - low) * self.random(size)

    def normal(self) -> float:
        """One number of mean 0 and variance 1."""
        return float(self.standard_normal(1)[0])

    def standard_normal(self, size: int | tuple[int, ...]) -> np.ndarray:
        """Numbers of mean 0 and variance 1, at most 4.25, float32 (Box and Muller 1958).

        One of 4096 radii and one of 4096 directions, all equally likely, make two numbers: one in
        the first half of the array and one in the second, so that a first axis of two holds the
        real and the imaginary part of complex numbers.
        """
        count = math.prod(size) if isinstance(size, tuple) else size
        drawn = self.integers(0, KINDS * KINDS, (count + 1) // 2, np.uint32)
        pair = _directions().take(drawn & (KINDS - 1), axis=1)
        pair *= _radii().take(drawn >> 12)
        return pair.reshape(-1)[:count].reshape(size)

    def standard_exponential(self, size: int | tuple[int, ...]) -> np.ndarray:
        """Numbers of mean 1, at most 9.1, float32: half the square of one of 4096 radii."""
        return np.square(_radii().take(self.integers(0, KINDS, size, np.uint16))) / 2
