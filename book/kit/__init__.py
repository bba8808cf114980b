"""What the pages draw and tell with: figures, statistics of runs, claims, exercises, explorables.

from book import kit

kit.figures.learning_curves(history)
"""

import importlib
import pkgutil
from types import ModuleType

MODULES = [module.name for module in pkgutil.iter_modules(__path__)]
__all__ = [*MODULES]


def __getattr__(name: str) -> ModuleType:
    """Import on first use: a page waits only for what it shows."""
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"book.kit has no {name!r}; it has {', '.join(__all__)}")
