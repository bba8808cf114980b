"""The networks beside the expert who gave BUS-BRA's patients their BI-RADS categories.

Histology is the truth for both. The expert's answers are four steps, so they have a curve with
three corners; a biopsy is advised from category 4 on, and that is the corner at which the expert
works. A network is set beside it where, on its own curve, it gives as many false alarms on the same
patients.

A category is a patient's: the expert saw both images where there are two. So the network's answer
is the patient's, too, the mean of the joint log-odds of the images.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from lib import results

from .controls import Reading, two_readings
from .stats import (
    EACH,
    SUFFIX,
    Difference,
    Evidence,
    Spread,
    corrected,
    draw,
    log_odds,
    paired,
    patients,
    together,
)

Record = Mapping[str, Any]
FILE = results.RESULTS / "bench" / "birads.json"
BIOPSY = 4  # the category from which on a biopsy is advised
LOW_RISK = 0.02  # of malignant, below which a lesion is followed up: category 3 (ACR 2013)
KEPT = 0.98  # of the malignant patients of a category, those that a threshold shall keep
SPARED, CANCER = f"{EACH}spared", f"{EACH}cancer"  # names of measures, for `Evidence`
NAMED = f"{EACH}named"  # benign, and named so
SENSITIVITY, SPECIFICITY = "sensitivity", "specificity"
BY_EXPERT = {name: f"{EACH}{name} of the expert" for name in (SENSITIVITY, SPECIFICITY)}
THIRDS = ("small", "middle", "large")
LOOKED_AT = {"case", "group", "label", "p_malignant", "seg_as_cls"} | {
    f"nodule_{part}" for part in ("inter", "pred", "true")
}


class Expert(NamedTuple):
    """One reader's categories: case -> 2 to 5, of the images of one source."""

    source: str
    fingerprint: str
    cite: str
    categories: dict[str, int]

    def of(self, cases: Sequence[str]) -> np.ndarray:
        """The categories of these cases (N,). ValueError for a case that has none."""
        if absent := [case for case in cases if case not in self.categories]:
            raise ValueError(f"the expert gave no category to {absent[0]}")
        return np.array([self.categories[case] for case in cases])

    def covers(self, found: Evidence) -> bool:
        """Whether these runs are of the images that have categories."""
        return all(run["data"]["fingerprint"] == self.fingerprint for run in found.records)

    def patients(self, record: Record, part: str = "per_image") -> pd.DataFrame | None:
        """A run's patients with a class, one row each; None where the run does not tell them.

        part: "per_image", the test images, or "validation". Columns: case (the first), group,
        label, p_malignant, decided together, and category, the highest of the patient's images.
        """
        if not record.get(part):
            return None
        one = together({**record, "per_image": record[part]})
        if one is None or "p_malignant" not in one["per_image"]:
            return None
        rows = results.rows(one)
        rows = rows.assign(
            group=patients(rows),
            odds=log_odds(rows["p_malignant"].to_numpy()),
            category=self.of(rows["case"]),
        )
        whole = rows[rows["label"] >= 0].groupby("group", sort=False)
        told = whole.agg(
            {"case": "first", "label": "max", "odds": "mean", "category": "max"}
        ).reset_index()
        return told.assign(p_malignant=expit(told["odds"]))


def load(file: Path = FILE) -> Expert:
    """The categories that `ci/birads.py` wrote."""
    read = json.loads(file.read_text(encoding="utf-8"))
    categories = {case: int(name) for name, some in read["categories"].items() for case in some}
    return Expert(read["source"], read["fingerprint"], read["cite"], categories)


def by_expert(expert: Expert) -> Reading:
    """The expert's answers to a run's patients: the category, moved to lie in 0 to 1."""

    def read(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
        rows = expert.patients(record)
        return None if rows is None else rows.assign(p_malignant=(rows["category"] - 1) / 5)

    return read


def by_network(expert: Expert) -> Reading:
    """The joint decision on a run's patients."""
    return lambda record, others: expert.patients(record)


class Found(NamedTuple):
    """Malignant patients whom network and expert find, and all of them (1 + draws,)."""

    network: np.ndarray
    expert: np.ndarray
    of: np.ndarray


def at_the_corner(rows: pd.DataFrame) -> Found:
    """Malignant patients who are found, the network giving as many false alarms as the expert.

    rows: of one training, as `Expert.patients` gives them. Where the network's curve rises at that
    number, the middle of the step counts. Under each draw of patients after the first value.

    >>> rows = {"case": list("abcd"), "group": list("abcd"), "label": [0, 0, 1, 1]}
    >>> rows |= {"odds": [0.1, 3.0, 2.0, 4.0], "category": [2, 4, 3, 5]}
    >>> [float(side[0]) for side in at_the_corner(pd.DataFrame(rows))]
    [1.5, 1.0, 2.0]
    """
    weights = np.vstack([np.ones(len(rows)), draw(rows)])
    ill, alarm = (rows["label"] == 1).to_numpy(), (rows["category"] >= BIOPSY).to_numpy()
    order = np.argsort(-rows["odds"].to_numpy(), kind="stable")  # the most suspicious first
    alarms, found = (
        np.pad(np.cumsum((weights * some)[:, order], axis=1), ((0, 0), (1, 0)))
        for some in (~ill, ill)
    )
    by_draw = zip(weights @ (~ill & alarm), alarms, found, strict=True)
    network = np.array([_in_the_middle(*three) for three in by_draw])
    return Found(network, weights @ (ill & alarm), weights @ ill)


def beside(
    found: Evidence, expert: Expert, systems: Sequence[str]
) -> dict[str, dict[str, Difference]]:
    """Each system that was run, decided together, less the expert, by the book's rule.

    Of each system "AUC" and `SENSITIVITY` (see `at_the_corner`), corrected (Holm) for the two. The
    spread between trainings is learned from all systems; the expert has none.
    """
    curves = two_readings(_runs(found), by_network(expert), by_expert(expert))
    rows = {
        (system, key): told
        for system, runs in found.runs.items()
        if not system.endswith(SUFFIX) and (system in systems or len(runs) > 1)
        for key, run in runs.items()
        if (told := expert.patients(run)) is not None
    }
    corner = {place: at_the_corner(told) for place, told in rows.items()}
    each = [_shares([one]) for one in corner.values()]
    spread = Spread.between_trainings(
        [system for system, _ in corner],
        [frozenset(told["case"]) for told in rows.values()],
        np.array([network - given for network, given in each]),
    )
    told = {}
    for system in systems:
        mine = [place for place in corner if place[0] == system]
        if not mine:
            continue
        people = pd.concat([rows[place] for place in mine]).drop_duplicates("group")
        seen = paired(
            SENSITIVITY,
            *_shares([corner[place] for place in mine]),
            spread,
            trainings=[key for _, key in mine],
            people=len(people),
            smallest=int(people["label"].value_counts().min()),
        )
        auc = curves.difference(f"{system}{SUFFIX}", system, "AUC")
        told[system] = corrected({"AUC": auc, SENSITIVITY: seen})
    return told


def _shares(parts: Sequence[Found]) -> tuple[np.ndarray, np.ndarray]:
    """What network and expert find of all malignant patients of these trainings (1 + draws,)."""
    network, given, of = (np.sum(side, axis=0) for side in zip(*parts, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may hold no malignant patient
        return network / of, given / of


def _in_the_middle(at: float, x: np.ndarray, y: np.ndarray) -> float:
    """A curve of steps at `at`; where it rises there, the middle of the step."""
    return (np.interp(at, x, y) + np.interp(-at, -x[::-1], y[::-1])) / 2


def curve(found: Evidence, expert: Expert, system: str, share: np.ndarray) -> np.ndarray:
    """A system's sensitivity at these shares of benign patients that are called malignant, 0 to 1.

    The mean over its trainings, each weighted with its malignant patients: scores of two networks
    need not have one scale.
    """
    each, malignant = [], []
    for run in found.runs[system].values():
        rows = expert.patients(run)
        benign, ill = (np.sort(-rows["odds"][rows["label"] == k]) for k in (0, 1))
        steps = np.unique(np.r_[benign, ill])
        alarms, seen = (
            np.r_[0, np.searchsorted(some, steps, side="right") / len(some)]
            for some in (benign, ill)
        )
        each.append(np.interp(share, alarms, seen))
        malignant.append(len(ill))
    return np.average(each, axis=0, weights=malignant)


def tested(found: Evidence, expert: Expert, system: str) -> pd.DataFrame:
    """The patients that a system's first seed was tested on, in all its folds."""
    runs = found.runs[system]
    first = min(seed for seed, _ in runs)
    rows = [expert.patients(run) for (seed, _), run in runs.items() if seed == first]
    return pd.concat(rows, ignore_index=True)


def corners(rows: pd.DataFrame) -> pd.DataFrame:
    """The expert's sensitivity and false alarms where each category and all above are malignant.

    rows: as `tested` gives them. Index: category from 3 on; columns: sensitivity, alarms, 0 to 1.

    >>> rows = pd.DataFrame({"category": [2, 4, 3, 5], "label": [0, 0, 1, 1]})
    >>> corners(rows).loc[4].to_dict()
    {'sensitivity': 0.5, 'alarms': 0.5}
    """
    given, ill = rows["category"], rows["label"] == 1
    told = {
        at: {"sensitivity": (given[ill] >= at).mean(), "alarms": (given[~ill] >= at).mean()}
        for at in range(BIOPSY - 1, BIOPSY + 2)
    }
    return pd.DataFrame(told).T


def in_category(found: Evidence, expert: Expert, category: int) -> Evidence:
    """The joint decision on the patients of one category alone; its AUC is what the network adds.

    Further measures: `SPARED`, the share of benign patients below a threshold that keeps `KEPT` of
    the malignant ones of the category on validation; `CANCER`, the share of malignant ones among
    all below it.
    """
    kept = []
    for record in _runs(found):
        both = expert.patients(record), expert.patients(record, "validation")
        if any(rows is None for rows in both):
            continue
        rows, valid = (some[some["category"] == category].reset_index(drop=True) for some in both)
        odds = valid["odds"][valid["label"] == 1].to_numpy()
        if len(odds):
            lowest_kept = np.sort(odds)[len(odds) - math.ceil(KEPT * len(odds))]
            below = rows["odds"] < lowest_kept
            rows[SPARED] = np.where(rows["label"] == 0, below, math.nan)
            rows[CANCER] = np.where(below, rows["label"], math.nan)
        if len(rows):
            kept.append({**record, "per_image": rows.to_dict("list")})
    return Evidence(kept, found.draws)


def by_size(found: Evidence, expert: Expert, system: str) -> dict[str, Evidence]:
    """The runs on the third of the images with the smallest nodules, the middle one, the largest.

    Size is the share of the image that the true nodule covers: BUS-BRA does not tell millimetres.
    Further measures: `NAMED`, the specificity at a threshold of one half; the expert's two, by
    image, where the category of its patient counts.
    """
    runs = found.runs[system]
    first = min(seed for seed, _ in runs)
    share = np.concatenate([size(run) for (seed, _), run in runs.items() if seed == first])
    edges = np.quantile(share, [1 / 3, 2 / 3])
    thirds: dict[str, list[Record]] = {name: [] for name in THIRDS}
    for record in found.records:
        rows = results.rows(record)
        if not set(rows) >= {"nodule_true", "p_malignant"}:
            continue
        third = np.searchsorted(edges, size(record), side="left")
        rows = rows[[name for name in rows if name in LOOKED_AT]]
        rows[NAMED] = np.where(rows["label"] == 0, rows["p_malignant"] <= 0.5, math.nan)
        alarm = expert.of(rows["case"]) >= BIOPSY
        rows[BY_EXPERT[SENSITIVITY]] = np.where(rows["label"] == 1, alarm, math.nan)
        rows[BY_EXPERT[SPECIFICITY]] = np.where(rows["label"] == 0, ~alarm, math.nan)
        for at, name in enumerate(THIRDS):
            thirds[name].append({**record, "per_image": rows[third == at].to_dict("list")})
    return {name: Evidence(some, found.draws) for name, some in thirds.items()}


def size(record: Record) -> np.ndarray:
    """The share of each test image that its true nodule covers, 0 to 1."""
    return results.rows(record)["nodule_true"].to_numpy() / record["parameters"]["size"] ** 2


def _runs(found: Evidence) -> list[Record]:
    """The runs as answered that know a class."""
    return [
        record
        for record in found.records
        if not record["experiment"].endswith(SUFFIX) and "p_malignant" in record["per_image"]
    ]
