"""Where runs were made: on which data set and with which budget, in the order of the book."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from lib import results
from lib.metrics import classes_of

from ..stats import Evidence, patients, with_together

SOURCES = {
    "phantom": "the phantom (simulated neck ultrasound)",
    "phantom-mixed": "the mixed phantom (with images of no nodule, and of two)",
    "busbra": "BUS-BRA (breast, public)",
    "ddti": "DDTI (thyroid, public)",
    "busi": "BUSI (breast, public)",
    "tn3k": "TN3K (thyroid, public)",
    "tnscui": "TNSCUI 2020 (thyroid, public)",
    "folder": "your own images",
}
# Whose runs the pages of results show: of each source those of the first that it has. What was not
# run in it is shown from a later one, in a place of its own.
PROFILES = ("evidence", "laptop")
LOCAL = ("quick", "smoke")  # profiles whose results are made on the reader's machine

Place = tuple[str, str]


def places(
    records: Sequence[Mapping[str, Any]], local: bool = False
) -> dict[Place, list[Mapping[str, Any]]]:
    """The runs of each source and profile: those that are committed, or those made here.

    Runs that say which classes are present have a page and measures of their own: not among them.

    >>> run = {"source": "busbra", "profile": "laptop"}
    >>> list(places([run, run | {"source": "phantom"}, run | {"profile": "quick"}]))
    [('phantom', 'laptop'), ('busbra', 'laptop')]
    """

    def order(record: Mapping[str, Any]) -> tuple[int, str, str]:
        source, profile = record["source"], record["profile"]
        known = list(SOURCES).index(source) if source in SOURCES else len(SOURCES)
        return known, source, profile

    some = [
        record
        for record in records
        if (record["profile"] in LOCAL) == local and not record.get("presence")
    ]
    by_place = groupby(sorted(some, key=order), order)
    return {where[1:]: list(runs) for where, runs in by_place}


def evidence(
    records: Sequence[Mapping[str, Any]], local: bool = False
) -> dict[Place, Evidence | str]:
    """What the runs of each of these `places` let us say, or why they cannot stand together.

    >>> run = {"source": "busbra", "profile": "laptop", "experiment": "mtl", "seed": 0}
    >>> found = evidence([run | {"per_image": {"label": [0, 1]}}])
    >>> list(found["busbra", "laptop"].runs)
    ['mtl']
    """
    found: dict[Place, Evidence | str] = {}
    for place, runs in places(records, local).items():
        try:
            found[place] = Evidence(runs)
        except ValueError as why:
            found[place] = str(why)
    return found


def shown(records: Sequence[Mapping[str, Any]]) -> dict[Place, Evidence | str]:
    """`evidence` of each source's runs in the first of `PROFILES` that it has: one place a source.

    Each as answered and, where it can be, decided together.

    >>> shown([{"source": "busbra", "profile": "smoke", "experiment": "mtl", "seed": 0}])
    {}
    """
    best = _best(records)
    return evidence(with_together([r for r in records if r["profile"] == best.get(r["source"])]))


def of_profile(records: Sequence[Mapping[str, Any]], profile: str) -> dict[Place, Evidence | str]:
    """The places of one profile, read as in `shown`."""
    return evidence(with_together([r for r in records if r["profile"] == profile]))


def earlier(records: Sequence[Mapping[str, Any]]) -> dict[Place, Evidence | str]:
    """The places of the same sources in the later ones of `PROFILES`, read as in `shown`.

    For what the first has not got: a system, a reading. What it has is judged there alone.
    """
    best = _best(records)
    others = [r for r in records if r["profile"] != best.get(r["source"])]
    return evidence(with_together([r for r in others if r["profile"] in PROFILES]))


def with_system(places: Mapping[Place, Evidence | str], system: str) -> dict[Place, Evidence]:
    """Of these places those in which a system was run, and whose runs can stand together.

    >>> place = ("busbra", "laptop")
    >>> run = {"source": place[0], "profile": place[1], "experiment": "mtl", "seed": 0}
    >>> found = evidence([run | {"per_image": {"label": [0, 1]}}])
    >>> [*with_system(found, "mtl")], with_system(found, "msl")
    ([('busbra', 'laptop')], {})
    """
    return {
        place: one
        for place, one in places.items()
        if not isinstance(one, str) and system in one.runs
    }


def counts(found: Evidence) -> str:
    """How many images were tested, of how many patients, and how many of each class.

    Of one seed, with all its folds; where each seed draws a split the others are about as large.

    >>> run = {"source": "", "profile": "", "experiment": "mtl", "seed": 0}
    >>> counts(Evidence([run | {"per_image": {"label": [0, 1, 1, -1]}}]))
    '4 test images of 4 patients (1 benign, 2 malignant, 1 without a class)'
    """
    rows = _tested(found)
    told = ", ".join(f"{n} {name}" for name, n in of_classes(found).items())
    return f"{len(rows)} test images of {len(set(patients(rows)))} patients ({told})"


def of_classes(found: Evidence) -> dict[str, int]:
    """How many of these images have which class, as in `counts`; those that none has left out."""
    rows = _tested(found)
    label = rows["label"]
    classes = {name: int((label == at).sum()) for at, name in enumerate(classes_of(rows))}
    classes |= {"without a class": int((label < 0).sum())}
    return {name: n for name, n in classes.items() if n}


def short_name(place: Place) -> str:
    """A source by its name alone.

    >>> short_name(("phantom", "laptop"))
    'Phantom'
    """
    name = SOURCES.get(place[0], place[0]).partition(" (")[0].removeprefix("the ")
    return name[0].upper() + name[1:]


def _best(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of each source the first of `PROFILES` in which it has runs."""
    there = {(record["source"], record["profile"]) for record in records}
    return {source: how for how in reversed(PROFILES) for source, one in there if one == how}


def _tested(found: Evidence) -> pd.DataFrame:
    """The rows of one seed with all its folds, by the system that has most of these."""
    by_seed = (
        [run for (one, _), run in runs.items() if one == seed]
        for runs in found.runs.values()
        for seed in dict.fromkeys(one for one, _ in runs)
    )
    return pd.concat(map(results.rows, max(by_seed, key=len)), ignore_index=True)


def place_name(place: Place, short: bool = False) -> str:
    """A source and profile in words; short leaves out what the data are.

    >>> place_name(("busbra", "laptop"), short=True)
    'BUS-BRA, profile laptop'
    """
    source, profile = place
    name = SOURCES.get(source, source)
    return f"{name.partition(' (')[0] if short else name}, profile {profile}"
