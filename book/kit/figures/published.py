"""The book's networks beside what others report of the same data set."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from lib.profiles import Profile

from ..published import APART, PUBLISHED, Printed, Published
from .style import ABSENT, number, table, text

OWN = {
    "unet-seg2+clsnet": "This book's U-Net(Seg2) and ClsNet, trained apart",
    "ms-mtl": "This book's MS-MTL",
}

# Nodule Dice and AUC that were asked of the recipe before it was chosen
GOALS = {"ms-mtl": (0.87, 0.90), "unet-seg2+clsnet": (0.88, 0.91)}

Records = Sequence[Mapping[str, Any]]


class _Own(NamedTuple):
    """One of the book's systems on several folds, its measures as the others print theirs."""

    dice: Printed
    auc: Printed
    pixels: int
    folds: list[int]


def published_table(records: Records, profiles: Sequence[Profile]) -> str:
    """HTML of a table: the book's networks on folds of BUS-BRA, then those of others.

    records: of which those of BUS-BRA and these profiles count, all seeds of a fold as their mean;
    a system with one fold is left out.

    >>> "ResNet-18" in published_table([], [])
    True
    """
    rows = [
        [title, *_measures(own), str(own.pixels), f"official {_folds(own)}", APART]
        for system, title in OWN.items()
        for own in _own(records, profiles, system)
    ]
    for one in PUBLISHED:
        by = f'<small>(<a href="{one.link}">{text(one.by)}</a>)</small>'
        pixels = str(one.pixels or ABSENT)
        rows.append([f"{one.network} {by}", *_measures(one), pixels, one.folds, one.epoch])
    head = ["", "nodule Dice, %", "AUC, %", "image, px", "folds", "epoch"]
    note = (
        "Mean over folds ± standard deviation of the folds, which is how the others print it, and "
        "no interval; of the book's own, all seeds of a fold. Epoch: which one is judged; where it "
        "is the best on the very images that are judged, the figure is too high."
    )
    return table(head, rows, note)


def published_in_words(records: Records, profiles: Sequence[Profile]) -> str:
    """How near the book's networks come to those of others, in Markdown; empty without its runs.

    >>> published_in_words([], [])
    ''
    """
    apart = _own(records, profiles, "unet-seg2+clsnet")
    reached = "; ".join(
        f"a nodule Dice of {_shown(own.dice)} and an AUC of {_shown(own.auc)} with {own.pixels} px"
        for own in apart
    )
    dice, auc = (
        f"{number(min(kind))} to {number(max(kind))}"
        for kind in (
            [one.dice.mean for one in PUBLISHED if one.dice],
            [one.auc.mean for one in PUBLISHED if one.auc],
        )
    )
    if not apart:
        return ""
    return (
        f"Trained apart, the book's two networks for one task reach {reached}. Others print a Dice "
        f"of {dice} and an AUC of {auc}, the highest AUC with much larger networks."
    )


def goals_in_words(records: Records, profiles: Sequence[Profile]) -> str:
    """Whether the goals of the recipe are reached on test images, a list in Markdown.

    records, profiles: as in `published_table`. Told by the mean over folds, not by an interval.

    >>> goals_in_words([], [])
    ''
    """
    lines = []
    for system, goals in GOALS.items():
        for at, (name, goal) in enumerate(zip(("nodule Dice", "AUC"), goals, strict=True)):
            told = "; ".join(
                f"{_shown(own[at])} with {own.pixels} px, folds {_folds(own)} "
                f"(**{'reached' if own[at].mean >= goal else 'missed'}**)"
                for own in _own(records, profiles, system)
            )
            if told:
                lines.append(f"- {OWN[system]}, {name} of {100 * goal:.0f}: {told}.")
    return "\n".join(lines)


def _own(records: Records, profiles: Sequence[Profile], system: str) -> list[_Own]:
    """One of the book's systems in each profile in which it ran on several folds."""
    found = []
    for profile in profiles:
        names = {"source": "busbra", "profile": profile.name, "experiment": system}
        folds: dict[int, list[Mapping[str, Any]]] = {}
        for run in records:
            fold = run["parameters"].get("fold")
            if fold and all(run[key] == value for key, value in names.items()):
                folds.setdefault(fold, []).append(run["metrics"])
        if len(folds) > 1:
            dice, auc = (
                [mean(metrics[measure] for metrics in seeds) for seeds in folds.values()]
                for measure in ("dice_nodule", "AUC")
            )
            dice, auc = (Printed(mean(values), stdev(values)) for values in (dice, auc))
            found.append(_Own(dice, auc, profile.size, sorted(folds)))
    return found


def _measures(one: _Own | Published) -> list[str]:
    return [_shown(one.dice), _shown(one.auc)]


def _folds(own: _Own) -> str:
    first, *_, last = own.folds
    whole = own.folds == list(range(first, last + 1))
    return f"{first} to {last}" if whole else ", ".join(map(str, own.folds))


def _shown(value: Printed | None) -> str:
    if value is None:
        return ABSENT
    spread = "" if value.spread is None else f" ± {number(value.spread)}"
    return f"{number(value.mean)}{spread}"
