"""Several processes, one training: fastai's `distrib_ctx`, with the sums of a single process.

Each process computes its share of every batch. The paper's Dice sums over a batch and not over an
image, so the mean of the shares' losses is another loss than the batch's: here the outputs of all
shares are put together first, and every process computes the loss of the whole batch. A batch of
the profile therefore stays the same batch, whatever the number of processes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from random import Random

import torch
import torch.distributed as dist
from fastai.callback.core import Callback
from fastai.data.core import TfmdDL
from fastai.data.load import chunked
from fastai.distributed import DistributedDL, num_distrib, rank_distrib
from fastai.learner import Learner
from torch import Tensor, nn

from lib.networks import TaskLogits

__all__ = ["join", "together"]


def join() -> int:
    """Let every `Learner.fit` of this process train together with the other processes there are.

    Reads the variables that torchrun sets (RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR,
    MASTER_PORT); without them nothing changes. Call it once, before a device is chosen.

    Returns:
        The number of processes, 1 if this one is alone.

    Raises ValueError if there are fewer GPUs than processes on a machine that has GPUs.

    >>> join()
    1
    """
    processes = max(1, num_distrib())
    if processes == 1:
        return 1
    if torch.cuda.is_available():
        place, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if place >= gpus:
            raise ValueError(f"process {place + 1} of this machine needs a GPU; there are {gpus}")
        torch.cuda.set_device(place)
    if not getattr(Learner.fit, "together", False):
        alone = Learner.fit

        @wraps(alone)
        def fit(self: Learner, *given, **options):
            with together(self):
                return alone(self, *given, **options)

        fit.together = True
        Learner.fit = fit
    return processes


@contextmanager
def together(learn: Learner) -> Iterator[Learner]:
    """`learn.distrib_ctx()`, in which every batch is shared out and its loss that of the whole.

    Only the first process writes checkpoints and says anything. On GPUs, batch normalisation is
    over the whole batch, too; torch has that for GPUs only, so that on processors each process
    normalises by its own share.

    Raises ValueError if the processes cannot share a batch equally.

    >>> from types import SimpleNamespace
    >>> with together(SimpleNamespace(dls=[])) as alone:  # as there is one process only
    ...     hasattr(alone, "distributed_trainer")
    False
    """
    processes = num_distrib()
    if processes < 2:
        yield learn
        return
    from accelerate import DistributedDataParallelKwargs

    for loader in learn.dls:
        if loader.bs % processes:
            raise ValueError(f"{processes} processes cannot share batches of {loader.bs} equally")
    on_gpu = learn.dls.device.type == "cuda"
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # a task without a loss
    with learn.distrib_ctx(sync_bn=on_gpu, cpu=not on_gpu, kwargs_handlers=[unused]):
        learn.distributed_trainer._wrap_dl = _shared
        whole = WholeBatch()
        learn.add_cb(whole)
        try:
            yield learn
        finally:
            learn.remove_cb(whole)
    dist.barrier()  # what the first process has written can be read by all


class Share(DistributedDL):
    """This process's share of each batch of a loader: batch 1's first half, batch 2's first half…

    fastai's own cuts the whole epoch in two, which makes other batches than one process has.
    """

    def __init__(self, dl: TfmdDL):
        super().__init__(dl)
        self.bs = dl.bs // self.world_size

    def get_idxs(self) -> list[int]:
        chosen = torch.tensor(list(self.dl.get_idxs()), device=self.device)
        dist.broadcast(chosen, 0)
        every = chosen.tolist()
        whole = self.dl.bs
        if self.drop_last:
            every = every[: len(every) // whole * whole]
        self.n, self.seen, shares = len(every), 0, []
        for start in range(0, self.n, whole):
            batch = every[start : start + whole]
            batch += batch[:1] * (-len(batch) % self.world_size)  # dropped again by WholeBatch
            each = len(batch) // self.world_size
            shares += batch[self.rank * each :][:each]
        return shares

    def __len__(self) -> int:
        return len(self.dl)

    def create_batches(self, samples: list[int]) -> Iterator:
        items = map(self.dl.do_item, samples)
        yield from map(self.dl.do_batch, chunked(items, self.bs, False))

    def after_batch(self, batch: tuple) -> tuple:
        return self.dl.after_batch(batch)

    @property
    def rng(self) -> Random:
        """The whole loader's, which a checkpoint keeps."""
        return self.dl.rng

    def batch_cases(self, at: int) -> list[int]:
        """As `lib.blocks.CaseDL`, of the whole batch."""
        return self.dl.batch_cases(at)


class WholeBatch(Callback):
    """Put the shares' outputs and targets together before the loss is computed."""

    order = 1  # after a network that ran in bfloat16, before anything that reads the outputs

    def before_fit(self) -> None:
        self.wrapped = False

    def before_epoch(self) -> None:
        if self.wrapped:
            return
        self.wrapped = True  # the network, since this callback's own turn in `before_fit`
        self.learn.model.register_state_dict_post_hook(_without_prefix)
        if rank_distrib():
            self.learn.epoch_log.log = lambda line: None
            if hasattr(self.learn, "checkpoint"):
                self.learn.checkpoint.after_epoch = lambda: None

    def after_pred(self) -> None:
        loader = self.learn.dl
        if not isinstance(loader, Share):
            return
        outputs = self.learn.pred
        if outputs.extra is not None:
            raise ValueError(
                f"{type(self.model.module).__name__} brings losses of its own, from more than its "
                "outputs: several processes cannot put that together. Train it in one process"
            )
        size = min(loader.dl.bs, loader.n - loader.seen)
        loader.seen += size
        self.learn.pred = TaskLogits(**{n: _gathered(s)[:size] for n, s in outputs.items()})
        self.learn.yb = tuple(_gathered(target)[:size] for target in self.yb)
        # Later callbacks ask the images how many there are.
        self.learn.xb = tuple(x[:1].expand(size, *x.shape[1:]) for x in self.xb)


def _shared(loader: TfmdDL) -> Share:
    return loader if isinstance(loader, Share) else Share(loader)


def _gathered(own: Tensor) -> Tensor:
    """The tensors of all processes, one after the other; gradients reach this process's own."""
    shares = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in _ranks()]
    dist.all_gather(shares, own.detach().contiguous())
    if own.requires_grad:
        # The mean over the processes, which follows, is to be the gradient of one whole loss.
        own.register_hook(lambda gradient: gradient * len(shares))
        shares[rank_distrib()] = own
    return torch.cat(shares)


def _ranks() -> range:
    return range(dist.get_world_size())


def _without_prefix(module: nn.Module, state: dict, prefix: str, *_: object) -> None:
    """A checkpoint's names are those of the network alone."""
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, f"{prefix}module.")
