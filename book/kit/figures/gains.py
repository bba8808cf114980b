"""Where a gain in mean Dice comes from: agreement on the class, or better contours.

Under the paper's convention the mean Dice of an image is half the sum of its Dice for benign and
for malignant, 1 where a class is in neither mask. A mask of one class is then worth (1 + d) / 2 if
that class is right, d its Dice, and 0 if it is wrong, so that over all images

    mean Dice = A (1 + d) / 2 + r

A, the agreement, is the share of images whose mask has the right class (the accuracy, where one
class is read off each mask); d the mean Dice of the nodule in those images; r, the remainder, what
masks of both classes lose (a right one with some wrong pixels in it 1/2) and what wrong masks are
worth all the same (an empty one 1/2).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib import results
from lib.cases import CLASSES
from lib.experiments import EXPERIMENTS

from .. import paper
from ..stats import Evidence, Interval, Spread, draw, patients, wilson
from .style import cell, error_bars, figure, number, points, series, table, text, words, wrapped

PARTS = ("mean Dice", "agreement on the class", "contours", "mixed and empty masks")
# Colour and pattern of each part but the first, which is the sum
LOOKS = (("#0072b2", ""), ("#e69f00", "/"), ("#999999", "x"))
THEIRS = "the paper's"
Record = Mapping[str, Any]


class MeanDice(NamedTuple):
    """Mean Dice of the paper's convention = agreement (1 + dice) / 2 + remainder; numbers, or one
    array each with a value for every bootstrap draw.

    >>> MeanDice(mean=0.45, agreement=0.5, dice=0.8, remainder=0.0).agreement
    0.5
    """

    mean: float | np.ndarray
    agreement: float | np.ndarray
    dice: float | np.ndarray
    remainder: float | np.ndarray


def split_dice(rows: pd.DataFrame, weights: np.ndarray | None = None) -> MeanDice:
    """The paper's mean Dice of these rows in its three parts, which give it exactly.

    rows as `lib.metrics.count_batch` gives them, with `{benign,malignant}_{inter,pred,true}`;
    weights (draws, images) for bootstrap draws. The class of a mask, true or predicted, is the one
    with more pixels (benign where equal, none where empty), so a normal image is right if nothing
    is predicted, with a Dice of 1. Images of unknown class are left out. `dice` is NaN where no
    mask is right. Raises ValueError if the rows have no class-wise masks.

    >>> benign = {"benign_inter": [8, 0], "benign_pred": [10, 0], "benign_true": [10, 9]}
    >>> other = {"malignant_inter": [0, 0], "malignant_pred": [0, 9], "malignant_true": [0, 0]}
    >>> [round(float(part), 3) for part in split_dice(pd.DataFrame(benign | other))]
    [0.45, 0.5, 0.8, 0.0]
    """
    counts = _counts(rows)
    known = ~np.isnan(counts).any((0, 1))
    if not known.any():
        raise ValueError("rows has no image with a mask of known classes")
    inter, pred, true = counts[..., known]
    weights = np.ones(known.sum()) if weights is None else weights[:, known].astype(float)
    total = pred + true
    dice = np.where(total == 0, 1.0, 2 * inter / np.maximum(total, 1))  # (2, images)
    predicted, actual = (np.where(m.any(0), m.argmax(0), -1) for m in (pred, true))
    right = predicted == actual
    # Dice of the image's own class; a normal image has 1 for both
    own = dice[np.maximum(actual, 0), np.arange(dice.shape[1])]
    images, agreed = weights.sum(-1), weights @ right
    # Image by image, so that it is 0 and not nearly 0 where each mask is of one class
    beside = dice.mean(0) - right * (1 + own) / 2
    with np.errstate(invalid="ignore"):  # a draw may hold no image, or none that is right
        return MeanDice(
            weights @ dice.mean(0) / images,
            agreed / images,
            weights @ (right * own) / agreed,
            weights @ beside / images,
        )


def split_gain(before: MeanDice, after: MeanDice) -> dict[str, Any]:
    """A gain in mean Dice and its three parts, which add up to it exactly, by the names in `PARTS`.

    The product A (1 + d) / 2 changes by dA (1 + mean d) / 2 through the agreement and by
    mean A * dd / 2 through the contours, the means being those of the two systems. That is the mean
    of what each factor changes when it goes first and when it goes second, so neither order is
    preferred. The contours are those of the images that each system has right, which are not quite
    the same images; where a system has none right, the other's d stands for its own.

    >>> parts = split_gain(MeanDice(0.5, 0.6, 0.6, 0.02), MeanDice(0.75, 0.8, 0.8, 0.03))
    >>> [round(float(part), 3) for part in parts.values()]
    [0.25, 0.17, 0.07, 0.01]
    """
    one = np.where(np.isnan(before.dice), after.dice, before.dice)
    two = np.where(np.isnan(after.dice), one, after.dice)
    one, two = np.nan_to_num(one), np.nan_to_num(two)
    parts = (
        after.mean - before.mean,
        (after.agreement - before.agreement) * (1 + (one + two) / 2) / 2,
        (after.agreement + before.agreement) / 2 * (two - one) / 2,
        after.remainder - before.remainder,
    )
    return dict(zip(PARTS, parts, strict=True))


def gained(found: Evidence, pairs: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, Interval]]:
    """The parts of each gain in mean Dice from one system to another, with 95 % intervals.

    pairs: title -> the systems before and after; those without a common training are left out. The
    images of all trainings count together. The whole gain has the interval that the rule gives it
    everywhere; its parts, which are for exploring, are not corrected, and their spread between
    trainings is pooled over these pairs. Raises ValueError for runs without class-wise masks.
    """
    shared = {title: keys for title, pair in pairs.items() if (keys := found.shared(*pair))}
    trainings = [
        (title, *(results.rows(found.runs[name][key]) for name in pairs[title]))
        for title, keys in shared.items()
        for key in keys
    ]
    each = [_split(before, after) for _, before, after in trainings]
    systems = [title for title, _, _ in trainings]
    tests = [frozenset(rows.get("case", rows.index).astype(str)) for _, rows, _ in trainings]
    spreads = {
        part: Spread.between_trainings(systems, tests, np.array([one[part] for one in each]))
        for part in PARTS
    }
    parts: dict[str, dict[str, Interval]] = {}
    for title, keys in shared.items():
        mine = [(before, after) for one, before, after in trainings if one == title]
        whole = _split(*(pd.concat(side, ignore_index=True) for side in zip(*mine, strict=True)))
        count = len({name for rows, _ in mine for name in patients(rows)})
        before, after = pairs[title]
        parts[title] = {PARTS[0]: found.differences(after, before)["dice_paper_mean"].interval}
        for part in PARTS[1:]:
            values = whole[part]
            variance = float(np.nanvar(values[1:], ddof=1)) if values.any() else 0.0
            variance, freedom = spreads[part].added(variance, 1 / len(keys))
            parts[title][part] = wilson(
                float(values[0]), variance, count, bounds=(-1, 1), freedom=freedom
            )
    return parts


def _split(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, np.ndarray]:
    """The parts of a gain as it is and then under each draw (1 + draws,)."""
    weights = np.vstack([np.ones(len(before)), draw(before)])
    return split_gain(split_dice(before, weights), split_dice(after, weights))


def printed_dice(row: str) -> MeanDice:
    """What the paper prints for a row of its Table 1, with the d that follows if r is 0.

    The printed accuracy is that of T1, so it stands for the agreement only as far as T1 and T3
    agree. Raises ValueError if the row is not there or lacks one of the two.

    >>> [round(part, 4) for part in printed_dice("MTL + Inter")]
    [0.7928, 0.8952, 0.7712, 0.0]
    """
    rows = paper.table(1)[["dice_paper_mean", "ACC"]].dropna()
    if row not in rows.index:
        raise ValueError(
            f"the paper's Table 1 prints no mean Dice and accuracy for {row!r}; "
            f"it does for {', '.join(rows.index)}"
        )
    mean, agreement = rows.loc[row]
    return MeanDice(float(mean), float(agreement), float(2 * mean / agreement - 1), 0.0)


def printed_rows(pairs: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """The rows of the paper's Table 1 of these pairs of systems, by title.

    pairs: title -> two experiments. Those left out of which the paper does not print both, with the
    mean Dice and the accuracy that `printed_dice` takes.

    >>> printed_rows({"Inter": ("mtl", "mtl+inter"), "Intra": ("msl", "msl+intra")})
    {'Inter': ('MTL', 'MTL + Inter')}
    """
    there = paper.table(1)[["dice_paper_mean", "ACC"]].dropna().index
    rows = {name: dict(system.rows).get(1) for name, system in EXPERIMENTS.items()}
    both = {title: tuple(rows.get(name) for name in pair) for title, pair in pairs.items()}
    return {title: (a, b) for title, (a, b) in both.items() if a in there and b in there}


def gain(
    found: Evidence,
    pairs: Mapping[str, tuple[str, str]],
    printed: Mapping[str, tuple[str, str]] | None = None,
) -> go.Figure:
    """How much of each gain in mean Dice is agreement on the class, and how much contour.

    found, pairs: as in `gained`; printed: title -> two rows of the paper's Table 1, drawn hollow
    and without the third part, which nothing printed tells. A bar for each part, losses to the
    left, and a dot for their sum with its 95 % interval; in points of the paper's mean Dice. Raises
    ValueError if there is no pair, and as `gained` and `printed_dice` do.

    >>> drawn = gain(Evidence([]), {}, {"Inter": ("MTL", "MTL + Inter")})
    >>> {bar.name: bar.x[0] for bar in drawn.data}
    {'agreement on the class': 1.4, 'contours': 0.8, 'mean Dice': 2.2}
    """
    ours = {text(title): parts for title, parts in gained(found, pairs).items()}
    theirs = {
        f"{text(title)} ({THEIRS})": split_gain(*(printed_dice(row) for row in rows))
        for title, rows in (printed or {}).items()
    }
    for parts in theirs.values():
        del parts[PARTS[3]]  # taken as 0, not known
    if not ours and not theirs:
        raise ValueError("there is no pair of runs to compare")
    drawn = go.Figure()
    if ours:
        _bars(drawn, {t: {n: v.estimate for n, v in parts.items()} for t, parts in ours.items()})
        sums = np.array([parts[PARTS[0]] for parts in ours.values()]) * 100
        drawn.data[-1].error_x = error_bars(sums)
    if theirs:
        _bars(drawn, theirs, hollow=True, named=not ours)
    told = [
        f"{title}: " + ", ".join(f"{name} {words(v, signed=True)}" for name, v in parts.items())
        for title, parts in ours.items()
    ] + [
        f"{title}: " + ", ".join(f"{name} {number(v, signed=True)}" for name, v in parts.items())
        for title, parts in theirs.items()
    ]
    return figure(
        "The gain in mean Dice (the paper's convention) of each pair of systems, in points, split "
        "into the part from agreement on the class, the part from contours and the part from mixed "
        f"and empty masks. {'; '.join(told)}.",
        height=150 + 62 * (len(ours) + len(theirs)),
        base=drawn,
        barmode="relative",
        xaxis={"title": "mean Dice, points", "zeroline": True, "zerolinecolor": "#808080"},
        yaxis={"autorange": "reversed", "showgrid": False},
    )


def gain_in_words(found: Evidence, pairs: Mapping[str, tuple[str, str]]) -> str:
    """What each gain in mean Dice is made of, a line each in Markdown; empty if none was run.

    found, pairs: as in `gained`. Raises ValueError as `gained` does.

    >>> gain_in_words(Evidence([]), {"Inter": ("mtl", "mtl+inter")})
    ''
    """
    lines = []
    for title, parts in gained(found, pairs).items():
        whole, *rest = (words(value, signed=True) for value in parts.values())
        named = ", ".join(f"{name} {value}" for name, value in zip(PARTS[1:], rest, strict=True))
        lines.append(f"- {text(title)}: **{whole} points** of mean Dice, of them {named}.")
    return "\n".join(lines)


def gain_table(found: Evidence, pairs: Mapping[str, tuple[str, str]]) -> str:
    """The parts of each gain in points, with 95 % intervals: what `gain` draws, in numbers."""
    body = [
        [text(title), *(cell(part, signed=True) for part in parts.values())]
        for title, parts in gained(found, pairs).items()
    ]
    return table(["gain, points", *PARTS], body)


def dice_plane(systems: Mapping[str, Sequence[Record]], printed: Sequence[str] = ()) -> go.Figure:
    """Agreement on the class against mean Dice in per cent, with a line for each Dice of contours.

    A system that moves along a line agrees more often with the truth on the class; one that crosses
    lines draws better contours. systems: title -> its runs, whose images count together; printed:
    rows of the paper's Table 1, drawn hollow, at the accuracy of T1, in the colour of the system of
    that title; up to six systems in all. An upright line joins a system to where it would be with a
    remainder of 0. Raises ValueError if there is nothing to show, or too much.

    >>> dice_plane({}, printed=["MTL"]).data[-1].name
    "MTL (the paper's)"
    """
    ours = {
        text(title): split_dice(pd.concat(map(results.rows, runs), ignore_index=True))
        for title, runs in systems.items()
    }
    theirs = {f"{row} ({THEIRS})": printed_dice(row) for row in printed}
    if not ours and not theirs:
        raise ValueError("there is no run and no row of the paper to show")
    every = [*ours.values(), *theirs.values()]
    left = 5 * np.floor(20 * min(p.agreement for p in every) - 0.5)
    right = min(5 * np.ceil(20 * max(p.agreement for p in every) + 0.5), 100)
    bottom, top = 100 * min(p.mean for p in every) - 5, 100 * max(p.mean for p in every) + 5
    drawn = go.Figure()
    for dice in range(0, 101, 10):
        slope = (1 + dice / 100) / 2
        # Its name stands at the right end, or where the line leaves above
        at = min(right, (top - 0.08 * (top - bottom)) / slope)
        if slope * right < bottom or at < left + 0.25 * (right - left):
            continue  # the line does not cross what is shown, or only a corner of it
        ends = np.array([left, at, right])
        drawn.add_scatter(
            x=ends.round(2),
            y=(slope * ends).round(2),
            mode="lines+text",
            text=["", f"d = {dice} %", ""],
            textposition="top left",
            textfont={"size": 11},
            line={"color": "#808080", "width": 1, "dash": "dot"},
            name=f"d = {dice} %",
            showlegend=False,
            hoverinfo="skip",
        )
    titles = list(dict.fromkeys([*ours, *printed]))
    for values, hollow in ((ours, ""), (theirs, "-open")):
        for name, parts in values.items():
            colour, _, symbol = series(titles.index(name.removesuffix(f" ({THEIRS})")))
            aside = 100 * parts.remainder  # how far above the identity the system lies
            to_identity = {
                "type": "data",
                "symmetric": False,
                "array": [round(max(-aside, 0), 2)],
                "arrayminus": [round(max(aside, 0), 2)],
                "thickness": 1.5,
                "width": 0,  # without the caps of an interval
            }
            drawn.add_scatter(
                x=[round(100 * parts.agreement, 2)],
                y=[round(100 * parts.mean, 2)],
                error_y=None if hollow else to_identity,
                mode="markers",
                marker={"color": colour, "symbol": symbol + hollow, "size": 11},
                name=name,
                hovertemplate=f"A %{{x:.1f}} %, mean Dice %{{y:.1f}} %, d {number(parts.dice)} %",
            )
    told = [
        f"{name}: agreement {number(p.agreement)}, mean Dice {number(p.mean)}, d {number(p.dice)}"
        + ("" if name in theirs else f", remainder {number(p.remainder, signed=True)}")
        for name, p in {**ours, **theirs}.items()
    ]
    return figure(
        "Mean Dice (the paper's convention) against agreement on the class, with lines of equal "
        f"Dice d of the contour. In per cent: {'; '.join(told)}. An upright line at a mark is as "
        "long as the remainder.",
        height=460,
        base=drawn,
        xaxis={"title": "masks of the right class, %", "range": [left, right]},
        yaxis={"title": "mean Dice, all images, %", "range": [bottom, top]},
    )


def _bars(
    drawn: go.Figure,
    gains: Mapping[str, Mapping[str, float]],
    hollow: bool = False,
    named: bool = True,
) -> None:
    """A bar for each part of each gain, and the dots of the sums as the last trace."""
    titles, clear = [wrapped(title) for title in gains], "rgba(0,0,0,0)"
    size = {
        name: [points(parts[name]) for parts in gains.values()]
        for name in PARTS
        if all(name in parts for parts in gains.values())
    }
    for name, (colour, pattern) in zip(PARTS[1:], LOOKS, strict=True):
        if name not in size:
            continue
        drawn.add_bar(
            x=size[name],
            y=titles,
            orientation="h",
            width=0.5,
            marker={
                "color": clear if hollow else colour,
                "line": {"color": colour, "width": 2},
                "pattern": {
                    "shape": pattern,
                    "fgcolor": colour if hollow else "#ffffff",
                    "bgcolor": clear if hollow else colour,
                },
            },
            name=name,
            legendgroup=name,
            showlegend=named,
            hovertemplate="%{x:+.1f} points",
        )
    drawn.add_scatter(
        x=size[PARTS[0]],
        y=titles,
        mode="markers",
        marker={
            "symbol": "diamond-open" if hollow else "diamond",
            "color": "#d55e00",
            "size": 11,
        },
        name=PARTS[0],
        legendgroup=PARTS[0],
        showlegend=named,
        hovertemplate="%{x:+.1f} points",
    )


def _counts(rows: pd.DataFrame) -> np.ndarray:
    """Pixels by (inter, pred, true), class and image."""
    columns = [[f"{name}_{part}" for name in CLASSES] for part in ("inter", "pred", "true")]
    missing = [name for three in columns for name in three if name not in rows]
    if missing:
        raise ValueError(f"rows lacks {', '.join(missing)}: this network gives no class-wise mask")
    return np.array([[rows[name].to_numpy(float) for name in three] for three in columns])
