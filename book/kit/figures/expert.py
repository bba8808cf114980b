"""The networks beside the expert who gave BI-RADS categories: a curve, tables and verdicts."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib import results

from ..expert import (
    ALARMS,
    BIOPSY,
    CANCER,
    FOUND,
    LOW_RISK,
    MISSED,
    SENSITIVITY,
    SPARED,
    STEPS,
    Expert,
    Third,
    corners,
    curve,
    tested,
)
from ..stats import SUFFIX, Difference, Evidence, Interval
from .changes import NEITHER, with_verdict
from .places import of_classes
from .style import ABSENT, cell, figure, number, series, stacked, table, text, words

GRID = np.linspace(0, 1, 101)  # of false alarms


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
        seen = curve(one, expert, system, GRID)
        drawn.add_scatter(
            x=100 * GRID,
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
        f"suspicious. {'; '.join(said)}.",
        height=460,
        base=drawn,
        xaxis={"title": "benign, but suspicious, %", "range": [-2, 102]},
        yaxis={
            "title": "malignant, found, %",
            "range": [-2, 109],
            "tickvals": [*range(0, 101, 20)],
        },
    )


def expert_in_words(told: Mapping[str, Difference], own: Mapping[str, Interval]) -> str:
    """Is the network as good as the expert, where the expert works; the end of a Markdown heading
    in bold, and a list.

    told: of one system, as `book.kit.expert.beside` gives it; own: the expert's `levels`.
    """
    seen, alarms, steps = (told[name] for name in (SENSITIVITY, ALARMS, STEPS))
    better = _better(seen, alarms)
    lead = better or f"the two are {NEITHER}"
    return (
        f"where the expert works, {lead}.**\n\n"
        f"- *With as many false alarms* ({words(own[ALARMS])} % of the benign patients), the "
        f"network finds {number(seen.above)} % of the malignant ones and the expert "
        f"{words(own[SENSITIVITY])} %: {with_verdict(seen)}.\n"
        f"- *With as many found*, the network calls {number(alarms.above)} % of the benign "
        f"patients suspicious and the expert {number(alarms.below)} %: {with_verdict(alarms)}.\n"
        f"- *With four answers only*, each as often as the expert gives it, the network's AUC is "
        f"{number(steps.above)} % and the expert's {number(steps.below)} %: {with_verdict(steps)}."
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
            cells = [_of(one[name]) for name in (SENSITIVITY, ALARMS, STEPS)]
            auc = f"{number(one['AUC'].above)} / {number(one['AUC'].below)}"
            title = f"{text(titles.get(system, system))}<br><small>{several}</small>"
            body.append([title, *cells, auc])
    if not body:
        raise ValueError("none of these systems has been run yet")
    head = [
        "", "found, with<br>as many<br>false alarms", "false alarms,<br>with as many<br>found",
        "AUC in<br>four steps", "AUC, not<br>compared",
    ]  # fmt: skip
    note = (
        "Network / expert, in per cent, and below it network minus expert: 95 % intervals over "
        "patients and trainings, corrected (Holm) for the three; bold where told apart."
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
        told_of = one.level(system, "AUC") if system in one.runs else None
        known = told_of is not None and told_of.low == told_of.low
        body.append(
            [
                str(category),
                str(len(mine)),
                f"{ill.sum()} <small>({number(ill.mean())} %)</small>",
                cell(told_of) if known else ABSENT,
            ]
        )
    head = ["category", "patients", "malignant", "AUC of the network"]
    note = (
        f"AUC in per cent, decided together, with 95 % intervals over patients and trainings; "
        f"{ABSENT}: fewer than ten patients of a class."
    )
    return table(head, body, note)


def category_in_words(told: Evidence, system: str, category: int = BIOPSY) -> str:
    """Could the network spare biopsies? Markdown; empty if it cannot be told."""
    asked = {"AUC", SPARED, MISSED, CANCER}
    if system not in told.runs or not set(told.measures(system)) >= asked:
        return ""
    spared, missed, cancer = (told.level(system, m) for m in (SPARED, MISSED, CANCER))
    rows = pd.concat(map(results.rows, told.runs[system].values())).drop_duplicates("group")
    lead = ""
    if cancer.low > LOW_RISK:
        lead = "**In these patients, not safe enough to spare a biopsy.** "
    return (
        f"{lead}Suppose a patient of category {category} had no biopsy if the score is below that "
        "of every malignant validation patient of the category. It would be spared to "
        f"{words(spared)} % of the benign ones, and {words(missed)} % of the malignant ones would "
        f"be missed. Of all who are spared it, {words(cancer)} % would have cancer; a patient is "
        f"followed up in its place where that is at most {100 * LOW_RISK:g} % (category 3). The "
        "share depends on how many of the category have cancer, here "
        f"{number((rows['label'] == 1).mean())} %: where fewer have, it is lower."
    )


def helped_in_words(told: Mapping[str, Difference]) -> str:
    """What the expert's category and the network together find, beside the category alone.

    told: of one system, as `book.kit.expert.beside` gives it with `helped`; Markdown.
    """
    seen = told[SENSITIVITY]
    return (
        "Category and network together (a logistic regression, fitted to validation patients) find "
        f"{number(seen.above)} % of the malignant patients, with the false alarms of the category "
        f"alone, which finds {number(seen.below)} %: {with_verdict(seen)}."
    )


def size_table(told: Mapping[str, Third], system: str) -> str:
    """Small, middle and large nodules: contradictions, outline, and what network and expert find.

    told: as `book.kit.expert.by_size` gives it. Raises ValueError if the system was not run.
    """
    joint = f"{system}{SUFFIX}"
    body = []
    for name, one in told.items():
        if joint not in one.runs.runs:
            raise ValueError(f"{system} has not been run")
        classes = of_classes(one.runs)
        body.append(
            [
                f"{name}<br><small>{sum(classes.values())} images</small>",
                number(classes.get("malignant", 0) / sum(classes.values())),
                stacked(one.runs.level(system, "inconsis_cls")),
                stacked(one.runs.level(joint, "dice_nodule")),
                _of(one.beside.difference(joint, system, FOUND)),
            ]
        )
    head = [
        "nodules", "malignant", "T1 and T3<br>contradict", "Dice,<br>nodule",
        "malignant, found:<br>network / expert",
    ]  # fmt: skip
    note = (
        "In per cent, with 95 % intervals over patients and trainings, not corrected; bold where "
        "told apart. Contradictions: as answered; else decided together. By image; the expert's "
        "category is that of the patient."
    )
    return table(head, body, note)


def _of(found: Difference) -> str:
    """Network and expert, and below it their difference."""
    apart = cell(found.interval, signed=True)
    bare = apart.replace("<b>", "").replace("</b>", "")
    values = f"{number(found.above)} / {number(found.below)}"
    return f"{values}<br>{apart if found.clear else bare}"


def _better(seen: Difference, alarms: Difference) -> str:
    """Who is told to be better by either question, if not one by the one and one by the other."""
    gains = {seen: seen.difference, alarms: -alarms.difference}
    sides = {gain > 0 for one, gain in gains.items() if one.clear}
    if len(sides) != 1:
        return ""
    return "the network is better" if sides.pop() else "the expert is better"
