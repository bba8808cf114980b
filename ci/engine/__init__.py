"""What makes the runs of a grid: which there should be, what each depends on, who makes which."""

import importlib
import pkgutil
from types import ModuleType

MODULES = [module.name for module in pkgutil.iter_modules(__path__)]
__all__ = [*MODULES]


def __getattr__(name: str) -> ModuleType:
    """Import on first use: who only compares records need not wait for torch."""
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"ci.engine has no {name!r}; it has {', '.join(__all__)}")
