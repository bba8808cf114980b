"""Light pages: notebooks that ask to be executed when the book is built, and read what is there.

One process imports what they share and forks itself for each page, so that a page takes only the
time of its own cells; as many pages run at once as there are cores. A page's outputs are kept with
what it has read (`reads`): its code, the library and the kit, each file that it opened or looked
for, each folder that it listed. They are used again as long as all of that is the same, and no
longer. MyST-NB then sees a notebook that has its outputs.
"""

import hashlib
import importlib
import json
import multiprocessing
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from nbformat.v4 import output_from_msg
from reads import Reads, follow, listing, state, stop
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

from lib.atomic import replacing

LOG = logging.getLogger(__name__)
MODE = "execution_mode"
ROOMS = ("lib", "book/kit", "book/_extensions/light_pages.py", "book/_extensions/reads.py")
ENGINE = "ci/engine"  # counts for the pages that import it
ALLOWED = 1200  # seconds for a page: a busy machine, not a slow page
COLOURS = re.compile(r"\x1b\[[\d;]*m")


def cells_of(page: Path) -> list[str]:
    """The code of each code cell of a notebook."""
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def is_light(page: Path) -> bool:
    """Whether a notebook asks for its own execution."""
    about = json.loads(page.read_text(encoding="utf-8"))["metadata"]
    return about.get("mystnb", {}).get(MODE) == "force"


def room(path: Path) -> Iterator[Path]:
    """The files of a room, or the one file."""
    if path.is_file():
        yield path
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.suffix != ".pyc" and not file.name.startswith("."):
            yield file


def surroundings(root: Path, engine: bool) -> str:
    """A digest of what every page may depend on: the rooms, all versions, where results are."""
    found = hashlib.sha256()
    about = [sys.version, platform.platform(), os.environ.get("LIB_RESULTS", "")]
    found.update("\0".join(about).encode())
    for name in (*ROOMS, "requirements.lock", *([ENGINE] if engine else [])):
        for file in room(root / name):
            found.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()


# ---- one page, in a process of its own


def outputs_of(cells: list[str], folder: Path) -> list[list[dict]]:
    """What each cell shows when they run one after the other in `folder`, as nbformat keeps it.

    Raises RuntimeError with the number and the traceback of a cell that fails.
    """
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # nobody debugs here
    from ipykernel.inprocess.manager import InProcessKernelManager
    from traitlets.config import Config

    os.chdir(folder)
    sys.path.insert(0, "")  # as a kernel has it
    manager = InProcessKernelManager(config=Config({"HistoryManager": {"enabled": False}}))
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    found = []
    for number, cell in enumerate(cells, start=1):
        client.execute(cell, store_history=True)
        told = [m for m in client.iopub_channel.get_msgs() if m["msg_type"] != "status"]
        shown = [output_from_msg(m) for m in told if m["msg_type"] != "execute_input"]
        if client.get_shell_msg(timeout=ALLOWED)["content"]["status"] != "ok":
            said = [line for o in shown for line in o.get("traceback", [o.get("text", "")])]
            raise RuntimeError(f"code cell {number} fails:\n{COLOURS.sub('', chr(10).join(said))}")
        found.append(shown)
    return found


def run(page: Path, kept: Path, root: Path, reads: Reads, before: dict[bool, str]) -> None:
    """Execute a page and keep its outputs with what it has read. For a process of its own."""
    if hasattr(signal, "alarm"):
        signal.alarm(ALLOWED)
    cells, begun = cells_of(page), time.perf_counter()
    follow(reads)
    try:
        outputs = outputs_of(cells, page.parent)
    except RuntimeError as error:
        sys.__stderr__.write(f"{page.relative_to(root)}: {error}\n")
        sys.__stderr__.flush()
        os._exit(1)
    stop()
    engine = "ci.engine" in sys.modules
    record = {
        "cells": cells,
        "engine": engine,
        "surroundings": before[engine],
        "seconds": round(time.perf_counter() - begun, 1),
        "outside": sorted(reads.outside),
        "files": reads.files,
        "folders": reads.folders,
        "written": {path: state(Path(path)) for path in sorted(reads.written)},
        "outputs": outputs,
    }
    with replacing(kept) as draft:
        draft.write_text(json.dumps(record, indent=1), encoding="utf-8")
    os._exit(0)  # without what a kernel does at its end


def load(kept: Path) -> dict[str, Any]:
    """What was kept of a page; empty if nothing whole is there."""
    try:
        return json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def stale(page: Path, record: dict[str, Any], now: dict[bool, str]) -> str:
    """Why a page has to be executed again, or "" if what was kept is what it would show."""
    if not record:
        return "it has not been executed yet"
    if record["cells"] != cells_of(page):
        return "its code has changed"
    if record["surroundings"] != now[record["engine"]]:
        return "the library, the kit or a version has changed"
    if record["outside"]:
        return f"it reads what cannot be followed ({', '.join(record['outside'])})"
    for look, kind in ((state, "files"), (state, "written"), (listing, "folders")):
        for path, then in record[kind].items():
            if look(Path(path)) != then:
                return f"{path} has changed"
    return ""


# ---- all pages


def execute(pages: dict[Path, Path], root: Path, before: dict[bool, str], shared: Reads) -> None:
    """Execute each page into the file that keeps it, as many at once as there are cores.

    Raises ExtensionError, once those that run have ended, if a page fails.
    """
    # Elsewhere a forked process may not use what its parent has loaded: there each page imports.
    fork = sys.platform == "linux"
    context = multiprocessing.get_context("fork" if fork else "spawn")
    cores = len(os.sched_getaffinity(0)) if fork else os.cpu_count() or 1
    # The longest first, as far as it is known.
    waiting = sorted(pages, key=lambda page: load(pages[page]).get("seconds", 0))
    running: dict[int, tuple[Any, Path]] = {}
    failed = []
    while waiting or running:
        while waiting and len(running) < cores and not failed:
            page = waiting.pop()
            given = (page, pages[page], root, shared, before)
            process = context.Process(target=run, args=given)
            process.start()
            running[process.sentinel] = process, page
        for sentinel in wait(list(running)):
            process, page = running.pop(sentinel)
            process.join()
            if process.exitcode:
                failed.append(f"{page.relative_to(root)} (exit status {process.exitcode})")
        if failed and not running:
            raise ExtensionError(f"these pages could not be executed: {', '.join(failed)}")


def update(pages: dict[Path, Path], root: Path, imports: list[str]) -> dict[Path, str]:
    """Bring what is kept of these pages up to date; returns those that were executed, with why."""
    now = {engine: surroundings(root, engine) for engine in (False, True)}
    found = {page: stale(page, load(kept), now) for page, kept in pages.items()}
    why = {page: reason for page, reason in found.items() if reason}
    for page, reason in why.items():
        LOG.info("executing %s: %s", page.relative_to(root), reason)
    if why:
        again = {page: pages[page] for page in why}
        execute(again, root, now, imported(imports, root))
    return why


def kept_of(app: Sphinx, name: str) -> Path:
    """Where the outputs of a page are kept."""
    return Path(app.srcdir).parent / "_build" / "pages" / f"{name}.json"


def prepare(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Bring the outputs of all light pages up to date, and have Sphinx read these pages."""
    paths = {name: Path(env.doc2path(name)) for name in sorted(env.found_docs)}
    light = [n for n, path in paths.items() if path.suffix == ".ipynb" and is_light(path)]
    pages = {paths[name]: kept_of(app, name) for name in light}
    update(pages, Path(app.srcdir).parent, app.config.light_pages_import)
    return light


def imported(names: list[str], root: Path) -> Reads:
    """Import these packages, with the parts that they name as MODULES; what was read for that."""
    roots = [root, *map(Path, filter(None, [os.environ.get("LIB_RESULTS")]))]
    # What the surroundings hold, and what is made here.
    but = ("_build", ".venv", ".git", "lib", "book/kit", "book/_extensions")
    shared = Reads(roots, [root / name for name in but])
    if names:
        follow(shared)
    for name in names:
        for part in getattr(importlib.import_module(name), "MODULES", ()):
            importlib.import_module(f"{name}.{part}")
    stop()
    for found in (shared.outside, shared.folders):
        found.clear()  # a package asks for what the lock and the machine decide
    return shared


def fill(app: Sphinx, name: str, content: list[str]) -> None:
    """Give Sphinx a light page with the outputs that were kept of it."""
    page = Path(app.env.doc2path(name))
    if page.suffix != ".ipynb" or not is_light(page):
        return
    notebook = json.loads(content[0])
    notebook["metadata"]["mystnb"][MODE] = "off"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell, outputs in zip(code, load(kept_of(app, name))["outputs"], strict=True):
        cell["outputs"] = outputs
    content[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("light_pages_import", [], "env")
    app.connect("env-get-outdated", prepare)
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
