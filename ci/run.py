"""One run of a plan: papermill on the template, alone, resumed, and told honestly if it fails.

python ci/run.py PLAN NAME, as ci/Snakefile calls it.
"""

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the library beside this file, here and in the kernel
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)

import nbformat
import papermill
import psutil

from ci.engine import gpus, grid, progress
from lib import results

TEMPLATE = ROOT / "book" / "experiment.ipynb"
FOLLOW = ROOT / "ci" / "follow.py"


def main(plan_file: str, name: str) -> int:
    plan = json.loads(Path(plan_file).read_text())
    entry = plan["jobs"][name]
    job = grid.Job.of(entry)
    say = speaker(f"[{entry['number']}/{plan['count']}] {name}:")
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = Path(plan["results"], name)
    try:
        with progress.alone(run):
            return make(plan, entry, job, say)
    except progress.Busy as holder:
        say(f"{holder} makes it; waiting for that")
        with progress.alone(run, wait=True):
            return make(plan, entry, job, say)


def make(plan: dict, entry: dict, job: grid.Job, say) -> int:
    """Make the run unless it stands by now. 0 if its results stand, 1 if it failed."""
    root = Path(plan["results"])
    noted = job.failure(root)
    if not grid.why(job, entry["expected"], root):
        say("another engine has made it")
        noted.unlink(missing_ok=True)
        return 0
    checkpoints = Path(root, f"{job.name}.unfinished")
    epochs = resumable(checkpoints, entry["digest"])
    say(f"goes on after epoch {epochs}" if epochs else f"starts ({entry['why']})")
    draft = Path(plan["runs"], f"{job.name}.unfinished.ipynb")
    draft.parent.mkdir(parents=True, exist_ok=True)
    os.environ.update({"OMP_NUM_THREADS": str(plan["threads"]), "MKL_NUM_THREADS": "1"})
    os.environ.update(gpus.free(plan["together"]) if plan["gpu"] else {})
    begun, commit = time.monotonic(), results.commit()
    try:
        execute(plan, job, draft)
    except KeyboardInterrupt:
        say("stopped; the same command goes on from its last epoch")
        return 130
    except Exception as error:
        failure = describe(error, job, draft) | {
            "commit": commit,
            "code": entry["expected"]["code"],
            "versions": results.versions(),
        }
        results.save_failure(failure, root)
        kept = shown(move(draft, draft.with_name(f"{job.stem}.failed.ipynb")))
        say(f"FAILED: {failure['error']}: {failure['message'][:200]}\n  {kept} has the traceback")
        return 1
    noted.unlink(missing_ok=True)
    draft.with_name(f"{job.stem}.failed.ipynb").unlink(missing_ok=True)
    report = move(draft, draft.with_name(f"{job.stem}.ipynb"))
    say(f"done in {progress.duration(time.monotonic() - begun)}: {shown(report)}")
    if other := grid.why(job, entry["expected"], root):
        say(f"but something changed since the plan was made: {other}")
    return 0


def execute(plan: dict, job: grid.Job, target: Path) -> None:
    log = target.with_name(f"{job.stem}.log")
    logging.basicConfig(filename=log, filemode="w", format="%(asctime)s %(message)s", force=True)
    logging.getLogger("papermill").setLevel(logging.INFO)
    parameters = {
        "source": job.source,
        "root": plan["root"],
        "experiment": job.experiment,
        "profile": job.profile,
        "seed": job.seed,
        "fold": job.fold,
        "device": plan["device"],
        "results": plan["results"],
    }
    with quiet(log), followers(plan["together"], parameters, log):
        papermill.execute_notebook(
            TEMPLATE,
            target,
            parameters,
            kernel_name="python3",
            log_output=True,
            progress_bar=False,
        )


@contextmanager
def followers(processes: int, parameters: dict, log: Path) -> Iterator[None]:
    """The other processes of a run that several train together; the kernel is the first one."""
    if processes == 1:
        yield
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    os.environ.update(meeting | {"RANK": "0", "LOCAL_RANK": "0"})
    started = []
    for rank in map(str, range(1, processes)):
        with open(log.with_suffix(f".process{rank}.log"), "w") as file:
            command = [sys.executable, "-W", "ignore", FOLLOW, json.dumps(parameters)]
            own = os.environ | {"RANK": rank, "LOCAL_RANK": rank, "MPLBACKEND": "agg"}
            started.append(subprocess.Popen(command, env=own, stdout=file, stderr=file))
    lost: list[str] = []
    threading.Thread(target=watch, args=(started, lost), daemon=True).start()
    try:
        yield
        for process in started:
            process.wait(timeout=60)
    except Exception as error:
        # An error of this process's own stays; what the loss of another one looks like from here
        # is a dead kernel or the words of the library that joins them.
        if not re.search(
            r"kernel ?died|DeadKernel|gloo|nccl|connection|socket", repr(error), re.IGNORECASE
        ):
            raise
        until = time.monotonic() + 10
        while not lost and time.monotonic() < until:
            time.sleep(0.1)
        if lost:
            raise LostProcess(f"{lost[0]}: see its log beside the run's notebook") from error
        raise
    finally:
        for process in started:
            process.kill()


class LostProcess(RuntimeError):
    """One of the processes that trained a run together is gone."""


def watch(started: list[subprocess.Popen], lost: list[str]) -> None:
    """When a follower fails, say so in `lost` and end the kernel, which might wait for minutes."""
    own = {process.pid for process in started}
    while any(process.poll() != 0 for process in started):
        for rank, process in enumerate(started, 1):
            if (status := process.poll()) and not lost:
                how = f"killed by signal {-status}" if status < 0 else f"status {status}"
                lost.append(f"process {rank + 1} of {len(started) + 1} ended early ({how})")
        if lost:
            for child in psutil.Process().children():  # the kernel, also if it starts only now
                if child.pid not in own:
                    child.kill()
        time.sleep(0.5)


@contextmanager
def quiet(log: Path) -> Iterator[None]:
    """What the kernel writes to this process's standard error goes to the log."""
    screen = os.dup(2)
    with open(log, "a") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)


def resumable(checkpoints: Path, digest: str) -> int:
    """Epochs that are done already, by the same code on the same data; others are thrown away."""
    note = checkpoints / "inputs"
    if not note.exists() or note.read_text() != digest:
        shutil.rmtree(checkpoints, ignore_errors=True)
        checkpoints.mkdir(parents=True)
        note.write_text(digest)
    found = (re.fullmatch(r"epoch-(\d+)", folder.name) for folder in checkpoints.glob("**/epoch-*"))
    return max((int(epoch[1]) for epoch in found if epoch), default=0)


def describe(error: Exception, job: grid.Job, notebook: Path) -> dict:
    """What went wrong and in which cell, with no path of this machine."""
    kind, message = type(error).__name__, str(error)
    if isinstance(error, papermill.PapermillExecutionError):
        kind, message = error.ename, error.evalue
    elif kind == "DeadKernelError":
        message += "; it was killed, perhaps for want of memory: see the log beside its notebook"
    cell = None
    if notebook.exists():
        for candidate in nbformat.read(notebook, as_version=4).cells:
            if candidate.metadata.get("papermill", {}).get("exception"):
                cell = candidate.get("id")
    message = re.sub(r"(?<![\w.~/])/(?:[^\s/'\"]+/)+", "", message)
    return {
        "experiment": job.experiment,
        "source": job.source,
        "profile": job.profile,
        "seed": job.seed,
        "fold": job.fold,
        "error": kind,
        "message": re.sub(r"\x1b\[[\d;]*m", "", message),
        "cell": cell,
    }


def end_with(parent: int) -> None:
    """Stop the run, kernel first, when the engine that asked for it is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)


def move(old: Path, new: Path) -> Path:
    if old.exists():
        os.replace(old, new)
    return new


def shown(file: Path) -> str:
    return str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


def speaker(before: str):
    return lambda words: print(before, words, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
