"""Names planted in a user's own folder: in no result, checkpoint or log of a run."""

import io
import json
import logging
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path

import hostile
import matplotlib
import nbformat
import papermill
import pytest
from PIL import Image
from test_hostile_dicom import SECRET, still, write

import lib
from book.kit import figures, gallery
from lib import blocks, sources
from lib.cases import fingerprint, prepare_cases

ROOT = Path(__file__).parents[2]
CODE = [
    cell.source
    for cell in nbformat.read(ROOT / "book" / "experiment.ipynb", as_version=4).cells
    if cell.cell_type == "code"
]
PLANTED = ("Zaphod", "Beeblebrox", "ID-4711", "ward-seven", SECRET, "Planted Hospital")


def own_folder(root: Path, cases: int = 40) -> Path:
    """Images whose file names, patients, folders and headers all name somebody."""
    root = root / "ward-seven"
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    rows = ["image,label,patient"]
    for at in range(cases):
        stem = f"Zaphod_Beeblebrox_{at}"
        pixels = hostile.speckle(at, (64, 64))
        if at % 8 == 0:
            write(still(pixels, region=(0, 0, 63, 63)), root / "images" / f"{stem}.dcm")
        else:
            Image.fromarray(pixels).save(root / "images" / f"{stem}.png")
        Image.fromarray(hostile.nodule((64, 64))).save(root / "masks" / f"{stem}.png")
        rows.append(f"{stem},{('benign', 'malignant')[at % 2]},Beeblebrox ID-4711-{at}")
    rows.append("Zaphod_missing.png,benign,ID-4711")  # something to complain of
    (root / "labels.csv").write_text("\n".join(rows))
    return root


def planted_in(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [name for name in PLANTED if name.encode() in data]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The template's cells, run in order on the planted folder; what they wrote and printed."""
    home = tmp_path_factory.mktemp("privacy")
    root, results = own_folder(home), home / "results"
    matplotlib.use("Agg")
    space, said = {}, io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        patch.setattr(blocks, "CACHE", home / "cache")
        patch.setattr(lib.checkpoint, "discard", lambda folder: None)  # to look at the checkpoints
        given = {
            "source": "folder", "root": str(root), "experiment": "unet-seg3", "profile": "smoke",
            "device": "cpu", "results": str(results),
            "test_source": "folder", "test_root": str(own_folder(home / "second", cases=12)),
        }  # fmt: skip
        exec(CODE[0], space)
        space |= given
        for code in CODE[1:]:
            exec(code, space)
    logging.getLogger().removeHandler(handler)
    return home, space, said.getvalue()


def test_the_folder_names_somebody(run):
    home, *_ = run
    names = "".join(map(str, (home / "ward-seven").rglob("*")))
    assert planted_in(names + (home / "ward-seven/labels.csv").read_text())
    assert planted_in(next((home / "ward-seven/images").glob("*.dcm")).read_bytes())


def test_results_name_nobody(run):
    home, *_ = run
    files = sorted(path for path in (home / "results").rglob("*") if path.is_file())
    records = [json.loads(p.read_text()) for p in files if p.name == "seed0.json"]
    assert [len(record["per_image"]["case"]) for record in records] == [12, 8]  # the external test
    for record in records:
        assert all(name.startswith("case") for name in record["per_image"]["case"])
        assert all(name.startswith("patient") for name in record["per_image"]["group"])
    for path in files:
        assert not planted_in(str(path.relative_to(home))) and not planted_in(path.read_bytes())
        assert str(home).encode() not in path.read_bytes()


def test_checkpoints_name_nobody(run):
    home, *_ = run
    (folder,) = (home / "results").rglob("*.unfinished")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"state.json", "model.safetensors"} <= {path.name for path in files}
    assert not any(planted_in(path.read_bytes()) for path in files)


def test_the_cache_names_nobody(run):
    home, *_ = run
    files = [path for path in (home / "cache").rglob("*") if path.is_file()]
    assert files and not any(planted_in(path.read_bytes()) for path in files)


def test_the_log_names_nobody(run):
    *_, said = run
    assert "1 images left out" in said and "data/folder.md" in said
    assert not planted_in(said)


def test_the_executed_notebook_names_nobody_but_in_what_it_was_given(tmp_path, monkeypatch):
    """The path that the user passed stands in the cell of parameters, and in no other cell."""
    monkeypatch.setenv("LIB_CACHE", str(tmp_path / "cache"))
    given = {
        "source": "folder", "root": str(own_folder(tmp_path)), "experiment": "unet-seg3",
        "profile": "smoke", "device": "cpu", "results": str(tmp_path / "results"),
    }  # fmt: skip
    template, report = ROOT / "book" / "experiment.ipynb", tmp_path / "report.ipynb"
    papermill.execute_notebook(template, report, given, kernel_name="python3", progress_bar=False)
    cells = nbformat.read(report, as_version=4).cells
    (first,) = [cell for cell in cells if "injected-parameters" in cell.metadata.get("tags", ())]
    assert planted_in(first.source)
    others = [cell for cell in cells if cell is not first]
    said = "".join(json.dumps(cell.get("outputs", [])) for cell in others)
    assert "images left out" in said and "image/png" in said  # it is a report
    for text in (said, *(cell.source for cell in others)):
        assert not planted_in(text) and str(tmp_path) not in text


def test_no_picture_of_a_folder_is_kept(run):
    home, *_ = run
    assert not list((home / "results").rglob("*.npz")) and not gallery.allowed("folder")
    assert not [p for p in (home / "results").rglob("*") if p.suffix in (".png", ".jpg", ".npy")]


def test_the_record_has_no_pixel(run):
    """As large as numbers of a few images are; and no list as long as a picture."""
    home, *_ = run
    (file,) = (home / "results" / "folder").rglob("seed0.json")
    record = json.loads(file.read_text())
    assert max(len(column) for column in record["per_image"].values()) == 8
    assert file.stat().st_size < 30_000


def test_numbers_do_not_follow_the_names(run):
    _, space, _ = run
    cases = space["cases"].sort_values("image")
    numbers = [int(name.removeprefix("case")) for name in cases["case"]]
    assert numbers != sorted(numbers) and sorted(numbers) == list(range(1, 41))


def test_other_names_the_same_results(tmp_path):
    """What a file is called changes neither the pixels nor the digest's kind of names."""
    cases, _ = prepare_cases(sources.read("folder", own_folder(tmp_path)))
    assert not planted_in("".join(cases["case"] + cases["group"]))
    assert len(fingerprint(cases)) == 64


# ------------------------------------------------------------------------- hostile names on pages

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "quotes": 'it\'s "quoted" & more',
    "newline": "two\nlines<b>",
    "right to left": "\u202e<i>gnp.exe",
}


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}


def named(name: str) -> dict:
    """A record in which every text is hostile."""
    rows = {
        "case": [f"{name}{k}" for k in range(4)],
        "group": [f"{name}{k}" for k in range(4)],
        "label": [0, 1, 0, 1],
        "p_malignant": [0.2, 0.8, 0.6, 0.5],
        "seg_as_cls": [0, 0, 0, -1],
    }
    return {
        "experiment": name, "source": name, "profile": name, "seed": 0, "per_image": rows,
        "parameters": {"size": 96, "encoder": name}, "model": {"parameters": 10**6},
        "history": [], "data": {"fingerprint": name}, "seconds": {"total": 90.0},
        "memory_mb": 512.0, "machine": {"device": name, "gpu": name}, "commit": name,
        "versions": {"torch": name, "python": name},
    }  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize(
    "make",
    [figures.contradictions_table, figures.measures_table],
    ids=lambda make: make.__name__,
)
def test_hostile_names_are_text_in_tables(make, kind):
    """A name is shown as it is written: it makes no tag and no attribute of its own."""
    plain, page = (Tags(make([named(name)])) for name in ("plain", HOSTILE[kind]))
    assert page.tags == plain.tags and page.attributes == plain.attributes


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_are_text_in_the_templates_counts(run, kind):
    """The template's own table of counts is made by pandas, which escapes."""
    _, space, _ = run
    counts = space["counts"].rename(index={"benign": HOSTILE[kind]})
    page, plain = Tags(counts.to_html()), Tags(space["counts"].to_html())
    assert page.tags == plain.tags and page.attributes == plain.attributes
