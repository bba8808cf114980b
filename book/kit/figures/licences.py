"""The packages that the book is made of, and under which licences they are."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .style import ABSENT, table, text

FREE = "permissive"


def licences_in_words(licences: Mapping[str, Any]) -> str:
    """How many packages have which kind of licence, and how they tell it, in Markdown.

    licences: results/bench/licences.json, by `make sbom`.

    >>> one = {"name": "a", "version": "1", "licence": "MIT", "told": "field", "family": FREE}
    >>> told = licences_in_words({"packages": [one], "elsewhere": []})
    >>> told.startswith("**1 packages** on Linux: 1 permissive."), "1 in a free field" in told
    (True, True)
    """
    packages = licences["packages"]
    kinds = Counter(one["family"] for one in packages)
    told = Counter(one["told"] or ABSENT for one in packages)
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    return (
        f"**{len(packages)} packages** on Linux: {counts}. {len(licences['elsewhere'])} more "
        "are locked for other systems or Pythons. This is what the packages say of themselves, "
        f"{told['expression']} as a licence expression, {told['field']} in a free field, "
        f"{told['classifier']} by a classifier; of {told['text']} it was read off its "
        f"licence's text, and {told[ABSENT]} say nothing. What a package "
        "brings along inside its files, under a licence of its own, is not counted."
    )


def licences_table(licences: Mapping[str, Any]) -> str:
    """HTML of a table of the packages whose licence asks for more than to be named.

    licences: as in `licences_in_words`.

    >>> one = {"name": "a", "version": "1", "licence": "MPL-2.0", "family": "weak copyleft"}
    >>> shown = licences_table({"packages": [one, one | {"name": "b", "family": FREE}]})
    >>> "a 1" in shown, "b 1" in shown
    (True, False)
    """
    rows = [
        [text(f"{one['name']} {one['version']}"), text(one["licence"]), text(one["family"])]
        for one in licences["packages"]
        if one["family"] != FREE
    ]
    return table(["not simply permissive", "licence", "kind"], rows, words=True)
