"""How sure an accuracy is by the size of the test set, and what images of one patient take away."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..figures.style import figure, series
from ..stats import draw

SIZES = (50, 100, 200, 400, 897, 2000, 5000)  # test images; the paper's has 897
Z = 1.96  # of 95 %


def design_effect(rows: pd.DataFrame) -> float:
    """The variance of an accuracy over whole patients, as a multiple of that of as many images.

    rows: what `lib.metrics.count_batch` gives, with label, p_malignant and, where known, group, the
    patient. The variance over patients is that of the draws of `book.kit.stats.draw`. NaN or
    infinite where all images are right, or all wrong.

    >>> rows = pd.DataFrame({"label": [1, 0] * 40, "p_malignant": [0.9, 0.1, 0.2, 0.8] * 20})
    >>> pairs = rows.assign(group=[f"p{n // 2}" for n in range(80)])  # both right or both wrong
    >>> round(design_effect(rows)), round(design_effect(pairs))
    (1, 2)
    """
    right = ((rows["p_malignant"] > 0.5) == (rows["label"] == 1)).to_numpy(float)
    weights = draw(rows).astype(float)
    return float(np.var(weights @ right / weights.sum(1)) / (right.var() / len(right)))


def accuracy_by_size(p: float, effects: Mapping[str, float]) -> go.Figure:
    """The 95 % prediction interval of an accuracy `p` for test sets of 50 to 5000 images.

    effects: name -> design effect, 1 for images that are independent; each has its own intervals.
    Raises ValueError for more than six names.

    >>> drawn = accuracy_by_size(0.9, {"in pairs": 2})
    >>> drawn.layout.meta["alt"].partition(": ")[2]
    'plus or minus 12 points at 50 images, 2.8 at 897 (in pairs).'
    """
    sizes = np.array(SIZES)
    alone = np.sqrt(p * (1 - p) / sizes)  # standard errors of independent images
    errors = {name: alone * np.sqrt(effect) for name, effect in effects.items()}
    told = [
        f"{100 * Z * error[0]:.0f} points at 50 images, {100 * Z * error[4]:.1f} at 897 ({name})"
        for name, error in errors.items()
    ]
    drawn = figure(
        f"Prediction intervals of an accuracy of {p:.2f} for test sets of 50 to 5000 images: plus "
        f"or minus {'; '.join(told)}.",
        xaxis={"title": "test images", "type": "log", "tickvals": sizes.tolist(), "tickangle": -40},
        yaxis={"title": "accuracy", "range": [0.72, 1]},
    )
    for k, (name, error) in enumerate(errors.items()):
        colour, _, symbol = series(k)
        drawn.add_scatter(
            x=(sizes * (1 + 0.06 * k)).round(1),  # beside one another
            y=[p] * len(sizes),
            mode="markers",
            name=name,
            marker={"size": 9, "color": colour, "symbol": symbol},
            error_y={"type": "data", "array": np.round(Z * error, 4), "thickness": 2, "width": 6},
        )
    return drawn
