"""What a run's numbers come from: a digest of each module that it executes, blind to comments."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import nbformat

from lib.experiments import Experiment, find

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
TEMPLATE = ROOT / "book" / "experiment.ipynb"
# Rooms that only sort files: their modules are named, and import, as if they lay one floor up, so
# that sorting files anew leaves every digest as it was.
SORTED = "networks.rivals"
# What every run executes, beside its own network.
EVERY_RUN = ("blocks", "cam", "learner", "metrics", "square", "training")
# What no number depends on but by what the record says: the cases by their fingerprint and split,
# the catalogue and the budget by their parameters.
RECORDED = {"atomic", "cases", "checkpoint", "experiments", "home", "names", "profiles"}


def code(system: Experiment) -> dict[str, str]:
    """Digest by name of each module of `lib` that a run of `system` executes.

    A module's digest changes with what it does: not with its comments, docstrings or layout. The
    cells of the template that are tagged "numbers" count as the module "experiment.ipynb". Modules
    are found by following imports from the network's own file, so that a change of one network
    leaves the others' digests alone.

    Returns:
        Twelve hexadecimal digits by module, e.g. {"networks.unet": "0a1b…"}, in order of names.

    >>> digests = code(find("unet-seg3"))
    >>> "networks.unet" in digests, "networks.segnet" in digests
    (True, False)
    """
    start = [*EVERY_RUN, *_networks(system), *_terms(system)]
    digests = {_short(name): _digest(_as_sorted(name)) for name in _closure(start)}
    digests[TEMPLATE.name] = _digest(_template(TEMPLATE))
    return dict(sorted(digests.items()))


def _networks(system: Experiment) -> list[str]:
    own = system.network.__module__.removeprefix("lib.")
    return [own, *(name for part in system.parts for name in _networks(find(part)))]


def _terms(system: Experiment) -> set[str]:
    return {type(t).__module__.removeprefix("lib.") for t in system.consistency()}


def _closure(names: list[str]) -> set[str]:
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name.split(".")[0] not in RECORDED:
            found.add(name)
            waiting += _imports(name)
    return found


def _imports(name: str) -> Iterator[str]:
    """The modules of `lib` that a module imports; a package's by what it takes from it."""
    file = _file(name)
    package = name.split(".")[: None if file.name == "__init__.py" else -1]
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.ImportFrom) and node.level:
            for alias in node.names:
                yield _home(_target(node, package), alias.name)


def _target(node: ast.ImportFrom, package: list[str]) -> str:
    """The module that a relative import in a module of `package` takes from."""
    above = package[: len(package) - node.level + 1]
    return ".".join([*above, *(node.module.split(".") if node.module else [])])


def _home(module: str, name: str) -> str:
    """The module in which `name`, imported from `module`, is written down."""
    inner = f"{module}.{name}".lstrip(".")
    if _exists(inner):
        return inner
    if _file(module).name == "__init__.py":
        for node in ast.walk(_tree(_file(module))):
            if isinstance(node, ast.ImportFrom) and any(a.name == name for a in node.names):
                return f"{module}.{node.module}"
    return module


def _exists(name: str) -> bool:
    path = LIB.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _file(name: str) -> Path:
    path = LIB.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _short(name: str) -> str:
    """The name without the rooms that only sort files."""
    return name.replace(f"{SORTED}.", f"{SORTED.rpartition('.')[0]}.")


def _as_sorted(name: str) -> ast.Module:
    """A module's tree, with its relative imports as they would be under its short name."""
    tree = _tree(_file(name))
    if _short(name) == name:
        return tree
    package, above = name.split(".")[:-1], _short(name).split(".")[:-1]
    taken = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.level]
    for node in taken:
        target = _short(_target(node, package)).split(".")
        pairs = zip(target, above, strict=False)
        common = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        node.level = len(above) - common + 1
        node.module = ".".join(target[common:]) or None
    taken.sort(key=lambda node: (-node.level, node.module))  # as the linter sorts them
    ordered = iter(taken)
    tree.body = [next(ordered) if node in taken else node for node in tree.body]
    return tree


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), filename=str(file))


def _template(file: Path) -> ast.Module:
    cells = nbformat.read(file, as_version=4).cells
    counted = [cell for cell in cells if "numbers" in cell.metadata.get("tags", ())]
    return ast.parse("\n".join(cell.source for cell in counted))


def _digest(tree: ast.Module) -> str:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(_dump(tree).encode()).hexdigest()[:12]


def _dump(tree: ast.Module) -> str:
    """What Python 3.11 dumps, on newer ones too: a digest does not depend on the interpreter."""
    for node in ast.walk(tree):
        if getattr(node, "type_params", None) == []:  # a field since 3.12
            del node.type_params
        if isinstance(node, ast.JoinedStr):  # early 3.12 adds empty texts to formats
            node.values = [v for v in node.values if getattr(v, "value", None) != ""]
    options = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    return ast.dump(tree, **options)
