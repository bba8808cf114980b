"""One run, one JSON file: the only door between the runs and the pages."""

import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from . import paths
from .atomic import replacing
from .home import HOME as ROOT
from .home import repository

if TYPE_CHECKING:
    import torch

RESULTS = paths.given(os.environ.get("LIB_RESULTS", ROOT / "results"))
SCHEMA = 1
NAME = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)
KEYS = (
    "schema", "experiment", "source", "profile", "seed", "parameters", "data", "versions", "commit",
    "code", "machine", "seconds", "memory_mb", "model", "history", "metrics", "per_image",
)  # fmt: skip
# What older runs did not record, and what is meant by that.
LATER = {"fold": 0, "joint": None, "presence": None, "validation": None}
FAILURE_KEYS = (
    "experiment", "source", "profile", "seed", "error", "message", "cell", "commit", "code",
    "versions",
)  # fmt: skip
PACKAGES = (
    "torch", "torchvision", "fastai", "segmentation-models-pytorch", "timm", "numpy", "pandas",
    "scikit-learn",
)  # fmt: skip


class ResultError(ValueError):
    """A results file that is missing, damaged or incomplete."""


def stem(seed: int, fold: int = 0) -> str:
    """The last part of a run's name. Fold 0 is none that was asked for.

    >>> stem(seed=0), stem(seed=0, fold=2)
    ('seed0', 'fold2-seed0')
    """
    return f"seed{seed}" if fold == 0 else f"fold{fold}-seed{seed}"


def path(
    source: str, profile: str, experiment: str, seed: int, root: Path | None = None, *,
    fold: int = 0,
) -> Path:  # fmt: skip
    """Where a run's results lie: results/SOURCE/PROFILE/EXPERIMENT/seedK.json; `~` is the home.

    A run on a fold that was asked for lies beside it, as foldF-seedK.json.

    >>> path("phantom", "quick", "mtl", seed=0, root=Path("results")).as_posix()
    'results/phantom/quick/mtl/seed0.json'
    """
    return _root(root) / source / profile / experiment / f"{stem(seed, fold)}.json"


def _root(root: str | Path | None) -> Path:
    return paths.given(root or RESULTS)


def replaced(file: Path, fingerprint: str, split: str = "") -> str:
    """In words, whose results a run on the data of this fingerprint would replace in `file`.

    Empty where there are none, or none that can be read, or those of the same data in the same
    `split` (`lib.cases.split_digest`). To be asked before a training starts.

    Raises:
        ResultError: they are of another folder of somebody's own images, all of which share one
            name, or of another split of this one. A published set and the phantom have a name
            each: theirs are replaced.

    >>> replaced(Path("nowhere", "seed0.json"), "0a1b")
    ''
    """
    try:
        record = load(file)
    except ResultError:
        return ""
    other, divided = (str(record["data"].get(name, "")) for name in ("fingerprint", "split"))
    if other != fingerprint:
        what, there, here = "other data", f"fingerprint {other[:16]}", fingerprint[:16]
        whose = "of another folder, or of this one before its files changed"
    elif split and divided and divided != split:
        what, there, here = "the same data, divided in another way", f"split {divided}", split
        whose = "of this folder before the column split changed"
    else:
        return ""
    if record["source"] == "folder":
        raise ResultError(
            f"{file}: holds the results of {what} ({there}, here {here}): {whose}. Both are to "
            "stay: name another folder for the results (-p results FOLDER, or RESULTS_IN=FOLDER), "
            "or move that file away"
        )
    return f"replaces results of {what} ({there})"


def save(record: Mapping[str, Any], root: Path | None = None) -> Path:
    """Write one run's record, atomically; returns the file.

    Raises ResultError if a part is missing or a number is NaN or infinite, and OSError, leaving
    nothing behind, if the disk is full.

    >>> import tempfile
    >>> names = {"source": "phantom", "profile": "quick", "experiment": "mtl", "seed": 0}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = load(save(dict.fromkeys(KEYS, {}) | names | {"schema": SCHEMA}, Path(folder)))
    >>> record["experiment"]
    'mtl'
    """
    record = {"schema": SCHEMA, **record}
    record |= {key: value for key, value in LATER.items() if key not in record}
    if missing := [key for key in KEYS if key not in record]:
        raise ResultError(f"the record lacks {', '.join(missing)}; nothing was written")
    if bad := list(_non_finite(record)):
        raise ResultError(f"{', '.join(bad[:5])}: not a finite number; nothing was written")
    if wrong := _no_name(record):
        raise ResultError(f"{wrong}; nothing was written")
    target = _of(record, root)
    # One line for each top-level key and each column: small, and a diff that a person can read.
    text = "{\n" + ",\n".join(f'"{k}": {_compact(v)}' for k, v in record.items()) + "\n}\n"
    with replacing(target) as draft:
        draft.write_text(text)
    return target


def load(file: str | Path) -> dict[str, Any]:
    """Read one run's record, checked; ResultError names the file if it is not whole.

    What an older run did not record is there as `LATER` has it.

    >>> load("seed0.json")
    Traceback (most recent call last):
        ...
    lib.results.ResultError: seed0.json: no such run; run book/experiment.ipynb first
    """
    file = Path(file)
    if not file.exists():
        raise ResultError(f"{file}: no such run; run book/experiment.ipynb first")
    record = _read(file, "run it again")
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise ResultError(f"{file}: schema {found}, this version reads {SCHEMA}; run it again")
    _require_whole(file, record, KEYS, "run it again")
    return LATER | record


def load_all(root: Path | None = None) -> list[dict[str, Any]]:
    """Every run under `root` (default: the book's results), in the order of their paths.

    Raises ResultError as `load`.

    >>> import tempfile
    >>> names = {"source": "phantom", "profile": "quick", "experiment": "mtl", "seed": 0}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save(dict.fromkeys(KEYS, {}) | names | {"schema": SCHEMA}, Path(folder))
    ...     records = load_all(Path(folder))
    >>> len(records)
    1
    """
    files = sorted(_root(root).glob("*/*/*/*seed*.json"))
    return [load(file) for file in files if not file.name.endswith(".failed.json")]


def changed_modules(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The modules that do something else now than then, by digests as `provenance.code` gives them.

    Empty for a run that today's code would repeat. A module that came or went counts, too.

    >>> changed_modules({"metrics": "0a", "blocks": "1b"}, {"metrics": "2c", "blocks": "1b"})
    ['metrics']
    """
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


def failure_path(
    source: str, profile: str, experiment: str, seed: int, root: Path | None = None, *,
    fold: int = 0,
) -> Path:  # fmt: skip
    """Where it is noted that a run failed: beside its results, as seedK.failed.json.

    >>> failure_path("phantom", "quick", "mtl", seed=0, root=Path("results")).name
    'seed0.failed.json'
    """
    return path(source, profile, experiment, seed, root, fold=fold).with_suffix(".failed.json")


def save_failure(failure: Mapping[str, Any], root: Path | None = None) -> Path:
    """Note, atomically, that a run failed and at what; returns the file.

    `error` is the exception's name, `message` its words, `cell` the id of the template's cell or
    None. Of a folder of one's own the words are left out: they may name files or patients. Raises
    ResultError if one of `FAILURE_KEYS` is missing.

    >>> import tempfile
    >>> names = {"source": "phantom", "profile": "quick", "experiment": "mtl", "seed": 0}
    >>> what = dict.fromkeys(FAILURE_KEYS) | names | {"error": "MemoryError"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save_failure(what, Path(folder))
    ...     load_failures(Path(folder))[0]["error"], load_all(Path(folder))
    ('MemoryError', [])
    """
    if missing := [key for key in FAILURE_KEYS if key not in failure]:
        raise ResultError(f"the failure lacks {', '.join(missing)}; nothing was written")
    if wrong := _no_name(failure):
        raise ResultError(f"{wrong}; nothing was written")
    target = _of(failure, root).with_suffix(".failed.json")
    note = dict(failure)
    if note["source"] == "folder":
        note["message"] = "see the run's own notebook: its words may name files"
    with replacing(target) as draft:
        draft.write_text(json.dumps(note, indent=1) + "\n")
    return target


def load_failures(root: Path | None = None) -> list[dict[str, Any]]:
    """Every run under `root` (default: the book's results) that failed when it was last started.

    A run that succeeds takes its note away. Raises ResultError for a file that is not whole.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_failures(Path(folder))
    []
    """
    return [_load_failure(file) for file in sorted(_root(root).glob("*/*/*/*.failed.json"))]


def _load_failure(file: Path) -> dict[str, Any]:
    failure = _read(file, "delete it")
    if not isinstance(failure, dict):
        raise ResultError(f"{file}: is no record of a failure; delete it")
    _require_whole(file, failure, FAILURE_KEYS, "delete it")
    return {"fold": 0} | failure


def _read(file: Path, advice: str) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ResultError(f"{file}: cannot be read ({error}); {advice}") from error


def _require_whole(file: Path, record: Any, keys: Iterable[str], advice: str) -> None:
    if missing := [key for key in keys if key not in record]:
        raise ResultError(f"{file}: lacks {', '.join(missing)}; {advice}")
    if wrong := _no_name(record):
        raise ResultError(f"{file}: {wrong}; {advice}")


def _of(record: Mapping[str, Any], root: Path | None) -> Path:
    """Where a record belongs."""
    names = (record[key] for key in ("source", "profile", "experiment", "seed"))
    return path(*names, root, fold=record.get("fold", 0))


def _no_name(record: Mapping[str, Any]) -> str:
    """What is wrong with the names that make a run's path and stand on pages; empty if nothing."""
    for key in ("source", "profile", "experiment"):
        if not (isinstance(record[key], str) and NAME.fullmatch(record[key])):
            return f"{key} {str(record[key])[:40]!r} is no name: letters, digits and ._+- only"
    for key in ("seed", "fold"):
        number = record.get(key, 0)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            return f"{key} {str(number)[:40]!r} is not a whole number from 0 on"
    return ""


def rows(record: Mapping[str, Any], part: str = "per_image") -> pd.DataFrame:
    """The run's test images, one row each, as `lib.metrics.summarise` takes them.

    `part="validation"` gives its validation images; ResultError if the run did not record them.

    >>> rows({"per_image": {"label": [0, 1], "p_malignant": [0.25, None]}}).to_dict("list")
    {'label': [0, 1], 'p_malignant': [0.25, nan]}
    """
    if record.get(part) is None:
        raise ResultError(f"the run did not record {part}; run it again")
    return pd.DataFrame({k: pd.Series(v) for k, v in record[part].items()})


def columns(table: pd.DataFrame) -> dict[str, list]:
    """A table as JSON columns: whole numbers as such, others exactly, NaN as null.

    >>> columns(pd.DataFrame({"label": [0, 1], "p_malignant": [0.25, float("nan")]}))
    {'label': [0, 1], 'p_malignant': [0.25, None]}
    """
    return {name: [_plain(value) for value in table[name]] for name in table}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on.

    >>> sorted(versions())[:3]
    ['fastai', 'numpy', 'pandas']
    """
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def machine(device: "torch.device | str") -> dict[str, Any]:
    """What computed: kind of processor or GPU and cores; no name of a host or user.

    >>> machine("cpu")["device"]
    'cpu'
    """
    import torch  # here: who only reads results need not wait for it

    device = torch.device(device)
    processes = int(os.environ.get("WORLD_SIZE", 1))
    several = {"processes": processes} if processes > 1 else {}
    return several | {
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "processor": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def commit() -> str:
    """The commit of the code, with "-changed" if lib/ or the template differs from it.

    "unknown" outside the repository: a wheel has no commit, and another project's is not its.

    >>> name = commit().removesuffix("-changed")
    >>> name == "unknown" or len(name) == 40
    True
    """
    if repository() is None:
        return "unknown"
    try:
        name = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "lib", "book/experiment.ipynb")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + ("-changed" if changed else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _compact(value: Any) -> str:
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        inner = ",\n ".join(f'"{k}": {json.dumps(v, allow_nan=False)}' for k, v in value.items())
        return "{\n " + inner + "\n}"
    return json.dumps(value, allow_nan=False)


def _non_finite(value: Any, where: str = "") -> Any:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _non_finite(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _non_finite(inner, f"{where}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield where


def _plain(value: Any) -> Any:
    if isinstance(value, str) or value is None:
        return value
    number = float(value)
    if math.isnan(number):
        return None
    return int(number) if number.is_integer() else number  # rounding would tie scores
