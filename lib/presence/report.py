"""What a run says of presence, beside what every run says: the decision, its rows and measures."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from fastai.learner import Learner
from torch import Tensor

from .. import learner
from .answers import kind, present
from .decide import NORMAL, Rule, decide, fit_rule, fit_silence, pieces, words
from .measures import ANSWERS, count_presence, summarise_presence


@torch.no_grad()
def learn_rule(learn: Learner) -> Rule:
    """The decision that fits the validation cases, in two passes over them.

    First the weights, then what is too improbable and too small to be a nodule.
    """
    told, kinds = [], []
    for mask, label, given in _answers(learn, 1):
        told.append(words(given).cpu())
        kinds.append(kind(present(mask, label)).cpu())
    kinds = torch.cat(kinds)
    rule = fit_rule(torch.cat(told), kinds)
    found = [decide(given, rule) for _, _, given in _answers(learn, 1)]
    some = torch.cat([1 - one.posterior[:, NORMAL].cpu() for one in found])
    largest = torch.cat([pieces(one.mask)[1] for one in found])
    threshold, size = fit_silence(some, largest, kinds)
    return Rule(rule.weights, rule.kinds, threshold, size)


@torch.no_grad()
def presence_report(learn: Learner) -> dict[str, Any]:
    """Presence on the test cases, for the run's record.

    decision: what the validation cases taught, as `Rule.record`; per_image: the columns of
    `count_presence` with case and group; metrics: by answer, raw and
    joint, those of `summarise_presence`.
    """
    rule = learn_rule(learn)
    rows = [
        count_presence(mask, label, given, decide(given, rule))
        for mask, label, given in _answers(learn, 2)
    ]
    names = learn.dls.cases[2][["case", "group"]]
    table = pd.concat([names, pd.concat(rows, ignore_index=True)], axis=1)
    return {
        "decision": rule.record(),
        "metrics": {answer: summarise_presence(table, answer) for answer in ANSWERS},
        "per_image": table.to_dict("list"),
    }


def _answers(learn: Learner, subset: int) -> Iterator[tuple[Tensor, Tensor, dict[str, Tensor]]]:
    for _, mask, label, given in learner._answers(learn, subset):
        yield mask, label, given
