"""What would a user pick instead? One contestant, one budget: results/bench/instead/NAME-5.json.

    python ci/bench_instead.py NAME MINUTES --root FOLDER     # FOLDER: BUS-BRA, see data/busbra.md
    python ci/bench_instead.py NAME MINUTES --phantom 80      # to see that it runs; writes nothing

NAME is one of `CONTESTANTS`. Each trains for so many minutes of the processor, on one thread, on
the training images of BUS-BRA's official fold 1. Its learning rate falls to its end by the same
clock, so that each budget is a training of its own, and no step begins that would not end in time.
The clock stands while a part of the validation images is looked at, for the curve; the test images
are looked at once, at the end. One scorer judges all, in each image's own size. What stands is not
repeated.

MONAI comes with the book's own tools (`pip install -e .[dev]`). nnU-Net has an environment of its
own, which lies over the book's, so that both compute with the same torch. Its plan for BUS-BRA
takes about 10 GB of memory:

    .venv/bin/python -m venv .venv-nnunet
    (cd .venv/lib/python3.*/site-packages && pwd) > nnunet.pth
    mv nnunet.pth .venv-nnunet/lib/python3.*/site-packages/
    .venv-nnunet/bin/pip install nnunetv2==2.8.1
    .venv-nnunet/bin/python ci/bench_instead.py nnunet 5 --root FOLDER
"""

import argparse
import importlib
import inspect
import io
import json
import os
import platform
import sys
import tempfile
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd
import torch
from PIL import Image

import lib
from ci.instead.clock import Answer, Clock, processor_seconds
from ci.instead.task import Task, lay_out
from lib.atomic import replacing
from lib.inference import to_own_size

FOLDER = lib.results.RESULTS / "bench" / "instead"
FOLD, SEED = 1, 0
EVERY = 4  # of the validation images, one in so many is looked at during the training
WHITE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
         tokenize.ENDMARKER)  # fmt: skip
PACKAGES = (*lib.results.PACKAGES, "monai", "nnunetv2")


@dataclass(frozen=True)
class Contestant:
    """What it is called on the page; the module of ci/instead and the function in it that trains;
    and in what precision it computes."""

    title: str
    module: str
    function: str
    precision: str = "float32"

    def load(self) -> tuple[ModuleType, Callable[[Task, Clock], Answer]]:
        module = importlib.import_module(f"ci.instead.{self.module}")
        return module, getattr(module, self.function)


CONTESTANTS = {
    "unet-seg2": Contestant("This book's U-Net(Seg2)", "book", "unet_seg2", "auto"),
    "ms-mtl": Contestant("This book's MS-MTL", "book", "ms_mtl", "auto"),
    "fastai-lite0": Contestant("fastai + smp, Lite0", "fastai_smp", "lite0"),
    "fastai-resnet34": Contestant("fastai + smp, ResNet-34", "fastai_smp", "resnet34"),
    "monai": Contestant("MONAI's U-Net", "monai_unet", "train"),
    "nnunet": Contestant("nnU-Net v2, 2-D", "nnunet", "train"),
}


def run(
    contestant: Contestant, minutes: float, task: Task, now: Callable[[], float] = processor_seconds
) -> dict[str, Any]:
    """Train and judge one contestant: its record, but for what names it."""
    torch.set_num_threads(1)
    module, train = contestant.load()
    seen = task.files("valid")[::EVERY]
    lib.learner.seed_everything(SEED)
    clock = Clock(minutes, lambda answer: dice(score(answer, seen, task)), now)
    answer = train(task, clock)
    rows = score(answer, task.files("test"), task)
    return {
        "seconds": {"training": clock.spent, "preparation": clock.preparation},
        "steps": clock.steps,
        "images": clock.images,
        "dice_nodule": dice(rows),
        "curve": [[round(at, 4), round(value, 5)] for at, value in clock.curve],
        "looked_at": {"valid": len(seen), "test": len(rows)},
        "precision": lib.learner.choose_precision(contestant.precision, "cpu"),
        "lines": lines_of_code(inspect.getsource(module)),
        "notes": task.notes,
        "per_image": lib.results.columns(rows),
    }


def score(answer: Answer, files: list[Path], task: Task) -> pd.DataFrame:
    """The counts of `lib.metrics.count_batch` for each picture, in its own size."""
    known = task.cases.set_index("case")
    rows = []
    for file, given in zip(files, answer(files), strict=True):
        mask = np.array(Image.open(task.mask(file)))
        given = np.array(given, np.uint8)
        if given.shape != mask.shape:  # of the square that the picture was fitted into
            given = to_own_size(given, mask.shape)
        nodule = torch.from_numpy(given > 0)
        row = lib.metrics.count_batch(
            mask=torch.from_numpy(mask).long()[None],
            label=torch.tensor([lib.cases.class_index(known.loc[file.stem, "label"])]),
            seg2=torch.stack([~nodule, nodule]).float()[None],
        )
        rows.append(row.assign(case=file.stem, group=str(known.loc[file.stem, "group"])))
    return pd.concat(rows, ignore_index=True)


def dice(rows: pd.DataFrame) -> float:
    """The nodule's Dice, mean of the images."""
    return lib.metrics.summarise(rows)["dice_nodule"]


def lines_of_code(source: str) -> int:
    """Lines of a program, without empty ones, comments and docstrings."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in WHITE and not (
            token.type == tokenize.STRING and token.line.lstrip().startswith('"""')
        ):
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines)


def processor() -> dict[str, Any]:
    """What computed, by its name."""
    told = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (told.read_text().splitlines() if told.exists() else [])
        if line.startswith("model name")
    ]
    return lib.results.machine("cpu") | {
        "name": names[0] if names else platform.processor() or platform.machine(),
        "bfloat16_in_hardware": lib.learner.choose_precision("auto", "cpu") == "bfloat16",
    }


def versions() -> dict[str, str]:
    """Of Python and the packages, as far as they are there."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def target(name: str, minutes: float) -> Path:
    """Where a run's record lies."""
    return FOLDER / f"{name}-{minutes:g}.json"


def save(record: dict[str, Any], file: Path) -> None:
    """Write it whole or not at all."""
    with replacing(file) as draft:
        text = ",\n".join(f'"{k}": {json.dumps(v, allow_nan=False)}' for k, v in record.items())
        draft.write_text("{\n" + text + "\n}\n")


def main(arguments: list[str] | None = None) -> int:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("name", choices=CONTESTANTS)
    ask.add_argument("minutes", type=float, help="of the processor, for the training")
    ask.add_argument("--root", help="folder of BUS-BRA; without, where data/fetch.py puts it")
    ask.add_argument("--phantom", type=int, help="train on so many phantoms, and write nothing")
    asked = ask.parse_args(arguments)
    file = target(asked.name, asked.minutes)
    if asked.minutes <= 0:
        ask.error(f"minutes is {asked.minutes:g}; a training needs some")
    if asked.phantom:
        with tempfile.TemporaryDirectory() as folder:
            cases = lib.sources.phantom.read(f"{folder}/phantom", cases=asked.phantom)
            task = lay_out(lib.prepare_cases(cases)[0], Path(folder))
            record = run(CONTESTANTS[asked.name], asked.minutes, task)
        print(json.dumps({k: v for k, v in record.items() if k != "per_image"}, indent=1))
        return 0
    if file.exists():
        print(f"{file.name} stands")
        return 0
    commit = lib.results.commit()
    cases, _ = lib.prepare_cases(lib.sources.read("busbra", asked.root), fold=FOLD)
    contestant = CONTESTANTS[asked.name]
    record = {
        "contestant": asked.name,
        "title": contestant.title,
        "minutes": asked.minutes,
        "seed": SEED,
        "data": {
            "source": "busbra",
            "fold": FOLD,
            "fingerprint": lib.cases.fingerprint(cases),
            "split": lib.cases.split_digest(cases),
            "cases": {part: int((cases["split"] == part).sum()) for part in lib.cases.SPLITS},
        },
        **run(contestant, asked.minutes, lay_out(cases)),
        "versions": versions(),
        "machine": processor(),
        "commit": commit,
    }
    save(record, file)
    print(f"{file.name}: nodule Dice {record['dice_nodule']:.3f} on the test images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
