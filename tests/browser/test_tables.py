"""The pages of tables: sorted, narrowed, chosen and saved, by mouse and by keyboard, offline."""

import csv
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

HTML = Path(__file__).parents[2] / "_build" / "html"
PAGES = ["tables.html", "cost.html"]


# Where a head's column stands in a row, by its place on the screen; each cell's first text.
PLACE = """head => {
  const middle = (cell) => cell.getBoundingClientRect().left + cell.offsetWidth / 2;
  const row = [...head.closest("table").tBodies[0].rows[0].cells].filter((cell) => !cell.hidden);
  const near = row.map((cell) => Math.abs(middle(cell) - middle(head)));
  return row[near.indexOf(Math.min(...near))].cellIndex;
}"""
MINUS = "\N{MINUS SIGN}"
NUMBER = re.compile(rf"{MINUS}?\d+(\.\d+)?")
FIRST_TEXTS = """(table, place) => [...table.tBodies[0].rows].map((row) => {
  const cell = row.cells[place];
  return document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode()?.data.trim() ?? "";
})"""


def shown(page, place):
    """The texts of one column of the first table in view, by its place from 0."""
    rows = page.locator(".sortable:visible table").first.locator("tbody tr")
    return [row.locator("> *").nth(place).inner_text() for row in rows.all()]


def paper_auc(page):
    """The paper's AUC in Table 1: numbers, None for a dash."""
    texts = [text.strip() for text in shown(page, 3)]
    return [None if text == "\N{EN DASH}" else float(text) for text in texts]


@pytest.mark.parametrize("name", [*PAGES, "status.html"])
def test_every_head_is_a_button_that_says_what_it_sorts(visit, name):
    page = visit(name).page
    heads = page.locator(".sortable thead th[aria-sort]")
    assert heads.count() > 2
    names = heads.locator("button").evaluate_all("all => all.map((b) => b.ariaLabel)")
    assert len(names) == heads.count() and all(len(n) > len("Sort by ") for n in names)


def test_a_column_sorts_both_ways_with_what_is_missing_last(visit):
    opened = visit("tables.html")
    page, before = opened.page, shown(opened.page, 0)
    head = page.locator(".sortable:visible table").first.locator("thead tr").nth(1).locator("th")
    head = head.nth(1)  # after that of our contradictions
    button = head.locator("button")
    button.focus()
    for direction, key in (("descending", lambda v: -v), ("ascending", lambda v: v)):
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == direction
        values = paper_auc(page)
        known = [v for v in values if v is not None]
        assert known == sorted(known, key=key) and len(known) == 10
        assert values[len(known) :] == [None] * 11
        assert direction in page.locator(".sortable:visible .table-spoken").first.inner_text()
    page.keyboard.press("Enter")
    assert shown(page, 0) == before and head.get_attribute("aria-sort") == "none"
    assert not opened.log


@pytest.mark.parametrize("name", [*PAGES, "status.html"])
def test_numbers_sort_by_what_their_cells_show_whatever_stands_beside_them(visit, name):
    """Intervals, signs, counts of folds, thousands: the number itself is a cell's first text."""
    table = visit(name).page.locator(".sortable:visible table").first
    tried = 0
    for head in table.locator("thead th[data-numbers]:visible").all():
        place = head.evaluate(PLACE)
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        texts = [text.replace(",", "") for text in table.evaluate(FIRST_TEXTS, place)]
        found = [float(text.replace(MINUS, "-")) for text in texts if NUMBER.fullmatch(text)]
        assert found == sorted(found, reverse=True), (head.inner_text(), found)
        tried += len(set(found)) > 1
    assert tried > 2


def test_the_list_of_columns_shows_one_band_or_all(visit):
    page = visit("tables.html").page
    box = page.locator(".sortable:visible").first
    count = "table => [...table.tBodies[0].rows[0].cells].filter((c) => !c.hidden).length"
    choice = box.get_by_label("Columns")
    some = box.locator("table").evaluate(count)
    choice.select_option("IoU")
    assert box.get_by_role("columnheader", name="Accuracy").count() == 0
    choice.select_option("all")
    assert box.locator("table").evaluate(count) > some


@pytest.mark.parametrize("name", PAGES)
def test_one_data_set_is_shown_and_a_choice_holds_for_the_page(visit, name):
    page = visit(name).page
    choice = page.get_by_label("Data", exact=True).first
    titles = choice.locator("option").all_inner_texts()
    if len(titles) < 2:
        pytest.skip("only one data set has runs")
    choice.select_option(titles[1])
    for box in page.locator(".choice[data-label='Data']").all():
        panels = box.locator("> .choice-panel:not([hidden])")
        assert [p.get_attribute("data-title") for p in panels.all()] == [titles[1]]


def ways(page):
    """Which panels of the switch of Table 1 are shown."""
    box = page.locator(".choice[data-switch]:visible").first
    return [
        panel.get_attribute("data-title")
        for panel in box.locator("> .choice-panel").all()
        if panel.is_visible()
    ]


def test_the_switch_works_by_keyboard_and_holds_for_every_table(visit):
    opened = visit("tables.html")
    page = opened.page
    assert ways(page) == ["as answered"]
    first = page.locator(".table-switch:visible input").first
    first.focus()
    page.keyboard.press("ArrowRight")
    assert ways(page) == ["decided together"]
    assert page.locator(".table-switch:visible input:checked").evaluate_all(
        "all => [...new Set(all.map((one) => one.value))]"
    ) == ["decided together"]
    assert page.locator(".sortable:visible tbody tr").first.is_visible()
    assert not opened.log


def test_the_switch_works_by_touch(browser):
    context = browser.new_context(viewport={"width": 360, "height": 800}, has_touch=True)
    page = context.new_page()
    page.goto((HTML / "tables.html").as_uri())
    label = page.locator(".table-switch:visible label").nth(1)
    assert label.bounding_box()["height"] >= 44
    label.tap()
    assert ways(page) == ["decided together"]
    context.close()


SCROLLED = """() => [...document.querySelectorAll("article table")]
  .filter((table) => table.offsetWidth > 0 && !table.closest(".tag_wide"))
  .filter((table) => {
    for (let box = table.parentElement; box.tagName !== "ARTICLE"; box = box.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)
          && box.scrollWidth > box.clientWidth + 1) return true;
    return false;
  })
  .map((table) => `${table.offsetWidth} px: ${table.innerText.slice(0, 60)}`)"""
ALL = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if "<table" in path.read_text(encoding="utf-8") and "_static" not in path.parts
)


@pytest.mark.parametrize("name", ALL)
def test_no_table_hides_a_column_on_a_desktop(visit, name):
    page = visit(name).page
    page.evaluate("document.querySelectorAll('article details').forEach((d) => { d.open = true; })")
    assert page.evaluate(SCROLLED) == []


def test_the_file_that_is_saved_has_the_rows_of_the_table(visit, tmp_path):
    page = visit("tables.html").page
    with page.expect_download() as waiting:
        page.locator(".sortable:visible .sortable-file a").first.click()
    assert waiting.value.suggested_filename.startswith("table1-")
    target = Path(tmp_path / "table1.csv")
    waiting.value.save_as(target)
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows][:2] == ["ClsNet", "U-Net(Seg2) ⊕ ClsNet"]
    assert len(rows) == 21 and float(rows[-1]["dice_paper_mean_paper"]) == 0.8084


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*PAGES, "status.html"])
def test_on_a_phone_the_first_column_stays_and_can_be_read(visit, name, scheme):
    page = visit(name, "phone", scheme).page
    scroller = page.locator(".sortable:visible .sortable-scroll").first
    scroller.evaluate("box => { box.scrollLeft = 200; }")
    first = scroller.locator("tbody th").first
    assert first.bounding_box()["x"] >= 0 and first.bounding_box()["width"] < 180
    contrast = first.evaluate(
        """cell => {
          const light = (colour) => { const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          const style = getComputedStyle(cell);
          const [a, b] = [light(style.color), light(style.backgroundColor)].sort();
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }"""
    )
    assert contrast > 4.5


def test_without_a_script_every_data_set_and_column_is_there(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((HTML / "tables.html").as_uri())
    assert page.locator(".choice-panel").count() > 0
    assert page.locator(".choice-panel:visible").count() >= 1
    assert page.locator(".sortable button, .table-choice").count() == 0
    context.close()


MASK = "box => getComputedStyle(box).maskImage"
END = "box => { box.scrollLeft = box.scrollWidth; }"
FEWER = "n => document.querySelectorAll('.goes-on').length === n - 1"


def test_a_table_that_goes_on_fades_until_its_end(browser):
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto((HTML / "results.html").as_uri())
    page.evaluate("document.querySelectorAll('article details').forEach((d) => { d.open = true; })")
    boxes = page.locator(".goes-on")
    boxes.first.wait_for()
    assert boxes.first.evaluate(MASK).startswith("linear-gradient")
    marked = boxes.count()
    boxes.first.evaluate(END)
    page.wait_for_function(FEWER, arg=marked)
    context.close()
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto((HTML / "results.html").as_uri())
    page.wait_for_timeout(300)
    assert page.locator(".goes-on").count() == 0
    page.context.close()


def test_tables_that_the_picker_draws_anew_fade_too(browser):
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto((HTML / "pick.html").as_uri())
    for _ in range(2):
        page.locator(".picker-shown .goes-on").first.wait_for()
        page.evaluate("document.querySelector('.picker-shown .goes-on').dataset.seen = 1")
        page.locator(".picker button", has_text="Swap").click()
        page.wait_for_function("!document.querySelector('.picker-shown [data-seen]')")
    page.locator(".picker-shown .goes-on").first.wait_for()
    context.close()


LINES = """pre => {
  const height = parseFloat(getComputedStyle(pre).lineHeight);
  const box = getComputedStyle(pre);
  const room = pre.clientHeight - parseFloat(box.paddingTop) - parseFloat(box.paddingBottom);
  return [Math.round(room / height), pre.textContent.trimEnd().split("\\n").length];
}"""


def test_columns_that_a_cell_prints_stay_columns_on_a_phone(browser):
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto((HTML / "chapters" / "network.html").as_uri())
    printed = page.locator("pre.in-columns")
    assert printed.count() == 1
    assert "T3 Dice" in printed.inner_text()
    shown, written = printed.evaluate(LINES)
    assert shown == written == 5
    context.close()
