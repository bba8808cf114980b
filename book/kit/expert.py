"""The networks beside the expert who gave BUS-BRA's patients their BI-RADS categories.

Histology is the truth for both. The expert's answers are four steps, and a biopsy is advised from
category 4 on. A network is set beside the expert where, on its own curve, it gives as many false
alarms on the same patients; where it finds as many malignant ones; and with as few steps.

A category is a patient's, who may have two images. So the network's answer is the patient's, too,
the mean of the joint log-odds of the images.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve

from lib import results

from .controls import Reading, two_readings
from .stats import (
    EACH,
    SUFFIX,
    Difference,
    Evidence,
    Interval,
    Spread,
    corrected,
    draw,
    log_odds,
    paired,
    patients,
    together,
    wilson,
)

Record = Mapping[str, Any]
FILE = results.RESULTS / "bench" / "birads.json"
BIOPSY = 4  # the category from which on a biopsy is advised
LOW_RISK = 0.02  # of malignant, below which a lesion is followed up: category 3 (ACR 2013)
SENSITIVITY, ALARMS = "sensitivity", "false alarms"  # at the expert's corner
STEPS = "AUC in four steps"
_ASKED = (SENSITIVITY, ALARMS)
SPARED, MISSED, CANCER = (f"{EACH}{name}" for name in ("spared", "missed", "cancer"))
FOUND = f"{EACH}found"  # of the malignant images
THIRDS = ("small", "middle", "large")
LOOKED_AT = {"case", "group", "label", "p_malignant", "seg_as_cls"} | {
    f"nodule_{part}" for part in ("inter", "pred", "true")
}


class Expert(NamedTuple):
    """One reader's categories: case -> 2 to 5, of the images with this fingerprint."""

    fingerprint: str
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

    def helped(self, record: Record) -> pd.DataFrame | None:
        """`patients`, but with category and network together: a logistic regression on both.

        Fitted to the run's validation patients. None where these were not recorded.
        """
        rows, valid = self.patients(record), self.patients(record, "validation")
        if rows is None or valid is None or valid["label"].nunique() < 2:
            return None
        both = ["category", "odds"]
        fitted = LogisticRegression(C=math.inf).fit(valid[both], valid["label"])
        odds = fitted.decision_function(rows[both])
        return rows.assign(odds=odds, p_malignant=expit(odds))


def load(file: Path = FILE) -> Expert:
    """The categories that `ci/birads.py` wrote."""
    read = json.loads(file.read_text(encoding="utf-8"))
    categories = {case: int(name) for name, some in read["categories"].items() for case in some}
    return Expert(read["fingerprint"], categories)


Answer = Callable[[Record], pd.DataFrame | None]  # a run -> its patients, or None


def in_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """The network's order of patients in four steps, each as often as the expert's category.

    >>> rows = pd.DataFrame({"odds": [0.3, -2.0, 1.0], "category": [5, 3, 2]})
    >>> in_steps(rows)["p_malignant"].tolist()
    [0.4, 0.2, 0.8]
    """
    given = np.empty(len(rows))
    given[np.argsort(rows["odds"].to_numpy(), kind="stable")] = np.sort(rows["category"])
    return rows.assign(p_malignant=_as_score(given))


class Counts(NamedTuple):
    """How many patients of a class network and expert call, and all of it (1 + draws,)."""

    network: np.ndarray
    expert: np.ndarray
    of: np.ndarray


def at_the_corner(rows: pd.DataFrame) -> dict[str, Counts]:
    """What the network gives where it equals the expert in the other class.

    rows: of one training, as `Expert.patients` gives them. `SENSITIVITY`: malignant patients who
    are found, with the expert's false alarms; `ALARMS`: benign ones who are called, with the
    expert's malignant ones found. Where the curve rises just there, the middle of the step counts.
    Under each draw of patients after the first value.

    >>> rows = {"case": list("abcd"), "group": list("abcd"), "label": [0, 0, 1, 1]}
    >>> rows |= {"odds": [0.1, 3.0, 2.0, 4.0], "category": [2, 4, 3, 5]}
    >>> told = at_the_corner(pd.DataFrame(rows))
    >>> [[float(side[0]) for side in one] for one in told.values()]
    [[1.5, 1.0, 2.0], [0.5, 1.0, 2.0]]
    """
    weights = np.vstack([np.ones(len(rows)), draw(rows)])
    ill, alarm = (rows["label"] == 1).to_numpy(), (rows["category"] >= BIOPSY).to_numpy()
    order = np.argsort(-rows["odds"].to_numpy(), kind="stable")  # the most suspicious first
    told = {}
    for name, mine in ((SENSITIVITY, ill), (ALARMS, ~ill)):
        others, called = (
            np.pad(np.cumsum((weights * some)[:, order], axis=1), ((0, 0), (1, 0)))
            for some in (~mine, mine)
        )
        by_draw = zip(weights @ (~mine & alarm), others, called, strict=True)
        network = np.array([_in_the_middle(*three) for three in by_draw])
        told[name] = Counts(network, weights @ (mine & alarm), weights @ mine)
    return told


def beside(
    found: Evidence, expert: Expert, systems: Sequence[str], answer: Answer | None = None
) -> dict[str, dict[str, Difference]]:
    """Each system that was run, decided together, less the expert, by the book's rule.

    answer: `expert.patients`, the default, or `expert.helped`. Of each system: `SENSITIVITY`,
    `ALARMS` (`at_the_corner`) and `STEPS` (`in_steps`), corrected (Holm) for the three; and "AUC",
    which is no fair question, since the expert has four answers. The spread between trainings is
    learned from all systems; the expert has none.
    """
    answer = answer or expert.patients
    rows = {
        (system, key): told
        for system, runs in found.runs.items()
        if not system.endswith(SUFFIX) and (system in systems or len(runs) > 1)
        for key, run in runs.items()
        if (told := answer(run)) is not None
    }
    corner = {place: at_the_corner(told) for place, told in rows.items()}
    spread = {name: _spread(rows, [one[name] for one in corner.values()]) for name in _ASKED}
    whole = two_readings(_runs(found), _read(answer), _read(expert.patients, _by_expert))
    steps = two_readings(_runs(found), _read(answer, in_steps), _read(expert.patients, _by_expert))
    told = {}
    for system in systems:
        mine = [place for place in corner if place[0] == system]
        if not mine:
            continue
        people = pd.concat([rows[place] for place in mine]).drop_duplicates("group")
        family = {
            name: paired(
                name,
                *_shares([corner[place][name] for place in mine]),
                spread[name],
                trainings=[key for _, key in mine],
                people=len(people),
                smallest=int(people["label"].value_counts().min()),
            )
            for name in _ASKED
        }
        pair = f"{system}{SUFFIX}", system, "AUC"
        family[STEPS] = steps.difference(*pair)
        told[system] = corrected(family) | {"AUC": whole.difference(*pair)}
    return told


def levels(rows: pd.DataFrame) -> dict[str, Interval]:
    """The expert's own `SENSITIVITY` and `ALARMS`, with 95 % intervals over patients.

    rows: as `tested` gives them.
    """
    counts = at_the_corner(rows)
    told = {}
    for name, one in counts.items():
        _, share = _shares([one])
        told[name] = wilson(float(share[0]), float(np.nanvar(share[1:], ddof=1)), int(one.of[0]))
    return told


def _read(answer: Answer, then: Callable[[pd.DataFrame], pd.DataFrame] | None = None) -> Reading:
    def read(record: Record, others: Sequence[Record]) -> pd.DataFrame | None:
        rows = answer(record)
        return rows if rows is None or then is None else then(rows)

    return read


def _by_expert(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(p_malignant=_as_score(rows["category"].to_numpy()))


def _as_score(category: np.ndarray) -> np.ndarray:
    """2 to 5 as .2 to .8: an AUC asks for the order alone."""
    return ((category - 1) / 5).round(1)


def _spread(rows: Mapping[tuple[str, Any], pd.DataFrame], counts: Sequence[Counts]) -> Spread:
    """How much trainings of one system differ in what the network has beyond the expert."""
    each = [_shares([one]) for one in counts]
    return Spread.between_trainings(
        [system for system, _ in rows],
        [frozenset(told["case"]) for told in rows.values()],
        np.array([network - given for network, given in each]),
    )


def _shares(parts: Sequence[Counts]) -> tuple[np.ndarray, np.ndarray]:
    """What network and expert call of all patients of these trainings (1 + draws,)."""
    network, given, of = (np.sum(side, axis=0) for side in zip(*parts, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may hold no patient of a class
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
        alarms, seen, _ = roc_curve(rows["label"], rows["odds"], drop_intermediate=False)
        each.append(np.interp(share, alarms, seen))
        malignant.append((rows["label"] == 1).sum())
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

    Further measures: `SPARED`, the share of benign patients below the lowest malignant one of the
    category on validation; `MISSED`, that of malignant ones; `CANCER`, the share of malignant ones
    among all below it.
    """
    kept = []
    for record in _runs(found):
        both = expert.patients(record), expert.patients(record, "validation")
        if any(rows is None for rows in both):
            continue
        rows, valid = (some[some["category"] == category].reset_index(drop=True) for some in both)
        odds = valid["odds"][valid["label"] == 1]
        if len(odds):
            below, ill = rows["odds"] < odds.min(), rows["label"] == 1
            rows[SPARED] = np.where(ill, math.nan, below)
            rows[MISSED] = np.where(ill, below, math.nan)
            rows[CANCER] = np.where(below, ill, math.nan)
        if len(rows):
            kept.append({**record, "per_image": rows.to_dict("list")})
    return Evidence(kept, found.draws)


class Third(NamedTuple):
    """The images of one size: the runs on them, and network less expert on the malignant ones.

    beside: `FOUND` at a threshold with which each training gives the expert's false alarms over
    images of all sizes; the network stands there decided together, the expert as answered.
    """

    runs: Evidence
    beside: Evidence


def by_size(found: Evidence, expert: Expert, system: str) -> dict[str, Third]:
    """The third of the images with the smallest nodules, the middle one, and the largest.

    Size is the share of the image that the true nodule covers: BUS-BRA does not tell millimetres.
    By image; the expert's category is that of the patient.
    """
    runs = found.runs[system]
    first = min(seed for seed, _ in runs)
    share = np.concatenate([size(run) for (seed, _), run in runs.items() if seed == first])
    edges = np.quantile(share, [1 / 3, 2 / 3])
    thirds: dict[str, list[list[Record]]] = {name: [[], []] for name in THIRDS}
    for record in found.records:
        rows = results.rows(record)
        if not set(rows) >= {"nodule_true", "p_malignant"}:
            continue
        third = np.searchsorted(edges, size(record), side="left")
        for at, name in enumerate(THIRDS):
            mine = rows[[name for name in rows if name in LOOKED_AT]][third == at]
            thirds[name][0].append({**record, "per_image": mine.to_dict("list")})
            if record["experiment"].endswith(SUFFIX):
                thirds[name][1] += _found(record, rows, third == at, expert)
    return {
        name: Third(*(Evidence(some, found.draws) for some in each))
        for name, each in thirds.items()
    }


def _found(record: Record, rows: pd.DataFrame, which: np.ndarray, expert: Expert) -> list[Record]:
    """Network and expert, who call as many of all benign images: what they find of these images."""
    ill, alarm = (rows["label"] == 1).to_numpy(), expert.of(rows["case"]) >= BIOPSY
    odds = log_odds(rows["p_malignant"].to_numpy())
    threshold = as_many(odds[rows["label"] == 0], int((alarm & (rows["label"] == 0)).sum()))
    told = []
    for ending, called in ((SUFFIX, odds > threshold), ("", alarm)):
        kept = rows[[name for name in ("case", "group", "label") if name in rows]].assign(
            **{FOUND: np.where(ill, called, math.nan)}
        )
        name = record["experiment"].removesuffix(SUFFIX)
        per_image = kept[which].to_dict("list")
        told.append({**record, "experiment": f"{name}{ending}", "per_image": per_image})
    return told


def as_many(odds: np.ndarray, called: int) -> float:
    """The threshold above which just so many of these log-odds lie, in the middle of the gap.

    >>> as_many(np.array([0.0, 1.0, 3.0]), 1)
    2.0
    """
    ordered = np.concatenate([[math.inf], np.sort(odds)[::-1], [-math.inf]])
    return float(ordered[called : called + 2].mean())


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
