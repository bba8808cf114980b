"""What a run answers, on the images themselves."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from lib.cases import CLASSES

from .style import CLASS_COLOURS, CLASS_DASHES, CLASS_NAMES, faint, figure, small_titles, text


def pick_cases(rows: pd.DataFrame) -> dict[str, int]:
    """Three telling cases as title -> row number: "Good", "Bad" and "Contradictory".

    Of the images with a nodule: the highest Dice (of the true class; of the nodule where the class
    is unknown or T3 absent) among those in which all tasks are right, the lowest Dice, and, of the
    images in which T1 and T3 name different classes, the one in which both are surest. Without a
    mask it is the probability of the true class that is highest and lowest. Ties go to the first
    row; a kind that does not occur is left out, and no row is picked twice. `rows` as
    `lib.metrics.count_batch` gives them. Raises ValueError for an empty table.

    >>> rows = {"nodule_inter": [8, 2], "nodule_pred": [10, 10], "nodule_true": [10, 10]}
    >>> pick_cases(pd.DataFrame({"label": [0, 1]} | rows))
    {'Good': 0, 'Bad': 1}
    """
    if not len(rows):
        raise ValueError("rows is empty; there is no case to pick")
    dice, label = _quality(rows), rows["label"].to_numpy(float)
    right = dice > 0
    picked: dict[str, int] = {}
    differ = np.zeros(len(rows), bool)
    if "p_malignant" in rows:
        score = rows["p_malignant"].to_numpy(float)
        right &= (label < 0) | ((score > 0.5) == (label == 1))
        if "seg_as_cls" in rows:
            painted = rows["seg_as_cls"].to_numpy(float)
            right &= painted == (score > 0.5)
            differ = (painted >= 0) & (painted != (score > 0.5))
            surest = (
                np.abs(score - 0.5) + np.abs(rows["seg_as_cls_p"].to_numpy(float) - 0.5)
            ).round(9)
            _pick(picked, "Contradictory", surest, differ)
    _pick(picked, "Good", dice, right)
    _pick(picked, "Bad", -dice, ~np.isnan(dice))
    return {title: picked[title] for title in ("Good", "Bad", "Contradictory") if title in picked}


def _pick(picked: dict[str, int], title: str, score: np.ndarray, among: np.ndarray) -> None:
    among = among & ~np.isnan(score) & ~np.isin(np.arange(len(score)), list(picked.values()))
    if among.any():
        picked[title] = int(np.argmax(np.where(among, score, -np.inf)))


def _quality(rows: pd.DataFrame) -> np.ndarray:
    """Dice of each image, the mean over the classes that its truth has; NaN without a nodule.

    Without a mask: the probability of the true class.
    """
    if "nodule_true" not in rows:
        label, score = rows["label"].to_numpy(float), rows["p_malignant"].to_numpy(float)
        return np.where(label < 0, np.nan, np.where(label == 1, score, 1 - score))
    parts = []
    for name in CLASSES:
        if f"{name}_true" in rows:
            inter, pred, true = (
                rows[f"{name}_{part}"].to_numpy(float) for part in ("inter", "pred", "true")
            )
            parts.append(np.where(true > 0, 2 * inter / np.maximum(pred + true, 1), np.nan))
    inter, pred, true = (
        rows[f"nodule_{part}"].to_numpy(float) for part in ("inter", "pred", "true")
    )
    nodule = np.where(true > 0, 2 * inter / np.maximum(pred + true, 1), np.nan)
    if not parts:
        return nodule
    known = ~np.isnan(parts)
    classes = np.nansum(parts, 0) / np.maximum(known.sum(0), 1)
    return np.where(known.any(0), classes, nodule)


def overlays(rows: pd.DataFrame, maps: Mapping[str, Any], picked: Mapping[str, int]) -> go.Figure:
    """A row for each picked case: on the left the truth's outline, on the right the answers.

    rows, maps: what `lib.learner.predict` returns: the table (of it `label`, 0 benign, 1 malignant,
    -1 none) and the arrays image and mask (N, H, W), seg2 and seg3 (N, H, W) and cls (N,), the
    last three where the network has the task. Pixels of mask and seg3: 0 background, 1 benign, 2
    malignant, in the mask also 3 nodule of unknown class; of seg2: 1 nodule; cls: probability of
    malignant. picked: title -> row number, as from `pick_cases`. T3 is filled, T2 a thin line.
    Raises ValueError if nothing is picked or a picture and its masks differ in shape.

    >>> maps = dict.fromkeys(("image", "mask", "seg2"), np.eye(8, dtype=np.uint8)[None])
    >>> overlays(pd.DataFrame({"label": [0]}), maps, {"Good": 0}).layout.meta["alt"][-34:]
    'Good: truth: benign, T2: a nodule.'
    """
    if not picked:
        raise ValueError("no case is picked; give at least one title and row number")
    height = 80 + 240 * len(picked)
    titles, told, panels = [], [], []
    for title, at in picked.items():
        case = {name: np.asarray(values[at]) for name, values in maps.items()}
        for name, values in case.items():
            if name != "cls" and values.shape != case["image"].shape:
                raise ValueError(
                    f"row {at}: the image has shape {case['image'].shape} "
                    f"but {name} has {values.shape}"
                )
        truth = f"truth: {_truth_words(case['mask'], int(rows['label'].iloc[at]))}"
        answers = [f"T1: {_cls_words(float(case['cls']))}"] if "cls" in case else []
        if "seg3" in case:
            answers.append(f"T3: {_map_words(case['seg3'])}")
        elif "seg2" in case:
            answers.append(f"T2: {'a' if case['seg2'].any() else 'no'} nodule")
        titles += [f"<b>{text(title)}</b><br>{truth}", "<br>".join(answers) or " "]
        told.append(f"{text(title)}: {', '.join([truth, *answers])}")
        panels += [(case["image"], [("mask", case["mask"])])]
        panels += [(case["image"], [(n, case[n]) for n in ("seg3", "seg2") if n in case])]
    drawn = make_subplots(
        len(picked),
        2,
        subplot_titles=titles,
        horizontal_spacing=0.04,
        vertical_spacing=46 / height if len(picked) > 1 else 0,
    )
    named: set[str] = set()
    for number, (image, layers) in enumerate(panels):
        where = {"row": number // 2 + 1, "col": number % 2 + 1}
        drawn.add_image(source=_inline(image), zsmooth="fast", hoverinfo="skip", name="", **where)
        for task, values in layers:
            for value in (int(v) for v in np.unique(values) if v):
                x, y = outline(values == value)
                name, colour, dash = CLASS_NAMES[value], CLASS_COLOURS[value], CLASS_DASHES[value]
                if task == "seg2":
                    name, colour, dash = "T2, the outline", "#56b4e9", "dot"
                drawn.add_scatter(
                    x=x,
                    y=y,
                    mode="lines",
                    line={"color": colour, "dash": dash, "width": 2 if task == "seg2" else 3},
                    fill="toself" if task == "seg3" else "none",
                    fillcolor=faint(colour),
                    name=name,
                    legendgroup=name,
                    showlegend=name not in named,
                    hoverinfo="skip",
                    **where,
                )
                named.add(name)
        axis, side = "" if number == 0 else str(number + 1), ("right", "left")[number % 2]
        drawn.update_layout({f"yaxis{axis}": {"scaleanchor": f"x{axis}", "autorange": "reversed"}})
        # The two of a case stay together however wide the page is, their titles above them
        drawn.update_xaxes(constraintoward=side, **where)
        domain = drawn.layout[f"xaxis{axis}"].domain
        drawn.layout.annotations[number].update(x=domain[1 - number % 2], xanchor=side, align=side)
    drawn.update_xaxes(visible=False, constrain="domain")
    drawn.update_yaxes(visible=False, constrain="domain", constraintoward="top")
    small_titles(drawn)
    return figure(
        f"Ultrasound images with outlines, true and answered. {'; '.join(told)}.",
        height=height,
        base=drawn,
        margin={"l": 0, "r": 0, "t": 46, "b": 40},
        legend={"y": -0.01, "yanchor": "top"},
    )


def outline(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The border of a Boolean mask (H, W) as x and y in pixels, closed loops with NaN between.

    The points are the middles of the pixels' outer edges, so a corner is cut, not square.

    >>> x, y = outline(np.array([[True]]))
    >>> x.tolist(), y.tolist()
    ([0.0, 0.5, 0.0, -0.5, 0.0], [-0.5, 0.0, 0.5, 0.0, -0.5])
    """
    inside = np.pad(np.asarray(mask, bool), 1)
    # Each outer edge of a pixel, clockwise, by its ends (row, column) at the pixel's corners
    ahead: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (down, right), start, end in (
        ((-1, 0), (0, 0), (0, 1)),
        ((0, 1), (0, 1), (1, 1)),
        ((1, 0), (1, 1), (1, 0)),
        ((0, -1), (1, 0), (0, 0)),
    ):
        border = inside & ~np.roll(inside, (-down, -right), (0, 1))
        for r, c in np.argwhere(border) - 1:
            first = (int(r) + start[0], int(c) + start[1])
            ahead.setdefault(first, []).append((int(r) + end[0], int(c) + end[1]))
    x, y = [], []
    while ahead:
        begin = here = next(iter(ahead))
        loop = []
        while True:
            there = ahead[here].pop()
            if not ahead[here]:
                del ahead[here]
            loop.append(((here[1] + there[1]) / 2 - 0.5, (here[0] + there[0]) / 2 - 0.5))
            here = there
            if here == begin:
                break
        loop.append(loop[0])
        if x:
            x.append(np.nan)
            y.append(np.nan)
        x += [point[0] for point in loop]
        y += [point[1] for point in loop]
    return np.array(x, np.float32), np.array(y, np.float32)


def _inline(picture: np.ndarray) -> str:
    """A grey picture inside the figure's own JSON: half a byte a pixel, 3 of 255 levels off."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _truth_words(mask: np.ndarray, label: int | None) -> str:
    present = [CLASS_NAMES[int(v)] for v in np.unique(mask) if v]
    if label is not None and label >= 0 and present == [CLASS_NAMES[-1]]:
        present = [CLASSES[label]]
    return " and ".join(present) if present else "no nodule"


def _cls_words(p_malignant: float) -> str:
    sure = max(p_malignant, 1 - p_malignant)
    return f"{CLASSES[p_malignant > 0.5]} ({sure:.2f})"


def _map_words(found: np.ndarray) -> str:
    pixels = {CLASS_NAMES[int(v)]: int((found == v).sum()) for v in np.unique(found) if v}
    if not pixels:
        return "no nodule"
    most = max(pixels, key=pixels.get)
    share = pixels[most] / sum(pixels.values())
    most = "a nodule" if most == CLASS_NAMES[-1] else most
    return most if share > 0.995 else f"{most} ({share:.0%} of it)"
