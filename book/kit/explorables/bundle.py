"""One explorable as a single ES module: what its file imports stands before it."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = (
    "loss-laboratory",
    "who-decides",
    "dice-by-hand",
    "threshold",
    "gain",
    "runs",
    "phantom",
    "ask",
)
STYLE = FOLDER / "explorables.css"

# A comment on a line of its own: it stays in our files, and costs the reader nothing.
_COMMENT = re.compile(r"^ *//.*\n", re.MULTILINE)
# The two forms that our modules use; anything else stays, and node would refuse the bundle.
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const )", re.MULTILINE)


def bundle(name: str) -> str:
    """The source of the explorable `name` with its imports written out, each once, uncommented.

    Names at the top of the modules must therefore differ; tests/kit/test_explorables.py sees to it.
    Raises ValueError for an explorable that is not in `NAMES`.

    >>> source = bundle("loss-laboratory")
    >>> source.count("const softmaxOf ="), source.count("export default"), "import " in source
    (1, 1, False)
    """
    if name not in NAMES:
        raise ValueError(f"there is no explorable {name!r}; use one of {', '.join(NAMES)}")
    parts: dict[str, str] = {}
    _gather(f"{name}.js", parts)
    *needed, own = parts.values()
    return "".join([*(_EXPORT.sub("", part) for part in needed), own])


def _gather(file: str, parts: dict[str, str]) -> None:
    """Adds a module after those that it imports."""
    source = (FOLDER / file).read_text(encoding="utf8")
    for needed in _IMPORT.findall(source):
        if needed not in parts:
            _gather(needed, parts)
    parts[file] = _COMMENT.sub("", _IMPORT.sub("", source))
