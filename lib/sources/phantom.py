"""A thyroid ultrasound phantom: speckle, neck anatomy, and nodules with ACR TI-RADS features.

Three steps, in this order: a latent class draws the features of a nodule (`FEATURES`); the features
and a random neck make a map of scatterers and a map of attenuation; the maps become a picture as in
a scanner (point spread function, envelope, attenuation, gain over depth, log compression). Shadow
and enhancement are not painted: they follow from the attenuation along each beam. The picture
depends on the class through the features alone, so `bayes_auc` bounds every reader of the picture.

A seed is one picture on every processor. All that leads to a pixel is an operation that IEEE 754
rounds exactly, in an order that is written here: + - * / and the square root of single elements
(`np.square`, not a power), comparisons, running sums; exp, cos and random numbers of `exact`; and
matrix products whose sums of products fit into a double, so that no order of adding rounds them.
"""

import itertools
import json
import math
import os
import shutil
import tempfile
import time
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from lib.atomic import naming
from lib.cases import CLASSES, CaseError, Region
from lib.home import HOME

from . import exact

VERSION = 2  # of the drawing: raise it whenever a picture changes, so that old folders are redrawn

# P(value | benign), P(value | malignant). The tendencies are those of the literature (Kwak 2011 and
# 2013, Moon 2008, Tessler 2017); the numbers are rounded and ours. A cystic nodule is anechoic by
# definition, so the row of echogenicity is for the other three compositions.
FEATURES: dict[str, dict[str, tuple[float, float]]] = {
    "composition": {
        "cystic": (0.11, 0.01),
        "spongiform": (0.16, 0.01),
        "mixed": (0.30, 0.11),
        "solid": (0.43, 0.87),
    },
    "echogenicity": {
        "hyper/isoechoic": (0.58, 0.13),
        "hypoechoic": (0.36, 0.55),
        "very hypoechoic": (0.06, 0.32),
    },
    "shape": {"wider": (0.92, 0.57), "taller": (0.08, 0.43)},
    "margin": {
        "smooth": (0.65, 0.19),
        "ill-defined": (0.25, 0.23),
        "lobulated/irregular": (0.08, 0.45),
        "extrathyroidal": (0.02, 0.13),
    },
    "foci": {
        "none": (0.68, 0.37),
        "comet-tail": (0.12, 0.02),
        "macrocalcification": (0.10, 0.14),
        "rim calcification": (0.05, 0.06),
        "punctate": (0.05, 0.41),
    },
}

# Points of ACR TI-RADS (Tessler et al. 2017).
POINTS: dict[str, dict[str, int]] = {
    "composition": {"cystic": 0, "spongiform": 0, "mixed": 1, "solid": 2},
    "echogenicity": {
        "anechoic": 0, "hyper/isoechoic": 1, "hypoechoic": 2, "very hypoechoic": 3,
    },
    "shape": {"wider": 0, "taller": 3},
    "margin": {"smooth": 0, "ill-defined": 0, "lobulated/irregular": 2, "extrathyroidal": 3},
    "foci": {
        "none": 0, "comet-tail": 0, "macrocalcification": 1, "rim calcification": 2, "punctate": 3,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Features:
    """What a sonographer would report of one nodule, in the words of ACR TI-RADS.

    Raises CaseError for a value that `POINTS` does not list, and for a nodule that is cystic but
    not anechoic or anechoic but not cystic.

    >>> nodule = Features(shape="taller", margin="lobulated/irregular")
    >>> nodule.points, nodule.level
    (9, 5)
    """

    composition: str = "solid"
    echogenicity: str = "hypoechoic"
    shape: str = "wider"
    margin: str = "smooth"
    foci: str = "none"

    def __post_init__(self) -> None:
        for field in fields(self):
            value, known = getattr(self, field.name), POINTS[field.name]
            if value not in known:
                raise CaseError(f"{field.name} {value!r} is unknown: use one of {', '.join(known)}")
        if (self.composition == "cystic") != (self.echogenicity == "anechoic"):
            raise CaseError(
                f"a nodule cannot be {self.composition} and {self.echogenicity}: "
                "cystic and anechoic go together"
            )

    @property
    def points(self) -> int:
        """Sum of ACR TI-RADS points, 0 to 14; a spongiform nodule gets none (Tessler 2017)."""
        if self.composition == "spongiform":
            return 0
        return sum(POINTS[field.name][getattr(self, field.name)] for field in fields(self))

    @property
    def level(self) -> int:
        """ACR TI-RADS level, 1 to 5 (one point, which the chart does not list, counts as TR2)."""
        return 1 + sum(self.points >= least for least in (1, 3, 4, 7))


@dataclass(frozen=True)
class Drawing:
    """One picture of the phantom.

    image: uint8 (size, size), grey. mask: uint8 (size, size), 0 background, n the n-th nodule.
    features: one per nodule.

    >>> drawing = draw("both", rng=0, size=32)
    >>> drawing.image.dtype, np.unique(drawing.mask).tolist(), len(drawing.features)
    (dtype('uint8'), [0, 1, 2], 2)
    """

    image: np.ndarray
    mask: np.ndarray
    features: tuple[Features, ...]


# --- From class to features, and back -----------------------------------------------------------


def probability(features: Features, label: str) -> float:
    """P(features | class), exactly: the features are independent given the class.

    Raises CaseError for a label other than benign or malignant.

    >>> nodule = Features("cystic", "anechoic")  # wider, smooth, no foci
    >>> [round(probability(nodule, label), 4) for label in CLASSES]
    [0.0447, 0.0004]
    """
    column = _column(label)
    return math.prod(
        FEATURES[field.name][getattr(features, field.name)][column]
        for field in fields(features)
        if getattr(features, field.name) != "anechoic"  # certain, once the nodule is cystic
    )


def draw_features(label: str, rng: np.random.Generator) -> Features:
    """The features of one nodule of the class `label`, drawn from `FEATURES`.

    Raises CaseError for a label other than benign or malignant.

    >>> draw_features("malignant", np.random.default_rng(0)).composition
    'solid'
    """
    column = _column(label)
    drawn = {}
    for name, table in FEATURES.items():
        edges = np.cumsum([chances[column] for chances in table.values()])
        drawn[name] = list(table)[min(np.searchsorted(edges, rng.random()), len(table) - 1)]
    if drawn["composition"] == "cystic":
        drawn["echogenicity"] = "anechoic"
    return Features(**drawn)


def bayes_auc(cases: pd.DataFrame | None = None) -> float:
    """The AUC of an ideal reader, who knows the true features and `FEATURES`: no one does better.

    Without `cases`: exact, over all combinations of features; ties of the likelihood ratio count
    one half. With a case table of this phantom: the same reader's AUC on just those cases, those of
    one nodule (a network's AUC on these images is to be compared with this). Raises CaseError if
    `cases` has no feature columns, or only one class.

    >>> round(bayes_auc(), 3)
    0.955
    """
    if cases is None:
        every = all_features()
        ratio = np.array([_log_ratio(one) for one in every])
        benign, malignant = (np.array([probability(f, c) for f in every]) for c in CLASSES)
    else:
        missing = [name for name in FEATURES if name not in cases]
        if missing:
            raise CaseError(f"no column {missing[0]!r}: these cases are not the phantom's")
        single = cases[cases["label"].isin(CLASSES)]
        ratio = np.array([_log_ratio(Features(*row)) for row in single[list(FEATURES)].values])
        benign, malignant = ((single["label"] == c).to_numpy(float) for c in CLASSES)
        if not (benign.any() and malignant.any()):
            raise CaseError("these cases hold one class only: an AUC needs benign and malignant")
    # Rounded, so that equal ratios that were added up in another order stay ties.
    _, rank = np.unique(ratio.round(9), return_inverse=True)
    benign = np.bincount(rank, benign / benign.sum())
    malignant = np.bincount(rank, malignant / malignant.sum())
    return float(malignant @ (np.cumsum(benign) - benign / 2))


def all_features() -> list[Features]:
    """Every combination of features that a nodule can have.

    >>> len(all_features()), all_features()[0].composition
    (400, 'cystic')
    """
    return [
        Features(composition, echogenicity, *rest)
        for composition, echogenicity, *rest in itertools.product(*POINTS.values())
        if (composition == "cystic") == (echogenicity == "anechoic")
    ]


def _log_ratio(features: Features) -> float:
    return math.log(probability(features, "malignant") / probability(features, "benign"))


def _column(label: str) -> int:
    if label not in CLASSES:
        raise CaseError(f"a nodule cannot be {label!r}: use one of {', '.join(CLASSES)}")
    return CLASSES.index(label)


# --- From scatterers to an envelope -------------------------------------------------------------


def speckle(
    scatterers: np.ndarray,
    rng: np.random.Generator,
    *,
    focus: float = 0.5,
    mirrors: np.ndarray | float = 0.0,
) -> np.ndarray:
    """The echo envelope of a medium with many scatterers in every resolution cell.

    scatterers: float (H, W), standard deviation of their complex Gaussian amplitude; depth goes
    down the rows, and the picture is H pixels wide (further columns are a margin: the sides wrap
    around). mirrors: amplitude of the coherent reflectors, same shape. focus: depth where the beam
    is narrowest, as a fraction of H. Returns float32 (H, W), in the unit of `scatterers`.

    In a homogeneous region the envelope is Rayleigh distributed (fully developed speckle; Wagner et
    al. 1983), so mean / standard deviation is sqrt(pi / (4 - pi)) = 1.91. The point spread function
    is Gaussian and of unit energy; its width grows with depth, across the beam with the distance to
    the focus (Gaussian beam).

    >>> envelope = speckle(np.ones((128, 128), np.float32), np.random.default_rng(0))
    >>> envelope.shape, bool(1.7 < envelope.mean() / envelope.std() < 2.1)
    ((128, 128), True)
    """
    height, width = scatterers.shape
    scale = height / 128  # widths below are in pixels of a picture of 128
    z = np.arange(height, dtype=np.float32) / height
    axial = scale * (0.42 + 0.16 * z)
    lateral = scale * 0.95 * np.sqrt(1 + np.square((z - focus) / 0.32))

    field = _exactly(rng).standard_normal((2, height, width))  # real and imaginary part
    field *= np.float32(math.sqrt(0.5))
    field *= scatterers
    field[0] += mirrors / scale  # so that a reflector is as bright at every size
    field = _blur(field.swapaxes(1, 2), _pulse(axial), "reflect").swapaxes(1, 2)
    real, imaginary = _blur(field, _pulse(lateral)[..., None], "wrap")
    return np.sqrt(np.square(real) + np.square(imaginary))


def _pulse(width: np.ndarray) -> np.ndarray:
    """A Gaussian of unit energy at distances 0, 1, ..., the first axis; standard deviation `width`.

    width: float (H,). Returns the same type (distances, H).
    """
    distance = np.arange(math.ceil(3 * float(width.max())) + 1, dtype=np.float32)
    weights = exact.bell(distance[:, None] / width * np.float32(math.sqrt(0.5)))
    energy = np.cumsum(np.square(weights), axis=0)[-1] * 2 - np.square(weights[0])
    return weights / np.sqrt(energy)


def _blur(field: np.ndarray, weights: np.ndarray, beyond: str) -> np.ndarray:
    """Each row weighted by distance; `beyond` its ends as in `np.pad`. The order of sums is fixed:
    the library's filters and Fourier transforms leave it to the compiler.
    """
    reach, length = len(weights) - 1, field.shape[-1]
    padded = np.pad(field, [(0, 0)] * (field.ndim - 1) + [(reach, reach)], mode=beyond)
    total = weights[0] * field
    for k, weight in enumerate(weights[1:], 1):
        near = padded[..., reach - k :][..., :length] + padded[..., reach + k :][..., :length]
        near *= weight
        total += near
    return total


def _exactly(rng: np.random.Generator) -> exact.Generator:
    """The same stream of random bits, with exact numbers made of them."""
    return rng if isinstance(rng, exact.Generator) else exact.Generator(rng.bit_generator)


# --- From features to scatterers ----------------------------------------------------------------

# Echo levels in dB against normal thyroid; attenuation in dB per picture height, there and back.
FAT, MUSCLE, DEEP, BLOOD, FLUID = -3.0, -12.5, -5.0, -30.0, -34.0
LEVELS = {
    "anechoic": (FLUID, FLUID),
    "hyper/isoechoic": (3.0, 7.0),
    "hypoechoic": (-11.0, -7.5),
    "very hypoechoic": (-20.0, -15.0),
}
TISSUE, THROUGH_FLUID, CALCIUM, AIR = 40.0, 8.0, 750.0, 3000.0


class _Scene:
    """The maps that a picture is made from: echo (dB), coherent reflectors, attenuation.

    Depth z goes from 0 to 1 down the picture, x from 0 to 1 across it, with a margin on both sides.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = size, _exactly(rng)
        self.margin = math.ceil(size / 12)
        self.z, self.x = _axes(size, self.margin)
        self.shape = (size, size + 2 * self.margin)
        self.echo = np.full(self.shape, DEEP, np.float32)
        self.mirrors = np.zeros(self.shape, np.float32)
        self.loss = np.full(self.shape, TISSUE, np.float32)
        # Organs are not ellipses: their coordinates are bent a little.
        self.bent_x = self.x + 0.016 * self.texture(5, 5)
        self.bent_z = self.z + 0.012 * self.texture(5, 5)

    def paint(self, where: np.ndarray, echo, loss: float = TISSUE) -> None:
        """Replaces tissue, and the reflectors in it, where `where` is 1 (0 to 1, broadcast)."""
        self.echo += where * (echo - self.echo)
        self.loss += where * (loss - self.loss)
        self.mirrors *= 1 - where

    def shine(self, where: np.ndarray, level: float) -> None:
        """Adds a coherent reflector of `level` dB where `where` is 1."""
        self.mirrors += where * np.float32(exact.exp(exact.DECIBEL * level))

    def edge(self, inside: np.ndarray, width: float = 0.008) -> np.ndarray:
        """From a signed distance (positive inside) to 0..1, soft over `width`."""
        return np.clip(0.5 + inside / np.float32(width), 0, 1)

    def line(self, distance: np.ndarray, width: float = 0.006) -> np.ndarray:
        """1 on a curve, falling off with the distance from it."""
        return exact.bell(distance * np.float32(1 / width))

    def texture(self, rows: int, columns: int) -> np.ndarray:
        """A smooth random field of unit variance with so many knots down and across."""
        knots = _rounded(self.rng.standard_normal((rows + 3, columns + 3)))
        field = _splines(rows, self.shape[0]) @ knots @ _splines(columns, self.shape[1]).T
        return field.astype(np.float32)

    def curve(self, knots: int) -> np.ndarray:
        """A smooth random function of x of unit variance, (1, W)."""
        values = _rounded(self.rng.standard_normal(knots + 3))
        return (_splines(knots, self.shape[1]) @ values).astype(np.float32)[None]

    def ellipse(self, x: float, z: float, a: float, b: float, tilt: float = 0.0) -> np.ndarray:
        """Signed distance, about, to an ellipse of half axes a (across) and b (down)."""
        dx, dz = self.bent_x - np.float32(x), self.bent_z - np.float32(z)
        if tilt:
            cos, sin = np.float32(exact.cos(tilt)), np.float32(exact.sin(tilt))
            dx, dz = cos * dx + sin * dz, cos * dz - sin * dx
        dx, dz = np.square(dx * np.float32(1 / a)), np.square(dz * np.float32(1 / b))
        return (1 - np.sqrt(dx + dz)) * min(a, b)


@lru_cache(maxsize=8)
def _axes(size: int, margin: int) -> tuple[np.ndarray, np.ndarray]:
    z = (np.arange(size, dtype=np.float32) + 0.5) / size
    x = (np.arange(-margin, size + margin, dtype=np.float32) + 0.5) / size
    return z[:, None], x[None]


@lru_cache(maxsize=256)
def _splines(knots: int, samples: int) -> np.ndarray:
    """Cubic B-spline basis (samples, knots + 3), each row of unit energy and four weights."""
    at = (np.arange(samples) * knots / samples)[:, None]
    t = np.abs(at - (np.arange(knots + 3) - 1))
    far = np.maximum(2 - t, 0)
    basis = np.where(t < 1, 2 / 3 - t * t + t * t * t / 2, far * far * far / 6)
    energy = np.cumsum(np.square(basis), axis=1)[:, -1:]
    return _rounded(basis / np.sqrt(energy))


def _rounded(values: np.ndarray) -> np.ndarray:
    """To multiples of 2^-15, so that a matrix product is exact, whatever the order of its sums.

    Weights are 1 at most and those of a row of splines add up to 2 at most (four, of unit energy),
    knots are below 4.3. A field is then a sum of multiples of 2^-45, below 2^5 at every step: 50
    of a double's 53 bits.
    """
    return np.rint(values * np.float64(2**15)) / 2**15


class _Nodule:
    """Where a nodule lies and how its outline runs; `ratio` is 1 on the outline, less inside."""

    def __init__(self, scene: _Scene, features: Features, *, x: float, width: float) -> None:
        rng = scene.rng
        self.features = features
        tall = rng.uniform(1.2, 1.6) if features.shape == "taller" else rng.uniform(0.55, 0.85)
        if tall > 1:
            width = min(width, 0.36)
        self.a, self.b = width / 2, width * tall / 2
        self.x = x
        # The lobe's front lies above the nodule; behind it there is room for a shadow to be seen.
        self.front = rng.uniform(0.27, 0.33)
        low = self.front + 0.03 + self.b
        self.z = rng.uniform(low, max(low, 0.72 - self.b))
        if features.margin == "extrathyroidal":
            self.z = self.front + self.b * 0.82  # the bulge at its top breaks through the capsule

        angle = np.arange(-180, 181) * (np.pi / 180)
        radius = _outline(features.margin, angle, rng)
        across, down = radius * exact.cos(angle), radius * exact.sin(angle)
        centre = [(side.max() + side.min()) / 2 for side in (across, down)]
        half = [np.ptp(side) / 2 for side in (across, down)]
        # Scaled so that width and height are as drawn, whatever the margin did.
        self.u = (scene.x - np.float32(self.x)) * np.float32(half[0] / self.a) + np.float32(
            centre[0]
        )
        self.v = (scene.z - np.float32(self.z)) * np.float32(half[1] / self.b) + np.float32(
            centre[1]
        )
        self.angle = exact.angle(self.v, self.u)
        degree = ((self.angle + np.float32(np.pi)) * np.float32(180 / np.pi) + 0.5).astype(np.int32)
        self.ratio = np.sqrt(np.square(self.u) + np.square(self.v)) / radius.astype(
            np.float32
        ).take(degree)
        self.inside = (1 - self.ratio) * min(self.a, self.b)


def _outline(margin: str, angle: np.ndarray, rng: exact.Generator) -> np.ndarray:
    """The radius of an outline at every angle, about 1; -pi/2 is towards the skin."""

    def waves(orders, amplitude: float) -> np.ndarray:
        drawn = [(n, rng.normal() / n, rng.uniform(0, 2 * np.pi)) for n in orders]
        order, height, phase = np.array(drawn).T[..., None]
        total = np.cumsum(height * exact.cos(order * angle + phase), axis=0)[-1]
        return amplitude * total / math.sqrt(math.fsum(total * total) / len(total))

    radius = 1 + waves((2, 3, 4), 0.035)
    if margin == "ill-defined":
        radius += waves(range(3, 7), 0.03)
    if margin == "lobulated/irregular":
        if rng.random() < 0.5:  # lobulated: a few round lobes that meet in notches
            lobes, phase = int(rng.integers(4, 7)), rng.uniform(0, 2 * np.pi)
            radius += rng.uniform(0.28, 0.38) * np.abs(exact.sin(lobes * angle / 2 + phase))
            radius += waves(range(2, 5), 0.05)
        else:  # irregular: jagged, angular
            radius += waves(range(4, 13), 0.13)
    if margin == "extrathyroidal":
        radius += waves(range(3, 10), 0.06)
        turn = (angle + np.pi / 2 + rng.uniform(-0.35, 0.35) + np.pi) % (2 * np.pi) - np.pi
        radius += rng.uniform(0.40, 0.55) * exact.bell(turn / 0.42)
    # Closes the curve: lobes of odd number would meet in a step behind the nodule.
    radius[-1] = radius[0]
    return np.clip(radius, 0.55, 1.8)


def _paint_neck(scene: _Scene, nodules: list[_Nodule]) -> None:
    """Deep tissue, strap muscle, lobe, isthmus, carotid, trachea, fat and skin, back to front."""
    rng, z, x = scene.rng, scene.z, scene.x
    front = nodules[0].front if nodules else rng.uniform(0.27, 0.33)
    left = min([n.x - n.a for n in nodules], default=0.35)
    right = max([n.x + n.a for n in nodules], default=0.6)
    bottom = max([n.z + n.b for n in nodules], default=0.6)

    scene.echo += 3.5 * scene.texture(9, 4) + 4.5 * scene.texture(34, 6)

    # Strap muscle: dark, with bright fibres along it, down to the front of the lobe.
    fat = rng.uniform(0.10, 0.17) + 0.012 * scene.curve(3)
    sag = rng.uniform(0.0, 0.12)
    under = front + 0.02 + sag * np.square(x - 0.5) * 4 + 0.01 * scene.curve(3)
    fibres = 3.5 * scene.texture(40, 4)
    scene.paint(scene.edge(under - z), MUSCLE + fibres, TISSUE + 4)
    split = fat + (under - fat) * rng.uniform(0.4, 0.65)  # between sternohyoid and sternothyroid
    scene.shine(scene.line(z - split, 0.005), rng.uniform(-4, 4))
    scene.shine(scene.line(z - under, 0.006), rng.uniform(0, 6))

    # Longus colli: a dark muscle behind the lobe.
    colli = scene.ellipse(rng.uniform(0.4, 0.8), bottom + rng.uniform(0.22, 0.3), 0.4, 0.1, 0.1)
    scene.paint(scene.edge(colli, 0.02), MUSCLE + fibres[::-1], TISSUE)

    # The lobe holds its nodules: it grows with them, but not where one breaks out.
    lobe_left = min(rng.uniform(0.12, 0.24), left - 0.03)
    lobe_right = max(rng.uniform(0.74, 0.86), right + 0.03)
    lobe_bottom = max(rng.uniform(0.66, 0.80), bottom + 0.04)
    a, b = (lobe_right - lobe_left) / 2, (lobe_bottom - front) / 2
    middle = (lobe_left + lobe_right) / 2
    lobe = scene.ellipse(middle, front + b, a, b, rng.uniform(-0.08, 0.08))
    isthmus = rng.uniform(0.02, 0.035) - np.abs(z - front - 0.05 - 0.03 * (x - lobe_right))
    isthmus = np.minimum(isthmus, x - middle)
    lobe = np.maximum(lobe, isthmus)
    for nodule in nodules:
        if nodule.features.margin != "extrathyroidal":
            lobe = np.maximum(lobe, nodule.inside + 0.03)
    gland = 0.9 * scene.texture(6, 6) + 0.7 * scene.texture(16, 14)
    scene.paint(scene.edge(lobe), gland)
    flat = np.abs(z - front - b) / b  # an interface reflects where the beam meets it squarely
    scene.shine(scene.line(lobe, 0.005) * np.clip(flat, 0.1, 1), rng.uniform(0, 6))

    # Carotid: blood in a bright wall, at the lateral side of the lobe.
    r = rng.uniform(0.06, 0.085)
    where = min(rng.uniform(0.05, 0.12), left - 0.02 - r), rng.uniform(0.45, 0.68)
    artery = scene.ellipse(*where, r * rng.uniform(1.0, 1.25), r)
    scene.paint(scene.edge(artery), BLOOD, THROUGH_FLUID + 10)
    squarely = np.clip(np.abs(z - where[1]) / r, 0.25, 1)
    scene.shine(scene.line(artery, 0.005) * squarely, rng.uniform(3, 9))
    if rng.random() < 0.5:  # jugular vein: flatter, nearer to the skin, thin wall
        vein = scene.ellipse(where[0] - 0.01, where[1] - r - 0.09, r * 1.3, 0.035, 0.2)
        scene.paint(scene.edge(vein), BLOOD, THROUGH_FLUID + 10)

    # Trachea: a bright arc, and behind it nothing but its echoes between wall and probe.
    r = rng.uniform(0.17, 0.24)
    centre = max(rng.uniform(0.92, 1.06), right + 0.02 + r)
    top = front + rng.uniform(0.09, 0.16)
    pipe = scene.ellipse(centre, top + r, r, r)
    scene.paint(scene.edge(pipe), -14.0, TISSUE)
    facing = np.clip(1.3 * (top + r - z) / r, 0, 1)
    scene.shine(scene.line(pipe, 0.007) * facing, rng.uniform(9, 15))
    gap = rng.uniform(0.055, 0.085)
    depth = np.clip(pipe, 0, None) * facing
    rings = exact.cos(depth * np.float32(np.pi / gap))
    rings = np.square(np.square(rings)) * (depth > 0.3 * gap)
    air = scene.edge(pipe - 0.01) * np.clip(pipe / 0.02, 0, 1)
    scene.shine(rings * exact.exp(-depth / 0.07) * air, rng.uniform(2, 8))
    behind = (np.abs(x - centre) < r * 0.97) & (z > top + r)
    scene.loss += np.where(behind, np.float32(AIR / 20), 0)
    scene.loss += 60 * air

    # Fat with bright septa, then skin, on top of everything.
    scene.paint(scene.edge(fat - z), FAT + 5 * scene.texture(26, 4), TISSUE - 4)
    scene.shine(scene.line(z - fat, 0.006), rng.uniform(4, 9))
    skin = rng.uniform(0.02, 0.04)
    scene.paint(scene.edge(skin - z), 2.0)
    scene.shine(scene.line(z - skin, 0.005), rng.uniform(3, 8))
    scene.mirrors *= exact.exp(0.45 * scene.texture(18, 14))  # no interface is even


def _paint_nodule(scene: _Scene, nodule: _Nodule) -> None:
    """Each feature by what it does to scatterers, reflectors and attenuation."""
    rng, features, ratio = scene.rng, nodule.features, nodule.ratio
    small = min(nodule.a, nodule.b)
    level = rng.uniform(*LEVELS[features.echogenicity])
    blur = 0.010
    if features.margin == "ill-defined":
        blur = 0.35 * small
    body = scene.edge(nodule.inside + 0.15 * (blur - 0.01), blur)
    where = ratio < 1

    if features.composition == "cystic":
        scene.paint(body, FLUID, THROUGH_FLUID)
        scene.shine(
            scene.line(nodule.inside, 0.005) * np.square(np.clip(np.abs(nodule.v), 0, 1)), 3
        )
    else:
        grain = 1.2 * scene.texture(12, 12) + 1.2 * scene.texture(26, 26)
        extra = 10 if features.echogenicity == "very hypoechoic" else 0
        scene.paint(body, level + grain, TISSUE + extra)
        if features.margin != "ill-defined" and (level > 0 or rng.random() < 0.3):
            halo = rng.uniform(8, 13) if features.margin == "smooth" else rng.uniform(3, 7)
            scene.echo -= halo * scene.line(nodule.inside - 0.005, 0.013)
    if features.composition == "mixed":
        knots = max(3, round(1.1 / small * 0.55))
        cavity = scene.texture(knots, knots) - 0.5 * ratio  # away from the outline
        dry = cavity[where]
        last = int((1 - rng.uniform(0.25, 0.5)) * (len(dry) - 1))
        least = np.partition(dry, last)[last]
        wet = scene.edge((cavity - least) * small * 0.35) * scene.edge(nodule.inside - 0.1 * small)
        scene.paint(wet, FLUID, THROUGH_FLUID)
    if features.composition == "spongiform":
        knots = round(min(4.5 / small, 34))  # pores: about eight across, if the scanner shows them
        pores = scene.texture(knots, knots)
        wet = scene.edge(pores + 0.15, 0.5) * scene.edge(nodule.inside - 0.012)
        scene.paint(wet, min(level, 0) - 19.0, THROUGH_FLUID + 16)

    if features.margin == "smooth":  # the beam is bent at the sides of a smooth body
        side = scene.line(ratio - 1, 0.07) * np.square(np.square(nodule.u))
        scene.loss += 55 * np.clip(side, 0, 1)
    _paint_foci(scene, nodule, small)


def _paint_foci(scene: _Scene, nodule: _Nodule, small: float) -> None:
    rng, foci, ratio = scene.rng, nodule.features.foci, nodule.ratio

    def spots(count: int, reach: float) -> list[tuple[float, float]]:
        """Positions (z, x) in the nodule, out to `reach` of its radius."""
        turn = rng.uniform(0, 2 * np.pi, count)
        away = reach * np.sqrt(rng.uniform(0.0, 1.0, count))
        return [
            (nodule.z + nodule.b * s, nodule.x + nodule.a * c)
            for s, c in zip(away * exact.sin(turn), away * exact.cos(turn), strict=True)
        ]

    if foci == "punctate":
        for z, x in spots(int(rng.integers(6, 12)), 0.75):
            _sparkle(scene, z, x, rng.uniform(23, 26))
    if foci == "comet-tail":
        for z, x in spots(int(rng.integers(2, 5)), 0.6):
            _sparkle(scene, z, x, 25)
            length = rng.uniform(0.04, 0.07)
            below = np.clip(scene.z - np.float32(z), 0, None)
            thin = np.clip(0.012 * (1 - below / (2.2 * length)), 0.002, None)
            tail = exact.bell((scene.x - np.float32(x)) / thin) * exact.exp(-below / length)
            beat = 0.6 + 0.4 * exact.cos(below * np.float32(2 * np.pi / 0.022))
            scene.shine(tail * beat * (below > 0) * (below < 2 * length), 10)
    if foci == "macrocalcification":
        for z, x in spots(int(rng.integers(1, 3)), 0.35):
            a = max(0.03, small * rng.uniform(0.35, 0.6))
            flake = scene.ellipse(x, z, a, max(0.014, 0.3 * a), rng.uniform(-0.4, 0.4))
            flake = scene.edge(flake + 0.004 * scene.texture(20, 20))
            scene.paint(flake, 11.0, CALCIUM)
            scene.shine(flake * scene.line(scene.z - np.float32(z - 0.2 * a), 0.015), 22)
    if foci == "rim calcification":
        gap = exact.cos(nodule.angle - rng.uniform(-np.pi, np.pi))
        rim = scene.line(ratio - 0.95, 0.012 / small) * (gap < rng.uniform(0.75, 0.95))
        scene.paint(np.clip(1.4 * rim, 0, 1), 10.0, CALCIUM / 4)
        scene.shine(rim * np.clip(np.abs(nodule.v), 0.3, 1), 14)


def _sparkle(scene: _Scene, z: float, x: float, level: float) -> None:
    """Adds a reflector smaller than the resolution, in the middle of a pixel."""
    row, column = (min(max(math.floor(v * scene.size), 8), scene.size - 8) for v in (z, x))
    reach = math.ceil(0.016 * scene.size)
    rows = slice(row - reach, row + reach + 1)
    columns = slice(column + scene.margin - reach, column + scene.margin + reach + 1)
    profile = exact.bell(np.arange(-reach, reach + 1) / (0.0045 * scene.size))
    scene.mirrors[rows, columns] += np.outer(profile, profile) * exact.exp(exact.DECIBEL * level)


# --- The picture --------------------------------------------------------------------------------


def draw(
    what: str | Features | tuple[Features, ...],
    rng: np.random.Generator | int = 0,
    size: int = 128,
) -> Drawing:
    """One picture of a neck.

    what: a label ("benign", "malignant", "normal", "both": first a benign, then a malignant
    nodule), or the features of one nodule, or a tuple of the features of none to two. size: 32 to
    1024 pixels a side; a seed gives the same neck at every size, only the speckle differs. Raises
    CaseError for anything else.

    >>> drawing = draw(Features(margin="ill-defined"), rng=0, size=64)
    >>> drawing.image.shape, int(drawing.mask.max()), drawing.features[0].margin
    ((64, 64), 1, 'ill-defined')
    """
    rng = np.random.default_rng(rng)
    if not 32 <= size <= 1024:
        raise CaseError(f"size {size} is out of range: use 32 to 1024 pixels")
    if isinstance(what, str):
        if what not in (*CLASSES, "normal", "both"):
            raise CaseError(f"label {what!r} is unknown: use benign, malignant, normal or both")
        labels = _nodule_labels(what)
        every = tuple(draw_features(label, rng) for label in labels)
    else:
        every = (what,) if isinstance(what, Features) else tuple(what)
    if len(every) > 2:
        raise CaseError(f"{len(every)} nodules do not fit into the phantom: use two at most")

    scene = _Scene(size, rng)
    rng = scene.rng
    if len(every) == 1:
        places = [(rng.uniform(0.42, 0.58), rng.uniform(0.17, 0.54))]
    else:
        places = [(0.31, rng.uniform(0.17, 0.27)), (0.66, rng.uniform(0.17, 0.27))]
        if rng.random() < 0.5:
            places.reverse()
    nodules = [
        _Nodule(scene, features, x=x, width=width)
        for features, (x, width) in zip(every, places, strict=False)
    ]
    _paint_neck(scene, nodules)
    for nodule in nodules:
        _paint_nodule(scene, nodule)

    mirrored = rng.random() < 0.5  # the other side of the neck
    image = _scan(scene)
    mask = np.zeros((size, size), np.uint8)
    middle = slice(scene.margin, scene.margin + size)
    for number, nodule in enumerate(nodules, 1):
        mask[nodule.ratio[:, middle] < 1] = number
    image = image[:, middle]
    if mirrored:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return Drawing(np.ascontiguousarray(image), np.ascontiguousarray(mask), every)


def _scan(scene: _Scene) -> np.ndarray:
    """Insonation, gain over depth, detection, log compression to 8 bit."""
    rng, z, size = scene.rng, scene.z, scene.size
    # All settings before the first random scatterer: a seed is the same neck at every size.
    focus, noise = rng.uniform(0.35, 0.65), rng.uniform(-25, -19)
    span, level = rng.uniform(55, 60), rng.uniform(24, 29)
    lost = np.cumsum(scene.loss, axis=0, dtype=np.float32) / size
    beam = exact.bell(np.arange(size // 32 + 1) * (128 / (1.3 * size) * math.sqrt(0.5)))
    beam /= 2 * math.fsum(beam) - beam[0]
    lost = _blur(lost, beam.astype(np.float32), "symmetric")
    uneven = _splines(5, size) @ _rounded(rng.standard_normal(8))
    knob = TISSUE * z + 1.2 * uneven[:, None].astype(np.float32)
    gain = exact.exp((knob - lost) * np.float32(exact.DECIBEL))
    amplitude = exact.exp(scene.echo * np.float32(exact.DECIBEL)) * gain
    envelope = speckle(amplitude, rng, focus=focus, mirrors=scene.mirrors * gain)
    # Noise of the receiver: the gain over depth raises it, so that shadows are not quite black.
    hiss = 2 * exact.exp((knob - TISSUE + noise) * np.float32(2 * exact.DECIBEL))
    power = np.square(envelope) + hiss * rng.standard_exponential(envelope.shape)
    level = exact.decibels(np.maximum(power, 1e-12)) + level
    return np.clip(np.rint(level * (255 / span)), 0, 255).astype(np.uint8)


# --- The data set -------------------------------------------------------------------------------

BOUNDS = {"cases": (1, 10**6), "size": (32, 1024), "seed": (0, 2**63), "test": (0, 10**6)}
TEST = 2**64 - 1  # the seed of all test images: beyond every seed that can be asked for


def read(
    root: str | Path | None = None,
    *,
    cases: int = 400,
    size: int = 128,
    seed: int = 0,
    malignant: float = 0.43,
    normal: float = 0.0,
    both: float = 0.0,
    test: int = 0,
) -> pd.DataFrame:
    """The phantom as a case table; its pictures are drawn into `root` if they are not there yet.

    root: a folder of its own (default: data/phantom/ and a name made of the parameters). cases:
    how many images, one patient each. size: pixels a side, 32 to 1024. malignant: share among the
    images with one nodule; normal, both: shares of all images, without a nodule and with a benign
    and a malignant one. Image k of a seed is the same however many are drawn.

    test: how many images more, for a test set that is the same for every `seed` and number of
    `cases` (stream `TEST`; image k of it is the same however many are drawn). The table then has
    the column `split`: these are "test", of the others every fourth is "valid", the rest "train".

    Besides the columns of every case table: composition, echogenicity, shape, margin, foci (of
    "both": two values with a semicolon, in the order of `mask`; of "normal": empty), and points and
    level of ACR TI-RADS (of "both": the higher one; of "normal": missing).

    The folder appears whole or not at all; one that lacks a file, or holds one of another length,
    is drawn again. Raises CaseError for a parameter out of range, and for a `root` that holds
    something else: it is left as it is.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cases = read(folder, cases=3, size=32, seed=0)
    >>> cases["label"].tolist(), cases["level"].tolist()
    (['benign', 'malignant', 'benign'], [4, 5, 1])
    """
    wanted = {
        "phantom": VERSION, "cases": cases, "size": size, "seed": seed,
        "malignant": malignant, "normal": normal, "both": both, "test": test,
    }  # fmt: skip
    _check(wanted)
    if root is None:
        key = f"v{VERSION}-seed{seed}-{cases}x{size}px-m{malignant}-n{normal}-b{both}-t{test}"
        root = HOME / "data" / "phantom" / key
    elif (found := _parameters(Path(root))) != wanted and Path(root).exists():
        if not Path(root).is_dir() or (found is None and any(Path(root).iterdir())):
            raise CaseError(f"{root}: is no phantom's folder; give a new or an empty one")
        if found is not None:
            other = ", ".join(f"{k} {v}" for k, v in found.items() if v != wanted.get(k))
            raise CaseError(f"{root}: holds another phantom ({other}); give a new folder")
    root = Path(root)
    if not _complete(root, wanted):
        _write(root, wanted)
    return _table(root)


def label_of(
    k: int, *, seed: int = 0, malignant: float = 0.43, normal: float = 0.0, both: float = 0.0
) -> str:
    """The label of image k.

    The golden ratio's multiples fill 0..1 evenly, so that the first n images have the shares asked
    for to within two or three images, whatever n is.

    >>> [label_of(k, seed=0) for k in range(3)]
    ['benign', 'malignant', 'benign']
    """
    place = (np.random.default_rng([seed]).random() + k * (math.sqrt(5) - 1) / 2) % 1
    if place < normal:
        return "normal"
    if place < normal + both:
        return "both"
    return CLASSES[(place - normal - both) < malignant * (1 - normal - both)]


def _split(seed: int, k: int) -> str:
    return "test" if seed == TEST else "valid" if k % 4 == 3 else "train"


def _nodule_labels(label: str) -> tuple[str, ...]:
    return {"normal": (), "both": CLASSES}.get(label, (label,))


def _check(wanted: dict) -> None:
    for name, (low, high) in BOUNDS.items():
        value = wanted[name]
        if not isinstance(value, (int, np.integer)) or not low <= value <= high:
            raise CaseError(
                f"{name} {value!r} is out of range: use a whole number, {low} to {high}"
            )
        wanted[name] = int(value)  # of NumPy, too: JSON knows no other
    for name in ("malignant", "normal", "both"):
        if not 0 <= wanted[name] <= 1:
            raise CaseError(f"{name} {wanted[name]!r} is no share: use 0 to 1")
    if wanted["normal"] + wanted["both"] > 1:
        raise CaseError(
            f"normal {wanted['normal']} and both {wanted['both']} add up to more than 1"
        )


def _write(root: Path, wanted: dict) -> None:
    """Draws all images into a folder beside `root`, which then takes its place."""
    with naming(root):
        _write_whole(root, wanted)


def _write_whole(root: Path, wanted: dict) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    part = Path(tempfile.mkdtemp(prefix=f".{root.name}.part-", dir=root.parent))
    try:
        rows = _draw_all(part, wanted)
        pd.DataFrame(rows).to_csv(part / "labels.csv", index=False)
        files = sorted(path for path in part.rglob("*") if path.is_file())
        lengths = {path.relative_to(part).as_posix(): path.stat().st_size for path in files}
        (part / "phantom.json").write_text(json.dumps({**wanted, "files": lengths}))
        part.chmod(0o755)
        if root.exists() and not _complete(root, wanted):
            os.replace(root, part.with_name(part.name + "-old"))
        try:
            os.replace(part, root)
        except OSError:  # another process may have been faster, with the same pictures
            if not _complete(root, wanted):
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(part.with_name(part.name + "-old"), ignore_errors=True)


def _draw_all(folder: Path, wanted: dict) -> list[dict[str, str]]:
    shares = {name: wanted[name] for name in ("malignant", "normal", "both")}
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    every = [(f"phantom{k:05d}", wanted["seed"], k) for k in range(wanted["cases"])]
    every += [(f"test{k:05d}", TEST, k) for k in range(wanted["test"])]
    rows = []
    for case, seed, k in every:
        label = label_of(k, seed=seed, **shares)
        drawing = draw(label, np.random.default_rng([seed, k]), wanted["size"])
        image = f"images/{case}.png"
        Image.fromarray(drawing.image).save(folder / image, compress_level=1)
        masks = []
        for number, nodule in enumerate(_nodule_labels(label), 1):
            masks.append(f"masks/{case}_{nodule}.png")
            only = np.where(drawing.mask == number, np.uint8(255), np.uint8(0))
            Image.fromarray(only).save(folder / masks[-1], compress_level=1)
        values = zip(*map(astuple, drawing.features), strict=True) if drawing.features else [""] * 5
        rows.append(
            {
                "case": case, "image": image, "mask": ";".join(masks), "label": label,
                **{name: ";".join(value) for name, value in zip(FEATURES, values, strict=True)},
                **({"split": _split(seed, k)} if wanted["test"] else {}),
            }
        )  # fmt: skip
    return rows


def _parameters(root: Path) -> dict | None:
    """What the folder says of itself; None if it is not a phantom's."""
    try:
        found = json.loads((root / "phantom.json").read_text())
        return {name: value for name, value in found.items() if name != "files"}
    except (OSError, ValueError, AttributeError):
        return None


def _complete(root: Path, wanted: dict) -> bool:
    if _parameters(root) != wanted:
        return False
    lengths = json.loads((root / "phantom.json").read_text()).get("files", {})
    if not lengths:
        return False
    try:
        return all((root / name).stat().st_size == length for name, length in lengths.items())
    except OSError:
        return False


def _sweep(root: Path) -> None:
    """Removes what a killed run left; one that still draws has touched its folder just now."""
    for part in root.parent.glob(f".{root.name}.part-*"):
        try:
            touched = max(p.stat().st_mtime for p in (part, *part.iterdir()))
        except OSError:
            continue
        if time.time() - touched > 3600:
            shutil.rmtree(part, ignore_errors=True)


def _table(root: Path) -> pd.DataFrame:
    rows = pd.read_csv(root / "labels.csv", dtype=str, keep_default_na=False)
    reports = [
        [Features(*values) for values in zip(*(v.split(";") for v in row), strict=True)]
        if row[0]
        else []
        for row in rows[list(FEATURES)].values
    ]
    table = pd.DataFrame(
        {
            "case": rows["case"],
            "image": [str(root / name) for name in rows["image"]],
            "mask": [
                tuple(
                    Region(str(root / name), nodule)
                    for name, nodule in zip(
                        filter(None, names.split(";")), _nodule_labels(label), strict=True
                    )
                )
                for names, label in zip(rows["mask"], rows["label"], strict=True)
            ],
            "label": rows["label"],
            "group": rows["case"],
            "crop": pd.Series([None] * len(rows), dtype=object),
        }
    )
    for name in FEATURES:
        table[name] = rows[name]
    for name in ("points", "level"):
        highest = [max((getattr(f, name) for f in report), default=None) for report in reports]
        table[name] = pd.array(highest, dtype="Int64")
    return table.assign(split=rows["split"]) if "split" in rows else table
