"""What a GPU did with the book's trainings, as `ci/bench_gpu.py` measured it."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from lib.experiments import EXPERIMENTS

from .style import table, text


def gpu_table(measured: Mapping[str, Any]) -> str:
    """Speed and memory of each kind of training, alone or several at once on the same device.

    measured: results/bench/gpu.json. Raises ValueError if there is none yet.
    """
    if not measured:
        raise ValueError("nothing has been measured on a GPU yet: python ci/bench_gpu.py")
    rows = []
    for (name, setting, share), runs in groupby(measured["runs"], _kind):
        some = list(runs)
        speed = sum(run["images_per_second"] for run in some)
        memory = max(run["memory_mb"] for run in some)
        told = f"{text(EXPERIMENTS[name].title)}<br><small>{text(setting)}</small>"
        rows.append([told, share, f"{speed:.0f}", f"{memory:.0f}"])
    tests, versions = measured["tests"], measured["versions"]
    note = (
        f"{text(measured['machine']['gpu'])}, torch {text(versions['torch'])}, "
        f"{measured['phantoms']} phantoms, the last epoch of each training, commit "
        f"{measured['commit'][:10]}. MPS: NVIDIA's service by which processes share a device. Of "
        f"the tests that ask for a CUDA device {tests['passed']} passed, {tests['failed']} failed."
    )
    heads = ["training", "at once", "images a second,<br>together", "peak MiB<br>of one"]
    return table(heads, rows, note)


def _kind(run: Mapping[str, Any]) -> tuple[str, str, str]:
    setting = (
        f"{run['profile']}: {run['size']} px, batches of {run['batch_size']}, {run['precision']}"
    )
    by = f", {run['shared_by']}" if "shared_by" in run else ""
    return run["experiment"], setting, f"{run['beside']}{by}"
