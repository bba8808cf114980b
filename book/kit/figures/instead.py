"""This book's networks beside what one would pick instead, for the same processor time."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from ..stats import Evidence, Interval
from .style import cell, figure, number, series, table, text, words

OWN = "unet-seg2", "ms-mtl"
BUDGETS = 5, 15, 45  # processor minutes
GOAL = 0.85  # nodule Dice
FEW_STEPS = 100  # a training of fewer says nothing of the network
SHARES = {"nnunet": 5, "monai": 2}  # the goal is to be there in at most 1/5, 1/2 of their time
BEYOND = {
    "unet-seg2": "how sure it is of each pixel",
    "ms-mtl": "the class, a mask with the class, one joint answer of the three, and where they "
    "contradict each other",
    "fastai-lite0": "nothing by itself; any network and loss, a finder of learning rates, a "
    "notebook's tools to look at batches and worst cases",
    "fastai-resnet34": "as above; no weights from photographs are needed",
    "monai": "3-D as easily, medical file formats, many networks, transforms and losses, answers "
    "in tiles, federated learning",
    "nnunet": "plans itself for a data set; 3-D and cascades, ensembles of folds, answers averaged "
    "over mirrored images, postprocessing that is chosen on data",
}

# A long heading stays in sight where the table scrolls below it
HEADING = '"position:sticky;left:.5rem;max-width:min(40rem,78vw);font-weight:normal"'

TITLES = {
    "unet-seg2": "U-Net(Seg2)",
    "ms-mtl": "MS-MTL",
    "fastai-lite0": "fastai with Lite0",
    "fastai-resnet34": "fastai with ResNet-34",
    "monai": "MONAI",
    "nnunet": "nnU-Net",
}

CONTESTANTS = tuple(TITLES)

Records = Sequence[Mapping[str, Any]]


def instead_level(record: Mapping[str, Any]) -> Interval:
    """The nodule Dice on the test images, with its 95 % interval from draws of patients.

    >>> rows = {"label": [0] * 6, "case": list("abcdef"), "nodule_inter": [5] * 6}
    >>> rows |= {"nodule_pred": [10] * 6, "nodule_true": [10] * 6}
    >>> instead_level({"contestant": "monai", "minutes": 5, "per_image": rows}).estimate
    0.5
    """
    names = {"source": "busbra", "profile": "instead", "seed": 0, "experiment": "one", "fold": 1}
    return Evidence([names | {"per_image": record["per_image"]}]).level("one", "dice_nodule")


def instead_curves(records: Records) -> go.Figure:
    """Nodule Dice against processor minutes: validation curves, and test images as points.

    records: of results/bench/instead. A contestant has one colour, with a line for each of its
    budgets. The points of a budget stand a little beside each other. Raises ValueError without a
    record.

    >>> rows = {"label": [0], "case": ["a"], "nodule_inter": [1]}
    >>> rows |= {"nodule_pred": [1], "nodule_true": [1]}
    >>> record = {"contestant": "monai", "title": "MONAI", "minutes": 5, "per_image": rows}
    >>> record |= {"seconds": {"training": 300.0}, "curve": [[1.0, 0.4], [5.0, 0.5]]}
    >>> [line.y for line in instead_curves([record]).data]
    [(40.0, 50.0), (100.0,)]
    """
    if not records:
        raise ValueError("there is no run to draw")
    drawn, told = go.Figure(), []
    for index, name in enumerate(CONTESTANTS):
        colour, dash, symbol = series(index)
        runs = _of(records, name)
        for record in runs:
            minutes, dice = zip(*record["curve"], strict=True)
            drawn.add_scatter(
                x=minutes,
                y=[round(100 * value, 1) for value in dice],
                name=text(record["title"]),
                legendgroup=name,
                showlegend=record is runs[0],
                mode="lines",
                line={"color": colour, "dash": dash, "width": 2},
                hovertemplate="%{y} on validation images after %{x:.1f} min",
            )
        for record in runs:
            level = instead_level(record)
            value, low, high = (100 * end for end in level)
            drawn.add_scatter(
                x=[round(record["seconds"]["training"] / 60 * 1.045 ** (index - 2.5), 3)],
                y=[round(value, 1)],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [max(round(high - value, 1), 0) if high == high else 0],
                    "arrayminus": [max(round(value - low, 1), 0) if low == low else 0],
                    "thickness": 1.5,
                    "width": 3,
                },
                name=text(record["title"]),
                legendgroup=name,
                showlegend=False,
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 9},
                hovertemplate=f"{words(level)} on test images",
            )
            told.append(
                f"{text(record['title'])} {number(level.estimate)} on test images after "
                f"{record['minutes']:g} minutes"
            )
    drawn.add_hline(
        y=100 * GOAL,
        line={"color": "#808080", "dash": "dot", "width": 1},
        annotation={"text": f"goal {number(GOAL)}"},
        annotation_position="bottom left",
    )
    drawn.update_xaxes(
        title_text="processor minutes",
        type="log",
        tickvals=[0.5, 1, 2, *BUDGETS],
        ticktext=["0.5", "1", "2", *map(str, BUDGETS)],
    )
    drawn.update_yaxes(title_text="nodule Dice, %", range=[0, 100])
    return figure(
        f"Nodule Dice against processor minutes. {'; '.join(told)}.",
        height=520,
        base=drawn,
        margin={"t": 40},
    )


def instead_table(records: Records) -> str:
    """HTML of a table: what each training reached and took, and what else its library gives.

    >>> "MONAI" in instead_table([])
    False
    """
    rows: list[list[str] | str] = []
    for name in CONTESTANTS:
        runs = _of(records, name)
        for record in runs:
            if record is runs[0]:
                rows.append(
                    f"<div style={HEADING}><b>{text(record['title'])}</b>, {record['lines']} lines "
                    f"of code. <small>Beyond the mask: {BEYOND[name]}.</small></div>"
                )
            rows.append(
                [
                    f"{record['minutes']:g} min",
                    cell(instead_level(record)),
                    f"{record['images']:,}",
                    f"{record['seconds']['preparation']:.0f} s",
                ]
            )
    head = ["processor time", "nodule Dice, %", "images seen", "before it"]
    note = (
        "Nodule Dice: mean of the test images, each in its own size, with a 95 % interval from "
        "draws of patients; what another seed would change is not in it. Before it: processor "
        "time of preparing the data, 0 s where nothing is prepared or an earlier training had left "
        "it prepared. Lines: of the contestant's file, without comments."
    )
    return table(head, rows, note)


def instead_in_words(records: Records) -> str:
    """What came out for each budget, in Markdown: the best first, and what was not run.

    >>> instead_in_words([])
    'No training of this comparison stands yet.'
    """
    if not records:
        return "No training of this comparison stands yet."
    said = []
    for minutes in sorted({record["minutes"] for record in records}):
        runs = [record for record in records if record["minutes"] == minutes]
        runs.sort(key=lambda record: -record["dice_nodule"])
        reached = "; ".join(
            f"{text(record['title'])} {words(instead_level(record))}{_few(record)}"
            for record in runs
        )
        said.append(f"- **{minutes:g} minutes of one core:** {reached}.")
    absent = _absent(records)
    if absent:
        said.append(f"- **Not run, of 5, 15 and 45 minutes:** {'; '.join(absent)}.")
    return "\n".join(said)


def _few(record: Mapping[str, Any]) -> str:
    """How many steps a training had time for, where it was hardly any."""
    steps = record["steps"]
    return f" ({steps} steps: too short to say anything of it)" if steps < FEW_STEPS else ""


def instead_goals(records: Records) -> str:
    """Whether the goals are reached, missed or open, in Markdown.

    A network's time is the shortest budget whose training reaches the goal on the test images, by
    the Dice itself and not by its interval. One
    that has not reached it needs more than its longest budget. Where a rival's time lies between
    two budgets, a goal is reached if it is by the shorter one.

    >>> instead_goals([]).count("open")
    2
    """
    own = _first([record for name in OWN for record in _of(records, name)])
    told = [_goal(records, rival, share, own) for rival, share in SHARES.items()]
    mind = "Reached or missed is told by the Dice itself, not by its interval."
    return "\n".join([*told, f"\n{mind}"] if records else told)


def instead_made(records: Records) -> str:
    """With what it was computed, in words, as the records have it; nothing without a record.

    >>> instead_made([])
    ''
    """
    if not records:
        return ""
    versions = {}
    for record in records:
        versions |= record["versions"]
    shown = ("torch", "fastai", "segmentation-models-pytorch", "monai", "nnunetv2")
    packages = ", ".join(f"{name} {versions[name]}" for name in shown if name in versions)
    processors = sorted({record["machine"]["name"] for record in records})
    precise = {
        kind: [n for n in CONTESTANTS for r in _of(records, n)[:1] if r["precision"] == kind]
        for kind in ("bfloat16", "float32")
    }
    titles = {record["contestant"]: text(record["title"]) for record in records}
    said = [f"Computed by {' and '.join(map(text, processors))}, one thread, with {packages}."]
    for kind, names in precise.items():
        if names:
            said.append(f"In {kind}: {', '.join(titles[name] for name in names)}.")
    for record in _of(records, "nnunet")[:1]:
        patch = " x ".join(str(side) for side in record["notes"]["patch"])
        said.append(
            f"nnU-Net planned patches of {patch} px in batches of {record['notes']['batch']}."
        )
    return " ".join(said)


def instead_overlap(
    records: Records, runs: Sequence[Mapping[str, Any]], folds: Sequence[int]
) -> str:
    """How many of these test images the recipe was chosen on, in words; nothing if none is known.

    runs: records of trainings on the same data, which name the validation images of their fold;
    folds: those on which the recipe was chosen.

    >>> tested = [{"per_image": {"case": ["a", "b", "c"]}}]
    >>> instead_overlap(tested, [{"fold": 4, "validation": {"case": ["c", "d"]}}], [4, 5])
    '1 of the 3 test images of this page were validation images of fold 4 or 5.'
    """
    chosen = {
        case
        for run in runs
        if run.get("fold") in folds and run.get("validation")
        for case in run["validation"]["case"]
    }
    if not records or not chosen:
        return ""
    tested = set(records[0]["per_image"]["case"])
    return (
        f"{len(tested & chosen)} of the {len(tested)} test images of this page were validation "
        f"images of fold {' or '.join(map(str, folds))}."
    )


def _goal(records: Records, rival: str, share: int, own: float | None) -> str:
    runs, ours = _of(records, rival), [record for name in OWN for record in _of(records, name)]
    title = TITLES[rival]
    goal = f"{number(GOAL)} in at most 1/{share} of the time of {title}"
    if not runs or not ours:
        return f"- **{goal}: open.** There is no training to compare."
    longest, reached = runs[-1]["minutes"], _first(runs)
    if own is None:
        most = max(record["minutes"] for record in ours)
        verdict = "missed" if most >= BUDGETS[-1] else "open"
        return f"- **{goal}: {verdict}.** No network of this book reached it in {most:g} minutes."
    names = [text(r["title"]) for r in ours if r["dice_nodule"] >= GOAL and r["minutes"] == own]
    need = "needs" if len(names) == 1 else "need"
    took = f"{' and '.join(names)} {need} {_between(ours, own)} minutes"
    if reached is None:
        verdict = "reached" if own * share <= longest else "open"
        if few := _few(runs[-1]):
            verdict = "cannot be judged"
        return f"- **{goal}: {verdict}.** {took}, {title} more than {longest:g}{few}."
    failed = _failed(runs, reached)
    verdict = "missed" if own * share > reached else "open"
    if own * share <= failed:
        verdict = "reached"
    return f"- **{goal}: {verdict}.** {took}, {title} {_between(runs, reached)}."


def _failed(records: Records, reached: float) -> float:
    """The longest budget before `reached` in which all of these missed the goal; 0 without one."""
    return max((r["minutes"] for r in records if r["minutes"] < reached), default=0)


def _between(records: Records, reached: float) -> str:
    """Between which two budgets the goal is reached, in words."""
    failed = _failed(records, reached)
    return f"more than {failed:g} and at most {reached:g}" if failed else f"at most {reached:g}"


def _first(records: Records) -> float | None:
    """The shortest budget that reached the goal."""
    return min((r["minutes"] for r in records if r["dice_nodule"] >= GOAL), default=None)


def _of(records: Records, name: str) -> list[Mapping[str, Any]]:
    """A contestant's trainings, the shortest first."""
    runs = [record for record in records if record["contestant"] == name]
    return sorted(runs, key=lambda record: record["minutes"])


def _absent(records: Records) -> list[str]:
    """The trainings of the plan that no file is of, by budget."""
    there = {(record["contestant"], record["minutes"]) for record in records}
    said = []
    for minutes in BUDGETS:
        names = [TITLES[name] for name in CONTESTANTS if (name, minutes) not in there]
        if len(names) == len(CONTESTANTS):
            said.append(f"{minutes} minutes: all")
        elif names:
            said.append(f"{minutes} minutes: {', '.join(names)}")
    return said
