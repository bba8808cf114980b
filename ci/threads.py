"""The same run twice with one thread, then with two: python ci/threads.py, into results/bench.

Says whether a repeat is equal bit for bit, and how far two threads move each measure; a run of
another seed stands beside them, to judge that by.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import lib
from lib.atomic import replacing

TARGET = lib.results.RESULTS / "bench" / "threads.json"
RUN = {"source": "phantom", "experiment": "ms-mtl+intra+inter", "profile": "quick"}
RUNS = {  # threads, seed
    "one thread": (1, 0),
    "one thread again": (1, 0),
    "two threads": (2, 0),
    "one thread, another seed": (1, 1),
}
SAME = ("parameters", "data", "metrics", "per_image")


def run(threads: int, seed: int) -> dict:
    """One run of the template in a process of its own; its record."""
    with tempfile.TemporaryDirectory() as folder:
        given = {**RUN, "seed": str(seed), "device": "cpu", "results": folder}
        command = [sys.executable, "-W", "ignore", "-m", "papermill", "--no-progress-bar"]
        command += [str(lib.results.ROOT / "book" / "experiment.ipynb"), f"{folder}/run.ipynb"]
        command += [word for name, value in given.items() for word in ("-p", name, value)]
        # A thread that waits sleeps: on a busy machine, spinning would keep the other from work.
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        subprocess.run(command, check=True, env=environment, capture_output=True)
        (file,) = Path(folder).rglob(f"seed{seed}.json")
        return lib.results.load(file)


def learning(record: dict) -> list:
    """What was learnt, epoch by epoch; not how long it took."""
    return [[epoch["train"], epoch["valid"]] for epoch in record["history"]]


def main() -> None:
    commit, records = lib.results.commit(), {}
    for name, (threads, seed) in RUNS.items():
        records[name] = run(threads, seed)
        print(f"{name}: done", flush=True)
    one, again, two, _ = records.values()
    differs = [part for part in SAME if one[part] != again[part]]
    differs += ["history"] * (learning(one) != learning(again))
    chances = [np.array(r["per_image"]["p_malignant"], float) for r in (one, two)]
    found = {
        "run": RUN,
        "commit": commit,
        "versions": one["versions"],
        "machine": {k: v for k, v in one["machine"].items() if k != "threads"},
        "epochs": len(one["history"]),
        "images": len(one["per_image"]["case"]),
        "values_compared": sum(map(len, one["per_image"].values())),
        "repeat_differs_in": differs,
        "two_threads": {
            "equal": learning(one) == learning(two),
            "largest_step_of_p_malignant": float(np.abs(chances[0] - chances[1]).max()),
            "images_of_another_class": int(((chances[0] > 0.5) != (chances[1] > 0.5)).sum()),
        },
        "metrics": {name: record["metrics"] for name, record in records.items()},
    }
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    print(f"repeat differs in: {differs or 'nothing'}; next: make book")


if __name__ == "__main__":
    main()
