"""The networks of "ask": what the page reads of them, and the script that carries them."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..figures.style import cell, table
from ..stats import wilson
from .data import tirads

MADE = "made.json"  # beside the networks: how they were made
OF_ALL = ("inconsis_cls", "ACC", "kind_right", "contradiction")  # shares of all test phantoms
INTERVALS = (
    "In brackets 95 % intervals (Wilson) of shares of all of them: how much other phantoms would "
    "change them. How much another training would is not known from one."
)


def asked(
    made: Mapping[str, Any], folder: str = "../_static/ask", *, megabytes: float
) -> dict[str, Any]:
    """For "ask": the table of the phantom, and of each network its title and how it decides.

    That is by the decoder's weights or, where a network may say none and both, by the rule.

    `made`: as `ci/ask.py` writes it; `folder`: address of runtime.js and networks.js, from the
    page; `megabytes`: size of the two together, which the reader is told before they are loaded.

    >>> made = {"size": 64, "networks": {"mtl": {"title": "MTL", "weights": {"cls": 1}}}}
    >>> asked(made, megabytes=5)["networks"]
    {'mtl': {'title': 'MTL', 'weights': {'cls': 1}}}
    """
    networks = {
        name: {key: one[key] for key in ("title", "weights", "rule") if key in one}
        for name, one in made["networks"].items()
    }
    about = {"folder": folder, "size": made["size"], "megabytes": round(megabytes, 1)}
    return tirads() | about | {"networks": networks}


def networks_script(folder: Path) -> str:
    """The script that hands the networks in `folder`, as made.json lists them, to the page.

    Raises FileNotFoundError, naming the file, for a network that is not there.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, MADE).write_text('{"networks": {"mtl": {"file": "mtl.onnx"}}}')
    ...     _ = Path(folder, "mtl.onnx").write_bytes(b"net")
    ...     networks_script(Path(folder))
    '(globalThis.askParts ??= {}).networks = {"mtl": "bmV0"};\\n'
    """
    networks = json.loads((folder / MADE).read_text(encoding="utf8"))["networks"]
    files = {name: (folder / one["file"]).read_bytes() for name, one in networks.items()}
    text = json.dumps({name: base64.b64encode(data).decode() for name, data in files.items()})
    return f"(globalThis.askParts ??= {{}}).networks = {text};\n"


def measures_table(made: Mapping[str, Any]) -> str:
    """HTML of a table: how the networks of two classes do on test phantoms, as the page runs them.

    >>> test = {"AUC": 0.8, "ACC": 0.7, "dice_nodule": 0.9, "inconsis_cls": 0.1, "inconsis_seg2": 0}
    >>> one = {"title": "MTL", "test": test, "test_joint": test, "weights": {}}
    >>> one |= {"phantoms": {"test": 10}}
    >>> "<b>10.0</b> <small>[1.8, 40.4]</small> %" in measures_table({"networks": {"mtl": one}})
    True
    """
    networks = [one for one in made["networks"].values() if "weights" in one]
    rows = {
        "T1 and T3 contradict each other": ("test", "inconsis_cls"),
        "nodules of T2 and T3 that differ, 1 \N{MINUS SIGN} IoU": ("test", "inconsis_seg2"),
        "class of T1 is right": ("test", "ACC"),
        "class decided together is right": ("test_joint", "ACC"),
        "AUC of T1": ("test", "AUC"),
        "Dice of T2's nodule": ("test", "dice_nodule"),
    }
    tests = networks[0]["phantoms"]["test"]
    lines = [
        [words, *(_share(one[part][measure], measure, tests) for one in networks)]
        for words, (part, measure) in rows.items()
    ]
    note = f"On {tests} test phantoms with one nodule each, one training each. {INTERVALS}"
    return table(["", *(one["title"] for one in networks)], lines, note)


def presence_measures_table(made: Mapping[str, Any]) -> str:
    """HTML of a table: how well a network does that may say none and both, as answered and decided.

    >>> test = {"kind_right": 0.8, "false_alarm": 0.1, "missed": 0, "dice_nodule": 0.7}
    >>> test |= {"AUC_benign": 0.9, "AUC_malignant": 0.9, "contradiction": 0.25}
    >>> one = {"title": "Free", "rule": {}, "phantoms": {"test": 10}}
    >>> one |= {"test": test, "test_joint": test | {"contradiction": 0}}
    >>> "<b>25.0</b>" in presence_measures_table({"networks": {"free": one}})
    True
    """
    rows = {
        "just what is there is said to be there": "kind_right",
        "pictures without a nodule in which one is drawn": "false_alarm",
        "pictures with a nodule in which none is drawn": "missed",
        "Dice of the nodules": "dice_nodule",
        "AUC, a benign one is present": "AUC_benign",
        "AUC, a malignant one is present": "AUC_malignant",
        "answers contradict each other": "contradiction",
    }
    [one] = [one for one in made["networks"].values() if "rule" in one]
    tests = one["phantoms"]["test"]
    lines = [
        [words, *(_share(one[part][measure], measure, tests) for part in ("test", "test_joint"))]
        for words, measure in rows.items()
    ]
    note = f"On {tests} test phantoms with none, one or two nodules; one training. {INTERVALS}"
    return table([one["title"], "as answered", "decided together"], lines, note)


def _share(value: float, measure: str, tests: int) -> str:
    """A measure in per cent; a share of all test phantoms with its interval."""
    if measure not in OF_ALL:
        return f"{100 * value:.1f} %"
    return f"{cell(wilson(value, value * (1 - value) / tests, tests))} %"


def costs_in_words(made: Mapping[str, Any]) -> str:
    """What the page's networks lose by the way to the page, in a few sentences.

    >>> one = {"float": {"largest": 2e-6}, "int8": {"largest": 3e-6}}
    >>> ways = {"weights": {"classes": 1, "pixels": 0.0005, "cls_largest": 0.004, "largest": 0.4}}
    >>> ways["weights"]["mean"] = 0.0003
    >>> ways["static"] = {"cls_largest": 0.02, "mean": 0.001}
    >>> net = {"title": "MTL", "bytes": 9e5, "float_bytes": 2e6, "equal": one, "quantisation": ways}
    >>> costs_in_words({"compared": 50, "networks": {"mtl": net}})[:49]
    'On 50 test phantoms the runtime of the page gives'
    """
    networks = list(made["networks"].values())
    ways = [one["quantisation"] for one in networks]
    kept = [way["weights"] for way in ways]
    others = [found for way in ways for name, found in way.items() if name != "weights"]
    equal = max(one["equal"][kind]["largest"] for one in networks for kind in ("float", "int8"))
    before, after = (sum(one[key] for one in networks) / 1e6 for key in ("float_bytes", "bytes"))

    def most(key: str) -> float:
        return max(found[key] for found in kept)

    return (
        f"On {made['compared']} test phantoms the runtime of the page gives the probabilities that "
        f"torch gives with the same weights, to {equal:.5f}. What was given up for a small file is "
        "another matter. Weights are numbers of 8 bits, with one step for each channel, which "
        f"makes {after:.2f} MB of {before:.1f} MB, all networks together. On the same phantoms "
        f"this moves T1's probability by {most('cls_largest'):.3f} at most and turns "
        f"{sum(found['classes'] for found in kept)} of {len(kept) * made['compared']} classes. In "
        f"the maps it moves a probability by {most('mean'):.4f} in the mean, at a border by as "
        f"much as {most('largest'):.2f}, and gives {100 * most('pixels'):.2f} % of the pixels "
        "another class. With 8 bits also for what flows through the network, the mean would have "
        f"been {min(found['mean'] for found in others):.4f} or more."
    )


def weight_in_words(made: Mapping[str, Any], speed: Mapping[str, Any], networks: int) -> str:
    """What the page loads when its button is pressed, and how quick it then is.

    `speed`: as `ci/ask_speed.py` writes it; `networks`: bytes of the script that carries them.

    >>> made = {"runtime": {"bytes": 5e6}, "versions": {"onnxruntime-web": "1.30.0"}}
    >>> speed = {"browser": "Chromium 1, headless", "answers_per_second": 12.2, "cores": 2}
    >>> weight_in_words(made, speed, 1_300_000)[:60]
    '**The weight of the page.** The button loads 6.3 MB: ONNX Ru'
    >>> weight_in_words(made, speed | {"load_before": 6.5}, 1_300_000)[-60:]
    'on a machine of 2 cores that were busy with other work, too.'
    """
    runtime = made["runtime"]["bytes"]
    busy = speed.get("load_before", 0) >= speed["cores"]
    return (
        f"**The weight of the page.** The button loads {(runtime + networks) / 1e6:.1f} MB: ONNX "
        f"Runtime {made['versions']['onnxruntime-web']}, zipped, {runtime / 1e6:.1f} MB, and the "
        f"networks, {networks / 1e6:.1f} MB. Nothing of it is loaded before. "
        f"{speed['browser'].split(',')[0]} then draws a phantom and asks every network about it "
        f"{speed['answers_per_second']:.0f} times a second, with one thread on a machine of "
        f"{speed['cores']} cores{' that were busy with other work, too' if busy else ''}."
    )
