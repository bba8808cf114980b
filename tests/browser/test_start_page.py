"""The start page: short, and its numbers are those of the results."""

import re

import pytest

import lib
from book.kit import figures, plan
from book.kit.claims import FULL, PLAIN

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
    one = next(one for (source, _), one in found.items() if source == "busbra")
    others = {figures.short_name(p): there for p, there in found.items() if p[0] == "phantom"}
    both = plan.over_sources_of(plan.compared(found))
    said = figures.found_in_words(one, PLAIN, FULL, plan.SMALLER, others, both)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", said).replace("**", "")
    shown = " ".join(words_of(page).replace("\u2019", "'").split())
    lines = [line.removeprefix("- ") for line in plain.splitlines()]
    assert len(lines) == 3 and all(line in shown for line in lines)
    assert figures.counts(one) in shown


def test_each_number_leads_to_the_results(visit):
    links = visit("index.html").page.locator("article a[href='results.html']").all_inner_texts()
    assert sum(bool(re.search(r"\d", text)) for text in links) >= 2
