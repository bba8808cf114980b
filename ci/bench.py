"""Time a training step against the plain way, in one run on one machine: results/bench/laptop.json.

    python ci/bench.py            # about ten minutes on two quiet cores
    python ci/bench.py --no-dice  # without the trainings that compare the Dice

Every figure that the book's page on speed shows is a ratio within one such run. The two ways take
turns, so that whatever else the machine does falls on both.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from functools import partial

import torch
from fastai.optimizer import Adam
from timing import spread

import lib
from lib.atomic import replacing
from lib.callbacks import InterTask, IntraTask, PlainTensors, ThreeTask
from lib.learner import fit, predict, seed_everything, task_learner

TARGET = lib.results.RESULTS / "bench" / "laptop.json"
LAPTOP = lib.profiles.find("laptop")
TERMS = (IntraTask, InterTask, ThreeTask)
DICE_CASES, DICE_EPOCHS, DICE_SEEDS = 400, 4, 3


def plain(dls, network):
    """The same network the plain way: float32, default layout, fastai's own Adam."""
    learn = task_learner(dls, network, lr=LAPTOP.lr, precision="float32", log=quiet)
    learn.opt_func = partial(Adam, wd=0.0)
    return learn


def laptop(dls, network, terms=()):
    """As `book/experiment.ipynb` trains with the profile `laptop`."""
    return task_learner(
        dls,
        network,
        consistency=[term() for term in terms],
        lr=LAPTOP.lr,
        precision=LAPTOP.precision,
        channels_last=LAPTOP.channels_last,
        log=quiet,
    )


WAYS = {"plain": plain, "laptop": laptop, "laptop, three terms": partial(laptop, terms=TERMS)}


def quiet(line: str) -> None:
    """No line an epoch: this script has its own."""


def loaders(size: int, cases: int):
    table, _ = lib.prepare_cases(lib.sources.read("phantom", cases=cases))
    return lib.dataloaders(table, size=size, batch_size=LAPTOP.batch_size)


def network():
    return lib.experiments.find("ms-mtl").network(**LAPTOP.network_options())


def time_steps(rounds: int) -> dict[str, list[float]]:
    """Seconds of a whole training step, by way, a value a round."""
    dls = loaders(LAPTOP.size, 100)
    learners = {}
    for name, way in WAYS.items():
        seed_everything(0)
        learn = way(dls, network())
        learn.create_opt()
        learn._grab_cbs(PlainTensors)[0].before_fit()
        learn.model.train()
        learn.training, learn.dl, learn.epoch = True, dls.train, 0
        learn.n_iter = learn.n_epoch = learn.pct_train = learn.train_iter = 1
        learn.remove_cbs([learn.recorder, learn.epoch_log])
        learners[name] = learn
    batch = dls.train.one_batch()
    seconds = {name: [] for name in learners}
    for turn in range(rounds + 2):
        for name, learn in learners.items():
            begun = time.perf_counter()
            learn.one_batch(0, batch)
            if turn >= 2:  # the first steps choose their kernels
                seconds[name].append(time.perf_counter() - begun)
        print(f"\rstep {turn + 1} of {rounds + 2}", end="", flush=True)
    print()
    return seconds


def time_terms(rounds: int) -> list[float]:
    """Seconds of all three consistency terms alone, forward and backward, on one batch."""
    shape = (LAPTOP.batch_size, LAPTOP.size, LAPTOP.size)
    seconds = []
    for turn in range(rounds + 2):
        torch.manual_seed(turn)
        logits = lib.networks.TaskLogits(
            cls=torch.randn(shape[0], 2, requires_grad=True),
            seg2=torch.randn(shape[0], 2, *shape[1:], requires_grad=True),
            seg3=torch.randn(shape[0], 3, *shape[1:], requires_grad=True),
        )
        begun = time.perf_counter()
        chances = dict(logits.probabilities.items())
        sum(term.function(*(chances[name] for name in term.needs)) for term in TERMS).backward()
        if turn >= 2:
            seconds.append(time.perf_counter() - begun)
    return seconds


def compare_dice() -> dict[str, list[float]]:
    """Dice of the validation images after the same short training, by way, a value a seed."""
    dice = {"plain": [], "laptop": []}
    for seed in range(DICE_SEEDS):
        for name in dice:
            seed_everything(seed)
            dls = loaders(LAPTOP.size, DICE_CASES)
            seed_everything(seed)
            learn = WAYS[name](dls, network())
            fit(learn, DICE_EPOCHS)
            measures = lib.metrics.summarise(predict(learn, subset=1)[0])
            dice[name].append(measures["dice_class_mean"])
            print(f"seed {seed}, {name}: validation Dice {dice[name][-1]:.3f}", flush=True)
    return dice


def paper_step() -> dict[str, float]:
    """One step of the profile `paper` at batch 2, in a process of its own: seconds, peak MiB."""
    done = subprocess.run(
        [sys.executable, __file__, "--paper-step"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _paper_step() -> dict[str, float]:
    budget = lib.profiles.find("paper")
    options = {**budget.network_options(), "weights": None}
    model = lib.experiments.find("ms-mtl").network(**options)
    image = torch.randn(2, 1, budget.size, budget.size)
    mask = torch.randint(0, 3, (2, budget.size, budget.size))
    optimiser = torch.optim.Adam(model.parameters(), budget.lr, fused=True)
    begun = time.perf_counter()
    logits = model(image)
    chances = dict(logits.probabilities.items())
    loss = sum(lib.losses.task_losses(logits, mask, torch.tensor([0, 1])).values())
    for term in TERMS:
        loss = loss + 0.3 * term.function(*(chances[name] for name in term.needs))
    loss.backward()
    optimiser.step()
    return {
        "seconds": time.perf_counter() - begun,
        "peak_mb": lib.cost.peak_memory_mb("cpu"),
        "loss": float(loss.detach()),
        "parameters": lib.cost.parameter_count(model),
        "forward_flops": lib.cost.forward_flops(model, budget.size),
    }


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--rounds", type=int, default=12)
    ask.add_argument("--no-dice", action="store_true", help="leave the trainings out")
    ask.add_argument("--paper-step", action="store_true", help="only one step of profile paper")
    asked = ask.parse_args()
    if asked.paper_step:
        print(json.dumps(_paper_step()))
        return
    commit = lib.results.commit()
    print(f"{LAPTOP.batch_size} images of {LAPTOP.size} px, {torch.get_num_threads()} threads")
    steps, terms = time_steps(asked.rounds), time_terms(asked.rounds)
    print("one step of the profile paper at batch 2")
    paper = paper_step()
    ratio = [p / q for p, q in zip(steps["plain"], steps["laptop"], strict=True)]
    record = {
        "commit": commit,
        "versions": lib.results.versions(),
        "machine": lib.results.machine("cpu"),
        "precision": lib.learner.choose_precision(LAPTOP.precision, "cpu"),
        "rounds": asked.rounds,
        "step_seconds": {name: spread(values) for name, values in steps.items()},
        "plain_over_laptop": spread(ratio),
        "terms_seconds": spread(terms),
        "terms_share": statistics.median(terms) / statistics.median(steps["laptop"]),
        "paper_step": paper,
        "dice": None,
        "dice_setting": {"cases": DICE_CASES, "epochs": DICE_EPOCHS, "seeds": DICE_SEEDS},
    }
    write(record)  # already now: the trainings take longest, and may be stopped
    if not asked.no_dice:
        write(record | {"dice": compare_dice()})


def write(record: dict) -> None:
    """The file, whole or not at all."""
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    print(f"a step: plain over laptop {record['plain_over_laptop']['median']:.2f}")
    print(f"three terms: {record['terms_share']:.1%} of a step")
    print("next: make book (the page on speed reads this file)")


if __name__ == "__main__":
    main()
