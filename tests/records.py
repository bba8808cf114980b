"""Records of runs as small as they can be, and what an HTML table says."""

import re

import numpy as np
import pandas as pd

from book.kit.figures import MINUS

PAINTED = ("benign", "malignant")
# A benign and a malignant nodule; T1 and T3 contradict each other in the second image.
TWO_IMAGES = {
    "case": ["a", "b"],
    "group": ["a", "b"],
    "label": [0, 1],
    "p_malignant": [0.2, 0.45],
    "seg_as_cls": [0, 1],
    "seg_as_cls_p": [0.4, 0.7],
    "benign_inter": [5, 0],
    "benign_pred": [6, 1],
    "benign_true": [8, 0],
    "malignant_inter": [0, 4],
    "malignant_pred": [1, 5],
    "malignant_true": [0, 9],
    "seg2seg3_inter": [6, 5],
    "seg2seg3_union": [8, 8],
    "nodule_inter": [6, 7],
    "nodule_pred": [7, 8],
    "nodule_true": [8, 9],
}


def some_rows(images=40, wrong_maps=0.3, seed=0):
    """Rows as `count_batch` gives them; in a share of the images T3 names the other class."""
    rng = np.random.default_rng(seed)
    label = np.arange(images) % 2
    score = np.clip(label * 0.5 + rng.random(images) * 0.6, 0.01, 0.99).round(3)
    painted = np.where(rng.random(images) < wrong_maps, score <= 0.5, score > 0.5).astype(int)
    size = rng.integers(50, 99, images)
    rows = {
        "case": [f"case {k}" for k in range(images)],
        "group": [f"patient {k // 2}" for k in range(images)],
        "label": label,
        "p_malignant": score,
        "seg_as_cls": painted,
        "seg_as_cls_p": np.where(painted, 0.7, 0.3),
    }
    for k, name in enumerate(PAINTED):
        rows[f"{name}_inter"] = np.where((label == k) & (painted == k), size - 9, 0)
        rows[f"{name}_pred"] = np.where(painted == k, size, 0)
        rows[f"{name}_true"] = np.where(label == k, size, 0)
    rows |= {"nodule_inter": size - 9, "nodule_pred": size, "nodule_true": size}
    return pd.DataFrame(rows)


def record(experiment="ms-mtl", seed=0, rows=None, **changes):
    rows = some_rows() if rows is None else rows
    history = [
        {
            "epoch": epoch,
            "train": {"T1 BCE": 0.7 / epoch, "total": 2 / epoch},
            "valid": {"T1 BCE": 0.8 / epoch, "total": 2.5 / epoch},
        }
        for epoch in (1, 2, 3)
    ]
    return {
        "experiment": experiment,
        "source": "phantom",
        "profile": "smoke",
        "seed": seed,
        "parameters": {"encoder": "resnet18", "size": 64, "precision_used": "float32"},
        "data": {"fingerprint": "0123456789abcdef"},
        "versions": {"python": "3.11.7"},
        "commit": "f" * 40 + "-changed",
        "code": {},
        "machine": {"device": "cpu"},
        "seconds": {"total": 90.0, "epoch": [1.0, 2.0]},
        "memory_mb": 512.4,
        "model": {"parameters": 1_500_000},
        "history": history,
        "per_image": {name: rows[name].tolist() for name in rows},
    } | changes


def cells(table):
    """The text of an HTML table, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)
    plain = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in plain]


def as_numbers(text):
    return [float(n) for n in re.findall(r"[-+]?\d+\.\d", text.replace(MINUS, "-"))]
