"""The start page: short, and its numbers are those of the results."""

import re

import pytest

import lib
from book.kit import figures, plan

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def found():
    return figures.shown(lib.results.load_all())


def words_of(page) -> str:
    return page.evaluate(
        """() => {
          const text = document.querySelector("article.bd-article").cloneNode(true);
          text.querySelectorAll("script, style, svg, pre, noscript, .plotly-figure")
            .forEach((part) => part.remove());
          return text.textContent;
        }"""
    )


def test_it_is_read_in_a_minute(visit):
    assert len(words_of(visit("index.html").page).split()) < 250


def test_its_numbers_are_those_of_the_results(visit, found):
    page = visit("index.html").page
    finer = figures.of_profile(lib.results.load_all(), plan.FINER)
    said = plan.finding_in_words(found, {k: plan.common(v) for k, v in finer.items()})
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", said).replace("**", "")
    shown = " ".join(words_of(page).replace("\u2019", "'").split())
    lines = [" ".join(line.removeprefix("- ").split()) for line in plain.splitlines()]
    assert len(lines) == 5 and all(line in shown for line in lines)


def test_each_number_leads_to_the_results(visit):
    links = visit("index.html").page.locator("article a[href^='results.html#']").all_inner_texts()
    assert sum(bool(re.search(r"\d", text)) for text in links) >= 2
