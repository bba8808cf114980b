"""Kill runs, plans and builds with -9 and finish each with the same command: what came out?

python ci/faults.py [--kills 30] [--steps] [--phases "results checkpoint"] [--to FILE]

A kill comes at a random moment (seeded) of a phase, or, with --steps, right before one of its
writing steps: each time that Python is about to open a file to write, rename, remove or make one.
Each command runs in a process forked from this one, which has imported the library once. The
report says what stood after each kill and whether the results equal those of an undisturbed run.
"""

import argparse
import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}

import fastai.vision.all  # noqa: F401  (so that no fork has to wait for it)
import matplotlib.pyplot  # noqa: F401
import nbformat
import torch

from book.kit import figures, gallery  # noqa: F401
from ci.engine import grid, provenance  # noqa: F401
from lib import blocks, cam, cost, experiments, profiles, results, training  # noqa: F401
from lib.atomic import replacing

TARGET = ROOT / "results" / "bench" / "faults.json"
TEMPLATE = ROOT / "book" / "experiment.ipynb"
CELLS = [c for c in nbformat.read(TEMPLATE, as_version=4).cells if c.cell_type == "code"]
SYSTEM, PROFILE, EPOCHS = "unet-seg3", "tiny", 2
profiles.PROFILES[PROFILE] = replace(profiles.find("smoke"), name=PROFILE, size=32, phantoms=40)
# What two undisturbed runs do not share: times, memory, and the commit, if one is made meanwhile.
APART = ("seconds", "memory_mb", "commit")
WRITES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate"}


# ---- the commands


def run(folder: Path) -> None:
    """The template's cells, one after the other, as a kernel runs them."""
    space: dict = {}
    exec(CELLS[0].source, space)
    space |= {"source": "phantom", "root": str(folder / "phantom"), "experiment": SYSTEM}
    space |= {"profile": PROFILE, "device": "cpu", "results": str(folder / "results")}
    for cell in CELLS[1:]:
        if "training.train(" in cell.source:
            sys.audit("faults.training")
        exec(cell.source, space)


def plan(folder: Path) -> None:
    """The data as `make plan` prepares them."""
    found = grid.prepare("phantom", folder / "phantom", PROFILE, [0], folder / "prepared")
    (folder / "plan.json").write_text(json.dumps({k: vars(v) for k, v in found.items()}))


def build(folder: Path) -> None:
    """`make book` of a book of three pages."""
    words = ["make", "book", "RUNS=", f"VENV={ROOT / '.venv'}"]
    os.chdir(folder)
    os.execvp(words[0], words)


def small_book(folder: Path) -> None:
    """The project's Makefile and three pages; one of them reads a result when it is built."""
    for part in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy2(ROOT / part, folder)
    book = folder / "book"
    shutil.copytree(ROOT / "lib", folder / "lib")  # with its times: make compares them
    for part in (book / "_vendor", folder / "ci", folder / "results"):
        part.mkdir(parents=True)
    for part in ("package.json", "package-lock.json"):
        shutil.copy2(ROOT / "ci" / part, folder / "ci")
    (book / "_vendor" / ".done").touch()
    (folder / "results" / "seed0.json").write_text('{"ACC": 0.75}')
    settings = {"title": "A book", "execute": {"execute_notebooks": "off"}}
    (folder / "_config.yml").write_text(json.dumps(settings))
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: words\n  - file: numbers\n"
    (book / "_toc.yml").write_text(toc)
    (book / "index.md").write_text("# A book\n\nIt has {doc}`words` and {doc}`numbers`.\n")
    (book / "words.md").write_text("# Words\n\n" + "One sentence more. " * 2000 + "\n")
    code = "import json\nprint(json.load(open('../results/seed0.json')))"
    cells = [nbformat.v4.new_markdown_cell("# Numbers"), nbformat.v4.new_code_cell(code)]
    about = {"mystnb": {"execution_mode": "force"}}
    about["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    page = nbformat.v4.new_notebook(cells=cells, metadata=about)
    nbformat.write(page, book / "numbers.ipynb")


# ---- the phases


@dataclass(frozen=True)
class Phase:
    """A part of a command: its steps write to paths that begin as `where` says, without `but`."""

    name: str
    about: str
    command: Callable[[Path], None]
    where: str = ""  # a regular expression
    but: str = ""
    after: str = "nothing"  # what stands before the command: nothing, phantom, or cache
    share: int = 4  # of every 30 kills

    def holds(self, path: str) -> bool:
        begins = self.where and re.match(self.where, path)
        return bool(begins) and not (self.but and self.but in path)


PHASES = [
    Phase("drawing", "drawing the phantom", run, "phantom"),
    Phase("decoding", "decoding all images once", run, "cache", after="phantom"),
    Phase("listing", "preparing the data of a plan", plan, "prepared", after="phantom", share=3),
    Phase("training", "training", run, after="cache", share=6),
    Phase("checkpoint", "writing a checkpoint", run, r".*\.unfinished", after="cache",
          share=5),
    Phase("results", "writing the results and the pictures", run, "results", ".unfinished",
          after="cache"),
    Phase("book", "building the book", build),
]  # fmt: skip


# ---- one process, killed or not


@dataclass
class Kill:
    """Right before step `step`; or, with `delay`, so many seconds after that step has begun."""

    phase: Phase
    step: int
    delay: float | None = None


@dataclass
class Ended:
    """How a process ended (0, or minus the signal), its steps, and what it took from where."""

    status: int
    steps: list[str]
    since: dict[str, float]  # seconds from the first step of each phase to the end
    seconds: float


def watch(folder: Path, phases: list[Phase], step: Callable[[Phase, str], None]) -> None:
    """Call `step` before each writing step of these phases in this process."""

    def below(path: str | os.PathLike, at: int) -> str:
        whole = os.fspath(path)
        if isinstance(whole, str) and at >= 0:  # relative to an open folder, as rmtree does it
            whole = os.path.join(os.readlink(f"/proc/self/fd/{at}"), whole)
        inside = isinstance(whole, str) and whole.startswith(f"{folder}/")
        # A draft beside a folder is a step of what will be in that folder.
        return whole[len(str(folder)) + 1 :].removeprefix(".") if inside else ""

    def hook(event: str, given: tuple) -> None:
        if event == "faults.training":
            for phase in phases:
                if phase.name == "training":
                    step(phase, "training begins")
        if event not in WRITES or not isinstance(given[0], str | os.PathLike):
            return
        if event == "open" and not given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        at = given[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
        path = below(given[0], at)
        for phase in phases:
            if path and phase.holds(path):
                step(phase, f"{event.removeprefix('os.')} {steady(path)}")

    sys.addaudithook(hook)


def steady(path: str) -> str:
    """A path without the random part of a draft's name."""
    parts = re.sub(r"\.part-\w+", ".part", path).split("/")
    random_part = re.compile(r"^\.draft-(?!epoch|gone).*?(\.\w+)?$")
    return "/".join(random_part.sub(r".draft\1", part) for part in parts)


def begin(
    phase: Phase, folder: Path, kill: Kill, log: Path, watched: list[Phase]
) -> tuple[int, int]:
    """A process that runs the phase's command; its number, and a pipe that tells its steps."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # make and what it starts end with it
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code, count = 1, 0

    def step(of: Phase, what: str) -> None:
        nonlocal count
        count += 1
        os.write(writing, f"{of.name}: {what}\n".encode())
        if kill.delay is None and count == kill.step:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        os.setsid()
        with open(log, "w") as file:
            os.dup2(file.fileno(), 1), os.dup2(file.fileno(), 2)
        torch.set_num_threads(1)
        blocks.CACHE = folder / "cache"
        watch(folder, watched, step)
        phase.command(folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def execute(
    phase: Phase,
    folder: Path,
    log: Path,
    kill: Kill | None = None,
    watched: list[Phase] | None = None,
) -> Ended:
    """Run the phase's command, killed as asked; tells the steps of all phases that are watched."""
    kill = kill or Kill(phase, 0)
    began = time.monotonic()
    child, reading = begin(phase, folder, kill, log, watched or [phase])
    text, due, killed, at = "", None, False, {}
    with os.fdopen(reading, "rb", buffering=0) as steps:
        while True:
            reached = text.count("\n") >= kill.step
            if phase.name == "book":  # step 1 is the moment at which its first page stands
                reached = not kill.step or any(folder.glob("_build/**/html/index.html"))
            if kill.delay is not None and due is None and reached:
                due = time.monotonic() + kill.delay
            wait = 0.02 if due is None or killed else max(0.0, due - time.monotonic())
            if select.select([steps], [], [], wait)[0]:
                told = os.read(steps.fileno(), 65536).decode()
                if not told:
                    break
                text += told
                for name in re.findall(r"^(\w+): ", text, re.MULTILINE):
                    at.setdefault(name, time.monotonic())
            elif due is not None and not killed and time.monotonic() >= due:
                os.killpg(child, signal.SIGKILL)
                killed = True
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    since = {name: time.monotonic() - moment for name, moment in at.items()}
    return Ended(status, text.splitlines(), since, time.monotonic() - began)


# ---- what came out


def outcome(folder: Path, phase: Phase) -> dict[str, str]:
    """Every file that the command leaves, with a digest; of results without `APART`."""
    top = folder / "_build" / "html" if phase.command is build else folder
    found = {}
    for file in sorted(top.rglob("*")):
        if file.is_file() and not file.is_symlink():
            name = file.relative_to(folder).as_posix()
            if name.startswith("prepared/phantom-"):  # its name has the times of the files
                name = "prepared/phantom.json"
            found[name] = hashlib.sha256(content(file)).hexdigest()
    return found


def content(file: Path) -> bytes:
    """The bytes of a file; of a results file without what two undisturbed runs do not share."""
    if file.match("results/*/*/*/seed?.json"):
        record = results.load(file)
        record = {key: value for key, value in record.items() if key not in APART}
        record["history"] = [
            {key: value for key, value in epoch.items() if not key.startswith(APART)}
            for epoch in record["history"]
        ]
        return json.dumps(record).encode()
    return file.read_bytes()


def standing(folder: Path, phase: Phase) -> str:
    """The furthest thing that a killed command has left whole."""
    if phase.command is build:
        return "pages" if any(folder.glob("_build/html/index.html")) else "nothing"
    if any(folder.glob("prepared/[!.]*.json")):
        return "prepared data"
    run = folder / "results" / "phantom" / PROFILE / SYSTEM
    if (run / "seed0.json").exists():
        return "results"
    if epochs := list(run.glob("seed0.unfinished/epoch-*")):
        return f"epoch {max(int(found.name.removeprefix('epoch-')) for found in epochs)}"
    if any(folder.glob("cache/[!.]*")):
        return "decoded images"
    return "phantom" if (folder / "phantom").exists() else "nothing"


def compare(folder: Path, phase: Phase, whole: dict[str, str], log: Path) -> dict:
    """How the outcome of a command that was finished differs from an undisturbed one's."""
    found = outcome(folder, phase)
    wrong = [name for name in whole if found.get(name) != whole[name]]
    left = [name for name in found if name not in whole]
    trained = len(re.findall(rf"^epoch +\d+/{EPOCHS} ", log.read_text(), re.MULTILINE))
    return {"equal": not wrong, "wrong": wrong[:5], "left": len(left), "trained": trained}


# ---- the campaign


class Campaign:
    """Kills in folders of their own under `home`, each compared with an undisturbed command."""

    def __init__(self, home: Path, phases: list[Phase], seed: int, report: Path):
        self.home, self.phases, self.report = home, phases, report
        self.seed, self.random = seed, random.Random(seed)
        self.before = home / "before"
        self.whole: dict[Callable, dict[str, str]] = {}
        self.steps: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}
        self.rows: list[dict] = []

    def undisturbed(self) -> None:
        """Run every command twice from nothing: the two must agree before others are compared."""
        for command in dict.fromkeys(phase.command for phase in PHASES):
            watched = [phase for phase in self.phases if phase.command is command]
            if not watched and command is not run:
                continue
            first = next(phase for phase in PHASES if phase.command is command)
            for at in ("first", "second"):
                folder = self.ready(first, f"{command.__name__}-{at}")
                ended = execute(first, folder, self.log(folder), watched=watched)
                if ended.status:
                    raise SystemExit(f"{folder.name}: failed undisturbed\n{self.said(folder)}")
                found = outcome(folder, first)
                if self.whole.setdefault(command, found) != found:
                    differ = {n for n, _ in self.whole[command].items() ^ found.items()}
                    raise SystemExit(f"{folder.name}: two undisturbed ones differ: {differ}")
                if folder.name == "run-first":
                    folder.rename(self.before)  # the phases that do not begin with nothing
                else:
                    shutil.rmtree(folder)
            for phase in watched:
                told = [line for line in ended.steps if line.startswith(f"{phase.name}: ")]
                self.steps[phase.name] = [line.split(": ", 1)[1] for line in told]
                self.seconds[phase.name] = ended.since.get(phase.name, ended.seconds)
            print(f"{command.__name__}: {ended.seconds:.1f} s", flush=True)

    def ready(self, phase: Phase, name: str) -> Path:
        """A folder with what stands before the phase's command."""
        folder = self.home / name
        folder.mkdir()
        if phase.command is build:
            small_book(folder)
        for part in {"nothing": (), "phantom": ("phantom",)}.get(phase.after, ("phantom", "cache")):
            shutil.copytree(self.before / part, folder / part)
        return folder

    def log(self, folder: Path) -> Path:
        return folder.with_suffix(".log")

    def said(self, folder: Path) -> str:
        return self.log(folder).read_text()[-3000:]

    def random_kill(self, phase: Phase) -> Kill:
        if phase.command is build:
            step = self.random.choice([0, 0, 1])
            longest = self.seconds[phase.name] if not step else 0.2
            return Kill(phase, step, self.random.uniform(0, longest))
        if phase.name == "training":
            return Kill(phase, 1, self.random.uniform(0, self.seconds[phase.name]))
        step = self.random.randint(1, len(self.steps[phase.name]))
        return Kill(phase, step, self.random.uniform(0, 0.03))

    def at_moments(self, kills: int) -> None:
        """So many kills at random moments, each phase its share."""
        shares = [phase for phase in self.phases for _ in range(phase.share)]
        every = sum(phase.share for phase in self.phases)
        for number in range(kills):
            phase = shares[(number * every // kills if kills < every else number) % every]
            while not self.one(phase, self.random_kill(phase)):
                pass  # it had ended before the kill came

    def at_steps(self, most: int = 40) -> None:
        """A kill right before every writing step; of a phase with more than `most`, evenly.

        Of steps that are told in the same words, such as making a folder that is there, the last.
        """
        for phase in self.phases:
            last = {what: step for step, what in enumerate(self.steps[phase.name], 1)}
            steps = sorted(last.values())
            if len(steps) > most:
                steps = [steps[round(at * (len(steps) - 1) / (most - 1))] for at in range(most)]
            for step in steps:
                self.one(phase, Kill(phase, step))

    def one(self, phase: Phase, kill: Kill) -> bool:
        """Kill, look, finish, compare; False if the command had ended before it was killed."""
        folder = self.ready(phase, f"{phase.name}-{len(self.rows)}")
        killed = execute(phase, folder, self.log(folder), kill)
        row = {"phase": phase.name, "kind": "step" if kill.delay is None else "moment"}
        if kill.delay is None:
            row["step"] = self.steps[phase.name][kill.step - 1]
        if killed.status != -signal.SIGKILL:
            if kill.delay is not None and killed.status == 0:
                shutil.rmtree(folder)
                return False
            raise SystemExit(f"{row}: ended with {killed.status}\n{self.said(folder)}")
        row["stood"] = standing(folder, phase)
        again = execute(phase, folder, self.log(folder))
        row["finished"] = again.status == 0
        row |= compare(folder, phase, self.whole[phase.command], self.log(folder))
        if not row["finished"]:
            row["said"] = self.said(folder).strip().splitlines()[-1][-300:]
        self.rows.append(row)
        self.write()
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        shutil.rmtree(folder)
        return True

    def write(self) -> None:
        """The report of the kills so far."""
        told = {
            "seed": self.seed,
            "system": SYSTEM,
            "profile": PROFILE,
            "epochs": EPOCHS,
            "set_aside": ["seconds", "memory_mb", "commit", "history: seconds"],
            "phases": {phase.name: phase.about for phase in self.phases},
            "steps": {name: len(steps) for name, steps in self.steps.items()},
            "kills": self.rows,
        }
        with replacing(self.report) as draft:
            draft.write_text(json.dumps(told, indent=1) + "\n")


def warm_up() -> None:
    """What each process would import again."""
    system = experiments.find(SYSTEM)
    budget = system.budget(profiles.find(PROFILE))
    cost.forward_flops(system.build(budget), budget.size)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="at random moments")
    parser.add_argument("--steps", action="store_true", help="a kill before every writing step")
    parser.add_argument("--phases", default=" ".join(phase.name for phase in PHASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, default=TARGET, help="the report")
    options = parser.parse_args()
    phases = [phase for phase in PHASES if phase.name in options.phases.split()]
    warm_up()
    with tempfile.TemporaryDirectory(prefix="faults-") as home:
        campaign = Campaign(Path(home), phases, options.seed, options.to)
        campaign.undisturbed()
        campaign.at_moments(options.kills)
        if options.steps:
            campaign.at_steps()
    rows = campaign.rows
    good = [row for row in rows if row["finished"] and row["equal"]]
    print(f"{len(rows)} kills, {len(good)} finished with equal results: {options.to.name}")
    return len(good) != len(rows)


if __name__ == "__main__":
    sys.exit(main())
