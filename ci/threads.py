"""The same run twice with one thread and once with two: python ci/threads.py, into results/bench.

Says whether a repeat is equal bit for bit, and how far two threads move each measure.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN = {"source": "phantom", "experiment": "ms-mtl+intra+inter", "profile": "quick", "seed": "0"}
SAME = ("metrics", "per_image", "model", "data")


def run(threads: int, folder: Path) -> dict:
    """One run of the template in a process of its own; its record."""
    given = [word for name, value in RUN.items() for word in ("-p", name, value)]
    given += ["-p", "device", "cpu", "-p", "results", str(folder)]
    command = [sys.executable, "-W", "ignore", "-m", "papermill", "--no-progress-bar"]
    command += [str(ROOT / "book" / "experiment.ipynb"), str(folder / "run.ipynb"), *given]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    (file,) = folder.rglob("seed0.json")
    return json.loads(file.read_text())


def main() -> None:
    records = []
    for threads in (1, 1, 2):
        with tempfile.TemporaryDirectory() as folder:
            records.append(run(threads, Path(folder)))
        print(f"{threads} threads: done", flush=True)
    one, again, two = records
    repeat = [part for part in SAME if one[part] != again[part]]
    curves = [epoch["train"] for epoch in one["history"]] == [e["train"] for e in again["history"]]
    found = {
        "run": RUN,
        "commit": one["commit"],
        "machine": one["machine"] | {"threads": [1, 1, 2]},
        "repeat_equal": not repeat and curves,
        "repeat_differs_in": repeat,
        "images": len(one["per_image"]["case"]),
        "one_thread": one["metrics"],
        "two_threads": two["metrics"],
    }
    target = ROOT / "results" / "bench" / "threads.json"
    target.write_text(json.dumps(found, indent=1) + "\n")
    print(f"repeat equal: {found['repeat_equal']}; {target.relative_to(ROOT)}; next: make book")


if __name__ == "__main__":
    main()
