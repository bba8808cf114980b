"""The exercises' page in Chromium: answered by mouse and keyboard, with the network cut."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from book.kit.exercises import answer_of, check, exercises

pytestmark = pytest.mark.browser

BUILD = Path(__file__).parents[2] / "_build"
PAGE = BUILD / "html" / "exercises" / "index.html"
ON_PAGE = [e for e in exercises().values() if e.kind != "code"]


@pytest.fixture(scope="module")
def page(browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.set_default_timeout(180_000)
    page.goto(PAGE.as_uri())
    yield page
    page.close()


def form_of(page: Page, name: str):
    return page.locator(f'form.exercise[data-name="{name}"]')


def test_every_form_is_there_and_named(page):
    assert page.locator("form.exercise").count() == len(ON_PAGE)
    unnamed = """() => [...document.querySelectorAll("form.exercise input")]
        .filter((input) => !input.labels.length).length"""
    assert page.evaluate(unnamed) == 0
    assert page.locator("form.exercise [aria-live=polite]").count() == len(ON_PAGE)


def test_numbers_are_answered_with_the_keyboard(page):
    for exercise in (e for e in ON_PAGE if e.kind == "number"):
        form = form_of(page, exercise.name)
        field = form.get_by_label("Your answer")
        right = answer_of(exercise.solution)
        for answer in [right, *(wrong for wrong, _ in exercise.mistakes)]:
            field.fill(str(answer))
            field.press("Enter")
            assert form.get_by_role("status").inner_text()[2:] == check(exercise.name, answer).says
        assert form.get_attribute("data-state") == "wrong"


def test_choices_are_answered_with_mouse_and_arrows(page):
    for exercise in (e for e in ON_PAGE if e.kind == "choice"):
        form = form_of(page, exercise.name)
        form.get_by_role("button", name="Check").click()
        assert form.get_by_role("status").inner_text() == "Choose one of them first."
        keys = list(exercise.options)
        form.get_by_role("radio").first.focus()
        page.keyboard.press("Space")
        for at, key in enumerate(keys):
            if at:
                page.keyboard.press("ArrowDown")
            form.get_by_role("radio").nth(at).press("Enter")
            said = form.get_by_role("status").inner_text()
            assert said[2:] == check(exercise.name, key).says


def test_a_right_answer_is_told_why_and_per_cent_about_the_unit(page):
    form = form_of(page, "dice-by-hand")
    because = exercises()["dice-by-hand"].because
    assert because not in page.content()
    form.get_by_label("Your answer").fill("50 %")
    form.get_by_role("button", name="Check").click()
    assert "Mind the unit" in form.get_by_role("status").inner_text()
    form.get_by_label("Your answer").fill("0,5")
    form.get_by_role("button", name="Check").click()
    assert form.get_by_role("status").inner_text() == f"\u2713 Right. {because}"


def test_a_chapter_ends_with_links_to_its_exercises(browser):
    for chapter in dict.fromkeys(e.chapter for e in exercises().values()):
        opened = browser.new_page()
        opened.goto((BUILD / "html" / f"{chapter}.html").as_uri())
        own = [e.name for e in exercises().values() if e.chapter == chapter]
        links = opened.locator("article a[href*='#exercise-']")
        found = links.evaluate_all("all => all.map((link) => link.href.split('#exercise-')[1])")
        assert found == own
        links.first.click()
        opened.locator(f"#exercise-{own[0]}").first.wait_for(state="attached")
        opened.close()


def test_a_word_is_no_number(page):
    form = form_of(page, "dice-by-hand")
    form.get_by_label("Your answer").fill("a half")
    form.get_by_role("button", name="Check").click()
    assert form.get_by_role("status").inner_text() == "Type a number, such as 0.42."


def test_hints_open_one_by_one(page):
    hint = page.locator("details", has_text="A first hint").first
    assert hint.get_attribute("open") is None
    hint.locator("summary").click()
    assert hint.get_attribute("open") is not None
