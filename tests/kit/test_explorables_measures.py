"""Dice by hand, threshold and gain: the page's numbers are those of the library."""

import json
import subprocess
from pathlib import Path

import committed
import numpy as np
import pandas as pd
import pytest

from book.kit import explorables, figures
from lib import results
from lib.metrics import summarise

SCRIPT = Path(__file__).parents[1] / "js" / "measures.mjs"


def node(given):
    done = subprocess.run(
        ["node", SCRIPT], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_dice_of_three_images_both_ways():
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(50):
        pairs = (rng.random((3, 2, 30)) < rng.random((3, 2, 1))).astype(int)
        pairs[rng.random((3, 2)) < 0.3] = 0
        cases.append(pairs)
    for pairs, page in zip(cases, node({"dice": [c.tolist() for c in cases]})["dice"], strict=True):
        both = (pairs[:, 0] & pairs[:, 1]).sum(1)
        true, pred = pairs.sum(2).T
        rows = {"nodule_inter": both, "nodule_pred": pred, "nodule_true": true, "label": -1}
        ours = summarise(pd.DataFrame(rows))
        for shape in ("dice", "iou"):
            assert page[shape]["one"] == pytest.approx(ours[f"{shape}_nodule"])
        empty = true + pred == 0
        dice = 2 * both[~empty] / (true + pred)[~empty]
        assert page["dice"]["zero"] == pytest.approx(dice.sum() / 3)
        if empty.all():  # JSON writes NaN as null
            assert page["dice"]["skipped"] is None and page["dice"]["pooled"] is None
        else:
            assert page["dice"]["skipped"] == pytest.approx(dice.mean())
            assert page["dice"]["pooled"] == pytest.approx(2 * both.sum() / (true + pred).sum())


def test_committed_runs_keep_their_measures():
    """The ROC and the counts at one half are those of the run's images.

    The page holds six decimals of a probability, which makes ties and may cross one half: what it
    shows is compared with the measures of the rounded values, to the last digit.
    """
    records = [r for r in committed.records() if "inconsis_cls" in r["metrics"]]
    data = explorables.decisions(records)["runs"]
    assert data, "no committed run has both a class and a map"
    pages = node({"runs": data})["runs"]
    for record, run, page in zip(records, data, pages, strict=True):
        rows = results.rows(record).round({"p_malignant": 6})
        metrics = summarise(rows[rows["label"] >= 0])  # the page leaves out who has no label
        assert page["auc"] == pytest.approx(metrics["AUC"], abs=1e-9)
        assert 1 - page["all"]["error"] == pytest.approx(metrics["ACC"])
        assert page["all"]["sensitivity"] == pytest.approx(metrics["REC"])
        assert 1 - page["left"]["coverage"] == pytest.approx(metrics["inconsis_cls"])
        away = np.abs(np.array(run["p"]) - 0.5)
        chosen = np.array(page["unsure"], bool)
        assert chosen.sum() == 7 and away[chosen].max() <= away[~chosen].min()


def test_the_courses_of_committed_runs():
    """The lowest and highest validation value of every curve, and room for all of it."""
    records = committed.records()
    data = explorables.courses(records)["runs"]
    assert len(data) == len(records) > 0
    for record, run, page in zip(records, data, node({"courses": data})["courses"], strict=True):
        assert run["test"].get("AUC", 0) == pytest.approx(record["metrics"].get("AUC", 0), rel=1e-3)
        assert page.keys() == run["curves"].keys() and "total" in page
        for name, found in page.items():
            values = [
                (epoch["epoch"], {**epoch["valid"], **epoch.get("metrics", {})}.get(name))
                for epoch in record["history"]
            ]
            values = [float(f"{v:.4g}") for _, v in values if v is not None and np.isfinite(v)]
            if not values:  # a term of the training alone
                assert found["low"] is None and found["span"] is None
                continue
            assert (found["low"][1], found["high"][1]) == (min(values), max(values))
            low, high = found["span"]
            assert low <= min(values) and max(values) <= high and low < high


def test_a_gain_is_split_as_in_the_book():
    """Against images that are counted one by one."""
    pixels = 100
    systems = [(0.9, 0.6, 0.1, 0.8), (0.7, 0.8, 0.2, 0.5)]  # benign, malignant, missed, d
    tables, given = [], []
    for benign, malignant, missed, d in systems:
        rows = []
        for label, right in enumerate((benign, malignant)):
            count = 1000  # images of the class
            empty = round(missed * count)
            good = round(right * (count - empty))
            for i in range(count):
                own, other = (
                    {"inter": 0, "pred": 0, "true": pixels},
                    dict.fromkeys(("inter", "pred", "true"), 0),
                )
                if i < good:
                    own |= {"inter": round(d * pixels), "pred": pixels}
                elif i < count - empty:
                    other["pred"] = pixels
                names = ("benign", "malignant") if label == 0 else ("malignant", "benign")
                row = {"label": label}
                for name, part in zip(names, (own, other), strict=True):
                    row |= {f"{name}_{key}": value for key, value in part.items()}
                rows.append(row)
        tables.append(pd.DataFrame(rows))
        keys = ("benign", "malignant", "missed", "d")
        given.append(dict(zip(keys, (benign, malignant, missed, d), strict=True)) | {"share": 0.5})
    (page,) = node({"gain": [given]})["gain"]
    splits = [figures.split_dice(table) for table in tables]
    for one, table in zip(("a", "b"), tables, strict=True):
        ours = summarise(table)
        assert page[one]["all"] == pytest.approx(ours["dice_paper_mean"])
        assert page[one]["own"] == pytest.approx(ours["dice_class_mean"])
    ours = figures.split_gain(*splits)
    assert list(page["parts"].values()) == pytest.approx(list(ours.values())[1:])
    made = explorables.made_of({"per_image": tables[0].to_dict("list")}, "a")
    assert list(made.values()) == pytest.approx(systems[0])
