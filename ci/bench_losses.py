"""Time and memory of the three consistency losses against a softmax: results/bench/losses.json.

    python ci/bench_losses.py                      # some minutes, one thread
    OMP_NUM_THREADS=2 python ci/bench_losses.py    # only where both cores are free

16 images, float32, two classes, forward and backward to the gradients of the raw scores. The ways
take turns on the same scores, so that whatever else the machine does falls on all of them, and
each is a multiple of the softmax of the same scores in the same turn. One thread is timed by the
processor time of this process, more than one by the clock on the wall.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from timing import spread
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import lib
from ci.engine import fused
from lib import consistency
from lib.atomic import replacing

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import literal

TARGET = lib.results.RESULTS / "bench" / "losses.json"
IMAGES, CLASSES = 16, 2
SIZES = (64, 128, 256, 512, 1024)
WAYS = {
    "softmax": "softmax of both maps, nothing else",
    "literal": "Algorithms 1 and 2 line by line, softmax included",
    "consistency": "lib.consistency, softmax included",
    "consistency, probabilities": "lib.consistency on ready probabilities, no softmax",
    "fused": "ci.engine.fused, from raw scores, softmax included",
}


def forward(way: str, cls: Tensor, seg2: Tensor, seg3: Tensor) -> list[Tensor]:
    """What `way` computes of these inputs; "softmax" gives maps, the others three losses."""
    if way == "fused":
        given = fused.sums(cls, seg2, seg3)
        return [fused.intra_task(given), fused.inter_task(given), fused.three_task(given)]
    if way != "consistency, probabilities":
        cls, seg2, seg3 = cls.softmax(1), seg2.softmax(1), seg3.softmax(1)
    if way == "softmax":
        return [cls, seg2, seg3]
    module = literal if way == "literal" else consistency
    return [
        module.intra_task(seg2, seg3),
        module.inter_task(cls, seg3),
        module.three_task(cls, seg2, seg3),
    ]


def steps(way: str, size: int) -> Callable[[], Iterator[None]]:
    """One run of `way` with new gradients, that pauses after the forward half."""
    torch.manual_seed(0)
    shapes = [(IMAGES, CLASSES), *((IMAGES, c, size, size) for c in (2, CLASSES + 1))]
    scores = [torch.randn(shape) for shape in shapes]
    if way == "consistency, probabilities":
        scores = [one.softmax(1) for one in scores]
    inputs = [one.requires_grad_() for one in scores]
    above = [torch.randn(shape) for shape in shapes] if way == "softmax" else None

    def run() -> Iterator[None]:
        results = forward(way, *inputs)
        yield
        if above is None:
            results = [sum(results)]
        yield torch.autograd.grad(results, inputs, above)

    return run


def seconds() -> float:
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def time_ways(size: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds forward and backward, by way, a value a round."""
    runs = {way: steps(way, size) for way in WAYS}
    times = {way: {"forward": [], "backward": []} for way in WAYS}
    for turn in range(rounds + 1):
        for way, run in runs.items():
            marks = [seconds()]
            for _ in run():
                marks.append(seconds())
            if turn:  # the first run finds its memory
                times[way]["forward"].append(marks[1] - marks[0])
                times[way]["backward"].append(marks[2] - marks[1])
    return times


def look_inside(way: str, size: int) -> dict:
    """Most bytes that torch held at once beyond the inputs, and what torch's operations took.

    The bytes are of results and gradients too; `calls` counts the operations, `operations` are
    those that take longest, as shares of the time of all.
    """
    run = steps(way, size)
    list(run())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        list(run())
    changes = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        most = max(most, held)
    calls = [call for call in seen.key_averages() if call.key.startswith("aten::")]
    calls.sort(key=lambda call: -call.self_cpu_time_total)
    total = sum(call.self_cpu_time_total for call in calls)
    return {
        "peak_bytes": most,
        "calls": sum(call.count for call in calls),
        "operations": {c.key: c.self_cpu_time_total / total for c in calls[:5]},
    }


def measure(size: int, rounds: int) -> dict:
    """Everything about one size: the inputs' bytes, and by way seconds, ratio and peak."""
    inputs = 4 * IMAGES * (CLASSES + (2 + CLASSES + 1) * size * size)
    times, record = time_ways(size, rounds), {}
    whole = {
        way: [sum(p) for p in zip(*parts.values(), strict=True)] for way, parts in times.items()
    }
    for way, parts in times.items():
        pairs = zip(whole[way], whole["softmax"], strict=True)
        inside = look_inside(way, size)
        peak = inside["peak_bytes"]
        record[way] = {
            **{f"{part}_seconds": spread(values) for part, values in parts.items()},
            "seconds": spread(whole[way]),
            "over_softmax": {
                **spread([one / soft for one, soft in pairs]),
                "of_lows": min(whole[way]) / min(whole["softmax"]),
            },
            **inside,
            "peak_over_inputs": peak / inputs,
        }
        told = record[way]["over_softmax"]
        print(
            f"{size:5d} px  {way:27s} {1000 * record[way]['seconds']['low']:8.1f} ms  "
            f"{told['median']:5.2f} x softmax (of lows {told['of_lows']:.2f})  "
            f"peak {peak / inputs:5.2f} x inputs",
            flush=True,
        )
    return {"size": size, "input_bytes": inputs, "rounds": rounds, "ways": record}


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--rounds", type=int, default=15, help="at 512 px; more where it is smaller")
    asked = ask.parse_args()
    threads = torch.get_num_threads()
    record = {
        "commit": lib.results.commit(),
        "versions": lib.results.versions(),
        "machine": lib.results.machine("cpu"),
        "clock": "processor time" if threads == 1 else "wall",
        "images": IMAGES,
        "classes": CLASSES,
        "dtype": "float32",
        "ways": WAYS,
        "sizes": [],
    }
    for size in SIZES:
        rounds = max(5, min(10 * asked.rounds, asked.rounds * 512**2 // size**2))
        record["sizes"].append(measure(size, rounds))
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    print(f"wrote {TARGET.name}; the page on speed reads it")


if __name__ == "__main__":
    main()
