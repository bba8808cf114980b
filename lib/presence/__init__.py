"""Beyond one nodule: none, or one of each class. What the paper leaves to future work.

T1 becomes two independent answers, whether a benign and whether a malignant nodule is present; T2
may be empty; T3 is per pixel as before. The two-class systems use nothing of this.
"""

from .answers import HOLDS, KINDS, SURE, kind, present
from .consistency import (
    PresenceInterTask,
    PresenceThreeTask,
    inter_task_present,
    seg2_as_seg3_present,
    seg_as_present,
    three_task_present,
)
from .decide import (
    Decision,
    Rule,
    decide,
    fit_rule,
    fit_silence,
    piece_classes,
    pieces,
    without_specks,
    words,
)
from .losses import presence_losses
from .measures import (
    ANSWERS,
    CONTRADICTIONS,
    contradictions,
    count_presence,
    holds,
    presence_auc,
    presence_measures,
    summarise_presence,
)

__all__ = [
    "ANSWERS",
    "CONTRADICTIONS",
    "HOLDS",
    "KINDS",
    "SURE",
    "Decision",
    "PresenceInterTask",
    "PresenceThreeTask",
    "Rule",
    "contradictions",
    "count_presence",
    "decide",
    "fit_rule",
    "fit_silence",
    "holds",
    "inter_task_present",
    "kind",
    "piece_classes",
    "pieces",
    "presence_auc",
    "presence_losses",
    "presence_measures",
    "present",
    "seg2_as_seg3_present",
    "seg_as_present",
    "summarise_presence",
    "three_task_present",
    "without_specks",
    "words",
]
