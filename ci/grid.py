"""The grid on the command line: its plan, its runs, its progress. The Makefile says how.

python ci/grid.py plan|run|progress [options]; --help lists them.
"""

import argparse
import fcntl
import json
import math
import os
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the library beside this file

from ci.engine import grid, progress
from ci.engine.progress import duration
from lib import paths, results

ENGINES = ROOT / "_build" / "grid"
RUNS = ROOT / "book" / "runs"
MEMORY = 4000  # MiB of a run, where none was measured
SPARE = 1.3  # more memory than was ever measured


def main() -> int:
    options = arguments()
    try:
        if options.command == "progress":
            return show_progress(options.results)
        if options.command == "summary":
            return summarise(json.loads(options.plan.read_text()))
        plan = make_plan(options)
        if options.command == "plan":
            return show_plan(plan, options)
        return run(plan, options)
    except (grid.GridError, results.ResultError) as error:
        print(f"{error}\nNothing was started.", file=sys.stderr)
        return 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["plan", "run", "progress", "summary"])
    parser.add_argument("--source", default="phantom")
    parser.add_argument("--root", type=folder, help="folder of the data set")
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--seeds", default="0", help='such as "0 1 2"')
    parser.add_argument(
        "--folds", default="0", help='such as "1 2 3 4 5"; 0: as the data set has it'
    )
    parser.add_argument("--tables", default="1 3 4 5 6", help="of the paper, to be filled")
    parser.add_argument("--only", default="", help="these experiments, in place of tables")
    parser.add_argument("--on", default="", help="a folder of ci/profiles: laptop, paper, slurm…")
    parser.add_argument("--cores", type=int, default=0, help="of this machine; 0: all")
    parser.add_argument("--threads", type=int, default=0, help="of one run")
    parser.add_argument("--together", type=int, default=1, help="processes that share one run")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--results", type=folder, default=results.RESULTS)
    parser.add_argument("--runs", type=folder, help="folder of the notebooks")
    parser.add_argument("--plan", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.results = options.results.resolve()
    own = options.results == (ROOT / "results").resolve()
    options.runs = (options.runs or (RUNS if own else options.results / "runs")).resolve()
    options.root = str(Path(options.root).resolve()) if options.root else ""
    options.on = options.on or ("paper" if options.profile == "paper" else "laptop")
    return options


def folder(words: str) -> Path | None:
    """An argument that is a folder; `~` in quotes, as make passes it on, is the home."""
    try:
        return paths.given(words) if words else None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def numbers(words: str, what: str) -> list[int]:
    try:
        return [int(word) for word in words.replace(",", " ").split()]
    except ValueError:
        raise grid.GridError(f'{what} "{words}": whole numbers are needed, like "0 1 2"') from None


def make_plan(options: argparse.Namespace) -> dict:
    """Everything the engine has to know; its "jobs" are the runs that do not stand."""
    jobs = grid.jobs(
        options.source,
        options.profile,
        numbers(options.seeds, "SEEDS"),
        numbers(options.folds, "FOLDS"),
        tables=numbers(options.tables, "TABLES"),
        only=options.only.replace(",", " ").split(),
    )
    profiles = sorted(folder.name for folder in (ROOT / "ci" / "profiles").iterdir())
    if options.on not in profiles:
        raise grid.GridError(f"ON={options.on}: no such engine; there are {', '.join(profiles)}")
    gpus = count_gpus(options)
    print(f"Looking at {options.source} ...", end=" ", flush=True)
    seeds, folds = (sorted({getattr(job, key) for job in jobs}) for key in ("seed", "fold"))
    data = grid.prepare(options.source, options.root, options.profile, seeds, folds)
    first = next(iter(data.values()))
    print(f"{first.training_images} training images, {first.fingerprint[:12]}")
    records = results.load_all(options.results)
    rates = grid.costs(records, options.profile)
    memory = grid.most_memory(records, options.profile)
    plan = {"jobs": {}, "stand": [], "results": str(options.results), "runs": str(options.runs)}
    plan |= {"root": options.root, "device": options.device, "gpu": int(gpus > 0), "gpus": gpus}
    if options.together < 1 or options.together > max(gpus, cores(options)):
        most = max(gpus, cores(options))
        raise grid.GridError(f"TOGETHER={options.together}: this machine has room for 1 to {most}")
    plan |= {"gpu": plan["gpu"] * options.together, "together": options.together}
    plan |= {"threads": options.threads or (4 if gpus else 1), "rates": rates}
    for job in jobs:
        of = data[job.seed, job.fold]
        today = grid.expected(job, of)
        reason = grid.why(job, today, options.results)
        # raises where the folder's results are another folder's: nothing is started then
        results.replaced(options.results / f"{job.name}.json", of.fingerprint, of.split)
        if not reason:
            plan["stand"].append(job.name)
            continue
        seconds = grid.estimate(job, today, of, rates)
        known = not math.isnan(seconds)
        plan["jobs"][job.name] = vars(job) | {
            "number": len(plan["jobs"]) + 1,
            "why": reason,
            "digest": grid.digest(today),
            "expected": today,
            "seconds": seconds if known else None,
            # For a cluster's queue: its processors may be slower than those that were measured.
            "minutes": math.ceil(seconds / 60 * 3) + 30 if known else 24 * 60,
            "mem_mb": math.ceil(memory.get(job.experiment, MEMORY / SPARE) * SPARE),
        }
    plan["count"] = len(plan["jobs"])
    return plan


def count_gpus(options: argparse.Namespace) -> int:
    """GPUs that the runs can take here; on a cluster, one for each run of the profile paper."""
    if options.on in ("slurm", "kubernetes"):
        return int(options.profile == "paper" and options.device != "cpu")
    import torch

    found = torch.cuda.device_count() if options.device != "cpu" else 0
    if options.profile == "paper" and not found and options.device != "cpu":
        raise grid.GridError(
            "the profile paper needs a GPU and this machine has none: a run would take weeks. "
            "Take ON=slurm or ON=kubernetes, PROFILE=laptop, or insist with DEVICE=cpu"
        )
    return found


# ---- the plan


def show_plan(plan: dict, options: argparse.Namespace) -> int:
    waiting = plan["jobs"].values()
    print(f"{len(plan['stand'])} runs stand, {len(waiting)} are to be made")
    if waiting:
        names = {key: run_name(job) for key, job in plan["jobs"].items()}
        width = max(map(len, names.values()))
        print(f"\n{'run':{width}} {'about':>8}  why")
        for key, job in plan["jobs"].items():
            about = duration(job["seconds"]) if job["seconds"] else "unknown"
            print(f"{names[key]:{width}} {about:>8}  {job['why']}")
        print(f"\n{time_needed(plan, options)}\n{disk_needed(plan)}")
        print(f"\nNext: make tables {shlex.join(asked_for(options))}".rstrip())
    return 0


def run_name(job: dict) -> str:
    """A run of a plan as a person would say it."""
    return f"{job['experiment']} seed {job['seed']}" + f" fold {job['fold']}" * (job["fold"] > 0)


def asked_for(options: argparse.Namespace) -> list[str]:
    """The words after `make tables` that ask for the same grid."""
    words = [f"SOURCE={options.source}"] + [f"ROOT={options.root}"] * bool(options.root)
    words += [f"PROFILE={options.profile}", f"SEEDS={options.seeds}"]
    if options.folds != "0":
        words.append(f"FOLDS={options.folds}")
    if options.only:
        words.append(f"ONLY={options.only}")
    elif options.tables != "1 3 4 5 6":
        words.append(f"TABLES={options.tables}")
    usual = "paper" if options.profile == "paper" else "laptop"
    more = {"ON": options.on if options.on != usual else "", "CORES": options.cores}
    more |= {
        "THREADS": options.threads,
        "TOGETHER": options.together if options.together > 1 else 0,
    }
    more |= {"DEVICE": options.device if options.device != "auto" else ""}
    more |= {"RESULTS_IN": options.results if options.results != results.RESULTS else ""}
    return words + [f"{name}={value}" for name, value in more.items() if value]


def at_once(plan: dict, options: argparse.Namespace) -> int:
    room = plan["gpus"] or cores(options) // plan["threads"]
    return max(1, room // plan["together"])


def cores(options: argparse.Namespace) -> int:
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return options.cores or mine or 1


def time_needed(plan: dict, options: argparse.Namespace) -> str:
    seconds = [job["seconds"] for job in plan["jobs"].values() if job["seconds"]]
    if not seconds:
        return f"Time: unknown, no run of the profile {options.profile} has been measured yet"
    guessed = [job for job in plan["jobs"].values() if job["experiment"] not in plan["rates"]]
    words = f"Time: about {duration(sum(seconds))} of one core by the runs measured so far"
    if guessed:
        words += f" ({len(guessed)} of them by the median of the other systems)"
    if options.on == "laptop":
        together = min(at_once(plan, options), len(seconds))
        words += f"; with {together} at once, {duration(sum(seconds) / together)}"
    return words


def disk_needed(plan: dict) -> str:
    """Results and notebooks as large as those that there are, and the checkpoints of one run."""
    files = {
        "results": list(Path(plan["results"]).glob("*/*/*/*seed*.*")),
        "notebooks": list(Path(plan["runs"]).glob("*/*/*/*seed*[0-9].ipynb")),
    }
    runs = {"results": "*/*/*/*seed*[0-9].json", "notebooks": "*/*/*/*seed*[0-9].ipynb"}
    needed = 0.0
    for kind, found in files.items():
        size = sum(file.stat().st_size for file in found if file.is_file())
        count = len(list(Path(plan[kind if kind == "results" else "runs"]).glob(runs[kind])))
        needed += (size / count if count else 2**20) * plan["count"]
    base = existing(Path(plan["results"]))
    free = shutil.disk_usage(base).free
    return (
        f"Disk: about {max(1, needed / 2**20):.0f} MB of results and notebooks, and 0.2 GB for "
        f"each run that is going on; {free / 2**30:.0f} GB are free"
    )


def existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


# ---- the engine


def run(plan: dict, options: argparse.Namespace) -> int:
    if not plan["jobs"]:
        print(f"All {len(plan['stand'])} runs stand. Next: make book")
        return 0
    free = shutil.disk_usage(existing(options.results)).free
    if free < 2**30:
        raise grid.GridError(f"only {free / 2**20:.0f} MB of disk are free; 1 GB is needed")
    sweep()
    folder = Path(tempfile.mkdtemp(prefix="engine-", dir=ENGINES))
    file = folder / "plan.json"
    file.write_text(json.dumps(plan))
    print(
        f"{len(plan['stand'])} runs stand, {plan['count']} to be made.", time_needed(plan, options)
    )
    print("To watch: make progress. To stop: Ctrl-C; the same command goes on.", flush=True)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "ci" / "Snakefile")]
    command += ["--profile", str(ROOT / "ci" / "profiles" / options.on)]
    command += ["--directory", str(folder), "--config", f"plan={file}"]
    if options.on in ("laptop", "paper"):
        command += ["--cores", str(cores(options)), "--resources", f"mem_mb={memory_here()}"]
        command += [f"gpu={plan['gpus']}"] if plan["gpus"] else []
    if options.on == "kubernetes":
        command += ["--default-storage-prefix", str(folder / "stamps")]
    lock = os.open(folder / "engine.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(lock, True)  # Snakemake takes this process's place and holds the lock
    os.chdir(ROOT)
    os.execv(sys.executable, command)


def memory_here() -> int:
    import psutil

    return int(psutil.virtual_memory().total * 0.9 / 2**20)


def sweep() -> None:
    """Remove the folders of engines that are no more."""
    ENGINES.mkdir(parents=True, exist_ok=True)
    for folder in ENGINES.glob("engine-*"):
        try:
            with open(folder / "engine.lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # one that works, or is just starting
            continue


def summarise(plan: dict) -> int:
    """What became of the plan, said at the engine's end."""
    done, failed = [], []
    for name, entry in plan["jobs"].items():
        job = grid.Job.of(entry)
        if not grid.why(job, entry["expected"], Path(plan["results"])):
            done.append(name)
        note = job.failure(Path(plan["results"]))
        if note.exists():
            failed.append(f"  {name}: {said(json.loads(note.read_text()))}")
    left = plan["count"] - len(done) - len(failed)
    print(f"\n{len(done)} of {plan['count']} runs were made, {len(failed)} failed, {left} are left")
    print("\n".join(failed) + "\n" * bool(failed), end="")
    if len(done) == plan["count"]:
        if any(entry["source"] == "folder" for entry in plan["jobs"].values()):
            print("Next: look at the results before you pass any on: they are of your own images")
        else:
            print("Next: make book, and git add results/ to keep them")
    else:
        print("Next: the same command again; it makes what is missing")
    return 0


def said(failure: dict) -> str:
    first = (failure["message"].strip().splitlines() or [""])[0]
    return f"{failure['error']}: {first[:120]}"


# ---- the progress


def show_progress(root: Path) -> int:
    going = progress.running(root)
    width = max((len(run.name) for run in going), default=0)
    for run in going:
        if run.done is None:
            state = "in its first epoch" if run.alive else "stopped in its first epoch"
        else:
            bar = "#" * round(20 * run.done / run.epochs)
            state = f"[{bar:20}] epoch {run.done} of {run.epochs}"
            state += f" of {run.part}" * bool(run.part)
            state += f", {duration(run.seconds)} to go" if run.alive else ", stopped"
        print(f"{run.name:{width}}  {state}")
    failures = results.load_failures(root)
    for failure in failures:
        print(f"{grid.Job.of(failure).name}: FAILED: {said(failure)}")
    done = Counter(Path(r["source"], r["profile"]).as_posix() for r in results.load_all(root))
    print(f"{len(going)} going on or stopped, {len(failures)} failed, {sum(done.values())} done:")
    for name, count in sorted(done.items()):
        print(f"  {name}: {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
