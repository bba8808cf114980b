"""The picker in the built book: offline from a file, by keyboard, kept in the address."""

import pytest

pytestmark = pytest.mark.browser

READY = "n => Number(document.querySelector('.picker').dataset.ready ?? 0) >= n"


def shown(opened, times=1):
    opened.page.wait_for_function(READY, arg=times)
    assert not opened.log
    return opened.page


def chosen(page):
    return {
        name: page.locator(f".picker select[name={name}]").input_value()
        for name in ("data", "a", "b", "seed")
    }


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_two_systems_are_compared_and_nothing_is_cut_off(visit, size):
    page = shown(visit("pick.html", size))
    assert page.locator(".picker table").count() == 3
    assert page.locator(".picker svg").count() == 2
    assert "Dice" in page.locator(".picker table").first.inner_text()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= (360 if size == "phone" else 1440)
    small = page.locator(".picker select, .picker button").evaluate_all(
        "all => all.filter((one) => one.getBoundingClientRect().height < 44).length"
    )
    assert small == 0  # a finger finds them


def test_by_keyboard_and_kept_in_the_address(visit):
    opened = visit("pick.html")
    page = shown(opened)
    before = chosen(page)
    page.locator(".picker select[name=a]").focus()
    page.keyboard.press("Home")
    page.wait_for_function(READY, arg=2)
    after = chosen(page)
    assert after["a"] != before["a"]
    link, said = page.url, page.locator(".picker-said").inner_text()
    assert after["a"] in link.replace("%2B", "+")

    again = visit("pick.html", query="#" + link.partition("#")[2])
    page = shown(again)
    assert chosen(page) == after
    assert page.locator(".picker-said").inner_text() == said


def test_swapping_turns_the_difference_about(visit):
    page = shown(visit("pick.html"))
    cell = page.locator(".picker table").first.locator("tbody tr").first.locator("td").nth(2)
    before, pair = cell.locator("b").inner_text(), chosen(page)
    page.get_by_role("button", name="Swap").click()
    page.wait_for_function(READY, arg=2)
    after = cell.locator("b").inner_text()
    assert (chosen(page)["a"], chosen(page)["b"]) == (pair["b"], pair["a"])
    assert {before[0], after[0]} == {"+", "\N{MINUS SIGN}"} and before[1:] == after[1:]


def test_an_address_that_names_nothing_known_shows_something_known(visit):
    page = shown(visit("pick.html", query="#data=nowhere&a=nobody&b=nobody&seed=99"))
    assert page.locator(".picker table").count() == 3 or "same system" in page.inner_text(".picker")


def test_another_data_set_is_loaded_when_it_is_chosen(visit):
    page = shown(visit("pick.html"))
    sets = page.locator(".picker select[name=data] option").count()
    if sets < 2:
        pytest.skip("the book has one data set only")
    first = page.locator(".picker-said").inner_text()
    page.locator(".picker select[name=data]").select_option(index=1)
    page.wait_for_function(READY, arg=2)
    assert page.locator(".picker-said").inner_text() != first
