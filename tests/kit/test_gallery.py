"""What a run keeps to be looked at: which cases, a whole file or none, and figures that say it."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from plotly_page import figure_html

from book.kit import figures, gallery
from book.kit.gallery import GalleryError

SIZE = 24


def truth(cases=20, seed=0):
    """A table and masks as `lib.predict` gives them: square nodules, half of them malignant."""
    rng = np.random.default_rng(seed)
    label = np.arange(cases) % 2
    mask = np.zeros((cases, SIZE, SIZE), np.uint8)
    for k, side in enumerate(rng.integers(3, 15, cases)):
        mask[k, 4 : 4 + side, 6 : 6 + side] = label[k] + 1
    image = rng.integers(0, 256, mask.shape, dtype=np.uint8)
    return pd.DataFrame({"case": [f"case {k:02}" for k in range(cases)], "label": label}), {
        "image": image,
        "mask": mask,
    }


def answered(tasks=("cls", "seg2", "seg3"), contradict=(), seed=0):
    """A run that is right but for `contradict`: row -> the task that names the wrong class."""
    rows, maps = truth()
    cls, painted = rows["label"].to_numpy().copy(), rows["label"].to_numpy().copy()
    for row, task in dict(contradict).items():
        (cls if task == "cls" else painted)[row] ^= 1
    sure = np.random.default_rng(seed).uniform(0.6, 0.99, len(rows))
    every = {
        "cls": np.where(cls == 1, sure, 1 - sure).astype(np.float32),
        "seg2": (maps["mask"] > 0).astype(np.uint8),
        "seg3": np.where(maps["mask"] > 0, painted[:, None, None] + 1, 0).astype(np.uint8),
    }
    maps |= {name: every[name] for name in tasks}
    if "cls" in tasks:
        rows["p_malignant"] = maps["cls"]
        heat = maps["mask"].reshape(-1, 4, SIZE // 4, 4, SIZE // 4).max((2, 4)) / 2.0
        maps["cam"] = heat.astype(np.float32)
        rows["cam_inside"] = np.linspace(0.1, 0.9, len(rows), dtype=np.float32)
    if "seg3" in tasks:
        rows["seg_as_cls"] = painted
        rows["seg_as_cls_p"] = np.where(painted == 1, 0.73, 0.27)
    return rows, maps


def kept(folder, *args, picked=None, **options):
    rows, maps = answered(*args, **options)
    return gallery.load(gallery.save(folder / "seed0.gallery.npz", rows, maps, picked))


# ------------------------------------------------------------------------------------- which cases


def test_the_fixed_cases_are_half_benign_and_run_from_small_to_large():
    rows, maps = truth(40)
    chosen = gallery.fixed_cases(rows, maps["mask"])
    areas = (maps["mask"][chosen] > 0).sum((1, 2))
    assert rows["label"].iloc[chosen].tolist() == [0] * 4 + [1] * 4
    assert len(set(chosen)) == 8
    assert (np.diff(areas[:4]) >= 0).all() and (np.diff(areas[4:]) >= 0).all()
    every = np.sort((maps["mask"] > 0).sum((1, 2))[::2])  # of the benign
    assert areas[0] < every[len(every) // 4] and areas[3] >= every[3 * len(every) // 4]


def test_the_fixed_cases_follow_from_the_truth_whatever_the_order_of_the_rows():
    rows, maps = truth(40)
    order = np.random.default_rng(3).permutation(40)
    mixed = rows.iloc[order].reset_index(drop=True)
    names = rows["case"].iloc[gallery.fixed_cases(rows, maps["mask"])]
    chosen = gallery.fixed_cases(mixed, maps["mask"][order])
    assert mixed["case"].iloc[chosen].tolist() == names.tolist()


@pytest.mark.parametrize(
    ("labels", "count", "expected"),
    [
        ([0, 1], 8, [0, 1]),  # fewer cases than places
        ([1, 1, -1], 4, [0, 1]),  # one class only; a case without a class is never taken
        ([-1, -1], 8, []),
        ([0, 0, 0, 0, 1, 1, 1, 1], 4, [1, 3, 5, 7]),
    ],
)
def test_the_fixed_cases_by_hand(labels, count, expected):
    rows = pd.DataFrame({"case": [str(k) for k in range(len(labels))], "label": labels})
    mask = np.arange(9)[None, None] < np.arange(1, len(labels) + 1)[:, None, None]
    assert gallery.fixed_cases(rows, mask, count) == expected


def test_contradictions_are_the_surest_of_either_kind():
    rows = pd.DataFrame(
        {
            "label": [0, 0, 0, 1, 1, -1],
            "p_malignant": [0.2, 0.4, 0.9, 0.1, 0.8, 0.9],
            "seg_as_cls": [1, 1, 0, 1, -1, 0],
            "seg_as_cls_p": [0.7, 0.9, 0.3, 0.7, 0.5, 0.1],
        }
    )
    # sums of distances to 0.5 -- T1 right: .3 + .2, .1 + .4; T3 right: .4 + .2, .4 + .2
    assert gallery.contradictions(rows) == {"Only T1 right": 0, "Only T3 right": 2}
    assert gallery.contradictions(rows.iloc[4:]) == {}
    assert gallery.contradictions(rows.drop(columns="seg_as_cls")) == {}


# ------------------------------------------------------------------------------------ file, or none


def test_what_was_saved_is_what_is_loaded(tmp_path):
    rows, maps = answered(contradict={3: "cls", 6: "seg3"})
    picked = {"Good": 11, "Bad": 3}
    file = gallery.save(tmp_path / "a" / "seed0.gallery.npz", rows, maps, picked)
    found = gallery.load(file)
    fixed = gallery.fixed_cases(rows, maps["mask"])
    order = list(dict.fromkeys([*fixed, 11, 3, 6]))
    assert found.rows["case"].tolist() == rows["case"].iloc[order].tolist()
    assert found.rows["label"].tolist() == rows["label"].iloc[order].tolist()
    assert found.fixed == list(range(8))
    for name in ("image", "mask", "seg2", "seg3", "cls"):
        np.testing.assert_array_equal(found.maps[name], maps[name][order])
    np.testing.assert_allclose(found.maps["cam"], maps["cam"][order], atol=0.5 / 255)
    np.testing.assert_allclose(found.rows["cam_inside"], rows["cam_inside"].iloc[order])
    names = {title: found.rows["case"].iloc[at] for title, at in found.picked.items()}
    assert names == {
        "Good": "case 11", "Bad": "case 03", "Only T1 right": "case 06", "Only T3 right": "case 03",
    }  # fmt: skip
    assert [p.name for p in file.parent.iterdir()] == ["seed0.gallery.npz"]
    assert file.read_bytes() == gallery.save(file, rows, maps, picked).read_bytes()


@pytest.mark.parametrize("tasks", [("cls",), ("seg2",), ("seg3",), ("cls", "seg2")])
def test_a_network_without_some_tasks_keeps_those_it_has(tmp_path, tasks):
    found = kept(tmp_path, tasks)
    assert set(found.maps) - {"cam"} == {"image", "mask", *tasks}
    assert ("cam" in found.maps) == ("cls" in tasks)


def test_only_the_phantom_may_be_shown():
    assert [s for s in ("phantom", "busbra", "ddti", "folder") if gallery.allowed(s)] == ["phantom"]


def test_a_missing_gallery_says_what_to_do(tmp_path):
    with pytest.raises(GalleryError, match=r"no\.npz: no such gallery; run book/experiment"):
        gallery.load(tmp_path / "no.npz")


def damage_schema(stored):
    stored["schema"] = np.array(9)


def damage_mask(stored):
    stored["mask"] = stored["mask"][:-1]


def damage_case(stored):
    del stored["case"]


def damage_pick(stored):
    stored["at"] = stored["at"] + 100


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_schema, "schema 9, this version reads 1"),
        (damage_mask, "mask is uint8"),
        (damage_case, "does not fit together.*case"),
        (damage_pick, "a picked row is not there"),
    ],
)
def test_a_gallery_that_does_not_fit_together_is_refused(tmp_path, damage, words):
    rows, maps = answered()
    file = gallery.save(tmp_path / "seed0.gallery.npz", rows, maps, {"Good": 0})
    with np.load(file) as stored:
        changed = dict(stored)
    damage(changed)
    np.savez(file, **changed)
    with pytest.raises(GalleryError, match=f"seed0.gallery.npz: .*{words}"):
        gallery.load(file)


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b"no zip", lambda b: b""])
def test_a_damaged_file_is_named(tmp_path, spoil):
    file = gallery.save(tmp_path / "seed0.gallery.npz", *answered())
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(GalleryError, match=r"seed0\.gallery\.npz: cannot be read .*run it again"):
        gallery.load(file)


def test_a_gallery_of_pickled_objects_is_never_opened(tmp_path):
    file = tmp_path / "seed0.gallery.npz"
    np.savez(file, schema=np.array([{}], dtype=object))
    with pytest.raises(GalleryError, match="cannot be read"):
        gallery.load(file)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("image", None, "maps lack image"),
        ("seg3", np.zeros((20, 9, 9), np.uint8), "seg3 is uint8"),
        ("seg2", np.zeros((20, SIZE, SIZE), bool), "seg2 is bool"),
        ("cls", np.zeros((20, 2), np.float32), r"cls is float32 \(20, 2\)"),
        ("cam", np.full((20, 4, 4), 1.5), "cam is float64"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path, name, value, words):
    rows, maps = answered()
    maps[name] = value
    if value is None:
        del maps[name]
    with pytest.raises(GalleryError, match=words):
        gallery.save(tmp_path / "seed0.gallery.npz", rows, maps)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = gallery.save(tmp_path / "seed0.gallery.npz", *answered())
    before = file.read_bytes()

    def full(target, **arrays):
        target.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="no space"):
        gallery.save(file, *answered(seed=1))
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_the_galleries_of_a_profile_are_found_by_experiment(tmp_path):
    rows, maps = answered()
    for name, seed in (("mtl", 0), ("clsnet", 0), ("mtl", 1)):
        gallery.save(gallery.path(tmp_path / name / f"seed{seed}.json"), rows, maps)
    assert list(gallery.load_all(tmp_path)) == ["clsnet", "mtl"]
    assert list(gallery.load_all(tmp_path, seed=1)) == ["mtl"]


# ------------------------------------------------------------------------------------------ figures


def text(html):
    return re.sub(r"<[^>]+>", " ", html)


def test_a_contradiction_is_said_in_words(tmp_path):
    drawn = figures.contradiction(kept(tmp_path, contradict={2: "cls", 5: "seg3"}))
    said = drawn.layout.meta["alt"]
    assert "Only T3 right: truth: benign, T1: malignant" in said and "T3: benign" in said
    assert "Only T1 right: truth: malignant, T1: malignant" in said
    titles = [a.text for a in drawn.layout.annotations]
    assert len(titles) == 4 and any("T1: malignant" in t and "T3: benign" in t for t in titles)
    assert "aria-label" in figure_html(json.loads(drawn.to_json()))


def test_without_a_contradiction_there_is_no_figure_of_one(tmp_path):
    with pytest.raises(ValueError, match="no contradiction"):
        figures.contradiction(kept(tmp_path))


def test_the_grid_has_a_row_for_each_fixed_case_and_marks_what_is_wrong(tmp_path):
    rows, maps = answered()
    wrong = gallery.fixed_cases(rows, maps["mask"])[5]  # a malignant one
    html = figures.grid(
        {
            "MTL": kept(tmp_path, contradict={wrong: "cls"}),
            "MSL & more": kept(tmp_path, ("seg2", "seg3")),
            "later": None,
        }
    )
    assert html.count("<tr>") == 9 and html.count("<svg") == 24 and html.count("<image") == 8
    assert "MSL &amp; more" in html and html.count("no gallery") == 8
    lines = text(html)
    assert lines.count(f"{figures.WRONG} T1: benign") == 1
    assert lines.count(f"{figures.RIGHT} T1:") == 7 and lines.count(f"{figures.RIGHT} T3:") == 16
    assert lines.count("outline: Dice 1.00") == 16
    told = re.findall(r'aria-label="([^"]+)"', html)
    assert len(told) == 24 and all("truth" in words for words in told)
    ids = re.findall(r'id="([^"]+)"', html)
    used = re.findall(r'href="#([^"]+)"', html)
    assert len(set(ids)) == 8 and set(used) == set(ids)


def test_a_mask_without_classes_is_painted_in_the_class_that_t1_names(tmp_path):
    with_class = figures.grid({"both": kept(tmp_path, ("cls", "seg2"))})
    without = figures.grid({"mask": kept(tmp_path, ("seg2",))})
    colours = figures.CLASS_COLOURS
    assert colours[3] not in with_class and with_class.count(colours[2]) == 16  # fill, stroke; x 8
    assert without.count(colours[3]) == 16 and "T1" not in text(without).replace("sure T1", "")


def test_a_class_without_a_mask_has_no_outline_but_words(tmp_path):
    html = figures.grid({"ClsNet": kept(tmp_path, ("cls",))})
    assert html.count("<path") == 8 and "Dice" not in html and html.count("T1: ") == 16


def test_runs_on_other_data_are_not_set_side_by_side(tmp_path):
    one = kept(tmp_path)
    rows, maps = answered()
    maps["image"] = maps["image"][::-1].copy()
    other = gallery.load(gallery.save(tmp_path / "other.gallery.npz", rows, maps))
    with pytest.raises(ValueError, match="B keeps other fixed cases than A"):
        figures.grid({"A": one, "B": other})
    with pytest.raises(ValueError, match="different fixed cases"):
        figures.cams(one, other)
    with pytest.raises(ValueError, match="no gallery"):
        figures.grid({"A": None})


def test_the_heat_lies_where_it_was_computed(tmp_path):
    drawn = figures.cams(kept(tmp_path), kept(tmp_path, contradict={1: "cls"}), count=2)
    heat = [trace for trace in drawn.data if trace.type == "heatmap"]
    assert len(heat) == 4 and np.shape(heat[0].z) == (4, 4)
    # 4 cells over 24 pixels, whose middles are at 0 to 23: a cell is 6 wide and begins at -0.5
    assert (heat[0].x0, heat[0].dx, heat[0].y0, heat[0].dy) == (2.5, 6, 2.5, 6)
    assert "4 x 4 cells" in drawn.layout.coloraxis.colorbar.title.text
    said = drawn.layout.meta["alt"]
    assert said.count("inside the nodule") == 4 and said.count(figures.RIGHT) >= 2
    assert len(json.dumps(json.loads(drawn.to_json()))) < 60_000


def test_cams_need_a_class_on_both_sides(tmp_path):
    with pytest.raises(ValueError, match="the run with the terms has no CAM"):
        figures.cams(kept(tmp_path), kept(tmp_path, ("seg3",)))


# ---------------------------------------------------------------------- where the maps' mass lies


def measured(inside, experiment="mtl", cases=None, **columns):
    rows = {
        "case": cases or [f"case {k}" for k in range(len(inside))],
        "group": [f"patient {k}" for k in range(len(inside))],
        "label": [k % 2 for k in range(len(inside))],
        "p_malignant": [0.3] * len(inside),  # benign: right on the even rows
        "cam_inside": inside,
        "nodule_share": [0.1] * len(inside),
    } | columns
    return {
        "experiment": experiment, "source": "phantom", "profile": "laptop", "seed": 0,
        "per_image": {name: values for name, values in rows.items() if values is not None},
    }  # fmt: skip


def test_the_table_says_how_much_lies_inside_by_hand():
    html = figures.cam_table([measured([0.5, 0.1, 0.3, None])], {"mtl": "MTL"})
    cells = [re.sub(r"<[^>]+>", "", c) for c in re.findall(r"<td[^>]*>(.*?)</td>", html)]
    assert "MTL" in html and cells[0] == "3" and cells[-1] == "10.0"
    assert [c.split(" ")[0] for c in cells[1:4]] == ["30.0", "40.0", "10.0"]  # all, right, wrong


def test_a_part_without_images_is_a_dash_and_a_run_without_cams_no_row():
    lone = measured([0.5, 0.4], p_malignant=[0.1, 0.9])
    html = figures.cam_table([lone, measured([1, 1], "msl", cam_inside=None)])
    assert html.count("<tr>") == 2 and f">{figures.ABSENT}<" in html
    with pytest.raises(ValueError, match="no run has kept"):
        figures.cam_table([measured([1, 1], cam_inside=None)])
