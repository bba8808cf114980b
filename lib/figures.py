"""The book's figures and tables: each function takes plain results and returns something to show.

Plotly figures on a clear background, in text colours that the page sets, so that they read on
light and dark. Colours are those of Okabe and Ito (2008), safe for colour-blind readers, and never
alone: dashes, symbols or words say the same. Every figure carries its words in
`layout.meta["alt"]`. Tables are strings of HTML that scroll inside themselves on a narrow screen.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
from PIL import Image
from plotly.subplots import make_subplots
from sklearn.metrics import roc_curve

from . import results, stats
from .cases import CLASSES
from .metrics import classified, summarise
from .stats import Interval

pio.renderers.default = "plotly_mimetype"  # a notebook then stores a figure's JSON and no script

# By pixel value of a mask; unknown: a nodule without a class
CLASS_NAMES = ("background", *CLASSES, "unknown class")
CLASS_COLOURS = ("#999999", "#009e73", "#d55e00", "#f0e442")
CLASS_DASHES = ("solid", "solid", "dash", "dot")

# For runs, terms and other series, in this order
COLOURS = ("#0072b2", "#cc79a7", "#009e73", "#e69f00", "#56b4e9", "#d55e00")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x")

NEITHER = "could not be told apart"
MINUS, ABSENT = "\N{MINUS SIGN}", "\N{EN DASH}"

TERMS = ("T1 BCE", "T2 Dice", "T3 Dice", "L_T2T3", "L_T1T3", "L_T1T2T3", "total")

# Every measure of `lib.metrics.summarise`, as a table shows them
SECTIONS = {
    "T1, the class": {
        "ACC": "Accuracy",
        "PRE": "Precision",
        "REC": "Recall (sensitivity)",
        "F1": "F1",
        "AUC": "AUC",
    },
    "T2, the outline": {"dice_nodule": "Dice", "iou_nodule": "IoU"},
    "T3, images of the class": {
        "dice_class_mean": "Dice, mean",
        "dice_class_benign": "Dice, benign",
        "dice_class_malignant": "Dice, malignant",
        "iou_class_mean": "IoU, mean",
        "iou_class_benign": "IoU, benign",
        "iou_class_malignant": "IoU, malignant",
    },
    "T3, all images (the paper's convention)": {
        "dice_paper_mean": "Dice, mean",
        "dice_paper_benign": "Dice, benign",
        "dice_paper_malignant": "Dice, malignant",
        "iou_paper_mean": "IoU, mean",
        "iou_paper_benign": "IoU, benign",
        "iou_paper_malignant": "IoU, malignant",
    },
    "Contradictions (less is better)": {
        "inconsis_cls": "T1 against T3: images",
        "inconsis_seg2": "T2 against T3: 1 - IoU",
        "inconsis_seg3_benign": "T1 and T2 against T3: 1 - IoU, benign",
        "inconsis_seg3_malignant": "T1 and T2 against T3: 1 - IoU, malignant",
    },
}

# The few that a comparison shows, by names that stand alone
HEADLINE = {
    "ACC": "Accuracy",
    "F1": "F1",
    "AUC": "AUC",
    "dice_nodule": "Dice, nodule",
    "dice_class_mean": "Dice, images of the class",
    "dice_paper_mean": "Dice, all images",
    "inconsis_cls": "Contradictions, T1 and T3",
    "inconsis_seg2": "Contradictions, T2 and T3",
    "inconsis_seg3_benign": "Contradictions, benign maps",
    "inconsis_seg3_malignant": "Contradictions, malignant maps",
}

TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        # Grey reads on white and on black; a page of the book puts its own colour in its place
        "font": {"color": "#808080", "size": 13},
        "colorway": COLOURS,
        "margin": {"l": 10, "r": 10, "t": 40, "b": 10},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {
            "title": {"standoff": 8},
            "automargin": True,
            "gridcolor": "rgba(128,128,128,.3)",
            "zeroline": False,
        },
        "yaxis": {"automargin": True, "gridcolor": "rgba(128,128,128,.3)", "zeroline": False},
        "dragmode": False,  # a finger on a figure scrolls the page
    }
)


def figure(
    alt: str, *, height: int = 360, base: go.Figure | None = None, **layout: Any
) -> go.Figure:
    """A figure in the book's style, empty or made from `base`; `alt` says in words what it shows.

    `height` in pixels; the width is the reader's. `layout` as in Plotly. Raises ValueError if
    `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("alt is empty; say in words what the figure shows")
    drawn = go.Figure() if base is None else base
    drawn.update_layout(template=TEMPLATE, height=height, meta={"alt": alt})
    return drawn.update_layout(**layout)


# ---------------------------------------------------------------------------- how a run was trained


def learning_curves(
    history: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]],
) -> go.Figure:
    """One small panel for each loss term by name, over the epochs: training and validation.

    `history` is that of one run (`learn.history`, or a record's "history"), or several by name;
    then a run is a colour. Training is solid, validation dashed. Raises ValueError if there is no
    epoch.
    """
    runs = dict(history) if isinstance(history, Mapping) else {"": history}
    if not any(runs.values()):
        raise ValueError("the history holds no epoch; train at least one")
    seen = {term for run in runs.values() for epoch in run for term in epoch["train"]}
    terms = [*(t for t in TERMS if t in seen), *sorted(seen - set(TERMS))]
    rows = -(-len(terms) // 2)
    height = 90 + 190 * rows
    drawn = make_subplots(
        rows, 2, subplot_titles=terms, horizontal_spacing=0.16, vertical_spacing=56 / height
    )
    told = []
    for panel, term in enumerate(terms):
        where = {"row": panel // 2 + 1, "col": panel % 2 + 1}
        for index, (run, epochs) in enumerate(runs.items()):
            for part, dash, symbol in (
                ("train", "solid", "circle"),
                ("valid", "dash", "diamond"),
            ):
                points = [(e["epoch"], e[part][term]) for e in epochs if term in e[part]]
                if not points:
                    continue
                name = {"train": "training", "valid": "validation"}[part]
                x, y = zip(*points, strict=True)
                drawn.add_scatter(
                    x=x,
                    y=[round(value, 5) for value in y],
                    mode="lines+markers" if len(x) <= 30 else "lines",
                    line={"color": COLOURS[_colour(runs, index, part)], "dash": dash, "width": 2},
                    marker={"symbol": symbol, "size": 6},
                    name=f"{run}, {name}" if run else name,
                    legendgroup=f"{run} {name}",
                    # the total has every run and part: its entries stand for all panels
                    showlegend=term == terms[-1],
                    **where,
                )
                told.append(
                    f"{term}{' of ' + run if run else ''}, {name}: {y[0]:.3g} to {y[-1]:.3g}"
                )
        if panel >= len(terms) - 2:
            drawn.update_xaxes(title_text="epoch", **where)
    drawn.update_xaxes(tickformat="d", nticks=6)
    _small_titles(drawn)
    return figure(
        f"Loss terms from the first epoch to the last. {'; '.join(told)}.",
        height=height,
        base=drawn,
        margin={"t": 40},
        legend={"y": 1 + 30 / height},
    )


def _colour(runs: Mapping, index: int, part: str) -> int:
    return index if len(runs) > 1 else ("train", "valid").index(part)


def _small_titles(drawn: go.Figure) -> None:
    drawn.update_annotations(font_size=13)


# ------------------------------------------------------------------------------- what a run answers


def pick_cases(rows: pd.DataFrame) -> dict[str, int]:
    """Three telling cases as title -> row number: "Good", "Bad" and "Contradictory".

    Of the images with a nodule: the highest Dice (of the true class; of the nodule where the class
    is unknown or T3 absent) among those in which all tasks are right, the lowest Dice, and, of the
    images in which T1 and T3 name different classes, the one in which both are surest. Ties go to
    the first row; a kind that does not occur is left out, and no row is picked twice. `rows` as
    `lib.metrics.count_batch` gives them. Raises ValueError for an empty table.
    """
    if not len(rows):
        raise ValueError("rows is empty; there is no case to pick")
    dice, label = _dice(rows), rows["label"].to_numpy(float)
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


def _dice(rows: pd.DataFrame) -> np.ndarray:
    """Dice of each image, the mean over the classes that its truth has; NaN without a nodule."""
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
        titles += [f"<b>{escape(title)}</b><br>{truth}", "<br>".join(answers) or " "]
        told.append(f"{title}: {', '.join([truth, *answers])}")
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
        drawn.add_image(source=_png(image), zsmooth="fast", hoverinfo="skip", name="", **where)
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
                    fillcolor=_faint(colour),
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
    _small_titles(drawn)
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


def _png(picture: np.ndarray) -> str:
    """A grey picture inside the figure's own JSON: about a byte a pixel."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _faint(colour: str) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},.25)"


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


# -------------------------------------------------------------------------------- runs side by side


def roc(records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None) -> go.Figure:
    """The ROC curves of several runs on their test images, with AUC and its 95 % interval.

    records: as `lib.results.load` gives them; titles: experiment -> name to show. Intervals are
    bootstraps over patients. Raises ValueError if no run has classes to compare.
    """
    drawn = go.Figure()
    told = []
    for index, (name, record) in enumerate(_named(records, titles).items()):
        rows = results.rows(record)
        known, truth, score = classified(rows)
        if not 0 < truth.sum() < known.sum():
            continue
        false, true, _ = roc_curve(truth[known], score[known])
        auc = _words(stats.bootstrap_interval(rows, "AUC", groups=_groups(rows)))
        told.append(f"{name}: AUC {auc}")
        drawn.add_scatter(
            x=false.round(4),
            y=true.round(4),
            mode="lines",
            line={"color": COLOURS[index % 6], "dash": DASHES[index % 6], "width": 2.5},
            name=f"{name}<br>AUC {auc} %",
        )
    if not told:
        raise ValueError("no run has benign and malignant test images with a predicted class")
    drawn.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": "#808080", "width": 1},
        name="chance",
        showlegend=False,
        hoverinfo="skip",
    )
    return figure(
        f"ROC curves, malignant as positive, in per cent. {'; '.join(told)}.",
        height=440,
        base=drawn,
        xaxis={"title": "1 - specificity", "range": [-0.01, 1.01], "constrain": "domain"},
        yaxis={
            "title": "sensitivity",
            "range": [-0.01, 1.01],
            "scaleanchor": "x",
            "constrain": "domain",
        },
    )


def comparison(
    records: Sequence[Mapping[str, Any]],
    measures: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> go.Figure:
    """The headline measures of several runs as dots with 95 % intervals, in per cent.

    measures: measure -> name to show (default `HEADLINE`); those that no run has are left out;
    titles as in `roc`. Raises ValueError if there is nothing to show.
    """
    named = _named(records, titles)
    found = {name: intervals(record, measures or HEADLINE) for name, record in named.items()}
    shown = [m for m in measures or HEADLINE if any(m in values for values in found.values())]
    if not shown:
        raise ValueError("no run has any of the measures asked for")
    drawn = go.Figure()
    told = []
    for index, (name, values) in enumerate(found.items()):
        there = [m for m in shown if m in values]
        points = np.array([values[m] for m in there]) * 100
        step = 0.36 / max(len(found) - 1, 1)
        drawn.add_scatter(
            x=points[:, 0].round(2),
            y=[shown.index(m) + step * (index - (len(found) - 1) / 2) for m in there],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (points[:, 2] - points[:, 0]).round(2),
                "arrayminus": (points[:, 0] - points[:, 1]).round(2),
                "thickness": 2,
                "width": 4,
            },
            mode="markers",
            marker={"color": COLOURS[index % 6], "symbol": SYMBOLS[index % 6], "size": 10},
            name=name,
            hovertemplate="%{x:.1f} %",
        )
        told += [f"{name}, {(measures or HEADLINE)[m]} {_words(values[m])}" for m in there]
    return figure(
        f"Measures of each run in per cent, with 95 % intervals. {'; '.join(told)}.",
        height=110 + 46 * len(shown),
        base=drawn,
        margin={"r": 30},
        xaxis={"range": [0, 101], "ticksuffix": " %"},
        yaxis={
            "tickvals": list(range(len(shown))),
            "ticktext": [_wrapped((measures or HEADLINE)[m]) for m in shown],
            "range": [len(shown) - 0.4, -0.6],
            "showgrid": False,
        },
    )


def intervals(
    record: Mapping[str, Any], measures: Sequence[str] | Mapping[str, str]
) -> dict[str, Interval]:
    """The measures that a run has, each with its 95 % bootstrap interval over patients."""
    rows = results.rows(record)
    has = summarise(rows)
    return {
        m: stats.bootstrap_interval(rows, m, groups=_groups(rows)) for m in measures if m in has
    }


def verdict(difference: Interval) -> str:
    """What an interval of a difference lets us say: "rose", "fell" or "could not be told apart"."""
    if difference.low > 0:
        return "rose"
    return "fell" if difference.high < 0 else NEITHER


def measures_table(
    records: Sequence[Mapping[str, Any]],
    paper: Mapping[str, Mapping[str, float]] | None = None,
    titles: Mapping[str, str] | None = None,
) -> str:
    """All measures of several runs in per cent, with 95 % intervals, one column for each run.

    paper: experiment -> the paper's values as fractions, shown in a column of their own, marked;
    titles as in `roc`. Raises ValueError if there is no run.
    """
    if not records:
        raise ValueError("there is no run to show")
    named = _named(records, titles)
    every = [measure for section in SECTIONS.values() for measure in section]
    found = {name: intervals(record, every) for name, record in named.items()}
    theirs = {
        experiment: (titles or {}).get(experiment, experiment)
        for experiment in dict.fromkeys(record["experiment"] for record in records)
        if (paper or {}).get(experiment)
    }
    head = ["in %", *named, *(f"{title}<br><i>in the paper*</i>" for title in theirs.values())]
    body: list[list[str] | str] = []
    for section, measures in SECTIONS.items():
        lines = [
            [
                name,
                *(_cell(values.get(measure)) for values in found.values()),
                *(_number(paper[experiment].get(measure)) for experiment in theirs),
            ]
            for measure, name in measures.items()
            if any(measure in values for values in found.values())
        ]
        body += [section, *lines] if lines else []
    note = (
        "* Kang et al. 2022, Tables 1 and 3: other images (private), so no yardstick for these."
        if theirs
        else ""
    )
    return table(head, body, note)


def differences(
    record: Mapping[str, Any],
    other: Mapping[str, Any],
    measures: Sequence[str] | Mapping[str, str],
) -> dict[str, Interval]:
    """Each measure of `record` less that of `other`, with a paired 95 % bootstrap interval.

    Patients are drawn, the same from both. Measures that either lacks are left out. Raises
    ValueError if the two were not tested on the same images.
    """
    one, two = results.rows(record), results.rows(other)
    has = summarise(one).keys() & summarise(two).keys()
    return {
        m: stats.paired_difference(one, two, m, groups=_groups(one)) for m in measures if m in has
    }


def differences_table(
    changes: Mapping[str, Interval], measures: Mapping[str, str] = HEADLINE
) -> str:
    """The differences that `differences` gives, in points, and what each lets us say."""
    body = [
        [
            measures[m],
            _cell(change, signed=True),
            "unclear" if verdict(change) == NEITHER else verdict(change),
        ]
        for m, change in changes.items()
    ]
    return table(["in points", "change", "verdict"], body)


def summary(changes: Mapping[str, Interval], measures: Mapping[str, str] = HEADLINE) -> str:
    """One or two sentences, in Markdown, on what `differences` gives: what fell, rose, neither."""
    said = {
        word: [
            measures[m] + ("" if word == NEITHER else f" (by {_number(abs(change.estimate))})")
            for m, change in changes.items()
            if verdict(change) == word
        ]
        for word in ("fell", "rose", NEITHER)
    }
    sentences = [
        f"**With the three terms, these {word}**, in points: {'; '.join(names)}."
        for word, names in said.items()
        if names and word != NEITHER
    ] or ["**No measure can be told apart with and without the three terms.**"]
    if said[NEITHER] and len(said[NEITHER]) < len(changes):
        sentences.append(f"Not to be told apart: {'; '.join(said[NEITHER])}.")
    return " ".join(sentences)


def contradictions_table(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> str:
    """How often T1 and T3 name different classes, and who is then right: counts of test images.

    Each image with a class is counted once: T1 and T3 agree; they differ, and only T1 is right, or
    only T3 is right; or T3 sees no nodule. Raises ValueError if no run has both tasks.
    """
    body = []
    for name, record in _named(records, titles).items():
        rows = results.rows(record)
        if not {"p_malignant", "seg_as_cls"} <= set(rows):
            continue
        known, truth, score = classified(rows)
        guess, painted = score[known] > 0.5, rows["seg_as_cls"].to_numpy(float)[known]
        right, none = guess == truth[known], painted < 0
        differ = ~none & (painted != guess)
        counts = [~none & ~differ, differ & right, differ & ~right, none]
        body.append([name, str(known.sum()), *(str(int(c.sum())) for c in counts)])
    if not body:
        raise ValueError("no run has both a class (T1) and a 3-class mask (T3)")
    head = [
        "test images", "all", "T1 and T3 agree", "differ: only T1 right",
        "differ: only T3 right", "T3 sees no nodule",
    ]  # fmt: skip
    return table(head, body)


def provenance_table(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> str:
    """Where the numbers come from: settings, data, cost and code of each run, one column each."""
    wanted = {
        "source, profile": lambda r: f"{r['source']}, {r['profile']}",
        "seed": lambda r: r["seed"],
        "epochs": lambda r: len(r["history"]),
        "encoder": lambda r: _search(r, "encoder"),
        "size, px": lambda r: _search(r, "size"),
        "precision": lambda r: _search(r, "precision_used", "precision"),
        "parameters, million": lambda r: f"{r['model']['parameters'] / 1e6:.1f}",
        "data, fingerprint": lambda r: str(r["data"]["fingerprint"])[:12],
        "test images": lambda r: len(results.rows(r)),
        "test patients": lambda r: results.rows(r).get("group", pd.Series()).nunique() or ABSENT,
        "minutes": lambda r: f"{_total_seconds(r['seconds']) / 60:.1f}",
        "memory, MB": lambda r: f"{r['memory_mb']:.0f}",
        "device": lambda r: r["machine"].get("gpu") or r["machine"].get("device", ABSENT),
        "code, commit": lambda r: _short(str(r["commit"])),
        **{
            package: lambda r, package=package: r["versions"].get(package, ABSENT)
            for package in ("python", "torch", "fastai", "segmentation-models-pytorch")
        },
    }
    named = _named(records, titles)
    body = [
        [name, *(escape(str(read(record))) for record in named.values())]
        for name, read in wanted.items()
    ]
    return table(["run", *named], body)


# ------------------------------------------------------------------------------------------ details


def _named(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None
) -> dict[str, Mapping[str, Any]]:
    """Each record by its title, with whatever else tells it from the others."""
    differs = [
        key for key in ("source", "profile", "seed") if len({str(r[key]) for r in records}) > 1
    ]
    named = {}
    for record in records:
        extra = [f"seed {record[k]}" if k == "seed" else str(record[k]) for k in differs]
        title = (titles or {}).get(record["experiment"], record["experiment"])
        named[escape(", ".join([title, *extra]))] = record
    return named


def _groups(rows: pd.DataFrame) -> pd.Series | None:
    return rows.get("group")


def _number(value: float | None, signed: bool = False) -> str:
    if value is None:
        return ABSENT
    return f"{100 * value:{'+' * signed}.1f}".replace("-", MINUS)


def _cell(interval: Interval | None, signed: bool = False) -> str:
    if interval is None:
        return ABSENT
    value, low, high = (_number(v, signed) for v in interval)
    return f"<b>{value}</b> <small>[{low}, {high}]</small>"


def _words(interval: Interval) -> str:
    value, low, high = (_number(v) for v in interval)
    return f"{value} [{low}, {high}]"


def _wrapped(name: str) -> str:
    return name.replace(", ", ",<br>", 1)  # two short lines leave the dots their room on a phone


def table(head: Sequence[str], body: Sequence[Sequence[str] | str], note: str = "") -> str:
    """HTML of a table in the book's style, which scrolls inside itself on a narrow screen.

    head: the column titles; body: rows of cells, the first one the row's title, all HTML; a bare
    string is a heading across the table. note: a line below it.
    """
    room, stays = (
        "padding:.15rem .5rem",
        "position:sticky;left:0;background:var(--pst-color-background)",
    )
    right = f' style="{room};text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"'
    left = f' style="{room};text-align:left"'
    lines = [
        f'<tr><th colspan="{len(head)}" scope="rowgroup"{left}>{row}</th></tr>'
        if isinstance(row, str)
        else f'<tr><th scope="row" style="{room};{stays};text-align:left;font-weight:normal">'
        f"{row[0]}</th>" + "".join(f"<td{right}>{cell}</td>" for cell in row[1:]) + "</tr>"
        for row in body
    ]
    first, *others = head
    return (
        '<div class="table-scroll" style="overflow-x:auto;margin-bottom:1rem" tabindex="0">'
        '<table class="dataframe">'
        f'<thead><tr><th scope="col"{left}>{first}</th>'
        + "".join(f'<th scope="col" style="{room};text-align:right">{name}</th>' for name in others)
        + "</tr></thead><tbody>"
        + "\n".join(lines)
        + "</tbody></table>"
        + (f"<p><small>{note}</small></p>" if note else "")
        + "</div>"
    )


def _search(record: Mapping[str, Any], *names: str) -> Any:
    """A setting by the first of its names that the record's parameters hold."""
    return next((record["parameters"][n] for n in names if n in record["parameters"]), ABSENT)


def _total_seconds(seconds: Mapping[str, float]) -> float:
    return seconds["total"] if "total" in seconds else sum(seconds.values())


def _short(commit: str) -> str:
    name, _, changed = commit.partition("-")
    return name[:10] + ("-changed" if changed else "")
