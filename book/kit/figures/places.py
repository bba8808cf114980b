"""Where runs were made: on which data set and with which budget, in the order of the book."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

SOURCES = {
    "phantom": "the phantom (simulated neck ultrasound)",
    "busbra": "BUS-BRA (breast, public)",
    "ddti": "DDTI (thyroid, public)",
    "busi": "BUSI (breast, public)",
    "tn3k": "TN3K (thyroid, public)",
    "tnscui": "TNSCUI 2020 (thyroid, public)",
    "folder": "your own images",
}
LOCAL = ("quick", "smoke")  # profiles whose results are made on the reader's machine

Place = tuple[str, str]


def places(
    records: Sequence[Mapping[str, Any]], local: bool = False
) -> dict[Place, list[Mapping[str, Any]]]:
    """The runs of each source and profile: those that are committed, or those made here.

    >>> run = {"source": "busbra", "profile": "laptop"}
    >>> list(places([run, run | {"source": "phantom"}, run | {"profile": "quick"}]))
    [('phantom', 'laptop'), ('busbra', 'laptop')]
    """

    def order(record: Mapping[str, Any]) -> tuple[int, str, str]:
        source, profile = record["source"], record["profile"]
        known = list(SOURCES).index(source) if source in SOURCES else len(SOURCES)
        return known, source, profile

    some = [record for record in records if (record["profile"] in LOCAL) == local]
    by_place = groupby(sorted(some, key=order), order)
    return {where[1:]: list(runs) for where, runs in by_place}


def place_name(place: Place, short: bool = False) -> str:
    """A source and profile in words; short leaves out what the data are.

    >>> place_name(("busbra", "laptop"), short=True)
    'BUS-BRA, profile laptop'
    """
    source, profile = place
    name = SOURCES.get(source, source)
    return f"{name.partition(' (')[0] if short else name}, profile {profile}"
