"""What is counted where there may be no nodule, or two: false nodules, and contradictions by kind.

As in `lib.metrics`, rows are kept, one per image, and every measure follows from them. Each answer
has its columns: raw_*, as the tasks gave it, and joint_*, as they were decided together.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from ..cases import CLASSES
from .answers import HOLDS, SURE, kind, present
from .decide import NORMAL, Decision, piece_classes, pieces

Answer = Literal["raw", "joint"]
ANSWERS = get_args(Answer)
CONTRADICTIONS = {
    "mask_without_class": "a mask without a class",
    "class_without_mask": "a class without a mask",
    "other_class": "one class in T1, the other in T3",
    "two_and_one": "two classes in T1, one in T3",
    "one_and_two": "one class in T1, two in T3",
    "one_mask_empty": "of T2 and T3, one is empty",
}


@torch.no_grad()
def count_presence(
    mask: Tensor, label: Tensor, given: Mapping[str, Tensor], decision: Decision
) -> pd.DataFrame:
    """One row per image with all that the measures need.

    `mask` and `label` as in `lib.presence.present`; `given` as in `lib.presence.words`; `decision`
    made of it.

    Columns: `kind`, the index in `KINDS`, -1 unknown; what the tasks hold, 0 or 1: `t1_benign` and
    `t1_malignant`, `t2`, and `t3_*` by `piece_classes` (absent where a task is absent). Then for
    raw and joint: `*_benign` and `*_malignant`, the probabilities that they are present;
    `*_said_*`, 0 or 1; `*_pieces` of the mask, T2's where there is one, else T3's; and in pixels
    `*_{inter,pred}_*` for benign, malignant and nodule, with `px_*` of the truth. Without T3 a
    nodule has the class that T1 gives it and, where T1 names two, none.

    >>> given = {"cls": torch.tensor([[0.1, 0.2]]), "seg2": torch.tensor([[[[0.2]], [[0.8]]]])}
    >>> from lib.presence import Rule, decide
    >>> normal = torch.zeros(1, 1, 1).long()
    >>> rows = count_presence(normal, torch.tensor([-1]), given, decide(given, Rule()))
    >>> rows[["kind", "raw_pieces", "t2", "t1_benign"]].iloc[0].tolist()
    [0, 1, 1, 0]
    """
    cls, seg2, seg3 = (given.get(name) for name in ("cls", "seg2", "seg3"))
    said = cls > SURE
    rows = {"kind": kind(present(mask, label))} | _by_class("t1", said)
    if seg2 is not None:
        nodule = seg2[:, 1] > seg2[:, 0]
        rows["t2"] = nodule.flatten(1).any(1)
    if seg3 is not None:
        painted = seg3.argmax(1)
        rows |= _by_class("t3", piece_classes(seg3))
        nodule = painted > 0 if seg2 is None else nodule
    else:
        alone = torch.where(said.sum(1) == 1, 1 + said.long().argmax(1), 0)
        painted = nodule * alone[:, None, None]
    rows |= _by_class("px", torch.stack([(mask == k).sum((1, 2)) for k in (1, 2)], 1))
    rows["px_nodule"] = (mask > 0).sum((1, 2))
    for answer, probability, holds, where, classes in (
        ("raw", cls, said, nodule, painted),
        ("joint", decision.probability, decision.present, decision.mask > 0, decision.mask),
    ):
        rows |= _by_class(answer, probability.double()) | _by_class(f"{answer}_said", holds)
        rows[f"{answer}_pieces"] = pieces(where)[0]
        planes = [(c, classes == k, mask == k) for k, c in enumerate(CLASSES, 1)]
        for name, mine, true in (*planes, ("nodule", where, mask > 0)):
            rows[f"{answer}_pred_{name}"] = mine.sum((1, 2))
            rows[f"{answer}_inter_{name}"] = (mine & true).sum((1, 2))
    table = pd.DataFrame({name: values.cpu().numpy() for name, values in rows.items()})
    return table.astype({name: int for name in table if table[name].dtype == bool})


def contradictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Which kinds of contradiction are in the raw answers to each image: Boolean, one column each.

    The columns are those of `CONTRADICTIONS`; an image can have several. A task that the network
    lacks contradicts nothing.

    >>> rows = pd.DataFrame({"t1_benign": [1], "t1_malignant": [1], "t2": [1]})
    >>> found = contradictions(rows.assign(t3_benign=[1], t3_malignant=[0]))
    >>> [name for name in found if found[name].iloc[0]]
    ['two_and_one']
    """
    none = np.zeros(len(rows), bool)
    t1 = rows[["t1_benign", "t1_malignant"]].to_numpy(bool)
    one, named = t1.sum(1), t1.any(1)
    masks, found = [], dict.fromkeys(CONTRADICTIONS, none)
    if "t2" in rows:
        masks.append(rows["t2"].to_numpy(bool))
    if "t3_benign" in rows:
        t3 = rows[["t3_benign", "t3_malignant"]].to_numpy(bool)
        drawn = t3.sum(1)
        masks.append(t3.any(1))
        found["other_class"] = (one == 1) & (drawn == 1) & (t1 != t3).any(1)
        found["two_and_one"] = (one == 2) & (drawn == 1)
        found["one_and_two"] = (one == 1) & (drawn == 2)
    some, every = np.any(masks, axis=0), np.all(masks, axis=0)
    found["mask_without_class"] = ~named & some
    found["class_without_mask"] = named & ~every
    found["one_mask_empty"] = some & ~every
    return pd.DataFrame(found, index=rows.index)


def presence_measures(rows: pd.DataFrame, answer: Answer = "raw") -> pd.DataFrame:
    """Every measure but the AUCs for each image, NaN where the image does not enter; means count.

    `kind_right`, whether just what is there was said to be present. `false_nodules`, pieces of the
    mask, and `false_alarm`, 1 if there is any: images without a nodule. `missed`, 1 if the mask is
    empty, and `dice_nodule`: images with one. `dice_benign` and `dice_malignant`: images that hold
    the class. `contradiction`, 1 if there is one of any kind, and each of `CONTRADICTIONS`: all
    images; 0 for the joint answers.

    >>> rows = pd.DataFrame({"kind": [0, 1], "raw_pieces": [3, 1], "t2": [1, 1]})
    >>> rows = rows.assign(**{f"{stem}_{c}": 0 for stem in ("t1", "raw_said") for c in CLASSES})
    >>> for name in (*CLASSES, "nodule"):
    ...     rows = rows.assign(**{f"px_{name}": [0, 4], f"raw_inter_{name}": [0, 2]})
    ...     rows = rows.assign(**{f"raw_pred_{name}": [9, 4]})
    >>> found = presence_measures(rows).mean()
    >>> found[["false_nodules", "dice_nodule", "mask_without_class"]].tolist()
    [3.0, 0.5, 1.0]
    """
    kinds = rows["kind"].to_numpy()
    normal, nodule = kinds == NORMAL, rows["px_nodule"].to_numpy() > 0
    said = rows[[f"{answer}_said_{c}" for c in CLASSES]].to_numpy()
    right = (said == np.array(HOLDS)[np.maximum(kinds, 0)]).all(1)
    found = {"kind_right": _among(right, kinds >= 0)}
    found["false_nodules"] = _among(rows[f"{answer}_pieces"], normal)
    found["false_alarm"] = _among(rows[f"{answer}_pieces"] > 0, normal)
    found["missed"] = _among(rows[f"{answer}_pieces"] == 0, nodule)
    for name in ("nodule", *CLASSES):
        inter, pred, true = (
            rows[f"{stem}_{name}"].to_numpy(float)
            for stem in (f"{answer}_inter", f"{answer}_pred", "px")
        )
        found[f"dice_{name}"] = _among(2 * inter / np.maximum(pred + true, 1), true > 0)
    kinds_of = contradictions(rows) * (answer == "raw")
    found["contradiction"] = kinds_of.any(axis=1).to_numpy(float)
    found |= {name: kinds_of[name].to_numpy(float) for name in kinds_of}
    return pd.DataFrame(found, index=rows.index)


def summarise_presence(rows: pd.DataFrame, answer: Answer = "raw") -> dict[str, float]:
    """All measures of the rows of `count_presence`: means, and `AUC_benign`, `AUC_malignant`.

    An AUC is of the probability that the class is present, over all images of which that is known.
    A measure that no image enters is absent, and so is an AUC without images of both sorts.

    >>> rows = pd.DataFrame({"kind": [0, 2, 3], "raw_benign": [0.1, 0.2, 0.7]})
    >>> presence_auc(rows, "benign")
    1.0
    """
    means = presence_measures(rows, answer).mean()
    found = {name: float(value) for name, value in means.items() if not np.isnan(value)}
    areas = {f"AUC_{name}": presence_auc(rows, name, answer) for name in CLASSES}
    return {name: area for name, area in areas.items() if area is not None} | found


def presence_auc(rows: pd.DataFrame, name: str, answer: Answer = "raw") -> float | None:
    """The AUC of the presence of one class; None without images of both sorts.

    >>> rows = pd.DataFrame({"kind": [0, 1, -1], "raw_malignant": [0.1, 0.2, 0.3]})
    >>> presence_auc(rows, "malignant") is None
    True
    """
    held, known = holds(rows, name), rows["kind"].to_numpy() >= 0
    if not 0 < held.sum() < known.sum():
        return None
    return float(roc_auc_score(held[known], rows[f"{answer}_{name}"].to_numpy()[known]))


def holds(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Which images hold a nodule of the class: Boolean (N,), False where that is unknown.

    >>> holds(pd.DataFrame({"kind": [0, 1, 2, 3, -1]}), "malignant").tolist()
    [False, False, True, True, False]
    """
    kinds = rows["kind"].to_numpy()
    return np.array([*HOLDS, (0, 0)], bool)[kinds, CLASSES.index(name)]


def _among(values: pd.Series | np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where, np.asarray(values, float), np.nan)


def _by_class(stem: str, values: Tensor) -> dict[str, Tensor]:
    return {f"{stem}_{name}": values[:, k] for k, name in enumerate(CLASSES)}
