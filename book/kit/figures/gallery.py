"""What runs answered, side by side on the same images: Fig. 1, 5 and 6 of Kang et al. 2022."""

import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lib import results
from lib.cases import CLASSES

from .. import stats
from ..gallery import CONTRADICTIONS, Gallery
from ..stats import Interval
from .images import _cls_words, _inline, _map_words, _truth_words, outline, overlays
from .runs import by_title
from .style import (
    ABSENT,
    CLASS_COLOURS,
    CLASS_DASHES,
    CLASS_NAMES,
    cell,
    figure,
    number,
    small_titles,
    table,
    text,
)

RIGHT, WRONG = "\N{CHECK MARK}", "\N{BALLOT X}"
HEAT = [[0, "rgba(213,94,0,0)"], [0.5, "rgba(213,94,0,.45)"], [1, "rgba(240,228,66,.8)"]]


def contradiction(gallery: Gallery) -> go.Figure:
    """Fig. 1: the surest contradictions of a run, of either kind: T3's mask above, T1 in words.

    A row each, as in `overlays`: on the left the truth, on the right T3's mask in the colour and
    dash of the class that it paints, with both tasks' classes in words above. Raises ValueError if
    the gallery holds no contradiction.

    >>> rows = pd.DataFrame({"case": ["a", "b"], "label": [0, 1], "fixed": [True, True]})
    >>> maps = dict.fromkeys(("image", "mask", "seg3"), np.ones((2, 8, 8), np.uint8))
    >>> maps |= {"cls": np.array([0.2, 0.8]), "cam": np.ones((2, 2, 2))}
    >>> drawn = contradiction(Gallery(rows, maps, {"Only T3 right": 1}))
    >>> drawn.layout.meta["alt"][:35]
    'One network, one image, two classes'
    """
    found = {title: gallery.picked[title] for title in CONTRADICTIONS if title in gallery.picked}
    if not found:
        raise ValueError("no contradiction between T1 and T3 is kept in this gallery")
    maps = {name: gallery.maps[name] for name in ("image", "mask", "seg3", "cls")}
    drawn = overlays(gallery.rows, maps, found)
    said = drawn.layout.meta["alt"]
    return drawn.update_layout(meta={"alt": f"One network, one image, two classes. {said}"})


def grid(galleries: Mapping[str, Gallery | None]) -> str:
    """Fig. 5: HTML of a table with a row for each fixed case, and the truth and each run's answers.

    galleries: title of a column -> what that run kept, None if it is not there (the column says
    so). The truth stays in view while the columns scroll on a narrow screen. Pictures hold the
    outlines that T3 paints; without T3 that of T2, in the class that T1 names, if it names one.
    Below, each task's class with a tick or a cross, and how well the outline fits, whatever its
    class (Dice). Raises ValueError if there is no gallery, or two differ in their fixed cases.

    >>> rows = pd.DataFrame({"case": ["a", "b"], "label": [0, 1], "fixed": [True, True]})
    >>> maps = dict.fromkeys(("image", "mask", "seg3"), np.ones((2, 8, 8), np.uint8))
    >>> maps |= {"cls": np.array([0.2, 0.8]), "cam": np.ones((2, 2, 2))}
    >>> grid({"MTL": Gallery(rows, maps, {})}).count("<svg")  # two cases: truth and answer
    4
    """
    there = {title: one for title, one in galleries.items() if one is not None}
    if not there:
        raise ValueError("there is no gallery to show")
    first = next(iter(there.values()))
    for title, one in there.items():
        if not _same_cases(first, one):
            raise ValueError(
                f"{title} keeps other fixed cases than {next(iter(there))}: they were tested on "
                "different data"
            )
    told = "".join(galleries)  # two grids on a page need other ids for the same picture
    body = []
    for place, at in enumerate(first.fixed):
        image, mask = first.maps["image"][at], first.maps["mask"][at]
        label = int(first.rows["label"].iloc[at])
        truth = _truth_words(mask, label)
        name = "case-" + hashlib.sha256(image.tobytes() + told.encode()).hexdigest()[:12]
        picture = f'<image id="{name}" width="{image.shape[1]}" height="{image.shape[0]}"'
        picture += f' href="{_inline(image)}"/>'
        cells = [_cell(picture, mask, image.shape, [f"truth: {truth}"])]
        for title, one in galleries.items():
            if one is None:
                cells.append("no gallery")
                continue
            row = one.fixed[place]
            answers = {k: v[row] for k, v in one.maps.items() if k in ("cls", "seg2", "seg3")}
            painted = _painted(answers)
            words = _words(answers, label, mask)
            used = f'<use href="#{name}"/>'
            cells.append(_cell(used, painted, image.shape, words, f"{title}, truth {truth}"))
        body.append(cells)
    note = (
        f"Outlines: {CLASS_NAMES[1]} green and solid, {CLASS_NAMES[2]} orange and dashed, a nodule "
        f"without a class yellow and dotted. {RIGHT} right, {WRONG} wrong. In brackets, how sure "
        "T1 is."
    )
    return table(["truth", *(text(title) for title in galleries)], body, note)


def cams(without: Gallery, with_: Gallery, count: int = 4) -> go.Figure:
    """Fig. 6: where each run's T1 looks, on the same images: on the left without, right with terms.

    The heat map is Grad-CAM for the class that T1 names, drawn from as few cells as it was computed
    in, each from 0 to its own highest value; a white line is the true nodule. Above each picture,
    T1's class with a tick or a cross, and the share of the map's mass inside the true nodule, if
    the rows have it (`cam_inside`). The `count` cases are evenly taken from the fixed ones. Raises
    ValueError if a run has no CAM or the two differ in their fixed cases.

    >>> rows = pd.DataFrame({"case": ["a", "b"], "label": [0, 1], "fixed": [True, True]})
    >>> maps = dict.fromkeys(("image", "mask", "seg3"), np.ones((2, 8, 8), np.uint8))
    >>> maps |= {"cls": np.array([0.2, 0.8]), "cam": np.ones((2, 2, 2))}
    >>> gallery = Gallery(rows, maps, {})
    >>> cams(gallery, gallery, count=1).layout.annotations[1].text
    '<b>With</b><br>T1: malignant (0.80) ✓'
    """
    for name, one in (("without", without), ("with", with_)):
        if "cam" not in one.maps:
            raise ValueError(f"the run {name} the terms has no CAM: it has no class (T1)")
    if not _same_cases(without, with_):
        raise ValueError("the two runs keep different fixed cases: they were tested on other data")
    places = np.unique((np.arange(count) + 0.5) / count * len(without.fixed) // 1).astype(int)
    height = 100 + 230 * len(places)
    panels, titles, told = [], [], []
    for place in places:
        for name, one in (("Without", without), ("With", with_)):
            at = one.fixed[place]
            row = one.rows.iloc[at]
            sign = _sign(bool(one.maps["cls"][at] > 0.5) == (row["label"] == 1))
            guess = f"T1: {_cls_words(float(one.maps['cls'][at]))} {sign}"
            inside = row.get("cam_inside", np.nan)
            share = "" if np.isnan(inside) else f", {inside:.0%} inside"
            titles.append(f"<b>{name}</b>{share}<br>{guess}")
            told.append(
                f"{CLASSES[row['label']]} nodule, {name.lower()}: {guess}"
                + (f"{share} the nodule" if share else "")
            )
            panels.append((one, at))
    drawn = make_subplots(
        len(places),
        2,
        subplot_titles=titles,
        horizontal_spacing=0.04,
        vertical_spacing=46 / height if len(places) > 1 else 0,
    )
    for panel, (one, at) in enumerate(panels):
        where = {"row": panel // 2 + 1, "col": panel % 2 + 1}
        image, heat = one.maps["image"][at], one.maps["cam"][at]
        down, right = (side / cells for side, cells in zip(image.shape, heat.shape, strict=True))
        drawn.add_image(source=_inline(image), zsmooth="fast", hoverinfo="skip", name="", **where)
        drawn.add_heatmap(
            z=np.round(heat, 3),
            x0=right / 2 - 0.5,
            dx=right,
            y0=down / 2 - 0.5,
            dy=down,
            zsmooth="best",
            coloraxis="coloraxis",
            hovertemplate="Grad-CAM %{z:.2f}<extra></extra>",
            **where,
        )
        x, y = outline(one.maps["mask"][at] > 0)
        drawn.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={"color": "#ffffff", "width": 2},
            hoverinfo="skip",
            showlegend=False,
            **where,
        )
        axis, side = "" if panel == 0 else str(panel + 1), ("right", "left")[panel % 2]
        size = {"range": [image.shape[0] - 0.5, -0.5], "scaleanchor": f"x{axis}"}
        drawn.update_layout({f"yaxis{axis}": size})
        drawn.update_xaxes(constraintoward=side, range=[-0.5, image.shape[1] - 0.5], **where)
        domain = drawn.layout[f"xaxis{axis}"].domain
        drawn.layout.annotations[panel].update(x=domain[1 - panel % 2], xanchor=side, align=side)
    drawn.update_xaxes(visible=False, constrain="domain")
    drawn.update_yaxes(visible=False, constrain="domain", constraintoward="top")
    small_titles(drawn)
    rows, columns = without.maps["cam"].shape[1:]
    bar = {
        "title": {"text": f"Grad-CAM of {rows} x {columns} cells", "side": "top"},
        "orientation": "h",
        "thickness": 10,
        "len": 0.8,
        "y": -0.01,
        "yanchor": "top",
        "tickvals": [0, 0.5, 1],
        "ticktext": ["0", "half", "its highest"],
    }
    return figure(
        "Heat maps of what T1's class follows from, over ultrasound images with the true nodule "
        f"outlined, without and with the consistency terms. {'; '.join(told)}.",
        height=height,
        base=drawn,
        margin={"l": 0, "r": 0, "t": 46, "b": 70},
        coloraxis={"cmin": 0, "cmax": 1, "colorscale": HEAT, "colorbar": bar},
    )


def cam_table(records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None) -> str:
    """How much of Grad-CAM's mass lies inside the true nodule, in percent, mean over test images.

    All images with a 95 % interval over patients, and apart those in which T1 is right and wrong;
    beside it what a map would score that is spread evenly, the nodule's mean share of the image.
    Runs without the columns cam_inside and nodule_share are left out. Raises ValueError if none has
    them.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> run["per_image"] |= {"cam_inside": [0.25, 0.5, 0.5, 0.75], "nodule_share": [0.125] * 4}
    >>> shown = cam_table([run], {"mtl": "MTL"})
    >>> "<b>50.0</b>" in shown and "12.5" in shown
    True
    """
    body = []
    for name, record in by_title(records, titles).items():
        rows = results.rows(record)
        if not {"cam_inside", "nodule_share"} <= set(rows):
            continue
        rows = rows[rows["cam_inside"].notna() & (rows["label"] >= 0)].reset_index(drop=True)
        right = (rows["p_malignant"] > 0.5) == (rows["label"] == 1)
        body.append(
            [
                name,
                str(len(rows)),
                cell(_mean(rows)),
                *(
                    cell(_mean(part)) if len(part) else ABSENT
                    for part in (rows[right], rows[~right])
                ),
                number(float(rows["nodule_share"].mean())),
            ]
        )
    if not body:
        raise ValueError("no run has kept how much of its CAM lies inside the nodule")
    head = [
        "CAM inside the nodule, %", "images", "all", "T1 right", "T1 wrong", "if spread evenly",
    ]  # fmt: skip
    return table(head, body)


# ------------------------------------------------------------------------------------------ details


def _mean(rows: pd.DataFrame) -> Interval:
    """How much of the CAM lies inside the nodule on average, with its interval over patients."""
    values, drawn = rows["cam_inside"].to_numpy(float), stats.draw(rows).astype(float)
    with np.errstate(invalid="ignore"):
        variance = float(np.nanvar((drawn @ values) / drawn.sum(1)))
    return stats.wilson(float(values.mean()), variance, len(set(stats.patients(rows))))


def _same_cases(one: Gallery, other: Gallery) -> bool:
    a, b = one.fixed, other.fixed
    return one.rows["case"].iloc[a].tolist() == other.rows["case"].iloc[b].tolist() and all(
        np.array_equal(one.maps[name][a], other.maps[name][b]) for name in ("image", "mask")
    )


def _painted(answers: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """A run's class-wise mask: T3's own, else T2's in the class that T1 names, else none."""
    if "seg3" in answers:
        return answers["seg3"]
    if "seg2" not in answers:
        return None
    value = 1 + (answers["cls"] > 0.5) if "cls" in answers else len(CLASS_NAMES) - 1
    return np.where(answers["seg2"] > 0, value, 0)


def _words(answers: Mapping[str, np.ndarray], label: int, mask: np.ndarray) -> list[str]:
    """One line for each task: what it says, and whether that is right."""
    lines = []
    if "cls" in answers:
        right = int(answers["cls"] > 0.5) == label
        lines.append(f"{_sign(right)} T1: {_cls_words(float(answers['cls']))}")
    if "seg3" in answers:
        pixels = [int((answers["seg3"] == value).sum()) for value in (1, 2)]
        right = sum(pixels) > 0 and int(np.argmax(pixels)) == label
        lines.append(f"{_sign(right)} T3: {_map_words(answers['seg3'])}")
    drawn = answers.get("seg3", answers.get("seg2"))
    if drawn is not None:
        inter = ((drawn > 0) & (mask > 0)).sum()
        total = (drawn > 0).sum() + (mask > 0).sum()
        lines.append(f"outline: Dice {2 * inter / max(total, 1):.2f}")
    return lines


def _sign(right: bool) -> str:
    return RIGHT if right else WRONG


def _cell(
    picture: str, mask: np.ndarray | None, shape: tuple[int, int], words: list[str], title: str = ""
) -> str:
    """A picture with its outlines, and words below; `picture` is an SVG element."""
    paths = [] if mask is None else [_path(mask == v, int(v)) for v in np.unique(mask) if v]
    told = escape(", ".join([title, *words] if title else words))
    below = "".join(f"<div>{escape(line)}</div>" for line in words)
    below = f'<div style="min-height:5.2em">{below}</div>'  # the pictures of a row stay in line
    return (
        '<div style="width:8.5rem;white-space:normal;text-align:center;font-size:.8rem;'
        'line-height:1.3"><svg role="img" '
        f'aria-label="{told}" viewBox="0 0 {shape[1]} {shape[0]}" style="width:100%;display:block">'
        f"{picture}{''.join(paths)}</svg>{below}</div>"
    )


def _path(mask: np.ndarray, value: int) -> str:
    x, y = (axis + 0.5 for axis in outline(mask))  # in SVG a pixel's middle is at .5
    steps, begin = [], True
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if np.isnan(across):
            begin = True
            continue
        steps.append(f"{'M' if begin else 'L'}{across:g} {down:g}")
        begin = False
    dash = {"solid": "", "dash": "5 3", "dot": "1.5 2.5"}[CLASS_DASHES[value]]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path d="{"".join(steps)}" fill="{CLASS_COLOURS[value]}" fill-opacity=".2" '
        f'stroke="{CLASS_COLOURS[value]}" stroke-width="1.5"{dashed}/>'
    )
