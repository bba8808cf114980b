"""Do T1's probability and the joint one mean what they say? Over all trainings of a system."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from ..calibrated import BRIER, Reliability
from ..stats import SUFFIX, Evidence
from .changes import with_verdict
from .style import error_bars, figure, number, series, text, words


def reliability_curves(told: Mapping[str, Reliability]) -> go.Figure:
    """The share of malignant images against the mean probability of malignant, by reading.

    told: title -> as `book.kit.calibrated.reliability_of` gives it, up to six. Each dot is a tenth
    of the images, with its 95 % interval over patients; on the diagonal a probability means what it
    says. The expected calibration error stands in the legend. Raises ValueError without a reading.
    """
    if not told:
        raise ValueError("no run of the three tasks is here yet")
    drawn, said = go.Figure(), []
    for index, (title, one) in enumerate(told.items()):
        colour, dash, symbol = series(index)
        shares = np.array(one.shares)
        drawn.add_scatter(
            x=(100 * one.p).round(1),
            y=(100 * shares[:, 0]).round(1),
            error_y=error_bars(100 * shares, thickness=1.5, width=3),
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 1.5},
            marker={"symbol": symbol, "size": 8},
            name=f"{text(title)}<br>calibration error {words(one.error)} %",
            hovertemplate="said %{x:.0f} %, malignant %{y:.0f} %<extra></extra>",
        )
        dots = ", ".join(
            f"{p:.0%} ({share:.0%})" for p, share in zip(one.p, shares[:, 0], strict=True)
        )
        said.append(f"{text(title)}: calibration error {number(one.errors[0])}, dots at {dots}")
    drawn.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        line={"color": "#808080", "width": 1},
        showlegend=False,
        hoverinfo="skip",
    )
    return figure(
        "Reliability diagram: the share of malignant images (in brackets) against the mean "
        f"probability of malignant, in groups of equal size. {'; '.join(said)}.",
        height=440 + 20 * len(told),
        base=drawn,
        xaxis={"title": "probability of malignant, %", "range": [-2, 102]},
        yaxis={"title": "of these malignant, %", "range": [-2, 102]},
    )


def calibration_in_words(told: Mapping[str, Reliability], brier: Evidence, system: str) -> str:
    """Each reading's calibration error, and whether the joint probability has the better score.

    told: as for `reliability_curves`; brier: the joint decision and T1 calibrated on the same
    validation images, both with Brier's score, by `book.kit.controls.two_readings`.
    """
    errors = "; ".join(f"{text(title)} **{words(one.error)} %**" for title, one in told.items())
    said = f"Calibration error: {errors}."
    if not brier.shared(f"{system}{SUFFIX}", system):
        return said
    found = brier.difference(f"{system}{SUFFIX}", system, BRIER)
    return (
        f"{said} Brier's score of the joint probability, minus that of T1's, "
        f"calibrated alone: {with_verdict(found)}."
    )
