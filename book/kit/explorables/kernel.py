"""An explorable in JupyterLab: its state goes both ways between the page and the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import STYLE, bundle

if TYPE_CHECKING:
    import anywidget
    from torch import Tensor

SIZE = 128  # pixels a side, as in masks.js


def widget(
    name: str, data: Mapping[str, Any] | None = None, state: Mapping[str, Any] | None = None
) -> anywidget.AnyWidget:
    """An explorable whose `state` the kernel and the page share, and whose `values` it can read.

    `data` and `state` as in `show`. Setting `state` moves the controls; a control that is moved
    sets `state`, and `values` to what the page has computed. Raises ValueError for an unknown name.

    >>> lab = widget("loss-laboratory", state={"p": 0.25})
    >>> lab.state["p"], lab.values
    (0.25, {})
    """
    import anywidget
    import traitlets

    class Explorable(anywidget.AnyWidget):
        _esm = bundle(name)
        _css = STYLE.read_text(encoding="utf8")
        state = traitlets.Dict().tag(sync=True)
        values = traitlets.Dict().tag(sync=True)
        data = traitlets.Dict().tag(sync=True)

    return Explorable(state=dict(state or {}), data=dict(data or {}))


def answers(state: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """The three answers that a state of the loss laboratory stands for, as the page makes them.

    `state` has the probabilities p, q, s2, s3 and the masks t2, t3 as `widget` and links hold them.
    Returns cls (1, 2), seg2 (1, 2, 128, 128) and seg3 (1, 3, 128, 128), float64.

    >>> cls, seg2, seg3 = answers(
    ...     {"p": 0.25, "q": 0, "s2": 1, "s3": 1, "t2": "e64_64_10_10", "t3": "e64_64_0_0"}
    ... )
    >>> cls.tolist(), seg2[0, 1].sum().item(), seg3[0, 1:].sum().item()
    ([[0.75, 0.25]], 316.0, 0.0)
    """
    import torch

    p, q = state["p"], state["q"]
    outlines = []
    for mask, sure in ((state["t2"], state["s2"]), (state["t3"], state["s3"])):
        outlines.append(np.where(decode(mask), sure, 1 - sure))
    nodule2, nodule3 = outlines
    cls = np.array([[1 - p, p]])
    seg2 = np.stack([1 - nodule2, nodule2])[None]
    seg3 = np.stack([1 - nodule3, nodule3 * (1 - q), nodule3 * q])[None]
    return tuple(torch.tensor(values, dtype=torch.float64) for values in (cls, seg2, seg3))


def losses(state: Mapping[str, Any]) -> dict[str, float]:
    """The three consistency losses of a state of the loss laboratory, by `lib.consistency`.

    `state` as in `answers`, with the options locations, order, softmax, detach, background and
    flatten where they are not the defaults.

    >>> state = {"p": 0, "q": 0, "s2": 1, "s3": 1, "t2": "e64_64_9_9", "t3": "e64_64_9_9"}
    >>> {name: round(loss, 4) for name, loss in losses(state).items()}
    {'L_T2T3': 0.0, 'L_T1T3': 1.0708, 'L_T1T2T3': 0.0}
    """
    from lib import consistency

    cls, seg2, seg3 = answers(state)
    dice = {k: state[k] for k in ("background", "flatten") if k in state}
    entropy = {k: state[k] for k in ("locations", "order", "softmax") if k in state}
    return {
        "L_T2T3": consistency.intra_task(seg2, seg3, **dice).item(),
        "L_T1T3": consistency.inter_task(cls, seg3, **entropy).item(),
        "L_T1T2T3": consistency.three_task(cls, seg2, seg3, **dice).item(),
    }


def decode(mask: str) -> np.ndarray:
    """A mask of masks.js as Booleans (128, 128).

    >>> decode("e64_64_10_10").sum(), decode("r5_3").sum()
    (np.int64(316), np.int64(3))
    """
    if mask.startswith("e"):
        x, y, a, b = map(float, mask[1:].split("_"))
        if a <= 0 or b <= 0:
            return np.zeros((SIZE, SIZE), bool)
        at = np.arange(SIZE) + 0.5
        return ((at[None] - x) / a) ** 2 + ((at[:, None] - y) / b) ** 2 <= 1
    flat = np.zeros(SIZE * SIZE, bool)
    at = 0
    for index, run in enumerate(mask[1:].split("_")):
        end = at + int(run, 36)
        flat[at:end] = index % 2
        at = end
    return flat.reshape(SIZE, SIZE)
