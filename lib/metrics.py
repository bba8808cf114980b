"""The measures: one row of counts per image, and every number of Tables 1 and 3 from those rows.

Rows are kept, not means, so that intervals, paired tests and figures need no second pass over the
images. Eq. 10 to 12 of Kang et al. 2022; predictions are the most probable class everywhere. Two
classes are the paper's, benign and malignant; three and more bring names of their own.
"""

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from . import checks, consistency
from .cases import CLASSES

MALIGNANT = CLASSES.index("malignant")  # the positive one of two classes
JOINT = "joint_"  # begins the columns of the answers that were decided together


def means(classes: Sequence[str] = CLASSES) -> dict[str, tuple[str, ...]]:
    """The measures that are the mean of one measure per class, and the names of those.

    >>> means()["dice_class_mean"]
    ('dice_class_benign', 'dice_class_malignant')
    """
    stems = {f"{shape}_{kind}_mean": f"{shape}_{kind}" for shape, kind in _OVERLAPS}
    if len(classes) > 2:
        stems |= {"F1_macro": "F1", "F1_seg_macro": "F1_seg"}
    return {mean: tuple(f"{stem}_{name}" for name in classes) for mean, stem in stems.items()}


_OVERLAPS = [(shape, kind) for shape in ("dice", "iou") for kind in ("paper", "class")]
MEANS = means()


@torch.no_grad()
def count_batch(
    *,
    mask: Tensor,
    label: Tensor,
    cls: Tensor | None = None,
    seg2: Tensor | None = None,
    seg3: Tensor | None = None,
    classes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row per image with the counts that every measure follows from.

    `mask` (N, H, W) holds 0 background, 1..K the class of a nodule, K+1 a nodule of unknown class;
    `label` (N,) 0..K-1, -1 none; the predictions are probabilities, cls (N, K), seg2 (N, 2, H, W),
    seg3 (N, K+1, H, W), on one device; leave out a task that the network lacks. Two classes are
    benign and malignant; three and more are called `classes`, or else class1, class2, ...

    Columns (absent where a task is absent):
    `label`; `p_malignant`, from cls; `seg_as_cls` (Alg. 1; -1 if no pixel is predicted a nodule)
    and `seg_as_cls_p`, its probability of malignant; `{benign,malignant,nodule}_{inter,pred,true}`
    in pixels, the nodule from seg2 if there is one, else from seg3's classes together;
    `seg2seg3_{inter,union}`, the nodule in seg2 against the one in seg3;
    `seg3seg2_{benign,malignant}_{inter,union}`, seg3 against Seg2-as-Seg3. An image with a nodule
    of unknown class has NaN for `{benign,malignant}_*`. For K > 2 the classes' names take the place
    of benign and malignant, and each class has its `p_*` and `seg_as_cls_p_*`.

    A network with cls and seg2 but no seg3 has its classes' pixels from Seg2-as-Seg3 (Alg. 2):
    seg2's nodule, all of it in the class that cls finds most probable. It cannot contradict
    itself, so it has no `seg_as_cls*`, `seg2seg3_*` and `seg3seg2_*`.

    Raises ValueError for wrong shapes, values or names.

    >>> seg2 = torch.tensor([[[[0.9, 0.2]], [[0.1, 0.8]]]])  # (1, 2, 1, 2)
    >>> cls = torch.tensor([[0.7, 0.3]])
    >>> mask, label = torch.tensor([[[1, 1]]]), torch.tensor([0])
    >>> rows = count_batch(mask=mask, label=label, cls=cls, seg2=seg2)
    >>> rows[["benign_inter", "benign_pred", "benign_true", "malignant_pred"]].iloc[0].tolist()
    [1, 1, 2, 0]
    """
    given = checks.probabilities(cls=cls, seg2=seg2, seg3=seg3)
    cls, seg2, seg3 = (given.get(name) for name in ("cls", "seg2", "seg3"))
    names = _names(cls, seg3, classes)
    mask, label = _truth(mask, label, len(names) if names else None)
    for name, values in given.items():
        checks.fit(name, values, "mask", mask)

    rows = {"label": label}
    if cls is not None:
        cls = cls.double()
        share = cls / cls.sum(1, keepdim=True)  # of two, malignant is above .5 if it is the argmax
        rows |= _scores("p", share, names)
    nodule2 = named2 = planes3 = None
    if seg2 is not None:
        nodule2 = seg2[:, 1] > seg2[:, 0]
        if cls is not None:
            chosen = cls.argmax(1)[:, None, None]
            named2 = [nodule2 & (chosen == index) for index in range(len(names))]
    if seg3 is not None:
        planes3 = _planes(seg3)
        nodule3 = reduce(torch.logical_or, planes3)
        with checks.trusted():  # looked at above
            as_cls = consistency.seg_as_cls(seg3)
        rows["seg_as_cls"] = torch.where(nodule3.any(1).any(1), as_cls.argmax(1), -1)
        rows |= _scores("seg_as_cls_p", as_cls.double(), names)

    planes = planes3 or named2
    if planes is not None:
        for index, (name, plane) in enumerate(zip(names, planes, strict=True)):
            rows |= _area(name, plane, mask == index + 1)
    if seg2 is not None and seg3 is not None:
        rows |= _union("seg2seg3", nodule2, nodule3)
        for name, one, other in zip(names, planes3, named2 or [], strict=False):
            rows |= _union(f"seg3seg2_{name}", one, other)
    if seg2 is not None or seg3 is not None:
        rows |= _area("nodule", nodule3 if seg2 is None else nodule2, mask > 0)
    whole = [column for column, values in rows.items() if not values.is_floating_point()]
    if planes is not None:
        unknown = (mask == len(names) + 1).any(1).any(1)
        for column in (column for name in names for column in _parts([name])[name]):
            rows[column] = torch.where(unknown, torch.nan, rows[column].double())
    # One transfer for all columns: a GPU would wait for each.
    numbers = torch.stack([values.double() for values in rows.values()]).cpu().numpy()
    table = pd.DataFrame(dict(zip(rows, numbers, strict=True)))
    return table.astype({c: np.int64 for c in whole if table[c].notna().all()})


def beside(rows: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """The rows of `count_batch`, and beside them those of other answers to the same images.

    The columns of `answers` are called `joint_*`, but for the truth's, which `rows` has already.

    >>> rows = pd.DataFrame({"label": [1], "p_malignant": [0.3]})
    >>> beside(rows, rows.assign(p_malignant=0.6)).to_dict("list")
    {'label': [1], 'p_malignant': [0.3], 'joint_p_malignant': [0.6]}
    """
    new = answers[[name for name in answers if not _is_truth(name)]].add_prefix(JOINT)
    return pd.concat([rows, new], axis=1)


def decided(rows: pd.DataFrame) -> pd.DataFrame:
    """The same images with the answers that were decided together in the place of the raw ones.

    `rows` with columns `joint_*`, from `lib.learner.predict`. ValueError if there are none.

    >>> rows = pd.DataFrame({"label": [1], "p_malignant": [0.3], "joint_p_malignant": [0.6]})
    >>> [summarise(some)["ACC"] for some in (rows, decided(rows))]
    [0.0, 1.0]
    """
    answers = {name: name.removeprefix(JOINT) for name in rows if name.startswith(JOINT)}
    if not answers:
        raise ValueError("rows hold no joint answers; a network needs a class and a map for them")
    return rows[[*filter(_is_truth, rows), *answers]].rename(columns=answers)


def _is_truth(column: str) -> bool:
    return column in ("case", "group", "label") or column.endswith("_true")


def classes_of(rows: pd.DataFrame) -> tuple[str, ...]:
    """The names of the classes that the rows of `count_batch` tell apart, in their order.

    >>> classes_of(pd.DataFrame({"label": [2], "p_a": [0.1], "p_b": [0.2], "p_c": [0.7]}))
    ('a', 'b', 'c')
    >>> classes_of(pd.DataFrame({"label": [1], "p_malignant": [0.7]}))
    ('benign', 'malignant')
    """
    return _named_in(rows) or CLASSES


def as_ratios(rows: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every measure but AUCs and means over classes, as a numerator and a denominator per image.

    A measure is the ratio of the two sums. Most are plain means: the denominator is 1 for images
    that enter and 0 for the others. The bootstrap in `book.kit.stats` re-weights the same numbers.

    >>> rows = pd.DataFrame({"label": [0, 1, -1], "p_malignant": [0.2, 0.4, 0.9]})
    >>> as_ratios(rows)["ACC"]  # right, wrong, no label
    (array([1., 0., 0.]), array([1., 1., 0.]))
    """
    _check(rows)
    classes = classes_of(rows)
    numbers = {"label", "seg_as_cls", *_score_columns("p", classes), *_count_columns(classes)}
    column = {name: rows[name].to_numpy(float) for name in rows if name in numbers}
    ratios = {}
    every = np.ones(len(rows), bool)

    def mean(name: str, values: np.ndarray, where: np.ndarray = every) -> None:
        where = where & ~np.isnan(values)
        ratios[name] = np.where(where, values, 0.0), where.astype(float)

    answers = {"": _argmax(column, classes), "_seg": column.get("seg_as_cls")}
    for suffix, answer in answers.items():
        if answer is None:
            continue
        known = (column["label"] >= 0) & ~np.isnan(answer)
        mean(f"ACC{suffix}", (answer == column["label"]).astype(float), known)
        for index, ending in _positives(classes):
            truth, guess = known & (column["label"] == index), known & (answer == index)
            if len(classes) == 2 and not suffix:
                mean("PRE", truth.astype(float), guess)
                mean("REC", guess.astype(float), truth)
            both = (truth & guess).astype(float)
            ratios[f"F1{suffix}{ending}"] = both, (truth.astype(float) + guess) / 2
    for name in (*classes, "nodule"):
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
    pairs = {"seg2": "seg2seg3"} | {f"seg3_{name}": f"seg3seg2_{name}" for name in classes}
    for name, pair in pairs.items():
        if f"{pair}_inter" in column:
            agreement = _ratio_or_one(column[f"{pair}_inter"], column[f"{pair}_union"])
            mean(f"inconsis_{name}", 1 - agreement)
    one, other = answers.values()
    if one is not None and other is not None:
        both = ~np.isnan(one) & ~np.isnan(other)
        mean("inconsis_cls", (one != other).astype(float), both)  # -1 differs from every class
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

    Derived, not in the paper: `ACC_seg`, `F1_seg` and `AUC_seg` take the class from seg3 alone
    (Seg-as-Cls, Alg. 1), so that a network without cls can be compared. An image with no nodule
    pixel counts as wrong in ACC_seg, as not malignant in F1_seg, and as an even .5 in AUC_seg.

    Three and more classes have the same measures by their names, but in place of PRE, REC, F1 and
    AUC an F1 for each class against the rest (`F1_*`), its mean `F1_macro`, and `AUC_macro`, the
    mean of the one-against-rest AUCs; likewise `F1_seg_*`, `F1_seg_macro` and `AUC_seg_macro`.
    A measure that cannot be computed is absent. Raises ValueError for unusable rows.

    >>> rows = pd.DataFrame({"label": [0, 1, 1, 0], "p_malignant": [0.2, 0.9, 0.4, 0.3]})
    >>> {name: round(value, 3) for name, value in summarise(rows).items()}
    {'ACC': 0.75, 'PRE': 1.0, 'REC': 0.5, 'F1': 0.667, 'AUC': 1.0}
    """
    classes = classes_of(rows)
    summary = {
        name: float(numerator.sum() / denominator.sum())
        for name, (numerator, denominator) in as_ratios(rows).items()
        if denominator.sum() > 0
    }
    for name, parts in means(classes).items():
        if all(part in summary for part in parts):
            summary[name] = sum(summary[part] for part in parts) / len(parts)
    for name, stem in (("AUC", "p"), ("AUC_seg", "seg_as_cls_p")):
        areas = [
            _area_under_curve(rows, index, column)
            for (index, _), column in zip(
                _positives(classes), _score_columns(stem, classes), strict=True
            )
        ]
        if None not in areas:
            summary[name if len(areas) == 1 else f"{name}_macro"] = sum(areas) / len(areas)
    return summary


def classified(
    rows: pd.DataFrame, score: str = "p_malignant"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each image: has it both a label and a prediction, is it malignant, with what score.

    `score` is the column to take it from: "p_malignant", or "seg_as_cls_p" for the class read off
    seg3. Raises ValueError for unusable rows, and for rows of more than two classes.

    >>> rows = pd.DataFrame({"label": [0, 1, -1], "p_malignant": [0.2, 0.4, 0.9]})
    >>> [values.tolist() for values in classified(rows)]
    [[True, True, False], [False, True, False], [0.2, 0.4, 0.9]]
    """
    _check(rows)
    if len(classes := classes_of(rows)) > 2:
        raise ValueError(
            f"rows tell {len(classes)} classes apart ({', '.join(classes)}), but this is about "
            "benign and malignant; use summarise, or one class against the rest"
        )
    return _scored(rows, MALIGNANT, score)


# ------------------------------------------------------------------------------------------ classes


def _names(
    cls: Tensor | None, seg3: Tensor | None, classes: Sequence[str] | None
) -> tuple[str, ...] | None:
    """What the classes are called; None if nothing tells how many there are."""
    if isinstance(classes, str):
        raise ValueError(f"classes is the text {classes!r}; pass a sequence of names")
    names = None if classes is None else tuple(classes)
    if cls is not None or seg3 is not None:
        count = cls.shape[1] if seg3 is None else seg3.shape[1] - 1
        if names is None:
            return CLASSES if count == 2 else tuple(f"class{k}" for k in range(1, count + 1))
        if len(names) != count:
            raise ValueError(f"classes names {len(names)} classes but the network has {count}")
    if names is None:
        return None
    if len({*names, "nodule"}) != len(names) + 1:
        raise ValueError(f"classes are {', '.join(names)}; they must differ, and none be 'nodule'")
    if len(names) <= 2 and names != CLASSES:
        raise ValueError(
            f"classes are {', '.join(names)}; two classes are always called {', '.join(CLASSES)} "
            "(the second is the positive one), so leave the names out"
        )
    return names


def _named_in(rows: pd.DataFrame) -> tuple[str, ...]:
    """The classes named in the columns; none if these are only about outlines."""
    for before, after in (("p_", ""), ("", "_true")):
        found = tuple(
            name.removeprefix(before).removesuffix(after)
            for name in rows
            if name.startswith(before) and name.endswith(after) and name != "nodule_true"
        )
        if found:
            return found if len(found) > 2 else CLASSES
    return ()


def _positives(classes: Sequence[str]) -> list[tuple[int, str]]:
    """Which classes are positive in turn, and how the measure's name then ends."""
    if len(classes) == 2:
        return [(MALIGNANT, "")]
    return [(index, f"_{name}") for index, name in enumerate(classes)]


def _score_columns(stem: str, classes: Sequence[str]) -> list[str]:
    if len(classes) == 2:
        return ["p_malignant" if stem == "p" else stem]
    return [f"{stem}_{name}" for name in classes]


def _parts(classes: Sequence[str]) -> dict[str, list[str]]:
    """The columns of pixel counts, together where one needs the others."""
    parts = {name: ("inter", "pred", "true") for name in (*classes, "nodule")} | {
        pair: ("inter", "union") for pair in ("seg2seg3", *(f"seg3seg2_{n}" for n in classes))
    }
    return {stem: [f"{stem}_{part}" for part in ends] for stem, ends in parts.items()}


def _count_columns(classes: Sequence[str]) -> Iterator[str]:
    return (column for columns in _parts(classes).values() for column in columns)


# ------------------------------------------------------------------------------------------ numbers


def _argmax(column: dict[str, np.ndarray], classes: Sequence[str]) -> np.ndarray | None:
    """The class that cls finds most probable, NaN where there is no answer; None without cls."""
    names = _score_columns("p", classes)
    if any(name not in column for name in names):
        return None
    scores = np.stack([column[name] for name in names])
    chosen = scores[0] > 0.5 if len(names) == 1 else scores.argmax(0)
    return np.where(np.isnan(scores).any(0), np.nan, chosen.astype(float))


def _scored(
    rows: pd.DataFrame, index: int, column: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    label = rows["label"].to_numpy(float)
    score = rows[column].to_numpy(float) if column in rows else label * np.nan
    known = (label >= 0) & ~np.isnan(score)
    return known, known & (label == index), score


def _area_under_curve(rows: pd.DataFrame, index: int, column: str) -> float | None:
    known, truth, score = _scored(rows, index, column)
    if not 0 < truth.sum() < known.sum():
        return None
    return float(roc_auc_score(truth[known], score[known]))


def _ratio_or_one(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole == 0, 1.0, part / np.where(whole == 0, 1.0, whole))


# ------------------------------------------------------------------------------------------- pixels


def _planes(seg3: Tensor) -> list[Tensor]:
    """Seg3's argmax as one Boolean plane per class; ties go to the first, as in torch.argmax."""
    background, *classes = seg3.unbind(1)  # argmax over few planes is far slower
    planes, best = [], background
    for values in classes:
        higher = values > best
        planes = [plane & ~higher for plane in planes] + [higher]
        best = torch.maximum(best, values)
    return planes


def _scores(stem: str, values: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    channels = [MALIGNANT] if len(names) == 2 else range(len(names))
    columns = _score_columns(stem, names)
    return {column: values[:, k] for column, k in zip(columns, channels, strict=True)}


def _area(name: str, pred: Tensor, true: Tensor) -> dict[str, Tensor]:
    counts = (pred & true, pred, true)
    return {
        f"{name}_{part}": count.sum((1, 2))
        for part, count in zip(("inter", "pred", "true"), counts, strict=True)
    }


def _union(pair: str, one: Tensor, other: Tensor) -> dict[str, Tensor]:
    return {f"{pair}_inter": (one & other).sum((1, 2)), f"{pair}_union": (one | other).sum((1, 2))}


# ------------------------------------------------------------------------------------------- checks


def _truth(mask: Tensor, label: Tensor, classes: int | None) -> tuple[Tensor, Tensor]:
    mask = checks.integers("mask", mask, 0, classes and classes + 1, "(N, H, W)")
    label = checks.integers("label", label, -1, classes and classes - 1, "(N,)")
    if len(mask) != len(label):
        raise ValueError(f"mask has {len(mask)} images but label has {len(label)}")
    return mask, label


def _check(rows: pd.DataFrame) -> None:
    if not len(rows):
        raise ValueError("rows is empty; there is nothing to measure")
    if "label" not in rows:
        raise ValueError("rows has no column 'label'; pass the rows that count_batch gave")
    classes = classes_of(rows)
    for stem, columns in _parts(classes).items():
        missing = [column for column in columns if column not in rows]
        if 0 < len(missing) < len(columns):
            raise ValueError(f"rows has some columns {stem}_* but lacks {', '.join(missing)}")
    label = rows["label"].to_numpy(float)
    highest = len(classes) - 1 if _named_in(rows) else np.inf
    wrong = ~((label >= -1) & (label <= highest) & (label == np.round(label)))
    if wrong.any():
        where = int(np.argmax(wrong))
        known = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
        raise ValueError(
            f"rows: label is {label[where]:g} in row {where}; expected {known} or -1 none"
        )
