"""What explorables read of committed runs: a few numbers of each, as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Records = Sequence[Mapping[str, Any]]
NEEDED = ("label", "p_malignant", "seg_as_cls")


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
        name, seed = record["experiment"], record["seed"]
        runs.append(
            {
                "key": ".".join([*place, name.replace("+", "-"), str(seed)]),
                "title": f"{(titles or {}).get(name, name)}, {' '.join(place)}, seed {seed}",
                "label": list(label),
                "p": [round(value, 6) for value in p],
                "seg": list(seg),
            }
        )
    return {"runs": runs}


def made_of(record: Mapping[str, Any], letter: str) -> dict[str, float]:
    """For "gain": a run as system `letter`, "a" or "b": shares of its masks by class, and contours.

    A mask's class is the one with more pixels, benign where equal. Raises ValueError for a run
    without masks of a class, and where none of them is right.

    >>> benign = {"benign_inter": [8, 0], "benign_pred": [10, 0], "benign_true": [10, 0]}
    >>> other = {"malignant_inter": [0, 5], "malignant_pred": [0, 9], "malignant_true": [0, 9]}
    >>> made_of({"per_image": benign | other}, "a")
    {'ab': 1.0, 'am': 1.0, 'ae': 0.0, 'ad': 0.6778}
    """
    from ..figures import split_dice
    from ..results import rows

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
