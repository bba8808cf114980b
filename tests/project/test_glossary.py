"""The glossary in the pages: the first use of a word is a link, and nothing else is."""

import re
from pathlib import Path

from docutils import nodes
from docutils.core import publish_doctree
from glossary import mark, meanings

BOOK = Path(__file__).parents[2] / "book"
MEANING = {"MTL": "Several tasks.", "MS-MTL": "Two stages.", "class (T1)": "Benign or not."}
TARGET = {word: f"glossary.html#{at}" for at, word in enumerate(MEANING)}


def links(text):
    document = publish_doctree(text)
    seen = mark(document, MEANING, TARGET)
    found = [n for n in document.findall(nodes.reference) if "reftitle" in n]
    return seen, [(n.astext(), n["refuri"], n["reftitle"]) for n in found]


def test_the_first_use_is_a_link_with_the_meaning():
    seen, found = links("One MTL, two MTLs.\n\nMTL again, and T1.")
    assert seen == ["MTL", "class (T1)"]
    assert found == [
        ("MTL", "glossary.html#0", "Several tasks."),
        ("T1", "glossary.html#2", "Benign or not."),
    ]


def test_a_part_of_a_longer_word_is_none():
    assert links("MS-MTL and MTLX, L_T1T3")[0] == ["MS-MTL"]


def test_headings_code_and_links_stay():
    assert links("MTL\n===\n\nA ``MTL`` and `MTL <page.html>`_ here.")[0] == []


def test_the_text_stays_as_it_was():
    document = publish_doctree("One MTL, two MS-MTLs, T1.")
    before = document.astext()
    mark(document, MEANING, TARGET)
    assert document.astext() == before


def test_a_meaning_is_the_whole_definition():
    glossary = publish_doctree("MTL\n  Several tasks at\n  once. More of it.\n\nAUC\n  An area.")
    assert meanings(glossary) == {"MTL": "Several tasks at once. More of it.", "AUC": "An area."}


def test_the_words_of_a_task_say_that_they_are_no_mri():
    """The book's own glossary: what the short names do not mean is part of what is shown."""
    parts = re.split(r"\n(?=\S)", (BOOK / "glossary.md").read_text(encoding="utf8"))
    for task in ("class (T1)", "outline (T2)"):
        definition = next(part for part in parts if part.startswith(task))
        [(_, meaning)] = meanings(publish_doctree(definition)).items()
        assert "nothing to do with MRI" in meaning
