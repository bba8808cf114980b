"""A kept network in use: its answers to pictures of known class, and how fast it gives them."""

from collections.abc import Mapping, Sequence
from typing import Any

from .spread import spread
from .style import table, text


def predictions_table(rows: Sequence[Mapping[str, Any]], truth: Mapping[str, str]) -> str:
    """What a network answered to pictures whose class is known, a row for each.

    rows: of `lib.predict_folder`, without files that could not be read; truth: picture -> class.

    >>> row = {"image": "a.png", "class": "benign", "p_malignant": 0.25, "contradiction": ""}
    >>> shown = predictions_table([row], {"a.png": "malignant"})
    >>> "0.25" in shown and "agreed" in shown
    True
    """
    body = [
        [
            row["image"],
            truth[row["image"]],
            row["class"],
            f"{row['p_malignant']:.2f}",
            row["contradiction"] or "agreed",
        ]
        for row in rows
    ]
    head = ["image", "truth", "answer", "malignant", "before they were decided together"]
    return table(head, [[text(cell) for cell in cells] for cells in body])


def engines_table(bench: Mapping[str, Any]) -> str:
    """Images a second by torch and by ONNX Runtime, one by one and several at a time.

    bench: results/bench/use.json, by `ci/bench_use.py`; medians, with the lowest and the highest.

    >>> at = {"1": {"median": 4.0, "low": 3.0, "high": 5.0}}
    >>> bench = {"images_per_second": {"torch": at, "onnx": at}, "onnx_over_torch": at}
    >>> "one by one" in engines_table(bench) and "4.0 (3.0 to 5.0)" in engines_table(bench)
    True
    """
    rate, ratio = bench["images_per_second"], bench["onnx_over_torch"]
    body = [
        [
            "one by one" if batch == "1" else f"{batch} at a time",
            spread(rate["torch"][batch], 0),
            spread(rate["onnx"][batch], 0),
            spread(ratio[batch], 1),
        ]
        for batch in ratio
    ]
    head = ["images", "torch, images a second", "ONNX Runtime, images a second", "times as fast"]
    return table(head, body)


def engines_in_words(bench: Mapping[str, Any]) -> str:
    """How the speeds of `engines_table` were measured, and how far the two answers differ.

    >>> bench = {"machine": {"processor": "x86_64"}, "parameters": 7.6e6, "size": 96, "rounds": 9}
    >>> bench |= {"largest_difference": 1e-5, "allowed_difference": 1e-4}
    >>> engines_in_words(bench | {"onnx_megabytes": 29.0, "seconds_export": 16.0})[:53]
    'One thread, x86_64, 7.6 million parameters, 96 px a s'
    """
    return (
        f"One thread, {bench['machine']['processor']}, "
        f"{bench['parameters'] / 1e6:.1f} million parameters, {bench['size']} px a side; the "
        f"median of {bench['rounds']} rounds, with the lowest and the highest. Reading and writing "
        "the pictures comes on top. The probabilities differ by "
        f"{bench['largest_difference']:.0e} at most, where {bench['allowed_difference']:.0e} is "
        f"allowed; the file has {bench['onnx_megabytes']:.0f} MB and took "
        f"{bench['seconds_export']:.0f} s to write. `ci/bench_use.py` measures all this."
    )
