"""Consistent multi-task learning for ultrasound images: one nodule, three tasks (its class, its
outline, its outline with a class) and the losses that keep the three answers in agreement.

    import lib

    cases, problems = lib.prepare_cases(lib.sources.phantom.read())
    dls = lib.dataloaders(cases, size=96)
    network = lib.networks.MSMTL("resnet18")
    terms = [lib.IntraTask(), lib.InterTask(), lib.ThreeTask()]
    lib.fit(lib.task_learner(dls, network, consistency=terms, weight=0.3), epochs=2)
"""

import importlib
import pkgutil
from typing import Any

MODULES = [module.name for module in pkgutil.iter_modules(__path__) if module.name != "__main__"]
NAMES = {
    "IntraTask": "callbacks",
    "InterTask": "callbacks",
    "ThreeTask": "callbacks",
    "dataloaders": "blocks",
    "prepare_cases": "cases",
    "fit": "learner",
    "load": "inference",
    "predict": "learner",
    "predict_folder": "predictions",
    "task_learner": "learner",
}
__all__ = [*MODULES, *NAMES]


def __getattr__(name: str) -> Any:
    """Import on first use: a page that only reads results need not wait for fastai."""
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in NAMES:
        return getattr(importlib.import_module(f".{NAMES[name]}", __name__), name)
    raise AttributeError(f"lib has no {name!r}; it has {', '.join(__all__)}")
