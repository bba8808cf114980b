"""Looking a name up in a catalogue, with the near ones in the error."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


def near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are spelled nearly so, the nearest first, at most three.

    >>> near("SC", ["both", "sc", "cs"])
    ['sc', 'cs']
    """
    return difflib.get_close_matches(name.lower(), known, cutoff=0.3)


def look_up(kind: str, name: str, catalogue: Mapping[str, Entry]) -> Entry:
    """The entry of that name; ValueError with the nearest names and all of them otherwise.

    >>> look_up("profile", "laptop", {"quick": 8, "laptop": 7})
    7
    >>> look_up("profile", "labtop", {"quick": 8, "laptop": 7})
    Traceback (most recent call last):
        ...
    ValueError: no profile is called 'labtop'; did you mean laptop? There are quick, laptop
    """
    if name in catalogue:
        return catalogue[name]
    found = near(str(name), catalogue)
    raise ValueError(
        f"no {kind} is called {name!r}"
        + (f"; did you mean {' or '.join(found)}?" if found else ".")
        + f" There are {', '.join(catalogue)}"
    )
