"""The networks. One idea of one paper is one file, and every network returns `TaskLogits`."""

from .encoders import WeightsError, smp_model
from .logits import TaskLogits
from .msmtl import MSMTL

__all__ = ["MSMTL", "TaskLogits", "WeightsError", "smp_model"]
