"""How long a training step takes, whole and part by part, and what was tried to make it shorter."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from .spread import spread, spreads
from .style import table


def bench_in_words(bench: Mapping[str, Any]) -> str:
    """What the steps were timed on, and by which code, in Markdown.

    bench: results/bench/laptop.json, by `ci/bench.py`.

    >>> machine = {"threads": 2, "processor": "x86_64", "instructions": "AVX2"}
    >>> bench = {"machine": machine, "versions": {"torch": "2.0"}, "rounds": 9, "commit": "0a"}
    >>> bench_in_words(bench)
    'Measured on 2 threads of a x86_64 processor (AVX2), torch 2.0, 9 rounds, commit `0a`.'
    """
    machine = bench["machine"]
    return (
        f"Measured on {machine['threads']} threads of a {machine['processor']} processor "
        f"({machine['instructions']}), torch {bench['versions']['torch']}, "
        f"{bench['rounds']} rounds, commit `{bench['commit'][:10]}`."
    )


def step_figure(bench: Mapping[str, Any]) -> go.Figure:
    """Seconds of a training step in each way to run it: medians, lowest and highest.

    bench: as in `bench_in_words`.

    >>> bench = {"step_seconds": {"plain": {"median": 2.0, "low": 1.0, "high": 4.0}}}
    >>> step_figure(bench).layout.meta["alt"]
    'Seconds of a training step: plain 2.00 (1.00 to 4.00)'
    """
    ways = bench["step_seconds"]
    told = "; ".join(f"{name} {spread(values)}" for name, values in ways.items())
    return spreads(f"Seconds of a training step: {told}", ways, "seconds a step", height=240)


def step_in_words(bench: Mapping[str, Any]) -> str:
    """How many times as long the plain step takes, and why, in Markdown.

    bench: as in `bench_in_words`.

    >>> ratio = {"median": 2.0, "low": 1.0, "high": 4.0}
    >>> told = step_in_words({"plain_over_laptop": ratio, "precision": "bfloat16"})
    >>> "**2.00 (1.00 to 4.00) times**" in told, "no bfloat16" in told
    (True, False)
    """
    used = bench["precision"]
    said = (
        f"The plain step takes **{spread(bench['plain_over_laptop'])} times** as long as the "
        f"laptop step, which computed in {used} here. "
    )
    if used == "float32":
        said += (
            "This processor has no bfloat16 arithmetic, and emulating it is many times slower "
            "than float32, so the profile does not use it: what is left is the memory layout and "
            'the optimiser. On a processor with AVX512-BF16 or AMX, `precision="auto"` '
            "chooses bfloat16; that was not measured here. One training with each stands in "
            "[The recipe](recipe.html)."
        )
    return said


def step_dice_table(bench: Mapping[str, Any]) -> str:
    """HTML of a table: the Dice that plain and laptop steps reach, a row for each seed.

    bench: as in `bench_in_words`; its Dice are fractions.

    >>> "0.250" in step_dice_table({"dice": {"plain": [0.25], "laptop": [0.5]}})
    True
    """
    both = zip(bench["dice"]["plain"], bench["dice"]["laptop"], strict=True)
    rows = [[f"seed {seed}", *(f"{dice:.3f}" for dice in pair)] for seed, pair in enumerate(both)]
    return table(["", "plain", "laptop"], rows)


def parts_figure(step: Mapping[str, Any]) -> go.Figure:
    """Milliseconds of a training step part by part: medians, lowest and highest.

    step: "step" of results/bench/profile.json, by `ci/bench_profile.py`.

    >>> part = {"median": 0.002, "low": 0.001, "high": 0.004, "share": 0.5}
    >>> parts_figure({"parts": {"data": part}, "clock": "by the clock"}).data[0].x
    (2.0,)
    """
    parts = step["parts"]
    told = "; ".join(f"{n} {1000 * p['median']:.0f} ({p['share']:.1%})" for n, p in parts.items())
    alt, title = f"Milliseconds of a training step by part: {told}", "milliseconds a step"
    return spreads(alt, parts, f"{title} ({step['clock']})", height=340, scale=1000)


def parts_in_words(step: Mapping[str, Any]) -> str:
    """How the parts were timed, which takes most and what consistency and data take, in Markdown.

    step: as in `parts_figure`; it has the parts "consistency" and "data".

    >>> step = {"images": 16, "size": 96, "machine": {"threads": 1}, "steps": 9, "commit": "0a"}
    >>> step |= {"parts": {"consistency": {"share": 0.25}, "data": {"share": 0.75}}}
    >>> "Most of the step is data, **75%**;" in parts_in_words(step)
    True
    """
    parts, threads = step["parts"], step["machine"]["threads"]
    most = max(parts, key=lambda name: parts[name]["share"])
    return (
        f"{step['images']} images of {step['size']} px, {threads} thread"
        f"{'s' * (threads > 1)}, {step['steps']} steps, commit `{step['commit'][:10]}`. "
        f"Most of the step is {most}, **{parts[most]['share']:.0%}**; the three consistency "
        f"terms are {parts['consistency']['share']:.1%}, the data {parts['data']['share']:.1%}."
    )


def tried_table(profile: Mapping[str, Any]) -> str:
    """HTML of a table: what was tried for speed, and what came of it.

    profile: results/bench/profile.json, by `ci/bench_profile.py`. Raises ValueError if it has
    neither "compile" nor "processes".

    >>> ratio = {"median": 1.25, "low": 1.0, "high": 2.0}
    >>> pair = {"two_over_one": ratio, "cores": 2, "load_before": 0.5}
    >>> "1.25 (1.00 to 2.00) times the steps" in tried_table({"processes": pair})
    True
    """
    rows = []
    if made := profile.get("compile"):
        ways = made["step_seconds"]
        rows.append(
            [
                "torch.compile",
                f"{made['plain_over_compiled']:.2f} times as fast (best steps; {made['clock']})",
                f"the compiled epoch took {made['whole_seconds']:.0f} s in all, "
                f"its steps {spread(ways['compiled'])} s, uncompiled {spread(ways['plain'])} s",
            ]
        )
    if pair := profile.get("processes"):
        rows.append(
            [
                "two processes of one thread, against one of two",
                f"{spread(pair['two_over_one'])} times the steps a second",
                f"{pair['cores']} cores, load before {pair['load_before']:.1f}",
            ]
        )
    if not rows:
        raise ValueError("nothing has been tried yet: python ci/bench_profile.py")
    return table(["tried", "result", ""], rows)
