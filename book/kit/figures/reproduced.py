"""A table of the paper beside our runs: each of its rows, what it prints and what we found.

`Reproduction` has a table on every source, as answered and decided together; `reproduce` finds its
rows on one, `reproduced_table` shows them, `told` says them in words, `as_frame` gives them, with
the differences behind the verdicts, as a file.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

import pandas as pd

from .. import paper
from ..stats import LESS_IS_BETTER, SUFFIX, Difference, Evidence, Interval
from .apart import KINDS, SAID, SIGNS, apart
from .changes import NEITHER, sentence, verdict
from .measures import FEW, NAMES
from .places import PROFILES, Place, counts, place_name, places
from .runs import levels
from .sortable import Column, choice, sortable
from .style import ABSENT, number, text, words

NOT_RUN = "not run"
LONELY = "Fewer than two of these rows were run here: there is nothing to compare."
FEW_OF_A_CLASS = "It has few images of a class: by the plan nothing is judged there."
WAYS = ("as answered", "decided together")
DERIVED = {"ACC": "ACC_seg", "F1": "F1_seg", "AUC": "AUC_seg"}


class Block(NamedTuple):
    """A measure of a table: its head, and the choice of columns that shows it."""

    measure: str
    head: str
    band: str


class Layout(NamedTuple):
    """What a table shows and tests, and against which row each of its rows is tested."""

    blocks: tuple[Block, ...]
    tested: tuple[str, ...]
    baseline: str
    baselines: Mapping[str, str]  # rows that have another baseline than the table's


class System(Protocol):
    """What is needed to know of an entry of the catalogue in `lib.experiments`."""

    name: str
    title: str
    rows: Sequence[tuple[int, str]]
    recipe: Mapping[str, Any]


def _blocks(band: str, **heads: str) -> tuple[Block, ...]:
    return tuple(Block(measure, head, band) for measure, head in heads.items())


_PAIRS = {"MSL + Intra": "MSL", "MTL + Inter": "MTL", "MS-MTL + Intra and Inter": "MS-MTL"}
_MAIN = _blocks(
    "Main measures",
    inconsis_cls="Contra-<br>dictions",
    AUC="AUC",
    F1="F1",
    ACC="Accuracy",
    dice_class_mean="Dice, images<br>of the class",
    dice_paper_mean="Dice,<br>all images",
)
_ABLATION = (
    *_blocks(
        "Main measures",
        inconsis_cls="Contra-<br>dictions",
        AUC="AUC",
        F1="F1",
        dice_class_mean="Dice, images<br>of the class",
        dice_paper_mean="Dice,<br>all images",
    ),
    *_blocks("T2 and T3", inconsis_seg2="Contradictions,<br>T2 and T3"),
)
_ABLATION_TESTS = ("inconsis_cls", "AUC", "F1", "dice_class_mean", "dice_paper_mean")
LAYOUTS = {
    1: Layout(
        (
            *_MAIN,
            *_blocks(
                "Dice by class",
                dice_paper_benign="Benign,<br>all images",
                dice_paper_malignant="Malignant,<br>all images",
                dice_class_benign="Benign, images<br>of the class",
                dice_class_malignant="Malignant, images<br>of the class",
                dice_nodule="Nodule,<br>any class",
            ),
            *_blocks(
                "IoU",
                iou_paper_mean="Mean,<br>all images",
                iou_paper_benign="Benign,<br>all images",
                iou_paper_malignant="Malignant,<br>all images",
                iou_class_mean="Mean, images<br>of the class",
            ),
        ),
        ("inconsis_cls", "AUC", "F1", "ACC", "dice_class_mean", "dice_paper_mean"),
        "MS-MTL",
        _PAIRS,
    ),
    3: Layout(
        (
            *_blocks(
                "Contradictions",
                inconsis_cls="T1 against T3",
                inconsis_seg2="T2 against T3",
                inconsis_seg3_benign="T1 and T2<br>against T3, benign",
                inconsis_seg3_malignant="T1 and T2<br>against T3, malignant",
            ),
            *_blocks(
                "Right or wrong",
                AUC="AUC",
                ACC="Accuracy",
                dice_class_mean="Dice, images<br>of the class",
                dice_paper_mean="Dice,<br>all images",
            ),
        ),
        (
            "inconsis_cls",
            "inconsis_seg2",
            "inconsis_seg3_benign",
            "inconsis_seg3_malignant",
            "AUC",
            "ACC",
            "dice_class_mean",
        ),
        "",
        _PAIRS,
    ),
    4: Layout(_ABLATION, _ABLATION_TESTS, "none", {}),
    5: Layout(_ABLATION, _ABLATION_TESTS, "all-probability", {}),
    6: Layout(_ABLATION, _ABLATION_TESTS, "none", {}),
}


@dataclass(frozen=True)
class Row:
    """A row of a table of the paper, with our runs of it.

    title: as in the paper; experiment: what fills it; trainings: how many; state: why there is no
    run, empty if there is; theirs, ours, derived: measure -> value, derived being those of T1 read
    off T3; against: the row that it is compared with; tests: a difference for each measure that is
    compared; apart: kind -> what sets its runs apart from the others'; decided: whether these are
    the answers that were decided together.

    >>> Row("MSL", "msl").state
    'not run'
    """

    title: str
    experiment: str
    trainings: int = 0
    state: str = NOT_RUN
    theirs: Mapping[str, float] = field(default_factory=dict)
    ours: Mapping[str, Interval] = field(default_factory=dict)
    derived: Mapping[str, Interval] = field(default_factory=dict)
    against: str = ""
    tests: Mapping[str, Difference] = field(default_factory=dict)
    apart: Mapping[str, Sequence[str]] = field(default_factory=dict)
    decided: bool = False


def _lonely(rows: Mapping[str, list[Row]] | str) -> bool:
    """Whether fewer than two rows of a table have been run: there is nothing to compare."""
    return isinstance(rows, str) or sum(row.trainings > 0 for row in rows[WAYS[0]]) < 2


class Reproduction:
    """A table of the paper on every source and profile that has runs.

    The first of `PROFILES` comes first, of one profile the source with most runs; what has fewer
    than two rows comes last.

    found: as `book.kit.figures.evidence` gives it; systems: the catalogue; failures: runs that
    failed, as `lib.results.load_failures` gives them; unjudged: sources with too few images of a
    class, whose rows are shown and not tested. Of two profiles of a source the first of
    `PROFILES` judges what it has, and the other what is left.

    >>> Reproduction(5, {}, []).shown("Look.")
    '<p><i>There is no committed run here yet.</i></p>'
    """

    def __init__(
        self,
        table: int,
        found: Mapping[Place, Evidence | str],
        systems: Collection[System],
        failures: Sequence[Mapping[str, Any]] = (),
        unjudged: Collection[str] = (),
    ) -> None:
        self.table = table
        self.unjudged = unjudged
        failed = places(failures)
        self.found = dict(found)
        self.newer = {place: self._newer(place) for place in self.found}
        rows: dict[Place, dict[str, list[Row]] | str] = {
            place: one
            if isinstance(one, str)
            else {
                way: reproduce(
                    table,
                    one,
                    systems,
                    failed.get(place, []),
                    together=at == 1,
                    # what is judged by itself elsewhere is not tested here
                    judged=one if place[0] in unjudged else self.newer[place],
                )
                for at, way in enumerate(WAYS)
            }
            for place, one in self.found.items()
        }
        self.rows = {
            place: rows[place] for place in sorted(rows, key=lambda p: self._order(p, rows))
        }

    def _order(
        self, place: Place, rows: Mapping[Place, dict[str, list[Row]] | str]
    ) -> tuple[bool, int, int]:
        one, (_, profile) = self.found[place], place
        known = PROFILES.index(profile) if profile in PROFILES else len(PROFILES)
        return _lonely(rows[place]), known, 0 if isinstance(one, str) else -len(one.records)

    def _newer(self, place: Place) -> Evidence | None:
        """The runs of this source in a profile that comes before this one."""
        before = takewhile(lambda profile: profile != place[1], PROFILES)
        found = (self.found.get((place[0], profile)) for profile in before)
        return next((one for one in found if isinstance(one, Evidence)), None)

    def shown(self, hint: str, memory: Collection[str] = ()) -> str:
        """HTML of the table with a choice of source, and of how the answers are read.

        hint: what to see in it; memory: rows that were built from memory of their source. Above
        each source's table stands what its numbers say; where fewer than two rows were run, that
        alone is said.
        """
        panels = {}
        for place, rows in self.rows.items():
            if isinstance(rows, str):
                panel = f"<p><i>Nothing to show: {text(rows)}.</i></p>"
            elif _lonely(rows):
                panel = f"<p><i>{LONELY}</i></p>"
            else:
                panel = self._panel(place, rows, hint, memory)
            panels[place_name(place)] = panel
        return choice(panels) if panels else "<p><i>There is no committed run here yet.</i></p>"

    def _panel(
        self, place: Place, rows: Mapping[str, list[Row]], hint: str, memory: Collection[str]
    ) -> str:
        file = f"table{self.table}-{'-'.join(place)}"
        if self.newer[place]:
            hint += " Older, shorter runs: what the newer ones have of a row is judged there."
        both = {}
        for way, some in rows.items():
            if way != WAYS[0] and not any(row.decided for row in some):
                continue
            if way != WAYS[0]:  # the others have nothing to decide, and are not shown twice
                some = [row for row in some if row.decided]
            lines = told(self.table, some, judged=place[0] not in self.unjudged)
            said = "".join(f"<li>{line}</li>" for line in lines)
            title = f"<b>Table {self.table} on {place_name(place)}, {way}.</b> {hint}"
            csv = f"{file}-{way.replace(' ', '-')}.csv"
            shown = reproduced_table(self.table, some, title, csv, memory=memory)
            both[way] = f"<ul>{said}</ul>{shown}"
        switch = choice(both, "Answers", switch=True) if len(both) > 1 else both[WAYS[0]]
        return f"<p>{counts(self.found[place])}.</p>{switch}"


def reproduce(
    table: int,
    found: Evidence,
    systems: Iterable[System],
    failures: Sequence[Mapping[str, Any]] = (),
    *,
    together: bool = False,
    judged: Evidence | None = None,
) -> list[Row]:
    """The rows of Table 1, 3, 4, 5 or 6 of the paper in its order, each with our runs of it.

    found: all runs of one source and profile; systems: the catalogue; failures: runs that failed;
    together: with the answers that were decided together, where a system has them; judged: other
    runs of the source, which judge the pairs that they have. Each row is
    compared with its baseline (`LAYOUTS`), by the trainings that both have.

    >>> from types import SimpleNamespace
    >>> mtl = SimpleNamespace(name="mtl", title="MTL", rows=((3, "MTL"),), recipe={})
    >>> [(row.title, row.state) for row in reproduce(3, Evidence([]), [mtl])][2]
    ('MTL', 'not run')
    """
    printed = paper.table(table)
    layout = LAYOUTS[table]
    fills = {row: s for s in systems for number, row in s.rows if number == table}
    different = _differences(found, fills.values())
    failed = {f["experiment"]: f for f in failures}
    measures = [block.measure for block in layout.blocks]
    rows = []
    for title, values in printed.iterrows():
        name = fills[title].name if title in fills else ""
        against = layout.baselines.get(title, layout.baseline)
        against = "" if against == title else against
        base = fills[against].name if against in fills else ""
        plain = name
        if together:
            name, base = (_decided(found, one) for one in (name, base))
        got = levels(found, name, [*measures, *DERIVED.values()])
        elsewhere = judged is not None and judged.shared(name, base)
        family = {} if elsewhere else found.differences(name, base)
        rows.append(
            Row(
                title,
                plain,
                len(found.runs.get(name, ())),
                _state(name in found.runs, failed.get(plain)),
                values.dropna().to_dict(),
                {m: v for m, v in got.items() if m in measures},
                {m: got[d] for m, d in DERIVED.items() if m not in got and d in got},
                against,
                {m: family[m] for m in layout.tested if m in family},
                different.get(plain, {}),
                name != plain,
            )
        )
    return rows


def reproduced_table(
    table: int,
    rows: Sequence[Row],
    caption: str,
    csv: str | None = None,
    memory: Collection[str] = (),
) -> str:
    """HTML of what `reproduce` found: the paper's value and ours beside each other, to sort.

    Rows that were run come first, each group in the order of `rows`. caption: what it is and what
    to see in it; csv: the name of the file that goes with it; memory: rows that were built from
    memory of their source.

    >>> shown = reproduced_table(5, [Row("max-probability", "t1t3")], "By location.")
    >>> "not run" in shown
    True
    """
    printed, blocks = paper.table(table).columns, LAYOUTS[table].blocks
    columns = [Column("system"), Column("train-<br>ings", numbers=True)]
    for block in blocks:
        if block.measure in printed:
            columns.append(Column("paper*", block.head, block.band, True))
        columns.append(Column("ours", block.head, block.band, True))
    body = []
    for row in sorted(rows, key=lambda row: not row.trainings):
        cells = [f"{text(row.title)}{_signs(row, memory)}", _runs_cell(row)]
        for block in blocks:
            if block.measure in printed:
                cells.append(_their_cell(row.theirs.get(block.measure)))
            cells.append(_our_cell(row, block.measure))
        body.append(cells)
    file = (csv, as_frame(table, rows)) if csv else None
    return sortable(columns, body, caption, note=_note(table, rows, memory), csv=file)


def as_frame(table: int, rows: Sequence[Row]) -> pd.DataFrame:
    """What `reproduce` found as a frame for a CSV file: fractions, one line for each row.

    With every measure stands its difference from the row's baseline, which the table only marks.

    >>> as_frame(6, [Row("SC", "ms-mtl+t1t3-sc")])[["row", "state", "trainings"]].values.tolist()
    [['SC', 'not run', 0]]
    """
    lines = []
    for row in rows:
        line: dict[str, Any] = {
            "row": row.title,
            "experiment": row.experiment,
            "state": row.state,
            "trainings": row.trainings,
            "apart": "; ".join(f"{kind}: {' '.join(what)}" for kind, what in row.apart.items()),
            "compared_with": row.against,
        }
        for block in LAYOUTS[table].blocks:
            m = block.measure
            if m in paper.table(table):
                line[f"{m}_paper"] = row.theirs.get(m)
            ours = row.ours.get(m, Interval(math.nan, math.nan, math.nan))
            line |= {m: ours.estimate, f"{m}_low": ours.low, f"{m}_high": ours.high}
            if m in DERIVED:
                line[DERIVED[m]] = row.derived[m].estimate if m in row.derived else None
            if m in LAYOUTS[table].tested:
                test = row.tests.get(m)
                line[f"{m}_p"] = test.p if test else None
                line[f"{m}_difference"] = test.difference if test else None
                line[f"{m}_difference_low"] = test.low if test else None
                line[f"{m}_difference_high"] = test.high if test else None
        lines.append(line)
    return pd.DataFrame(lines)


# -------------------------------------------------------------------------------------- in words


def told(table: int, rows: Sequence[Row], *, judged: bool = True) -> list[str]:
    """What the numbers say, in sentences of HTML: what has run, what is highest, what differs.

    Every number is from `rows`. judged: false for a source whose rows are not tested.

    >>> told(5, [Row("all-probability", "a"), Row("max-probability", "b")])
    ['None of the 2 rows has been run.']
    """
    run = [row for row in rows if row.trainings]
    failed = [row.title for row in rows if row.state.startswith("failed")]
    if not run:
        return [f"None of the {len(rows)} rows has been run.{_failed(failed)}"]
    counts = sorted({row.trainings for row in run})
    trained = (
        "one training each"
        if counts == [1]
        else f"{counts[0]} trainings each"
        if len(counts) == 1
        else f"{counts[0]} to {counts[-1]} trainings each"
    )
    said = [f"<b>{len(run)} of the {len(rows)} rows</b> have been run, {trained}.{_failed(failed)}"]
    said += _extremes(table, run)
    said += _verdicts(run) if judged else [FEW_OF_A_CLASS]
    if any(not found.spread_known for row in run for found in row.tests.values()):
        said.append(
            "No system has several trainings here, so nothing is known of what another training "
            "would give; the intervals are about other patients alone."
        )
    return said


def _failed(titles: Sequence[str]) -> str:
    return f" Failed: {', '.join(titles)}." if titles else ""


def _extremes(table: int, run: Sequence[Row]) -> list[str]:
    said = []
    for measure in ("inconsis_cls", "AUC", "dice_class_mean"):
        low = measure.startswith(LESS_IS_BETTER)
        if measure not in LAYOUTS[table].tested:
            continue
        there = [row for row in run if measure in row.ours]
        if len(there) < 2:
            continue
        best = (min if low else max)(there, key=lambda row: row.ours[measure].estimate)
        other = [row.ours[measure] for row in there if row is not best]
        within = [one for one in other if _overlap(one, best.ours[measure])]
        known = not any(math.isnan(row.ours[measure].low) for row in there)
        overlap = _many_overlap(len(within), len(other)) if known else "not all have an interval"
        said.append(
            f"{'Lowest' if low else 'Highest'} in {NAMES.get(measure, measure)}: {best.title}, "
            f"{words(best.ours[measure])} %; {overlap}."
        )
    return said


def _many_overlap(some: int, every: int) -> str:
    """How many of the other intervals overlap with the best one, in words.

    >>> _many_overlap(0, 1)
    'the interval of the other does not overlap with it'
    >>> _many_overlap(2, 3)
    '2 of the other 3 intervals overlap with it'
    """
    if every == 1:
        return f"the interval of the other {'overlaps' if some else 'does not overlap'} with it"
    return f"{some or 'none'} of the other {every} intervals overlap{'s' * (some < 2)} with it"


def _overlap(one: Interval, two: Interval) -> bool:
    return one.low <= two.high and two.low <= one.high


def _verdicts(run: Sequence[Row]) -> list[str]:
    every = [(row, found) for row in run for found in row.tests.values()]
    if not every:
        return ["No row is compared with its baseline here."]
    clear = [(row, found) for row, found in every if found.clear]
    if not clear:
        return [
            f"Of {len(every)} comparisons <b>none tells a system from its baseline</b>, in any "
            "measure."
        ]
    changes = [
        f"{row.title} compared with {row.against}, {NAMES.get(found.measure, found.measure)}: "
        f"{sentence(found)}"
        for row, found in clear
    ]
    shown = changes if len(changes) <= 6 else _grouped(clear)
    return [
        f"Of {len(every)} comparisons {len(clear)} {'tells' if len(clear) == 1 else 'tell'} a "
        f"system from its baseline: {'; '.join(shown)}. The other {len(every) - len(clear)}: "
        f"{NEITHER}."
    ]


def _grouped(clear: Sequence[tuple[Row, Difference]]) -> list[str]:
    """Where many differ: for each measure, which systems are higher and which lower."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row, found in clear:
        groups.setdefault((found.measure, verdict(found)), []).append(row.title)
    return [
        f"{way} {NAMES.get(measure, measure)} with {', '.join(titles)}"
        for (measure, way), titles in groups.items()
    ]


# ----------------------------------------------------------------------------------- the numbers


def _differences(found: Evidence, systems: Iterable[System]) -> dict[str, dict[str, list[str]]]:
    """Experiment -> what sets any of its runs apart from most runs of this table."""
    recipes = {system.name: list(system.recipe) for system in systems}
    records = [run for name in recipes for run in found.runs.get(name, {}).values()]
    told: dict[str, dict[str, list[str]]] = {}
    for record, different in zip(records, apart(records, recipes), strict=True):
        mine = told.setdefault(record["experiment"], {})
        for kind, what in different.items():
            mine[kind] = sorted({*mine.get(kind, ()), *what})
    return told


def _decided(found: Evidence, system: str) -> str:
    """The system with its answers decided together, or as it is where that cannot be."""
    joint = f"{system}{SUFFIX}"
    return joint if system and joint in found.runs else system


def _state(run: bool, failure: Mapping[str, Any] | None) -> str:
    if run:
        return ""
    return f"failed: {failure['error']}" if failure else NOT_RUN


# ------------------------------------------------------------------------------------- the cells


def from_memory(rivals: str) -> list[str]:
    """The rows of Table 1 whose section in book/rivals.md marks something as from memory.

    >>> from_memory("# The rivals\\n\\n## SegNet\\n\\nFive stages (M).\\n\\n## PSPNet\\n\\nFour.")
    ['SegNet']
    """
    sections = re.split(r"^## ", rivals, flags=re.MULTILINE)[1:]
    return [one.partition("\n")[0].strip() for one in sections if "(M)" in one]


def _our_cell(row: Row, measure: str) -> str:
    if measure in row.derived:
        value = row.derived[measure]
        low, high = number(value.low), number(value.high)
        return f"<i>{number(value.estimate)}</i>†<small>[{low}, {high}]</small>"
    if measure not in row.ours:
        constructed = row.decided and measure.startswith(LESS_IS_BETTER)
        return "<i>0</i>‡" if constructed else ABSENT
    value = row.ours[measure]
    shown = f"<b>{number(value.estimate)}</b>"
    if measure in row.tests and row.tests[measure].clear:
        way = verdict(row.tests[measure])
        sign = "▲" if row.tests[measure].difference > 0 else "▼"
        shown += (
            f' <span aria-hidden="true">{sign}</span>'
            f'<span class="only-spoken">{way} than {row.against}</span>'
        )
    ends = f"[{number(value.low)}, {number(value.high)}]"
    return shown + f"<small>{ends if row.trainings > 1 else f'<i>{ends}</i>'}</small>"


def _their_cell(value: float | None) -> str:
    return ABSENT if value is None else f"<i>{100 * value:.2f}</i>"


def _runs_cell(row: Row) -> str:
    return f"<i>{text(row.state)}</i>" if row.state else str(row.trainings)


def _signs(row: Row, memory: Collection[str]) -> str:
    signs = [SIGNS[kind] for kind in KINDS if kind in row.apart]
    signs = ", ".join(["M"] * (row.title in memory) + signs)
    return f" <sup>{signs}</sup>" if signs else ""


def _note(table: int, rows: Sequence[Row], memory: Collection[str]) -> str:
    said = [
        "In per cent. Ours in bold, with 95 % intervals over patients and trainings; in italics "
        f"that of one training. {FEW}"
    ]
    if any(row.decided for row in rows):
        said.append(
            "‡ 0 by construction: one answer cannot contradict itself. Systems that have nothing "
            "to decide, or whose runs did not keep what it takes, are not repeated here."
        )
    if any(row.title in memory for row in rows):
        said.append(
            "<sup>M</sup> Built in part from memory of its source: "
            '<a href="rivals.html">the twelve rivals</a> say what.'
        )
    if any(row.tests for row in rows):
        layout = LAYOUTS[table]
        others = "; ".join(
            f"{row} against {base}"
            for row, base in layout.baselines.items()
            if base != layout.baseline
        )
        baseline = f"“{layout.baseline}”" if layout.baseline else ""
        said.append(
            "▲ ▼: told apart from the baseline"
            f" ({'; '.join(filter(None, (baseline, others)))}), corrected (Holm) for all measures "
            "of the pair, in the trainings that both have. So a difference need not be that of the "
            "two numbers shown, which are of all trainings."
        )
    said.append(
        f"* Kang et al. 2022, Table {table}, on private images: not comparable with ours. "
        f"{ABSENT}: not in the paper, not run, or no such answer."
    )
    if any(block.measure == "dice_nodule" for block in LAYOUTS[table].blocks):
        said.append("Nodule, any class: T2's outline; without a T2, T3's classes together.")
    if any(row.derived and row.trainings for row in rows):
        said.append(
            "† Derived, an extra: this system has no classifier; its class is read off T3's mask "
            "(Alg. 1)."
        )
    for kind in KINDS:
        marked = sorted({what for row in rows for what in row.apart.get(kind, ())})
        if marked:
            said.append(f"<sup>{SIGNS[kind]}</sup> {SAID[kind]}: {text(', '.join(marked))}.")
    return " ".join(said)
