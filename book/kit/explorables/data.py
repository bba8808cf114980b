"""What explorables read: a few numbers of committed runs, and the table of the phantom, as JSON."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np

from ..figures.places import Place
from ..figures.runs import clock
from ..stats import Evidence
from ..stats.pairing import fold_of

Records = Sequence[Mapping[str, Any]]
NEEDED = ("label", "p_malignant", "seg_as_cls")

# Of the run explorer: measures as shares, on the validation images at each epoch and on the test
# images at the end.
MEASURES = {
    "AUC": "AUC of the class",
    "ACC": "accuracy of the class",
    "F1": "F1 of the class",
    "dice_class_mean": "Dice, images of the class",
    "dice_paper_mean": "Dice, all images",
    "dice_nodule": "Dice of the nodule (T2)",
    "inconsis_cls": "contradictory images",
}


def decisions(records: Records, titles: Mapping[str, str] | None = None) -> dict[str, Any]:
    """For "threshold": the classes that T1 and T3 give to each test image with a label.

    `records` as `lib.results.load_all` reads them; runs without a class or without a map are left
    out. `titles`: of the systems, by name. Scores keep six decimals.

    >>> images = {"label": [1, -1], "p_malignant": [0.25, 0.5], "seg_as_cls": [1, 0]}
    >>> run = {"source": "phantom", "profile": "laptop", "experiment": "mtl", "seed": 0}
    >>> decisions([run | {"per_image": images}])["runs"][0]["p"]
    [0.25]
    """
    runs = []
    for record in records:
        images = record["per_image"]
        if not all(name in images for name in NEEDED):
            continue
        rows = zip(*(images[name] for name in NEEDED), strict=True)
        known = [row for row in rows if row[0] in (0, 1) and None not in row]
        if not known:
            continue
        label, p, seg = zip(*known, strict=True)
        place = [str(record[key]) for key in ("source", "profile")]
        name = record["experiment"]
        title = (titles or {}).get(name, name)
        runs.append(
            {
                "key": _key(record),
                "title": f"{title}, {' '.join(place)}, {_training(record)}",
                "label": list(label),
                "p": [round(value, 6) for value in p],
                "seg": list(seg),
            }
        )
    return {"runs": runs}


def courses(records: Records, titles: Mapping[str, str] | None = None) -> dict[str, Any]:
    """For "runs": each run's loss terms and measures over the epochs, and its measures at the end.

    `records` and `titles` as in `decisions`. A curve holds a value or None for each epoch of the
    run's history: of the terms in training and on the validation images, of the measures on the
    validation images only. Values keep four significant digits.

    >>> epoch = {"epoch": 1, "train": {"total": 2.0}, "valid": {"total": 3.00004}, "metrics": {}}
    >>> run = {"source": "phantom", "profile": "laptop", "experiment": "mtl", "seed": 0}
    >>> run |= {"history": [epoch], "metrics": {"AUC": 0.9}, "seconds": {"total": 90}}
    >>> [found] = courses([run])["runs"]
    >>> found["curves"], found["test"], found["minutes"]
    ({'total': {'train': [2.0], 'valid': [3.0]}}, {'AUC': 0.9}, 1.5)
    """
    from ..figures import TERMS, place_name

    runs, seen = [], set()
    for record in records:
        history = record["history"]
        curves = {}
        for name in {term for epoch in history for term in (*epoch["train"], *epoch["valid"])}:
            curves[name] = {
                part: [_short(epoch[part].get(name)) for epoch in history]
                for part in ("train", "valid")
            }
        for name in MEASURES:
            values = [_short(epoch.get("metrics", {}).get(name)) for epoch in history]
            if any(value is not None for value in values):
                curves[name] = {"valid": values}
        seen |= curves.keys()
        name, seed = record["experiment"], record["seed"]
        place = (record["source"], record["profile"])
        found = {name: _short(record["metrics"].get(name)) for name in MEASURES}
        runs.append(
            {
                "key": _key(record),
                "title": f"{place_name(place, short=True)}: {(titles or {}).get(name, name)}, "
                f"{_training(record)}",
                "place": ".".join(place),
                "system": name,
                "seed": seed,
                "minutes": round(clock(record) / 60, 1),
                "epochs": [epoch["epoch"] for epoch in history],
                "curves": curves,
                "test": {name: value for name, value in found.items() if value is not None},
            }
        )
    terms = [*(t for t in TERMS[::-1] if t in seen), *sorted(seen - {*TERMS, *MEASURES})]
    return {
        "runs": runs,
        "curves": {name: name for name in terms} | {n: w for n, w in MEASURES.items() if n in seen},
        "measures": MEASURES,
        "higher": [name for name in MEASURES if name != "inconsis_cls"],
    }


def two_of_each(records: Records) -> list[Mapping[str, Any]]:
    """Of each system on a source, in a profile, two trainings: of one fold, if it has two seeds.

    >>> run = {"source": "busbra", "profile": "evidence", "experiment": "mtl"}
    >>> every = [run | {"seed": seed, "fold": fold} for fold in (1, 2) for seed in (0, 1)]
    >>> [(one["seed"], one["fold"]) for one in two_of_each(every)]
    [(0, 1), (1, 1)]
    """
    by_system: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        name = tuple(record[key] for key in ("source", "profile", "experiment"))
        by_system.setdefault(name, []).append(record)
    chosen = []
    for runs in by_system.values():
        first, *others = runs
        same = [run for run in others if fold_of(run) == fold_of(first)]
        chosen += [first, *(same or others)[:1]]
    return chosen


def beside(records: Records, names: tuple[str, str]) -> dict[str, str]:
    """For "runs": where to begin, with the two systems `names` as "a" and "b".

    The first runs of both on one source, with one profile, seed and fold; no key if there are none.

    >>> run = {"source": "phantom", "profile": "laptop", "experiment": "mtl", "seed": 0}
    >>> beside([run | {"seed": 1}, run | {"experiment": "clsnet"}, run], ("mtl", "clsnet"))
    {'a': 'phantom.laptop.mtl.0', 'b': 'phantom.laptop.clsnet.0'}
    """
    found: dict[tuple[Any, ...], dict[str, str]] = {}
    for record in records:
        setting = (*(record[key] for key in ("source", "profile", "seed")), fold_of(record))
        found.setdefault(setting, {})[record["experiment"]] = _key(record)
    pairs = ([keys.get(name) for name in names] for keys in found.values())
    return next((dict(zip("ab", pair, strict=True)) for pair in pairs if all(pair)), {})


def _key(record: Mapping[str, Any]) -> str:
    """A run's name in a link: without a plus, which stands for a space there."""
    name = record["experiment"].replace("+", "-")
    fold = fold_of(record)
    key = f"{record['source']}.{record['profile']}.{name}.{record['seed']}"
    return f"{key}.{fold}" if fold else key


def _training(record: Mapping[str, Any]) -> str:
    fold = fold_of(record)
    return f"fold {fold}, seed {record['seed']}" if fold else f"seed {record['seed']}"


def _short(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.4g}")


def made_of(record: Mapping[str, Any], letter: str) -> dict[str, float]:
    """For "gain": a run as system `letter`, "a" or "b": shares of its masks by class, and contours.

    A mask's class is the one with more pixels, benign where equal. Raises ValueError for a run
    without masks of a class, and where none of them is right.

    >>> benign = {"benign_inter": [8, 0], "benign_pred": [10, 0], "benign_true": [10, 0]}
    >>> other = {"malignant_inter": [0, 5], "malignant_pred": [0, 9], "malignant_true": [0, 9]}
    >>> made_of({"per_image": benign | other}, "a")
    {'ab': 1.0, 'am': 1.0, 'ae': 0.0, 'ad': 0.6778}
    """
    from lib.results import rows

    from ..figures import split_dice

    table = rows(record)
    dice = split_dice(table)
    if not np.isfinite(dice.dice):
        raise ValueError(f"{record.get('experiment', 'the run')}: no mask has the right class")
    true, pred = (
        table[[f"{name}_{part}" for name in ("benign", "malignant")]].to_numpy(float)
        for part in ("true", "pred")
    )
    found = pred.sum(1) > 0
    right = pred.argmax(1) == true.argmax(1)
    of_class = [(true.argmax(1) == k) & found & (true.sum(1) > 0) for k in (0, 1)]
    benign, malignant = (float(right[where].mean()) if where.any() else 0.0 for where in of_class)
    values = (benign, malignant, float((~found).mean()), float(dice.dice))
    return {f"{letter}{key}": round(v, 4) for key, v in zip("bmed", values, strict=True)}


def gains(
    without: str, improved: str, found: Mapping[Place, Evidence] = MappingProxyType({})
) -> dict[str, Any]:
    """For "gain": as presets, two systems as the paper prints them, and as the runs of a source.

    `without` and `improved`: the systems A and B, by name; `found`: runs by source and profile.

    >>> first = gains("ms-mtl", "ms-mtl+intra+inter")["presets"][0]
    >>> first["title"], first["state"]["ab"], first["state"]["bb"]
    ("The paper's MS-MTL without and with", 0.8785, 0.9075)
    """
    from lib.experiments import EXPERIMENTS

    from .. import paper
    from ..figures import printed_dice, short_name
    from ..figures.style import number

    pair = (without, improved)
    state = {"share": round(paper.MALIGNANT / paper.TEST_IMAGES, 2)}
    for letter, name in zip("ab", pair, strict=True):
        system = printed_dice(dict(EXPERIMENTS[name].rows)[1])
        right = round(float(system.agreement), 4)
        of_system = (right, right, 0, round(float(system.dice), 4))
        state |= {f"{letter}{key}": v for key, v in zip("bmed", of_system, strict=True)}
    words = (
        "From the accuracy and the mean Dice that the paper prints, taking T1's accuracy for that "
        "of the masks, the same for both classes, and no empty mask."
    )
    title = f"The paper's {EXPERIMENTS[without].title} without and with"
    presets = [{"title": title, "state": state, "words": words}]
    for place, one in found.items():
        shared = one.shared(*pair)
        if not shared:
            continue
        each = [[one.runs[name][key] for key in shared] for name in pair]
        label = [kind for run in each[0] for kind in run["per_image"]["label"] if kind >= 0]
        measured = " and ".join(number(one.value(name, "dice_paper_mean")) for name in pair)
        state = {"share": round(sum(label) / len(label), 2)}
        for letter, some in zip("ab", each, strict=True):
            made = [made_of(run, letter) for run in some]
            state |= {key: round(float(np.mean([m[key] for m in made])), 4) for key in made[0]}
        words = (
            f"Means over {len(shared)} trainings of each. They measured a mean Dice of {measured} "
            "%; what the sliders give differs from it where masks hold both classes, and where the "
            "missed share is not the same for both."
        )
        title = f"Ours on {short_name(place)}"
        presets.append({"title": title, "state": state, "words": words})
    return {"presets": presets}


def tirads() -> dict[str, Any]:
    """For "phantom": every value of every feature with its points and its chances in each class.

    `features`: by feature and value, points of ACR TI-RADS and [P(value | benign), P(value |
    malignant)], from `lib.sources.phantom`; anechoic is certain once a nodule is cystic, and has
    chances of 1. `levels`: 1 to 5, by points. `malignant`: share among the phantom's patients.
    `usual`: the features to begin with.

    >>> table = tirads()
    >>> table["features"]["shape"]["taller"], table["levels"][9]
    ({'points': 3, 'chances': [0.08, 0.43]}, 5)
    """
    from lib.sources import phantom

    level = {nodule.points: nodule.level for nodule in phantom.all_features()}
    return {
        "features": {
            name: {
                value: {"points": n, "chances": list(phantom.FEATURES[name].get(value, (1.0, 1.0)))}
                for value, n in values.items()
            }
            for name, values in phantom.POINTS.items()
        },
        "levels": [level[points] for points in sorted(level)],
        "malignant": inspect.signature(phantom.read).parameters["malignant"].default,
        "usual": asdict(phantom.Features()),
    }
