"""How fast the book's pages are in a browser: frames of the loss laboratory, and loading."""

from collections.abc import Mapping
from typing import Any

from .style import table


def frames_in_words(frames: Mapping[str, Any]) -> str:
    """How many frames a second the loss laboratory draws, and whether 60 are in reach.

    frames: results/bench/frames.json, by `ci/frames.py`.

    >>> frames = {"frame_ms": {"median": 10.0, "p95": 12.5}, "processor_ms": {}, "drags": 7}
    >>> frames |= {"moves": 180, "load_before": 0.5, "machine": {"threads": 2}}
    >>> told = frames_in_words(frames | {"browser": "A browser", "commit": "0a"})
    >>> told.startswith("**100 frames a second**, and 80 at the 95th percentile")
    True
    """
    took = frames["frame_ms"]
    said = (
        f"**{1000 / took['median']:.0f} frames a second**, and {1000 / took['p95']:.0f} at the "
        f"95th percentile (medians of {frames['drags']} drags of {frames['moves']} moves). "
    )
    if any(took[name] > 1000 / 59 for name in ("median", "p95")):  # a timer rounds
        page = frames["processor_ms"]["all of the page's thread"]
        said += (
            f"For a frame the page's own thread needs {page:.1f} ms of a processor, which 60 "
            "frames leave room for; what draws beside it is not counted. "
            if page < 1000 / 60
            else f"60 are out of reach here: a frame takes {page:.1f} ms of a processor. "
        )
    return said + _shared(frames)


def frames_table(frames: Mapping[str, Any]) -> str:
    """HTML of a table: milliseconds of a frame, by the clock and of the processor.

    frames: as in `frames_in_words`.

    >>> took = {"median": 16.7, "p95": 33.3}
    >>> by_clock = dict.fromkeys(["frame_ms", "idle_frame_ms", "script_ms"], took)
    >>> "processor: layout" in frames_table(by_clock | {"processor_ms": {"layout": 0.7}})
    True
    """
    by_clock = {
        "from frame to frame": frames["frame_ms"],
        "the same with nothing to do": frames["idle_frame_ms"],
        "script of a frame, by the clock": frames["script_ms"],
    }
    rows = [[name, *(f"{ms:.1f}" for ms in took.values())] for name, took in by_clock.items()]
    rows += [[f"processor: {k}", f"{ms:.1f}", ""] for k, ms in frames["processor_ms"].items()]
    return table(["milliseconds", "median", "95th percentile"], rows)


def loads_in_words(loads: Mapping[str, Any]) -> str:
    """How it was measured how long pages take to load.

    loads: results/bench/loads.json, by `ci/loads.py`.

    >>> loads = {"times": 9, "load_before": 0.5, "machine": {"threads": 2}, "commit": "0a"}
    >>> "opened 9 times from disk" in loads_in_words(loads | {"browser": "A browser"})
    True
    """
    return (
        "How long a page takes until the figures and formulas of its first screen are drawn, "
        f"opened {loads['times']} times from disk with nothing cached. The second is the "
        f"largest of the book. {_shared(loads)}"
    )


def loads_table(loads: Mapping[str, Any]) -> str:
    """HTML of a table: how large each page is, and the milliseconds that it takes to load.

    loads: as in `loads_in_words`.

    >>> took = {"low": 300.0, "median": 400.0, "high": 500.0}
    >>> page = {"page": "index.html", "bytes": 42_000, "ms": took, "processor_ms": took}
    >>> "400" in loads_table({"pages": [page]})
    True
    """
    rows = [
        [
            row["page"],
            f"{row['bytes'] / 1000:.0f}",
            *(f"{ms:.0f}" for ms in (*row["ms"].values(), row["processor_ms"]["median"])),
        ]
        for row in loads["pages"]
    ]
    return table(["page", "kB", "ms, lowest", "median", "highest", "processor, ms"], rows)


def _shared(found: Mapping[str, Any]) -> str:
    """How many others wanted the machine when it was measured."""
    return (
        f"The machine was shared: {found['load_before']:.1f} processes wanted one of its "
        f"{found['machine']['threads']} threads. {found['browser']}, "
        f"commit `{found['commit'][:10]}`."
    )
