"""How far the book's one rule holds where nothing is to be found: results/bench/coverage.json.

    OMP_NUM_THREADS=1 python ci/null.py        # about ten minutes of one core

Systems that differ in nothing are trained and tested again and again: patients with one to three
images, some of them hard for every network; trainings of which each has its own luck with single
patients and, for outlines, with all of them. The sizes are those that the committed runs on BUS-BRA
show. In the last design ten further systems, trained once, contradict themselves less often, and
lend the rule their spread. Then `book.kit.stats` is asked. Counted are how often an interval holds
the truth, and how often a family of comparisons claims at least one difference.
"""

import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import lib
from book.kit.stats import FURTHER, LEVEL, PRIMARY, Evidence
from lib.atomic import replacing

TARGET = lib.results.RESULTS / "bench" / "coverage.json"
SEED, DRAWS = 17, 400
PATIENTS, MALIGNANT = 212, 0.32
# The spread, in points, that another training gives to every image; about that of BUS-BRA
OUTLINE, CLASS = 1.4, 0.05
# Folds, seeds, systems, others of one seed: as many as the runs have, or are planned to have
LIKE_THE_GRID = "5 folds x 2 seeds, 10 others x 1"
DESIGNS = {
    "1 fold x 3 seeds": (1, 3, 6, 0),
    "5 folds x 1 seed": (5, 1, 4, 0),
    "5 folds x 2 seeds": (5, 2, 4, 0),
    LIKE_THE_GRID: (5, 2, 4, 10),
}
REPETITIONS = {
    "1 fold x 3 seeds": 500, "5 folds x 1 seed": 500, "5 folds x 2 seeds": 250, LIKE_THE_GRID: 250,
}  # fmt: skip
STEADY = 0.5  # of the others' chance between T1 and T3: about half as many contradictions
Rows = dict[str, list[Any]]


def test_set(rng: np.random.Generator, fold: int) -> dict[str, np.ndarray]:
    """The images of one fold: patient, class, and how hard they are for every network."""
    counts = rng.choice([1, 2, 3], PATIENTS, p=[0.4, 0.45, 0.15])
    patient = np.repeat(np.arange(PATIENTS), counts)
    malignant = rng.random(PATIENTS) < MALIGNANT
    return {
        "group": np.array([f"patient {fold} {k}" for k in patient]),
        "patient": patient,
        "label": malignant[patient].astype(int),
        "hard": rng.normal(0, 1, PATIENTS)[patient] + rng.normal(0, 0.4, len(patient)),
        "outline": rng.normal(0, 0.14, PATIENTS)[patient] + rng.normal(0, 0.06, len(patient)),
        "size": rng.integers(200, 900, len(patient)),
    }


def training(rng: np.random.Generator, images: dict[str, np.ndarray], apart_by: float = 1) -> Rows:
    """What one training answers on these images, as `lib.metrics.count_batch` counts it.

    apart_by: how far T1 and T3 differ by chance.
    """
    patient, label, size = images["patient"], images["label"], images["size"]
    count = len(patient)

    def luck(of_patient: float, of_image: float) -> np.ndarray:
        return rng.normal(0, of_patient, PATIENTS)[patient] + rng.normal(0, of_image, count)

    sign, quality = 2 * label - 1, 1.3 + rng.normal(0, CLASS)
    common = images["hard"] + luck(0.5, 0.3)
    answers = [
        sign * quality - sign * (common + apart_by * luck(0.45, 0.35)) - 0.25 for _ in range(2)
    ]
    painted = (answers[1] > 0).astype(int)
    dice = 0.77 + rng.normal(0, OUTLINE / 100) + images["outline"] + luck(0.06, 0.05)
    overlap = (np.clip(dice, 0, 1) * size).astype(int)
    apart = np.clip(rng.normal(0.1, 0.01) + luck(0.08, 0.08), 0, 1)
    rows = {
        "case": [f"{group} image {k}" for k, group in enumerate(images["group"])],
        "group": images["group"],
        "label": label,
        "p_malignant": 1 / (1 + np.exp(-answers[0])),
        "seg_as_cls": painted,
        "seg2seg3_inter": ((1 - apart) * 1000).astype(int),
        "seg2seg3_union": np.full(count, 1000),
        "nodule_inter": overlap,
        "nodule_pred": size,
        "nodule_true": size,
    }
    for k, name in enumerate(lib.cases.CLASSES):
        here, there = label == k, painted == k
        rows |= {f"{name}_true": size * here, f"{name}_pred": size * there}
        rows[f"{name}_inter"] = overlap * (here & there)
    return {name: np.asarray(values).tolist() for name, values in rows.items()}


def trials(
    design: tuple[int, int, int, int], repetitions: int, draws: int = DRAWS
) -> Iterator[Evidence]:
    """Repetitions of a study in which all systems are alike: new patients, new trainings."""
    folds, seeds, systems, others = design
    names = {"source": "made up", "profile": "made up", "data": {}}
    for at in range(repetitions):
        rng = np.random.default_rng([SEED, folds, seeds, at])
        sets = [test_set(rng, fold) for fold in range(folds)]
        runs = [
            names
            | {
                "experiment": f"system {system}",
                "seed": seed,
                "parameters": {"fold": str(fold + 1)},
            }
            | {"per_image": training(rng, images, 1 if system < systems else STEADY)}
            for system in range(systems + others)
            for seed in range(seeds if system < systems else 1)
            for fold, images in enumerate(sets)
        ]
        yield Evidence(runs, draws)


def counted(
    design: tuple[int, int, int, int], repetitions: int, draws: int = DRAWS
) -> dict[str, Any]:
    """Coverage of the intervals of each measure, in per cent, and false claims of a family."""
    holds, claims, pairs = Counter(), Counter(), 0
    values: dict[str, list[tuple[float, float, float]]] = {}
    for found in trials(design, repetitions, draws):
        systems = list(found.runs)[: design[2]]
        for above, below in zip(systems[::2], systems[1::2], strict=True):
            family = found.differences(above, below)
            for members in (PRIMARY, FURTHER):
                claims[members] += any(family[m].clear for m in members if m in family)
            pairs += 1
            for measure in family:
                _, low, high = found.difference(above, below, measure).interval
                holds[measure] += low <= 0 <= high
                values.setdefault(measure, []).append(found.level(above, measure))
    levels = {}
    for measure, intervals in values.items():
        truth = np.mean([interval[0] for interval in intervals])
        levels[measure] = np.mean([low <= truth <= high for _, low, high in intervals])
    return {
        "systems": design[2] + design[3],
        "repetitions": repetitions,
        "pairs": pairs,
        "differences": {m: round(100 * holds[m] / pairs, 1) for m in values},
        "levels": {m: round(100 * float(share), 1) for m, share in levels.items()},
        "false claims": {
            "primary": round(100 * claims[PRIMARY] / pairs, 1),
            "further": round(100 * claims[FURTHER] / pairs, 1),
        },
    }


def main(say: Callable[[str], None] = print) -> None:
    began = time.process_time()
    designs = {}
    for name, design in DESIGNS.items():
        designs[name] = counted(design, REPETITIONS[name])
        say(f"{name}: {designs[name]}")
    record = {
        "stated": LEVEL, "seed": SEED, "draws": DRAWS,
        "patients in a fold": PATIENTS, "designs": designs,
        "processor seconds": round(time.process_time() - began),
        "python": platform.python_version(),
    }  # fmt: skip
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
