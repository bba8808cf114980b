"""Each explorable on a page by itself, opened from its file with no network and a strict policy.

Moved by mouse, finger and keyboard; the values must follow. The pages of the book that hold them
are opened by test_pages.py.
"""

import re
from types import SimpleNamespace

import pytest

from book.kit import explorables, paper
from lib.sources.phantom import Features, probability

pytestmark = pytest.mark.browser

# Nothing from anywhere: what stands in the page, and modules made of it.
POLICY = "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf8"><title>One explorable</title>
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root {{ color-scheme: light dark; }}</style></head><body>{body}</body></html>"""
RUN = {  # four of the eight wrong or unsure, two of them contradictory
    "key": "phantom.laptop.mtl.0",
    "title": "MTL",
    "label": [0, 0, 0, 0, 1, 1, 1, 1],
    "p": [0.1, 0.2, 0.45, 0.7, 0.3, 0.55, 0.8, 0.9],
    "seg": [0, 0, 0, 0, 1, 1, 1, 1],
}
COURSE = {
    "key": "phantom.laptop.mtl.0",
    "title": "the phantom: MTL, seed 0",
    "place": "phantom.laptop",
    "system": "mtl",
    "seed": 0,
    "minutes": 1.5,
    "epochs": [1, 2, 3],
    "curves": {
        "total": {"train": [3.0, 2.0, 1.0], "valid": [3.0, 1.5, 2.0]},
        "AUC": {"valid": [0.6, 0.8, 0.7]},
    },
    "test": {"AUC": 0.75},
}
OTHER = COURSE | {
    "key": "phantom.laptop.clsnet.0",
    "title": "the phantom: ClsNet, seed 0",
    "system": "clsnet",
    "curves": {"total": {"train": [2.0, None, 1.0], "valid": [2.5, 2.25, 2.125]}},
    "test": {"AUC": 0.7},
}
MADE = {"size": 64, "networks": {n: {"title": n, "weights": {}} for n in ("ms-mtl", "mtl")}}
DATA = {
    "ask": explorables.asked(MADE, megabytes=6),
    "runs": {
        "runs": [COURSE, OTHER],
        "curves": {"total": "total", "AUC": "AUC of the class"},
        "measures": {"AUC": "AUC of the class"},
        "higher": ["AUC"],
        "start": {"a": COURSE["key"], "b": OTHER["key"]},
    },
    "loss-laboratory": {"figure3": [row._asdict() for row in paper.FIGURE_3]},
    "phantom": explorables.tirads(),
    "threshold": {"runs": [RUN]},
}


@pytest.fixture
def logs():
    """What pages complain of."""
    return []


@pytest.fixture
def visit(browser, tmp_path, logs):
    """Open an explorable; whatever goes wrong in the page fails the test at its end."""
    contexts = []

    def visit(name, link="", width=1000, scheme="light", touch=False, above=""):
        file = tmp_path / f"{name}.html"
        body = above + explorables.show(name, DATA.get(name)).html
        file.write_text(PAGE.format(policy=POLICY, body=body), encoding="utf8")
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            has_touch=touch,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: m.type in ("error", "warning") and logs.append(m.text))
        page.on("pageerror", lambda error: logs.append(str(error)))
        page.goto(file.as_uri() + link)
        page.wait_for_selector("[data-drawn]")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert logs == []


def cell(page, row, column=1):
    """A number of the table of values, by the head of its row."""
    word = re.compile(rf"(^|\W){re.escape(row)}")  # T1, not the T1 of L_T1T3
    head = page.locator(".values tbody th").filter(has_text=word).first
    return head.locator(f"xpath=../*[{column + 1}]").inner_text()


def after(page, act, row, column=1):
    """What a cell holds before and after: waits until it has changed."""
    before = cell(page, row, column)
    act()
    page.wait_for_function(
        """([row, column, before]) => [...document.querySelectorAll(".values tbody th")]
             .find((head) => ` ${head.textContent}`.includes(` ${row}`))
             .parentElement.cells[column].textContent !== before""",
        arg=[row, column, before],
    )
    return SimpleNamespace(before=float(before), now=float(cell(page, row, column)))


def linked(page):
    """The address, once it has followed the last change."""
    page.wait_for_timeout(400)
    return page.evaluate("location.hash")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", explorables.NAMES)
def test_fits_and_can_be_read_aloud(visit, name, width, scheme):
    page = visit(name, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, select, button, a, canvas, svg[role]")]
             .filter((one) => !one.closest("[hidden]"))
             .filter((one) => !(one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent
                                ?? one.textContent).trim())
             .map((one) => one.outerHTML)"""
    )
    assert unnamed == []
    assert page.locator(".values table caption").count() > 0
    assert page.locator("[role=status]").inner_text()


@pytest.mark.parametrize("name", explorables.NAMES)
def test_a_broken_link_is_ignored(visit, name):
    page = visit(name, f"#{name}?p=NaN&t2=%3Cb%3E&order=none&constructor=1&__proto__=2")
    assert page.locator(".values tbody th").count() > 0


def test_a_link_to_its_state_shows_it_though_it_is_not_the_first_on_its_page(visit):
    chapter = '<p style="height: 3000px">A chapter</p>'
    top = "document.querySelector('.explorable').getBoundingClientRect().top"
    assert visit("gain", above=chapter).evaluate(top) > 3000
    assert 0 <= visit("gain", "#gain?share=0.5", above=chapter).evaluate(top) < 100


# ---- loss laboratory


def drag(page, handle, dx, dy):
    box = page.locator(f"[data-handle={handle}]").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()


def test_the_mouse_moves_a_mask_away_and_t2t3_rises(visit):
    page = visit("loss-laboratory")
    seen = after(page, lambda: drag(page, "t2-move", 60, 40), "L_T2T3")
    assert seen.now > seen.before + 0.05


def test_a_finger_moves_a_mask(visit):
    page = visit("loss-laboratory", width=360, touch=True)
    page.locator(".stage").scroll_into_view_if_needed()
    touch = page.context.new_cdp_session(page)
    box = page.locator("[data-handle=t3-move]").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def swipe():
        for kind, at in (
            ("touchStart", 0),
            ("touchMove", 25),
            ("touchMove", 60),
            ("touchEnd", None),
        ):
            points = [] if at is None else [{"x": x - at, "y": y + at / 3}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    seen = after(page, swipe, "L_T2T3")
    assert seen.now > seen.before + 0.05


def test_a_finger_need_not_hit_a_handle_in_its_middle(visit):
    """44 px are its own, though it is drawn smaller; and no table scrolls sideways."""
    page = visit("loss-laboratory", width=360, touch=True)
    handle = page.locator("[data-handle=t3-resize]")
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    hit = "([x, y]) => document.elementFromPoint(x, y).dataset.handle"
    for step in ((21, 0), (-21, 0), (0, 21), (0, -21)):
        assert page.evaluate(hit, [x + step[0], y + step[1]]) == "t3-resize"
    assert box["width"] < 30
    tables = page.locator(".values")
    widths = tables.evaluate_all("all => all.map((one) => one.scrollWidth - one.clientWidth)")
    assert max(widths) <= 0


def test_the_keyboard_moves_a_mask_and_the_class(visit):
    page = visit("loss-laboratory")
    page.locator("[data-handle=t3-move]").focus()
    seen = after(page, lambda: page.keyboard.press("Shift+ArrowRight"), "L_T2T3")
    assert seen.now < seen.before  # towards T2's mask
    page.locator("[data-field=p]").focus()
    seen = after(page, lambda: page.keyboard.press("Home"), "L_T1T3")
    assert seen.now < seen.before  # T1 now says what T3's map says
    assert cell(page, "T1") == "1.000"


def test_painting_by_mouse_and_by_keyboard(visit):
    page = visit("loss-laboratory")
    page.locator("[data-field=tool][value=paint]").check()
    box = page.locator(".stage canvas").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 80, box["y"] + 20, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert int(cell(page, "T3", 3)) > 1800
    page.locator("[data-field=tool][value=erase]").check()
    page.locator(".stage canvas").focus()
    seen = after(page, lambda: page.keyboard.press("Space"), "T3", 3)
    assert seen.now < seen.before
    restored = visit("loss-laboratory", linked(page))
    assert cell(restored, "T3", 3) == cell(page, "T3", 3)


def test_figure_3_and_the_other_logarithm(visit):
    page = visit("loss-laboratory")
    seen = after(page, page.get_by_text("map wrong").click, "L_T1T3")
    assert seen.now == pytest.approx(paper.FIGURE_3[2].loss, abs=2e-3)
    seen = after(page, page.locator("[data-field=softmax][value=single]").check, "L_T1T3")
    assert seen.now > 3


def test_losses_less_what_agreeing_costs(visit):
    page = visit("loss-laboratory")
    page.locator("[data-field=floor]").check()
    page.wait_for_selector(".values thead th:text-is('difference')")
    assert cell(page, "L_T1T3", 2) == "1.0708"  # its floor, with both orders and a second softmax
    loss, cost, rest = (float(cell(page, "sum", column)) for column in (1, 2, 3))
    assert rest == pytest.approx(loss - cost, abs=2e-4) and rest > 0.5
    assert "its floor" in page.locator(".note", has_text="Subtracted").inner_text()
    page.get_by_text("T2 and T3 agree").click()
    page.get_by_text("T1 and T3 agree").click()
    page.wait_for_function("() => document.querySelector('[data-field=p]').value === '0.02'")
    page.wait_for_timeout(300)
    assert [cell(page, term, 3) for term in ("L_T2T3", "L_T1T2T3")] == ["0.0000", "0.0000"]
    restored = visit("loss-laboratory", linked(page))
    assert cell(restored, "L_T1T3", 3) == cell(page, "L_T1T3", 3)


def test_picture_and_losses_fit_on_a_projector(visit):
    """In the width that a page of the book leaves at 1280 x 720, below the bar of the page."""
    page = visit("loss-laboratory", width=700)
    boxes = [
        page.locator(place).first.bounding_box()
        for place in (".presets", ".said", ".stage", ".values table", "[data-field=s2]")
    ]
    top = min(box["y"] for box in boxes)
    assert max(box["y"] + box["height"] for box in boxes) - top <= 720 - 60


def test_a_link_opens_what_it_was_copied_from(visit):
    page = visit("loss-laboratory")
    page.locator("[data-field=order][value=sc]").check()
    page.locator("[data-field=detach]").uncheck()
    drag(page, "t2-resize", -20, -10)
    link = linked(page)
    assert link.startswith("#loss-laboratory?") and "order=sc" in link and "detach=0" in link
    restored = visit("loss-laboratory", link)
    assert cell(restored, "sum") == cell(page, "sum")
    assert not restored.locator("[data-field=detach]").is_checked()
    # The same page follows a link that is opened in it, and goes back to the beginning.
    restored.evaluate("location.hash = '#loss-laboratory?p=0.25'")
    restored.wait_for_function("() => document.querySelector('[data-field=p]').value === '0.25'")
    restored.get_by_text("Start again").click()
    restored.wait_for_function("() => document.querySelector('[data-field=p]').value === '0.9'")


# ---- Dice by hand


def test_dice_by_mouse_by_keyboard_and_empty(visit):
    page = visit("dice-by-hand")
    seen = after(page, lambda: drag(page, "predicted1-move", 60, 0), "image 1", 4)
    assert seen.now < seen.before
    page.get_by_text("Predict the truth").click()
    page.wait_for_timeout(300)
    assert cell(page, "image 1", 4) == "1.000"
    page.locator("[data-handle=predicted1-resize]").focus()
    seen = after(page, lambda: page.keyboard.press("Shift+ArrowLeft"), "image 1", 4)
    assert seen.now < 1
    page.get_by_text("Predict nothing anywhere").click()
    page.wait_for_timeout(300)
    assert cell(page, "image 3", 4) == "0/0"
    assert cell(page, "both empty = 1") == "0.333"
    assert cell(page, "both empty = 0") == cell(page, "pooled") == "0.000"
    restored = visit("dice-by-hand", linked(page))
    assert cell(restored, "both empty = 1") == "0.333"


# ---- the phantom


def picture(page):
    """The grey levels of the canvas, and what it says to those who listen."""
    grey = page.evaluate(
        """(() => { const canvas = document.querySelector(".picture canvas");
          const copy = document.createElement("canvas")
            .getContext("2d", { willReadFrequently: true });
          [copy.canvas.width, copy.canvas.height] = [canvas.width, canvas.height];
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
          return [...data].filter((_, i) => i % 4 === 0); })()"""
    )
    return SimpleNamespace(
        grey=grey, words=page.locator(".picture canvas").get_attribute("aria-label")
    )


def changed(one, other):
    """Share of the canvas that is another grey."""
    return sum(a != b for a, b in zip(one.grey, other.grey, strict=True)) / len(one.grey)


def test_the_phantom_is_drawn_and_its_outline_too(visit):
    page = visit("phantom")
    plain = picture(page)
    assert len(set(plain.grey)) > 100
    assert "solid, hypoechoic nodule, wider than tall, with a smooth margin" in plain.words
    page.locator("[data-field=outline]").check()
    page.wait_for_selector("canvas[aria-label*='dashed line']")
    assert 0.005 < changed(plain, picture(page)) < 0.1
    page.get_by_text("Another neck").click()
    page.wait_for_function("() => document.querySelector('[data-field=neck]').value === '10'")
    assert changed(plain, picture(page)) > 0.5


def test_a_feature_by_keyboard_by_menu_and_by_finger(visit):
    page = visit("phantom", width=360, touch=True)
    assert (cell(page, "all five"), cell(page, "level of ACR TI-RADS")) == ("4", "TR4")
    before = picture(page)
    page.locator("[data-field=shape][value=wider]").focus()
    seen = after(page, lambda: page.keyboard.press("ArrowRight"), "all five")
    assert (seen.now, cell(page, "shape: taller", 4)) == (7, "5.38")
    taller = picture(page)
    assert "taller than wide" in taller.words and changed(before, taller) > 0.02
    page.locator("[data-field=foci]").select_option("punctate")
    page.wait_for_selector("canvas[aria-label*='punctate']")
    assert (cell(page, "all five"), cell(page, "level of ACR TI-RADS")) == ("10", "TR5")
    seen = after(page, page.get_by_text("spongiform").first.tap, "all five")
    assert (seen.now, cell(page, "level of ACR TI-RADS")) == (0, "TR1")
    assert cell(page, "shape: taller") == "\N{EN DASH}"
    assert changed(taller, picture(page)) > 0.02


def test_cystic_sets_anechoic_and_back(visit):
    page = visit("phantom", "#phantom?composition=cystic&echogenicity=hypoechoic")
    assert page.locator("[data-field=echogenicity][value=anechoic]").is_checked()
    page.locator("[data-field=composition][value=mixed]").check()
    page.wait_for_selector("[data-field=echogenicity][value=hypoechoic]:checked")
    page.locator("[data-field=echogenicity][value=anechoic]").check()
    page.wait_for_selector("[data-field=composition][value=cystic]:checked")
    assert cell(page, "composition: cystic", 2) == "11 %"


def test_the_phantoms_presets_share_and_link(visit):
    typical = Features("solid", "hypoechoic", "wider", "lobulated/irregular", "punctate")
    ratio = probability(typical, "malignant") / probability(typical, "benign")
    page = visit("phantom")
    page.get_by_text("A typical malignant nodule").click()
    page.wait_for_selector("canvas[aria-label*='lobulated']")
    now = cell(page, "malignant, with these features")
    assert now == f"{100 * 0.43 * ratio / (0.43 * ratio + 0.57):.1f} %"
    page.locator("[data-field=before]").focus()
    page.keyboard.press("Home")
    page.wait_for_selector(f"td:text-is('{100 * ratio / (ratio + 99):.1f} %')")
    page.get_by_text("No points, yet malignant").click()
    page.wait_for_selector("[role=status]:has-text('0 points, TR1')")
    page.get_by_text("Another neck").click()
    page.wait_for_function("() => document.querySelector('[data-field=neck]').value === '10'")
    restored = visit("phantom", linked(page))
    one, other = picture(page), picture(restored)
    assert one.words == other.words and changed(one, other) == 0
    assert cell(restored, "malignant, before the picture") == "1 %"
    restored.get_by_text("Start again").click()
    restored.wait_for_selector("td:text-is('43 %')")


def test_guessing_hides_the_words_until_the_answer(visit):
    page = visit("phantom")
    page.get_by_text("Guess the class").focus()
    for guesses in (1, 2):
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=status]:has-text('benign or malignant?')")
        assert not page.locator("[data-field=composition]").first.is_visible()
        assert not page.locator(".values").first.is_visible()
        assert page.evaluate("document.activeElement.textContent") == "Benign"
        page.keyboard.press("Enter")
        page.wait_for_selector(f"[role=status]:has-text('of {guesses} right')")
        assert page.locator(".values").first.is_visible()
        right = page.locator("[role=status]").inner_text().startswith("Right: it is benign")
        assert right or page.locator("[role=status]").inner_text().startswith("Wrong: it is mal")
    page.get_by_text("Guess the class").click()
    page.get_by_text("Start again").click()
    page.wait_for_selector("[role=status]:has-text('4 points, TR4')")


def test_without_a_nodule_its_controls_are_off(visit):
    page = visit("phantom", width=360, touch=True)
    features = page.locator("[data-field=composition], [data-field=foci], [data-field=outline]")
    begin = page.get_by_role("button", name="A typical benign nodule")
    why = page.get_by_text("There is no nodule here that could have features")
    before = picture(page)
    assert "T1: the class of the nodule" in page.locator("body").inner_text()
    page.get_by_text("no nodule", exact=True).tap()
    page.wait_for_selector("canvas[aria-label*='with no nodule']")
    assert changed(before, picture(page)) > 0.02
    assert all(one.is_disabled() for one in [*features.all(), begin]) and why.is_visible()
    assert "T1: neither class is present" in page.locator("body").inner_text()
    assert not page.locator(".values").first.is_visible()
    assert "No nodule: there is nothing to describe" in page.locator("[role=status]").inner_text()
    restored = visit("phantom", linked(page))
    assert picture(restored).grey == picture(page).grey
    restored.locator("[data-field=nodules][value=none]").focus()
    restored.keyboard.press("ArrowLeft")
    restored.wait_for_selector("canvas[aria-label*='hypoechoic nodule']")
    assert changed(before, picture(restored)) == 0
    features = restored.locator("[data-field=composition], [data-field=foci]").first
    assert features.is_enabled() and restored.locator(".values").first.is_visible()


def test_of_two_nodules_each_has_its_features(visit):
    """By keyboard; what follows for which of the two is the malignant one is Bayes's."""

    def known(benign, malignant):
        one, other = (
            probability(nodule, "malignant") / probability(nodule, "benign")
            for nodule in (benign, malignant)
        )
        return f"{100 * other / (one + other):.1f} %"

    typical = Features("solid", "hypoechoic", "wider", "lobulated/irregular", "punctate")
    row = "malignant one, with the features of both"
    page = visit("phantom")
    page.locator("[data-field=nodules][value=one]").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector("canvas[aria-label*='with two nodules']")
    assert "T1: both classes are present" in page.locator("body").inner_text()
    page.locator("[data-field=which][value=first]").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(f"td:text-is('{known(Features(), typical)}')")
    assert cell(page, "all five") == str(typical.points)
    assert page.locator("[data-field=foci2]").input_value() == "punctate"
    assert not page.locator("[data-field=foci]").is_visible()
    before = picture(page)
    page.locator("[data-field=composition2][value=cystic]").check()
    page.wait_for_selector("canvas[aria-label*='cystic, anechoic']")
    cystic = Features("cystic", "anechoic", "wider", "lobulated/irregular", "punctate")
    assert cell(page, row) == known(Features(), cystic)
    assert 0.005 < changed(before, picture(page)) < 0.5
    page.locator("[data-field=outline]").check()
    page.wait_for_selector("canvas[aria-label*='a dotted one round the malignant one']")
    restored = visit("phantom", linked(page))
    assert picture(restored) == picture(page) and cell(restored, row) == cell(page, row)
    restored.get_by_text("A typical benign nodule").click()
    restored.wait_for_selector("[data-field=echogenicity2][value='hyper/isoechoic']:checked")
    assert restored.locator("[data-field=echogenicity]:checked").input_value() == "hypoechoic"
    restored.get_by_text("Guess the class").click()
    restored.wait_for_selector("[role=status]:has-text('benign or malignant?')")
    assert "two nodules" not in picture(restored).words


def test_the_phantom_is_quick_enough_for_a_switch(visit):
    """Not a benchmark: a picture that took half a second would be a mistake on any machine."""
    page = visit("phantom")
    begun = page.evaluate("performance.now()")
    for value in ("cystic", "mixed", "spongiform", "solid"):
        page.locator(f"[data-field=composition][value={value}]").check()
        page.wait_for_selector(f"canvas[aria-label*='with a {value}']")
    assert page.evaluate("performance.now()") - begun < 4 * 1000


def test_the_phantom_says_that_its_table_is_missing(visit, monkeypatch):
    monkeypatch.delitem(DATA, "phantom")
    assert "book.kit.explorables.tirads()" in visit("phantom").locator("body").inner_text()


# ---- ask, without its networks: test_ask_page.py has them


def test_networks_that_are_not_there_are_named(visit, logs):
    page = visit("ask")
    page.get_by_text("Start the two networks").click()
    page.wait_for_selector("[role=status]:has-text('runtime.js is not beside the book')")
    assert page.get_by_text("Start the two networks (6.0 MB)").is_enabled()
    logs.clear()  # the browser says so, too


# ---- runs


def test_the_curves_of_two_runs(visit):
    page = visit("runs")
    assert cell(page, "A, validation", 2) == "1.50" and cell(page, "A, validation", 3) == "2"
    assert cell(page, "B, training", 2) == "1.00"  # an epoch without a value is left out
    assert cell(page, "AUC of the class", 3) == "\N{MINUS SIGN}5.0"
    page.locator("[data-field=curve][value=AUC]").check()
    page.wait_for_function("() => document.querySelectorAll('.values tbody')[0].rows.length === 1")
    assert cell(page, "A, validation", 2) == "80.0 %"  # of an AUC the highest is the best
    words = page.locator(".chart text").all_text_contents()
    assert "%" in words and {"60", "80"} <= {*words} and "0.6" not in words  # as in the table
    page.wait_for_selector("[role=status]:has-text('B has no such curve')")
    assert visit("runs", linked(page)).locator("[data-field=curve][value=AUC]").is_checked()


def test_runs_warns_of_what_must_not_be_compared(visit, monkeypatch):
    page = visit("runs")
    warning = page.locator(".said + .note")
    assert "Each total adds other terms" in warning.inner_text()
    ticks = page.locator(".chart text[text-anchor=middle]").all_text_contents()
    assert ticks[:4] == ["0", "1", "2", "3"]
    page.locator("[data-field=curve][value=AUC]").check()
    page.wait_for_function("() => document.querySelector('.said + .note').textContent === ''")
    elsewhere = DATA["runs"] | {"runs": [COURSE, OTHER | {"place": "busbra.laptop"}]}
    monkeypatch.setitem(DATA, "runs", elsewhere | {"start": {"curve": "AUC", "b": OTHER["key"]}})
    assert "saw other images" in visit("runs").locator(".said + .note").inner_text()


def test_runs_says_that_there_is_none(visit, monkeypatch):
    monkeypatch.setitem(DATA, "runs", {"runs": []})
    assert "No run is here yet" in visit("runs").locator("body").inner_text()


# ---- threshold and abstention


def test_threshold_and_referral(visit):
    page = visit("threshold")
    assert [cell(page, "errors", column) for column in (1, 2, 3)] == ["2", "0", "2"]
    page.locator("[data-field=rule][value=none]").check()
    page.locator("[data-field=threshold]").focus()
    seen = after(page, lambda: page.keyboard.press("End"), "malignant missed")
    assert (seen.before, seen.now) == (1, 4)
    page.locator("[data-field=rule][value=unsure]").check()
    page.locator("[data-field=share]").focus()
    seen = after(page, lambda: page.keyboard.press("PageUp"), "images answered", 2)
    assert seen.now < seen.before
    restored = visit("threshold", linked(page))
    assert cell(restored, "images answered", 2) == cell(page, "images answered", 2)


@pytest.mark.parametrize("width", [360, 1440])
def test_a_long_menu_stays_in_its_column(visit, monkeypatch, width):
    """Five runs with long names: neither over the next column nor off a phone's screen."""
    long = "without the consistency terms, on the images of some hospital, seed"
    runs = [RUN | {"key": f"a.b.c.{n}", "title": f"MS-MTL {long} {n}"} for n in range(5)]
    monkeypatch.setitem(DATA, "threshold", {"runs": runs})
    page = visit("threshold", width=width)
    menu, rules, value = (
        page.locator(place).first.bounding_box()
        for place in ("select", "fieldset.radios", ".slider output")
    )
    assert menu["x"] + menu["width"] <= width and value["x"] + value["width"] <= width
    beside = menu["x"] + menu["width"] <= rules["x"]
    assert beside or menu["y"] + menu["height"] <= rules["y"]


# ---- what a gain is made of


def test_gain_by_sliders_and_presets(visit):
    page = visit("gain")
    assert cell(page, "all images", 3) == "4.5"
    page.get_by_text("B finds nothing").click()
    page.wait_for_timeout(300)
    assert cell(page, "all images", 2) == "50.0"
    assert cell(page, "images of the class", 2) == "0.0"
    page.get_by_text("B draws better").click()
    page.wait_for_timeout(300)
    page.locator("[data-field=bd]").focus()
    seen = after(page, lambda: page.keyboard.press("End"), "all images", 2)
    assert seen.now == 85.0
    restored = visit("gain", linked(page))
    assert cell(restored, "all images", 2) == "85.0"


# ---- who decides


def test_who_decides_by_sliders_and_presets(visit):
    page = visit("who-decides")
    assert (cell(page, "Painted", 1), cell(page, "T3 alone", 1)) == ("malignant", "benign")
    page.locator("[data-field=p]").focus()
    seen = after(page, lambda: page.keyboard.press("End"), "probability", 2)
    assert seen.before < seen.now == 1.0
    assert cell(page, "One answer", 1) == "malignant"
    page.get_by_text("T3 is sure, T1 is not").click()
    page.wait_for_timeout(300)
    assert (cell(page, "Painted", 1), cell(page, "One answer", 1)) == ("malignant", "benign")
    restored = visit("who-decides", linked(page))
    assert cell(restored, "One answer", 2) == cell(page, "One answer", 2) != "0"
    page.get_by_text("Nobody sees a nodule").click()
    page.wait_for_timeout(300)
    assert (cell(page, "One answer", 1), cell(page, "One answer", 2)) == ("no nodule", "0")
