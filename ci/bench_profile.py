"""Where the time of a training step goes, and what could shorten it: results/bench/profile.json.

    OMP_NUM_THREADS=1 python ci/bench_profile.py   # a minute: the parts of a step
    python ci/bench_profile.py --compile           # some minutes more: torch.compile
    python ci/bench_profile.py --processes         # only where both cores are free

Each option adds its part to the file and leaves the others as they were. The step is that of
`book/experiment.ipynb` with the profile `laptop`, MS-MTL with all three consistency terms, timed
in a real training. One thread is timed by the processor time of the process, more than one by the
clock on the wall.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext

import torch
from bench import LAPTOP, TERMS, laptop, loaders, network
from fastai.callback.core import Callback
from timing import spread
from torch.profiler import ProfilerActivity, profile

import lib
from lib.atomic import replacing
from lib.callbacks import Consistency
from lib.learner import fit, seed_everything

TARGET = lib.results.RESULTS / "bench" / "profile.json"
CASES, WARM = 480, 3  # images of the training, and steps that are left out at its start
FREE = nullcontext()
OPERATIONS = 8  # of torch, those that take longest
STAGES = {
    f"stage {stage}, {part}": f"stage{stage}.{part}"
    for stage in (1, 2)
    for part in ("encoder", "decoder")
}
DATA, REST = "data", "heads, layout"
LOSSES, CONSISTENCY, BACKWARD, OPTIMISER = "task losses", "consistency", "backward", "optimiser"


def seconds() -> float:
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


class Stopwatch(Callback):
    """Seconds of each part of each training step: `steps`, a dict a step."""

    order = 100  # after every other callback of an event

    def __init__(self):
        self.steps, self.last = [], seconds()

    def lap(self, part: str) -> None:
        if self.training:
            now = seconds()
            step = self.steps[-1]
            step[part] = step.get(part, 0.0) + now - self.last
            self.last = now

    def watch(self, model: torch.nn.Module) -> None:
        for name, module in STAGES.items():
            module = model.get_submodule(module)
            module.register_forward_pre_hook(lambda *_: self.lap(REST))
            module.register_forward_hook(lambda *_, name=name: self.lap(name))

    def before_train(self) -> None:
        self.last = seconds()

    def before_batch(self) -> None:
        if self.training:
            self.steps.append({})
        self.lap(DATA)

    def after_pred(self) -> None:
        self.lap(REST)

    def after_loss(self) -> None:
        self.lap(CONSISTENCY)

    def after_backward(self) -> None:
        self.lap(BACKWARD)

    def after_batch(self) -> None:
        self.lap(OPTIMISER)


class TaskLossesDone(Callback):
    """The moment between the task losses and the consistency terms."""

    order = Consistency.order - 1

    def after_loss(self) -> None:
        self.learn.stopwatch.lap(LOSSES)


def train(
    compiled: bool = False, cases: int = CASES, inside: AbstractContextManager = FREE
) -> list[dict[str, float]]:
    """The parts of each step of one epoch, the first ones too; the epoch runs `inside` this."""
    seed_everything(0)
    learn = laptop(loaders(LAPTOP.size, cases), network(), terms=TERMS)
    watch = Stopwatch()
    learn.add_cbs([watch, TaskLossesDone()])
    if compiled:
        learn.model.compile()
    else:
        watch.watch(learn.model)
    with inside:
        fit(learn, 1)
    return watch.steps


def parts() -> dict:
    """Seconds of each part over the steps of one epoch; shares of torch's operations in another."""
    steps = train()[WARM:]
    names = [DATA, *STAGES, REST, LOSSES, CONSISTENCY, BACKWARD, OPTIMISER]
    whole = [sum(step.values()) for step in steps]
    seen = profile(activities=[ProfilerActivity.CPU])
    train(cases=CASES // 4, inside=seen)
    calls = sorted(seen.key_averages(), key=lambda e: -e.self_cpu_time_total)
    called = sum(call.self_cpu_time_total for call in calls)
    return {
        "machine": lib.results.machine("cpu"),
        "clock": "processor time" if torch.get_num_threads() == 1 else "wall",
        "steps": len(steps),
        "step_seconds": spread(whole),
        "parts": {
            name: {
                **spread([step[name] for step in steps]),
                "share": sum(step[name] for step in steps) / sum(whole),
            }
            for name in names
        },
        "operations": {c.key: c.self_cpu_time_total / called for c in calls[:OPERATIONS]},
    }


def compiled() -> dict:
    """torch.compile against none: the same epoch, of which the first step also compiles."""
    plain = [sum(step.values()) for step in train()[WARM:]]
    begun = time.perf_counter()
    steps = [sum(step.values()) for step in train(compiled=True)]
    return {
        "machine": lib.results.machine("cpu"),
        "clock": "processor time" if torch.get_num_threads() == 1 else "wall",
        "whole_seconds": time.perf_counter() - begun,
        "step_seconds": {"plain": spread(plain), "compiled": spread(steps[WARM:])},
        "plain_over_compiled": min(plain) / min(steps[WARM:]),
    }


def processes() -> dict:
    """Steps a second: two trainings of one thread side by side, against one of two threads."""
    load = os.getloadavg()[0]
    pair, single = [], []
    for _ in range(3):  # taking turns
        pair.append(sum(steps_a_second(threads=1, count=2)))
        single.append(sum(steps_a_second(threads=2, count=1)))
    return {
        "load_before": load,  # of the minute before: how free the machine was
        "cores": os.cpu_count(),
        "two_of_one_thread": spread(pair),
        "one_of_two_threads": spread(single),
        "two_over_one": spread([a / b for a, b in zip(pair, single, strict=True)]),
    }


def steps_a_second(threads: int, count: int) -> list[float]:
    """By the clock on the wall, of `count` trainings that run at the same time."""
    command = [sys.executable, __file__, "--worker"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    answers = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"a training of {threads} threads failed; its message is above")
    return [float(answer.splitlines()[-1]) for answer in answers]


def worker() -> None:
    global seconds
    seconds = time.perf_counter
    steps = [sum(step.values()) for step in train()[WARM:]]
    print(len(steps) / sum(steps))


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--compile", action="store_true", help="measure torch.compile")
    ask.add_argument("--processes", action="store_true", help="two processes or two threads")
    ask.add_argument("--worker", action="store_true", help="one of those trainings")
    asked = ask.parse_args()
    if asked.worker:
        worker()
        return
    record = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    name, measured = (
        ("compile", compiled) if asked.compile
        else ("processes", processes) if asked.processes
        else ("step", parts)
    )  # fmt: skip
    stamp = {"commit": lib.results.commit(), "versions": lib.results.versions()}
    setting = {"images": LAPTOP.batch_size, "size": LAPTOP.size}
    record[name] = {**stamp, **setting, **measured()}
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    print(json.dumps(record[name], indent=1))


if __name__ == "__main__":
    main()
