"""Consistency as fastai callbacks, and the callbacks that watch over a run.

Consistency lives at the level of the tasks, not of the model: each callback adds one weighted term
to the loss of any network that returns `TaskLogits` with the tasks it needs.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable
from copy import copy
from typing import Any, ClassVar, Self

import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.learner import AvgSmoothLoss
from torch import Tensor

from . import checks, consistency, metrics

TASKS = {"cls": "T1 (classification)", "seg2": "T2 (nodule mask)", "seg3": "T3 (3-class mask)"}


class MissingTaskError(ValueError):
    """A consistency term needs a task that the network does not have."""


class NonFiniteLossError(ArithmeticError):
    """The loss became infinite or not a number."""


# ---------------------------------------------------------------------------- the consistency terms


class Consistency(Callback):
    """Add `weight` times one consistency term to the loss (Eq. 9).

    The weight rises as exp(-5 (1 - t)^2) over the first `ramp` of the training (0: constant, as in
    the paper). `options` go to the term's function in `lib.consistency`. A weight of 0 costs
    nothing. Raises ValueError for a negative weight, a `ramp` outside 0..1 or an option that the
    function does not have and, in training, MissingTaskError, naming both, if the network lacks a
    task.

    It belongs to a learner of `lib.task_learner`: in another one the loss has to be a
    `lib.learner.TaskLoss`, and the loaders need `n_inp=1`.

    A term of one's own names itself (as no other of the learner does), the tasks it needs, and a
    function of their probabilities, which gives a scalar:

    >>> class Outlines(Consistency):
    ...     term, needs, function = "outlines", ("seg2", "seg3"), consistency.intra_task
    >>> Outlines(weight=0.1, background=False).options
    {'background': False}
    """

    order = 5  # before precision callbacks scale the loss, and before anything reads it
    term: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, weight: float = 0.3, *, ramp: float = 0.0, **options: Any):
        if not 0 <= ramp <= 1:
            raise ValueError(f"ramp={ramp}; it is a fraction of the training, 0 to 1")
        if function := getattr(type(self), "function", None):
            checks.options(function, options, type(self).__name__)
        self.weight, self.ramp, self.options = _checked(weight), ramp, options

    def again(self, weight: float | None = None) -> Self:
        """The same term for another learner, which it belongs to from then on.

        `weight`: another weight for it.

        >>> mine = InterTask(weight=0.3, order="sc")
        >>> yours = mine.again(weight=0.1)
        >>> mine.weight, yours.weight, yours.options
        (0.3, 0.1, {'order': 'sc'})
        """
        term = copy(self)
        term.learn = None
        term.weight = self.weight if weight is None else _checked(weight)
        return term

    def after_loss(self) -> None:
        if self.weight == 0 or not len(self.yb):
            return
        given = dict(self.pred.probabilities.items())
        if missing := [name for name in self.needs if name not in given]:
            raise MissingTaskError(
                f"{type(self).__name__} ({self.term}) needs "
                f"{' and '.join(TASKS[name] for name in missing)}, which the network "
                f"{type(getattr(self.model, 'network', self.model)).__name__} does not give; "
                "leave the callback out"
            )
        with checks.trusted():  # a softmax; what is not finite is told by StopOnNonFinite
            term = type(self).function(*(given[name] for name in self.needs), **self.options)
        self.add(term)

    def add(self, term: Tensor) -> None:
        """Add the weighted term to what is optimised, and note it by its name."""
        self.learn.loss_grad = self.learn.loss_grad + self.current_weight() * term
        self.learn.loss = self.learn.loss_grad.detach().clone()
        self.learn.loss_func.terms[self.term] = term.detach()

    def current_weight(self) -> float:
        """The weight at this point of the training.

        >>> IntraTask(weight=0.3).current_weight()
        0.3
        """
        if self.ramp == 0:
            return self.weight
        done = min(getattr(self.learn, "pct_train", 1.0) / self.ramp, 1.0)
        return self.weight * math.exp(-5 * (1 - done) ** 2)


def _checked(weight: float) -> float:
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"weight={weight}; a consistency weight is 0 or more")
    return weight


class IntraTask(Consistency):
    """L_T2T3: nodule mask against folded 3-class mask (Eq. 4).

    >>> IntraTask(weight=0.3).needs
    ('seg2', 'seg3')
    """

    term, needs, function = "L_T2T3", ("seg2", "seg3"), consistency.intra_task


class InterTask(Consistency):
    """L_T1T3: class against the class read off the 3-class mask (Eq. 6, Alg. 1).

    Options: `locations`, `order`, `softmax`, `detach_target` (see `lib.consistency.inter_task`).

    >>> InterTask(weight=0.3, locations="all", order="sc").options
    {'locations': 'all', 'order': 'sc'}
    """

    term, needs, function = "L_T1T3", ("cls", "seg3"), consistency.inter_task


class ThreeTask(Consistency):
    """L_T1T2T3: nodule mask painted with the predicted class against 3-class mask (Eq. 7).

    >>> ThreeTask(weight=0.3, ramp=0.4).needs
    ('cls', 'seg2', 'seg3')
    """

    term, needs, function = "L_T1T2T3", ("cls", "seg2", "seg3"), consistency.three_task


# ------------------------------------------------------------------------------- looking at the run


class PlainTensors(Callback):
    """Hand the network plain tensors: fastai's subclasses cost time in every operation.

    >>> PlainTensors(channels_last=True).layout
    torch.channels_last
    """

    order = -5

    def __init__(self, channels_last: bool = False):
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def before_fit(self) -> None:
        self.model.to(memory_format=self.layout)

    def before_batch(self) -> None:
        image, *rest = (b.as_subclass(Tensor) for b in (*self.xb, *self.yb))
        self.learn.xb = (image.contiguous(memory_format=self.layout),)
        self.learn.yb = tuple(rest)


class Autocast(Callback):
    """Run the network in bfloat16; the losses stay in float32.

    >>> from types import SimpleNamespace
    >>> callback = Autocast()
    >>> callback.learn = SimpleNamespace(xb=(torch.zeros(1),))  # what it reads of a Learner
    >>> callback.before_batch()
    >>> (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.bfloat16
    >>> callback.after_pred()
    """

    def before_batch(self) -> None:
        device = self.xb[0].device.type
        self.context = torch.autocast(device, torch.bfloat16)
        self.context.__enter__()

    def after_pred(self) -> None:
        self.context.__exit__(None, None, None)


class StopOnNonFinite(Callback):
    """Stop with the batch's file names as soon as a loss is infinite or not a number.

    The one place where a training step waits for its device; `learn.loss_value` is the loss as a
    number from then on. On validation cases the scores are looked at, too: one that no loss reads
    would else reach the measures. Raises NonFiniteLossError, which names the epoch, the batch, its
    terms, its images and the learning rate.

    >>> from types import SimpleNamespace
    >>> stop = StopOnNonFinite()
    >>> learn = {"loss": torch.tensor(float("nan")), "epoch": 0, "iter": 6, "dl": None}
    >>> learn |= {"loss_func": SimpleNamespace(terms={"T1 BCE": torch.tensor(float("nan"))})}
    >>> learn |= {"training": True, "opt": SimpleNamespace(hypers=[{"lr": 0.01}])}
    >>> stop.learn = SimpleNamespace(**learn)
    >>> try:
    ...     stop.after_loss()
    ... except NonFiniteLossError as error:
    ...     print(str(error).split(". ")[0])
    the loss is nan in epoch 1, batch 7 (T1 BCE nan), at the learning rate 0.01
    """

    order = Consistency.order + 1

    def after_loss(self) -> None:
        scores = [] if self.training else [scores for _, scores in self.pred.items()]
        sums = torch.stack([self.loss.detach(), *(one.detach().double().sum() for one in scores)])
        self.learn.loss_value, *sums = sums.tolist()
        if not math.isfinite(self.loss_value):
            raise NonFiniteLossError(f"the loss is {self.loss_value} {self.place()}")
        for (name, _), value in zip(self.pred.items() if scores else (), sums, strict=True):
            if not math.isfinite(value):
                raise NonFiniteLossError(f"scores of {TASKS[name]} are {value} {self.place()}")

    def place(self) -> str:
        """Where it happened, and what to do."""
        epoch = getattr(self.learn, "epoch", 0) + 1  # none yet in `learn.validate()`
        part = "batch" if self.training else "validation batch"
        terms = ", ".join(f"{k} {float(v):.4g}" for k, v in self.learn.loss_func.terms.items())
        rate = f", at the learning rate {self.opt.hypers[-1]['lr']:.4g}" if self.opt else ""
        return (
            f"in epoch {epoch}, {part} {self.iter + 1} ({terms}){rate}. {self.files()}"
            "Look at these, or lower the learning rate; the last good epoch's weights are kept in "
            "the checkpoint"
        )

    def files(self) -> str:
        """What the batch holds, if the loaders are ours and can tell."""
        if not hasattr(self.dl, "batch_cases"):
            return "Your own loaders do not say which images the batch holds. "
        table = self.dls.cases[self.dls.loaders.index(self.dl)]
        files = [table["image"].iloc[at] for at in self.dl.batch_cases(self.iter)]
        return f"The batch holds: {', '.join(files)}. "


class SmoothLoss(AvgSmoothLoss):
    """fastai's, from the number that `StopOnNonFinite` has read: the device is not asked again."""

    def accumulate(self, learn: Any) -> None:
        """Take the latest loss in."""
        self.count += 1
        self.val = torch.lerp(torch.tensor(learn.loss_value), self.val, self.beta)


class EpochLog(Callback):
    """Keep, for each epoch, the mean of every loss term by name, measures and seconds.

    `learn.history` is a list of dicts: epoch (from 1), train and valid (mean of each term),
    metrics (on the validation cases), lr, seconds; seconds_data, the part of the training during
    which the loop waited for its batches; and seconds_processor, what the processor spent on the
    epoch, whatever else it had to do. `log` gets one line an epoch.

    >>> from tempfile import TemporaryDirectory
    >>> import lib
    >>> from lib.networks import Adapted, TaskLogits
    >>> network = Adapted(torch.nn.Conv2d(1, 2, 1), lambda scores: TaskLogits(seg2=scores))
    >>> with TemporaryDirectory() as folder:
    ...     cases = lib.sources.phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     dls = lib.dataloaders(cases, size=32, batch_size=4, cache=folder)
    ...     learn = lib.fit(lib.task_learner(dls, network, log=lambda line: None), epochs=1)
    >>> sorted(learn.history[0]["train"]), sorted(learn.history[0]["metrics"])
    (['T2 Dice', 'total'], ['dice_nodule', 'iou_nodule'])
    """

    order = 55  # after fastai's Recorder

    def __init__(self, log: Callable[[str], object] = print):
        self.log = log

    def before_fit(self) -> None:
        self.learn.history = getattr(self.learn, "history", [])
        self.began, self.done_before = time.perf_counter(), len(self.learn.history)

    def before_epoch(self) -> None:
        self.sums = {True: defaultdict(float), False: defaultdict(float)}  # on the device
        self.images = {True: 0, False: 0}
        self.rows: list[pd.DataFrame] = []
        self.start, self.spent = time.perf_counter(), time.process_time()
        self.waited = 0.0

    def before_train(self) -> None:
        self.ready = time.perf_counter()

    def before_batch(self) -> None:
        if self.training:
            self.waited += time.perf_counter() - self.ready

    def after_batch(self) -> None:
        if not hasattr(self, "sums"):
            return  # `learn.validate()` outside a fit
        size = len(self.xb[0])
        terms = {**self.learn.loss_func.terms, "total": self.loss.detach()}
        for name, value in terms.items():
            self.sums[self.training][name] += value.double() * size
        self.images[self.training] += size
        if self.training:
            self.ready = time.perf_counter()
        else:
            mask, label = self.yb
            given = dict(self.pred.probabilities.items())
            self.rows.append(metrics.count_batch(mask=mask, label=label, **given))

    def after_train(self) -> None:
        self.train_seconds = time.perf_counter() - self.start

    def after_epoch(self) -> None:
        if not self.images[True]:
            return  # an epoch that a resumed run skips
        means = {
            training: {k: float(v) / self.images[training] for k, v in sums.items()}
            for training, sums in self.sums.items()
        }
        self.learn.history.append(
            {
                "epoch": self.epoch + 1,
                "train": means[True],
                "valid": means[False],
                "metrics": metrics.summarise(pd.concat(self.rows, ignore_index=True)),
                "lr": self.opt.hypers[-1]["lr"],
                "seconds": time.perf_counter() - self.start,
                "seconds_train": self.train_seconds,
                "seconds_data": self.waited,
                "seconds_processor": time.process_time() - self.spent,
            }
        )
        self.log(self.line())

    def line(self) -> str:
        """The last epoch in one line, with the time that is left."""
        last = self.learn.history[-1]
        done, total = last["epoch"], self.n_epoch
        each = (time.perf_counter() - self.began) / max(done - self.done_before, 1)
        shown = {"dice_class_mean": "Dice", "ACC": "ACC", "AUC": "AUC", "inconsis_cls": "contrad."}
        measures = "  ".join(
            f"{name} {last['metrics'][key]:.3f}"
            for key, name in shown.items()
            if key in last["metrics"]
        )
        return (
            f"epoch {done:>3}/{total}  loss {last['train']['total']:.3f} train "
            f"{last['valid']['total']:.3f} valid  {measures}  {last['seconds']:.0f} s"
            f"{f', {each * (total - done):.0f} s left' if done < total else ''}"
        )
