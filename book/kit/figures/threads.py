"""Whether a run repeats: one training again, with two threads, and with another seed."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from .style import COLOURS, SYMBOLS, figure

ASKED = {
    "dice_class_mean": "Dice, images<br>of the class",
    "dice_nodule": "Dice, nodule",
    "ACC": "Accuracy",
    "AUC": "AUC",
    "inconsis_cls": "Contradictions",
}


def threads_in_words(threads: Mapping[str, Any]) -> str:
    """Whether the repeat is equal, and how far two threads and another seed move it, in Markdown.

    threads: results/bench/threads.json, by `ci/threads.py`.

    >>> threads = {"run": {"experiment": "mtl", "profile": "quick"}, "epochs": 8, "images": 80}
    >>> threads |= {"versions": {"torch": "2.0"}, "values_compared": 1840}
    >>> threads |= {"repeat_differs_in": [], "two_threads": {"equal": True}, "metrics": {}}
    >>> threads_in_words(threads).endswith("images. Two threads give the same run, too.")
    True
    """
    run, two, differs = threads["run"], threads["two_threads"], threads["repeat_differs_in"]
    return (
        f"*{run['experiment']}* on the phantom, profile "
        f"`{run['profile']}`, {threads['epochs']} epochs, {threads['images']} test "
        f"images, torch {threads['versions']['torch']}. "
        + (
            f"**The repeat with one thread is equal, bit for bit**: every loss and measure of "
            f"every epoch, and all {threads['values_compared']:,} values of the test images."
            if not differs
            else f"**The repeat with one thread differs** in {', '.join(differs)}."
        )
        + (
            " Two threads give the same run, too."
            if two["equal"]
            else " **Two threads give another run**: T1's probability moves by up to "
            f"{two['largest_step_of_p_malignant']:.2g}, and "
            f"{two['images_of_another_class'] or 'none'} of the images get another class. "
            f"Of the measures below, two threads move one by up to "
            f"{_moved(threads, 'two threads'):.1f} points, another seed by up to "
            f"{_moved(threads, 'one thread, another seed'):.1f}. We take it that a difference of "
            "rounding grows over the steps of a training; one run of each does not show how "
            "much of it is chance. So each run records its number of threads, "
            "and tables mark runs in which it differs."
        )
    )


def threads_figure(threads: Mapping[str, Any]) -> go.Figure:
    """A few measures in per cent, a dot for each of the runs.

    threads: as in `threads_in_words`.

    >>> drawn = threads_figure({"metrics": {"one thread": {"AUC": 0.75}, "two": {"AUC": 0.5}}})
    >>> [(dots.name, dots.x, dots.y) for dots in drawn.data]
    [('one thread', (75.0,), ('AUC',)), ('two', (50.0,), ('AUC',))]
    """
    metrics = threads["metrics"]
    found = {
        run: [100 * values[m] for m in ASKED if m in values] for run, values in metrics.items()
    }
    names = [name for m, name in ASKED.items() if m in next(iter(metrics.values()))]
    said = "; ".join(f"{run} {', '.join(f'{v:.1f}' for v in one)}" for run, one in found.items())
    drawn = figure(
        f"{', '.join(n.replace('<br>', ' ') for n in names)} in per cent, by run: {said}.",
        height=380,
        xaxis={"title": "per cent", "range": [-3, 103]},
        yaxis={"autorange": "reversed"},
        margin={"l": 10, "r": 10, "t": 90, "b": 50},
        scattermode="group",
    )
    looks = zip(COLOURS, SYMBOLS, strict=True)
    for (run, one), (colour, symbol) in zip(found.items(), looks, strict=False):
        drawn.add_scatter(
            x=[round(value, 2) for value in one],
            y=names,
            mode="markers",
            orientation="h",
            name=run,
            marker={"color": colour, "symbol": symbol, "size": 11},
        )
    return drawn


def _moved(threads: Mapping[str, Any], run: str) -> float:
    """By how many points this run moves a measure at most, against the one with one thread."""
    metrics, first = threads["metrics"], threads["metrics"]["one thread"]
    return max(100 * abs(metrics[run][m] - first[m]) for m in ASKED if m in first)
