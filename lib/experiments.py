"""The catalogue: every system by name, and the row of the paper's tables that it fills."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import nn

from .callbacks import Consistency, InterTask, IntraTask, ThreeTask
from .names import look_up
from .networks import MSMTL

WEIGHT = 0.3  # lambda in Eq. 9


@dataclass(frozen=True)
class Experiment:
    """One system.

    name: as in commands and results; title: as in the paper's tables; network: takes a profile's
    `network_options`; consistency: the terms, made anew for every run; paper: the paper's own
    values by measure, as fractions (Tables 1 and 3).
    """

    name: str
    title: str
    network: Callable[..., nn.Module]
    terms: tuple[Callable[[], Consistency], ...] = ()
    paper: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def consistency(self) -> list[Consistency]:
        """The consistency callbacks of one run."""
        return [term() for term in self.terms]

    def record(self) -> dict[str, Any]:
        """What the results file says about the system."""
        return {
            "experiment": self.name,
            "network": self.network.__name__,
            "consistency": [
                {"term": t.term, "weight": t.weight, "ramp": t.ramp, **t.options}
                for t in self.consistency()
            ],
        }


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "ms-mtl",
            "MS-MTL",
            MSMTL,
            paper={
                "dice_paper_mean": 0.7813,
                "dice_paper_benign": 0.7527,
                "dice_paper_malignant": 0.8099,
                "iou_paper_mean": 0.7422,
                "iou_paper_benign": 0.7082,
                "iou_paper_malignant": 0.7762,
                "ACC": 0.8785,
                "F1": 0.8568,
                "AUC": 0.9523,
                "inconsis_seg2": 0.0338,
                "inconsis_seg3_benign": 0.1219,
                "inconsis_seg3_malignant": 0.0965,
                "inconsis_cls": 0.1452,
            },
        ),
        Experiment(
            "ms-mtl+intra+inter",
            "MS-MTL + Intra and Inter",
            MSMTL,
            terms=(IntraTask, InterTask, ThreeTask),
            paper={
                "dice_paper_mean": 0.8084,
                "dice_paper_benign": 0.7819,
                "dice_paper_malignant": 0.8349,
                "iou_paper_mean": 0.7675,
                "iou_paper_benign": 0.7346,
                "iou_paper_malignant": 0.8003,
                "ACC": 0.9075,
                "F1": 0.8915,
                "AUC": 0.9608,
                "inconsis_seg2": 0.0123,
                "inconsis_seg3_benign": 0.0492,
                "inconsis_seg3_malignant": 0.0405,
                "inconsis_cls": 0.0368,
            },
        ),
    )
}


def find(name: str) -> Experiment:
    """The experiment of that name; ValueError with the nearest names otherwise."""
    return look_up("experiment", name, EXPERIMENTS)
