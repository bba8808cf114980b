"""Where there may be no nodule, or two: what is found, what is invented, what contradicts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from sklearn.metrics import roc_curve

from lib import presence, results
from lib.cases import CLASSES
from lib.presence import ANSWERS, CONTRADICTIONS

from ..stats import EACH, SUFFIX, Evidence, Interval
from .places import PROFILES, Place
from .style import ABSENT, broken, figure, number, series, stacked, table, text, words

AUCS = {f"AUC_{name}": f"AUC, {name} present" for name in CLASSES}
SHARES = {
    "kind_right": "just what is there",
    "false_alarm": "normal images with a nodule",
    "missed": "nodules missed: images",
    "dice_nodule": "Dice, nodule",
    "dice_benign": "Dice, benign",
    "dice_malignant": "Dice, malignant",
}
AS = {"raw": "", "joint": SUFFIX}
OF_T3 = {"other_class", "two_and_one", "one_and_two", "one_mask_empty"}  # need a map of classes


def presence_places(
    records: Sequence[Mapping[str, Any]],
) -> dict[Place, list[Mapping[str, Any]]]:
    """The runs that say which classes are present, by source and profile: each source's longest.

    >>> run = {"source": "phantom-mixed", "profile": "quick", "presence": {"per_image": {}}}
    >>> list(presence_places([run, run | {"presence": None}]))
    [('phantom-mixed', 'quick')]
    """
    found: dict[Place, list[Mapping[str, Any]]] = {}
    for record in records:
        if record.get("presence"):
            found.setdefault((record["source"], record["profile"]), []).append(record)
    long = {source for source, profile in found if profile in PROFILES}
    return {
        place: some for place, some in found.items() if place[1] in PROFILES or place[0] not in long
    }


def presence_counts(records: Sequence[Mapping[str, Any]]) -> str:
    """How many test images of each kind the first of these runs has, in words.

    >>> presence_counts([{"presence": {"per_image": {"kind": [0, 3, 3]}}}])
    '3 test images: 1 normal, 2 both.'
    """
    kinds = results.rows(records[0]["presence"])["kind"]
    told = {name: int((kinds == at).sum()) for at, name in enumerate(presence.KINDS)}
    told |= {"unknown": int((kinds < 0).sum())}
    return f"{len(kinds)} test images: {', '.join(f'{n} {name}' for name, n in told.items() if n)}."


def rules_table(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> str:
    """What the validation images taught the decision: a row for each run. As `presence_table`."""
    systems = _systems(presence_evidence(records)[CLASSES[0]], titles)
    body = []
    for system, title in systems.items():
        for record in records:
            if record["experiment"] != system or not record.get("presence"):
                continue
            rule = record["presence"]["decision"]
            weights = [f"{rule['weights'][name]:.2f}" for name in ("cls", "maps")]
            least = f"{rule['threshold']:.2f}", str(rule["size"])
            body.append([title, str(record["seed"]), *weights, ", ".join(rule["kinds"]), *least])
    head = ["", "seed", "weight of T1", "weight of the maps", "possible answers"]
    return table([*head, "least probability of a nodule", "fewest pixels of a piece"], body)


def presence_evidence(records: Sequence[Mapping[str, Any]]) -> dict[str, Evidence]:
    """By class, what the runs let us say of presence by the book's one rule.

    A run stands there twice: as answered and, its name with `SUFFIX`, as decided together. Each
    `Evidence` has the class's presence as "AUC", and each measure of
    `lib.presence.presence_measures` by its name behind `EACH`. Runs that recorded no presence are
    left out. ValueError if none did.
    """
    there = [record for record in records if record.get("presence")]
    if not there:
        raise ValueError("no run here says which classes are present")
    return {
        name: Evidence([_as_rows(record, name, answer) for record in there for answer in ANSWERS])
        for name in CLASSES
    }


def _as_rows(record: Mapping[str, Any], name: str, answer: str) -> dict[str, Any]:
    rows = results.rows(record["presence"])
    held = np.where(rows["kind"] < 0, -1, presence.holds(rows, name))
    each = presence.presence_measures(rows, answer).drop(columns="false_nodules").add_prefix(EACH)
    columns = rows[["case", "group"]].assign(label=held, p_malignant=rows[f"{answer}_{name}"])
    found = pd.concat([columns, each], axis=1).to_dict("list")
    return {**record, "experiment": record["experiment"] + AS[answer], "per_image": found}


def presence_table(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> str:
    """What each system finds and what it invents, in per cent: as answered, and decided together.

    titles: experiment -> name to show: which systems, in which order (default: all). In brackets
    95 % intervals; false nodules are a mean number of pieces. ValueError if there is no such run.
    """
    found = presence_evidence(records)
    one = found[CLASSES[0]]
    systems = _systems(one, titles)
    body = []
    for system, title in systems.items():
        body.append(title)
        for answer, said in zip(ANSWERS, ("as answered", "decided together"), strict=True):
            name = system + AS[answer]
            aucs = [level(found[c], name, "AUC") for c in CLASSES]
            shares = [level(one, name, EACH + share) for share in SHARES]
            invented = false_nodules(records, system, answer)
            shown = ABSENT if invented is None else f"<b>{invented:.2f}</b>"
            body.append([said, *map(stacked, [*aucs, *shares]), shown])
    many = max(len(one.runs[system]) for system in systems)
    note = (
        "In brackets 95 % intervals over patients"
        + (" and trainings." if many > 1 else "; another training would move the numbers, too.")
        + " A dash: fewer than ten patients of a sort, or no such image. False nodules: pieces of "
        "the mask in an image without a nodule."
    )
    head = ["in %", *AUCS.values(), *SHARES.values(), "false nodules per normal image"]
    return table(list(map(broken, head)), body, note)


def contradictions_by_kind(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> str:
    """How many of 100 images contradict themselves as answered, and how: a row for each system.

    Arguments and errors as in `presence_table`.
    """
    one = presence_evidence(records)[CLASSES[0]]
    columns = {"contradiction": "any", **CONTRADICTIONS}
    body = []
    for system, title in _systems(one, titles).items():
        maps = all("t3_benign" in run["presence"]["per_image"] for run in one.runs[system].values())
        can = [name for name in columns if maps or name not in OF_T3]
        cells = (stacked(level(one, system, EACH + n)) if n in can else ABSENT for n in columns)
        body.append([title, *cells])
    note = (
        "In brackets 95 % intervals. An image can have several kinds. Decided together: none, by "
        f"construction. {ABSENT}: not without T3."
    )
    return table(list(map(broken, ["in %", *columns.values()])), body, note)


def presence_roc(
    records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
) -> go.Figure:
    """ROC curves of the presence of each class over all images, normal and both among them.

    The first training of each system, as answered (thick) and decided together (thin); benign is
    solid, malignant dashed. Arguments and errors as in `presence_table`.
    """
    one = presence_evidence(records)
    systems = _systems(one[CLASSES[0]], titles)
    drawn, told = go.Figure(), []
    for index, (system, title) in enumerate(systems.items()):
        record = next(r for r in records if r["experiment"] == system and r.get("presence"))
        rows = results.rows(record["presence"])
        known = rows["kind"].to_numpy() >= 0
        for dash, name in zip(("solid", "dash"), CLASSES, strict=True):
            held = presence.holds(rows, name)[known]
            for answer, width, said in zip(
                ANSWERS, (2.5, 1.2), ("answered", "together"), strict=True
            ):
                auc = presence.presence_auc(rows, name, answer)
                if auc is None:
                    continue
                false, true, _ = roc_curve(held, rows[f"{answer}_{name}"].to_numpy()[known])
                shown = f"{name}, {said}: {number(auc)}"
                told.append(f"{title}, {shown}")
                drawn.add_scatter(
                    x=false.round(4),
                    y=true.round(4),
                    mode="lines",
                    line={"color": series(index)[0], "dash": dash, "width": width},
                    name=shown,
                    legendgroup=title,
                    legendgrouptitle={"text": title},
                )
    drawn.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": "#808080", "width": 1},
        showlegend=False, hoverinfo="skip",
    )  # fmt: skip
    return figure(
        f"ROC curves of whether a class is present, AUC in per cent. {'; '.join(told)}.",
        height=360 + 60 * len(systems),
        base=drawn,
        xaxis={"title": "1 - specificity", "range": [-0.01, 1.01], "constrain": "domain"},
        yaxis={
            "title": "sensitivity",
            "range": [-0.01, 1.01],
            "scaleanchor": "x",
            "constrain": "domain",
            "constraintoward": "top",
        },
    )


def silence_in_words(records: Sequence[Mapping[str, Any]], plain: str, terms: str) -> str:
    """What the terms, and what deciding together, do to false alarms: a list in Markdown.

    plain, terms: the system without and with the three terms. ValueError if either was not run.
    """
    found = presence_evidence(records)
    one, said = found[CLASSES[0]], []
    if absent := [name for name in (plain, terms) if name not in one.runs]:
        raise ValueError(f"not run here yet: {', '.join(absent)}")
    for name, what in (
        (plain, "as answered"),
        (terms, "trained with the three terms"),
        (plain + SUFFIX, "the first network, decided together"),
    ):
        alarms, missed, against = (
            _percent(level(one, name, EACH + measure))
            for measure in ("false_alarm", "missed", "contradiction")
        )
        against = "none, by construction" if name.endswith(SUFFIX) else f"in {against} of all"
        aucs = " and ".join(f"{c} {_percent(level(found[c], name, 'AUC'))}" for c in CLASSES)
        said.append(
            f"- **{what}**: contradictions {against}; a false alarm in {alarms} of the normal "
            f"images, the nodule missed in {missed} of the others; AUC of presence, {aucs}"
        )
    return "\n".join(said)


def false_nodules(
    records: Sequence[Mapping[str, Any]], system: str, answer: str = "raw"
) -> float | None:
    """The mean number of pieces in the masks of normal images, over a system's trainings."""
    runs = [r["presence"]["metrics"][answer] for r in records if r["experiment"] == system]
    values = [run["false_nodules"] for run in runs if "false_nodules" in run]
    return float(np.mean(values)) if values else None


def level(one: Evidence, system: str, measure: str) -> Interval | None:
    """A measure with its interval, None where the runs do not give it."""
    return one.level(system, measure) if measure in one.measures(system) else None


def _percent(interval: Interval | None) -> str:
    return "no image" if interval is None else f"{words(interval)} %"


def _systems(one: Evidence, titles: Mapping[str, str] | None) -> dict[str, str]:
    plain = [name for name in one.runs if not name.endswith(SUFFIX)]
    wanted = [name for name in titles or plain if name in plain]
    if not wanted:
        raise ValueError("no run of these systems is here yet")
    return {name: text((titles or {}).get(name, name)) for name in wanted}
