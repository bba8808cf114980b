"""What a page says of places whose runs cannot stand together."""

import re

import pytest
from records import record

from book.kit import claims, figures, page
from book.kit.stats import Evidence


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(page, "say", lines.append)
    return lines


def test_a_place_without_evidence_is_left_out_and_says_why(said):
    known = Evidence([record("mtl")])
    places = {("phantom", "laptop"): known, ("busbra", "laptop"): "folds <mixed>"}
    assert page.with_evidence(places) == {("phantom", "laptop"): known}
    assert page.with_evidence(places, "nothing to judge").keys() == {("phantom", "laptop")}
    where = figures.place_name(("busbra", "laptop"))
    assert said == [
        f"*{where}: nothing to show: folds &lt;mixed&gt;.*",
        f"*{where}: nothing to judge: folds &lt;mixed&gt;.*",
    ]


def test_places_are_chosen_by_a_system():
    known = Evidence([record("mtl")])
    places = {("phantom", "laptop"): known, ("busbra", "laptop"): "why", ("ddti", "laptop"): known}
    assert [*figures.with_system(places, "mtl")] == [("phantom", "laptop"), ("ddti", "laptop")]
    assert figures.with_system(places, "msl") == {}


def test_each_ledger_knows_the_paper_and_the_older_runs_of_its_source():
    new = {(s, "evidence"): Evidence([record("ms-mtl", source=s)]) for s in ("busbra", "phantom")}
    pair = [record(name, profile="laptop") for name in claims.PAIR]
    found = claims.ledgers(new, {"phantom": Evidence(pair)})
    parts = {place: [p for one in each for p in one.parts] for place, each in found.items()}
    assert any(part.printed is not None for part in parts["busbra", "evidence"])
    assert {part.profile for part in parts["busbra", "evidence"]} == {""}
    assert "laptop" in {part.profile for part in parts["phantom", "evidence"]}


def test_a_training_is_named_by_its_fold_and_its_own_images(said):
    runs = [record("mtl", seed=seed) | {"fold": 2} for seed in (0, 1)]
    images = len(runs[0]["per_image"]["label"])
    assert page.first_of(Evidence(runs), ["mtl", "msl"], {"mtl": "MTL", "msl": "MSL"}) == runs[:1]
    assert said == [
        "*Not run here yet: MSL.*",
        f"*One training of each is shown: MTL (fold 2, seed 0, {images} test images).*",
    ]


def test_no_day_of_the_results_outside_the_repository(monkeypatch):
    if page.home.repository():  # a copy without git's history knows no day
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", page.results_of())
    monkeypatch.setattr(page.home, "repository", lambda: None)
    assert page.results_of() == ""


def test_long_words_are_folded_and_stay_markdown(said):
    page.folded_words("a < b", "- one\n- two")
    page.folded_words("nothing", "")
    assert said == [
        "<details><summary>a &lt; b</summary>\n\n- one\n- two\n\n</details>",
    ]
