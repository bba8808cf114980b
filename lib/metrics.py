"""The measures: one row of counts per image, and every number of Tables 1 and 3 from those rows.

Rows are kept, not means, so that intervals, paired tests and figures need no second pass over the
images. Eq. 10 to 12 of Kang et al. 2022; predictions are the most probable class everywhere.
"""

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from . import consistency
from .cases import CLASSES
from .losses import as_probabilities

UNKNOWN = len(CLASSES) + 1  # mask value of a nodule without a class
BENIGN, MALIGNANT = range(len(CLASSES))

# The pixel counts of a row, by what they compare
COUNTS = {name: ("inter", "pred", "true") for name in (*CLASSES, "nodule")} | {
    pair: ("inter", "union") for pair in ("seg2seg3", *(f"seg3seg2_{name}" for name in CLASSES))
}

# Measures that are the mean of the two classes' measures
MEANS = {
    f"{shape}_{convention}_mean": tuple(f"{shape}_{convention}_{name}" for name in CLASSES)
    for shape in ("dice", "iou")
    for convention in ("paper", "class")
}


@torch.no_grad()
def count_batch(
    *,
    mask: Tensor,
    label: Tensor,
    cls: Tensor | None = None,
    seg2: Tensor | None = None,
    seg3: Tensor | None = None,
) -> pd.DataFrame:
    """One row per image with the counts that every measure follows from.

    `mask` (N, H, W) holds 0 background, 1 benign, 2 malignant, 3 nodule of unknown class; `label`
    (N,) 0 benign, 1 malignant, -1 none; the predictions are probabilities, cls (N, 2), seg2
    (N, 2, H, W), seg3 (N, 3, H, W), on one device; leave out a task that the network lacks.

    Columns (absent where a task is absent):
    `label`; `p_malignant`, from cls; `seg_as_cls` (Alg. 1; -1 if no pixel is predicted a nodule)
    and `seg_as_cls_p`, its probability of malignant; `{benign,malignant,nodule}_{inter,pred,true}`
    in pixels, the nodule from seg2 if there is one, else from seg3's two classes together;
    `seg2seg3_{inter,union}`, the nodule in seg2 against the one in seg3;
    `seg3seg2_{benign,malignant}_{inter,union}`, seg3 against Seg2-as-Seg3. An image with a nodule
    of unknown class has NaN for `{benign,malignant}_*`. Raises ValueError for wrong shapes, values
    or NaN.
    """
    mask, label = _truth(mask, label)
    rows = {"label": label}
    painted = None
    if cls is not None:
        cls = as_probabilities("cls", cls, maps=False, channels=2).double()
        _fits("cls", cls, mask)
        rows["p_malignant"] = cls[:, MALIGNANT] / cls.sum(1)  # above .5 exactly if it is the argmax
    if seg3 is not None:
        seg3 = as_probabilities("seg3", seg3, maps=True, channels=UNKNOWN)
        _fits("seg3", seg3, mask)
        painted = _classes_of(seg3)
        as_cls = consistency.seg_as_cls(seg3)
        rows["seg_as_cls"] = torch.where(painted.any((1, 2, 3)), as_cls.argmax(1), -1)
        rows["seg_as_cls_p"] = as_cls[:, MALIGNANT].double()
        unknown = (mask == UNKNOWN).any((1, 2))
        for index, name in enumerate(CLASSES):
            counts = _overlap(painted[:, index], mask == index + 1)
            for column, count in zip(("inter", "pred", "true"), counts, strict=True):
                rows[f"{name}_{column}"] = (
                    torch.where(unknown, torch.nan, count.double()) if unknown.any() else count
                )
    nodule = None if painted is None else painted.any(1)
    if seg2 is not None:
        seg2 = as_probabilities("seg2", seg2, maps=True, channels=2)
        _fits("seg2", seg2, mask)
        nodule2 = seg2[:, 1] > seg2[:, 0]
        if nodule is not None:
            rows |= _union("seg2seg3", nodule2, nodule)
        if painted is not None and cls is not None:
            for index, name in enumerate(CLASSES):
                named = nodule2 & (cls.argmax(1) == index)[:, None, None]
                rows |= _union(f"seg3seg2_{name}", painted[:, index], named)
        nodule = nodule2
    if nodule is not None:
        counts = _overlap(nodule, mask > 0)
        rows |= {f"nodule_{c}": v for c, v in zip(("inter", "pred", "true"), counts, strict=True)}
    return pd.DataFrame({column: values.cpu().numpy() for column, values in rows.items()})


def as_ratios(rows: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every measure but AUC and the class means as a numerator and a denominator per image.

    A measure is the ratio of the two sums. Most are plain means: the denominator is 1 for images
    that enter and 0 for the others. The bootstrap in `lib.stats` re-weights the same numbers.
    """
    _check(rows)
    column = {name: rows[name].to_numpy(float) for name in rows if name in _NUMBERS}
    ratios = {}
    every = np.ones(len(rows), bool)

    def mean(name: str, values: np.ndarray, where: np.ndarray = every) -> None:
        where = where & ~np.isnan(values)
        ratios[name] = np.where(where, values, 0.0), where.astype(float)

    if "p_malignant" in column:
        known, truth, score = classified(rows)
        guess = known & (score > 0.5)
        mean("ACC", (truth == guess).astype(float), known)
        mean("PRE", truth.astype(float), guess)
        mean("REC", guess.astype(float), truth)
        ratios["F1"] = (truth & guess).astype(float), (truth.astype(float) + guess) / 2
    for name in (*CLASSES, "nodule"):
        if f"{name}_inter" not in column:
            continue
        inter, pred, true = (column[f"{name}_{part}"] for part in ("inter", "pred", "true"))
        for shape, total in (("dice", (pred + true) / 2), ("iou", pred + true - inter)):
            value = _ratio_or_one(inter, total)
            if name == "nodule":
                mean(f"{shape}_nodule", value)
            else:
                mean(f"{shape}_paper_{name}", value)
                mean(f"{shape}_class_{name}", value, true > 0)
    for name, pair in (
        ("seg2", "seg2seg3"),
        ("seg3_benign", "seg3seg2_benign"),
        ("seg3_malignant", "seg3seg2_malignant"),
    ):
        if f"{pair}_inter" in column:
            agreement = _ratio_or_one(column[f"{pair}_inter"], column[f"{pair}_union"])
            mean(f"inconsis_{name}", 1 - agreement)
    if "p_malignant" in column and "seg_as_cls" in column:
        both = ~np.isnan(column["p_malignant"]) & ~np.isnan(column["seg_as_cls"])
        differ = column["seg_as_cls"] != (column["p_malignant"] > 0.5)  # -1 differs from both
        mean("inconsis_cls", differ.astype(float), both)
    return ratios


def summarise(rows: pd.DataFrame) -> dict[str, float]:
    """All measures of the rows of `count_batch` (one frame, or several concatenated), 0 to 1.

    ACC, PRE, REC, F1 and AUC take malignant as positive and images with a label (Eq. 10).
    `dice_*` and `iou_*` are means of per-image values (Eq. 11): `_paper_{benign,malignant,mean}`
    over all images with a known class, 1 where prediction and truth are both empty (the
    convention behind the paper's Table 1, under which predicting nothing scores .5);
    `_class_*` over the images whose truth has the class; `_nodule` for any nodule, over all
    images, 1 where both are empty. `inconsis_seg2`, `inconsis_seg3_{benign,malignant}` (1 - IoU,
    0 where both are empty) and `inconsis_cls` (an image without a predicted nodule disagrees with
    either class) compare predictions only, so every image enters (Eq. 12).
    A measure that cannot be computed is absent. Raises ValueError for unusable rows.
    """
    summary = {
        name: float(numerator.sum() / denominator.sum())
        for name, (numerator, denominator) in as_ratios(rows).items()
        if denominator.sum() > 0
    }
    for name, parts in MEANS.items():
        if all(part in summary for part in parts):
            summary[name] = sum(summary[part] for part in parts) / len(parts)
    known, truth, score = classified(rows)
    if 0 < truth.sum() < known.sum():
        summary["AUC"] = float(roc_auc_score(truth[known], score[known]))
    return summary


def classified(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each image: has it both a label and a prediction, is it malignant, with what score."""
    _check(rows)
    label = rows["label"].to_numpy(float)
    score = rows["p_malignant"].to_numpy(float) if "p_malignant" in rows else label * np.nan
    known = (label >= 0) & ~np.isnan(score)
    return known, known & (label == MALIGNANT), score


_NUMBERS = {"label", "p_malignant", "seg_as_cls"} | {
    f"{stem}_{part}" for stem, parts in COUNTS.items() for part in parts
}


def _classes_of(seg3: Tensor) -> Tensor:
    """Seg3's argmax as one Boolean plane per class; ties go to the first, as in torch.argmax."""
    background, benign, malignant = seg3.unbind(1)  # argmax over three planes is far slower
    is_benign = (benign > background) & (benign >= malignant)
    is_malignant = (malignant > background) & (malignant > benign)
    return torch.stack([is_benign, is_malignant], 1)


def _overlap(pred: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(t.sum((1, 2)) for t in (pred & true, pred, true))


def _union(pair: str, one: Tensor, other: Tensor) -> dict[str, Tensor]:
    inter, first, second = _overlap(one, other)
    return {f"{pair}_inter": inter, f"{pair}_union": first + second - inter}


def _ratio_or_one(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole == 0, 1.0, part / np.where(whole == 0, 1.0, whole))


def _truth(mask: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    for name, values, ndim, low, high, shape in (
        ("mask", mask, 3, 0, UNKNOWN, "(N, H, W)"),
        ("label", label, 1, -1, MALIGNANT, "(N,)"),
    ):
        if not isinstance(values, Tensor):
            raise TypeError(f"{name} is a {type(values).__name__}; pass a torch.Tensor {shape}")
        if values.ndim != ndim or not values.numel():
            raise ValueError(f"{name} has shape {tuple(values.shape)}; expected {shape}, not empty")
        if values.is_floating_point() or values.dtype == torch.bool:
            raise ValueError(f"{name} holds {values.dtype}; pass integers {low} to {high}")
        if values.min() < low or values.max() > high:
            raise ValueError(
                f"{name} holds the values {values.min()} to {values.max()}; "
                f"expected {low} to {high}"
            )
    if len(mask) != len(label):
        raise ValueError(f"mask has {len(mask)} images but label has {len(label)}")
    return mask.as_subclass(Tensor), label.as_subclass(Tensor)


def _fits(name: str, values: Tensor, mask: Tensor) -> None:
    shape = tuple(values.shape)
    if shape[0] != mask.shape[0] or (values.ndim == 4 and shape[2:] != tuple(mask.shape[1:])):
        raise ValueError(f"{name} has shape {shape} but mask has {tuple(mask.shape)}")


def _check(rows: pd.DataFrame) -> None:
    if not len(rows):
        raise ValueError("rows is empty; there is nothing to measure")
    if "label" not in rows:
        raise ValueError("rows has no column 'label'; pass the rows that count_batch gave")
    for stem, parts in COUNTS.items():
        missing = [f"{stem}_{part}" for part in parts if f"{stem}_{part}" not in rows]
        if 0 < len(missing) < len(parts):
            raise ValueError(f"rows has some columns {stem}_* but lacks {', '.join(missing)}")
    wrong = ~rows["label"].isin([-1, BENIGN, MALIGNANT])
    if wrong.any():
        raise ValueError(
            f"rows: label is {rows['label'][wrong].iloc[0]} in row {int(np.argmax(wrong))}; "
            "expected 0 benign, 1 malignant or -1 none"
        )
