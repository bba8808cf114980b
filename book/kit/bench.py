"""What the programs of `ci` measured once, as the pages read it from results/bench."""

import json
from pathlib import Path
from typing import Any

from lib import results


def measured(name: str, root: Path | None = None) -> Any:
    """The content of bench/`name`.json, or an empty dictionary if it has not been measured.

    root: the folder of results, `lib.results.RESULTS` unless given. Raises ValueError if the file
    is no JSON.

    >>> measured("nothing-of-this-name")
    {}
    """
    file = (results.RESULTS if root is None else root) / "bench" / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}
