"""The phantom: its physics, its features, its ideal reader, its files."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from PIL import Image
from sklearn.metrics import roc_auc_score

from lib.cases import CaseError, prepare_cases
from lib.sources import exact, phantom
from lib.sources.phantom import FEATURES, POINTS, Features, draw, draw_features, speckle

# --- Physics ------------------------------------------------------------------------------------


def snr(envelope: np.ndarray) -> float:
    return float(envelope.mean() / envelope.std())


@pytest.mark.parametrize("seed", range(6))
def test_speckle_is_fully_developed(seed):
    envelope = speckle(np.full((512, 512), 3.0, np.float32), np.random.default_rng(seed))
    assert snr(envelope) == pytest.approx(1.91, abs=0.05)
    # Rayleigh: mean square = 2 sigma^2, median = sigma sqrt(2 ln 2).
    assert np.mean(envelope**2) == pytest.approx(9.0, rel=0.05)
    assert np.median(envelope) == pytest.approx(3 * np.sqrt(np.log(2)), rel=0.03)


def test_speckle_is_fully_developed_at_every_depth():
    shallow, focal, deep = [], [], []
    for seed in range(12):
        envelope = speckle(np.ones((384, 384), np.float32), np.random.default_rng(seed))
        for found, rows in (
            (shallow, envelope[:96]),
            (focal, envelope[144:240]),
            (deep, envelope[-96:]),
        ):
            found.append(snr(rows))
    for found in (shallow, focal, deep):
        assert np.mean(found) == pytest.approx(1.91, abs=0.05)


def test_a_few_scatterers_are_not_fully_developed_speckle():
    rng = np.random.default_rng(0)  # the measure above can fail: sparse scatterers
    sparse = (rng.random((512, 512)) < 0.02).astype(np.float32)
    assert snr(speckle(sparse, rng)) < 1.5


def test_speckle_is_narrowest_at_the_focus():
    envelope = speckle(np.ones((384, 384), np.float32), np.random.default_rng(1), focus=0.5)

    def neighbours(rows: np.ndarray) -> float:  # correlation at a distance of six pixels
        return float(np.corrcoef(rows[:, :-6].ravel(), rows[:, 6:].ravel())[0, 1])

    top, focal, bottom = (neighbours(envelope[i : i + 48]) for i in (0, 168, 336))
    assert focal < top - 0.1 and focal < bottom - 0.1


def test_attenuation_and_imperfect_gain():
    """A scan of uniform tissue: the gain makes good for the loss, but not exactly."""
    profiles = []
    for seed in range(5):
        scene = phantom._Scene(128, np.random.default_rng(seed))
        scene.echo[:] = 0
        rows = phantom._scan(scene).astype(float).mean(1)
        profiles.append(rows.reshape(8, 16).mean(1))
    spread = [np.ptp(profile) for profile in profiles]
    assert max(spread) < 60 and min(spread) > 3  # 40 dB of loss alone would be 180 levels


# --- Features are visible -----------------------------------------------------------------------


def middle(pictures: int, **features) -> dict[str, float]:
    """Mean grey level within, behind and beside nodules of given features, over some pictures."""
    within, behind, beside = [], [], []
    for seed in range(pictures):
        drawing = draw(Features(**features), seed)
        rows, columns = np.nonzero(drawing.mask)
        x, bottom = round(columns.mean()), rows.max() + 1
        width = max(2, int(np.ptp(columns) / 6))
        below = slice(bottom + 2, min(bottom + 12, 127))
        within.append(drawing.image[drawing.mask > 0].mean())
        behind.append(drawing.image[below, x - width : x + width].mean())
        left = slice(max(columns.min() - 10, 0), columns.min() - 2)
        right = slice(columns.max() + 3, columns.max() + 11)
        beside.append(
            np.mean([drawing.image[rows.min() : rows.max(), part].mean() for part in (left, right)])
        )
    return {"within": np.mean(within), "behind": np.mean(behind), "beside": np.mean(beside)}


def test_echogenicity_orders_grey_levels():
    levels = [
        middle(24, composition="cystic", echogenicity="anechoic")["within"],
        *(
            middle(24, echogenicity=echo)["within"]
            for echo in ("very hypoechoic", "hypoechoic", "hyper/isoechoic")
        ),
    ]
    assert levels == sorted(levels)
    assert min(np.diff(levels)) > 4  # 5.7 for the first two, over 150 pictures
    assert levels[0] < 25


def test_enhancement_behind_a_cyst_and_shadow_behind_calcium():
    plain = middle(10)["behind"]
    assert middle(10, composition="cystic", echogenicity="anechoic")["behind"] > plain + 15
    assert middle(10, foci="macrocalcification")["behind"] < plain - 25


def test_echogenic_foci_are_bright():
    def bright(foci: str) -> float:
        drawings = [draw(Features(foci=foci), seed) for seed in range(8)]
        return np.mean([(d.image[d.mask > 0] > 175).mean() for d in drawings])

    none = bright("none")
    for foci in ("comet-tail", "macrocalcification", "rim calcification", "punctate"):
        assert bright(foci) > none + 0.007, foci


def test_composition_changes_the_dark_share_within():
    def dark(composition: str) -> float:
        drawings = [draw(Features(composition, "hyper/isoechoic"), seed) for seed in range(8)]
        return np.mean([(d.image[d.mask > 0] < 30).mean() for d in drawings])

    solid = dark("solid")
    assert solid < 0.06
    assert dark("mixed") > solid + 0.1
    assert dark("spongiform") > solid + 0.1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("margin", FEATURES["margin"])
def test_shape_and_size_are_those_of_the_mask(margin, seed):
    for shape in FEATURES["shape"]:
        rows, columns = np.nonzero(draw(Features(shape=shape, margin=margin), seed, 128).mask)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert (height > width) == (shape == "taller")
        assert 0.14 * 128 <= width <= 0.56 * 128
        assert rows.min() > 12 and rows.max() < 124  # within the neck, and behind the skin


def test_margin_roughens_the_outline():
    def roughness(margin: str) -> float:  # perimeter^2 / area, by counting boundary steps
        found = []
        for seed in range(8):
            inside = draw(Features(margin=margin), seed, 256).mask > 0
            steps = sum(np.abs(np.diff(inside.astype(int), axis=axis)).sum() for axis in (0, 1))
            found.append(steps**2 / inside.sum())
        return np.mean(found)

    assert roughness("lobulated/irregular") > 1.15 * roughness("smooth")


def test_the_masks_of_two_nodules_do_not_touch():
    for seed in range(12):
        drawing = draw("both", seed)
        first, second = (np.nonzero(drawing.mask == n)[1] for n in (1, 2))
        assert len(first) and len(second)
        assert first.max() < second.min() or second.max() < first.min()


# --- Features and classes -----------------------------------------------------------------------


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("table", FEATURES.values(), ids=FEATURES)
def test_chances_add_up(table, column):
    assert sum(chances[column] for chances in table.values()) == pytest.approx(1)
    assert all(chances[column] > 0 for chances in table.values())


@pytest.mark.parametrize("label", ["benign", "malignant"])
def test_probabilities_of_all_features_add_up(label):
    every = phantom.all_features()
    # cystic: 2 shapes x 4 margins x 5 foci; three other compositions x 3 echogenicities x 40
    assert len(set(every)) == len(every) == 40 + 9 * 40
    assert sum(phantom.probability(one, label) for one in every) == pytest.approx(1)


def test_probability_by_hand():
    one = Features("solid", "hypoechoic", "taller", "smooth", "punctate")
    for column, label in enumerate(("benign", "malignant")):
        expected = (
            FEATURES["composition"]["solid"][column]
            * FEATURES["echogenicity"]["hypoechoic"][column]
            * FEATURES["shape"]["taller"][column]
            * FEATURES["margin"]["smooth"][column]
            * FEATURES["foci"]["punctate"][column]
        )
        assert phantom.probability(one, label) == pytest.approx(expected)


def test_drawn_features_follow_the_table():
    rng = np.random.default_rng(5)
    drawn = [draw_features("malignant", rng) for _ in range(4000)]
    for name in ("composition", "shape", "margin", "foci"):
        for value, (_, chance) in FEATURES[name].items():
            share = np.mean([getattr(one, name) == value for one in drawn])
            assert share == pytest.approx(chance, abs=0.03), (name, value)


def test_bayes_auc_against_simulation_and_scikit_learn():
    every = phantom.all_features()
    chance = {
        c: np.array([phantom.probability(f, c) for f in every]) for c in ("benign", "malignant")
    }
    ratio = np.log(chance["malignant"] / chance["benign"]).round(9)
    # scikit-learn, on the population: each combination once per class, weighted by its chance.
    exact = roc_auc_score(
        np.repeat([0, 1], len(every)),
        np.tile(ratio, 2),
        sample_weight=np.concatenate([chance["benign"], chance["malignant"]]),
    )
    assert phantom.bayes_auc() == pytest.approx(exact, abs=1e-9)
    assert 0.94 < phantom.bayes_auc() < 0.97  # a limit that can be seen

    rng = np.random.default_rng(0)
    score = dict(zip(every, ratio, strict=True))
    truth = rng.random(6000) < 0.43
    drawn = [score[draw_features("malignant" if m else "benign", rng)] for m in truth]
    assert phantom.bayes_auc() == pytest.approx(roc_auc_score(truth, drawn), abs=0.01)


def test_bayes_auc_by_hand(monkeypatch):
    """One feature that tells: 0.8 against 0.3. AUC = .8 x .7 + (.8 x .3 + .2 x .7) / 2 = .75."""
    only = {name: dict.fromkeys(table, (1 / len(table),) * 2) for name, table in FEATURES.items()}
    only["shape"] = {"wider": (0.7, 0.2), "taller": (0.3, 0.8)}
    monkeypatch.setattr(phantom, "FEATURES", only)
    assert phantom.bayes_auc() == pytest.approx(0.75)


# Sums of points as in the chart and examples of Tessler et al. 2017.
# composition, echogenicity, shape, margin, foci -> points, level
TIRADS = [
    ("cystic", "anechoic", "wider", "smooth", "none", 0, 1),
    ("spongiform", "hyper/isoechoic", "wider", "smooth", "none", 0, 1),
    ("spongiform", "hypoechoic", "taller", "smooth", "punctate", 0, 1),  # no further points
    ("mixed", "hyper/isoechoic", "wider", "smooth", "none", 2, 2),
    ("mixed", "hyper/isoechoic", "wider", "ill-defined", "comet-tail", 2, 2),
    ("solid", "hyper/isoechoic", "wider", "smooth", "none", 3, 3),
    ("mixed", "hypoechoic", "wider", "smooth", "none", 3, 3),
    ("solid", "hypoechoic", "wider", "smooth", "none", 4, 4),
    ("solid", "hyper/isoechoic", "wider", "smooth", "macrocalcification", 4, 4),
    ("solid", "hypoechoic", "wider", "lobulated/irregular", "none", 6, 4),
    ("solid", "hypoechoic", "wider", "smooth", "punctate", 7, 5),
    ("solid", "hypoechoic", "taller", "smooth", "rim calcification", 9, 5),
    ("solid", "very hypoechoic", "taller", "extrathyroidal", "punctate", 14, 5),
]


@pytest.mark.parametrize("case", TIRADS, ids=lambda case: " ".join(map(str, case)))
def test_tirads_points_and_level(case):
    *values, points, level = case
    assert (Features(*values).points, Features(*values).level) == (points, level)


def test_impossible_features_are_named():
    with pytest.raises(CaseError, match=r"echogenicity 'bright' is unknown.*hypoechoic"):
        Features(echogenicity="bright")
    with pytest.raises(CaseError, match="solid and anechoic"):
        Features("solid", "anechoic")
    with pytest.raises(CaseError, match="cystic and hypoechoic"):
        Features("cystic", "hypoechoic")


# --- Pictures -----------------------------------------------------------------------------------


def test_a_drawing():
    drawing = draw("malignant", np.random.default_rng([3, 1]), 96)
    assert drawing.image.shape == drawing.mask.shape == (96, 96)
    assert drawing.image.dtype == drawing.mask.dtype == np.uint8
    assert set(np.unique(drawing.mask)) == {0, 1}
    assert len(drawing.features) == 1
    assert not draw("normal", 0).mask.any() and draw("normal", 0).features == ()
    assert set(np.unique(draw("both", 0).mask)) == {0, 1, 2}


def test_a_drawing_is_repeatable_and_seeds_differ():
    first, again, other = (draw("benign", seed) for seed in (7, 7, 8))
    assert np.array_equal(first.image, again.image) and np.array_equal(first.mask, again.mask)
    assert first.features == again.features
    assert np.abs(first.image.astype(int) - other.image).mean() > 5


def drawn_bytes() -> str:
    """Sha256 over pictures of every label and of every value of every feature, and their maps.

    The maps are numbers of single precision, not yet rounded to grey levels: one that differs in
    the last place is seen here, though it would change one pixel in a hundred thousand.
    """
    sha, scan = hashlib.sha256(), phantom._scan

    def add(*arrays: np.ndarray) -> None:
        for array in arrays:
            sha.update(array.astype(array.dtype.newbyteorder("<")).tobytes())

    def scan_and_add(scene: phantom._Scene) -> np.ndarray:
        add(scene.echo, scene.mirrors, scene.loss)
        return scan(scene)

    def add_drawing(*arguments) -> None:
        drawing = draw(*arguments)
        assert drawing.image.dtype == drawing.mask.dtype == np.uint8
        add(drawing.image, drawing.mask)
        sha.update(repr(drawing.features).encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantom, "_scan", scan_and_add)
        for size in (32, 65, 128, 200):
            for seed, label in enumerate(("benign", "malignant", "normal", "both")):
                add_drawing(label, [size, seed], size)
        rng = np.random.default_rng(0)
        for name, values in POINTS.items():
            for value in values:
                fitting = [f for f in phantom.all_features() if getattr(f, name) == value]
                add_drawing(fitting[rng.integers(len(fitting))], rng, 96)
    add(speckle(exact.exp(np.linspace(-9, 9, 150 * 128).reshape(128, 150)), rng, mirrors=1))
    y, x = rng.random((2, 99, 99), np.float32)
    add(
        exact.angle(y - 0.5, x - 0.5), exact.cos(90 * y), exact.sin(9 * x), exact.decibels(x + 1e-9)
    )
    return sha.hexdigest()


VERSION, DIGEST = 2, "befb921f040e7ddf48cc71def4a35015ae65b30447e67b327ebcab671b98112f"


def test_version_2_draws_these_bytes():
    """The same on every processor. Raise VERSION, and with it old folders, when this changes."""
    assert (phantom.VERSION, drawn_bytes()) == (VERSION, DIGEST)


def without(features: list[str]) -> dict[str, str]:
    """An environment in which NumPy and its matrix products use no such vector instructions."""
    return os.environ | {
        "NPY_DISABLE_CPU_FEATURES": " ".join(features),
        "OPENBLAS_CORETYPE": "Haswell" if "X86_V3" not in features else "Nehalem",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


VECTORS = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]  # from old to new


@pytest.mark.skipif(not VECTORS, reason="this processor has one way of calculating only")
@pytest.mark.parametrize("kept", range(len(VECTORS)))
def test_older_processors_draw_the_same_bytes(kept):
    """As on a processor without AVX-512, without AVX2 and FMA, and so on."""
    off = VECTORS[kept:]
    script = (
        "from numpy._core._multiarray_umath import __cpu_features__ as found\n"
        f"assert not any(found[name] for name in {off})\n"
        "import test_phantom\nprint(test_phantom.drawn_bytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=without(off), cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == DIGEST


def test_matrix_products_of_the_phantom_are_exact():
    """A texture is the sum of products itself, without a rounding: in fractions it is the same."""
    rng = exact.Generator(np.random.PCG64(0))
    rows, columns = phantom._splines(34, 128), phantom._splines(6, 150)
    knots = phantom._rounded(rng.standard_normal((37, 9)))
    field = rows @ knots @ columns.T
    for row, column in ((0, 0), (5, 149), (64, 75), (127, 31)):
        exactly = sum(
            Fraction(rows[row, i]) * Fraction(knots[i, j]) * Fraction(columns[column, j])
            for i in range(37)
            for j in range(9)
        )
        assert Fraction(field[row, column]) == exactly
    for knots, samples in ((3, 33), (34, 128), (5, 1024), (40, 1024)):  # what the bound rests on
        basis = phantom._splines(knots, samples)
        assert (basis * 2**15 == np.rint(basis * 2**15)).all()
        assert basis.min() >= 0 and basis.max() <= 1 and basis.sum(1).max() < 2.001
        assert (basis > 0).sum(1).max() <= 4


@pytest.mark.parametrize("size", [32, 96, 130, 256])
def test_pictures_of_every_size_look_alike(size):
    pictures = [draw(Features(), seed, size).image for seed in range(4)]
    assert pictures[0].shape == (size, size)
    reference = [draw(Features(), seed, 128).image for seed in range(4)]
    assert np.mean(pictures) == pytest.approx(np.mean(reference), abs=8)


def test_wrong_arguments_of_draw():
    with pytest.raises(CaseError, match="label 'cancer' is unknown"):
        draw("cancer")
    with pytest.raises(CaseError, match="size 16"):
        draw("benign", 0, 16)
    with pytest.raises(CaseError, match="3 nodules"):
        draw((Features(),) * 3)


def test_dozens_of_pictures_a_second():
    """Over 100 a second on a machine at rest; the bound leaves room for a slow or busy one."""
    for label in ("benign", "malignant"):
        draw(label)  # the first one fills the caches
    rates = []
    for batch in range(3):
        start = time.thread_time()
        for k in range(20):
            draw("malignant" if k % 2 else "benign", [batch, k], 128)
        rates.append(20 / (time.thread_time() - start))
    assert max(rates) >= 25


# --- Files --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom") / "set"
    return root, phantom.read(root, cases=40, size=48, seed=3, normal=0.1, both=0.1)


def test_the_case_table(folder):
    root, cases = folder
    assert list(cases.columns[:6]) == ["case", "image", "mask", "label", "group", "crop"]
    assert len(cases) == 40 and cases["case"].is_unique and cases["group"].is_unique
    assert cases["crop"].isna().all()
    wanted = {"normal": [], "benign": ["benign"], "malignant": ["malignant"]}
    wanted["both"] = ["benign", "malignant"]
    assert set(cases["label"]) == set(wanted)
    for row in cases.itertuples():
        assert [region.label for region in row.mask] == wanted[row.label]
        assert np.asarray(Image.open(row.image)).shape == (48, 48)
        for region in row.mask:
            mask = np.asarray(Image.open(region.outline))
            assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
        for name in FEATURES:
            assert len([v for v in getattr(row, name).split(";") if v]) == len(row.mask)
    assert cases.loc[cases["label"] == "normal", "points"].isna().all()
    single = cases[cases["label"].isin(["benign", "malignant"])]
    for row in single.itertuples():
        features = Features(*(getattr(row, name) for name in FEATURES))
        assert (row.points, row.level) == (features.points, features.level)
    assert sorted(path.name for path in root.iterdir()) == [
        "images", "labels.csv", "masks", "phantom.json",
    ]  # fmt: skip


def test_bayes_auc_of_cases_against_scikit_learn(folder):
    _, cases = folder
    single = cases[cases["label"].isin(["benign", "malignant"])]
    ratio = []
    for values in single[list(FEATURES)].values:
        one = Features(*values)
        ratio.append(phantom.probability(one, "malignant") / phantom.probability(one, "benign"))
    expected = roc_auc_score(single["label"] == "malignant", np.log(ratio).round(9))
    assert phantom.bayes_auc(cases) == pytest.approx(expected)
    with pytest.raises(CaseError, match="one class only"):
        phantom.bayes_auc(cases[cases["label"] == "benign"])
    with pytest.raises(CaseError, match="no column 'composition'"):
        phantom.bayes_auc(cases.drop(columns=list(FEATURES)))


def test_image_k_does_not_depend_on_how_many_there_are(tmp_path, folder):
    _, many = folder
    few = phantom.read(tmp_path / "few", cases=5, size=48, seed=3, normal=0.1, both=0.1)
    for name in ("case", "label", *FEATURES):
        assert list(few[name]) == list(many[name][:5])
    for one, other in zip(few["image"], many["image"][:5], strict=True):
        assert np.array_equal(np.asarray(Image.open(one)), np.asarray(Image.open(other)))
    other = phantom.read(tmp_path / "other", cases=5, size=48, seed=4, normal=0.1, both=0.1)
    assert Path(other["image"][0]).read_bytes() != Path(few["image"][0]).read_bytes()


def pictures(cases) -> list[bytes]:
    return [np.asarray(Image.open(image)).tobytes() for image in cases["image"]]


def test_a_test_set_of_its_own(tmp_path):
    """The same for every seed and every number of cases, and none of the others' pictures."""

    def drawn(name, **more):
        return phantom.read(tmp_path / name, size=32, normal=0.1, both=0.1, **more)

    one, two = drawn("one", cases=41, test=30), drawn("two", cases=20, seed=1, test=24)
    plain = drawn("plain", cases=41)
    assert "split" not in plain and one["case"].is_unique
    assert plain.equals(
        one[:41].drop(columns="split").assign(image=plain["image"], mask=plain["mask"])
    )
    assert pictures(plain) == pictures(one[:41])
    kept, other = (cases[cases["split"] == "test"] for cases in (one, two))
    assert len(kept) == 30 and len(other) == 24
    for name in ("case", "label", *FEATURES):
        assert list(kept[name][:24]) == list(other[name])
    assert pictures(kept)[:24] == pictures(other)
    assert len({*pictures(one), *pictures(two)}) == 41 + 20 + 30

    counts = one["split"].value_counts()
    assert (counts["train"], counts["valid"]) == (31, 10)
    assert list(one["split"][:4]) == list(two["split"][:4]) == ["train"] * 3 + ["valid"]
    for seed in (0, 1):  # the split is that of the table, whatever the seed
        ready, problems = prepare_cases(one, seed=seed)
        assert list(ready["split"]) == list(one["split"]) and problems == []


def test_shares_are_those_asked_for_in_every_part():
    labels = [phantom.label_of(k, seed=0) for k in range(1200)]
    valid = labels[3::4]
    assert valid.count("malignant") / len(valid) == pytest.approx(0.43, abs=0.01)
    test = [phantom.label_of(k, seed=phantom.TEST) for k in range(2400)]
    assert test.count("malignant") / len(test) == pytest.approx(0.43, abs=0.002)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cases", [50, 400, 1001])
def test_shares_are_as_asked_for(cases, seed):
    shares = {"normal": 0.1, "both": 0.05, "benign": 0.85 * 0.57, "malignant": 0.85 * 0.43}
    labels = [phantom.label_of(k, seed=seed, normal=0.1, both=0.05) for k in range(cases)]
    for label, share in shares.items():
        assert abs(labels.count(label) - share * cases) <= 3.5


def test_a_set_is_drawn_once(folder):
    root, cases = folder
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = phantom.read(root, cases=40, size=48, seed=3, normal=0.1, both=0.1)
    assert again.equals(cases)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


SMALL = {"cases": 3, "size": 32}


@pytest.mark.parametrize("damage", ["truncated image", "lost mask", "lost table", "cut-off table"])
def test_a_damaged_set_is_drawn_again(tmp_path, damage):
    cases = phantom.read(tmp_path / "set", **SMALL)
    image, mask = cases["image"][1], cases["mask"][1][0].outline
    table = tmp_path / "set" / "labels.csv"
    whole = {path: Path(path).read_bytes() for path in (image, mask, table)}
    if damage == "truncated image":
        os.truncate(image, 100)
    elif damage == "lost mask":
        os.remove(mask)
    elif damage == "lost table":
        table.unlink()
    else:
        os.truncate(table, 60)
    assert phantom.read(tmp_path / "set", **SMALL).equals(cases)
    assert {path: Path(path).read_bytes() for path in whole} == whole
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_killed_drawing_leaves_nothing_that_is_trusted(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(phantom, "label_of", stop)
        with pytest.raises(KeyboardInterrupt):
            phantom.read(tmp_path / "set", **SMALL)
    assert list(tmp_path.iterdir()) == []

    # kill -9 gives no chance to tidy up: an old leftover goes, a fresh one may be at work.
    for name, age in (("old", 7200), ("fresh", 0)):
        part = tmp_path / f".set.part-{name}"
        (part / "images").mkdir(parents=True)
        for path in (part / "images", part):
            os.utime(path, (time.time() - age,) * 2)
    assert len(phantom.read(tmp_path / "set", **SMALL)) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"set", ".set.part-fresh"}


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(CaseError, match="is no phantom's folder"):
        phantom.read(tmp_path / "mine", **SMALL)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]

    phantom.read(tmp_path / "set", **SMALL)
    with pytest.raises(CaseError, match=r"another phantom .*seed 0"):
        phantom.read(tmp_path / "set", **SMALL, seed=1)
    assert json.loads((tmp_path / "set" / "phantom.json").read_text())["seed"] == 0

    (tmp_path / "file").write_text("")
    with pytest.raises(CaseError, match="is no phantom's folder"):
        phantom.read(tmp_path / "file", **SMALL)
    (tmp_path / "empty").mkdir()
    assert len(phantom.read(tmp_path / "empty", **SMALL)) == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cases": 0}, "cases 0"),
        ({"cases": 2.5}, "cases 2.5"),
        ({"size": 20}, "size 20"),
        ({"seed": -1}, "seed -1"),
        ({"seed": phantom.TEST}, "seed 18446744073709551615"),
        ({"test": -1}, "test -1"),
        ({"malignant": 1.2}, "malignant 1.2"),
        ({"normal": float("nan")}, "normal nan"),
        ({"normal": 0.6, "both": 0.6}, "add up to more than 1"),
    ],
    ids=str,
)
def test_parameters_out_of_range(tmp_path, wrong, message):
    with pytest.raises(CaseError, match=message):
        phantom.read(tmp_path / "set", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_features_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Features().shape = "taller"
