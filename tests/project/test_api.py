"""The reference: every public name is described, its examples run, and a page shows it."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
import yaml

import lib

ROOT = Path(__file__).parents[2]
ROOMS = ("lib", "book.kit", "ci.engine")
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for room in ROOMS
    for file in ROOT.joinpath(*room.split(".")).rglob("*.py")
)
# These list their names in `__all__`; the modules in them are how they are made.
PACKAGES = (
    "book.kit.chapters",
    "book.kit.explorables",
    "book.kit.figures",
    "book.kit.stats",
    "lib.cases",
    "lib.networks",
    "lib.presence",
)
PUBLIC = [
    name
    for name in MODULES
    if name not in ROOMS and not any(name.startswith(f"{package}.") for package in PACKAGES)
]
PAGES = sorted((ROOT / "book" / "api").glob("*.md"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]


def own(module):
    """The functions and classes written in the module, by name, under any decorator."""
    for name, value in vars(module).items():
        if inspect.isroutine(value) or inspect.isclass(value):
            value = inspect.unwrap(value)
            if getattr(value, "__module__", None) == module.__name__:
                yield name, value


def public(module):
    """The functions and classes that a module offers. Its constants are left to its page."""
    names = getattr(module, "__all__", None)
    if names is None:
        return {name: value for name, value in own(module) if not name.startswith("_")}
    every = {name: inspect.unwrap(getattr(module, name)) for name in names}
    return {k: v for k, v in every.items() if inspect.isroutine(v) or inspect.isclass(v)}


def description(value):
    """The docstring written for it: not inherited, nor made by `dataclass`."""
    text = vars(value).get("__doc__") or "" if inspect.isclass(value) else value.__doc__ or ""
    return "" if text.startswith(f"{value.__name__}(") else text


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name, tmp_path, monkeypatch):
    """Also of names that are not public. They write into temporary folders only."""
    monkeypatch.chdir(tmp_path)
    for place in (lib.blocks, lib.inference):
        monkeypatch.setattr(place, "CACHE", tmp_path / "cache")
    module = importlib.import_module(name)
    finder, said = doctest.DocTestFinder(), []
    found = finder.find(module, name)  # passes over what is decorated: added below
    for own_name, value in own(module):
        if f"{name}.{own_name}" not in {test.name for test in found}:
            found += finder.find(value, f"{name}.{own_name}", module, vars(module).copy())
    runner = doctest.DocTestRunner(verbose=False)
    for test in found:
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_described(name):
    names = public(importlib.import_module(name))
    bare = [key for key, value in names.items() if not description(value)]
    assert not bare, f"{name}: no docstring: {', '.join(bare)}"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_has_type_hints(name):
    for key, value in public(importlib.import_module(name)).items():
        if inspect.isroutine(value):
            signature = inspect.signature(value)
            hints = [p.annotation for p in signature.parameters.values()]
            bare = inspect.Signature.empty in [*hints, signature.return_annotation]
            assert not bare, f"{name}.{key}{signature} lacks a type hint"


def test_every_public_name_is_on_one_page():
    """A module with its members, as the configuration asks, or a class by itself."""
    assert CONFIG["autodoc_default_options"]["members"] is True
    text = "\n".join(page.read_text() for page in PAGES)
    shown = re.findall(r"^\.\. auto(?:class|function):: ([\w.]+)", text, re.M)
    listed = r"^\.\. automodule:: (\S+)\n(?:   :exclude-members:\s+((?:[\w, ]+\n)+))?"
    modules = re.findall(listed, text, re.M)
    for module, excluded in modules:
        left_out = {name.strip() for name in excluded.split(",")}
        names = public(importlib.import_module(module)).keys() - left_out
        shown += [f"{module}.{name}" for name in names]
    assert sorted(module for module, _ in modules) == PUBLIC
    every = [f"{m}.{name}" for m in PUBLIC for name in public(importlib.import_module(m))]
    assert sorted(shown) == sorted(every)
    chapters = (ROOT / "book" / "_toc.yml").read_text()
    assert all(f"file: api/{page.stem}\n" in chapters for page in PAGES)
