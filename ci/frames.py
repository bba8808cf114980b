"""Frames of the loss laboratory while a mask is dragged: python ci/frames.py, into results/bench.

Chromium opens the explorable from its file, and the pointer takes one mask in circles, one move a
frame. The page notes when each frame begins and how long its script runs; Chromium counts the
processor's time, which a busy machine hardly lengthens.
"""

import statistics
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from chromium import measured
from playwright.sync_api import Page

from book.kit import explorables, paper

DRAGS, MOVES, RADIUS = 7, 180, 60  # circles, moves in one, pixels
PAGE = '<!doctype html><meta charset="utf8"><title>Drag</title><body>{}</body>'
NOTE = """
window.noted = [];
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => ask((at) => {
  const begun = performance.now();
  draw(at);
  noted.push([at, performance.now() - begun]);
});
// A pointer that moves once a frame, in a circle, from where it was pressed.
window.circle = (handle, x, y, radius, moves) => new Promise((done) => {
  const begun = noted.length;
  const next = (step) => {
    if (step > moves) return done(noted.slice(begun));
    const turn = (2 * Math.PI * step) / moves;
    const at = { clientX: x + radius * Math.sin(turn), clientY: y + radius * (1 - Math.cos(turn)) };
    handle.dispatchEvent(new PointerEvent("pointermove", at));
    ask(() => next(step + 1));
  };
  ask(() => next(1));
});
window.idle = (frames) => new Promise((done) => {
  const times = [];
  const next = (at) => (times.push(at) > frames ? done(times) : ask(next));
  ask(next);
});"""
LOSSES = """async (times) => {
  const source = document.querySelector(".explorable-module").textContent;
  const module = new Blob([source], { type: "text/javascript" });
  const { labValues, LAB_FIELDS } = await import(URL.createObjectURL(module));
  const state = {};
  for (const [name, field] of Object.entries(LAB_FIELDS)) state[name] = field.value;
  for (let time = 0; time < times; time++) labValues(state);
}"""


PARTS = {
    "script": "ScriptDuration",
    "layout": "LayoutDuration",
    "style": "RecalcStyleDuration",
    "all of the page's thread": "TaskDuration",
}


def span(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile of these milliseconds."""
    ordered = sorted(values)
    late = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return {"median": statistics.median(ordered), "p95": late}


def processor(page: Page, act: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What `act` returns, and the processor's milliseconds that the page's thread had meanwhile."""
    counter = page.context.new_cdp_session(page)
    counter.send("Performance.enable", {"timeDomain": "threadTicks"})

    def now() -> dict[str, float]:
        metrics = counter.send("Performance.getMetrics")["metrics"]
        return {one["name"]: 1000 * one["value"] for one in metrics}

    before, found, after = now(), act(), now()
    counter.detach()
    return found, {name: after[name] - before[name] for name in after}


def drag(page: Page) -> dict[str, dict[str, float]]:
    """One circle with the mask of T3: what its frames took."""
    handle = page.locator("[data-handle=t3-move]")
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    circle = f"handle => circle(handle, {x}, {y}, {RADIUS}, {MOVES})"
    noted, spent = processor(page, lambda: handle.evaluate(circle))
    page.mouse.up()
    frames = [at for at, _ in noted]
    return {
        "frame_ms": span([two - one for one, two in pairwise(frames)]),
        "script_ms": span([took for _, took in noted]),
        "processor_ms": {part: spent[name] / len(frames) for part, name in PARTS.items()},
    }


def middle(drags: list[dict], part: str, name: str) -> float:
    """The median over the drags of one of their numbers."""
    return statistics.median(one[part][name] for one in drags)


def main() -> None:
    body = explorables.show(
        "loss-laboratory", {"figure3": [row._asdict() for row in paper.FIGURE_3]}
    ).html
    with tempfile.TemporaryDirectory() as folder, measured("frames.json") as (browser, found):
        file = Path(folder) / "drag.html"
        file.write_text(PAGE.format(body), encoding="utf8")
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(NOTE)
        page.goto(file.as_uri())
        page.wait_for_selector("[data-drawn]")
        drag(page)  # until the engine has compiled what is called often
        drags = [drag(page) for _ in range(DRAGS)]
        idle = page.evaluate("idle(120)")
        page.evaluate(LOSSES, 100)
        _, losses = processor(page, lambda: page.evaluate(LOSSES, 500))
        found |= {
            "drags": DRAGS,
            "moves": MOVES,
            "pixels": [128, 128],
            "frame_ms": {name: middle(drags, "frame_ms", name) for name in ("median", "p95")},
            "best_frame_ms": min(one["frame_ms"]["median"] for one in drags),  # of the drags
            "script_ms": {name: middle(drags, "script_ms", name) for name in ("median", "p95")},
            "processor_ms": {part: middle(drags, "processor_ms", part) for part in PARTS}
            | {"losses and gradients alone": losses["TaskDuration"] / 500},
            "idle_frame_ms": span([two - one for one, two in pairwise(idle)]),
        }


if __name__ == "__main__":
    main()
