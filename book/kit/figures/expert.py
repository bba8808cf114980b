"""The networks beside the expert who gave BI-RADS categories: a curve, tables and verdicts."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from ..expert import (
    BIOPSY,
    BY_EXPERT,
    CANCER,
    KEPT,
    LOW_RISK,
    NAMED,
    SENSITIVITY,
    SPARED,
    SPECIFICITY,
    Expert,
    corners,
    curve,
    tested,
)
from ..stats import SUFFIX, Difference, Evidence
from .changes import NEITHER, sentence
from .places import of_classes
from .style import ABSENT, cell, figure, number, series, stacked, table, text, words

ALARMS = np.linspace(0, 1, 101)


def expert_curves(
    found: Mapping[str, Evidence], system: str, expert: Expert, title: str
) -> go.Figure:
    """Sensitivity against false alarms: a network, decided together, and the expert's corners.

    found: name, such as the image's size -> its runs; title: of the system. Raises ValueError where
    it was not run.
    """
    there = {name: one for name, one in found.items() if system in one.runs}
    if not there:
        raise ValueError(f"{title} has not been run")
    drawn, said = go.Figure(), []
    for index, (name, one) in enumerate(there.items()):
        colour, dash, _ = series(index)
        seen = curve(one, expert, system, ALARMS)
        drawn.add_scatter(
            x=100 * ALARMS,
            y=(100 * seen).round(1),
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.5},
            name=f"{text(title)}, {text(name)}",
            hovertemplate="finds %{y:.0f} % with %{x:.0f} % false alarms<extra></extra>",
        )
        at = [10, 20, 40]
        ways = ", ".join(f"{number(seen[a])} % at {a} % false alarms" for a in at)
        said.append(f"{text(title)}, {text(name)}, finds {ways}")
    least = corners(tested(next(iter(there.values())), expert, system))
    colour, dash, symbol = series(len(there))
    drawn.add_scatter(
        x=[100, *(100 * least["alarms"]).round(1), 0],
        y=[100, *(100 * least["sensitivity"]).round(1), 0],
        mode="lines+markers+text",
        line={"color": colour, "dash": dash, "width": 1.5},
        marker={"symbol": symbol, "size": [0, *(14 if c == BIOPSY else 9 for c in least.index), 0]},
        text=["", *(f"from {category} on" for category in least.index), ""],
        textposition=["top right", "top center", "top center", "middle right", "top right"],
        name="the expert, BI-RADS",
        hovertemplate="finds %{y:.0f} % with %{x:.0f} % false alarms<extra></extra>",
    )
    ways = ", ".join(
        f"{number(row['sensitivity'])} % at {number(row['alarms'])} % (from {category} on)"
        for category, row in least.iterrows()
    )
    said.append(f"the expert finds {ways}")
    return figure(
        "Malignant patients who are found, in per cent, against benign ones who are called "
        f"malignant. {'; '.join(said)}.",
        height=460,
        base=drawn,
        xaxis={"title": "false alarms: benign, called malignant, %", "range": [-2, 102]},
        yaxis={
            "title": "malignant, found, %",
            "range": [-2, 109],
            "tickvals": [*range(0, 101, 20)],
        },
    )


def expert_in_words(told: Mapping[str, Difference], title: str) -> str:
    """Is the network as good as the expert, by AUC and where the expert works; Markdown."""
    auc, seen = told["AUC"], told[SENSITIVITY]
    lead = ""
    if seen.clear and seen.difference < 0 and not (auc.clear and auc.difference < 0):
        how = "the network is better" if auc.clear else f"the two are {NEITHER}"
        lead = f"**By AUC {how}; where the expert works, the expert is better.** "
    return (
        f"{lead}AUC, {text(title)} compared with the expert: {_judged(auc)}. From category "
        f"{BIOPSY} on, the expert finds {number(seen.below)} % of the malignant patients. With as "
        f"many false alarms, the network finds {number(seen.above)} %: sensitivity "
        f"{_judged(seen)}."
    )


def expert_table(
    told: Mapping[str, Mapping[str, Mapping[str, Difference]]], titles: Mapping[str, str]
) -> str:
    """Every system beside the expert, in per cent and points, network less expert.

    told: name, such as the image's size -> system -> as `book.kit.expert.beside` gives it. Raises
    ValueError if there is none.
    """
    body: list[list[str] | str] = []
    for name, systems in told.items():
        if systems:
            people = next(iter(systems.values()))["AUC"].patients
            body.append(f"<b>{text(name)}</b>, {people} patients")
        for system, one in systems.items():
            several = f"{one['AUC'].trainings} training{'s' * (one['AUC'].trainings != 1)}"
            cells = [_of(one[name]) for name in ("AUC", SENSITIVITY)]
            body.append([f"{text(titles.get(system, system))}<br><small>{several}</small>", *cells])
    if not body:
        raise ValueError("none of these systems has been run yet")
    head = ["", "AUC", "sensitivity, with as many<br>false alarms as the expert"]
    note = (
        "Network / expert, in per cent, and below it network minus expert: 95 % intervals over "
        "patients and trainings, corrected (Holm) for the two; bold where told apart."
    )
    return table(head, body, note)


def category_table(
    told: Mapping[int, Evidence], system: str, expert: Expert, found: Evidence
) -> str:
    """What the network adds where the expert has given a category: a row for each.

    told: category -> as `book.kit.expert.in_category` gives it; found: all runs, whose test images
    are counted. Raises ValueError if the system was not run.
    """
    if system not in found.runs:
        raise ValueError(f"{system} has not been run")
    rows = tested(found, expert, system)
    body = []
    for category, one in told.items():
        mine = rows[rows["category"] == category]
        ill = mine["label"] == 1
        known = system in one.runs and "AUC" in one.measures(system)
        body.append(
            [
                str(category),
                str(len(mine)),
                f"{ill.sum()} <small>({number(ill.mean())} %)</small>",
                cell(one.level(system, "AUC")) if known else ABSENT,
            ]
        )
    head = ["category", "patients", "malignant", "AUC of the network"]
    note = (
        "AUC in per cent, decided together, with 95 % intervals over patients and trainings; none "
        "where a class has fewer than ten patients."
    )
    return table(head, body, note)


def category_in_words(told: Evidence, system: str, category: int = BIOPSY) -> str:
    """Could the network spare biopsies? Markdown; empty if it cannot be told."""
    if system not in told.runs or not set(told.measures(system)) >= {"AUC", SPARED, CANCER}:
        return ""
    auc, spared, cancer = (told.level(system, m) for m in ("AUC", SPARED, CANCER))
    said = (
        f"Among the patients of category {category} the network's AUC is {words(auc)} %: it tells "
        f"something that the category does not. With a threshold that keeps {_percent(KEPT)} of "
        f"the malignant ones on validation, it would spare {words(spared)} % of the benign "
        f"ones a biopsy. Of all whom it spares, {words(cancer)} % are malignant"
    )
    if cancer.low > LOW_RISK:
        return (
            f"**Not safe enough to spare a biopsy.** {said}; a lesion is followed up in place of "
            f"a biopsy where at most {_percent(LOW_RISK)} are (category 3)."
        )
    return f"{said}."


def size_table(told: Mapping[str, Evidence], system: str) -> str:
    """Small, middle and large nodules: contradictions, outline and class, beside the expert.

    told: as `book.kit.expert.by_size` gives it. Raises ValueError if the system was not run.
    """
    joint = f"{system}{SUFFIX}"
    body = []
    for name, one in told.items():
        if joint not in one.runs:
            raise ValueError(f"{system} has not been run")
        told_by = (
            (system, "inconsis_cls"),
            (joint, "dice_nodule"),
            (joint, "AUC"),
            (joint, "REC"),
            (joint, NAMED),
        )
        classes = of_classes(one)
        body.append(
            [
                f"{name}<br><small>{sum(classes.values())} images</small>",
                number(classes.get("malignant", 0) / sum(classes.values())),
                *(stacked(one.level(*place)) for place in told_by),
                *(number(one.value(joint, BY_EXPERT[m])) for m in (SENSITIVITY, SPECIFICITY)),
            ]
        )
    head = [
        "nodules", "malignant", "T1 and T3<br>contradict", "Dice,<br>nodule", "AUC",
        "sensitivity", "specificity", "expert's<br>sensitivity", "expert's<br>specificity",
    ]  # fmt: skip
    note = (
        "In per cent, with 95 % intervals over patients and trainings. Contradictions: as "
        "answered; all else of the network: decided together, at a threshold of one half."
    )
    return table(head, body, note)


def size_in_words(told: Mapping[str, Evidence], system: str) -> str:
    """What becomes of small nodules: the network's sensitivity beside the expert's; Markdown."""
    joint = f"{system}{SUFFIX}"
    least, *_, most = told
    if any(joint not in told[name].runs for name in (least, most)):
        return ""
    said = [
        f"of the malignant nodules in the {name} third the network finds "
        f"{words(told[name].level(joint, 'REC'))} % and the expert "
        f"{number(told[name].value(joint, BY_EXPERT[SENSITIVITY]))} %"
        for name in (least, most)
    ]
    small, large = (words(told[name].level(joint, "AUC")) for name in (least, most))
    return (
        f"At a threshold of one half, {'; '.join(said)}. The AUC, which asks for no threshold, is "
        f"{small} among small nodules and {large} among large ones."
    )


def _of(found: Difference) -> str:
    """Network and expert, and below it their difference."""
    apart = cell(found.interval, signed=True)
    bare = apart.replace("<b>", "").replace("</b>", "")
    values = f"{number(found.above)} / {number(found.below)}"
    return f"{values}<br>{apart if found.clear else bare}"


def _judged(found: Difference) -> str:
    return sentence(found) + ("" if found.clear or found.why else f", {NEITHER}")


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
