"""What a network costs: parameters, floating-point operations, memory."""

import resource
import sys

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters.

    >>> parameter_count(nn.Linear(3, 2))
    8
    """
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def forward_flops(network: nn.Module, size: int, batch_size: int = 1) -> int:
    """Floating-point operations of one forward pass over (batch_size, 1, size, size).

    Counted by torch: a multiplication with its addition is two operations. A network on the meta
    device is counted without computing anything.

    >>> forward_flops(nn.Conv2d(1, 4, 3, padding=1), size=8)  # 2 x 9 for each of 4 x 64 values
    4608
    """
    training = network.training
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(batch_size, 1, size, size, device=device))
    network.train(training)
    return counter.get_total_flops()


def peak_memory_mb(device: torch.device | str) -> float:
    """Highest memory this process has used, in MiB: of the GPU if that is where it computes.

    >>> peak_memory_mb("cpu") > 10
    True
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
