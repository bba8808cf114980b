"""A path as a person writes it."""

import os
import re
from pathlib import Path

VARIABLE = re.compile(r"\$\w|\$\{|%\w+%")


def given(path: str | os.PathLike) -> Path:
    """The path that somebody means: a leading `~` is his home, as in a shell.

    A shell does this by itself, but not in quotes, and not in a notebook or a settings file. Then
    `~/x` would quietly become a folder that is called `~`.

    Raises:
        ValueError: a user after `~` that this machine does not know, or a variable such as `$HOME`
            that no shell has read (unless there is a file or folder of that name).

    >>> given("~/images") == Path.home() / "images", given("images").as_posix()
    (True, 'images')
    """
    words = os.fspath(path)
    expanded = Path(os.path.expanduser(words))
    if expanded.parts[:1] and expanded.parts[0].startswith("~") and not os.path.lexists(expanded):
        raise ValueError(
            f"{words}: this machine knows no home of {expanded.parts[0][1:] or 'yours'}; write the "
            f"whole path, or ./{words} for a folder of that name"
        )
    if VARIABLE.search(words) and not os.path.lexists(expanded):
        raise ValueError(
            f"{words}: holds a variable that no shell has put in; write the whole path"
        )
    return expanded
