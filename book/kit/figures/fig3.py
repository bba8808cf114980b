"""The paper's Fig. 3 with its losses computed anew, which shows how they came about."""

import torch

from lib.consistency import soft_cross_entropy

from .. import paper
from .style import table

ROUNDING = 0.0005  # half a unit in the last of the three decimals that Fig. 3 prints
FORMS = ("double", "single")  # of the softmax
SUREST = torch.tensor([1.0, 0.0], dtype=torch.float64).softmax(0)[0].item()  # of a Seg-as-Cls


def fig3_losses(row: paper.Figure3) -> dict[str, float]:
    """L_T1T3 of one row of Fig. 3, in both orders, from the printed probabilities.

    "double": the log of a softmax of the probabilities; "single": Eq. 5 as written, with its clip;
    "low" and "high": what the double form gives at the ends of what three decimals leave open.

    >>> losses = fig3_losses(paper.FIGURE_3[3])
    >>> {name: round(loss, 4) for name, loss in losses.items()}
    {'double': 1.9734, 'single': 4.4154, 'low': 1.9716, 'high': 1.9751}
    """
    at = {form: _both_orders(row.seg_malignant, row.cls_malignant, form) for form in FORMS}
    ends = [
        _both_orders(
            min(max(row.seg_malignant + up, 1 - SUREST), SUREST),
            min(max(row.cls_malignant + across, 0), 1),
            "double",
        )
        for up in (-ROUNDING, ROUNDING)
        for across in (-ROUNDING, ROUNDING)
    ]
    return at | {"low": min(ends), "high": max(ends)}


def fig3_table() -> str:
    """The four rows of the paper's Fig. 3: its printed losses beside both forms of the loss.

    Everything printed comes from `book.kit.paper.FIGURE_3`, everything computed from
    `lib.consistency.soft_cross_entropy`.

    >>> fig3_table().count("1.0711")
    1
    """
    body = []
    for number, row in enumerate(paper.FIGURE_3, 1):
        losses = fig3_losses(row)
        body.append(
            [
                f"{number}, {row.truth}",
                f"{row.all_benign:.3f} {row.all_malignant:.3f}",
                f"{row.seg_benign:.3f} {row.seg_malignant:.3f}",
                f"{row.cls_benign:.3f} {row.cls_malignant:.3f}",
                f"<b>{row.loss:.4f}</b>",
                f"<b>{losses['double']:.4f}</b>",
                f"{losses['low']:.4f} to {losses['high']:.4f}",
                f"{losses['single']:.4f}",
            ]
        )
    head = [
        "row, truth",
        "Seg-as-Cls,<br>all locations*",
        "Seg-as-Cls,<br>max locations*",
        "Cls*",
        "loss*",
        "double softmax",
        "range left open<br>by three decimals",
        "plain log, Eq. 5<br>(clipped)",
    ]
    note = (
        "* Printed by Kang et al. 2022, Fig. 3; probabilities of benign and of malignant. The "
        "others are computed from the printed probabilities, max locations, as the sum of both "
        "orders."
    )
    return table(head, body, note)


def _both_orders(seg: float, cls: float, form: str) -> float:
    """Both orders of the soft cross-entropy of two probabilities of malignant."""
    one, two = (torch.tensor([[1 - p, p]], dtype=torch.float64) for p in (seg, cls))
    return float(soft_cross_entropy(one, two, form) + soft_cross_entropy(two, one, form))
