"""How long a page takes until its first screen is drawn: python ci/loads.py, into results/bench.

Needs the built book. Measured for the start page and for the largest one, in headless Chromium with
nothing cached, from the address to the drawn figures, formulas and explorables of the first screen.
"""

from pathlib import Path

from chromium import measured
from playwright.sync_api import Browser
from timing import spread

HTML = Path(__file__).parents[1] / "_build" / "html"
TIMES = 9
WATCH = """
const drawn = () => [
  [".plotly-drawing", "svg.main-svg"],
  [".math", "mjx-container"],
  [".explorable", ".explorable-view > *"],
].every(([all, mark]) => [...document.querySelectorAll(all)]
  .filter((thing) => thing.getBoundingClientRect().top < innerHeight)
  .every((thing) => thing.querySelector(mark)));
const watch = () => document.readyState !== "loading" && drawn()
  ? requestAnimationFrame(() => (window.usable = performance.now()))  // the frame that shows it
  : requestAnimationFrame(watch);
requestAnimationFrame(watch);"""


def largest() -> Path:
    """The page of the book with the most bytes."""
    return max(HTML.rglob("*.html"), key=lambda page: page.stat().st_size)


def usable_in(browser: Browser, page: Path) -> tuple[float, float]:
    """Milliseconds from the address to the first screen, in a window of 1440 x 900.

    By the clock, and of the processor for the page's thread, which a busy machine hardly lengthens;
    the second holds a little of what is drawn after the first screen.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    tab.add_init_script(WATCH)
    counter = context.new_cdp_session(tab)
    counter.send("Performance.enable", {"timeDomain": "threadTicks"})
    tab.goto(page.as_uri())
    tab.wait_for_function("window.usable")
    clock = tab.evaluate("window.usable")
    spent = {one["name"]: one["value"] for one in counter.send("Performance.getMetrics")["metrics"]}
    context.close()
    return clock, 1000 * spent["TaskDuration"]


def main() -> None:
    with measured("loads.json") as (browser, found):
        found |= {"times": TIMES, "pages": []}
        for page in (HTML / "index.html", largest()):
            clock, spent = zip(*(usable_in(browser, page) for _ in range(TIMES)), strict=True)
            found["pages"].append(
                {
                    "page": page.relative_to(HTML).as_posix(),
                    "bytes": page.stat().st_size,
                    "ms": spread(clock),
                    "processor_ms": spread(spent),
                }
            )


if __name__ == "__main__":
    main()
