"""Headless Chromium to measure in, and the report of what was found."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

import lib
from lib.atomic import replacing


@contextmanager
def started() -> Iterator[Browser]:
    """Chromium without a window: Debian's, or the one that CHROMIUM names."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        yield browser
        browser.close()


@contextmanager
def measured(name: str) -> Iterator[tuple[Browser, dict[str, Any]]]:
    """A browser, and results/bench/`name` as a dict to fill, which is written at the end."""
    target: Path = lib.results.RESULTS / "bench" / name
    found = {
        "commit": lib.results.commit(),
        "machine": lib.results.machine("cpu"),
        "load_before": os.getloadavg()[0],  # processes that wanted a core in the minute before
    }
    with started() as browser:
        found["browser"] = f"Chromium {browser.version}, headless, drawn by the processor"
        yield browser, found
    with replacing(target) as draft:
        draft.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    print(f"{target.relative_to(lib.results.RESULTS.parent)}; next: make book")
