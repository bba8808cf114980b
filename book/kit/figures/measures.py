"""The measures of runs side by side: what each is called, a figure and a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..stats import Interval
from .runs import by_system, by_title, intervals, of_system
from .style import (
    ABSENT,
    COLOURS,
    cell,
    error_bars,
    figure,
    number,
    series,
    table,
    text,
    words,
    wrapped,
)

# Every measure of `lib.metrics.summarise`, as a table shows them
SECTIONS = {
    "T1, the class": {
        "ACC": "Accuracy",
        "PRE": "Precision",
        "REC": "Recall (sensitivity)",
        "F1": "F1",
        "AUC": "AUC",
    },
    "T1 read off T3 (derived: not in the paper)": {
        "ACC_seg": "Accuracy†",
        "F1_seg": "F1†",
        "AUC_seg": "AUC†",
    },
    "T2, the outline": {"dice_nodule": "Dice", "iou_nodule": "IoU"},
    "T3, images of the class": {
        "dice_class_mean": "Dice, mean",
        "dice_class_benign": "Dice, benign",
        "dice_class_malignant": "Dice, malignant",
        "iou_class_mean": "IoU, mean",
        "iou_class_benign": "IoU, benign",
        "iou_class_malignant": "IoU, malignant",
    },
    "T3, all images (the paper's convention)": {
        "dice_paper_mean": "Dice, mean",
        "dice_paper_benign": "Dice, benign",
        "dice_paper_malignant": "Dice, malignant",
        "iou_paper_mean": "IoU, mean",
        "iou_paper_benign": "IoU, benign",
        "iou_paper_malignant": "IoU, malignant",
    },
    "Contradictions (less is better)": {
        "inconsis_cls": "T1 against T3: images",
        "inconsis_seg2": "T2 against T3: 1 - IoU",
        "inconsis_seg3_benign": "T1 and T2 against T3: 1 - IoU, benign",
        "inconsis_seg3_malignant": "T1 and T2 against T3: 1 - IoU, malignant",
    },
}

# The few that a comparison shows, by names that stand alone
HEADLINE = {
    "ACC": "Accuracy",
    "F1": "F1",
    "AUC": "AUC",
    "dice_nodule": "Dice, nodule",
    "dice_class_mean": "Dice, images of the class",
    "dice_paper_mean": "Dice, all images",
    "inconsis_cls": "Contradictions, T1 and T3",
    "inconsis_seg2": "Contradictions, T2 and T3",
    "inconsis_seg3_benign": "Contradictions, benign maps",
    "inconsis_seg3_malignant": "Contradictions, malignant maps",
}

# The columns of a table of many systems: the paper's Tables 1 and 3, ours between and after them
COLUMNS = {
    "dice_paper_mean": "Dice,<br>all images",
    "dice_class_mean": "Dice, images<br>of the class",
    "dice_nodule": "Dice,<br>nodule",
    "iou_paper_mean": "IoU,<br>all images",
    "ACC": "Accuracy",
    "F1": "F1",
    "AUC": "AUC",
    "inconsis_seg2": "T2 against<br>T3",
    "inconsis_seg3_benign": "T1, T2 against<br>T3, benign",
    "inconsis_seg3_malignant": "T1, T2 against<br>T3, malignant",
    "inconsis_cls": "T1 against<br>T3",
    "ACC_seg": "Accuracy†",
    "F1_seg": "F1†",
    "AUC_seg": "AUC†",
}
# Every measure by a name that stands alone: the headline's, else with its section's
NAMES = {
    measure: f"{name} ({section.partition(' (')[0]})"
    for section, measures in SECTIONS.items()
    for measure, name in measures.items()
} | HEADLINE
DERIVED = "† Derived, not in the paper: the class is read off T3's mask (Alg. 1)."
PRIVATE = "* Kang et al. 2022, Tables 1 and 3: other images (private), so no yardstick for these."


def comparison(
    records: Sequence[Mapping[str, Any]],
    measures: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> go.Figure:
    """The headline measures of several runs as dots with 95 % intervals, in per cent.

    measures: measure -> name to show (default `HEADLINE`); those that no run has are left out;
    titles as in `roc`. Raises ValueError if there is nothing to show, or for more than six runs:
    `forest` and `systems_table` take any number.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> comparison([run], {"ACC": "Accuracy", "AUC": "AUC"}).data[0].x.tolist()
    [50.0, 75.0]
    """
    named = by_title(records, titles)
    series(max(len(named) - 1, 0))  # refuses too many before anything is computed
    found = {name: intervals(record, measures or HEADLINE) for name, record in named.items()}
    shown = [m for m in measures or HEADLINE if any(m in values for values in found.values())]
    if not shown:
        raise ValueError("no run has any of the measures asked for")
    drawn = go.Figure()
    told = []
    for index, (name, values) in enumerate(found.items()):
        colour, _, symbol = series(index)
        there = [m for m in shown if m in values]
        points = np.array([values[m] for m in there]) * 100
        step = 0.36 / max(len(found) - 1, 1)
        drawn.add_scatter(
            x=points[:, 0].round(2),
            y=[shown.index(m) + step * (index - (len(found) - 1) / 2) for m in there],
            error_x=error_bars(points),
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
            name=name,
            hovertemplate="%{x:.1f} %",
        )
        told += [f"{name}, {(measures or HEADLINE)[m]} {words(values[m])}" for m in there]
    return figure(
        f"Measures of each run in per cent, with 95 % intervals. {'; '.join(told)}.",
        height=110 + 46 * len(shown),
        base=drawn,
        margin={"r": 30},
        xaxis={"range": [0, 101], "ticksuffix": " %"},
        yaxis={
            "tickvals": list(range(len(shown))),
            "ticktext": [wrapped((measures or HEADLINE)[m]) for m in shown],
            "range": [len(shown) - 0.4, -0.6],
            "showgrid": False,
        },
    )


def measures_table(
    records: Sequence[Mapping[str, Any]],
    paper: Mapping[str, Mapping[str, float]] | None = None,
    titles: Mapping[str, str] | None = None,
) -> str:
    """All measures of several runs in per cent, with 95 % intervals, one column for each run.

    paper: experiment -> the paper's values as fractions, shown in a column of their own, marked;
    titles as in `roc`. Raises ValueError if there is no run.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> "<b>75.0</b>" in measures_table([run], titles={"mtl": "MTL"})  # the AUC
    True
    """
    if not records:
        raise ValueError("there is no run to show")
    named = by_title(records, titles)
    every = [measure for section in SECTIONS.values() for measure in section]
    found = {name: intervals(record, every) for name, record in named.items()}
    theirs = {
        experiment: text((titles or {}).get(experiment, experiment))
        for experiment in dict.fromkeys(record["experiment"] for record in records)
        if (paper or {}).get(experiment)
    }
    head = ["in %", *named, *(f"{title}<br><i>in the paper*</i>" for title in theirs.values())]
    body: list[list[str] | str] = []
    for section, measures in SECTIONS.items():
        lines = [
            [
                name,
                *(cell(values.get(measure)) for values in found.values()),
                *(number(paper[experiment].get(measure)) for experiment in theirs),
            ]
            for measure, name in measures.items()
            if any(measure in values for values in found.values())
        ]
        body += [section, *lines] if lines else []
    derived = any("ACC_seg" in values for values in found.values())
    return table(head, body, " ".join([PRIVATE] * bool(theirs) + [DERIVED] * derived))


def systems_table(
    records: Sequence[Mapping[str, Any]],
    titles: Mapping[str, str] | None = None,
    paper: Mapping[str, Mapping[str, float]] | None = None,
    measures: Mapping[str, str] = COLUMNS,
) -> str:
    """Many systems by a few measures, in per cent: a row for each system, its seeds together.

    records: runs of one source and profile; titles: experiment -> name to show, in the order of the
    rows (that of the catalogue), others after them; paper: experiment -> the paper's values, shown
    below ours and marked; measures: measure -> column title; those that no run has are left out.
    Several seeds: mean and Student's 95 % interval over seeds; one: its 95 % bootstrap interval
    over patients, which is another matter, so the seeds are counted beside the name. A system
    without the task has a dash. Raises ValueError if there is no run, or none with these measures.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> "<b>50.0</b>" in systems_table([run], {"mtl": "MTL"}, measures={"ACC": "Accuracy"})
    True
    """
    if not records:
        raise ValueError("there is no run to show")
    systems = by_system(records, titles)
    found = {name: of_system(runs, measures) for name, runs in systems.items()}
    shown = [m for m in measures if any(m in values for values in found.values())]
    if not shown:
        raise ValueError("no run has any of the measures asked for")
    body, marked = [], False
    for name, runs in systems.items():
        theirs = (paper or {}).get(runs[0]["experiment"], {})
        marked |= any(m in theirs for m in shown)
        cells = [_stacked(found[name].get(m), theirs.get(m)) for m in shown]
        body.append([name, str(len(runs)), *cells])
    note = [
        "In brackets 95 % intervals: over seeds where there are several, else over patients.",
        *[PRIVATE] * marked,
        *[DERIVED] * any(m.endswith("_seg") for m in shown),
    ]
    return table(["in %", "seeds", *(measures[m] for m in shown)], body, " ".join(note))


def _stacked(ours: Interval | None, theirs: float | None) -> str:
    """Estimate, interval and the paper's value below each other, so that like stands below like."""
    lines = [ABSENT]
    if ours is not None:
        value, low, high = (number(v) for v in ours)
        lines = [f"<b>{value}</b>", f"<small>[{low}, {high}]</small>"]
    if theirs is not None:
        lines.append(f"<small><i>{number(theirs)}*</i></small>")
    return "<br>".join(lines)


def forest(
    records: Sequence[Mapping[str, Any]],
    measure: str,
    titles: Mapping[str, str] | None = None,
    paper: Mapping[str, Mapping[str, float]] | None = None,
    name: str = "",
) -> go.Figure:
    """One measure of many systems below each other, with 95 % intervals; the paper's hollow.

    Arguments as in `systems_table`, with the same intervals; name: what to call the measure.
    Systems without it are left out. Raises ValueError if none has it.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> drawn = forest([run], "ACC", {"mtl": "MTL"}, paper={"mtl": {"ACC": 0.8796}})
    >>> [float(trace.x[0]) for trace in drawn.data]
    [50.0, 87.96]
    """
    name = name or NAMES.get(measure, measure)
    ours, theirs = _estimates(records, [measure], titles, paper)[measure]
    if not ours:
        raise ValueError(f"no run has the measure {measure!r}")
    return figure(
        f"{name} of each system in per cent, with 95 % intervals. {_told(ours, theirs)}.",
        height=110 + 40 * len(ours),
        base=go.Figure(_dots(ours, theirs)),
        xaxis={"title": f"{name}, %"},
        yaxis={"autorange": "reversed"},
    )


def forests(
    records: Sequence[Mapping[str, Any]],
    measures: Mapping[str, str] = HEADLINE,
    titles: Mapping[str, str] | None = None,
    paper: Mapping[str, Mapping[str, float]] | None = None,
) -> go.Figure:
    """The `forest` of each measure, with a menu to choose one; the first is shown.

    measures: measure -> name to show; those that no run has are left out. Other arguments as in
    `systems_table`. Raises ValueError if no run has any of them.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> drawn = forests([run, run | {"experiment": "msl"}], {"ACC": "Accuracy", "AUC": "AUC"})
    >>> [trace.visible for trace in drawn.data]
    [True, False]
    """
    found = {
        measure: both
        for measure, both in _estimates(records, measures, titles, paper).items()
        if both[0]
    }
    if not found:
        raise ValueError("no run has any of the measures asked for")
    drawn, shows = go.Figure(), []
    for measure, (ours, theirs) in found.items():
        traces = _dots(ours, theirs)
        drawn.add_traces(traces)
        shows += [measure] * len(traces)
    first = next(iter(found))
    for trace, measure in zip(drawn.data, shows, strict=True):
        trace.visible = measure == first
    most = max(len(ours) for ours, _ in found.values())
    plot = max(40 * most, 80)  # Plotly takes no menu at more than three heights
    told = "; ".join(f"{measures[m]}: {_told(*both)}" for m, both in found.items())
    return figure(
        "One measure of each system in per cent, with 95 % intervals; a menu chooses which. "
        f"{told}.",
        height=200 + plot,
        base=drawn,
        margin={"t": 140, "b": 60},  # above the menu, room for Plotly's own buttons
        legend={"y": 1 + 6 / plot},
        xaxis={"title": f"{measures[first]}, %"},
        yaxis={"autorange": "reversed"},
        updatemenus=[
            {
                "buttons": [
                    {
                        "label": measures[m],
                        "method": "update",
                        "args": [
                            {"visible": [m == shown for shown in shows]},
                            {"xaxis.title.text": f"{measures[m]}, %"},
                        ],
                    }
                    for m in found
                ],
                "x": 1,  # from the right it has the whole width of a phone
                "xanchor": "right",
                "y": 1 + 104 / plot,
                "yanchor": "top",
            }
        ],
    )


def _estimates(
    records: Sequence[Mapping[str, Any]],
    measures: Sequence[str] | Mapping[str, str],
    titles: Mapping[str, str] | None,
    paper: Mapping[str, Mapping[str, float]] | None,
) -> dict[str, tuple[dict[str, Interval], dict[str, float]]]:
    """For each measure the systems' own intervals, and what the paper prints for these systems."""
    found = {measure: ({}, {}) for measure in measures}
    for system, runs in by_system(records, titles).items():
        printed = (paper or {}).get(runs[0]["experiment"], {})
        for measure, value in of_system(runs, measures).items():
            ours, theirs = found[measure]
            ours[system] = value
            if measure in printed:
                theirs[system] = printed[measure]
    return found


def _dots(ours: Mapping[str, Interval], theirs: Mapping[str, float]) -> list[go.Scatter]:
    """The systems' estimates with their intervals, and the paper's values hollow if there are."""
    points = np.array(list(ours.values())) * 100
    here = go.Scatter(
        x=points[:, 0].round(2),
        y=[wrapped(system) for system in ours],
        error_x=error_bars(points),
        mode="markers",
        marker={"color": COLOURS[0], "symbol": "circle", "size": 10},
        name="here",
        hovertemplate="%{x:.1f} %",
    )
    if not theirs:
        return [here]
    printed = go.Scatter(
        x=[round(100 * value, 2) for value in theirs.values()],
        y=[wrapped(system) for system in theirs],
        mode="markers",
        marker={"color": COLOURS[5], "symbol": "diamond-open", "size": 10},
        name="in the paper, on its own images",
        hovertemplate="%{x:.1f} %",
    )
    return [here, printed]


def _told(ours: Mapping[str, Interval], theirs: Mapping[str, float]) -> str:
    return "; ".join(
        f"{system} {words(value)}"
        + (f", in the paper {number(theirs[system])}" if system in theirs else "")
        for system, value in ours.items()
    )
