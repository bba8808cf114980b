"""Answers a second of the page "Ask the network": python ci/ask_speed.py, into results/bench/ask.

Needs the built book. In headless Chromium, from a file: the page draws phantoms and puts each to
every network, as its button for random patients does; one answer is a picture and what all say.
"""

import os
import statistics
import time
from pathlib import Path

from chromium import measured

PAGE = Path(__file__).parents[1] / "_build" / "html" / "explorables" / "ask.html"
PRESSES = 5
DONE = "n => document.querySelector('[role=status]').textContent.startsWith(`${n} random`)"


def main() -> None:
    with measured("ask/speed.json") as (browser, found):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(PAGE.as_uri())
        begun = time.perf_counter()
        page.get_by_role("button", name="Start the three networks").click()
        page.wait_for_selector("[data-answered]", timeout=120_000)
        started = time.perf_counter() - begun
        more = page.get_by_role("button", name="more random patients")
        each = int(more.inner_text().split()[2])
        seconds = []
        for press in range(PRESSES + 1):
            begun = time.perf_counter()
            more.click()
            page.wait_for_function(DONE, arg=each * (press + 1), timeout=300_000)
            seconds.append(time.perf_counter() - begun)
        rates = [each / spent for spent in seconds[1:]]  # the first compiles what is called often
        found |= {
            "cores": os.cpu_count(),
            "presses": PRESSES,
            "pictures_a_press": each,
            "start_seconds": started,
            "answers_per_second": statistics.median(rates),
            "slowest": min(rates),
        }


if __name__ == "__main__":
    main()
