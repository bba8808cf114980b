"""What the three consistency losses take, beside the softmax of the same scores."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from .spread import growth, spread
from .style import table

WAYS = {
    "literal": "algorithms line by line",
    "consistency": "lib.consistency",
    "consistency, probabilities": "lib.consistency, ready probabilities",
    "fused": "ci.engine.fused",
}


def loss_time_curves(losses: Mapping[str, Any]) -> go.Figure:
    """Time of the three losses in each way over that of a softmax, against the side of the images.

    losses: results/bench/losses.json, by `ci/bench_losses.py`; lowest of its rounds.

    >>> ways = {way: {"over_softmax": {"of_lows": 2.5}} for way in WAYS}
    >>> loss_time_curves({"sizes": [{"size": 64, "ways": ways}]}).data[0].y
    (2.5,)
    """
    sizes = losses["sizes"]
    px = [s["size"] for s in sizes]
    times = {
        name: [s["ways"][way]["over_softmax"]["of_lows"] for s in sizes]
        for way, name in WAYS.items()
    }
    told = "; ".join(
        f"{name}: " + ", ".join(f"{t:.1f} at {side} px" for t, side in zip(some, px, strict=True))
        for name, some in times.items()
    )
    alt = f"Time of the three losses over that of a softmax, lowest of the rounds. {told}"
    return growth(alt, px, times, "side of the image, px", "times a softmax")


def loss_time_table(losses: Mapping[str, Any]) -> str:
    """HTML of a table: milliseconds, times a softmax and memory of each way at each size.

    losses: as in `loss_time_curves`.

    >>> ratio = {"of_lows": 2.5, "median": 3.0, "low": 2.0, "high": 4.0}
    >>> way = {"forward_seconds": {"low": 0.001}, "backward_seconds": {"low": 0.002}}
    >>> way |= {"over_softmax": ratio, "peak_bytes": 2**20, "peak_over_inputs": 1.5}
    >>> size = {"size": 64, "ways": dict.fromkeys(["softmax", *WAYS], way)}
    >>> losses = {"sizes": [size], "images": 16, "machine": {"threads": 1}, "clock": "by the clock"}
    >>> losses |= {"commit": "0a", "versions": {"torch": "2.0"}}
    >>> "3.00 (2.00 to 4.00)" in loss_time_table(losses)
    True
    """
    rows: list[list[str] | str] = []
    for s in losses["sizes"]:
        rows.append(f"{losses['images']} images of {s['size']} px")
        for way, name in {"softmax": "softmax alone", **WAYS}.items():
            one = s["ways"][way]
            rows.append(
                [
                    name,
                    f"{1000 * one['forward_seconds']['low']:.1f}",
                    f"{1000 * one['backward_seconds']['low']:.1f}",
                    f"{one['over_softmax']['of_lows']:.2f}",
                    spread(one["over_softmax"]),
                    f"{one['peak_bytes'] / 2**20:.1f}",
                    f"{one['peak_over_inputs']:.2f}",
                ]
            )
    head = [
        "",
        "forward, ms",
        "backward, ms",
        "lowest time,<br>of softmax's lowest",
        "in pairs: median (range)",
        "peak, MiB",
        "peak over inputs",
    ]
    threads = losses["machine"]["threads"]
    note = (
        f"Milliseconds: lowest of the rounds ({losses['clock']}, {threads} thread"
        f"{'s' * (threads > 1)}). Peak: most that torch held beyond the inputs, the gradients "
        f"included, which alone are 1.00. Commit {losses['commit'][:10]}, "
        f"torch {losses['versions']['torch']}."
    )
    return table(head, rows, note)
