"""Fair controls for the joint decision: the same trainings, read in other ways.

A gain of the joint decision may have simpler reasons: one class for the whole nodule, a second
opinion of any kind, probabilities that mean what they say. A control keeps one of these and leaves
out the rest. Both ways of reading are of one training and of the same images, so `Evidence` judges
them as it judges a network decided together against the same network as answered.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from lib import decode, metrics, results

from .stats import SUFFIX, Evidence, log_odds, paint, together
from .stats.pairing import check_paired, fold_of

Record = Mapping[str, Any]
# A run and all runs of its place -> its rows as read this way, or None if that cannot be told
Reading = Callable[[Record, Sequence[Record]], pd.DataFrame | None]
NEEDED = {"p_malignant", "seg_as_cls", "seg_as_cls_p", "seg2seg3_inter"}  # of all three tasks


class Control(NamedTuple):
    """A way to read a network that is set against the joint decision.

    title: its name; keeps: what it has in common with the joint decision, or what it has instead.
    """

    title: str
    keeps: str
    read: Reading


def answered(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
    """The three answers as they are."""
    rows = results.rows(record)
    return rows if set(rows) >= NEEDED else None


def joint(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
    """Decided together, as everywhere in the book; None without all three tasks."""
    one = together(record) if set(record["per_image"]) >= NEEDED else None
    return None if one is None else results.rows(one)


def by_t1(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
    """T1's class, painted on T2's nodule."""
    rows = answered(record, others)
    return None if rows is None else paint(rows, rows["p_malignant"])


def by_t3(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
    """T3's class, read off its map by Algorithm 1, painted on T2's nodule."""
    rows = answered(record, others)
    return None if rows is None else paint(rows, rows["seg_as_cls_p"])


def calibrated(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
    """T1's class by a logistic regression on T1 alone, fitted to the validation images; painted.

    It has the chance that the weights of the joint decision have: to move the threshold, and to be
    less sure. None for a run that did not record its validation images, or not each class in them.
    """
    rows = answered(record, others)
    if rows is None or not record.get("validation"):
        return None
    valid = results.rows(record, "validation")
    label = torch.tensor(valid["label"].to_numpy())
    if len(set(label[label >= 0].tolist())) < 2:
        return None
    said = torch.tensor(_t1(valid))
    features = torch.zeros(len(valid), 2, 2, dtype=torch.double)
    features[:, 0, 1] = said  # log-odds: benign is 0, and so are the maps, which are not asked
    weights = decode.fit_weights(features, label)
    scores = weights.cls * _t1(rows) + weights.bias[1] - weights.bias[0]
    return paint(rows, expit(scores))


def two_trainings(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
    """The mean of T1's log-odds over this training and that of the next seed; painted.

    Seeds go two by two, the first with the second, so that no training counts twice and pairs are
    as independent as trainings. None for the second of a pair, for the last of an odd number, and
    without another seed of the same fold with the same test images.
    """
    rows = answered(record, others)
    family = sorted(
        (one for one in others if _place(one) == _place(record)), key=lambda one: one["seed"]
    )
    at = [one["seed"] for one in family].index(record["seed"])
    if rows is None or at % 2 or at + 1 == len(family):
        return None
    other = results.rows(family[at + 1])
    try:
        check_paired(rows, other)
    except ValueError:  # each seed drew a split of its own
        return None
    return paint(rows, expit((_t1(rows) + _t1(other)) / 2))


def by_coin(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
    """The joint answer, but where T1 and T3 contradict each other a coin names the class.

    As sure as before. The coin falls as seed, fold and case have it, always in the same way.
    """
    rows, decided = answered(record, others), joint(record, others)
    if rows is None or decided is None:
        return None
    names = rows["case"] if "case" in rows else rows.index.astype(str)
    side = np.array([_coin(f"{record['seed']} {fold_of(record)} {name}") for name in names])
    odds = log_odds(decided["p_malignant"].to_numpy())
    thrown = np.where(contradictory(rows), np.where(side, 1, -1) * np.abs(odds), odds)
    if "if_benign_pred" in decided:
        given = decided.assign(cls=thrown, maps=0.0)
        return decode.decide_again(given, decode.EQUAL)
    return paint(rows, expit(thrown))


def equal(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
    """Decided together with equal weights for T1 and the maps; None if none were fitted."""
    decided = joint(record, others)
    fitted = (record.get("joint") or {}).get("weights")
    if decided is None or not fitted or not fitted["bias"]:
        return None
    return decode.decide_again(decided, decode.Weights(seg2=fitted["seg2"], seg3=fitted["seg3"]))


CONTROLS = {
    "t1": Control("T1's class alone", "one class for T2's whole nodule; T3 is not asked", by_t1),
    "t3": Control("T3's class alone", "one class for T2's whole nodule; T1 is not asked", by_t3),
    "calibrated": Control(
        "T1's class alone, calibrated", "a threshold and a scale fitted on validation", calibrated
    ),
    "ensemble": Control(
        "T1 of two trainings, averaged", "a second opinion, for twice the training", two_trainings
    ),
    "coin": Control("A coin where T1 and T3 disagree", "one of their classes at random", by_coin),
    "equal": Control("Decided together, equal weights", "no weight is fitted", equal),
}


def contradictory(rows: pd.DataFrame) -> np.ndarray:
    """Whether T1 and T3 name different classes, or T3 sees no nodule at all; Boolean (N,).

    >>> rows = pd.DataFrame({"p_malignant": [0.7, 0.7, 0.2], "seg_as_cls": [1, 0, -1]})
    >>> contradictory(rows).tolist()
    [False, True, True]
    """
    return (rows["p_malignant"] > 0.5).to_numpy() != rows["seg_as_cls"].to_numpy()


def two_readings(records: Sequence[Record], above: Reading, below: Reading) -> Evidence:
    """What can be said of `above` less `below`, each network against itself.

    records: of one place. In the evidence a network read as `below` has its own name, and as
    `above` the name of that network decided together. Runs that do not tell both are left out.
    """
    kept = []
    for record in records:
        pair = {SUFFIX: above(record, records), "": below(record, records)}
        if any(rows is None for rows in pair.values()):
            continue
        kept += [
            {
                **record,
                "experiment": f"{record['experiment']}{ending}",
                "per_image": rows.to_dict("list"),
            }
            for ending, rows in pair.items()
        ]
    return Evidence(kept)


def against(found: Evidence, systems: Sequence[str]) -> dict[str, Evidence]:
    """The joint decision less each control, by the keys of `CONTROLS`; none where no run tells it.

    found: the runs of one place, as `book.kit.figures.shown` gives them.
    """
    runs = trainings(found, systems)
    told = {key: two_readings(runs, joint, control.read) for key, control in CONTROLS.items()}
    return {key: one for key, one in told.items() if one.runs}


def of_painting(found: Evidence, systems: Sequence[str]) -> tuple[Evidence, Evidence]:
    """What painting alone changes in the answers, and what deciding together does.

    Painting: T3's own class for all of T2's nodule, which asks nobody else.
    """
    runs = trainings(found, systems)
    return two_readings(runs, by_t3, answered), two_readings(runs, joint, answered)


def trainings(found: Evidence, systems: Sequence[str]) -> list[Record]:
    """The runs as answered of these systems, and of all that tell the spread between trainings.

    A system with one training tells nothing of the spread, so it costs only time.
    """
    return [
        record
        for system, runs in found.runs.items()
        if not system.endswith(SUFFIX) and (system in systems or len(runs) > 1)
        for record in runs.values()
        if set(record["per_image"]) >= NEEDED
    ]


def _t1(rows: pd.DataFrame) -> np.ndarray:
    """T1's log-odds; a run that recorded the joint answer has them exactly."""
    exact = f"{metrics.JOINT}cls"
    return (
        rows[exact].to_numpy(float) if exact in rows else log_odds(rows["p_malignant"].to_numpy())
    )


def _place(record: Record) -> tuple[str, str]:
    return record["experiment"], fold_of(record)


def _coin(name: str) -> bool:
    return bool(hashlib.sha256(name.encode()).digest()[0] & 1)
