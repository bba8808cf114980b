"""One Chromium for all tests of pages, with the network cut but for this machine's own servers."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, sync_playwright

HTML = Path(__file__).parents[2] / "_build" / "html"
SIZES = {"phone": (360, 800), "desktop": (1440, 900)}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert chromium, "no Chromium: install it, or name one in the variable CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open a page, wait until its figures and mathematics are drawn, and note all that it did."""
    contexts = []

    def visit(name: str, size: str = "desktop", scheme: str = "light", query: str = ""):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        page, log = context.new_page(), []
        page.on("console", lambda m: m.type == "error" and log.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: log.append(f"script: {error}"))
        page.on("requestfailed", lambda request: log.append(f"failed: {request.url}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:", "blob:"))
                or log.append(f"left the book: {request.url}")
            ),
        )
        page.goto((HTML / name).as_uri() + query, wait_until="load")
        page.wait_for_function(
            """() => [...document.querySelectorAll(".plotly-drawing")]
                 .every((figure) => figure.querySelector("svg.main-svg"))
               && [...document.querySelectorAll(".math")]
                 .every((formula) => formula.querySelector("mjx-container"))"""
        )
        return SimpleNamespace(page=page, log=log)

    yield visit
    for context in contexts:
        context.close()
