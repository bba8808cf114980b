"""What a run is told: its parameters are known, of the right type and in range, or it ends."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import lib

KINDS: dict[str, type] = {
    "source": str,
    "root": str,
    "experiment": str,
    "profile": str,
    "seed": int,
    "fold": int,
    "device": str,
    "results": str,
    "resume": bool,
    "keep": bool,
    "test_source": str,
    "test_root": str,
}
FOLDERS = {"root", "results", "test_root"}


def check(names: Mapping[str, Any]) -> None:
    """Ask of a notebook's `globals()` that they hold the parameters of a run and no others.

    Raises ValueError, which says what to write instead, for an unknown parameter, a value of
    another type, a seed or a fold out of range, an unknown source, and another test source that
    the run cannot be tested on.

    >>> asked = dict.fromkeys(KINDS, "") | {"seed": 0, "fold": 0, "resume": True, "keep": False}
    >>> check(asked | {"source": "phantom"})
    >>> check(asked | {"source": "phantom", "seed": "0"})
    Traceback (most recent call last):
    ValueError: seed='0' is not of the type int: write a whole number, such as 0
    """
    if "system" not in names:  # the first time, before the notebook adds names of its own
        given = {name for name, value in names.items() if _may_be_given(name, value)}
        if unknown := sorted(given - set(KINDS)):
            raise ValueError(f"unknown parameters {unknown}; there are {sorted(KINDS)}")
    for name, kind in sorted(KINDS.items()):
        if type(names[name]) is not kind and not (name == "keep" and names[name] is None):
            raise ValueError(
                f"{name}={names[name]!r} is not of the type {kind.__name__}: "
                f"{_advice(name, names[name])}"
            )
    if not 0 <= names["seed"] < 2**32:
        raise ValueError(f"seed={names['seed']}; use a whole number from 0 to {2**32 - 1}")
    if names["fold"] < 0:
        raise ValueError(f"fold={names['fold']}; use the number of a fold, or 0 for none")
    if (source := names["source"]) not in lib.sources.SOURCES:
        known = ", ".join(lib.sources.SOURCES)
        raise ValueError(f"no source is called {source!r}; there are {known}")
    if test_source := names["test_source"]:
        lib.external.require_other(source, test_source)
        if names["keep"] is False:
            raise ValueError(f"test_source={test_source!r} needs the kept network: keep=True")


def _may_be_given(name: str, value: Any) -> bool:
    """Whether papermill may have set it: it gives plain values; what is imported is none."""
    plain = not callable(value) and not isinstance(value, ModuleType)
    return plain and name.islower() and not name.startswith("_")


def _advice(name: str, value: Any) -> str:
    """What to write where papermill made another type of what it was given."""
    if KINDS[name] is int:
        return "write a whole number, such as 0"
    if KINDS[name] is bool:
        return "write True or False, with a capital"
    path = f", and so does a path, ./{value}" if name in FOLDERS else ""
    return f"papermill's -p made that of it; -r {name} {value} passes it on as text{path}"
