"""Processor time of a training, and what it has reached by then."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.schedule import ParamScheduler

# From files of pictures to their masks, 0 and 1: uint8 (H, W) of the picture's own size, or of the
# square that the picture was fitted into.
Answer = Callable[[list[Path]], Iterable[np.ndarray]]
LOOKS = 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0  # of the budget
EPOCHS = 10_000  # more than any budget holds: the clock ends a training


def processor_seconds() -> float:
    """What this process, its threads and the children that it has waited for have spent so far."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


class Clock:
    """A budget of processor time, from the first step on; looks at answers do not count.

    minutes: the budget; look: gives a measure of an `Answer`; now: processor seconds so far.
    `curve` is what `look` gave, as (minutes, measure); `steps` and `images` count the training;
    `preparation` is what was spent from when the clock was made to when it first started.

    >>> ticks = iter(range(100))
    >>> clock = Clock(0.1, look=lambda answer: 0.5, now=lambda: next(ticks))  # six seconds
    >>> clock.start()
    >>> while clock.step(16, None):
    ...     pass
    >>> clock.steps, clock.images, round(clock.share, 2), len(clock.curve)
    (6, 96, 1.0, 5)
    """

    def __init__(
        self,
        minutes: float,
        look: Callable[[Answer], float],
        now: Callable[[], float] = processor_seconds,
    ):
        self.budget, self.look, self.now = 60 * minutes, look, now
        self.spent, self.steps, self.images = 0.0, 0, 0
        self.began: float | None = None
        self.made, self.preparation = now(), 0.0
        self.due = list(LOOKS)
        self.curve: list[tuple[float, float]] = []

    @property
    def share(self) -> float:
        """Of the budget that was spent by the last step, 0..1: what a schedule follows."""
        return min(self.spent / self.budget, 1.0)

    def start(self) -> None:
        """From here on time counts."""
        if self.began is None:
            self.began = self.now()
        if not self.steps:
            self.preparation = self.began - self.made

    def stop(self) -> None:
        """Until `start`, time does not count."""
        if self.began is not None:
            self.spent += self.now() - self.began
            self.began = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside, time does not count."""
        self.stop()
        yield
        self.start()

    def step(self, images: int, answer: Answer) -> bool:
        """Count a step of so many images, look if it is time to, and say if another one fits."""
        self.steps += 1
        self.images += images
        with self.stopped():
            more = self.spent * (self.steps + 1) / self.steps <= self.budget
            if self.share >= self.due[0] or not more:
                self.due = [share for share in LOOKS if share > self.share] or [1.0]
                self.curve.append((self.spent / 60, self.look(answer)))
        return more


class Budget(Callback):
    """A fastai training that ends with its clock, and its schedule with it.

    The time for validation does not count. Put it beside a `ParamScheduler`, such as
    `fit_one_cycle` has.
    """

    order = ParamScheduler.order - 1

    def __init__(self, clock: Clock, answer: Answer):
        self.clock, self.answer = clock, answer

    def before_train(self) -> None:
        self.clock.start()

    def before_batch(self) -> None:
        if self.training:
            self.learn.pct_train = self.clock.share

    def after_batch(self) -> None:
        if self.training and not self.clock.step(len(self.xb[0]), self.answer):
            raise CancelFitException

    def before_validate(self) -> None:
        self.clock.stop()
