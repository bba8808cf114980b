"""Where things are written: the repository that this library lies in, else the working folder."""

import logging
from pathlib import Path

TEMPLATE = Path("book", "experiment.ipynb")  # lies beside `lib` in the repository alone


def repository(package: Path | None = None) -> Path | None:
    """The repository that `package` (default: this library) lies in; None for an installed wheel.

    >>> repository(Path("site-packages", "lib")) is None
    True
    """
    root = (package or Path(__file__).parent).resolve().parent
    return root if (root / TEMPLATE).is_file() else None


def find(package: Path | None = None) -> Path:
    """The folder below which results, data and caches go when no other is named.

    The repository of `package` (default: this library). A library that was installed from a wheel
    has none: then the working folder, which a warning in the log names, so that nothing is written
    among installed packages.
    """
    if root := repository(package):
        return root
    folder = Path.cwd()
    logging.getLogger(__name__).warning(
        "lib: results/ and data/ go to the working folder, %s, unless you name others", folder
    )
    return folder


HOME = find()
