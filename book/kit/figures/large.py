"""What many images take: time and memory for each image, from small folders to large ones."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from .spread import growth

PARTS = {
    "read": "read the table",
    "prepare": "check, compare, split",
    "decode": "decode once",
    "epoch": "an epoch, for each training image",
}
AFTER = {"before": "the libraries alone", "prepare": "after the split", "epoch": "at the end"}


def large_time_curves(memory: Mapping[str, Any]) -> go.Figure:
    """Milliseconds an image that each part of the preparation takes, against the number of images.

    memory: results/bench/memory.json, by `ci/memory.py`.

    >>> row = {"images": 10, "training": 5, "seconds": dict.fromkeys(PARTS, 1.0)}
    >>> drawn = large_time_curves({"rows": [row]})
    >>> drawn.data[0].y, drawn.data[3].y
    ((100.0,), (200.0,))
    """
    rows = memory["rows"]
    sizes = [row["images"] for row in rows]
    counted = {"epoch": "training"}  # an epoch has the training images only
    took = {
        name: [1000 * r["seconds"][part] / r[counted.get(part, "images")] for r in rows]
        for part, name in PARTS.items()
    }
    words = "; ".join(f"{name} {one[0]:.2f} to {one[-1]:.2f}" for name, one in took.items())
    alt = f"Milliseconds for each image from {sizes[0]} to {sizes[-1]} images: {words}."
    return growth(alt, sizes, took, "images", "milliseconds an image")


def large_time_in_words(memory: Mapping[str, Any]) -> str:
    """How long all parts together take for an image, on which machine, in Markdown.

    memory: as in `large_time_curves`.

    >>> machine = {"processor": "x86_64", "instructions": "AVX2"}
    >>> row = {"images": 1000, "seconds": {"read": 1.0, "prepare": 2.0}}
    >>> told = large_time_in_words({"rows": [row], "machine": machine, "commit": "0a"})
    >>> "3.0 ms at 1,000 images (x86_64, AVX2, commit `0a`)" in told
    True
    """
    rows, machine = memory["rows"], memory["machine"]
    whole = [1000 * sum(r["seconds"].values()) / r["images"] for r in rows]
    return (
        f"All of it together takes **{min(whole):.1f} to {max(whole):.1f} ms of processor time "
        f"an image**, {whole[-1]:.1f} ms at {rows[-1]['images']:,} images "
        f"({machine['processor']}, {machine['instructions']}, commit `{memory['commit'][:10]}`). "
        "The comparison of all pairs of pictures grows with the square of their number: by "
        "perceptual hashes and, mirrored or turned, by small copies, in *check, compare, split*."
    )


def large_memory_curves(memory: Mapping[str, Any]) -> go.Figure:
    """Highest memory in MiB after some parts, and the cache in it, against the number of images.

    memory: as in `large_time_curves`.

    >>> row = {"images": 10, "memory": dict.fromkeys(AFTER, 900.0), "cache_mb": 9.0}
    >>> [line.y for line in large_memory_curves({"rows": [row]}).data][2:]
    [(900.0,), (9.0,)]
    """
    rows = memory["rows"]
    sizes = [row["images"] for row in rows]
    highest = {name: [r["memory"][part] for r in rows] for part, name in AFTER.items()}
    highest["of it, the mapped cache"] = [r["cache_mb"] for r in rows]
    words = "; ".join(f"{name} {one[0]:.0f} to {one[-1]:.0f}" for name, one in highest.items())
    alt = f"Highest memory in MiB from {sizes[0]} to {sizes[-1]} images: {words}."
    return growth(alt, sizes, highest, "images", "MiB")


def large_memory_in_words(memory: Mapping[str, Any]) -> str:
    """What the memory of the largest folder is made of, and what an image adds, in Markdown.

    memory: as in `large_time_curves`.

    >>> row = {"images": 1024, "memory": {"before": 800.0, "epoch": 910.0}, "cache_mb": 100.0}
    >>> large_memory_in_words({"rows": [row]}).endswith("what is left is 10.0 KiB an image.")
    True
    """
    last = memory["rows"][-1]
    before, most = last["memory"]["before"], last["memory"]["epoch"]
    own = most - before - last["cache_mb"]
    return (
        f"At {last['images']:,} images the process held at most **{most:,.0f} MiB**. Of these, "
        f"{before:,.0f} MiB are the libraries and "
        f"{last['cache_mb']:,.0f} MiB are pages of the cache on disk, which the system takes "
        f"back when it needs them; what is left is {1024 * own / last['images']:.1f} KiB an image."
    )
