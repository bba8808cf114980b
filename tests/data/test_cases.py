"""The case table: every bad input ends in a message that names the file; splits do not leak."""

import struct
import warnings
import zlib
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter
from scipy import ndimage

from lib import sources
from lib.cases import (
    CLASSES,
    LABELS,
    CaseError,
    Problem,
    Region,
    check_cases,
    class_index,
    decode,
    duplicates,
    fingerprint,
    group_near_duplicates,
    pixels,
    prepare_cases,
    split_cases,
    split_digest,
)
from lib.cases.looks import Look
from lib.sources import phantom

WIDTH, HEIGHT = 48, 40
COLUMNS = ("case", "image", "mask", "label", "group", "crop")


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A cloudy texture, another one for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    cloudy = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1.5))
    return ImageEnhance.Contrast(cloudy).enhance(4)


def square(width: int = WIDTH, height: int = HEIGHT, box=(10, 10, 30, 25), value=255):
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=value)
    return mask


def make(folder: Path, number: int = 20, **columns) -> pd.DataFrame:
    """`number` sound cases, two to a group, three benign to two malignant."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for at in range(number):
        image, mask = folder / f"{at:03}.png", folder / f"{at:03}_mask.png"
        picture(at).save(image)
        square().save(mask)
        label = CLASSES[at // 2 % 5 in (1, 3)]
        rows.append((f"{at:03}", str(image), (Region(str(mask)),), label, f"p{at // 2}", None))
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(**columns)


def put(cases: pd.DataFrame, at: int, column: str, value) -> None:
    """Set one cell, to a tuple or a foreign type too."""
    cases[column] = pd.Series(
        [value if row == at else old for row, old in enumerate(cases[column])], dtype=object
    )


def png_of_claimed_size(width: int, height: int) -> bytes:
    """A PNG of some bytes that says it is huge."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


# ----------------------------------------------------------------------------------- bad input

# Each entry spoils case 007. (name, how, words of the message, the file that it must name)
IMAGE, MASK = "007.png", "007_mask.png"


def _write(name, data):
    return lambda cases, folder: (folder / name).write_bytes(data)


def _save(name, make_picture):
    return lambda cases, folder: make_picture().save(folder / name)


def _cell(column, value):
    return lambda cases, folder: put(cases, 7, column, value)


def _half(name):
    def spoil(cases, folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return spoil


def _unlink(name):
    return lambda cases, folder: (folder / name).unlink()


def _folder(name):
    def spoil(cases, folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def _polygon(*points):
    return _cell("mask", (Region(tuple(points)),))


BAD = [
    ("missing image", _unlink(IMAGE), "no such file", IMAGE),
    ("missing mask", _unlink(MASK), "no such file", MASK),
    ("image is a folder", _folder(IMAGE), "not a regular file", IMAGE),
    ("empty image file", _write(IMAGE, b""), "0 bytes", IMAGE),
    ("empty mask file", _write(MASK, b""), "0 bytes", MASK),
    ("truncated image", _half(IMAGE), "damaged or cut off", IMAGE),
    ("truncated mask", _half(MASK), "damaged or cut off", MASK),
    ("text as image", _write(IMAGE, b"<html>404</html>"), "not an image", IMAGE),
    ("text as mask", _write(MASK, b"not found"), "not an image", MASK),
    ("EPS, which would run a program", _write(IMAGE, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 "
     b"0 9 9\n"), "not an image", IMAGE),
    ("mask of another size", _save(MASK, lambda: square(WIDTH + 1)), "49 x 40 px", MASK),
    ("mask turned by 90 degrees", _save(MASK, lambda: square(HEIGHT, WIDTH)), "40 x 48 px", MASK),
    ("empty mask", _save(MASK, lambda: Image.new("L", (WIDTH, HEIGHT))), "mask is empty", MASK),
    ("mask is a copy of its image", _save(MASK, lambda: picture(7)), "a copy of the image?", MASK),
    ("no nodule drawn", _cell("mask", ()), "no nodule is drawn", IMAGE),
    ("mask column of text", _cell("mask", "007_mask.png"), "tuple of Region is needed", IMAGE),
    ("mask column NaN", _cell("mask", float("nan")), "tuple of Region is needed", IMAGE),
    ("normal with a nodule", _cell("label", "normal"), "normal, but its mask holds 300", MASK),
    ("unknown label", _cell("label", "bening"), "unknown label 'bening'", IMAGE),
    ("label of another type", _cell("label", 4), "unknown label '4'", IMAGE),
    ("both with one nodule", _cell("label", "both"), "does not say which", MASK),
    ("NaN group", _cell("group", float("nan")), "'group' has no value", IMAGE),
    ("blank group", _cell("group", " "), "'group' has no value", IMAGE),
    ("NaN case", _cell("case", None), "'case' has no value", IMAGE),
    ("repeated case", _cell("case", "006"), "used 2 times", IMAGE),
    ("polygon outside", _polygon((60, 5), (70, 5), (70, 20)), "outside the image", IMAGE),
    ("polygon half outside", _polygon((5, 5), (20, 5), (20, 44)), "(20, 44)", IMAGE),
    ("polygon left of the image", _polygon((-3, 5), (20, 5), (20, 9)), "(-3, 5)", IMAGE),
    ("polygon of 2 points", _polygon((5, 5), (20, 5)), "2 different points", IMAGE),
    ("polygon of 1 point 4 times", _polygon(*[(5, 5)] * 4), "1 different points", IMAGE),
    ("polygon without points", _polygon(), "0 different points", IMAGE),
    ("polygon with NaN", _polygon((5, 5), (20, 5), (9, float("nan"))), "NaN", IMAGE),
    ("polygon of words", _polygon("ab", "cd", "ef"), "not a list of (x, y)", IMAGE),
    ("huge image", _write(IMAGE, png_of_claimed_size(50_000, 50_000)), "bomb", IMAGE),
    ("large image", _write(IMAGE, png_of_claimed_size(10_000, 10_000)), "10000 x 10000", IMAGE),
    ("huge mask", _write(MASK, png_of_claimed_size(10_000, 9_000)), "10000 x 9000", MASK),
    ("constant image", _save(IMAGE, lambda: Image.new("L", (WIDTH, HEIGHT), 9)), "constant", IMAGE),
    ("NaN pixels", lambda cases, folder: (
        Image.fromarray(np.full((HEIGHT, WIDTH), np.nan, np.float32)).save(folder / "nan.tif"),
        put(cases, 7, "image", str(folder / "nan.tif"))), "NaN or infinite", "nan.tif"),
    ("crop outside", _cell("crop", (0, 0, WIDTH + 1, HEIGHT)), "outside the image", IMAGE),
    ("crop from below zero", _cell("crop", (-1, 0, 30, 30)), "outside the image", IMAGE),
    ("crop of no width", _cell("crop", (9, 0, 9, 30)), "is empty", IMAGE),
    ("crop turned round", _cell("crop", (30, 30, 5, 5)), "is empty", IMAGE),
    ("crop of 3 numbers", _cell("crop", (0, 0, 9)), "not four whole numbers", IMAGE),
    ("crop of halves", _cell("crop", (0, 0, 9.5, 9)), "not four whole numbers", IMAGE),
    ("crop beside the nodule", _cell("crop", (31, 0, 48, 40)), "leaves the nodule out", IMAGE),
    ("region of unknown class", _cell("mask", (Region(((5, 5), (20, 5), (9, 20)), "cyst"),)),
     "unknown label 'cyst' of a region", IMAGE),
    ("region against its case", _cell("mask", (Region(((5, 5), (20, 5), (9, 20)), "benign"),)),
     "a region is labelled benign, but the case malignant", IMAGE),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words", "file"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_is_left_out_and_named(tmp_path, capfd, spoil, words, file):
    cases = make(tmp_path)
    spoil(cases, tmp_path)
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        good, problems = check_cases(cases)
    assert heard == []
    assert limit == Image.MAX_IMAGE_PIXELS
    assert capfd.readouterr() == ("", "")

    mine = [p for p in problems if words in p.what and file in str(p)]
    assert mine, [str(p) for p in problems]
    assert all(p.left_out for p in problems)
    lost = {"006", "007"} if words == "used 2 times" else {"007"}
    assert set(make(tmp_path / "again")["case"]) - set(good["case"]) == lost
    assert list(good.index) == list(range(20 - len(lost)))

    with pytest.raises(CaseError, match="strict") as caught:
        check_cases(cases, strict=True)
    assert words in str(caught.value) and file in str(caught.value)


@pytest.mark.parametrize("at", range(14))
def test_decode_names_the_file(tmp_path, at):
    name, spoil, words, file = BAD[at]
    cases = make(tmp_path)
    spoil(cases, tmp_path)
    if name == "empty mask":
        assert decode(cases.iloc[7])[1].max() == 0  # that is for check_cases to judge
        return
    with pytest.raises(CaseError) as caught:
        decode(cases.iloc[7])
    assert words in str(caught.value) and file in str(caught.value)


def test_all_problems_come_in_one_pass(tmp_path):
    cases = make(tmp_path, 30)
    (tmp_path / "003.png").unlink()
    (tmp_path / "003_mask.png").write_bytes(b"x")
    put(cases, 3, "label", "bad")
    square(9, 9).save(tmp_path / "020_mask.png")
    cases.attrs["left_out"] = [Problem("x", "x.svg", "polygon cut off")]
    good, problems = check_cases(cases)
    assert [Path(p.file).name for p in problems] == [
        "x.svg", "003.png", "003.png", "003_mask.png", "020_mask.png",
    ]  # fmt: skip
    assert len(good) == 28
    assert good.attrs["left_out"] == problems
    assert check_cases(good)[1] == problems, "a second pass finds nothing new and repeats nothing"


def test_strict_lists_twenty_and_counts_the_rest(tmp_path):
    cases = make(tmp_path, 40)
    for at in range(25):
        (tmp_path / f"{at:03}.png").unlink()
    with pytest.raises(CaseError) as caught:
        check_cases(cases, strict=True)
    lines = str(caught.value).splitlines()
    assert "25 problems" in lines[0]
    assert len(lines) == 22 and "019.png" in lines[20] and "5 more" in lines[21]


def test_too_few_cases(tmp_path):
    cases = make(tmp_path, 12)
    for at in (0, 1, 4):
        (tmp_path / f"{at:03}.png").unlink()
    with pytest.raises(CaseError, match=r"9 of 12 .* at least 10 .*minimum=10") as caught:
        check_cases(cases)
    assert "004.png: no such file" in str(caught.value)
    assert len(check_cases(cases, minimum=9)[0]) == 9


@pytest.mark.parametrize("name", CLASSES)
def test_no_case_of_one_class_left(tmp_path, name):
    cases = make(tmp_path)
    for file in cases["image"][cases["label"] == name]:
        Path(file).unlink()
    with pytest.raises(CaseError, match=f"no {name} case is left"):
        check_cases(cases, minimum=1)


@pytest.mark.parametrize("column", COLUMNS)
def test_missing_column(tmp_path, column):
    with pytest.raises(CaseError, match=f"lacks the column {column}"):
        check_cases(make(tmp_path, 1).drop(columns=column))


def test_no_table_at_all():
    with pytest.raises(CaseError, match="DataFrame, not list"):
        check_cases([])
    with pytest.raises(CaseError, match="0 of 0 cases"):
        check_cases(pd.DataFrame(columns=list(COLUMNS)))


def test_unlabelled_table_is_for_segmentation(tmp_path):
    cases = make(tmp_path, label=None)
    good, problems = check_cases(cases)
    assert problems == [] and len(good) == 20
    assert set(good["label"]) == {None}
    assert set(np.unique(decode(good.iloc[0])[1])) == {0, 3}


def test_nan_means_unlabelled_and_uncropped(tmp_path):
    cases = make(tmp_path)
    put(cases, 7, "label", float("nan"))
    put(cases, 7, "crop", float("nan"))
    cases["age"] = float("nan")
    good, problems = check_cases(cases)
    assert problems == [] and "age" in good
    assert good["label"][7] is None and good["crop"][7] is None


# ------------------------------------------------------------------------- what a mask file means

BUSBRA = ("bus_0001-l", "bus_0002-l", "bus_0005-r", "bus_0007-l")


def as_form(nodule: np.ndarray, form: str, file: Path) -> None:
    """Save a real mask as people save masks."""
    mask, empty = Image.fromarray(nodule * np.uint8(255)), Image.new("L", nodule.shape[::-1])
    full = ImageChops.invert(empty)
    {
        "JPEG": lambda: mask.save(file, "JPEG", quality=30),
        "black on white": lambda: ImageChops.invert(mask).save(file),
        "black on white, JPEG": lambda: ImageChops.invert(mask).save(file, "JPEG", quality=50),
        "alpha over black": lambda: Image.merge("LA", [empty, mask]).save(file),
        "alpha over white": lambda: Image.merge("RGBA", [full] * 3 + [mask]).save(file),
        "class numbers": lambda: Image.fromarray(nodule * np.uint8(2)).save(file),
        "instances": lambda: Image.fromarray(nodule.astype(np.int32) * 3).save(file, "TIFF"),
        "red": lambda: Image.merge("RGB", [mask, empty, empty]).save(file),
        "green": lambda: Image.merge("RGB", [empty, mask, empty]).save(file),
        "palette": lambda: mask.convert("RGB").quantize(2).save(file),
        "1 bit": lambda: mask.convert("1").save(file),
    }[form]()  # fmt: skip


@pytest.mark.parametrize(
    "form",
    ["JPEG", "black on white", "black on white, JPEG", "alpha over black", "alpha over white",
     "class numbers", "instances", "red", "green", "palette", "1 bit"],
)  # fmt: skip
def test_a_real_mask_in_every_form(shared_data, tmp_path, form):
    folder = shared_data("busbra")
    for name in BUSBRA:
        image = folder / "Images" / f"{name}.png"
        plain = Region(str(folder / "Masks" / f"{name.replace('bus', 'mask')}.png"))
        _, expected = decode(row(image, plain, label="malignant"))
        assert set(np.unique(expected)) == {0, 2}
        as_form(expected // 2, form, tmp_path / "m.png")
        mask = decode(row(image, Region(str(tmp_path / "m.png")), label="malignant"))[1]
        wrong = (mask != expected).sum()
        edge = (ndimage.binary_dilation(expected) ^ ndimage.binary_erosion(expected)).sum()
        assert wrong <= ("JPEG" in form) * edge / 4, f"{wrong} pixels, {edge} on the edge"


def test_copies_of_real_images_are_no_masks(shared_data, tmp_path):
    files = sorted((shared_data("busbra") / "Images").glob("*.png"))[::40]
    for kind in ("PNG", "JPEG"):
        for file in files:
            Image.open(file).convert("L").save(tmp_path / "m.png", kind)
            with pytest.raises(CaseError, match=r"m\.png: is a photograph, no mask"):
                decode(row(file, Region(str(tmp_path / "m.png"))))


def test_green_and_red_are_the_classes_of_a_case_that_has_both(tmp_path):
    picture(0).save(tmp_path / "a.png")
    green, red = square(box=(2, 2, 8, 8)), square(box=(20, 20, 40, 30))
    Image.merge("RGB", [red, green, Image.new("L", red.size)]).save(tmp_path / "m.png")
    mask = decode(row(tmp_path / "a.png", Region(str(tmp_path / "m.png")), label="both"))[1]
    np.testing.assert_array_equal(mask, (np.asarray(green) > 0) + 2 * (np.asarray(red) > 0))
    with pytest.raises(CaseError, match="green and red, benign and malignant, but the case"):
        decode(row(tmp_path / "a.png", Region(str(tmp_path / "m.png")), label="malignant"))


def test_numbers_are_classes_in_a_case_that_has_both_and_nodules_elsewhere(tmp_path):
    picture(0).save(tmp_path / "a.png")
    numbers = np.asarray(square(box=(2, 2, 8, 8), value=1)) + np.asarray(square(value=2))
    Image.fromarray(numbers).save(tmp_path / "m.png")
    mask = Region(str(tmp_path / "m.png"))
    np.testing.assert_array_equal(decode(row(tmp_path / "a.png", mask, label="both"))[1], numbers)
    found = decode(row(tmp_path / "a.png", mask, label="benign"))[1]
    np.testing.assert_array_equal(found, numbers > 0)
    np.testing.assert_array_equal(
        decode(row(tmp_path / "a.png", mask, label=None))[1], 3 * (numbers > 0)
    )


@pytest.mark.parametrize(
    ("box", "words"),
    [((1, 1, 47, 39), "20 of 20 images cover more than 50%"),
     ((9, 9, 10, 10), "20 of 20 images cover less than 0.1%")],
)  # fmt: skip
def test_nodules_of_an_odd_size_are_noted_once_for_their_folder(tmp_path, box, words):
    cases = make(tmp_path)
    for at in range(20):
        square(box=box).save(tmp_path / f"{at:03}_mask.png")
    good, (note,) = check_cases(cases, strict=True)
    assert len(good) == 20 and note.file == str(tmp_path) and words in note.what
    assert not note.left_out and "000.png" in note.what


def test_real_nodules_are_of_no_odd_size(shared_data):
    cases = sources.read("busbra", shared_data("busbra")).iloc[:400]
    assert check_cases(cases)[1] == []


# ------------------------------------------------------------------------- leaks between splits


def with_splits(cases):
    return cases.assign(split=["train"] * 12 + ["valid"] * 4 + ["test"] * (len(cases) - 16))


def test_group_in_two_splits_leaves_the_training_copy_out(tmp_path):
    cases = with_splits(make(tmp_path))
    put(cases, 0, "group", "p9")  # p9 is tested on
    good, problems = check_cases(cases)
    assert "000" not in set(good["case"]) and len(good) == 19
    (problem,) = problems
    assert problem.case == "000" and "group 'p9' is also in test" in problem.what
    assert "018.png" in problem.what


def test_same_picture_in_two_splits_leaves_the_training_copy_out(tmp_path):
    cases = with_splits(make(tmp_path))
    (tmp_path / "013.png").write_bytes((tmp_path / "002.png").read_bytes())
    good, problems = check_cases(cases)
    assert set(cases["case"]) - set(good["case"]) == {"002"}
    assert "same picture is also in valid" in problems[0].what and "013.png" in problems[0].what
    assert str(tmp_path) not in problems[0].what
    with pytest.raises(CaseError, match="same picture"):
        check_cases(cases, strict=True)


def test_no_leak_once_the_other_copy_is_left_out(tmp_path):
    cases = with_splits(make(tmp_path))
    put(cases, 0, "group", "p9")
    (tmp_path / "018.png").unlink()
    (tmp_path / "019.png").unlink()
    put(cases, 0, "group", "p9")
    good, problems = check_cases(cases)
    assert set(cases["case"]) - set(good["case"]) == {"018", "019"}
    assert len(problems) == 2


def test_unknown_split_and_emptied_split(tmp_path):
    cases = with_splits(make(tmp_path))
    put(cases, 5, "split", "dev")
    _, problems = check_cases(cases)
    assert "unknown split 'dev'" in problems[0].what and "005.png" in problems[0].file
    with pytest.raises(CaseError, match="no case is left in the split 'train'"):
        check_cases(with_splits(make(tmp_path)).assign(group="everyone"), minimum=1)


# --------------------------------------------------------------------------------------- decode


def row(image, *regions, label="benign", crop=None):
    return {"case": "a", "image": str(image), "mask": regions, "label": label, "crop": crop}


def test_decode_paints_classes_and_crops(tmp_path):
    picture(0).save(tmp_path / "a.png")
    square(box=(2, 2, 6, 6)).save(tmp_path / "m.png")
    polygon = ((20, 10), (29, 10), (29, 19), (20, 19))  # corners lie on the outline
    image, mask = decode(
        row(tmp_path / "a.png", Region(str(tmp_path / "m.png"), "malignant"),
            Region(polygon, "benign"), label="both", crop=(1, 2, 41, 32))
    )  # fmt: skip
    assert image.dtype == mask.dtype == np.uint8
    assert image.shape == mask.shape == (30, 40)
    np.testing.assert_array_equal(image, np.asarray(picture(0))[2:32, 1:41])
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[2:6, 2:6] = 2
    expected[10:20, 20:30] = 1
    np.testing.assert_array_equal(mask, expected[2:32, 1:41])


def test_malignant_wins_where_regions_overlap(tmp_path):
    picture(0).save(tmp_path / "a.png")
    left, right = ((0, 0), (20, 0), (20, 20), (0, 20)), ((10, 0), (30, 0), (30, 20), (10, 20))
    for first, second in (("benign", "malignant"), ("malignant", "benign")):
        mask = decode(row(tmp_path / "a.png", Region(left, first), Region(right, second)))[1]
        assert mask[5, 15] == 2
        assert {mask[5, 5], mask[5, 25]} == {1, 2}


def test_several_masks_are_united_and_cut_at_128(tmp_path):
    picture(0).save(tmp_path / "a.png")
    soft = square(box=(0, 0, 4, 4))
    soft.putpixel((4, 0), 128)
    soft.putpixel((4, 1), 127)  # one pixel of an edge, below the half
    soft.save(tmp_path / "1.png")
    square(box=(20, 20, 22, 22)).save(tmp_path / "2.png")
    regions = [Region(str(tmp_path / f"{n}.png")) for n in (1, 2)]
    mask = decode(row(tmp_path / "a.png", *regions, label="malignant"))[1]
    assert (mask == 2).sum() == 16 + 1 + 4 and mask.max() == 2


RAMP = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (HEIGHT, 1))  # 0 ... 235
KINDS = {
    "L.png": Image.fromarray(RAMP),
    "RGB.png": Image.fromarray(RAMP).convert("RGB"),
    "LA.png": Image.merge("LA", [Image.fromarray(RAMP), Image.new("L", (WIDTH, HEIGHT), 0)]),
    "RGBA.png": Image.merge("LA", [Image.fromarray(RAMP), Image.new("L", (WIDTH, HEIGHT), 0)])
    .convert("RGBA"),
    "P.png": Image.fromarray(RAMP).convert("P"),
    "L.bmp": Image.fromarray(RAMP),
    "L.tif": Image.fromarray(RAMP),
    "L.gif": Image.fromarray(RAMP),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_grey(tmp_path, name):
    KINDS[name].save(tmp_path / name)
    np.testing.assert_array_equal(decode(row(tmp_path / name))[0], RAMP)


@pytest.mark.parametrize("top", [4095, 65535])
@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_deep_pictures_are_scaled_by_their_range(tmp_path, name, top):
    deep = np.round(RAMP / 235 * top).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / name)
    grey = decode(row(tmp_path / name))[0]
    assert grey.dtype == np.uint8 and grey.min() == 0 and grey.max() == 255
    np.testing.assert_allclose(grey, RAMP * (255 / 235), atol=0.51)


def test_first_picture_of_several_is_used_and_noted(tmp_path):
    cases = make(tmp_path)
    frames = [picture(100), picture(101), picture(102)]
    frames[0].save(tmp_path / "clip.gif", save_all=True, append_images=frames[1:])
    put(cases, 7, "image", str(tmp_path / "clip.gif"))
    good, (note,) = check_cases(cases, strict=True)
    assert len(good) == 20 and not note.left_out and "holds 3 pictures" in note.what
    np.testing.assert_array_equal(decode(good.iloc[7])[0], np.asarray(picture(100)))


def test_decode_takes_every_sort_of_row(tmp_path):
    cases = make(tmp_path, 1)
    rows = [cases.iloc[0], next(cases.itertuples()), cases.iloc[0].to_dict()]
    for image, mask in map(decode, rows):
        assert image.shape == (HEIGHT, WIDTH) and (mask == 1).sum() == 20 * 15


def test_class_index():
    assert [class_index(label) for label in (*LABELS, None)] == [0, 1, -1, 1, -1]


# ---------------------------------------------------------------------------------- orientation

# What the viewer does with the stored pixels (EXIF 2.32, tag 274: where row 0 and column 0 are).
TURNS = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.T,
    6: lambda stored: stored.T[:, ::-1],  # row 0 of the file is the right-hand side
    7: lambda stored: stored[::-1, ::-1].T,
    8: lambda stored: stored.T[::-1],  # row 0 of the file is the left-hand side
}


def save_turned(stored: np.ndarray, file: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    options = {".webp": {"lossless": True}, ".tiff": {"compression": "tiff_lzw"}}
    Image.fromarray(stored).save(file, exif=exif.tobytes(), **options.get(file.suffix, {}))


@pytest.mark.parametrize("kind", ["png", "tif", "tiff", "webp"])
@pytest.mark.parametrize("orientation", TURNS)
def test_image_and_mask_are_turned_as_their_exif_asks(tmp_path, orientation, kind):
    image, mask = tmp_path / f"a.{kind}", tmp_path / f"m.{kind}"
    save_turned(np.asarray(picture(0)), image, orientation)
    save_turned(np.asarray(square()), mask, orientation)
    grey, nodule = decode(row(image, Region(str(mask))))
    np.testing.assert_array_equal(grey, TURNS[orientation](np.asarray(picture(0))))
    np.testing.assert_array_equal(nodule, TURNS[orientation](np.asarray(square())) // 255)


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_mask_that_was_drawn_on_the_turned_picture_fits_it_and_is_noted(tmp_path, orientation):
    cases = make(tmp_path)
    save_turned(np.asarray(picture(7)), tmp_path / "007.png", orientation)
    good, (note,) = check_cases(cases, strict=True)
    assert len(good) == 20 and not note.left_out and note.file.endswith("007_mask.png")
    assert f"EXIF orientation {orientation}" in note.what and "as shown" in note.what
    np.testing.assert_array_equal(decode(good.iloc[7])[1] > 0, np.asarray(square()) > 0)


def test_a_mask_that_was_drawn_on_the_stored_picture_is_refused(tmp_path):
    cases = make(tmp_path)
    save_turned(np.asarray(picture(7)), tmp_path / "007.png", 6)
    good, (problem,) = check_cases(cases)
    assert len(good) == 19 and problem.left_out
    assert "mask is 48 x 40 px, but its image" in problem.what and "40 x 48" in problem.what
    assert "EXIF orientation 6" in problem.what and "as it is shown" in problem.what


def test_damaged_exif_does_not_damage_the_picture(tmp_path):
    cases = make(tmp_path)
    picture(7).save(tmp_path / "007.png", exif=b"Exif\0\0MM\0*" + b"\xff" * 40)
    good, problems = check_cases(cases, strict=True)
    assert problems == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's; check_cases has kept it to itself
        np.testing.assert_array_equal(decode(good.iloc[7])[0], np.asarray(picture(7)))


def test_one_note_for_many_files(tmp_path):
    cases = make(tmp_path)
    for at in range(10):
        save_turned(np.asarray(picture(at)), tmp_path / f"{at:03}.png", 3)
    good, (note,) = check_cases(cases)
    assert len(good) == 20 and note.file.endswith("000_mask.png")
    assert "(and 9 more: 001_mask.png, 002_mask.png, 003_mask.png, ...)" in note.what
    assert check_cases(good)[1] == [note], "a second pass repeats nothing"


# ------------------------------------------------------------------------------- near duplicates


def variants():
    noise = np.random.default_rng(1).normal(0, 4, (120, 160))
    return {
        "same": lambda im: im,
        "half size": lambda im: im.resize((80, 60)),
        "brighter": lambda im: ImageEnhance.Brightness(im).enhance(1.15),
        "noisy": lambda im: Image.fromarray(
            np.clip(np.asarray(im) + noise, 0, 255).astype(np.uint8)
        ),
        "cropped": lambda im: im.crop((1, 1, 159, 119)),
    } | {way.name: partial(Image.Image.transpose, method=way) for way in Image.Transpose}


def big(seed):
    return picture(seed, 40, 30).resize((160, 120), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("change", variants())
def test_near_duplicates_share_a_group(tmp_path, change):
    cases = make(tmp_path)
    for at in range(20):
        big(at).save(tmp_path / f"{at:03}.png")
    variants()[change](big(3)).save(tmp_path / "014.png")  # both benign? 3 -> p1, 14 -> p7
    cases["mask"] = [(Region(((4, 4), (30, 4), (30, 30))),)] * 20
    cases["label"] = "benign"
    table, (note,) = group_near_duplicates(cases)
    assert len(table) == 20 and not note.left_out
    assert "003.png" in note.file and "014.png" in note.what and "p1, p7" in note.what
    assert str(tmp_path) not in note.what, "a note names one path: that of its own file"
    # The whole of both patients is one group now, and nothing else changed.
    assert [g for g in table["group"]] == [g if g != "p7" else "p1" for g in cases["group"]]


def test_different_pictures_are_not_joined(tmp_path):
    cases = make(tmp_path, 60)
    table, problems = group_near_duplicates(cases)
    assert problems == []
    pd.testing.assert_series_equal(table["group"], cases["group"].astype(str))


def test_same_shading_is_not_the_same_picture(tmp_path):
    """Every scan is bright above and dark below: that alone must not make two of them alike."""
    shade = np.linspace(220, 30, 120)[:, None]
    cases = make(tmp_path)
    for at in range(20):
        detail = np.asarray(big(at), dtype=float) - 128
        shaded = np.clip(shade + 0.15 * detail, 0, 255).astype(np.uint8)
        Image.fromarray(shaded).save(tmp_path / f"{at:03}.png")
    cases["mask"] = [()] * 20
    small = [np.asarray(Image.open(f).resize((32, 32))).ravel() for f in cases["image"]]
    assert np.corrcoef(small).min() > 0.9
    assert group_near_duplicates(cases)[1] == []


@pytest.mark.parametrize(("bits", "one"), [(48, True), (49, False)])
def test_neighbouring_frames_are_near_and_other_nodules_are_not(tmp_path, monkeypatch, bits, one):
    """On DDTI and BUS-BRA frames of a clip differ in up to 42 bits, other nodules in 60 or more."""
    cases = make(tmp_path, 2, group=["a", "b"], label="benign")
    signs = np.packbits([[False] * 256, [True] * bits + [False] * (256 - bits)], axis=1)
    thumbnail = np.arange(1024).reshape(32, 32)
    seen = {
        case: Look((), (), (), signs=own, thumbnail=thumbnail)
        for case, own in zip(cases["case"], signs, strict=True)
    }
    monkeypatch.setattr(duplicates, "look", lambda row: seen[row["case"]])
    table, notes = group_near_duplicates(cases)
    assert (table["group"].nunique() == 1) == one == bool(notes)


def test_duplicates_are_found_however_far_apart_they_stand():
    """The table is compared in tiles of 128 by 2048 rows."""
    hashes = np.random.default_rng(0).integers(0, 256, (5000, 32), np.uint8)
    hashes[4999], hashes[2500] = hashes[0], hashes[1]
    assert sorted(duplicates._near(hashes, 20)) == [(0, 4999), (1, 2500)]


def test_conflicting_labels_are_all_left_out(tmp_path):
    cases = make(tmp_path)
    source = (tmp_path / "002.png").read_bytes()  # p1: malignant
    for at in (8, 16):
        (tmp_path / f"{at:03}.png").write_bytes(source)
    assert [cases["label"][at] for at in (2, 8, 16)] == ["malignant", "benign", "malignant"]
    table, problems = group_near_duplicates(cases)
    assert set(cases["case"]) - set(table["case"]) == {"002", "008", "016"}
    assert [p.case for p in problems] == ["002", "008", "016"]
    assert all(p.left_out for p in problems)
    assert "008.png (benign)" in problems[0].what and "002.png (malignant)" in problems[1].what
    assert not any(str(tmp_path) in p.what for p in problems)
    # What is left of the three patients may still be one patient.
    assert table.set_index("case").loc[["003", "009", "017"], "group"].nunique() == 1
    with pytest.raises(CaseError, match=r"(?s)3 problems.*002\.png"):
        prepare_cases(cases, strict=True)


def test_unlabelled_copy_is_no_conflict(tmp_path):
    cases = make(tmp_path)
    (tmp_path / "014.png").write_bytes((tmp_path / "003.png").read_bytes())
    put(cases, 14, "label", None)
    table, problems = group_near_duplicates(cases)
    assert len(table) == 20 and [p.left_out for p in problems] == [False]


def test_duplicates_chain_into_one_group(tmp_path):
    cases = make(tmp_path, label="benign")
    for a, b in ((0, 4), (5, 9), (8, 12)):  # p0-p2, p2-p4, p4-p6
        (tmp_path / f"{b:03}.png").write_bytes((tmp_path / f"{a:03}.png").read_bytes())
    table, _ = group_near_duplicates(cases)
    groups = dict(zip(cases["group"], table["group"], strict=True))
    assert {groups[p] for p in ("p0", "p2", "p4", "p6")} == {"p0"}
    assert table["group"].nunique() == 7


def test_ddti_near_duplicates(shared_data):
    folder = shared_data("ddti")
    files = sorted(folder.glob("*.jpg"))
    cases = pd.DataFrame(
        {
            "case": [f.stem for f in files],
            "image": [str(f) for f in files],
            "mask": [()] * len(files),
            "label": None,
            "group": [f.stem.split("_")[0] for f in files],
            "crop": None,
        }
    )
    table, _ = group_near_duplicates(cases)
    joined = table.assign(patient=cases["group"]).groupby("group")["patient"].agg(set)
    # Known by eye: one picture under five cases, one under two; nothing else crosses patients.
    assert sorted(map(sorted, joined[joined.map(len) > 1])) == [
        ["150", "233", "323", "326", "349"],
        ["353", "396"],
    ]


# ----------------------------------------------------------------------------------------- split


def table_of(number, seed=0, per_group=3):
    """Rows without files: a split looks at labels and groups only."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(["benign", "malignant", "normal", None], number, p=[0.5, 0.3, 0.1, 0.1])
    return pd.DataFrame(
        {
            "case": [f"c{at:04}" for at in range(number)],
            "image": [f"c{at:04}.png" for at in range(number)],
            "mask": [()] * number,
            "label": labels,
            "group": [f"g{g}" for g in rng.integers(0, number // per_group, number)],
            "crop": None,
            "hospital": "A",
        }
    )


def assert_disjoint(table):
    assert (table.groupby("group")["split"].nunique() == 1).all()


def test_split_is_stratified_grouped_and_three_to_one_to_one():
    cases = table_of(1000)
    table = split_cases(cases)
    assert_disjoint(table)
    shares = table["split"].value_counts(normalize=True)
    for name, share in (("train", 0.6), ("valid", 0.2), ("test", 0.2)):
        assert abs(shares[name] - share) < 0.01
    labels = table["label"].map(lambda label: label or "unlabelled")
    by_label = pd.crosstab(labels, table["split"], normalize="index")
    assert (by_label["train"] - 0.6).abs().max() < 0.02
    assert (by_label["test"] - 0.2).abs().max() < 0.02
    assert len(by_label) == 4
    assert table["case"].tolist() == cases["case"].tolist() and "hospital" in table


def test_split_depends_on_seed_and_not_on_row_order():
    cases = table_of(300)
    one = split_cases(cases).set_index("case")["split"]
    shuffled = split_cases(cases.sample(frac=1, random_state=3)).set_index("case")["split"]
    other = split_cases(cases, seed=1).set_index("case")["split"]
    pd.testing.assert_series_equal(one.sort_index(), shuffled.sort_index())
    assert (one != other).mean() > 0.2


@pytest.mark.parametrize(
    ("source", "digest"), [("busbra", "864b92f8daaa"), ("ddti", "deae34c063c4")]
)
def test_published_sets_are_split_as_ever(shared_data, source, digest):
    cases = sources.read(source, shared_data(source))
    if source == "ddti":
        cases, _ = group_near_duplicates(cases)
    assert split_digest(split_cases(cases, fold=1 if source == "busbra" else None)) == digest


@pytest.mark.parametrize(("seed", "digest"), [(0, "6b8cbaf0ae09"), (1, "a2564a7ed38a")])
def test_the_phantom_is_split_as_ever(tmp_path, seed, digest):
    assert split_digest(split_cases(phantom.read(tmp_path, cases=80), seed=seed)) == digest


def test_other_ratios():
    shares = split_cases(table_of(1000), ratio=(16, 2, 2))["split"].value_counts(normalize=True)
    assert abs(shares["train"] - 0.8) < 0.01 and abs(shares["test"] - 0.1) < 0.01
    for bad in ((3, 1), (3, 0, 1), (0.6, 0.2, 0.2)):
        with pytest.raises(CaseError, match="three whole numbers"):
            split_cases(table_of(100), ratio=bad)


def test_too_few_groups_or_cases_of_a_class():
    with pytest.raises(CaseError, match="2 groups cannot be split 3:1:1; 5 are needed"):
        split_cases(table_of(12).assign(group=["a", "b"] * 6))
    few = table_of(5).assign(
        group=list("abcde"), label=["benign", "malignant", "normal", None, "both"]
    )
    with pytest.raises(CaseError, match="cannot be split"):
        split_cases(few)
    alone = with_folds()
    alone["label"] = np.where(alone["fold"] == 4, "malignant", "benign")
    with pytest.raises(CaseError, match=r"no malignant case in train, no malignant case in valid"):
        split_cases(alone, fold=4)


def with_folds(number=100):
    cases = table_of(number).assign(group=[f"g{at // 2}" for at in range(number)])
    cases["label"] = ["benign", "benign", "malignant", "malignant"] * (number // 4)
    cases["fold"] = [at // 2 % 5 + 1 for at in range(number)]
    return cases


def test_official_folds():
    cases = with_folds()
    for fold in range(1, 6):
        table = split_cases(cases, fold=fold)
        assert (table["split"] == "test").tolist() == (cases["fold"] == fold).tolist()
        after = fold % 5 + 1  # without valid_ columns: the next fold
        assert (table["split"] == "valid").tolist() == (cases["fold"] == after).tolist()
        assert table.attrs["left_out"] == []


def test_official_validation_sets_and_groups_that_straddle():
    cases = with_folds()
    # As BUS-BRA publishes it: 1 train, 0 validation, NaN test, and a patient's two sides torn.
    first_in_train = np.arange(100) // 2 % 3 > 0
    second = np.arange(100) % 2 == 1
    cases["valid_2"] = np.where(cases["fold"] == 2, np.nan, first_in_train ^ second)
    cases.loc[2, ["fold", "valid_2"]] = 1, 1  # the other half of g1 is in the test fold
    table = split_cases(cases, fold=2)
    expected = np.where(first_in_train, "train", "valid")
    expected[cases["fold"] == 2] = "test"
    expected[2] = "test"
    assert table["split"].tolist() == expected.tolist()
    notes = table.attrs["left_out"]
    assert len(notes) == 3 and not any(note.left_out for note in notes)
    (to_test,) = [note for note in notes if "train set to test" in note.what]
    assert to_test.file == "c0002.png" and "'g1'" in to_test.what


def test_straddling_groups_keep_the_sizes():
    cases = with_folds(400)
    order = np.random.default_rng(0).random(400)
    cases["valid_1"] = np.where(cases["fold"] == 1, np.nan, order > 0.25)
    table = split_cases(cases, fold=1)
    assert_disjoint(table)
    assert (table["split"] == "test").sum() == 80
    assert 50 < (table["split"] == "valid").sum() < 110  # a quarter of 320


@pytest.mark.parametrize(
    ("change", "fold", "words"),
    [
        (lambda c: c.drop(columns="fold"), 1, "no official folds"),
        (lambda c: c, 6, r"no fold 6; there are 1, 2, 3, 4, 5"),
        (lambda c: c.assign(fold=[np.nan] + [2] * 99), 2, r"c0000\.png: no official fold"),
        (lambda c: c.assign(fold=1), 1, "no case falls into the split 'train'"),
    ],
)
def test_bad_folds(change, fold, words):
    with pytest.raises(CaseError, match=words):
        split_cases(change(with_folds()), fold=fold)


def test_busbra_official_folds_are_grouped(shared_data):
    folder = shared_data("busbra")
    data = pd.read_csv(folder / "bus_data.csv")
    folds = pd.read_csv(folder / "5-fold-cv.csv").set_index("ID").loc[data["ID"]].reset_index()
    cases = table_of(len(data)).assign(
        case=data["ID"], label=data["Pathology"], group=data["Case"].astype(str),
        fold=folds["kFold"], valid_1=folds["valid_1"],
    )  # fmt: skip
    table = split_cases(cases, fold=1)
    assert_disjoint(table)
    # The published test fold holds whole patients and stays; the validation set does not.
    assert (table["split"] == "test").tolist() == (cases["fold"] == 1).tolist()
    assert abs((table["split"] == "valid").sum() - (cases["valid_1"] == 0).sum()) < 30
    assert len(table.attrs["left_out"]) == 2


# --------------------------------------------------------------------------------------- prepare


def test_prepare_is_check_then_groups_then_split(tmp_path, capfd):
    cases = make(tmp_path, 60)
    (tmp_path / "004.png").unlink()
    (tmp_path / "031.png").write_bytes((tmp_path / "010.png").read_bytes())
    cases["hospital"] = "A"
    cases.attrs["left_out"] = [Problem("z", "z.xml", "polygon cut off")]
    table, problems = prepare_cases(cases)
    assert [Path(p.file).name for p in problems] == ["z.xml", "004.png", "010.png"]
    assert table.attrs["left_out"] == problems
    assert_disjoint(table)
    assert set(table["split"]) == {"train", "valid", "test"} and "hospital" in table
    one = table.set_index("case")
    assert one["split"]["010"] == one["split"]["031"]
    assert capfd.readouterr() == ("", "")
    with pytest.raises(CaseError, match=r"(?s)2 problems.*z\.xml.*004\.png"):
        prepare_cases(cases, strict=True)


def test_prepare_takes_official_folds_unless_told(tmp_path):
    cases = make(tmp_path, 40, fold=[at // 10 + 1 for at in range(40)])
    first, _ = prepare_cases(cases)
    assert (first["split"] == "test").tolist() == (cases["fold"] == 1).tolist()
    third, _ = prepare_cases(cases, fold=3)
    assert (third["split"] == "test").tolist() == (cases["fold"] == 3).tolist()
    random, _ = prepare_cases(cases, fold=0)
    pd.testing.assert_series_equal(random["split"], split_cases(cases)["split"])


def test_prepare_keeps_the_user_s_split_but_not_its_leaks(tmp_path):
    cases = with_splits(make(tmp_path, 24))
    # Nearly, not exactly, the same picture: only the perceptual hash sees it.
    ImageEnhance.Brightness(Image.open(tmp_path / "001.png")).enhance(0.9).save(
        tmp_path / "020.png"
    )
    put(cases, 20, "label", cases["label"][1])
    table, problems = prepare_cases(cases)
    assert set(cases["case"]) - set(table["case"]) == {"000", "001"}  # all of patient p0
    kept = cases.set_index("case")["split"][table["case"]]
    assert table["split"].tolist() == kept.tolist()
    assert [p.left_out for p in problems] == [False, True, True]


def test_prepare_counts_again_after_conflicts(tmp_path):
    cases = make(tmp_path, 10)
    (tmp_path / "003.png").write_bytes((tmp_path / "000.png").read_bytes())
    with pytest.raises(CaseError, match=r"8 of 10 cases.*minimum=10"):
        prepare_cases(cases)


# ----------------------------------------------------------------------------------- fingerprint


def test_fingerprint_ignores_folder_and_order(tmp_path):
    one, two = make(tmp_path / "a", 12), make(tmp_path / "b" / "c", 12)
    mark = fingerprint(one)
    assert len(mark) == 64 and int(mark, 16)
    assert fingerprint(two) == mark
    assert fingerprint(two.sample(frac=1, random_state=0)) == mark
    assert fingerprint(check_cases(one)[0]) == mark
    assert fingerprint(one.assign(split="train", hospital="A")) == mark


def _one_pixel(name):
    def change(cases, folder):
        with Image.open(folder / name) as image:
            pixels = np.array(image)
        pixels[5, 5] = 255 - pixels[5, 5]
        Image.fromarray(pixels).save(folder / name)

    return change


@pytest.mark.parametrize(
    "change",
    [
        _one_pixel("007.png"),
        _one_pixel("007_mask.png"),
        _cell("label", "benign"),
        _cell("label", None),
        _cell("group", "p0"),
        _cell("case", "seven"),
        _cell("crop", (0, 0, WIDTH, HEIGHT)),
        _cell("mask", ()),
        _cell("mask", (Region(((4, 4), (30, 4), (30, 30)), "benign"),)),
    ],
)
def test_fingerprint_sees_every_change(tmp_path, change):
    cases = make(tmp_path, 10)
    before = fingerprint(cases)
    change(cases, tmp_path)
    assert fingerprint(cases) != before


def test_fingerprint_names_a_missing_file(tmp_path):
    cases = make(tmp_path, 10)
    (tmp_path / "007.png").unlink()
    with pytest.raises(CaseError, match=r"007\.png: no such file"):
        fingerprint(cases)


def test_fingerprint_reads_every_file_once(tmp_path, monkeypatch):
    """The cost is one decoding of each file; a clock would measure the machine's other work."""
    cases = phantom.read(tmp_path, cases=12, size=48)
    opened = Counter()
    plain = pixels.read_file

    def count(file, report, look):
        opened[file] += 1
        return plain(file, report, look)

    monkeypatch.setattr(pixels, "read_file", count)
    fingerprint(cases)
    files = [*cases["image"], *(region.outline for regions in cases["mask"] for region in regions)]
    assert opened == Counter(map(str, files))
