"""The learner: any network that returns `TaskLogits`, the task losses, and consistency on top."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler, SchedCos, combined_cos
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed
from safetensors.torch import load_file
from torch import Tensor, nn

from . import checks, decode, metrics
from .blocks import GREY
from .callbacks import (
    Autocast,
    Consistency,
    EpochLog,
    PlainTensors,
    SmoothLoss,
    StopOnNonFinite,
)
from .checkpoint import Checkpoint
from .losses import task_losses
from .names import look_up
from .networks import TaskLogits

OPTIMISERS = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adam-gan": partial(torch.optim.Adam, betas=(0.5, 0.999), fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.99, nesterov=True, weight_decay=3e-5, fused=True),
}
SCHEDULES = {
    "one_cycle": lambda lr: combined_cos(0.25, lr / 25, lr, lr / 1e5),
    "cosine": lambda lr: SchedCos(lr, 0.0),
    "poly": lambda lr: lambda done: lr * (1 - done) ** 0.9,
}
PRECISIONS = ("auto", "float32", "bfloat16")


class TaskLoss:
    """The sum of the task losses (Eq. 9 without its last part); `terms` holds the latest by name.

    Consistency callbacks add their own terms to `terms`. `losses` is a network's own, called with
    its logits, mask and label and returning scalars by name; by default `lib.losses.task_losses`,
    which takes the `options`. The values of mask and label are looked at in the first batch only:
    each look makes a GPU wait. Raises ValueError for options beside a network's own losses.

    >>> loss = TaskLoss(weights={"T2 Dice": 0.5})
    >>> logits = TaskLogits(cls=torch.zeros(2, 2), seg2=torch.zeros(2, 2, 4, 4))
    >>> total = loss(logits, torch.ones(2, 4, 4, dtype=torch.int64), torch.tensor([0, 1]))
    >>> {name: round(float(value), 3) for name, value in loss.terms.items()}
    {'T1 BCE': 0.693, 'T2 Dice': 0.317}
    """

    def __init__(self, losses: Callable[..., dict[str, Tensor]] | None = None, **options: Any):
        if losses is not None and options:
            raise ValueError(f"the network brings its own losses, which take no {sorted(options)}")
        self.losses = losses or partial(task_losses, **options)
        self.terms: dict[str, Tensor] = {}
        self.looked = False

    def __call__(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> Tensor:
        with checks.trusted(self.looked):
            terms = self.losses(logits, mask, label)
        self.looked = True
        self.terms = {name: term.detach() for name, term in terms.items()}
        return sum(terms.values())


def task_learner(
    dls: DataLoaders,
    network: nn.Module,
    *,
    consistency: Sequence[Consistency] = (),
    weight: float | None = None,
    loss_options: Mapping[str, Any] | None = None,
    lr: float = 3e-4,
    optimiser: str = "adam",
    precision: str = "float32",
    channels_last: bool = False,
    log: Callable[[str], object] = print,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> Learner:
    """A fastai `Learner` for one network, its task losses and any consistency terms.

    Args:
        dls: from `lib.dataloaders`, or any `DataLoaders` of fastai of (image, mask, label).
        network: returns `TaskLogits`. If it has a method `losses(logits, mask, label)`, that gives
            its losses by name, in place of the tasks' own.
        consistency: `IntraTask()`, `InterTask()`, `ThreeTask()`, or others of their kind. The
            learner gets its own copies, such as `learn.intra_task`.
        weight: if given, the weight of every consistency term (the paper's lambda, 0.3).
        loss_options: for `lib.losses.task_losses`, e.g. {"weights": {"T2 Dice": 0.5}}.
        lr: learning rate (the paper starts at 3e-4).
        optimiser: "adam"; "sgd", with nnU-Net's momentum .99; "adam-gan", with beta 1 of .5.
        precision: "float32", the same numbers everywhere; "bfloat16"; or "auto": bfloat16 where
            the device computes in it.
        channels_last: memory layout; faster for most networks on a CPU.
        log: gets one line an epoch.
        callbacks: more of fastai's kind.
        options: for `Learner`, other than its loss, optimiser and callbacks. Another optimiser is
            set on the learner: `learn.opt_func = partial(OptimWrapper, opt=torch.optim.RMSprop)`.

    It trains by `lib.fit`, `fit_one_cycle` or `fine_tune`. What takes the network's answer for a
    tensor (`get_preds`, `show_results`, `lr_find`) does not work: `lib.predict` gives the rows.
    Raises ValueError for an unknown precision or optimiser.

    >>> from tempfile import TemporaryDirectory
    >>> from lib import InterTask, IntraTask, dataloaders, sources
    >>> with TemporaryDirectory() as folder:
    ...     cases = sources.phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     dls = dataloaders(cases, size=32, batch_size=4, cache=folder)
    >>> terms = [IntraTask(), InterTask()]
    >>> learn = task_learner(dls, nn.Conv2d(1, 5, 1), consistency=terms, weight=0.1)
    >>> learn.intra_task.weight, learn.lr, terms[0].weight
    (0.1, 0.0003, 0.3)
    """
    precision = choose_precision(precision, dls.device)
    own = [
        PlainTensors(channels_last),
        *([Autocast()] if precision == "bfloat16" else []),
        *(term.again(weight) for term in consistency),
        StopOnNonFinite(),
        EpochLog(log),
    ]
    make_optimiser = partial(OptimWrapper, opt=look_up("optimiser", optimiser, OPTIMISERS))
    learn = Learner(
        dls,
        network,
        loss_func=TaskLoss(getattr(network, "losses", None), **(loss_options or {})),
        opt_func=make_optimiser,
        lr=lr,
        cbs=[*own, *callbacks],
        **options,
    )
    learn.precision = precision
    learn.recorder.smooth_loss = SmoothLoss()
    learn.remove_cbs(learn._grab_cbs(ProgressCallback))
    learn.logger = lambda *_: None  # `EpochLog` says it, with names
    return learn


def choose_precision(precision: str, device: torch.device | str) -> str:
    """Resolve "auto": bfloat16 only where the hardware has it, for emulating it is far slower.

    Returns "float32" or "bfloat16". Raises ValueError for another name.

    >>> choose_precision("float32", "cpu")
    'float32'
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r}; use one of {', '.join(PRECISIONS)}")
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    has_it = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if has_it else "float32"


def schedule(name: str, lr: float) -> ParamScheduler:
    """Learning rate over the training.

    "one_cycle" is fastai's, for the rate only; "cosine" falls to 0; "poly" falls to 0 as
    (1 - t)^0.9, nnU-Net's. ValueError with the near names for another.

    >>> rate = schedule("cosine", lr=1e-3).scheds["lr"]
    >>> [round(rate(done), 6) for done in (0.0, 0.5, 1.0)]
    [0.001, 0.0005, 0.0]
    """
    return ParamScheduler({"lr": look_up("schedule", name, SCHEDULES)(lr)})


def fit(
    learn: Learner,
    epochs: int,
    *,
    checkpoint: Checkpoint | None = None,
    resume: bool = True,
    schedule_name: str = "one_cycle",
) -> Learner:
    """Train for `epochs`, from the last checkpoint if there is one and `resume` is true.

    At the end the weights of the best validation epoch are loaded, if there is a `checkpoint`.
    `schedule_name` as in `schedule`. Raises ValueError for fewer than one epoch or an unknown
    schedule, CheckpointError if the checkpoint belongs to another run.

    >>> from tempfile import TemporaryDirectory
    >>> from lib import dataloaders, sources
    >>> from lib.networks import Adapted
    >>> network = Adapted(nn.Conv2d(1, 2, 1), lambda scores: TaskLogits(seg2=scores))
    >>> with TemporaryDirectory() as folder:
    ...     cases = sources.phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     dls = dataloaders(cases, size=32, batch_size=4, cache=folder)
    ...     learn = fit(task_learner(dls, network, log=lambda line: None), epochs=2)
    >>> [epoch["epoch"] for epoch in learn.history]
    [1, 2]
    """
    if epochs < 1:
        raise ValueError(f"epochs={epochs}; at least one is needed")
    done = 0
    if checkpoint is not None:
        learn.add_cb(checkpoint)
        if resume:
            done = checkpoint.restore()
        else:
            checkpoint.clear()
    if done < epochs:
        learn.fit(epochs, start_epoch=done, cbs=schedule(schedule_name, learn.lr))
    if checkpoint is not None:
        learn.model.load_state_dict(_best(checkpoint, learn.model))
    return learn


def _best(checkpoint: Checkpoint, model: nn.Module) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    return load_file(checkpoint.best_weights, device=str(device))


def validation_score(measures: Mapping[str, float]) -> float:
    """What chooses the best epoch: the mean of Dice (images of the class) and AUC, if there are.

    `measures` as from `lib.metrics.summarise`. Without both, the nodule's Dice; without that, 0.

    >>> validation_score({"dice_class_mean": 0.5, "AUC": 0.75, "ACC": 0.9})
    0.625
    """
    wanted = [measures[key] for key in ("dice_class_mean", "AUC") if key in measures]
    wanted = wanted or [measures[key] for key in ("dice_nodule",) if key in measures]
    return sum(wanted) / len(wanted) if wanted else 0.0


@torch.no_grad()
def predict(
    learn: Learner, subset: int = 2, weights: decode.Weights = decode.EQUAL
) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """Run the network over the validation (`subset=1`) or test cases (2), in the table's order.

    Returns one row per case: the columns case, group and those of `metrics.count_batch`, and, for a
    network with a class and a map, as `joint_*` those of `lib.decode.count_joint` with these
    `weights`, from which `lib.decode.decide_again` can decide with others; and the tensors image
    (N, S, S) uint8, mask, seg2 and seg3 (N, S, S) uint8, the most probable class of each pixel, and
    cls (N,), the probability of malignant.
    The loaders are those of `lib.dataloaders`, with a table. Of several classes cls has the second.
    Raises ValueError for another `subset`: the training images come shuffled.

    >>> from tempfile import TemporaryDirectory
    >>> from lib import dataloaders, sources
    >>> from lib.networks import Adapted
    >>> network = Adapted(nn.Conv2d(1, 2, 1), lambda scores: TaskLogits(seg2=scores))
    >>> with TemporaryDirectory() as folder:
    ...     cases = sources.phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     learn = task_learner(dataloaders(cases, size=32, cache=folder, batch_size=4), network)
    ...     rows, maps = predict(learn)
    >>> len(rows), {name: tuple(values.shape) for name, values in maps.items()}
    (4, {'image': (4, 32, 32), 'mask': (4, 32, 32), 'seg2': (4, 32, 32)})
    """
    if subset not in (1, 2):
        raise ValueError(f"subset={subset}; use 1 (validation) or 2 (test): training is shuffled")
    rows, kept = [], {}
    for image, mask, label, given in _answers(learn, subset):
        rows.append(_counts(mask, label, given, weights))
        grey = (image[:, 0] * GREY[1] + GREY[0]).clamp(0, 1)
        shown = {"image": grey.mul(255).round(), "mask": mask}
        shown |= {name: given[name].argmax(1) for name in ("seg2", "seg3") if name in given}
        for name, values in shown.items():
            kept.setdefault(name, []).append(values.to(torch.uint8).cpu())
        if "cls" in given:
            kept.setdefault("cls", []).append(given["cls"][:, 1].cpu())
    table = pd.concat(rows, ignore_index=True)
    names = learn.dls.cases[subset][["case", "group"]]
    return pd.concat([names, table], axis=1), {k: torch.cat(v) for k, v in kept.items()}


@torch.no_grad()
def decoder_weights(learn: Learner) -> decode.Weights:
    """The weights of the joint decision that fit the validation cases, for `predict`.

    Equal weights where there is nothing to weigh: only one of T1 and T3 says the class, so that
    the joint answer is painting, or a class has no validation case. See `lib.decode.fit_weights`.

    >>> from tempfile import TemporaryDirectory
    >>> from lib import dataloaders, sources
    >>> from lib.networks import Adapted
    >>> network = Adapted(nn.Conv2d(1, 2, 1), lambda scores: TaskLogits(seg2=scores))
    >>> with TemporaryDirectory() as folder:
    ...     cases = sources.phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     learn = task_learner(dataloaders(cases, size=32, cache=folder, batch_size=4), network)
    ...     decoder_weights(learn)  # it has no class
    Weights(cls=1.0, maps=1.0, seg2=1.0, seg3=1.0, bias=())
    """
    features, labels = [], []
    for _, _, label, given in _answers(learn, 1):
        if not {"cls", "seg3"} <= given.keys():
            return decode.EQUAL
        features.append(decode.class_features(given).cpu())
        labels.append(label.cpu())
    told, label = torch.cat(features), torch.cat(labels)
    if len(label[label >= 0].unique()) < told.shape[2]:
        return decode.EQUAL
    return decode.fit_weights(told, label)


def _answers(
    learn: Learner, subset: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]]:
    """Image, mask, label and the network's probabilities by task, batch by batch."""
    learn.model.eval()
    for batch in learn.dls[subset]:
        image, mask, label = (b.as_subclass(Tensor) for b in batch)
        inputs = image.contiguous(memory_format=learn.plain_tensors.layout)
        with torch.autocast(
            image.device.type, torch.bfloat16, enabled=learn.precision == "bfloat16"
        ):
            logits = learn.model(inputs)
        yield image, mask, label, dict(logits.probabilities.items())


def _counts(
    mask: Tensor, label: Tensor, given: dict[str, Tensor], weights: decode.Weights
) -> pd.DataFrame:
    """The counts of the raw answers and, where there can be one, of the joint answer."""
    rows = metrics.count_batch(mask=mask, label=label, **given)
    if not decode.decidable(given):
        return rows
    return metrics.beside(rows, decode.count_joint(given, mask, label, weights))


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, before the loaders and the network are made.

    >>> seed_everything(7)
    >>> first = torch.rand(3)
    >>> seed_everything(7)
    >>> bool((torch.rand(3) == first).all())
    True
    """
    set_seed(seed)


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is a GPU if there is one. ValueError if it is not there.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={name!r} cannot be used here ({error}); try auto") from error
    return torch.device(name)
