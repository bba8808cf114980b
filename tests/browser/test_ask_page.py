"""Ask the network, from its file with no network: its answers are torch's, and it can be used."""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import HTML
from PIL import Image

from book.kit import explorables
from lib import decode, presence, results
from lib.sources import phantom
from lib.square import fit_image

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
KEPT = results.RESULTS / "bench" / "ask"
PAGE = "explorables/ask.html"
PHANTOMS = 50
CALLED = ("no nodule", "benign", "malignant", "both")
ASK = """async ([name, pictures]) => {
  const { networks } = document.querySelector(".explorable-view");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const told = [];
  for (const picture of pictures) {
    const { cls, seg2, seg3 } = await networks.answer(name, bytes(picture));
    told.push([...cls, ...seg2, ...seg3]);
  }
  return told;
}"""


@pytest.fixture(scope="module")
def made():
    return json.loads((KEPT / explorables.MADE).read_text())


@pytest.fixture
def started(visit):
    """The page with its networks; what went wrong in it fails the test at its end."""
    logs = []

    def started(**how):
        opened = visit(PAGE, **how)
        logs.append(opened.log)
        opened.page.emulate_media(reduced_motion="reduce")
        opened.page.get_by_role("button", name="Start the three networks").click()
        opened.page.wait_for_selector("[data-answered]", timeout=120_000)
        return opened.page

    yield started
    assert logs and not [line for log in logs for line in log]


def said(page, words):
    """Waits for the sentence that all read; returns it."""
    page.wait_for_selector(f"[role=status]:has-text('{words}')", timeout=120_000)
    return page.locator("[role=status]").inner_text()


def answer(page, row, column):
    """A cell of the table of answers; column 1 is the network without the terms."""
    head = page.locator(".values").first.locator("tbody th").filter(has_text=row).first
    return head.locator(f"xpath=../*[{column + 1}]").inner_text()


def again(page, act):
    """Does something, and waits for the answers to what is then on the page."""
    before = page.locator(".explorable-view").get_attribute("data-answered")
    act()
    page.wait_for_selector(f".explorable-view:not([data-answered='{before}'])[data-answered]")


def test_the_page_answers_as_torch_does(started, made):
    """The same weights, those of the files, in the page's runtime and in torch."""
    sys.path.insert(0, str(ROOT / "ci"))
    import ask

    grey = [
        fit_image(phantom.draw(presence.KINDS[k % 4], 90_000 + k).image, made["size"])
        for k in range(PHANTOMS)
    ]
    page, given = started(), [base64.b64encode(picture.tobytes()).decode() for picture in grey]
    for name, one in made["networks"].items():
        told = ask.told_by(ask.rebuilt(name, KEPT / one["file"]), np.stack(grey))
        ours = np.hstack([told[task].reshape(PHANTOMS, -1) for task in ("cls", "seg2", "seg3")])
        page_told = np.array(page.evaluate(ASK, [name, given]))
        assert ours.shape == page_told.shape
        assert np.abs(ours - page_told).max() <= 1e-3, name
        assert ours[:, 1].std() > 0.05  # they do not all look the same


def test_nothing_is_loaded_before_it_is_asked_for(visit, made):
    opened = visit(PAGE)
    loaded = opened.page.evaluate("performance.getEntriesByType('resource').map((r) => r.name)")
    assert not [name for name in loaded if "_static/ask/" in name]
    files = {file.name: file.stat().st_size for file in (HTML / "_static" / "ask").iterdir()}
    assert set(files) == {"runtime.js", "networks.js"} and sum(files.values()) <= 7_000_000
    assert files["runtime.js"] == made["runtime"]["bytes"]
    assert f"({sum(files.values()) / 1e6:.1f} MB)" in opened.page.content()
    for name in ("index.html", "chapters/phantom.html"):
        assert "_static/ask/" not in (HTML / name).read_text()


def test_features_by_mouse_and_keyboard(started):
    page = started()
    before = answer(page, "T1, probability", 1)
    again(page, lambda: page.get_by_role("button", name="A typical malignant nodule").click())
    assert answer(page, "T1, probability", 1) != before
    assert answer(page, "T1 says", 1) == "malignant"
    page.locator("[data-field=margin][value='lobulated/irregular']").focus()
    again(page, lambda: page.keyboard.press("ArrowRight"))
    assert page.locator("[data-field=margin][value=extrathyroidal]").is_checked()
    says, draws = (answer(page, row, 2) for row in ("T1 says", "T3's map says"))
    agrees = "agree" if says == draws else "contradict"
    assert answer(page, "T1 and T3", 2) == agrees
    words = page.locator("[aria-label='With the three terms'] canvas").first
    assert f"T1 {'says' if agrees == 'contradict' else 'and T3 agree'}" in words.get_attribute(
        "aria-label"
    )


def test_a_contradiction_is_found_and_in_the_link(started, visit):
    page = started()
    page.get_by_role("button", name="Find a contradiction for me").click()
    assert "Without the terms: T1 says" in said(page, "Found")
    assert answer(page, "T1 and T3", 1) == "contradict"
    page.wait_for_timeout(400)
    other = started(query=page.evaluate("location.hash"))
    assert answer(other, "T1 and T3", 1) == "contradict"
    for row in ("T1, probability", "decided together"):
        assert answer(other, row, 2) == answer(page, row, 2)


def test_random_patients_are_counted(started):
    """As many answers as were asked for, and the same patients for whoever asks."""
    page = started(size="phone")
    for presses in (1, 2):
        page.get_by_role("button", name="more random patients").click()
        said(page, f"{50 * presses} random patients:")
    rows = page.locator(".values").nth(1).locator("tbody tr").all_inner_texts()
    counts = [[int(cell) for cell in row.split("\t")[1:3]] for row in rows]
    assert [patients for patients, _ in counts] == [100] * 4
    *each, every = (found for _, found in counts)
    assert 0 < each[0] < 60 and every <= min(each)
    again_counted = started(size="desktop")
    again_counted.get_by_role("button", name="more random patients").click()
    said(again_counted, "50 random patients:")
    again_counted.get_by_role("button", name="more random patients").click()
    said(again_counted, "100 random patients:")
    assert again_counted.locator(".values").nth(1).locator("tbody tr").all_inner_texts() == rows


def test_a_picture_of_the_readers_own(started, tmp_path, made):
    """It is reduced as in training, the page says what it is worth, and it can be left again."""
    sys.path.insert(0, str(ROOT / "ci"))
    import ask

    picture = np.random.default_rng(0).integers(0, 256, (90, 150), np.uint8)
    Image.fromarray(picture).save(tmp_path / "own.png")
    (tmp_path / "words.txt").write_text("no picture")
    page = started()
    warning = page.get_by_text("These networks know simulated pictures only.")
    assert not warning.is_visible()
    first = answer(page, "T1, probability", 1)
    choose = page.locator("input[type=file]")
    again(page, lambda: choose.set_input_files(tmp_path / "own.png"))
    assert warning.is_visible()
    for column, (name, one) in enumerate(made["networks"].items(), 1):
        grey = fit_image(picture, made["size"])[None]
        told = ask.told_by(ask.rebuilt(name, KEPT / one["file"]), grey)
        shown = float(answer(page, "T1, probability", column))
        assert shown == pytest.approx(told["cls"][0, 1], abs=1e-3)
    choose.set_input_files(tmp_path / "words.txt")
    assert "words.txt is no picture" in said(page, "no picture")
    again(page, lambda: page.get_by_role("button", name="Back to the phantom").click())
    assert not warning.is_visible() and answer(page, "T1, probability", 1) == first


def shown_to_the_networks(page, size):
    """The grey levels of the picture on the page, as the networks take them."""
    grey = page.locator(".explorable canvas").first.evaluate(
        """(canvas) => {
          const { width, height } = canvas;
          const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          const grey = [];
          for (let y = 1; y < height; y += 2)
            for (let x = 1; x < width; x += 2) grey.push(data[4 * (y * width + x)]);
          return grey;
        }"""
    )
    side = round(len(grey) ** 0.5)
    return fit_image(np.array(grey, np.uint8).reshape(side, side), size)


def read_by_python(one, told):
    """T1, the names of contradictions and the decision, by lib.presence and lib.decode."""
    given = {task: torch.from_numpy(values) for task, values in told.items()}
    rule = one.get("rule", {"kinds": presence.KINDS[1:3], "threshold": 0, "size": 0})
    weights = decode.Weights(**(rule.get("weights") or one["weights"]))
    kinds = tuple(map(presence.KINDS.index, rule["kinds"]))
    decision = presence.decide(
        given, presence.Rule(weights, kinds, rule["threshold"], rule["size"])
    )
    empty, unknown = torch.zeros(given["seg2"][:, 0].shape).long(), torch.tensor([-1])
    rows = presence.count_presence(empty, unknown, given, decision)
    there = presence.contradictions(rows).iloc[0]
    names = {name for kind, name in presence.CONTRADICTIONS.items() if there[kind]}
    if "rule" in one:
        decided = presence.kind(decision.present.int()).item()
    else:
        decided = decode.joint(given, weights).label.item() + 1
    t1 = torch.from_numpy(rows[["t1_benign", "t1_malignant"]].to_numpy())
    said = presence.kind(t1).item()
    return CALLED[said], names, CALLED[decided]


@pytest.mark.parametrize("nodules", ["none", "two"])
def test_no_nodule_and_two_are_answered_as_python_answers_them(started, made, nodules):
    """What the page says of its own picture: torch's answers, read by lib.presence."""
    sys.path.insert(0, str(ROOT / "ci"))
    import ask

    page = started()
    again(page, page.locator(f"[data-field=nodules][value={nodules}]").check)
    expected = {"none": "with no nodule", "two": "with two nodules"}[nodules]
    assert expected in page.locator(".explorable canvas").first.get_attribute("aria-label")
    assert "names one of the two classes, whatever it sees" in page.locator("article").inner_text()
    assert not page.get_by_role("button", name="Find a contradiction").is_visible()
    networks = {n: ask.rebuilt(n, KEPT / one["file"]) for n, one in made["networks"].items()}
    seen = set()
    for _ in range(4):
        grey = shown_to_the_networks(page, made["size"])[None]
        for column, (name, one) in enumerate(made["networks"].items(), 1):
            told = ask.told_by(networks[name], grey)
            says, names, decided = read_by_python(one, told)
            where = nodules, name
            assert answer(page, "T1 says", column) == says, where
            assert "rule" in one or says in presence.KINDS[1:3]
            written = answer(page, "contradictions by name", column)
            assert set(written.split("; ")) - {"none"} == names, where
            assert answer(page, "decided together", column) == decided, where
            assert float(answer(page, "T1, probability of benign", column)) == pytest.approx(
                told["cls"][0, 0], abs=1e-3
            )
            seen |= names if "weights" in one else set()
        again(page, page.get_by_role("button", name="Another neck").click)
    assert nodules == "two" or "a class without a mask" in seen
    assert not seen & {"a mask without a class", "two classes in T1, one in T3"}  # of two classes
    page.get_by_role("button", name="more random patients").click()
    said(page, "50 random patients:")
    rows = page.locator(".values").nth(1).locator("tbody tr").all_inner_texts()
    right = [row.split("\t")[5] for row in rows]
    assert right[:2] == ["0.0 %"] * 2 and float(right[2].split()[0]) > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_the_answers_fit_and_are_told_in_words(started, size, scheme):
    page = started(size=size, scheme=scheme)
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    words = [c.get_attribute("aria-label") for c in page.locator(".explorable canvas").all()]
    assert len(words) == 7 and all(len(text) > 20 for text in words)
    assert "T1" in said(page, "T1")
    target = ROOT / "_build" / "screenshots"
    target.mkdir(exist_ok=True)
    page.locator(".explorable").screenshot(path=target / f"ask-started-{size}-{scheme}.png")
