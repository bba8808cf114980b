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
from lib.cases import CaseError, Region, check_cases, decode
from lib.sources import ddti, layout

BOM = "\ufeff"
LONG = "x" * 100_000
CSV = {
    "byte order mark": (f"{BOM}image,label\n0.png,benign\n", None),
    "carriage returns": ("image,label\r\n0.png,benign\r\n", None),
    "quotes and blanks": ('"image","label"\n" 0.png","benign "\n', None),
    "empty lines": ("\n\nimage,label\n\n0.png,benign\n,\n", None),
    "labels in capitals": ("image,label\n0.png,BENIGN\n", None),
    "semicolons": ("image;label\n0.png;benign\n", "no column image, label"),
    "tabs": ("image\tlabel\n0.png\tbenign\n", "no column image, label"),
    "no header": ("0.png,benign\n1.png,malignant\n", "no column image, label"),
    "another language": ("bild,etikett\n0.png,benign\n", "no column image, label"),
    "no label column": ("image\n0.png\n", "no column label"),
    "a column twice": ("image,label,label\n0.png,benign,malignant\n", "used twice"),
    "an unknown column": ("image,label,Label\n0.png,benign,x\n", "unknown column 'Label'"),
    "a short row": ("image,label\n0.png\n", "row 2 has 1 cells"),
    "a long row": ("image,label\n0.png,benign,17\n", "row 2 has 3 cells"),
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
    "a drive": ("image,label\nC:\\0.png,benign\n", "which is not in images/"),
    "a share": ("image,label\n\\\\host\\0.png,benign\n", "which is not in images/"),
    "a very long name": (f"image,label\n{LONG},benign\n", "100000 characters"),
    "a very long patient": (f"image,label,patient\n0.png,benign,{LONG}\n", "column 'patient'"),
    "a newline in a name": ('image,label\n"0\n.png",benign\n', "column 'image'"),
    "an escape in a patient": ("image,label,patient\n0.png,benign,\x1b[2J\n", "column 'patient'"),
    "turned reading in a case": ("image,label,case\n0.png,benign,\u202egnp.0\n", "column 'case'"),
    "a case for some": ("image,label,case\n0.png,benign,first\n", "has no case"),
    "a split for some": ("image,label,split\n0.png,benign,train\n", "split of"),
    "an unknown split": ("image,label,split\n0.png,benign,exam\n", "split of"),
    "Latin-1": ("image,label\n0.png,gutartig-\xfc\n".encode("latin-1"), "cannot be read"),
    "UTF-16": ("image,label\n0.png,benign\n".encode("utf-16"), "cannot be read"),
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
