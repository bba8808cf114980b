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
from pathlib import Path

import kept
import pytest
from PIL import Image

from lib.sources import phantom

pytestmark = pytest.mark.lab

CHAPTER = Path(__file__).parents[2] / "book" / "chapters" / "algorithm1.ipynb"
PATIENCE = 180_000  # milliseconds, for a busy machine
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
CELLS = [
    'from book.kit import explorables\n\nlab = explorables.widget("loss-laboratory")\nlab',
    "ours = explorables.losses(lab.state)\n"
    "gap = max(abs(ours[name] - lab.values[name]) for name in ours)\n"
    'print("kernel:", lab.state["p"], "gap below 1e-6:", gap < 1e-6)',
    'lab.state = {**lab.state, "p": 0.25}\nprint("sent")',
]


DESK = (
    "from book.kit import reader\nfrom lib.sources import phantom\n\n"
    'reader.read_one("seed5.safetensors", phantom.draw("benign", 3, size=64).image)'
)


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
    """JupyterLab over a folder with two notebooks; its address, token and all."""
    (tmp_path / "lab.ipynb").write_text(json.dumps(notebook(CELLS)))
    (tmp_path / "desk.ipynb").write_text(json.dumps(notebook([DESK, "1"])))
    kept.small(tmp_path, seed=5)
    Image.fromarray(phantom.draw("malignant", 9, size=64).image).save(tmp_path / "mine.png")
    shutil.copy(CHAPTER, tmp_path / "chapter.ipynb")
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


@pytest.fixture
def opened(server, browser, tmp_path):
    """Open a notebook of the server's folder and wait for its kernel."""
    pages = []

    def opened(name):
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        pages.append(page)
        page.set_default_timeout(PATIENCE)
        page.goto(server.replace("/lab?", f"/lab/tree/{name}?"))
        page.wait_for_selector(".jp-CodeCell >> nth=1")
        page.wait_for_selector(IDLE)
        return page

    yield opened
    for page in pages:
        page.screenshot(path=tmp_path / "lab.png")
        page.close()


def test_the_kernel_agrees_with_the_page(opened):
    page = opened("lab.ipynb")

    def run(cell):
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


def test_the_desk_reads_a_file_and_hears_its_experts(opened, tmp_path):
    page = opened("desk.ipynb")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    captions = page.locator(".jp-OutputArea figcaption")
    captions.filter(has_text="The one answer").wait_for()
    page.locator(".jp-OutputArea input[type=file]").set_input_files(tmp_path / "mine.png")
    page.locator(".jp-OutputArea p", has_text="mine.png").wait_for()
    before = captions.last.inner_text()
    page.get_by_role("slider", name="T1, on the class").focus()
    page.keyboard.press("End")
    page.wait_for_function(
        "before => [...document.querySelectorAll('.jp-OutputArea figcaption')].at(-1).innerText"
        " !== before",
        arg=before,
    )
    page.get_by_role("button", name="Grad-CAM").click()
    captions.filter(has_text="Grad-CAM").wait_for()


def test_a_chapter_runs_from_top_to_bottom(opened, tmp_path):
    page = opened("chapter.ipynb")
    page.get_by_role("menuitem", name="Edit", exact=True).click()
    page.get_by_text("Clear Outputs of All Cells").click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_selector(IDLE.replace("idle", "busy"))
    page.wait_for_selector(IDLE)
    page.keyboard.press("Control+s")
    page.wait_for_selector("#jp-main-dock-panel .lm-TabBar-tab.jp-mod-current:not(.jp-mod-dirty)")
    taught, here = (json.loads(file.read_text()) for file in (CHAPTER, tmp_path / "chapter.ipynb"))
    code = [cell for cell in here["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = [
        [[o["output_type"] for o in c.get("outputs", [])] for c in n["cells"]]
        for n in (taught, here)
    ]
    assert kinds[0] == kinds[1]
