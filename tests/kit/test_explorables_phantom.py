"""The phantom in the page: its pictures are Python's, and so is what its features are worth."""

import base64
import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from book.kit import explorables
from lib.sources import exact, phantom, phantom_mixed
from lib.sources.phantom import FEATURES, POINTS, Features

SCRIPT = Path(__file__).parents[1] / "js" / "phantom.mjs"
HELD = {"normal": (), "both": ("benign", "malignant")}  # the nodules' classes, else the label's


def node(given):
    done = subprocess.run(
        ["node", SCRIPT], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pixels(page, size):
    """Image and mask that the page drew."""
    flat = (base64.b64decode(page[name]) for name in ("image", "mask"))
    return [np.frombuffer(bytes_, np.uint8).reshape(size, size).astype(int) for bytes_ in flat]


# ---- The picture


class Recorder(exact.Generator):
    """A generator that keeps what it draws: the call, how many numbers, their bounds."""

    def __init__(self, seed):
        super().__init__(np.random.PCG64(seed))
        self.calls, self.values = [], []
        self.inside = False

    def keep(self, kind, draw, *bounds):
        """What `draw` gives; the numbers that it draws for that are its own matter."""
        if self.inside:
            return draw()
        self.inside = True
        drawn = draw()
        self.inside = False
        flat = np.ravel(drawn).astype(float)
        single = kind == "uniform"  # the page draws these one by one
        self.calls += [[kind, 1, *bounds]] * flat.size if single else [[kind, flat.size, *bounds]]
        self.values.append(flat)
        return drawn

    def random(self, *size):
        draw = super().random
        return self.keep("random", lambda: draw(*size))

    def uniform(self, low, high, *size):
        draw = super().uniform
        return self.keep("uniform", lambda: draw(low, high, *size), float(low), float(high))

    def integers(self, low, high, *more):
        draw = super().integers
        return self.keep("integers", lambda: draw(low, high, *more), low, high)

    def normal(self):
        return self.keep("normal", super().normal)

    def standard_normal(self, size):
        draw = super().standard_normal
        return self.keep("standard_normal", lambda: draw(size))

    def standard_exponential(self, size):
        draw = super().standard_exponential
        return self.keep("standard_exponential", lambda: draw(size))


def record(nodules, size, rng):
    """What node needs to draw the same again."""
    numbers = base64.b64encode(np.concatenate(rng.values).tobytes()).decode()
    features = [asdict(nodule) for nodule in nodules]
    return {"nodules": features, "size": size, "calls": rng.calls, "values": numbers}


def each_value():
    """Nodules that together show every value of every feature, several times."""
    rng = np.random.default_rng(0)
    every = phantom.all_features()
    for name, values in POINTS.items():
        for value in values:
            fitting = [nodule for nodule in every if getattr(nodule, name) == value]
            yield fitting[rng.integers(len(fitting))]


EVERY = list(each_value())
CASES = [((nodule,), seed, 48) for seed, nodule in enumerate(EVERY)]
CASES += [((nodule,), 100 + seed, 33) for seed, nodule in enumerate(EVERY) if seed % 3 == 0]
CASES += [
    ((Features(),), 200, 128),
    ((Features("cystic", "anechoic", foci="comet-tail"),), 201, 128),
    ((Features("mixed", shape="taller", margin="extrathyroidal", foci="punctate"),), 202, 128),
    ((Features("spongiform", margin="ill-defined", foci="rim calcification"),), 203, 128),
    ((Features(margin="lobulated/irregular", foci="macrocalcification"),), 204, 128),
]
CASES += [((), 300 + seed, size) for seed, size in enumerate((33, 48, 48, 128))]
CASES += [((one, EVERY[-seed]), 400 + seed, 48) for seed, one in enumerate(EVERY)]
CASES += [((EVERY[5], EVERY[8]), 500, 128), ((Features(), Features("mixed")), 501, 33)]


def test_the_cases_show_every_value():
    for name, values in POINTS.items():
        for place in (0, 1):
            shown = [every[place] for every, *_ in CASES if len(every) > place]
            assert {getattr(nodule, name) for nodule in shown} == set(values)
    counts = [len(every) for every, *_ in CASES]
    assert [counts.count(n) > least for n, least in enumerate((3, 20, 15))] == [True] * 3


def test_the_same_numbers_make_the_same_picture():
    """From what NumPy drew the page draws Python's picture, number by number in the same order.

    The masks are equal. Python computes in single precision, the page in double: of the grey
    levels one in a hundred may be off by one, and one in a thousand by more, where a threshold is.
    """
    drawings, recorded = [], []
    for nodules, seed, size in CASES:
        rng = Recorder(seed)
        drawings.append(phantom.draw(nodules, rng, size))
        assert (drawings[-1].image == phantom.draw(nodules, seed, size).image).all()
        recorded.append(record(nodules, size, rng))
    pages = node({"recorded": recorded})["replayed"]
    for (nodules, _, size), drawing, page in zip(CASES, drawings, pages, strict=True):
        image, mask = pixels(page, size)
        assert page["left"] == 0, nodules
        assert set(np.unique(drawing.mask)) == set(range(len(nodules) + 1))
        assert (mask == drawing.mask).all(), nodules
        difference = np.abs(image - drawing.image)
        assert (difference > 0).mean() <= 0.01, nodules
        assert (difference > 1).mean() <= 0.001, nodules


def test_the_pages_pictures_are_those_of_phantom_mixed(tmp_path):
    """The numbers of the source's own images, of all four labels, and its files."""
    cases = phantom_mixed.read(tmp_path / "mixed", cases=24, size=48)
    recorded = []
    for k, label in enumerate(cases["label"]):
        seeded = np.random.default_rng([0, k])
        every = tuple(phantom.draw_features(c, seeded) for c in HELD.get(label, (label,)))
        rng = Recorder(0)
        rng.bit_generator.state = seeded.bit_generator.state
        phantom.draw(every, rng, 48)
        recorded.append(record(every, 48, rng))
    assert set(cases["label"]) == {"normal", "benign", "malignant", "both"}
    pages = node({"recorded": recorded})["replayed"]
    for (_, case), page in zip(cases.iterrows(), pages, strict=True):
        image, mask = pixels(page, 48)
        difference = np.abs(image - np.asarray(Image.open(case["image"]), int))
        assert (difference > 0).mean() <= 0.01 and (difference > 1).mean() <= 0.001
        assert mask.max() == len(case["mask"])
        for number, region in enumerate(case["mask"], 1):
            assert ((mask == number) == (np.asarray(Image.open(region.outline)) > 0)).all()


def test_another_order_of_numbers_is_noticed():
    rng = Recorder(0)
    phantom.draw(Features(), rng, 32)
    one = record((Features(foci="punctate"),), 32, rng)
    with pytest.raises(AssertionError, match="integers 1"):
        node({"recorded": [one]})


def test_a_switch_leaves_the_rest_of_the_neck():
    """In the page a feature changes its own part only; a seed is one picture."""
    plain = Features()
    others = {
        "again": plain,
        "foci": Features(foci="punctate"),
        "margin": Features(margin="lobulated/irregular"),
        "composition": Features("mixed"),
    }
    given = [
        {"nodules": [asdict(f)], "size": 64, "seed": s}
        for s in range(4)
        for f in (plain, *others.values())
    ]
    found = iter(node({"seeded": given})["seeded"])
    necks = []
    for _ in range(4):
        image, mask = pixels(next(found), 64)
        assert 0.01 < mask.mean() < 0.5 and len(np.unique(image)) > 50
        necks.append(image)
        for name in others:
            other, outline = pixels(next(found), 64)
            same = (other == image).mean()
            assert same == 1 if name == "again" else 0.5 < same < 1, name
            assert (outline == mask).all() == (name != "margin"), name
    assert all((necks[0] == other).mean() < 0.2 for other in necks[1:])


def test_a_second_nodule_is_set_without_the_first():
    """Of two nodules each has its own part of the mask, whatever the other is."""
    plain, other = asdict(Features()), asdict(Features("mixed", margin="lobulated/irregular"))
    drawn = [[], [], [plain, plain], [plain, other], [other, plain]]
    given = [{"nodules": every, "size": 64, "seed": s} for s in range(3) for every in drawn]
    found = iter(node({"seeded": given})["seeded"])
    for _ in range(3):
        (one, nothing), again, *two = (pixels(next(found), 64) for _ in drawn)
        assert nothing.max() == 0 and len(np.unique(one)) > 50 and (one == again[0]).all()
        (_, same), (_, second), (_, first) = two
        assert set(np.unique(same)) == {0, 1, 2}
        assert ((same == 1) == (second == 1)).all() and ((same == 2) != (second == 2)).any()
        assert ((same == 2) == (first == 2)).all() and ((same == 1) != (first == 1)).any()


def test_the_pages_own_random_numbers():
    count = 4000
    asked = [(0, "neck"), (0, "nodule"), (1, "neck"), (999, "scan"), (0, "neck")]
    found = node({"numbers": [{"seed": s, "part": p, "count": count} for s, p in asked]})["numbers"]
    assert found[0] == found[-1]
    for one in found:
        uniform, normal, exponential = (
            np.array(one[kind]) for kind in ("uniform", "normal", "exponential")
        )
        assert uniform.min() >= 2 and uniform.max() < 4
        assert uniform.mean() == pytest.approx(3, abs=0.05)
        assert normal.mean() == pytest.approx(0, abs=0.08)
        assert normal.std() == pytest.approx(1, abs=0.05)
        assert exponential.mean() == pytest.approx(1, abs=0.08) and exponential.min() >= 0
        assert np.bincount(one["integer"], minlength=8)[4:7].min() > count / 4
        assert set(one["integer"]) == {4, 5, 6}
        for values in (uniform, normal, exponential):  # neighbours, as real and imaginary parts are
            assert abs(np.corrcoef(values[::2], values[1::2])[0, 1]) < 0.08
    streams = [one["uniform"] for one in found[:-1]]
    assert np.abs(np.corrcoef(streams) - np.eye(4)).max() < 0.08


# ---- What the features are worth


def after(nodule, before):
    benign, malignant = (phantom.probability(nodule, label) for label in ("benign", "malignant"))
    return malignant * before / (malignant * before + benign * (1 - before))


@pytest.fixture(scope="module", params=[0.43, 0.05])
def worth(request):
    given = {"table": explorables.tirads(), "before": request.param, "patients": 3000}
    return request.param, node(given)["worth"]


def test_points_and_odds_of_every_nodule(worth):
    before, page = worth
    every = phantom.all_features()
    assert [Features(**one["nodule"]) for one in page["every"]] == every
    for nodule, one in zip(every, page["every"], strict=True):
        assert (one["points"], one["level"]) == (nodule.points, nodule.level)
        assert one["benign"] == pytest.approx(phantom.probability(nodule, "benign"))
        assert one["malignant"] == pytest.approx(phantom.probability(nodule, "malignant"))
        assert one["ratio"] == pytest.approx(one["malignant"] / one["benign"])
        assert one["after"] == pytest.approx(after(nodule, before))
    for level, share in enumerate(page["levels"], 1):
        of_level = [nodule for nodule in every if nodule.level == level]
        benign, malignant = (
            sum(phantom.probability(nodule, label) for nodule in of_level)
            for label in ("benign", "malignant")
        )
        odds = malignant * before / (benign * (1 - before))
        assert share == pytest.approx(odds / (1 + odds))


def test_the_presets_are_what_they_say(worth):
    """At the phantom's share, whatever the reader has set."""
    _, page = worth
    every = phantom.all_features()
    for label, nodule in zip(("benign", "malignant"), page["typical"], strict=True):
        most = max(phantom.probability(one, label) for one in every)
        assert phantom.probability(Features(**nodule), label) == pytest.approx(most)
    high, low = (Features(**nodule) for nodule in page["fooling"])
    share = explorables.tirads()["malignant"]
    assert high.points == max(one.points for one in every if after(one, share) < 0.5)
    assert low.points == min(one.points for one in every if after(one, share) > 0.5) == 0
    assert after(high, share) < 0.5 < after(low, share)


def test_patients_come_as_the_table_says(worth):
    before, page = worth
    labels = np.array([patient["malignant"] for patient in page["patients"]])
    nodules = [Features(**patient["nodule"]) for patient in page["patients"]]  # each is possible
    assert labels.mean() == pytest.approx(before, abs=0.03)
    for name, values in FEATURES.items():
        for column, of_class in enumerate((~labels, labels)):
            drawn = [getattr(n, name) for n, one in zip(nodules, of_class, strict=True) if one]
            drawn = [value for value in drawn if value != "anechoic"]
            for value, chances in values.items():
                noise = 4 * np.sqrt(0.25 / len(drawn))
                assert drawn.count(value) / len(drawn) == pytest.approx(chances[column], abs=noise)


def test_cystic_and_anechoic_go_together():
    def state(composition, echogenicity):
        return {"composition": composition, "echogenicity": echogenicity}

    cases = [  # what is set, what was changed, what it becomes
        (state("cystic", "hypoechoic"), {"composition": 1}, state("cystic", "anechoic")),
        (state("cystic", "hypoechoic"), {"echogenicity": 1}, state("solid", "hypoechoic")),
        (state("cystic", "hypoechoic"), {}, state("cystic", "anechoic")),
        (state("mixed", "anechoic"), {"composition": 1}, state("mixed", "hypoechoic")),
        (state("mixed", "anechoic"), {"echogenicity": 1}, state("cystic", "anechoic")),
        (state("mixed", "anechoic"), {}, state("cystic", "anechoic")),
        (state("cystic", "anechoic"), {"composition": 1}, state("cystic", "anechoic")),
        (state("solid", "hypoechoic"), {"echogenicity": 1}, state("solid", "hypoechoic")),
    ]
    found = node({"agreed": [[now, changed] for now, changed, _ in cases]})["agreed"]
    assert found == [becomes for *_, becomes in cases]
