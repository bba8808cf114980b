"""JupyterLab for real: a notebook runs in it, an explorable is moved, and the kernel agrees.

Asked for by name, as it starts a server and a kernel: pytest -m lab tests/browser/test_lab.py
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.lab

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE = 180_000  # milliseconds, for a busy machine
CELLS = [
    'from lib import explorables\n\nlab = explorables.widget("loss-laboratory")\nlab',
    "ours = explorables.losses(lab.state)\n"
    "gap = max(abs(ours[name] - lab.values[name]) for name in ours)\n"
    'print("kernel:", lab.state["p"], "gap below 1e-6:", gap < 1e-6)',
    'lab.state = {**lab.state, "p": 0.25}\nprint("sent")',
]


def notebook(cells):
    code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    return {
        "cells": [code | {"id": f"cell-{i}", "source": text} for i, text in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def server(tmp_path):
    """JupyterLab over a folder with the notebook; its address, token and all."""
    (tmp_path / "lab.ipynb").write_text(json.dumps(notebook(CELLS)))
    log = tmp_path / "server.log"
    folders = {
        f"JUPYTER_{kind}_DIR": str(tmp_path / kind.lower())
        for kind in ("CONFIG", "RUNTIME", "DATA")
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0"]
    command += ["--allow-root", f"--notebook-dir={tmp_path}", "--LabApp.news_url="]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=tmp_path, env={**os.environ, **folders}
        )
    try:
        end = time.monotonic() + PATIENCE / 1000
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", log.read_text())):
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.5)
        urllib.request.urlopen(found[0], timeout=60).close()
        yield found[0]
    finally:
        process.terminate()
        process.wait(60)


def test_the_kernel_agrees_with_the_page(server):
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert chromium, "no Chromium: install it, or name one in the variable CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(PATIENCE)
        page.goto(server.replace("/lab?", "/lab/tree/lab.ipynb?"))

        def run(cell):
            """Selects a cell and runs it."""
            page.locator(".jp-CodeCell").nth(cell).locator(".cm-content").click()
            page.keyboard.press("Control+Enter")

        run(0)
        page.wait_for_selector(".explorable-view [data-field=p]")
        page.locator(".explorable-view [data-field=p]").focus()
        page.keyboard.press("Home")
        page.wait_for_timeout(2000)  # until the page has told the kernel
        run(1)
        said = page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output")
        said.filter(has_text="kernel: 0 gap below 1e-6: True").wait_for()
        run(2)  # and back: the kernel moves the page
        page.wait_for_function("() => document.querySelector('[data-field=p]').value === '0.25'")
        browser.close()
