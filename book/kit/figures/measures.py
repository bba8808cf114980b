"""The measures of runs side by side: what each is called, a figure and a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..stats import FEWEST, OF_IMAGES, Evidence, Interval
from .runs import by_title, levels, untold
from .style import ABSENT, cell, number, stacked, table, text

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
    "inconsis_cls": "Contradictions, T1 and T3",
    "AUC": "AUC",
    "F1": "F1",
    "dice_class_mean": "Dice, images of the class",
    "dice_nodule": "Dice, nodule",
    "dice_paper_mean": "Dice, all images",
    "ACC": "Accuracy",
    "inconsis_seg2": "Contradictions, T2 and T3",
    "inconsis_seg3_benign": "Contradictions, benign maps",
    "inconsis_seg3_malignant": "Contradictions, malignant maps",
}

# The columns of a table of many systems: the paper's Tables 1 and 3, ours between and after them
COLUMNS = {
    "inconsis_cls": "T1 against<br>T3",
    "inconsis_seg2": "T2 against<br>T3",
    "AUC": "AUC",
    "F1": "F1",
    "ACC": "Accuracy",
    "dice_class_mean": "Dice, images<br>of the class",
    "dice_nodule": "Dice,<br>nodule",
    "dice_paper_mean": "Dice,<br>all images",
    "iou_paper_mean": "IoU,<br>all images",
    "inconsis_seg3_benign": "T1, T2 against<br>T3, benign",
    "inconsis_seg3_malignant": "T1, T2 against<br>T3, malignant",
    "ACC_seg": "Accuracy†",
    "F1_seg": "F1†",
    "AUC_seg": "AUC†",
}
# Those of them that a page has room for
SHORT = {m: COLUMNS[m] for m in COLUMNS if m in {*HEADLINE} - {"ACC"} and "seg3" not in m}
# Every measure by a name that stands alone: the headline's, else with its section's
NAMES = (
    {
        measure: f"{name} ({section.partition(' (')[0]})"
        for section, measures in SECTIONS.items()
        for measure, name in measures.items()
    }
    | HEADLINE
    | OF_IMAGES
)
DERIVED = "† Derived, not in the paper: the class is read off T3's mask (Alg. 1)."
FEW = f"[{ABSENT}, {ABSENT}]: fewer than {FEWEST} patients of a class, too few for an interval."
PRIVATE = "* Kang et al. 2022, Tables 1 and 3: other images (private), not comparable with these."


def measures_table(
    records: Sequence[Mapping[str, Any]],
    paper: Mapping[str, Mapping[str, float]] | None = None,
    titles: Mapping[str, str] | None = None,
) -> str:
    """All measures of several runs in per cent, with 95 % intervals, one column for each run.

    Each run is judged by itself, so the intervals are about other patients alone. paper: experiment
    -> the paper's values as fractions, shown in a column of their own, marked; titles: experiment
    -> name to show. Raises ValueError if there is no run.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> "<b>75.0</b>" in measures_table([run], titles={"mtl": "MTL"})  # the AUC
    True
    """
    if not records:
        raise ValueError("there is no run to show")
    named = by_title(records, titles)
    found = {title: levels(Evidence([run]), run["experiment"]) for title, run in named.items()}
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
    note = [
        "In brackets 95 % intervals over patients; another training would move the numbers, too.",
        FEW,
        *[PRIVATE] * bool(theirs),
        *[DERIVED] * derived,
    ]
    return table(head, body, " ".join(note))


def systems_table(
    found: Evidence,
    titles: Mapping[str, str] | None = None,
    paper: Mapping[str, Mapping[str, float]] | None = None,
    measures: Mapping[str, str] = COLUMNS,
) -> str:
    """Many systems by a few measures, in per cent: a row for each, the mean over its trainings.

    titles: experiment -> name to show: which systems, in which order (default: all); paper:
    experiment -> the paper's values, shown below ours and marked; measures: measure -> column
    title; those that no run has are left out. A system without the task has a dash. Raises
    ValueError if there is no run, or none with these measures.

    >>> run = {"experiment": "mtl", "source": "phantom", "profile": "quick", "seed": 0}
    >>> run["per_image"] = {"label": [0, 1, 0, 1], "p_malignant": [0.2, 0.8, 0.6, 0.5]}
    >>> "<b>50.0</b>" in systems_table(Evidence([run]), measures={"ACC": "Accuracy"})
    True
    """
    systems = _systems(found, titles)
    each = {system: levels(found, system, measures) for system in systems}
    shown = [m for m in measures if any(m in values for values in each.values())]
    if not shown:
        raise ValueError("no run has any of the measures asked for")
    body, marked = [], False
    for system, title in systems.items():
        theirs = (paper or {}).get(system, {})
        marked |= any(m in theirs for m in shown)
        cells = [_stacked(each[system].get(m), theirs.get(m)) for m in shown]
        body.append([title, str(len(found.runs[system])), *cells])
    note = [
        "In brackets 95 % intervals over patients and trainings.",
        FEW,
        untold(found, shown),
        *[PRIVATE] * marked,
        *[DERIVED] * any(m.endswith("_seg") for m in shown),
    ]
    return table(
        ["in %", "trainings", *(measures[m] for m in shown)], body, " ".join(filter(None, note))
    )


def _systems(found: Evidence, titles: Mapping[str, str] | None) -> dict[str, str]:
    """The systems to show that were run: name -> title, as HTML."""
    shown = {system: text((titles or {}).get(system, system)) for system in titles or found.runs}
    there = {system: title for system, title in shown.items() if system in found.runs}
    if not there:
        raise ValueError("there is no run to show")
    return there


def _stacked(ours: Interval | None, theirs: float | None) -> str:
    """Estimate, interval and the paper's value below each other, so that like stands below like."""
    printed = "" if theirs is None else f"<br><small><i>{number(theirs)}*</i></small>"
    return stacked(ours) + printed
