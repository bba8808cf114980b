"""One module per data set; each `read(root) -> case table` in the set's own published layout."""

import difflib
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from .. import paths
from ..cases import CaseError
from . import busbra, busi, ddti, folder, phantom, phantom_mixed, tn3k, tnscui

SOURCES: dict[str, ModuleType] = {
    "phantom": phantom,
    "busbra": busbra,
    "ddti": ddti,
    "busi": busi,
    "tn3k": tn3k,
    "tnscui": tnscui,
    "phantom-mixed": phantom_mixed,
    "folder": folder,
}


def read(name: str, root: str | Path | None = None, **options: Any) -> pd.DataFrame:
    """Read a data set by name.

    Args:
        name: a key of `SOURCES`.
        root: its folder, `~` being the home; None (or "") means `data/NAME` of this project.
        options: of that source's own `read`.

    Returns:
        The case table, as described in `lib.cases`.

    Raises:
        CaseError: no such source or option, or whatever the source finds wrong.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     cases = read("phantom", folder, cases=3, size=32)
    >>> cases["case"].tolist()
    ['phantom00000', 'phantom00001', 'phantom00002']
    """
    if name not in SOURCES:
        near = difflib.get_close_matches(
            str(name).lower().replace("-", ""), SOURCES, n=3, cutoff=0.5
        )
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise CaseError(f"unknown source {name!r}{hint} Known are {', '.join(SOURCES)}")
    function = SOURCES[name].read
    # keyword-only names: `root` is no option
    known = function.__kwdefaults__ or {}
    unknown = [option for option in options if option not in known]
    if unknown:
        raise CaseError(
            f"{name}: unknown option {', '.join(unknown)}; known are {', '.join(known) or 'none'}"
        )
    return function(paths.given(root) if root else None, **options)
