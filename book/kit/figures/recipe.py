"""What trainings of different recipes reach for their minutes, on validation images."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lib.profiles import Profile

from ..trials import Trials
from .style import figure, number, series, small_titles, table, text

MEASURES = {"dice_nodule": "Nodule Dice", "AUC": "AUC of T1", "inconsis_cls": "Contradictions"}
PAIRS = {"cosine T1 T2": "T1 and T2", "cosine T1 T3": "T1 and T3", "cosine T2 T3": "T2 and T3"}


def recipe_curves(trials: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Nodule Dice and AUC on the validation images against processor minutes, a line a trial.

    trials: at most six records of results/bench/recipe by title. Raises ValueError without one.

    >>> curve = [{"minutes": 1.0, "dice_nodule": 0.8, "AUC": 0.7}]
    >>> recipe_curves({"small": {"curve": curve}}).data[0].y
    (0.8,)
    """
    if not trials:
        raise ValueError("there is no trial to draw")
    shown = ("dice_nodule", "AUC")
    drawn = make_subplots(1, 2, subplot_titles=[MEASURES[m] for m in shown])
    told = []
    for index, (title, trial) in enumerate(trials.items()):
        colour, dash, symbol = series(index)
        for column, measure in enumerate(shown, 1):
            points = [(p["minutes"], p[measure]) for p in trial["curve"] if measure in p]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            drawn.add_scatter(
                x=x,
                y=y,
                name=text(title),
                legendgroup=title,
                showlegend=column == 1 or "dice_nodule" not in trial["curve"][-1],
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                marker={"symbol": symbol, "size": 6},
                row=1,
                col=column,
            )
            told.append(f"{text(title)}: {MEASURES[measure]} {y[-1]:.3f} after {x[-1]:.1f} minutes")
    drawn.update_xaxes(title_text="processor minutes")
    drawn.update_yaxes(range=[0.6, 0.92])
    small_titles(drawn)
    return figure(
        f"Measures on validation images against processor minutes. {'; '.join(told)}.",
        height=440,
        base=drawn,
        margin={"t": 40},
        legend={"y": 1.12},
    )


def recipe_table(trials: Mapping[str, Mapping[str, Any]], note: str = "") -> str:
    """HTML of a table: what each trial took, and what its last epoch reached, in per cent.

    Below it stands how many validation images judged, where the trials say it.

    >>> curve = [{"minutes": 1.0, "AUC": 0.7}]
    >>> "70.0" in recipe_table({"small": {"curve": curve, "minutes": 1.0}})
    True
    """
    rows = []
    for title, trial in trials.items():
        last = trial["curve"][-1]
        minutes = f"{trial['minutes']:.1f}"
        rows.append([text(title), minutes, *(number(last.get(measure)) for measure in MEASURES)])
    judged = sorted({trial["cases"]["valid"] for trial in trials.values() if "cases" in trial})
    images = f" Validation images: {' or '.join(map(str, judged))}." if judged else ""
    return table(["trial", "processor minutes", *MEASURES.values()], rows, note + images)


def beyond_the_first(trials: Mapping[str, Mapping[str, Any]]) -> str:
    """Which trials end above the first one in both nodule Dice and AUC, in words.

    >>> one, two = ({"curve": [{"dice_nodule": d, "AUC": 0.7}]} for d in (0.8, 0.9))
    >>> beyond_the_first({"plain": one, "longer": two | {"curve": one["curve"]}})
    'Above the first line in both nodule Dice and AUC: none.'
    """
    measures = ("dice_nodule", "AUC")
    (_, first), *others = trials.items()
    above = [
        title
        for title, trial in others
        if all(trial["curve"][-1][m] > first["curve"][-1][m] for m in measures)
    ]
    told = "; ".join(map(text, above)) or "none"
    return f"Above the first line in both nodule Dice and AUC: {told}."


def averaged_in_words(trials: Trials, decay: str = "0.997") -> str:
    """What a running mean of the weights changes against the last step's weights, in Markdown.

    trials: of results/bench/recipe by name; those of MS-MTL that kept such a mean count.
    decay: the one of the mean, as the records write it. Raises ValueError if no trial kept it.

    >>> last = {"dice_nodule": 0.8, "AUC": 0.7, "inconsis_cls": 0.1}
    >>> kept = {"trial": {"system": "ms-mtl"}, "curve": [last], "averaged": {"0.997": last}}
    >>> averaged_in_words({"one": kept})[:60]
    'In 1 training of MS-MTL, the mean minus the last step, in po'
    """
    kept = [
        trial
        for trial in trials.values()
        if decay in trial.get("averaged", {}) and trial["trial"]["system"] == "ms-mtl"
    ]
    if not kept:
        raise ValueError(f"no trial of MS-MTL kept a mean with the decay {decay}")
    told = []
    for measure, name in MEASURES.items():
        change = [one["averaged"][decay][measure] - one["curve"][-1][measure] for one in kept]
        ends = min(change), median(change), max(change)
        low, middle, high = (number(end, signed=True) for end in ends)
        told.append(f"{name} {middle} ({low} to {high})")
    trainings = f"{len(kept)} training{'s' * (len(kept) > 1)}"
    return (
        f"In {trainings} of MS-MTL, the mean minus the last step, in points, median and range: "
        f"{'; '.join(told)}."
    )


def gradient_angles(seen: Sequence[Mapping[str, float]]) -> go.Figure:
    """Cosine between two tasks' gradients in the shared encoder, over the training.

    seen: rows of a trial's "gradients". 1: the tasks pull the same way; 0: they do not meet; -1:
    against each other. Raises ValueError if there is no row.

    >>> row = {"done": 0.5, "cosine T1 T2": 0.0, "cosine T1 T3": 0.1, "cosine T2 T3": 0.4}
    >>> [line.name for line in gradient_angles([row]).data]
    ['T1 and T2', 'T1 and T3', 'T2 and T3']
    """
    if not seen:
        raise ValueError("no gradient was looked at in this trial")
    drawn, told = go.Figure(), []
    for index, (key, name) in enumerate(PAIRS.items()):
        colour, dash, symbol = series(index)
        y = [row[key] for row in seen]
        drawn.add_scatter(
            x=[100 * row["done"] for row in seen],
            y=y,
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 6},
        )
        told.append(f"{name}: {sum(y) / len(y):.2f} on average")
    return figure(
        f"Cosine between the gradients of two tasks over the training. {'; '.join(told)}.",
        base=drawn,
        xaxis={"title": "% of the training"},
        yaxis={"title": "cosine", "range": [-1, 1]},
    )


def length_in_words(trials: Trials, profile: Profile, runs: Sequence[Mapping[str, Any]]) -> str:
    """What a larger image and a longer training bring, and what was therefore chosen.

    trials: of results/bench/recipe by name; profile: the chosen one; runs: records, of which those
    of this profile say for how many epochs each source was trained. Raises KeyError if a trial that
    the sentence names is not there.

    >>> from lib.profiles import find
    >>> point = {"epoch": 4, "minutes": 9.0, "dice_nodule": 0.84, "AUC": 0.7}
    >>> names = ("128-norm", "128-norm-long", "early-64-128-norm", "seg2-128")
    >>> told = length_in_words(dict.fromkeys(names, {"curve": [point]}), find("evidence"), [])
    >>> "(70.0 in epoch 4; 70.0 in epoch 4)" in told, "`evidence` has 128 px" in told
    (True, True)
    """
    short, long, early = "128-norm", "128-norm-long", "early-64-128-norm"

    def epochs(source: str) -> str:
        mine = (r for r in runs if (r["profile"], r["source"]) == (profile.name, source))
        return " or ".join(map(str, sorted({run["parameters"]["epochs"] for run in mine})))

    return (
        "With twice the training at 128 px the nodule Dice is "
        f"{_last(trials[long], 'dice_nodule')} in place of {_last(trials[short], 'dice_nodule')}, "
        f"the AUC {_last(trials[long], 'AUC')} in place of {_last(trials[short], 'AUC')}. The AUC "
        "is best before "
        f"the end ({_peak(trials[short])}; {_peak(trials[long])}), as happens when a network "
        "memorises the classes of its training images. So the profile "
        f"`{profile.name}` has {profile.size} px and {profile.images:,} images seen, which is "
        f"{epochs('busbra')} epochs of a BUS-BRA fold and {epochs('phantom')} of the phantom: "
        "about as many steps for every source. One training that begins at 64 px does about as "
        f"well at {_minutes(trials[early])} minutes of processor in place of "
        f"{_minutes(trials[short])} (nodule Dice {_last(trials[early], 'dice_nodule')}, AUC "
        f"{_last(trials[early], 'AUC')}); one training does not tell the two apart, and the "
        "profile stays at one size. The nodule Dice of MS-MTL stays below that of a network for "
        f"the mask alone ({_last(trials['seg2-128'], 'dice_nodule')})."
    )


def angles_in_words(seen: Sequence[Mapping[str, float]]) -> str:
    """The cosines of `gradient_angles` on average, and what follows for this training.

    >>> row = {"cosine T1 T2": 0.0, "cosine T1 T3": 0.1, "cosine T2 T3": 0.4}
    >>> angles_in_words([row])[:50]
    'On average the cosine is 0.00 between T1 and T2, 0'
    """
    one, two, both = (sum(row[key] for row in seen) / len(seen) for key in PAIRS)
    against = {pair: sum(row[key] < 0 for row in seen) / len(seen) for key, pair in PAIRS.items()}
    shares = ", ".join(f"{100 * share:.0f} % for {pair}" for pair, share in against.items())
    return (
        f"On average the cosine is {one:.2f} between T1 and T2, {two:.2f} between T1 and T3, and "
        f"{both:.2f} between T2 and T3. Of the {len(seen)} batches it is below 0 in {shares}"
        ": single steps conflict, and on average they do not."
    )


def outline_in_words(trials: Trials) -> str:
    """What the outline loses to stage 2, and what the tasks' agreement gains by it.

    trials: of results/bench/recipe by name. Raises KeyError if one that it names is not there.

    >>> trial = {"curve": [{"dice_nodule": 0.84, "AUC": 0.7, "inconsis_cls": 0.125}]}
    >>> told = outline_in_words(
    ...     dict.fromkeys(("128-norm-apart", "128-norm", "seg2-128"), trial)
    ... )
    >>> "12.5 % in place of 12.5 %" in told
    True
    """
    apart, built = trials["128-norm-apart"], trials["128-norm"]
    return (
        f"With T3's loss kept in stage 2, the outline reaches {_last(apart, 'dice_nodule')}, as "
        f"built {_last(built, 'dice_nodule')}, alone {_last(trials['seg2-128'], 'dice_nodule')}. "
        "So in these trainings most of what the outline loses, it loses to what comes back from "
        "stage 2. But the contradictions between T1 and T3 are then "
        f"{_last(apart, 'inconsis_cls')} % in place of {_last(built, 'inconsis_cls')} %, and the "
        f"AUC is {_last(apart, 'AUC')} in place of {_last(built, 'AUC')}: what goes back through "
        "the logits also makes the tasks agree. It is one training of each. The angles above do "
        "not show it: two losses may pull the same way, and one still take the other's place."
    )


def _last(trial: Mapping[str, Any], measure: str) -> str:
    """A measure after the last epoch, in per cent."""
    return f"{100 * trial['curve'][-1][measure]:.1f}"


def _peak(trial: Mapping[str, Any]) -> str:
    best = max(trial["curve"], key=lambda point: point["AUC"])
    return f"{100 * best['AUC']:.1f} in epoch {best['epoch']}"


def _minutes(trial: Mapping[str, Any]) -> str:
    return f"{trial['curve'][-1]['minutes']:.1f}"
