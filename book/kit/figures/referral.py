"""Which images should a human look at: errors left against coverage, a table, and the verdict."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..referral import GRID, ORDERS, Referral, curves
from ..stats import Difference, Interval, wilson
from .changes import NEITHER, sentence
from .runs import ONE
from .style import ABSENT, cell, error_bars, faint, figure, number, series, table, text, words

ALARM = "contradiction"


def referral_curves(runs: Sequence[pd.DataFrame], told: Referral) -> go.Figure:
    """The share of kept images that are wrong against the share that is kept; a diamond for the
    contradictory images, which are as many as they are.

    runs: of one system, as `book.kit.referral.doubts` gives them; told: of `referred`. Bands are
    pointwise 95 % intervals over patients. Raises ValueError without a run.
    """
    if not runs:
        raise ValueError("no run of the three tasks is here yet")
    drawn, said = go.Figure(), []
    for index, (order, shares) in enumerate(curves(runs).items()):
        colour, dash, _ = series(index)
        low, high = np.nanquantile(shares[1:], [0.025, 0.975], axis=0)
        drawn.add_scatter(
            x=100 * np.r_[GRID, GRID[::-1]],
            y=100 * np.r_[high, low[::-1]].round(4),
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=faint(colour, 0.12),
            legendgroup=order,
            showlegend=False,
            hoverinfo="skip",
        )
        drawn.add_scatter(
            x=100 * GRID,
            y=100 * shares[0].round(4),
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.5},
            name=ORDERS[order],
            legendgroup=order,
            hovertemplate="%{x:.0f} % kept: %{y:.1f} % of them wrong<extra></extra>",
        )
        ends = [int(np.argmin(abs(GRID - at))) for at in (0.5, 0.8, 1)]
        said.append(
            f"{ORDERS[order]}: "
            + ", ".join(f"{number(shares[0, at])} at {GRID[at]:.0%} kept" for at in ends)
        )
    alarm = left_by(told, ALARM)
    drawn.add_scatter(
        x=[100 * told.coverage[0]],
        y=[100 * alarm.estimate],
        error_y=error_bars(100 * np.array([alarm]), width=5),
        mode="markers",
        marker={"color": "#d55e00", "symbol": "diamond", "size": 12},
        name="contradictory images referred",
    )
    said.append(f"contradictory images referred: {words(alarm)} at {told.coverage[0]:.0%} kept")
    return figure(
        "Of the images that are kept, the share in per cent whose joint answer is wrong, against "
        f"the share of images kept. {'; '.join(said)}.",
        height=420,
        base=drawn,
        xaxis={"title": "images kept, %", "range": [49, 101]},
        yaxis={"title": "of these wrong, %", "rangemode": "tozero"},
    )


def referral_in_words(told: Referral) -> str:
    """How many images contradict each other, what is left without them, and the verdict."""
    said = (
        f"T1 and T3 contradict each other in {number(1 - told.coverage[0])} % of the images. If a "
        f"human looks at these, {number(told.shares[ALARM][0])} % of the others are wrong; of all "
        f"images, {number(told.wrong)} % are. "
    )
    clear = [(ORDERS[order], one) for order, one in told.less.items() if one.clear]
    if few := next((one.why for one in told.less.values() if one.why), ""):
        return f"{said}Too few to compare: {few}."
    if not clear:
        return (
            f"{said}**Contradictions are {NEITHER} from any other way to choose as many images**, "
            "so they are not shown to be a better alarm, nor a worse one."
        )
    told_apart = "; ".join(f"{name}: **{sentence(one)}**" for name, one in clear)
    return f"{said}The errors that contradictions leave, minus those of an order: {told_apart}."


def referral_table(told: Mapping[str, Referral], titles: Mapping[str, str]) -> str:
    """What each order leaves at the coverage of the contradictions, by system.

    told: as `book.kit.referral.referred` gives it. Raises ValueError if it is empty.
    """
    if not told:
        raise ValueError("no run of the three tasks is here yet")
    body: list[list[str] | str] = []
    for system, one in told.items():
        first = next(iter(one.less.values()))
        of = f"{first.trainings} training{'s' * (first.trainings != 1)}"
        name = text(titles.get(system, system))
        body.append(f"<b>{name}</b>, {number(one.coverage[0])} % kept, {of}")
        for order, title in ORDERS.items():
            less = one.less.get(order)
            verdict = ABSENT
            if less is not None:
                verdict = less.why or (_fewer(less) if less.clear else NEITHER)
            body.append(
                [
                    title,
                    cell(left_by(one, order)),
                    cell(less.interval, signed=True) if less else ABSENT,
                    verdict,
                ]
            )
    known = all(d.spread_known for one in told.values() for d in one.less.values())
    note = (
        "Levels: 95 % intervals over patients. Differences: over patients and trainings, corrected "
        "(Holm) for the three orders; below 0 contradictions are the better alarm."
    )
    note = note if known else f"{note} {ONE}"
    head = [
        "referred",
        "of the kept<br>wrong, %",
        "contradictions<br>minus this",
        "contradictions leave",
    ]
    return table(head, body, note)


def left_by(told: Referral, order: str) -> Interval:
    """The share of kept images that are wrong, with its interval over patients."""
    shares = told.shares[order]
    return wilson(float(shares[0]), float(np.nanvar(shares[1:], ddof=1)), told.patients)


def _fewer(found: Difference) -> str:
    return f"<b>{'fewer' if found.difference < 0 else 'more'} errors</b>"
