"""Every source in its published layout: tiny trees made here, and the real sets where present."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from book.kit import expert
from ci import birads
from lib import sources
from lib.cases import CaseError, check_cases, decode, fingerprint, prepare_cases, split_cases

RNG = np.random.default_rng(0)


def save(path: Path, pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)
    return path


def speckle(height=24, width=32):
    return RNG.integers(40, 200, (height, width))


def square(value=255, box=(4, 4, 12, 12), shape=(24, 32)):
    x0, y0, x1, y1 = box
    mask = np.zeros(shape)
    mask[y0:y1, x0:x1] = value
    return mask


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def said(cases, left_out=True) -> dict[str, str]:
    """case -> what the reader found."""
    return {p.case: p.what for p in cases.attrs["left_out"] if p.left_out == left_out}


# ---------------------------------------------------------------------------------- all of them


def test_an_unknown_name_lists_near_ones():
    with pytest.raises(CaseError, match="did you mean busbra"):
        sources.read("bus-bra")
    with pytest.raises(CaseError, match=r"did you mean tnscui"):
        sources.read("TN-SCUI")
    with pytest.raises(CaseError, match="Known are phantom, busbra, ddti"):
        sources.read("imagenet")


def test_an_unknown_option_lists_the_known():
    with pytest.raises(CaseError, match="unknown option flod; known are fold"):
        sources.read("tn3k", ".", flod=1)
    with pytest.raises(CaseError, match="known are none"):
        sources.read("busi", ".", fold=1)


@pytest.mark.parametrize("name", ["busbra", "ddti", "busi", "tn3k", "tnscui", "folder"])
def test_a_wrong_root_says_what_was_looked_for(name, tmp_path):
    with pytest.raises(CaseError) as error:
        sources.read(name, tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} does not exist" in str(error.value)
    with pytest.raises(CaseError) as error:
        sources.read(name, write(tmp_path / "file", ""))
    assert "is not a folder" in str(error.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaseError) as error:
        sources.read(name, tmp_path / "empty")
    for part in ("is missing", f"data/{name}.md", f"python data/fetch.py {name}"):
        assert part in str(error.value)


def test_without_a_root_the_project_data_folder_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.layout, "DATA", tmp_path)
    make_tnscui(tmp_path / "tnscui")
    assert len(sources.read("tnscui")) == len(sources.read("tnscui", "")) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ID,WHAT\n1,2\n", "no column CATE; it has ID, WHAT"),
        (b"", "no column ID, CATE; it has none"),
        (b"ID,CATE\n1.PNG\n", "row 2 has 1 cells, 2 are expected"),
        (b"ID,CATE,CATE\n1.PNG,1,0\n", "used twice"),
        (b"ID,CATE\n\xff\xfe\x00,1\n", "cannot be read as a csv file"),
        (b'ID,CATE\n"1.PNG,1\n', "cannot be read as a csv file"),
        (b"ID,CATE\n", "no case can be used"),
    ],
)
def test_damaged_csv_files_are_named(tmp_path, content, message):
    make_tnscui(tmp_path)
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(CaseError, match=message) as error:
        sources.read("tnscui", tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_csv_from_a_spreadsheet_is_read(tmp_path):
    """With a byte order mark, carriage returns, blanks and empty lines."""
    make_tnscui(tmp_path)
    (tmp_path / "train.csv").write_bytes("\ufeffID, CATE\r\n 1.PNG , 1\r\n\r\n,\r\n".encode())
    assert sources.read("tnscui", tmp_path)["label"].tolist() == ["malignant"]


# ---------------------------------------------------------------------------------------- busbra


def make_busbra(root: Path, patients=6) -> Path:
    data = ["ID,Case,Histology,Pathology,BIRADS,Device,Width,Height,Side,BBOX"]
    folds = ["ID,Pathology,kFold,valid_1,valid_2,valid_3,valid_4,valid_5"]
    for patient in range(1, patients + 1):
        label = "malignant" if patient % 2 else "benign"
        for side in "lr":
            name = f"bus_{patient:04d}-{side}"
            save(root / "Images" / f"{name}.png", speckle())
            save(root / "Masks" / f"mask_{name[4:]}.png", square())
            data.append(f'{name},{patient},x,{label},4,"GE, Logiq",274,353,left,"[91,24,103,79]"')
            fold = (patient - 1) % 5 + 1
            valid = ["NaN" if k == fold else str(int(k % 5 + 1 != fold)) for k in range(1, 6)]
            folds.append(f"{name},{label},{fold},{','.join(valid)}")
    write(root / "bus_data.csv", "\n".join(data))
    write(root / "5-fold-cv.csv", "\n".join(folds))
    return root


def test_busbra(tmp_path):
    make_busbra(tmp_path / "BUSBRA", patients=10)
    cases = sources.read("busbra", tmp_path)  # the archive's inner folder is found
    assert len(cases) == 20 and cases["group"].nunique() == 10
    row = cases.iloc[1]
    assert row["case"] == "bus_0001-r" and row["label"] == "malignant" and row["group"] == "1"
    assert row["mask"][0].outline.endswith("Masks/mask_0001-r.png") and row["crop"] is None
    assert row["fold"] == 1 and math.isnan(row["valid_1"]) and row["valid_5"] == 0
    assert decode(row)[1].sum() == 2 * 64  # the malignant square, 8 x 8
    split = split_cases(cases, fold=5).set_index("case")["split"]
    assert split["bus_0005-l"] == "test" and split["bus_0001-l"] == "valid"
    assert (split == "train").sum() == 12
    assert not check_cases(cases)[1]


def test_the_experts_categories_are_written_as_the_publisher_has_them(tmp_path, monkeypatch):
    make_busbra(tmp_path / "BUSBRA")
    target = tmp_path / "birads.json"
    monkeypatch.setattr(birads, "TARGET", target)
    monkeypatch.setattr("sys.argv", ["birads.py", str(tmp_path)])
    birads.main()
    told = json.loads(target.read_text())
    cases = sources.read("busbra", tmp_path)
    assert told["fingerprint"] == fingerprint(cases)
    assert told["categories"]["4"] == sorted(cases["case"])
    assert expert.load(target).of(["bus_0001-l"]).tolist() == [4]
    table = tmp_path / "BUSBRA" / "bus_data.csv"
    write(table, table.read_text().replace("malignant,4,", "malignant,4a,", 1))
    with pytest.raises(CaseError, match=r"bus_data\.csv: BIRADS of bus_0001-l is '4a', not 2 to 5"):
        birads.main()
    assert json.loads(target.read_text()) == told


def test_busbra_reports_what_does_not_fit(tmp_path):
    make_busbra(tmp_path)
    with (tmp_path / "bus_data.csv").open("a") as file:
        file.write("\n../../etc/passwd,9,x,benign,4,d,1,1,left,[]")
        file.write("\nbus_0007-l,7,x,benign,4,d,1,1,left,[]\nbus_0001-l,1,x,odd,4,d,1,1,left,[]")
    save(tmp_path / "Images" / "bus_0009-s.png", speckle())
    cases = sources.read("busbra", tmp_path)
    assert said(cases) == {
        "../../etc/passwd": "ID '../../etc/passwd' is not of the form bus_...",
        "bus_0009-s": "not listed in bus_data.csv",
    }
    assert math.isnan(cases.set_index("case")["fold"]["bus_0007-l"])
    text = " ".join(str(p) for p in check_cases(cases)[1])
    assert "bus_0007-l.png: no such file" in text and "mask_0007-l.png: no such file" in text
    assert "unknown label 'odd'" in text and "'bus_0001-l' is used 2 times" in text


def test_busbra_folds_must_be_numbers(tmp_path):
    make_busbra(tmp_path)
    path = tmp_path / "5-fold-cv.csv"
    good = path.read_text()
    path.write_text(good.replace("bus_0001-l,malignant,1,", "bus_0001-l,malignant,one,"))
    with pytest.raises(CaseError, match="column kFold of bus_0001-l is 'one'"):
        sources.read("busbra", tmp_path)
    path.write_text(good + "\nbus_0001-l,malignant,2,1,1,1,1,1")
    with pytest.raises(CaseError, match="bus_0001-l is listed twice"):
        sources.read("busbra", tmp_path)
    with pytest.raises(CaseError, match=r"10-fold-cv\.csv is missing"):
        sources.read("busbra", tmp_path, folds=10)
    with pytest.raises(CaseError, match="folds=7"):
        sources.read("busbra", tmp_path, folds=7)


def test_busbra_real(shared_data):
    cases = sources.read("busbra", shared_data("busbra"))
    assert len(cases) == 1875 and cases["group"].nunique() == 1064
    assert Counter(cases["label"]) == {"benign": 1268, "malignant": 607}
    assert not said(cases)
    assert (cases.groupby("group")["fold"].nunique() == 1).all()
    for k in range(1, 6):  # a case has no role in training where it is tested
        assert (cases[f"valid_{k}"].isna() == (cases["fold"] == k)).all()
    image, mask = decode(cases.iloc[0])
    assert max(image.shape) <= 256 and set(np.unique(mask)) == {0, 2}
    assert len(sources.read("busbra", shared_data("busbra"), folds=10)["fold"].unique()) == 10


# ------------------------------------------------------------------------------------------ ddti


def svg(*polygons) -> str:
    """Polygons in the words of the data set."""
    return json.dumps(
        [
            {"points": [{"x": x, "y": y} for x, y in p], "annotation": {}, "regionType": "freehand"}
            for p in polygons
        ]
    )


def report(*marks, tirads="", head="") -> str:
    inner = "".join(f"<mark><image>{k}</image><svg>{text}</svg></mark>" for k, text in marks)
    return f"{head}<case><number>1</number><tirads>{tirads}</tirads>{inner}</case>"


def scan(path: Path, view=(60, 10, 220, 130), text=True, seam=False) -> Path:
    """A screen of 280 x 180 px: speckle in `view`, letters below it, ticks and a bar beside it."""
    x0, y0, x1, y1 = view
    screen = np.zeros((180, 280))
    screen[y0:y1, x0:x1] = RNG.integers(30, 200, (y1 - y0, x1 - x0))
    screen[60:90, 110:150] = 0  # a cyst: black inside the field of view
    if seam:
        screen[y0:y1, 139:142] = 0
    screen[80:120, 8:16] = 200  # grey bar
    screen[y0:y1:10, x0 - 6] = 255  # depth ticks
    if text:
        for at in range(70, 200, 9):  # "HHH...": strokes of 2 px
            screen[150:164, at : at + 2] = screen[150:164, at + 5 : at + 7] = 255
            screen[156:158, at : at + 7] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(screen.astype(np.uint8)).convert("RGB").save(path, quality=90)
    return path


TRIANGLE = ((100, 50), (140, 50), (140, 90))
OTHER = ((160, 50), (180, 50), (180, 70))


def test_ddti(tmp_path):
    for number in (1, 2):
        scan(tmp_path / f"7_{number}.jpg", seam=number == 2)
    scan(tmp_path / "10_1.jpg")
    write(tmp_path / "7.xml", report((1, svg(TRIANGLE)), (2, svg(TRIANGLE, OTHER)), tirads=" 4A "))
    write(tmp_path / "10.xml", report((1, svg(TRIANGLE))))
    cases = sources.read("ddti", tmp_path)
    assert cases["case"].tolist() == ["7_1", "7_2", "10_1"]
    assert cases["group"].tolist() == ["7", "7", "10"]
    assert cases["label"].tolist() == ["malignant", "malignant", None]
    assert [len(regions) for regions in cases["mask"]] == [1, 2, 1]
    assert cases["mask"][0][0].outline == tuple((float(x), float(y)) for x, y in TRIANGLE)
    for crop in cases["crop"]:  # the field of view to within 2 px: no text, ticks or bar
        assert np.abs(np.subtract(crop, (60, 10, 220, 130))).max() <= 2
    image, mask = decode(cases.iloc[1])
    assert image.shape == mask.shape and set(np.unique(mask)) == {0, 2}
    assert set(np.unique(decode(cases.iloc[2])[1])) == {0, 3}  # unlabelled: a nodule of no class
    assert not said(cases)


@pytest.mark.parametrize(
    ("tirads", "label"),
    [
        ("2", "benign"),
        ("3", "benign"),
        ("4a", "malignant"),
        ("4b", "malignant"),
        ("4c", "malignant"),
        ("5", "malignant"),
        ("", None),
        ("6", "6"),  # check_cases reports it
    ],
)
def test_ddti_labels(tmp_path, tirads, label):
    scan(tmp_path / "1_1.jpg")
    write(tmp_path / "1.xml", report((1, svg(TRIANGLE)), tirads=tirads))
    assert sources.read("ddti", tmp_path)["label"].tolist() == [label]


NAN = '[{"points": [{"x": NaN, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}]}]'
DEFECTS = {
    "cut off": (svg(TRIANGLE, OTHER)[:-60], "cut off or damaged after"),
    "empty text": ("", "no outline is drawn"),
    "empty list": ("[]", "no outline is drawn"),
    "stroke": (svg(TRIANGLE[:2]), "no outline is drawn (only 1 of under 3 points)"),
    "no points": ('[{"regionType": "freehand"}]', "not a list of points"),
    "not a list": ('{"points": 3}', "not a list of points"),
    "a number": ("17", "cut off or damaged"),
    "words": ('[{"points": [{"x": "a", "y": 1}]}]', "not a list of points"),
    "NaN": (NAN, "not a number"),
    "nested": ("[" * 100_000, "cut off or damaged"),
    "far outside": (svg(((100, 50), (140, 50), (140, 300))), "px beyond the field of view"),
}


@pytest.mark.parametrize("kind", DEFECTS)
def test_ddti_outlines_that_cannot_be_used_are_left_out(tmp_path, kind):
    text, what = DEFECTS[kind]
    for number in (1, 2):
        scan(tmp_path / f"1_{number}.jpg")
    write(tmp_path / "1.xml", report((1, text), (2, svg(TRIANGLE)), tirads="2"))
    cases = sources.read("ddti", tmp_path)
    assert cases["case"].tolist() == ["1_2"]
    assert list(said(cases)) == ["1_1"] and what in said(cases)["1_1"]
    assert cases.attrs["left_out"][0].file.endswith("1_1.jpg")


def test_ddti_marks_and_images_must_belong_together(tmp_path):
    for name in ("1_1", "1_2", "3_1", "4_1"):
        scan(tmp_path / f"{name}.jpg")
    marks = ((1, svg(TRIANGLE)), (1, svg(OTHER, OTHER[:2])), (9, svg(TRIANGLE)))
    write(tmp_path / "1.xml", report(*marks, tirads="5"))
    write(tmp_path / "2.xml", report((1, svg(TRIANGLE)), tirads="2"))
    write(tmp_path / "3.xml", report(("../1", svg(TRIANGLE)), tirads="2"))
    write(tmp_path / "4.xml", "<case><tirads>2</tirads><mark>")
    cases = sources.read("ddti", tmp_path)
    assert cases["case"].tolist() == ["1_1"] and len(cases["mask"][0]) == 2  # both marks, united
    found = said(cases)
    assert found["1_9"] == "outlines 1_9.jpg, which is missing"
    assert found["2_1"] == "outlines 2_1.jpg, which is missing"
    assert found["1_2"] == "no outline in an XML file"
    assert "mark for image '../1'" in found["3_1"] and "4.xml is not well-formed" in found["4_1"]
    assert said(cases, left_out=False) == {"1_1": "1 mark of under 3 points in 1.xml ignored"}


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(("head", "tirads"), [(BOMB, "&b;"), (FILE, "&a;"), ("<!DOCTYPE x>", "2")])
def test_ddti_hostile_xml_stops_the_reading(tmp_path, head, tirads):
    scan(tmp_path / "1_1.jpg")
    write(tmp_path / "1.xml", report((1, svg(TRIANGLE)), tirads=tirads, head=head))
    with pytest.raises(CaseError, match="do not trust this copy") as error:
        sources.read("ddti", tmp_path)
    assert str(tmp_path / "1.xml") in str(error.value)


def test_ddti_xml_of_absurd_size(tmp_path, monkeypatch):
    scan(tmp_path / "1_1.jpg")
    write(tmp_path / "1.xml", report((1, svg(TRIANGLE))))
    monkeypatch.setattr(sources.ddti, "LARGEST_XML", 100)
    with pytest.raises(CaseError, match=r"1\.xml: .* far too large"):
        sources.read("ddti", tmp_path)


def test_ddti_crop_is_widened_for_an_outline_but_not_into_the_text(tmp_path):
    scan(tmp_path / "1_1.jpg")
    scan(tmp_path / "1_2.jpg")
    slip = ((53, 50), (140, 50), (140, 135))  # 7 px left of the view, 5 px below it
    into_text = ((100, 50), (140, 50), (140, 150))
    write(tmp_path / "1.xml", report((1, svg(slip)), (2, svg(into_text)), tirads="2"))
    cases = sources.read("ddti", tmp_path)
    assert cases["case"].tolist() == ["1_1"]
    x0, y0, x1, y1 = cases["crop"][0]
    assert (x0, y1) == (53, 136) and abs(y0 - 10) <= 2 and abs(x1 - 220) <= 2
    assert "beyond the field of view" in said(cases)["1_2"]


def test_ddti_without_a_field_of_view(tmp_path):
    """Never the whole image: its text could give the label away."""
    for number in (1, 2):
        scan(tmp_path / f"1_{number}.jpg")
    scan(tmp_path / "1_3.jpg", view=(60, 10, 100, 40))
    (tmp_path / "1_2.jpg").write_bytes(b"not a picture")
    marks = [(number, svg(TRIANGLE)) for number in (1, 2, 3)]
    write(tmp_path / "1.xml", report(*marks, tirads="2"))
    cases = sources.read("ddti", tmp_path)
    assert said(cases).keys() == {"1_3"} and "no field of view" in said(cases)["1_3"]
    assert cases["case"].tolist() == ["1_1", "1_2"]  # the damaged file is check_cases' to report
    with pytest.raises(CaseError, match="not an image"):
        check_cases(cases)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_ddti_is_cropped_whatever_the_bytes_are(tmp_path, kind):
    """What `check_cases` reads, the crop has to read, too: text beside the scan gives it away."""
    with Image.open(scan(tmp_path / "1_1.jpg")) as picture:
        picture.load()
    picture.save(tmp_path / "1_1.jpg", format=kind)
    write(tmp_path / "1.xml", report((1, svg(TRIANGLE)), tirads="2"))
    (crop,) = sources.read("ddti", tmp_path)["crop"]
    x0, y0, x1, y1 = crop
    assert x0 >= 54 and y0 >= 4 and x1 <= 230 and y1 < 148  # the text begins at 150


def test_ddti_of_an_empty_picture():
    assert sources.ddti.field_of_view(np.zeros((120, 160), np.uint8)) is None


# Where the text that tells the label stands (x0, y0, x1, y1), measured by hand in the real images.
TEXT = {
    "318_1": (113, 330, 330, 347),
    "330_2": (99, 336, 342, 350),
    "337_2": (95, 336, 292, 350),
    "359_2": (120, 327, 290, 339),
    "366_3": (104, 326, 316, 358),
    "382_1": (121, 332, 312, 348),
    "391_1": (120, 328, 435, 343),
}


@pytest.fixture(scope="module")
def ddti_real(shared_data):
    return sources.read("ddti", shared_data("ddti"))


def test_ddti_real_counts(ddti_real):
    assert len(ddti_real) == 464 and ddti_real["group"].nunique() == 380
    assert Counter(ddti_real["label"]) == {"benign": 60, "malignant": 279, None: 125}
    found = said(ddti_real)
    assert len(found) == 480 - 464
    cut = {name for name, what in found.items() if "cut off" in what}
    assert cut == {"54_1", "127_1", "165_1", "166_1", "176_1", "197_1", "203_1", "205_1"}
    empty = {name for name, what in found.items() if "no outline is drawn" in what}
    assert empty == {"62_3", "120_1", "142_2", "213_2", "230_2", "389_1"}
    assert found.keys() - cut - empty == {"80_2", "338_2"}
    assert "beyond the field of view" in found["338_2"]
    assert said(ddti_real, left_out=False).keys() == {
        "337_3",
        "358_1",
        "362_1",
        "378_1",
        "384_1",
        "399_1",
    }


def test_ddti_real_crops(ddti_real):
    crops = ddti_real.set_index("case")["crop"]
    for name, (_, top, _, _) in TEXT.items():
        assert crops[name][3] < top - 5, f"{name}: the text is inside the crop"
    boxes = np.array(crops.tolist())
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    # Two screen layouts: text stands below y = 317 in one, below 336 in the wide one.
    assert (boxes[boxes[:, 2] < 530][:, 3] <= 312).all() and (boxes[:, 3] <= 336).all()
    assert width.min() > 200 and height.min() > 200  # and no view is lost: the narrowest is 364_1
    for row in ddti_real.itertuples():
        points = np.array([p for region in row.mask for p in region.outline])
        assert (points >= row.crop[:2]).all() and (points < row.crop[2:]).all(), row.case


def test_ddti_real_can_be_trained_on(ddti_real):
    cases, problems = prepare_cases(ddti_real)
    splits = cases.groupby("group")["split"].nunique()
    assert (splits == 1).all()
    one_picture = cases[cases["case"].isin(["150_1", "233_2", "323_1", "326_1", "349_1"])]
    assert len(one_picture) == 5 and one_picture["split"].nunique() == 1
    assert any("349" in p.what and "353" not in p.what for p in problems)


# ------------------------------------------------------------------------------------------ busi


def make_busi(root: Path, images=4) -> Path:
    for label in ("benign", "malignant", "normal"):
        for n in range(1, images + 1):
            save(root / label / f"{label} ({n}).png", speckle())
            mask = square(0 if label == "normal" else 255)
            save(root / label / f"{label} ({n})_mask.png", mask)
    return root


def test_busi(tmp_path):
    root = make_busi(tmp_path / "Dataset_BUSI_with_GT")
    for n, box in ((1, (20, 4, 30, 12)), (2, (2, 14, 6, 20))):
        save(root / "benign" / f"benign (2)_mask_{n}.png", square(255, box))
    cases = sources.read("busi", tmp_path)
    assert Counter(cases["label"]) == {"benign": 4, "malignant": 4, "normal": 4}
    row = cases[cases["case"] == "benign (2)"].iloc[0]
    assert len(row["mask"]) == 3
    assert (decode(row)[1] == 1).sum() == 64 + 80 + 24  # the union of three squares
    normal = cases[cases["label"] == "normal"]
    assert normal["mask"].map(len).tolist() == [0] * 4
    assert cases["group"].nunique() == 12
    kept, problems = check_cases(cases)
    assert len(kept) == 12 and not problems


def test_busi_reports_what_does_not_fit(tmp_path):
    make_busi(tmp_path, images=5)
    save(tmp_path / "normal" / "normal (1)_mask.png", square())
    (tmp_path / "normal" / "normal (2)_mask.png").write_bytes(b"")
    (tmp_path / "benign" / "benign (1)_mask.png").unlink()
    (tmp_path / "malignant" / "malignant (1).png").unlink()
    cases = sources.read("busi", tmp_path)
    assert said(cases) == {"malignant (1)": "a mask without its image malignant (1).png"}
    kept, problems = check_cases(cases)
    assert len(kept) == 14 - 3
    text = " ".join(str(p) for p in problems)
    assert "labelled normal, but its mask holds 64 nodule pixels" in text
    assert "normal (2)_mask.png: the file is empty" in text
    assert "labelled benign, but its mask is empty" in text


def test_busi_files_are_in_their_natural_order(tmp_path):
    make_busi(tmp_path, images=11)
    names = sources.read("busi", tmp_path)["case"].tolist()
    assert names[:11] == [f"benign ({n})" for n in range(1, 12)]


# ------------------------------------------------------------------------------------------ tn3k


def make_tn3k(root: Path, trainval=12, test=4, labels=True, folds=True) -> Path:
    for part, count in (("trainval", trainval), ("test", test)):
        for n in range(count):
            # As published: JPEG masks, whose edges are grey. Not padded: 10 must come after 9.
            save(root / f"{part}-image" / f"{n}.jpg", speckle())
            save(root / f"{part}-mask" / f"{n}.jpg", square())
        if labels:
            rows = [f"{n}.jpg,{n % 2}" for n in range(count)]
            write(root / f"label4{part}.csv", "\n".join(rows))
    if folds:
        for k in range(5):
            valid = [n for n in range(trainval) if n % 5 == k]
            train = [n for n in reversed(range(trainval)) if n % 5 != k]
            write(root / f"tn3k-trainval-fold{k}.json", json.dumps({"train": train, "val": valid}))
    return root


def test_tn3k(tmp_path):
    make_tn3k(tmp_path / "tn3k")
    valid = {"train": list(range(10)), "val": [10, 11]}
    write(tmp_path / "tn3k" / "tn3k-trainval-fold3.json", json.dumps(valid))
    cases = sources.read("tn3k", tmp_path, fold=3).set_index("case", drop=False)
    assert Counter(cases["split"]) == {"train": 10, "valid": 2, "test": 4}
    # Positions count in numerical order: as text, 10 and 11 would be second and third.
    assert cases["split"]["trainval-10"] == cases["split"]["trainval-11"] == "valid"
    assert (cases["split"] == "test").equals(cases["official"] == "test")
    assert cases["label"]["trainval-0"] == "benign" and cases["label"]["test-3"] == "malignant"
    assert cases["group"].is_unique
    prepared, problems = prepare_cases(cases.reset_index(drop=True))
    assert Counter(prepared["split"]) == {"train": 10, "valid": 2, "test": 4} and not problems


def test_tn3k_masks_are_cut_at_128(tmp_path):
    make_tn3k(tmp_path)
    edge = square()
    edge[4:12, 12] = 127
    edge[4:12, 3] = 128
    save(tmp_path / "trainval-mask" / "1.png", edge)  # lossless, so that the values stand
    (tmp_path / "trainval-mask" / "1.jpg").unlink()
    row = sources.read("tn3k", tmp_path).iloc[1]
    assert (decode(row)[1] == 2).sum() == 64 + 8


def test_tn3k_without_labels_folds_or_a_split(tmp_path):
    make_tn3k(tmp_path, labels=False, folds=False)
    cases = sources.read("tn3k", tmp_path, fold=1)
    assert cases["label"].tolist() == [None] * 16
    valid = cases[cases["split"] == "valid"]["case"].tolist()
    assert valid == ["trainval-1", "trainval-6", "trainval-11"]
    free = sources.read("tn3k", tmp_path, fold=None)
    assert "split" not in free and Counter(free["official"]) == {"trainval": 12, "test": 4}
    with pytest.raises(CaseError, match="fold=5; there are 0 to 4"):
        sources.read("tn3k", tmp_path, fold=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not of the form"),
        ('{"train": [0]}', "not of the form"),
        ('{"train": "abc", "val": []}', "not of the form"),
        ('{"train": [0, 1], "val": [1]}', "each of the 12 images"),
        (json.dumps({"train": list(range(1, 12)), "val": [12]}), "up to 12"),
    ],
)
def test_tn3k_fold_files_must_fit_the_images(tmp_path, text, message):
    make_tn3k(tmp_path)
    path = write(tmp_path / "tn3k-trainval-fold0.json", text)
    with pytest.raises(CaseError, match=message) as error:
        sources.read("tn3k", tmp_path)
    assert str(path) in str(error.value)


def test_tn3k_an_image_has_one_label(tmp_path):
    make_tn3k(tmp_path)
    path = write(tmp_path / "label4test.csv", "0.jpg,0\n1.jpg,1\n0.jpg,1\n")
    with pytest.raises(CaseError, match=r"names 0\.jpg more than once") as error:
        sources.read("tn3k", tmp_path)
    assert str(path) in str(error.value)


def test_tn3k_reports_what_does_not_fit(tmp_path):
    make_tn3k(tmp_path)
    (tmp_path / "test-mask" / "2.jpg").unlink()
    save(tmp_path / "test-mask" / "8.jpg", square())
    write(tmp_path / "label4test.csv", "0.jpg,0\n1.jpg,2\n9.jpg,1\n")
    cases = sources.read("tn3k", tmp_path)
    assert said(cases) == {"test-8": "a mask without its image", "test-9.jpg": "no image 9.jpg"}
    text = " ".join(str(p) for p in check_cases(cases)[1])
    assert "unknown label '2'" in text and "mask is empty: no nodule is drawn" in text


# ---------------------------------------------------------------------------------------- tnscui


def make_tnscui(root: Path) -> Path:
    rows = ["ID,CATE"]
    for n in range(1, 5):
        save(root / "image" / f"{n}.PNG", speckle())
        save(root / "mask" / f"{n}.PNG", square())
        rows.append(f"{n}.PNG,{n % 2}")
    write(root / "train.csv", "\n".join(rows))
    return root


def test_tnscui(tmp_path):
    make_tnscui(tmp_path / "TNSCUI2020_train")
    cases = sources.read("tnscui", tmp_path)
    assert cases["case"].tolist() == ["1", "2", "3", "4"]
    assert cases["label"].tolist() == ["malignant", "benign"] * 2
    assert (decode(cases.iloc[0])[1] == 2).sum() == 64
    assert not check_cases(cases, minimum=4)[1]


def test_tnscui_reports_what_does_not_fit(tmp_path):
    make_tnscui(tmp_path)
    with (tmp_path / "train.csv").open("a") as file:
        file.write("\n9.PNG,1\n../image/1.PNG,1\n")
    save(tmp_path / "image" / "7.PNG", speckle())
    (tmp_path / "mask" / "2.PNG").unlink()
    write(
        tmp_path / "train.csv", (tmp_path / "train.csv").read_text().replace("3.PNG,1", "3.PNG,7")
    )
    cases = sources.read("tnscui", tmp_path)
    assert said(cases).keys() == {"7", "../image/1.PNG"}
    with pytest.raises(CaseError) as error:
        check_cases(cases, strict=True)
    for part in ("image/9.PNG: no such file", "mask/2.PNG: no such file", "unknown label '7'"):
        assert part in str(error.value)


# ---------------------------------------------------------------------------------------- folder


def make_folder(root: Path, labels: str) -> Path:
    for name in ("a.png", "b.jpg", "c.png", "d.tif"):
        save(root / "images" / name, speckle())
    save(root / "masks" / "a.png", square())
    save(root / "masks" / "b_mask.png", square())
    save(root / "masks" / "b_mask_1.png", square(255, (20, 4, 30, 12)))
    save(root / "masks" / "d.png", square())
    write(root / "labels.csv", labels)
    return root


def by_file(cases):
    """The table by file name: its own order tells nothing of the names."""
    return cases.set_index(cases["image"].map(lambda name: Path(name).name)).sort_index()


def test_folder_numbers_stay_and_names_are_given_on_request(tmp_path):
    make_folder(tmp_path, "image,label,patient\na.png,benign,p1\nb,malignant,p2\n")
    first = by_file(sources.read("folder", tmp_path))["case"]
    assert by_file(sources.read("folder", tmp_path))["case"].equals(first)
    rows = [f"{name},benign,{name[0].upper()}-7" for name in ("a.png", "b.jpg", "c.png", "d.tif")]
    write(tmp_path / "labels.csv", "\n".join(["image,label,case", *rows]))
    named = by_file(sources.read("folder", tmp_path))
    assert named["case"].tolist() == ["A-7", "B-7", "C-7", "D-7"]
    assert named["group"].tolist() == first.tolist()  # numbers still
    write(tmp_path / "labels.csv", "\n".join(["image,label,case", *rows[:3], "d.tif,benign,"]))
    with pytest.raises(CaseError, match=r"d\.tif has no case"):
        sources.read("folder", tmp_path)


def test_folder(tmp_path):
    make_folder(tmp_path, "image,label,patient\na.png,Benign,p1\nb,malignant,p1\nc.png,normal,\n")
    cases = sources.read("folder", tmp_path)
    assert cases["case"].tolist() == ["case1", "case2", "case3", "case4"]
    found = by_file(cases)
    assert found["label"].tolist() == ["benign", "malignant", "normal", None]
    groups = found["group"].tolist()
    assert groups[:2] == ["patient1"] * 2 and groups[2:] == found["case"].tolist()[2:]
    assert found["mask"].map(len).tolist() == [1, 2, 0, 1] and "split" not in cases
    assert (decode(found.loc["b.jpg"])[1] == 2).sum() == 64 + 80
    assert (decode(found.loc["d.tif"])[1] == 3).sum() == 64
    assert not said(cases)
    assert "unlabelled" in said(cases, left_out=False)[found.loc["d.tif", "case"]]
    assert len(check_cases(cases, minimum=4)[0]) == 4


def test_folder_of_a_patient_whose_name_is_stored_in_two_ways(tmp_path):
    make_folder(tmp_path, "image,label,patient\na.png,benign,Zo\xeb\nb,malignant,Zoe\u0308\n")
    groups = by_file(sources.read("folder", tmp_path))["group"]
    assert groups["a.png"] == groups["b.jpg"] == "patient1"


def test_folder_of_both(tmp_path):
    make_folder(tmp_path, "image,label\nc.png,both\n")
    save(tmp_path / "masks" / "c_mask_benign.png", square())
    save(tmp_path / "masks" / "c_mask_malignant_2.png", square(255, (20, 4, 30, 12)))
    row = by_file(sources.read("folder", tmp_path)).loc["c.png"]
    values, counts = np.unique(decode(row)[1], return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {0: 624, 1: 64, 2: 80}


def test_folder_split_is_kept_if_it_is_complete(tmp_path):
    rows = "a.png,benign,train\nb.jpg,malignant,Train\nc.png,normal,valid\n"
    make_folder(tmp_path, f"image,label,split\n{rows}d.tif,benign,test\n")
    split = by_file(sources.read("folder", tmp_path))["split"].tolist()
    assert split == ["train", "train", "valid", "test"]
    for bad in ("", "d.tif,benign,\n", "d.tif,benign,exam\n"):
        write(tmp_path / "labels.csv", f"image,label,split\n{rows}{bad}")
        with pytest.raises(CaseError, match=r"split of .*d\.tif is '(exam)?'"):
            sources.read("folder", tmp_path)
    write(tmp_path / "labels.csv", "image,label,split\na.png,benign,\n")
    assert "split" not in sources.read("folder", tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("picture,label\na.png,benign\n", "no column image; it has picture, label"),
        ("image,label,age\na.png,benign,50\n", "unknown column 'age'; known are image, label"),
        ("image,label\na.png,bening\n", r"row 2 \(a.png\) has the label 'bening'"),
        ("image,label\na.png,benign\na,benign\n", "row 3 names a a second time"),
    ],
)
def test_folder_tables_that_cannot_be_meant(tmp_path, labels, message):
    make_folder(tmp_path, labels)
    with pytest.raises(CaseError, match=message) as error:
        sources.read("folder", tmp_path)
    assert str(tmp_path / "labels.csv") in str(error.value)


def test_folder_reports_what_does_not_fit(tmp_path):
    rows = "image,label\na.png,benign\nz.png,benign\nb.jpg,benign\n../c.tif,benign\n"
    make_folder(tmp_path, rows)
    save(tmp_path / "masks" / "y_mask.png", square())
    cases = sources.read("folder", tmp_path)
    found = said(cases)
    assert found.keys() == {"row 3", "y_mask"}
    assert found["row 3"] == "row 3 names 'z.png', which is not in images/"
    assert "without its image" in found["y_mask"]
    assert by_file(cases)["label"].tolist() == ["benign", "benign", "benign", None]
    write(tmp_path / "labels.csv", f"{rows}y.png,benign\nx.png,benign\nw.png,benign\n")
    with pytest.raises(CaseError, match=r"4 of 7 rows name no image.*\n.*'z\.png'.*(\n.*)*a\.png"):
        sources.read("folder", tmp_path)
    save(tmp_path / "images" / "a.jpg", speckle())
    with pytest.raises(CaseError, match=r"a\.jpg and a\.png have one stem"):
        sources.read("folder", tmp_path)


@pytest.mark.parametrize(
    "written",
    ["images/{}.png", r"C:\x\{}.png", "{}.PNG", "{}.dcm", "cafe\u0301 {}.png"],
    ids=["folder", "Windows", "capitals", "ending", "Unicode"],
)
def test_folder_of_real_pictures_keeps_labels_and_patients(tmp_path, shared_data, written):
    """40 pictures of BUS-BRA: whatever their rows look like, the table is the publisher's."""
    real = sources.read("busbra", shared_data("busbra"))
    real = real.groupby("label", sort=True).head(20).reset_index(drop=True)
    lines = ["image,label,patient"]
    before = "caf\xe9 " if "\u0301" in written else ""
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for row in real.itertuples():
        name = f"{before}{row.case}.png"
        (tmp_path / "images" / name).symlink_to(row.image)
        (tmp_path / "masks" / name).symlink_to(row.mask[0].outline)
        lines.append(f"{written.format(row.case)},{row.label},{row.group}")
    write(tmp_path / "labels.csv", "\n".join(lines))
    cases = sources.read("folder", tmp_path)
    names = cases["image"].map(lambda file: Path(file).stem.removeprefix(before))
    found = cases.set_index(names).loc[real["case"]]
    assert found["label"].tolist() == real["label"].tolist()
    pairs = set(zip(found["group"], real["group"], strict=True))
    assert len(pairs) == found["group"].nunique() == real["group"].nunique()
    (note,) = cases.attrs["left_out"]
    assert note.what.startswith("40 matched whatever the ")
    table, _ = prepare_cases(cases)
    assert len(table) == 40
    for at in (0, 39):
        ours, theirs = (decode(table.iloc[0]) for table in (found.iloc[[at]], real.iloc[[at]]))
        assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))
