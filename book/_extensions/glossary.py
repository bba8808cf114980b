"""The first time a page uses a word of the glossary, the word leads there and shows its meaning."""

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY = "glossary"
# Other forms under which a word of the glossary occurs
FORMS = {"T1": "class (T1)", "T2": "outline (T2)", "T3": "class map (T3)"}
NOT_IN = (nodes.title, nodes.reference, nodes.literal, nodes.raw, nodes.math, nodes.term)


def meanings(glossary: nodes.document) -> dict[str, str]:
    """Each definition as one text, by its word."""
    return {
        item[0].astext(): " ".join(item[-1].astext().split())
        for item in glossary.findall(nodes.definition_list_item)
    }


def pattern(words: list[str]) -> re.Pattern[str]:
    """Matches any of the words, or its plural; the longer first, so that a part is no match."""
    longest = sorted(words, key=len, reverse=True)
    return re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, longest)) + r")(s?)(?![\w-])")


def texts(document: nodes.document) -> Iterator[nodes.Text]:
    """The running text of a page: no headings, links, code or formulas."""
    for text in list(document.findall(nodes.Text)):
        above, inside = text.parent, []
        while above is not None:
            inside.append(above)
            above = above.parent
        running = any(isinstance(node, nodes.paragraph) for node in inside)
        if running and not any(isinstance(node, NOT_IN) for node in inside):
            yield text


def mark(document: nodes.document, meaning: dict[str, str], target: dict[str, str]) -> list[str]:
    """Turn the first use of each word into a link to its `target`; returns the words found."""
    words = {word: word for word in meaning} | {k: v for k, v in FORMS.items() if v in meaning}
    find, seen = pattern(list(words)), []
    for text in texts(document):
        parts, at = [], 0
        for match in find.finditer(text.astext()):
            word = words[match[1]]
            if word not in seen:
                seen.append(word)
                link = nodes.reference(
                    "", match[0], internal=True, refuri=target[word], reftitle=meaning[word]
                )
                link["classes"].append("glossary-word")
                parts += [nodes.Text(text.astext()[at : match.start()]), link]
                at = match.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text.astext()[at:])])
    return seen


def resolve(app: Sphinx, document: nodes.document, page: str) -> None:
    """Mark one page, once Sphinx has resolved its own links."""
    if page == GLOSSARY or app.builder.format != "html" or GLOSSARY not in app.env.all_docs:
        return
    meaning = meanings(app.env.get_doctree(GLOSSARY))
    there = app.builder.get_relative_uri(page, GLOSSARY)
    known = app.env.domains["std"].objects
    target = {word: f"{there}#{known['term', word][1]}" for word in meaning}
    mark(document, meaning, target)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
