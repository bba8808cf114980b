"""Tables, XML, JSON and archives that are odd, damaged or hostile."""

import importlib.util
import io
import json
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import hostile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lib import sources
from lib.cases import CaseError, Problem, Region, check_cases, decode
from lib.sources import ddti, layout

BOM = "\ufeff"
LONG = "x" * 100_000


def zipped_workbook() -> bytes:
    """What an .xlsx file is: a zip file of XML."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    return buffer.getvalue()


CSV = {
    "byte order mark": (f"{BOM}image,label\n0.png,benign\n", None),
    "carriage returns": ("image,label\r\n0.png,benign\r\n", None),
    "quotes and blanks": ('"image","label"\n" 0.png","benign "\n', None),
    "empty lines": ("\n\nimage,label\n\n0.png,benign\n,\n", None),
    "labels in capitals": ("image,label\n0.png,BENIGN\n", None),
    "columns in capitals": ("Image,LABEL,Patient\n0.png,benign,7\n", None),
    "empty columns at the end": ("image,label,,\n0.png,benign,,\n1.png,malignant\n", None),
    "colons": ("image:label\n0.png:benign\n", "no column image, label; it has image:label"),
    "semicolons, no label": ("image;etikett\n0.png;benign\n", "separated by semicolons"),
    "no header": ("0.png,benign\n1.png,malignant\n", "no column image, label"),
    "another language": ("bild,etikett\n0.png,benign\n", "no column image, label"),
    "no label column": ("image\n0.png\n", "no column label"),
    "a column twice": ("image,label,label\n0.png,benign,malignant\n", "used twice"),
    "an unknown column": ("image,label,age\n0.png,benign,50\n", "unknown column 'age'"),
    "a column twice, in capitals": ("image,label,Label\n0.png,benign,x\n", "used twice"),
    "no name of a column": (",image,label\n0,0.png,benign\n", "unknown column ''"),
    "a short row": ("image,label\n0.png\n", "row 2 has 1 cells"),
    "a long row": ("image,label\n0.png,benign,17\n", "row 2 has 3 cells"),
    "a short row after empty ones": ("image,label\n\n\n0.png\n", "row 4 has 1 cells"),
    "a wrong label after empty rows": (
        "image,label\n\n,\n0.png,x\n",
        "row 4 (0.png) has the label",
    ),
    "a short row below a line sep=": ("sep=;\nimage;label\n0.png\n", "row 2 has 1 cells"),
    "an open quote": ('image,label\n"0.png,benign\n', "cannot be read as a csv file"),
    "empty": ("", "no column image, label"),
    "a label that is NaN": ("image,label\n0.png,NaN\n", "the label 'nan'"),
    "a label that is a number": ("image,label\n0.png,1\n", "the label '1'"),
    "a label with a script": ("image,label\n0.png,<script>\n", "the label '<script>'"),
    "a formula": ("image,label\n0.png,=cmd()\n", "the label '=cmd()'"),
    "an image twice": ("image,label\n0.png,benign\n0,benign\n", "names 0 a second time"),
    "an unknown image": ("image,label\n9.png,benign\n", "'9.png', which is not in images/"),
    "a path upwards": ("image,label\n../../x.png,benign\n", "which is not in images/"),
    "an absolute path": ("image,label\n/etc/passwd,benign\n", "which is not in images/"),
    "a header only": ("image,label\n", "no image has a label (0 rows)"),
    "no label at all": ("image,label\n0.png,\n1.png,\n", "no image has a label (2 rows)"),
    "most rows of no image": (
        "image,label\n0.png,benign\n8.png,benign\n9.png,benign\n",
        "2 of 3 rows name no image",
    ),
    "a star with a label": ("image,label\n*,benign\n", "'*', which is not in images/"),
    "an image twice, in capitals": (
        "image,label\n0.png,benign\n0.PNG,malignant\n",
        "names 0.PNG a second time",
    ),
    "an image twice, by its folder": (
        "image,label\na/0.png,benign\nb/0.png,malignant\n",
        "names b/0.png a second time",
    ),
    "a very long name": (f"image,label\n{LONG},benign\n", "100000 characters"),
    "a very long patient": (f"image,label,patient\n0.png,benign,{LONG}\n", "column 'patient'"),
    "a newline in a name": ('image,label\n"0\n.png",benign\n', "column 'image'"),
    "an escape in a patient": ("image,label,patient\n0.png,benign,\x1b[2J\n", "column 'patient'"),
    "turned reading in a case": ("image,label,case\n0.png,benign,\u202egnp.0\n", "column 'case'"),
    "a case for some": ("image,label,case\n0.png,benign,first\n", "has no case"),
    "a split for some": ("image,label,split\n0.png,benign,train\n", "split of"),
    "an unknown split": ("image,label,split\n0.png,benign,exam\n", "split of"),
    "Latin-1": ("image,label\n0.png,gutartig-\xfc\n".encode("latin-1"), "label 'gutartig-\xfc'"),
    "UTF-16 without its mark": ("image,label\n0.png,benign\n".encode("utf-16-le"), "UTF-16"),
    "UTF-16, cut off": ("image,label\n0.png,benign\n".encode("utf-16")[:-1], "is not UTF-16"),
    "Shift JIS": ("image,label\n0.png,\u826f\u6027\n".encode("shift-jis"), "save it in UTF-8"),
    "a workbook": (zipped_workbook(), "it is a workbook"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "it is a workbook"),
    "a zero byte": (b"image,label\n0.png,be\0nign\n", "the label|cannot be read|no name"),
    "an endless line": (b"image,label\n0.png," + b"x" * 2**18, "cannot be read|characters"),
    "a pickle": (b"\x80\x04cos\nsystem\n(S'true'\ntR.", "cannot be read|no column"),
}


@pytest.mark.parametrize("kind", CSV)
def test_odd_and_hostile_tables(tmp_path, kind, record_property):
    """labels.csv is read as it is meant, or an error or the list of problems names the file."""
    text, said = CSV[kind]
    root = hostile.folder(tmp_path / "data")
    file = root / "labels.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with hostile.untouched(tmp_path):
        try:
            cases = sources.read("folder", root)
            problems = "; ".join(map(str, cases.attrs["left_out"]))
        except CaseError as error:
            cases, problems = None, str(error)
    answer = problems.replace(str(root), "…") if said else "read"
    record_property("answer", answer)
    if said is None:
        assert cases["label"].tolist().count("benign") == 1
    else:
        assert any(words in problems for words in said.split("|")) and str(file) in problems
    assert len(problems) < 4000  # a long name does not flood the terminal


PLAIN = "image,label,patient\n0.png,benign,Z\xfcrich\n1.png,malignant,Z\xfcrich\n2,normal,b\n"
BY_BARS = PLAIN.replace(",", "|")
NOTED = {
    "semicolons": (PLAIN.replace(",", ";"), "separated by semicolons"),
    "tabs": (PLAIN.replace(",", "\t"), "separated by tabs"),
    "bars": (BY_BARS, "separated by bars"),
    "sep=;": ("sep=;\r\n" + PLAIN.replace(",", ";"), "separated by semicolons"),
    "sep=; in quotes": ('"sep=;"\n' + PLAIN.replace(",", ";"), "separated by semicolons"),
    "sep and bars": ("SEP=|\n" + BY_BARS, "separated by bars"),
    "semicolons, quoted": (
        'Image;Label;Patient\n"0.png";"benign";"Z\xfcrich"\n1.png;malignant;Z\xfcrich\n2;normal;b\n',
        "separated by semicolons",
    ),
    "Windows-1252": (PLAIN.encode("cp1252"), "read as Windows-1252"),
    "Windows-1252 by semicolons": (
        PLAIN.replace(",", ";").encode("cp1252"), "no UTF-8|separated by semicolons"
    ),
    "UTF-16": (PLAIN.encode("utf-16"), "read as UTF-16"),
    "UTF-16, big end first": ((BOM + PLAIN).encode("utf-16-be"), "read as UTF-16"),
    "UTF-16 by tabs": (PLAIN.replace(",", "\t").encode("utf-16"), "read as UTF-16"),
    "UTF-32": (PLAIN.encode("utf-32"), "read as UTF-32"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOTED)
def test_tables_as_spreadsheets_save_them(tmp_path, kind, record_property):
    """Another delimiter or encoding that is plain is read rightly, and a note names it."""
    text, noted = NOTED[kind]
    root = hostile.folder(tmp_path / "data")
    (root / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    cases = sources.read("folder", root)
    by_file = cases.set_index(cases["image"].map(lambda name: Path(name).name)).sort_index()
    assert by_file["label"].tolist() == ["benign", "malignant", "normal", None]
    zurich, same, other, none = by_file["group"]
    assert zurich == same and len({zurich, other, none}) == 3
    notes = "; ".join(p.what for p in cases.attrs["left_out"] if p.file.endswith("labels.csv"))
    assert all(words in notes for words in noted.split("|")), notes
    assert not any(problem.left_out for problem in cases.attrs["left_out"])
    record_property("answer", notes)


ROWS = {  # the file in images/, what labels.csv calls it, and what the note says
    "the file": ("a.png", "a.png", None),
    "its stem": ("a.png", "a", None),
    "a dot in the stem": ("a.1.png", "a.1", None),
    "its folder": ("a.png", "images/a.png", "whatever the folder"),
    "the folder above": ("a.png", "../a.png", "whatever the folder"),
    "a path of Windows": ("a.png", r"C:\scans\a.png", "whatever the folder"),
    "a share of Windows": ("a.png", r"\\host\scans\a.png", "whatever the folder"),
    "a whole path": ("a.png", "/mnt/scans/a.png", "whatever the folder"),
    "an ending in capitals": ("a.png", "a.PNG", "whatever the capitals"),
    "capitals": ("Scan-A.png", "scan-a.png", "whatever the capitals"),
    "another ending": ("a.png", "a.jpeg", "whatever the ending"),
    "the ending before it was converted": ("a.png", "a.dcm", "whatever the ending"),
    "accents apart": ("caf\xe9.png", "cafe\u0301.png", "whatever the form of Unicode"),
    "accents together": ("cafe\u0301.png", "caf\xe9", "whatever the form of Unicode"),
    "Hangul apart": ("\uac00.png", "\u1100\u1161.png", "whatever the form of Unicode"),
    "much at once": (
        "Caf\xe9.png", r"D:\x\CAFE\u0301.TIF".replace(r"\u0301", "\u0301"),
        "whatever the folder and whatever the ending and whatever the capitals and "
        "whatever the form of Unicode",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROWS)
def test_rows_find_their_image(tmp_path, kind, record_property):
    """Folder, ending, capitals and form of Unicode may differ; a note says which, and how often."""
    file, written, noted = ROWS[kind]
    root = hostile.folder(tmp_path / "data")
    (root / "images" / "0.png").rename(root / "images" / file)
    (root / "masks" / "0.png").rename(root / "masks" / file)
    (root / "labels.csv").write_text(
        f"image,label,patient\n{written},malignant,7\n1.png,benign,8\n", encoding="utf-8"
    )
    cases = sources.read("folder", root)
    by_file = cases.set_index(cases["image"].map(lambda name: Path(name).name))
    assert by_file.loc[file, "label"] == "malignant" and by_file.loc["1.png", "label"] == "benign"
    assert len(by_file.loc[file, "mask"]) == 1 and by_file["group"].nunique() == 4
    notes = [p.what for p in cases.attrs["left_out"] if p.case == "labels.csv"]
    if noted is None:
        assert not notes
    else:
        assert notes == [f"1 matched {noted}, such as row 2, {written!r}, is {file}"]
    record_property("answer", "; ".join(notes) or "read")


MASKS_OF = {
    "capitals": ("Scan.png", "scan.PNG"),
    "capitals of the mark": ("a.png", "a_MASK_1.png"),
    "accents apart": ("caf\xe9.png", "cafe\u0301_mask.png"),
    "a folder of their own": ("a.png", "benign/a.png"),
    "GIF": ("a.png", "a.gif"),
    "a portable map": ("a.png", "a_mask.pgm"),
}


@pytest.mark.parametrize("kind", MASKS_OF)
def test_masks_find_their_image(tmp_path, kind, record_property):
    """As the rows of labels.csv do; the mask that is read is the one that was drawn."""
    image, mask = MASKS_OF[kind]
    root = hostile.folder(tmp_path / "data")
    (root / "images" / "0.png").rename(root / "images" / image)
    file = root / "masks" / mask
    file.parent.mkdir(exist_ok=True)
    with Image.open(root / "masks" / "0.png") as drawn:
        drawn.save(file)
    (root / "masks" / "0.png").unlink()
    (root / "labels.csv").write_text(f"image,label\n{image},malignant\n1,benign\n")
    cases = sources.read("folder", root)
    row = cases[cases["image"] == str(root / "images" / image)].iloc[0]
    assert (decode(row)[1] == 2 * (hostile.nodule() > 0)).all()
    notes = [p.what for p in cases.attrs["left_out"] if p.case == "masks"]
    assert bool(notes) == (kind not in ("GIF", "a portable map", "capitals of the mark"))
    record_property("answer", "; ".join(notes) or "read")


def nested(root: Path, rows: str) -> Path:
    """Two patients whose images have the same names, in folders of their own."""
    hostile.folder(root)
    for part in ("images", "masks"):
        for at, inner in enumerate(("p1/1", "p1/2", "p2/1", "p2/sub/3")):
            target = root / part / f"{inner}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            (root / part / f"{at}.png").rename(target)
    (root / "labels.csv").write_text(f"image,label\n{rows}")
    return root


SUBFOLDERS = {
    "paths": "p1/1.png,benign\np1/2.png,malignant\np2/1.png,malignant\np2/sub/3.png,benign\n",
    "stems": "p1/1,benign\np1/2,malignant\np2/1,malignant\np2/sub/3,benign\n",
    "from images": (
        "images/p1/1.png,benign\nimages/p1/2.png,malignant\nimages/p2/1.png,malignant\n"
        "images/p2/sub/3.png,benign\n"
    ),
    "Windows": (
        "D:\\us\\P1\\1.png,benign\nD:\\us\\P1\\2.png,malignant\nD:\\us\\P2\\1.png,malignant\n"
        "D:\\us\\p2\\sub\\3.png,benign\n"
    ),
    "names, where they are unique": (
        "p1/1.png,benign\n2.png,malignant\np2/1.png,malignant\n3,benign\n"
    ),
    "the inner folder": "p1/1,benign\np1/2,malignant\np2/1,malignant\nsub/3,benign\n",
}


@pytest.mark.parametrize("kind", SUBFOLDERS)
def test_images_in_subfolders(tmp_path, kind, record_property):
    """They are read, each with its own row and mask, and a note says how many there are."""
    root = nested(tmp_path / "data", SUBFOLDERS[kind])
    cases = sources.read("folder", root)
    inside = cases["image"].map(lambda name: Path(name).relative_to(root / "images").as_posix())
    found = dict(zip(inside, cases["label"], strict=True))
    assert found == {
        "p1/1.png": "benign", "p1/2.png": "malignant",
        "p2/1.png": "malignant", "p2/sub/3.png": "benign",
    }  # fmt: skip
    for file, mask in zip(inside, cases["mask"], strict=True):
        assert [region.outline for region in mask] == [str(root / "masks" / file)]
    (note,) = [p.what for p in cases.attrs["left_out"] if p.case == "images"]
    assert note.startswith("4 of 4 images lie in subfolders")
    assert not any(problem.left_out for problem in cases.attrs["left_out"])
    record_property("answer", note.split(",")[0])


AMBIGUOUS = {
    "a name of two": ("p1/1,benign\n1.png,benign\n", "'1.png' can be p1/1 or p2/1"),
    "another patient's folder": ("p1/1,benign\np3/1,benign\np3/2,benign\n", "2 of 3 rows"),
    "the folders the wrong way": ("p1/1,benign\n1/p1,benign\n2/p1,benign\n", "2 of 3 rows"),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_no_row_goes_to_another_patients_image(tmp_path, kind, record_property):
    """Where two images have one name, the folder decides; one that contradicts matches nothing."""
    rows, said = AMBIGUOUS[kind]
    with pytest.raises(CaseError) as told:
        sources.read("folder", nested(tmp_path / "data", rows))
    assert said in str(told.value)
    record_property("answer", str(told.value).splitlines()[0].replace(str(tmp_path), "…"))


def told(root: Path, rows: str, mask: str = "") -> list[str]:
    """The notes on a folder of two images; the first mask by another name."""
    hostile.folder(root, cases=2)
    (root / "labels.csv").write_text(rows)
    if mask:
        (root / "masks" / "0.png").rename(root / "masks" / mask)
    return [problem.what for problem in sources.read("folder", root).attrs["left_out"]]


def test_what_makes_two_patients_of_one_is_told(tmp_path):
    head = "image,label,patient\n"
    whole = told(tmp_path / "a", head + "0.png,benign,p1\n1.png,benign,p1\n")
    assert whole == []
    gap = told(tmp_path / "b", head + "0.png,benign,p1\n1.png,benign,\n")
    assert any("1 of 2 images in it have no patient" in what for what in gap)
    capitals = told(tmp_path / "c", head + "0.png,benign,Doe\n1.png,benign,doe\n")
    assert any("1 patients differ" in what and "0 and 1" in what for what in capitals)
    assert not any("doe" in what.lower() for what in capitals)
    assert told(tmp_path / "d", "image,label\n0.png,benign\n1.png,benign\n") == []


SPELLINGS = {
    "an unseen character": ("Doe", "Doe\u200b", None),
    "a blank that does not break": ("Doe 1", "Doe\u00a01", None),
    "two blanks": ("Doe 1", "Doe  1", None),
    "wide digits": ("7", "\uff17", None),
    "zeros": ("007", "7", "1 patients differ"),
    "a number of a spreadsheet": ("7", "7.0", "1 patients differ"),
    "a blank": ("Doe1", "Doe 1", "1 patients differ"),
    "nobody": ("nan", "nan", "2 images have the patient 'nan'"),
    "nobody, in capitals": ("Unknown", "Unknown", "2 images have the patient 'Unknown'"),
    "others": ("10", "1", ""),
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_one_patient_in_two_spellings(tmp_path, kind):
    """What cannot be seen makes no second patient; what can is told."""
    one, other, said = SPELLINGS[kind]
    root = hostile.folder(tmp_path / "data")
    rows = f"image,label,patient\n0.png,benign,{one}\n1.png,benign,{other}\n"
    (root / "labels.csv").write_text(rows, encoding="utf-8")
    cases = sources.read("folder", root)
    groups = cases.set_index(cases["image"].map(lambda image: Path(image).name))["group"]
    assert (groups["0.png"] == groups["1.png"]) == (said is None or one == other)
    notes = [p.what for p in cases.attrs["left_out"] if "labels.csv: unlabelled" not in p.what]
    assert any(said in note for note in notes) if said else not notes


def test_a_column_of_patients_that_is_empty_is_told(tmp_path):
    root = hostile.folder(tmp_path / "data")
    (root / "labels.csv").write_text("image,label,patient\n0.png,benign,\n1.png,benign,\n")
    notes = [p.what for p in sources.read("folder", root).attrs["left_out"]]
    assert any("2 of 2 images in it have no patient" in note for note in notes)


def test_several_masks_of_one_image_are_told_and_two_of_one_stem_refused(tmp_path):
    root = hostile.folder(tmp_path / "data")
    older = root / "masks" / "0_mask_old.png"
    older.write_bytes((root / "masks" / "1.png").read_bytes())
    notes = [p.what for p in sources.read("folder", root).attrs["left_out"]]
    assert any("1 images have several masks" in n and "0.png, 0_mask_old.png" in n for n in notes)
    older.rename(root / "masks" / "0.tif")
    with pytest.raises(CaseError, match=r"0\.png and 0\.tif have one stem"):
        sources.read("folder", root)


def test_a_problem_of_a_name_that_is_no_utf8_can_be_printed():
    file = os.fsdecode(b"m\xfcller.png")
    assert str(Problem("a", file, "is empty")).encode() == b"m\\udcfcller.png: is empty"


def test_a_mask_that_is_named_after_the_other_class_is_told(tmp_path):
    rows = "image,label\n0.png,benign\n1.png,benign\n"
    (said,) = told(tmp_path / "a", rows, "0_mask_malignant.png")
    assert said.startswith("1 masks are named after the other class")
    assert said.endswith("0_mask_malignant.png is read as benign")
    assert told(tmp_path / "b", rows, "0_mask_benign.png") == []


@pytest.mark.parametrize(
    ("where", "name"),
    [("images", "a.heic"), ("images", "notes"), ("masks", "0.npy"), ("masks", "0.nii.gz"),
     ("masks", "0.json"), ("masks", "p1/0.svg")],
)  # fmt: skip
def test_files_that_are_passed_over_are_named(tmp_path, where, name, record_property):
    """A file that is no picture is named in a note; a mask's, beside the image that lacks it."""
    root = hostile.folder(tmp_path / "data")
    if where == "masks":
        (root / "masks" / "0.png").unlink()
    (root / where / name).parent.mkdir(exist_ok=True)
    (root / where / name).write_bytes(b"no picture")
    for left_behind in ("Thumbs.db", ".hidden", "._0.png", "DICOMDIR"):
        (root / where / left_behind).write_bytes(b"no picture")
    checked, problems = check_cases(sources.read("folder", root), minimum=2)
    (note,) = [str(problem) for problem in problems if not problem.left_out]
    assert str(root / where / name) in note and "passed over" in note
    assert len(checked) == (3 if where == "masks" else 4)
    record_property("answer", note.replace(str(root), "…"))


def test_a_link_to_the_folder_above_ends(tmp_path):
    """Images are not looked for in circles."""
    root = hostile.folder(tmp_path / "data")
    (root / "images" / "again").symlink_to(root / "images")
    assert len(sources.read("folder", root)) == 4


ASKED = {
    "a star": ("image,label\n*,unlabelled\n", [None] * 4),
    "each by itself": (
        "image,label\n0,unlabelled\n1,unlabelled\n2.png,unlabelled\n3,unlabelled\n", [None] * 4
    ),
    "as in America": ("image,label\n*,Unlabeled\n", [None] * 4),
    "the rest": (
        "image,label\n0,benign\n*,unlabelled\n1,malignant\n", ["benign", "malignant", None, None]
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ASKED)
def test_segmentation_only_is_asked_for(tmp_path, kind, record_property):
    """The word `unlabelled` is the wish; then nothing is noted. Without it see above."""
    text, labels = ASKED[kind]
    root = hostile.folder(tmp_path / "data")
    (root / "labels.csv").write_text(text)
    cases = sources.read("folder", root)
    assert cases.sort_values("image")["label"].tolist() == labels
    assert not cases.attrs["left_out"]
    record_property("answer", "read")


@pytest.mark.parametrize("kind", ["benign", "malignant"])
def test_all_labels_of_one_kind_are_blank(tmp_path, kind, record_property):
    """The error says which class nobody named, and how many images have no label."""
    root = hostile.folder(tmp_path / "data", cases=12)
    text = (root / "labels.csv").read_text().replace(f",{kind}", ",")
    (root / "labels.csv").write_text(text)
    other = {"benign": "malignant", "malignant": "benign"}[kind]
    with pytest.raises(CaseError) as told:
        check_cases(sources.read("folder", root))
    for words in (f"no case of 12 is labelled {kind} (", f"6 {other}", "6 without a label"):
        assert words in str(told.value)
    record_property("answer", str(told.value).splitlines()[0])


NAMES = {
    "script": "<script>alert(1)</script>".replace("/", "\u2044"),
    "quotes": '"it\'s" & more',
    "newline": "two\nlines",
    "right to left": "\u202egnp.exe",
    "Arabic": "عقدة",
    "emoji and a joiner": "👩\u200d⚕️",
    "a formula": "=HYPERLINK(1)",
    "blanks": "  a  b",
    "a dollar": "$x$ \\frac",
    "percent": "%s%n %00",
    "dashes": "--help",
    "as long as can be": "y" * 240,
    "bytes that are no UTF-8": os.fsdecode(b"\xff\xfe"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_hostile_file_names(tmp_path, kind, record_property):
    """Any file name that the system allows is read; results get a number in its place."""
    root = hostile.folder(tmp_path / "data")
    name = NAMES[kind]
    for part in ("images", "masks"):
        (root / part / "0.png").rename(root / part / f"{name}.png")
    (root / "labels.csv").write_text("image,label\n1,benign\n2,malignant\n3,benign\n")
    cases = sources.read("folder", root)
    checked, problems = check_cases(cases, minimum=4)
    assert len(checked) == 4 and not any(p.left_out for p in problems)
    assert sorted(checked["case"]) == ["case1", "case2", "case3", "case4"]
    assert name not in "".join(checked["case"] + checked["group"])
    record_property("answer", "read, under a number")


@settings(max_examples=60, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(text=st.text(max_size=300) | st.lists(
    st.lists(st.text(max_size=8), max_size=4), max_size=6
).map(lambda rows: "image,label\n" + "\n".join(",".join(row) for row in rows)))  # fmt: skip
def test_any_text_is_a_table_or_a_named_error(tmp_path, text):
    """60 made-up texts: a table of text cells, or an error that names the file."""
    file = tmp_path / "labels.csv"
    file.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        table = layout.read_csv(file, ("image", "label"))
    except CaseError as error:
        assert str(error).startswith(f"{file}: ")
    else:
        assert {"image", "label"} <= set(table)
        assert all(isinstance(cell, str) for cell in table.to_numpy().ravel())


NUMBERS = st.floats() | st.integers(-(10**6), 10**6) | st.just(10**400) | st.text(max_size=2)


@settings(max_examples=80, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(points=st.lists(st.tuples(NUMBERS, NUMBERS) | st.tuples(NUMBERS), max_size=6))
def test_any_outline_is_drawn_or_a_named_error(tmp_path, points):
    """80 made-up outlines: a mask of the image's size, or an error that names the image."""
    file = tmp_path / "a.png"
    if not file.exists():
        Image.fromarray(hostile.speckle()).save(file)
    row = {"case": "a", "image": str(file), "mask": (Region(tuple(points)),), "label": "benign"}
    try:
        image, mask = decode(row)
    except CaseError as error:
        assert str(error).startswith(f"{file}: polygon")
    else:
        assert image.shape == mask.shape and set(mask.ravel()) <= {0, 1}


@settings(max_examples=60, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(crop=st.lists(NUMBERS, max_size=5) | NUMBERS)
def test_any_crop_is_cut_or_a_named_error(tmp_path, crop):
    """60 made-up crops: a part of the image, or an error that names it."""
    file = tmp_path / "a.png"
    if not file.exists():
        Image.fromarray(hostile.speckle()).save(file)
    try:
        image, _ = decode({"case": "a", "image": str(file), "mask": (), "crop": crop})
    except CaseError as error:
        assert str(error).startswith(f"{file}: crop")
    else:
        assert 0 < image.size <= 48 * 64


# --------------------------------------------------------------------------------- XML and JSON

POINTS = json.dumps([{"points": [{"x": x, "y": y} for x, y in ((9, 9), (30, 9), (30, 30))]}])


def case(svg=POINTS, tirads="2", number="1", head="") -> str:
    mark = f"<mark><image>{number}</image><svg>{svg}</svg></mark>"
    return f"{head}<case><tirads>{tirads}</tirads>{mark}</case>"


LAUGHS = "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10 if k else "ha"}">' for k in range(10))
XML = {
    "a bomb of entities": (case(tirads="&a9;", head=f"<!DOCTYPE x [{LAUGHS}]>"), "do not trust"),
    "a file as an entity": (
        case(tirads="&a;", head='<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
        "do not trust",
    ),
    "an address as an entity": (
        case(head='<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x"> %a;]>'),
        "do not trust",
    ),
    "an outer DTD": (case(head='<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'), "do not trust"),
    "cut off": (case()[:-30], "not well-formed"),
    "empty": ("", "not well-formed"),
    "a page of HTML": ("<html><br></html>", "not well-formed"),
    "an unknown encoding": ('<?xml version="1.0" encoding="x-no"?>' + case(), "not well-formed"),
    "a zero byte": (case(tirads="2\0"), "not well-formed"),
    "nested 20 000 times": ("<a>" * 20_000 + "</a>" * 20_000, "no outline|not well-formed"),
    "JSON cut off": (case(POINTS[:-9]), "cut off or damaged"),
    "JSON that is a number": (case("17"), "cut off or damaged"),
    "JSON nested 50 000 times": (case("[" * 50_000), "cut off or damaged"),
    "JSON of words": (case('[{"points": [{"x": "a", "y": 1}]}]'), "not a list of points"),
    "JSON of NaN": (case(POINTS.replace("30", "NaN")), "not a number"),
    "JSON of infinity": (case(POINTS.replace("30", "1e999")), "not a number"),
    "a path as the image's number": (case(number="../../1"), "which is not a number"),
    "digits of another script": (case(number="\u0661"), "which is not a number"),
    "an outline far outside": (case(POINTS.replace("30", "3000")), "beyond the field of view"),
}


@pytest.mark.parametrize("kind", XML)
def test_hostile_xml(tmp_path, kind, record_property):
    """DDTI's XML and the JSON in it: an attack stops the reading, a defect leaves the case out."""
    text, said = XML[kind]
    for name in ("1", "2"):
        Image.fromarray(hostile.speckle()).save(tmp_path / f"{name}_1.jpg")
        (tmp_path / f"{name}.xml").write_text(case(), encoding="utf-8")
    (tmp_path / "1.xml").write_text(text, encoding="utf-8")
    with hostile.untouched(tmp_path):
        try:
            problems = " ".join(map(str, ddti.read(tmp_path).attrs["left_out"]))
        except CaseError as error:
            problems = str(error)
    record_property("answer", problems.replace(str(tmp_path), "…")[:300])
    assert any(words in problems for words in said.split("|")), problems
    assert "1.xml" in problems or "1_1.jpg" in problems


FOLDS = {
    "cut off": '{"train": [0, 1], "va',
    "a list": "[0, 1, 2, 3]",
    "no val": '{"train": [0, 1, 2]}',
    "names": '{"train": ["a"], "val": ["b"]}',
    "null": '{"train": null, "val": null}',
    "NaN": '{"train": [NaN], "val": [1]}',
    "infinity": '{"train": [1e999], "val": [1]}',
    "nested": "[" * 100_000,
    "too many": '{"train": [0, 1, 2, 3], "val": [4, 5]}',
    "twice": '{"train": [0, 0, 1], "val": [2]}',
    "negative": '{"train": [-1, 0, 1], "val": [2]}',
    "empty": "",
}


@pytest.mark.parametrize("kind", FOLDS)
def test_hostile_json(tmp_path, kind, record_property):
    """TN3K's fold files: an error that names the file."""
    for part in ("trainval", "test"):
        for what in ("image", "mask"):
            (tmp_path / f"{part}-{what}").mkdir()
            for at in range(3):
                (tmp_path / f"{part}-{what}" / f"{at:04d}.jpg").touch()
    (tmp_path / "tn3k-trainval-fold0.json").write_text(FOLDS[kind])
    with hostile.untouched(tmp_path), pytest.raises(CaseError) as told:
        sources.read("tn3k", tmp_path)
    assert str(tmp_path / "tn3k-trainval-fold0.json") in str(told.value)
    record_property("answer", str(told.value).replace(str(tmp_path), "…")[:300])


# ---------------------------------------------------------------------------------------- archives


@pytest.fixture(scope="module")
def fetch():
    path = Path(__file__).parents[2] / "data" / "fetch.py"
    spec = importlib.util.spec_from_file_location("fetch_hostile", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def tar(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        archive.addfile(entry)
    return buffer.getvalue()


def zipped(*names: str, data: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("1.xml", "1_1.jpg", *names):
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped())
    for mark, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


ARCHIVES = {
    "a path upwards": (zipped("../../evil.txt"), "leads out"),
    "a path upwards, inside": (zipped("a/../../evil.txt"), "leads out"),
    "backslashes upwards": (zipped("a\\..\\..\\evil.txt"), "leads out"),
    "an absolute path": (zipped("/tmp/evil-f.txt"), "absolute path"),
    "a drive": (zipped("C:\\evil.txt"), "absolute path"),
    "encrypted": (encrypted(), "is encrypted"),
    "cut off": (zipped()[:-30], "not a sound zip file"),
    "empty": (b"", "not a sound zip file"),
    "a very long name": (zipped("y" * 5000), "too long|Nothing was kept"),
    "tar": (tar("1.xml"), "not a sound zip file"),
    "tar upwards": (tar("../evil.txt"), "not a sound zip file"),
    "tar with an absolute path": (tar("/tmp/evil-f.txt"), "not a sound zip file"),
    "tar with a link": (tar("x", tarfile.SYMTYPE, "/etc"), "not a sound zip file"),
    "tar with a hard link": (tar("x", tarfile.LNKTYPE, "/etc/passwd"), "not a sound zip file"),
    "tar with a device": (tar("x", tarfile.CHRTYPE), "not a sound zip file"),
    "tar, packed": (tar("../evil.txt", mode="w:gz"), "not a sound zip file"),
    "another set": (zipped().replace(b"1.xml", b"2.xml"), "does not hold 1.xml"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_hostile_archives(fetch, tmp_path, capsys, kind, record_property):
    """data/fetch.py refuses it, names the entry, and leaves the folder as it was."""
    data, said = ARCHIVES[kind]
    sets = tmp_path / "a" / "b"
    sets.mkdir(parents=True)
    (tmp_path / "x.zip").write_bytes(data)
    with hostile.untouched(tmp_path):
        code = fetch.main(["ddti", "--root", str(sets / "ddti"), "--archive", f"{tmp_path}/x.zip"])
    told = capsys.readouterr().err.splitlines()[-1]
    assert code == 1 and any(words in told for words in said.split("|")), told
    assert not Path("/tmp/evil-f.txt").exists()
    record_property("answer", told.replace(str(tmp_path), "…")[:300])
