"""The joint decision against fair controls: a sentence on painting, verdicts, and a table."""

from collections.abc import Mapping, Sequence

import numpy as np

from lib import results

from ..controls import CONTROLS
from ..stats import SUFFIX, Difference, Evidence
from .changes import NEITHER, RULE, sentence, verdict, with_verdict
from .measures import HEADLINE
from .runs import ONE
from .style import ABSENT, ends, number, table, text

# Mean Dice over all images comes last: most of what it gains is painting
JUDGED = ("AUC", "F1", "dice_class_mean", "dice_paper_mean")
MEAN_DICE = "dice_paper_mean"


def worth(painted: Evidence, decided: Evidence, system: str) -> str:
    """What deciding together is worth, in Markdown: what painting gives first, then the rest.

    painted, decided: as `book.kit.controls.of_painting` gives them. Empty if it was not run.
    """
    family = between(decided, system)
    if not family:
        return ""
    whole, part = family[MEAN_DICE], between(painted, system)[MEAN_DICE]
    both = f"Deciding together: {with_verdict(whole)}; painting alone: {with_verdict(part)}."
    if whole.clear and 0 < part.difference <= whole.difference:
        said = (
            f"**{number(part.difference)} of the {number(whole.difference)} points** that deciding "
            "together adds to the mean Dice over all images come from painting alone: from giving "
            f"the nodule one class, T3's own. {both}"
        )
    else:
        said = (
            "Painting alone, giving the nodule one class, T3's own, already changes the mean Dice "
            f"over all images. {both}"
        )
    rest = "; ".join(f"{HEADLINE[m]} {with_verdict(family[m])}" for m in JUDGED[:-1] if m in family)
    return f"{said} Judged by what painting does not flatter: {rest}."


def controls_in_words(found: Mapping[str, Evidence], system: str) -> str:
    """A line of Markdown for each control: is the joint decision told apart from it, and in what.

    found: as `book.kit.controls.against` gives it.
    """
    lines = []
    for key, control in CONTROLS.items():
        family = between(found[key], system) if key in found else {}
        family = {m: family[m] for m in JUDGED if m in family}
        what = f"**{control.title}** ({control.keeps})"
        if not family:
            lines.append(f"- {what}: not told by these runs.")
        elif clear := [d for d in family.values() if d.clear]:
            told = "; ".join(f"{HEADLINE[d.measure]} {sentence(d)}" for d in clear)
            lines.append(f"- {what}: {told}.")
        else:
            auc = next(iter(family.values()))
            few = "too few patients to tell" if all(d.why for d in family.values()) else NEITHER
            told = "" if auc.why else f"; {HEADLINE[auc.measure]} {sentence(auc)}"
            lines.append(f"- {what}: {few}{told}.")
    return "\n".join(lines)


def beyond(found: Mapping[str, Evidence], system: str) -> str:
    """Is the joint decision more than T1 painted, or than two trainings? Markdown; empty if untold.

    found: as `book.kit.controls.against` gives it.
    """
    said = []
    for key, what in (
        ("t1", "T1's class alone, painted on the same nodule"),
        ("ensemble", "the class of two trainings, averaged"),
    ):
        family = between(found[key], system) if key in found else {}
        family = {m: family[m] for m in JUDGED if m in family}
        if family:
            clear = [f"{HEADLINE[m]} {sentence(d)}" for m, d in family.items() if d.clear]
            told = "; ".join(clear) or f"**{NEITHER} by any of these**"
            said.append(f"Against {what}: {told}.")
    return " ".join(said)


def at_one_half(found: Evidence, system: str) -> str:
    """How many malignant, and benign, nodules are named so at a threshold of one half; Markdown.

    As answered (T1) and decided together. The interval is corrected for no other measure. Empty if
    the system was not run, or not decided together.
    """
    joint = f"{system}{SUFFIX}"
    if not found.shared(joint, system):
        return ""
    seen, named = (one.difference(joint, system, "REC") for one in (found, _turned(found)))
    apart = [with_verdict(one) for one in (seen, named)]
    return (
        f"At a threshold of one half, the joint decision finds {number(seen.above)} % of the "
        f"malignant nodules and T1 {number(seen.below)} %: {apart[0]}. Of the benign ones "
        f"it names {number(named.above)} % so and T1 {number(named.below)} %: {apart[1]}."
    )


def without_an_outline(found: Evidence, systems: Mapping[str, str]) -> str:
    """In how many answers each system draws no nodule, in words; its class is counted all the same.

    systems: name -> what to call it.

    >>> run = {"source": "a", "profile": "b", "experiment": "mtl", "seed": 0}
    >>> rows = {"label": [0, 1], "nodule_pred": [0, 9]}
    >>> without_an_outline(Evidence([run | {"per_image": rows}]), {"mtl": "MTL"})
    'MTL 1 of 2'
    """
    said = []
    for name, title in systems.items():
        rows = [results.rows(run) for run in found.runs.get(name, {}).values()]
        drawn = np.concatenate([one["nodule_pred"] for one in rows if "nodule_pred" in one] or [[]])
        if drawn.size:
            said.append(f"{title} {int((drawn == 0).sum())} of {drawn.size}")
    return ", ".join(said)


def benign_named(found: Evidence, systems: Mapping[str, str]) -> str:
    """How many benign nodules each system names so, at a threshold of one half, in words.

    systems: name -> what to call it.

    >>> run = {"source": "a", "profile": "b", "experiment": "mtl", "seed": 0}
    >>> rows = {"label": [0, 0, 1], "p_malignant": [0.2, 0.7, 0.9]}
    >>> benign_named(Evidence([run | {"per_image": rows}]), {"mtl": "MTL"})
    'MTL 1 of 2'
    """
    said = []
    for name, title in systems.items():
        rows = [results.rows(run) for run in found.runs.get(name, {}).values()]
        given = [one.loc[one["label"] == 0, "p_malignant"] for one in rows if "p_malignant" in one]
        benign = np.concatenate(given or [[]])
        if benign.size:
            said.append(f"{title} {int((benign <= 0.5).sum())} of {benign.size}")
    return ", ".join(said)


def _turned(found: Evidence) -> Evidence:
    """The same answers with benign in the place of malignant: its recall is the specificity."""
    turned = []
    for record in found.records:
        rows = results.rows(record)
        if "p_malignant" in rows:
            known = rows["label"] >= 0
            kept = rows[[name for name in ("case", "group") if name in rows]].assign(
                label=rows["label"].where(~known, 1 - rows["label"]),
                p_malignant=1 - rows["p_malignant"],
            )
            turned.append({**record, "per_image": kept.to_dict("list")})
    return Evidence(turned, found.draws)


def controls_table(
    found: Mapping[str, Evidence],
    systems: Sequence[str],
    titles: Mapping[str, str],
    judged: bool = True,
) -> str:
    """The joint decision less each control, by system, in points. ValueError if there is none.

    found: as `book.kit.controls.against` gives it; judged: false for a source that enters no
    verdict, whose differences stand there without one.
    """
    body: list[list[str] | str] = []
    minded = False
    for system in systems:
        rows = [
            (control, between(found[key], system))
            for key, control in CONTROLS.items()
            if key in found
        ]
        rows = [(control, family) for control, family in rows if family]
        if not rows:
            continue
        body.append(f"<b>{text(titles.get(system, system))}</b>")
        for control, family in rows:
            trained = next(iter(family.values())).trainings
            minded = minded or not next(iter(family.values())).spread_known
            of = f"{trained} training{'s' * (trained != 1)}"
            title = f"{control.title}<br><small>{of}</small>"
            body.append([title, *(_said(family.get(m), judged) for m in JUDGED)])
    if not body:
        raise ValueError("no run of the three tasks is here yet")
    heads = [HEADLINE[m].replace(", ", ",<br>") for m in JUDGED]
    note = f"In points, above 0 the joint decision is better. {RULE}{f' {ONE}' if minded else ''}"
    return table(["decided together, minus", *heads], body, note)


def between(found: Evidence, system: str) -> dict[str, Difference]:
    """The family of one network read in two ways, as `book.kit.controls.two_readings` has it."""
    return found.differences(f"{system}{SUFFIX}", system)


def _said(found: Difference | None, judged: bool) -> str:
    if found is None:
        return f"<small>{ABSENT}</small>"
    value = number(found.difference, signed=True)
    shown = f"<small>{value} {ends(found.low, found.high, True)}</small>"
    if not judged:
        return shown
    name = verdict(found).replace("; ", ",<br>")
    name = f"<b>{name}</b>" if found.clear else f"<small>{name}</small>"
    return f"{name}<br>{shown}"
