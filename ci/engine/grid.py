"""The grid of experiments: which runs there should be, which of them stand, and why others do not.

A run stands if it says of itself what a run made today would say: the same code, parameters, data,
split and versions. The times of files do not matter, so a result from another machine counts.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from lib import results
from lib.atomic import replacing

# `experiments`, `cases`, `sources` and `provenance` are imported where they are needed: who only
# compares records need not wait for torch.

TABLES = (1, 3, 4, 5, 6)  # of the paper; Table 2 lists what Tables 1 and 3 measure
ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
CACHE = ROOT / "data" / ".prepared"
READERS = ("numpy", "pandas", "pillow", "pydicom", "scikit-learn")  # they decode and divide
LOCK = ROOT / "requirements.lock"


class GridError(ValueError):
    """A grid that cannot be run as it was asked for."""


@dataclass(frozen=True)
class Job:
    """One run to be made.

    >>> Job("busbra", "laptop", "ms-mtl", seed=0).name
    'busbra/laptop/ms-mtl/seed0'
    >>> Job("busbra", "laptop", "ms-mtl", seed=0, fold=2).name
    'busbra/laptop/ms-mtl/fold2-seed0'
    """

    source: str
    profile: str
    experiment: str
    seed: int
    fold: int = 0

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Job":
        """The job that an entry of a plan, or a record, is about.

        >>> job = Job("busbra", "laptop", "ms-mtl", seed=0, fold=2)
        >>> Job.of(vars(job) | {"why": "no run yet"}) == job
        True
        """
        return cls(**{field.name: entry[field.name] for field in fields(cls)})

    @property
    def stem(self) -> str:
        """The last part of its name."""
        return results.stem(self.seed, self.fold)

    @property
    def name(self) -> str:
        """Its results file without the folder and the ending."""
        return f"{self.source}/{self.profile}/{self.experiment}/{self.stem}"

    def file(self, root: Path | None = None) -> Path:
        """Its results file under `root` (default: the book's results).

        >>> Job("busbra", "laptop", "ms-mtl", seed=0).file(Path("results")).as_posix()
        'results/busbra/laptop/ms-mtl/seed0.json'
        """
        return results.path(**asdict(self), root=root)

    def failure(self, root: Path | None = None) -> Path:
        """Where it is noted that it failed.

        >>> Job("busbra", "laptop", "ms-mtl", seed=0).failure(Path("results")).name
        'seed0.failed.json'
        """
        return results.failure_path(**asdict(self), root=root)


@dataclass(frozen=True)
class Data:
    """What a run's record says of the data, and how many images it trains on.

    >>> Data("0a1b", "2c3d", training_images=240).training_images
    240
    """

    fingerprint: str
    split: str
    training_images: int


def jobs(
    source: str,
    profile: str,
    seeds: Sequence[int] = (0,),
    folds: Sequence[int] = (0,),
    *,
    tables: Sequence[int] = TABLES,
    only: Sequence[str] = (),
) -> list[Job]:
    """The runs that fill these tables of the paper, or of `only` these experiments.

    The order is the catalogue's: the paper's own systems come first, one fold and one seed after
    the other. Fold 0 is none that was asked for. Raises GridError, with the nearest names, for a
    source, profile, table, seed, fold or experiment that does not exist.

    >>> [job.name for job in jobs("phantom", "smoke", seeds=[0, 1], tables=[6])][:3]
    ['phantom/smoke/ms-mtl/seed0', 'phantom/smoke/ms-mtl+t1t3/seed0', \
'phantom/smoke/ms-mtl+t1t3-sc/seed0']
    """
    from lib import experiments, profiles, sources
    from lib.names import look_up

    try:
        look_up("source", source, sources.SOURCES)
        profiles.find(profile)
        systems = [experiments.find(name) for name in dict.fromkeys(only)]
    except ValueError as error:
        raise GridError(str(error)) from None
    if wrong := sorted(set(tables) - set(TABLES)):
        raise GridError(f"no table {wrong[0]}; the grid fills {', '.join(map(str, TABLES))}")
    if not seeds or any(seed < 0 for seed in seeds):
        raise GridError(f"seeds {list(seeds)}: at least one is needed, and none below 0")
    if not folds or any(fold < 0 for fold in folds):
        raise GridError(f"folds {list(folds)}: at least one is needed, and none below 0")
    if not only:
        every = experiments.EXPERIMENTS.values()
        systems = [s for s in every if {number for number, _ in s.rows} & set(tables)]
    return [
        Job(source, profile, system.name, seed, fold)
        for seed in dict.fromkeys(seeds)
        for fold in dict.fromkeys(folds)
        for system in systems
    ]


def prepare(
    source: str,
    root: str | Path | None,
    profile: str,
    seeds: Sequence[int],
    folds: Sequence[int] = (0,),
    cache: Path = CACHE,
) -> dict[tuple[int, int], Data]:
    """The data of each seed's and fold's runs, as the template prepares them.

    With a fold the seed changes nothing.

    Every image is opened once; what was found is kept in `cache` under a listing of the files
    (names, sizes and times), so that the next call takes a second. Raises GridError if the data are
    missing or wrong.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     data = prepare("phantom", f"{folder}/images", "smoke", [0], cache=Path(folder))
    >>> data[0, 0].training_images
    48
    """
    from lib import cases, profiles, sources

    options = profiles.find(profile).source_options(source)
    try:
        table = sources.read(source, root or None, **options)
        listing = _listing(table)
        found = {}
        for seed, fold in product(seeds, folds):
            file = cache / f"{source}-{listing}-{f'fold{fold}' if fold else f'seed{seed}'}.json"
            if not file.exists():
                ready, _ = cases.prepare_cases(table, seed=seed, fold=fold or None)
                count = int((ready["split"] == "train").sum())
                data = Data(cases.fingerprint(ready), cases.split_digest(ready), count)
                with replacing(file) as draft:
                    draft.write_text(json.dumps(asdict(data)))
            found[seed, fold] = Data(**json.loads(file.read_text()))
    except cases.CaseError as error:
        raise GridError(str(error)) from error
    return found


def _listing(table: Any) -> str:
    """Digest of the case table, of its files' sizes and times, and of the code that reads them."""
    code = [*sorted((LIB / "sources").glob("*.py")), *sorted((LIB / "cases").glob("*.py"))]
    sha = hashlib.sha256(b"".join(file.read_bytes() for file in (*code, LIB / "dicom.py")))
    sha.update(" ".join(f"{name}=={version(name)}" for name in READERS).encode())
    sha.update(table.to_csv().encode())
    masks = (region.outline for regions in table["mask"] for region in regions)
    for entry in (*table["image"], *masks):
        if isinstance(entry, str | os.PathLike) and os.path.isfile(entry):
            stat = os.stat(entry)
            sha.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    return sha.hexdigest()[:16]


def expected(job: Job, data: Data, lock: Path = LOCK) -> dict[str, Any]:
    """What the record of this job's run would say if it were made today.

    Keys code, parameters, data and versions, as in the record; only what the numbers depend on.

    >>> today = expected(Job("phantom", "laptop", "mtl", 0), Data("0a1b", "2c3d", 720))
    >>> today["parameters"]["epochs"], "networks.unet" in today["code"]
    (12, True)
    """
    from lib import experiments, profiles

    from . import provenance

    system = experiments.find(job.experiment)
    budget = system.budget(profiles.find(job.profile)).seeing(data.training_images)
    settings = {"source": job.source, **system.record(), **budget.record()}
    settings |= {"seed": job.seed, "fold": job.fold}
    today = {
        "code": provenance.code(system),
        "parameters": settings,
        "data": {"fingerprint": data.fingerprint, "split": data.split},
        "versions": pinned(lock),
    }
    return json.loads(json.dumps(today))  # as a record has it: no tuples


def pinned(lock: Path = LOCK) -> dict[str, str]:
    """The versions that requirements.lock asks for, of the packages that a run's numbers need.

    >>> sorted(pinned())[:2]
    ['fastai', 'numpy']
    """
    found = re.findall(r"^([\w.-]+)==([\w.+!]+)", lock.read_text(), re.MULTILINE)
    return {name: version for name, version in found if name in results.PACKAGES}


def digest(today: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of all that a run's numbers depend on, as `expected` gives it.

    >>> len(digest({"code": {}}))
    12
    """
    return hashlib.sha256(json.dumps(today, sort_keys=True).encode()).hexdigest()[:12]


def differences(record: Mapping[str, Any], today: Mapping[str, Any]) -> list[str]:
    """In words, how a run's record differs from what `expected` says; empty if the run stands.

    >>> then = {"code": {"blocks": "0a"}, "parameters": {"epochs": 7}, "data": {}, "versions": {}}
    >>> differences(then, then | {"code": {"blocks": "1b"}, "parameters": {"epochs": 12}})
    ['blocks changed', 'epochs 7, now 12']
    """
    words = []
    then, now = record["code"], today["code"]
    if modules := results.changed_modules(then, now):
        words.append(f"{', '.join(modules)} changed" if then else "its code was not recorded")
    then, now = {"fold": 0} | record["parameters"], today["parameters"]
    words += [
        f"{key} {then.get(key, 'not recorded')}, now {now[key]}"
        for key in now
        if then.get(key) != now[key]
    ]
    then, now = record["data"], today["data"]
    names = {"fingerprint": "data", "split": "split of the data"}
    for key in now:
        if then.get(key) != now[key]:
            words.append(f"other {names[key]}" if key in then else f"{names[key]} not recorded")
    then, now = record["versions"], today["versions"]
    words += [f"{k} {then.get(k)}, now {now[k]}" for k in now if then.get(k) != now[k]]
    return words


def why(job: Job, today: Mapping[str, Any], root: Path | None = None) -> str:
    """Why this job has to be run, in words; empty if its results under `root` stand.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     why(Job("phantom", "smoke", "mtl", 0), {}, Path(folder))
    'no run yet'
    """
    file = job.file(root)
    if not file.exists():
        return "it failed" if job.failure(root).exists() else "no run yet"
    try:
        return "; ".join(differences(results.load(file), today))
    except results.ResultError as error:
        return str(error).replace(f"{file}: ", "")


def costs(records: Iterable[Mapping[str, Any]], profile: str) -> dict[str, float]:
    """Measured seconds for one training image in one epoch, by experiment, median over its runs.

    Processor seconds where the run has noted them: they do not depend on what else the machine did.
    The key "" holds the median over all experiments. Empty if no run of this profile is recorded.

    >>> run = {"profile": "laptop", "experiment": "mtl", "parameters": {"epochs": 7}}
    >>> run |= {"seconds": {"processor": 84.0}, "data": {"counts": {"train": {"benign": 100}}}}
    >>> costs([run], "laptop")
    {'mtl': 0.12, '': 0.12}
    """
    measured: dict[str, list[float]] = {}
    for record in records:
        if record["profile"] == profile:
            images = sum(record["data"]["counts"]["train"].values())
            seconds = record["seconds"].get("processor") or record["seconds"]["train"]
            rate = seconds / (images * record["parameters"]["epochs"])
            measured.setdefault(record["experiment"], []).append(rate)
    found = {name: median(rates) for name, rates in measured.items()}
    return found | {"": median(found.values())} if found else {}


def most_memory(records: Iterable[Mapping[str, Any]], profile: str) -> dict[str, float]:
    """The most MiB that a run took, by experiment. On a GPU its own memory was measured: left out.

    >>> run = {"profile": "laptop", "experiment": "mtl", "machine": {"device": "cpu"}}
    >>> most_memory([run | {"memory_mb": mb} for mb in (900, 1100, 1000)], "laptop")
    {'mtl': 1100}
    """
    most: dict[str, float] = {}
    for record in records:
        if record["profile"] == profile and record["machine"].get("device", "cpu") == "cpu":
            name = record["experiment"]
            most[name] = max(most.get(name, 0), record["memory_mb"])
    return most


def estimate(job: Job, today: Mapping[str, Any], data: Data, rates: Mapping[str, float]) -> float:
    """Seconds that this job's training will take by the measured `costs`; NaN if none is known.

    >>> today = {"parameters": {"epochs": 10}}
    >>> estimate(Job("ddti", "laptop", "mtl", 0), today, Data("", "", 200), {"": 0.1})
    200.0
    """
    rate = rates.get(job.experiment, rates.get("", float("nan")))
    return rate * data.training_images * today["parameters"]["epochs"]
