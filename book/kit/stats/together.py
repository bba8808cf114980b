"""The same runs with their tasks decided together, beside the runs as answered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from lib import metrics, results
from lib.cases import CLASSES

from .rule import SUFFIX

SURE = 1e-6  # nearer to 0 or 1 no probability is taken, so that its logit is finite


def together(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """A run whose answers are decided together; None where its columns do not allow it.

    The record is called as before, with `SUFFIX`, so that `Evidence` compares the two ways of
    reading one network on its own images. A run that recorded its joint answers (`lib.decode`) is
    taken at its word. An older one has T1's probability and that of Seg-as-Cls: their logits are
    averaged, and T2's nodule is painted with the class that wins, the plainest product of experts.
    None for networks without both classes or without T2, and where an image holds two classes.
    A network without T3 has nothing to decide: its class is T1's, to the last digit.
    """
    rows = results.rows(record)
    if any(name.startswith("joint_") for name in rows):
        answered = metrics.decided(rows)
        if "p_malignant" in rows and "seg_as_cls" not in rows:
            answered["p_malignant"] = rows["p_malignant"]
    elif {"p_malignant", "seg_as_cls_p", "seg2seg3_inter", "nodule_pred"} <= set(rows):
        answered = painted(rows)
    else:
        answered = None
    if answered is None:
        return None
    return {
        **record,
        "experiment": f"{record['experiment']}{SUFFIX}",
        "per_image": answered.to_dict("list"),
    }


def painted(rows: pd.DataFrame) -> pd.DataFrame | None:
    """T2's nodule in the class that T1 and Seg-as-Cls find together, from a run's counts.

    None where `paint` gives none.

    >>> rows = pd.DataFrame({"label": [1], "p_malignant": [0.4], "seg_as_cls_p": [0.7]})
    >>> rows = rows.assign(nodule_inter=[6], nodule_pred=[8], nodule_true=[9])
    >>> rows = rows.assign(benign_true=[0], malignant_true=[9])
    >>> painted(rows)[["malignant_inter", "malignant_pred", "benign_pred"]].iloc[0].tolist()
    [6, 8, 0]
    """
    return paint(rows, expit(log_odds(rows[["p_malignant", "seg_as_cls_p"]]).mean(axis=1)))


def log_odds(p: Any) -> Any:
    """The log-odds of probabilities; 0 and 1 are taken as nearly so.

    >>> float(log_odds(0.5))
    0.0
    """
    return logit(np.clip(p, SURE, 1 - SURE))


def paint(rows: pd.DataFrame, malignant: np.ndarray | pd.Series) -> pd.DataFrame | None:
    """T2's nodule in one class, as rows of counts: malignant where that is more probable than not.

    rows: with T2's nodule, `nodule_*`, and the truth; malignant (N,): the probability, which
    becomes `p_malignant`. None if an image holds nodules of two classes: then the counts do not say
    what is where.

    >>> rows = pd.DataFrame({"label": [0], "nodule_inter": [6], "nodule_pred": [8]})
    >>> rows = rows.assign(nodule_true=[9], benign_true=[9], malignant_true=[0])
    >>> paint(rows, [0.2])[["benign_inter", "benign_pred", "malignant_pred"]].iloc[0].tolist()
    [6, 8, 0]
    """
    true = {name: rows[f"{name}_true"].to_numpy(float) for name in CLASSES}
    if (np.minimum(*true.values()) > 0).any():
        return None
    answered = rows[[name for name in ("case", "group", "label") if name in rows]].copy()
    answered["p_malignant"] = malignant
    chosen = answered["p_malignant"] > 0.5
    for at, name in enumerate(CLASSES):
        mine = chosen == bool(at)
        right = mine & (rows["label"] == at)
        known = rows[f"{name}_true"].notna()
        answered[f"{name}_inter"] = (rows["nodule_inter"] * right).where(known)
        answered[f"{name}_pred"] = (rows["nodule_pred"] * mine).where(known)
        answered[f"{name}_true"] = rows[f"{name}_true"]
    for part in ("inter", "pred", "true"):
        answered[f"nodule_{part}"] = rows[f"nodule_{part}"]
    return answered


def with_together(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records, and beside each its own answers decided together, where that can be told."""
    return [*records, *filter(None, map(together, records))]
