"""A table of the paper beside our runs: each of its rows, what it prints and what we found.

`Reproduction` has a table on every source; `reproduce` finds its rows on one, `reproduced_table`
shows them, `tests_of` the differences behind the verdicts, `told` says them in words, `as_frame`
gives them as a file.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import pandas as pd

from lib import paper

from ..stats import LESS_IS_BETTER, Difference, Evidence, Interval
from .apart import KINDS, SAID, SIGNS, apart
from .changes import NEITHER, RULE, sentence, verdict
from .measures import FEW, NAMES
from .places import Place, counts, place_name, places
from .runs import levels
from .sortable import NOTHING, Cell, Column, choice, sortable
from .style import ABSENT, cell, number, probability, text, words

NOT_RUN = "not run yet"
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
    "Dice and class",
    dice_paper_mean="Dice,<br>all images",
    dice_class_mean="Dice, images<br>of the class",
    ACC="Accuracy",
    F1="F1",
    AUC="AUC",
)
_ABLATION = (
    *_blocks(
        "The paper's two",
        dice_paper_mean="Dice,<br>all images",
        F1="F1",
    ),
    *_blocks(
        "More of ours",
        dice_class_mean="Dice, images<br>of the class",
        AUC="AUC",
        inconsis_cls="Contradictions,<br>T1 and T3",
        inconsis_seg2="Contradictions,<br>T2 and T3",
    ),
)
_ABLATION_TESTS = ("dice_paper_mean", "dice_class_mean", "F1", "AUC", "inconsis_cls")
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
        ("dice_paper_mean", "dice_class_mean", "ACC", "F1", "AUC"),
        "MS-MTL",
        _PAIRS,
    ),
    3: Layout(
        (
            *_blocks(
                "Contradictions",
                inconsis_seg2="T2 against T3",
                inconsis_seg3_benign="T1 and T2<br>against T3, benign",
                inconsis_seg3_malignant="T1 and T2<br>against T3, malignant",
                inconsis_cls="T1 against T3",
            ),
            *_blocks(
                "Right or wrong",
                dice_paper_mean="Dice,<br>all images",
                dice_class_mean="Dice, images<br>of the class",
                ACC="Accuracy",
                AUC="AUC",
            ),
        ),
        (
            "inconsis_seg2",
            "inconsis_seg3_benign",
            "inconsis_seg3_malignant",
            "inconsis_cls",
            "dice_class_mean",
            "ACC",
            "AUC",
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
    compared; apart: kind -> what sets its runs apart from the others'.

    >>> Row("MSL", "msl").state
    'not run yet'
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


class Reproduction:
    """A table of the paper on every source and profile that has runs, the one with most first.

    found: as `book.kit.figures.evidence` gives it; systems: the catalogue; failures: runs that
    failed, as `lib.results.load_failures` gives them.

    >>> Reproduction(5, {}, []).told()
    'There is no committed run here yet.'
    """

    def __init__(
        self,
        table: int,
        found: Mapping[Place, Evidence | str],
        systems: Collection[System],
        failures: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.table = table
        failed = places(failures)
        runs = {
            place: 0 if isinstance(one, str) else len(one.records) for place, one in found.items()
        }
        self.found = {
            place: found[place] for place in sorted(found, key=lambda place: -runs[place])
        }
        self.rows = {
            place: one
            if isinstance(one, str)
            else reproduce(table, one, systems, failed.get(place, []))
            for place, one in self.found.items()
        }

    def told(self) -> str:
        """In Markdown, what the numbers say on each source."""
        said = []
        for place, rows in self.rows.items():
            name = place_name(place)
            title = f"**{name[0].upper() + name[1:]}**"
            if isinstance(rows, str):
                said.append(f"{title}\n\n- {text(rows)}")
            else:
                size = counts(self.found[place])
                said.append(f"{title}: {size}.\n\n{told(self.table, rows)}")
        return "\n\n".join(said) or "There is no committed run here yet."

    def shown(self, hint: str) -> str:
        """HTML of the table, with a choice of source; hint: what to see in it."""
        return self._panels(reproduced_table, f"Table {self.table}", hint, f"table{self.table}")

    def tests(self, hint: str) -> str:
        """HTML of the list of differences behind the table, with a choice of source."""
        title = f"Differences of Table {self.table}"
        return self._panels(tests_of, title, hint, f"table{self.table}-tests")

    def _panels(self, make: Callable[..., str], title: str, hint: str, file: str) -> str:
        panels = {}
        for place, rows in self.rows.items():
            name = place_name(place)
            caption = f"<b>{title} on {name}.</b> {hint}"
            try:
                if isinstance(rows, str):
                    raise ValueError(rows)
                panels[name] = make(self.table, rows, caption, f"{file}-{'-'.join(place)}.csv")
            except ValueError as why:
                panels[name] = f"<p><i>Nothing to show: {text(why)}.</i></p>"
        return choice(panels) if panels else "<p><i>There is no committed run here yet.</i></p>"


def reproduce(
    table: int,
    found: Evidence,
    systems: Iterable[System],
    failures: Sequence[Mapping[str, Any]] = (),
) -> list[Row]:
    """The rows of Table 1, 3, 4, 5 or 6 of the paper in its order, each with our runs of it.

    found: all runs of one source and profile; systems: the catalogue; failures: runs that failed.
    Each row is compared with its baseline (`LAYOUTS`), by the trainings that both have.

    >>> from types import SimpleNamespace
    >>> mtl = SimpleNamespace(name="mtl", title="MTL", rows=((3, "MTL"),), recipe={})
    >>> [(row.title, row.state) for row in reproduce(3, Evidence([]), [mtl])][2]
    ('MTL', 'not run yet')
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
        got = levels(found, name, [*measures, *DERIVED.values()])
        family = found.differences(name, base)
        rows.append(
            Row(
                title,
                name,
                len(found.runs.get(name, ())),
                _state(name in found.runs, failed.get(name)),
                values.dropna().to_dict(),
                {m: v for m, v in got.items() if m in measures},
                {m: got[d] for m, d in DERIVED.items() if m not in got and d in got},
                against,
                {m: family[m] for m in layout.tested if m in family},
                different.get(name, {}),
            )
        )
    return rows


def reproduced_table(table: int, rows: Sequence[Row], caption: str, csv: str | None = None) -> str:
    """HTML of what `reproduce` found: the paper's value and ours beside each other, to sort.

    caption: what it is and what to see in it; csv: the name of the file that goes with it.

    >>> shown = reproduced_table(5, [Row("max-probability", "t1t3")], "By location.")
    >>> "not run yet" in shown
    True
    """
    printed, blocks = paper.table(table).columns, LAYOUTS[table].blocks
    columns = [Column("system"), Column("runs")]
    for block in blocks:
        if block.measure in printed:
            columns.append(Column("paper*", block.head, block.band))
        columns.append(Column("ours", block.head, block.band))
    body = []
    for row in rows:
        cells: list[Cell | str] = [f"{text(row.title)}{_signs(row)}", _runs_cell(row)]
        for block in blocks:
            if block.measure in printed:
                cells.append(_their_cell(row.theirs.get(block.measure)))
            cells.append(_our_cell(row, block.measure))
        body.append(cells)
    file = (csv, as_frame(table, rows)) if csv else None
    return sortable(columns, body, caption, note=_note(table, rows), csv=file)


def tests_of(table: int, rows: Sequence[Row], caption: str, csv: str | None = None) -> str:
    """HTML of every difference behind the verdicts, with interval, p and what could have shown.

    Raises ValueError if nothing was compared.

    >>> tests_of(3, [Row("MSL", "msl")], "Tests")
    Traceback (most recent call last):
        ...
    ValueError: no row has a training of its own and the same one of its baseline
    """
    every = [(row, found) for row in rows for found in row.tests.values()]
    if not every:
        raise ValueError("no row has a training of its own and the same one of its baseline")
    columns = [
        Column("system"), Column("against"), Column("measure"), Column("difference"), Column("p"),
        Column("could have<br>shown"), Column("trainings"), Column("verdict"),
    ]  # fmt: skip
    body = [
        [
            text(row.title),
            _words(text(row.against)),
            _words(NAMES.get(found.measure, found.measure)),
            Cell(cell(found.interval, signed=True), found.difference),
            Cell(probability(found.p), found.p),
            Cell(number(found.detectable), found.detectable),
            Cell(str(found.trainings), found.trainings),
            _words(verdict(found)),
        ]
        for row, found in every
    ]
    note = (
        f"Differences in points of per cent. {RULE} Could have shown: the smallest true difference "
        "that would have been told apart four times in five."
    )
    frame = pd.DataFrame(
        {
            "system": row.title, "against": row.against, "measure": found.measure,
            "difference": found.difference, "low": found.low, "high": found.high,
            "level": found.level, "error": found.error, "p": found.p, "verdict": verdict(found),
            "trainings": found.trainings,
        }
        for row, found in every
    )  # fmt: skip
    return sortable(columns, body, caption, note=note, csv=(csv, frame) if csv else None)


def as_frame(table: int, rows: Sequence[Row]) -> pd.DataFrame:
    """What `reproduce` found as a frame for a CSV file: fractions, one line for each row.

    >>> as_frame(6, [Row("SC", "ms-mtl+t1t3-sc")])[["row", "state", "trainings"]].values.tolist()
    [['SC', 'not run yet', 0]]
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
                line[f"{m}_p"] = row.tests[m].p if m in row.tests else None
        lines.append(line)
    return pd.DataFrame(lines)


# -------------------------------------------------------------------------------------- in words


def told(table: int, rows: Sequence[Row]) -> str:
    """What the numbers say, a list in Markdown: what has run, what is highest, what differs.

    Every number is from `rows`.

    >>> told(5, [Row("all-probability", "a"), Row("max-probability", "b")])
    '- None of the 2 rows has a run yet.'
    """
    run = [row for row in rows if row.trainings]
    failed = [row.title for row in rows if row.state.startswith("failed")]
    if not run:
        return f"- None of the {len(rows)} rows has a run yet." + _failed(failed)
    counts = sorted({row.trainings for row in run})
    trained = (
        "one training each"
        if counts == [1]
        else f"{counts[0]} trainings each"
        if len(counts) == 1
        else f"{counts[0]} to {counts[-1]} trainings each"
    )
    said = [
        f"**{len(run)} of the {len(rows)} rows** have been run here, {trained}.{_failed(failed)}"
    ]
    said += _extremes(table, run)
    said += _verdicts(run)
    if any(not found.spread_known for row in run for found in row.tests.values()):
        said.append(
            "No system has several trainings here, so nothing is known of what another training "
            "would give; the intervals are about other patients alone."
        )
    return "\n".join(f"- {sentence}" for sentence in said)


def _failed(titles: Sequence[str]) -> str:
    return f" Failed: {', '.join(titles)}." if titles else ""


def _extremes(table: int, run: Sequence[Row]) -> list[str]:
    said = []
    for measure in ("dice_class_mean", "AUC", "inconsis_cls"):
        low = measure.startswith(LESS_IS_BETTER)
        if measure not in LAYOUTS[table].tested:
            continue
        there = [row for row in run if measure in row.ours]
        if len(there) < 2:
            continue
        best = (min if low else max)(there, key=lambda row: row.ours[measure].estimate)
        other = [row for row in there if row is not best]
        within = [row for row in other if _overlap(row.ours[measure], best.ours[measure])]
        said.append(
            f"{'Lowest' if low else 'Highest'} in {NAMES.get(measure, measure)}: {best.title}, "
            f"{words(best.ours[measure])} %; the intervals of {len(within)} of the other "
            f"{len(other)} overlap with it."
        )
    return said


def _overlap(one: Interval, two: Interval) -> bool:
    return one.low <= two.high and two.low <= one.high


def _verdicts(run: Sequence[Row]) -> list[str]:
    every = [(row, found) for row in run for found in row.tests.values()]
    if not every:
        return ["No row could be compared with its baseline yet."]
    clear = [(row, found) for row, found in every if found.clear]
    if not clear:
        return [
            f"Of {len(every)} comparisons **none tells a system from its baseline**, in any "
            "measure."
        ]
    changes = [
        f"{row.title} less {row.against}, {NAMES.get(found.measure, found.measure)}: "
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


def _state(run: bool, failure: Mapping[str, Any] | None) -> str:
    if run:
        return ""
    return f"failed: {failure['error']}" if failure else NOT_RUN


# ------------------------------------------------------------------------------------- the cells


def _our_cell(row: Row, measure: str) -> Cell:
    if measure in row.derived:
        value = row.derived[measure]
        low, high = number(value.low), number(value.high)
        return Cell(
            f"<i>{number(value.estimate)}</i>†<small>[{low}, {high}]</small>", value.estimate
        )
    if measure not in row.ours:
        return NOTHING
    value = row.ours[measure]
    shown = f"<b>{number(value.estimate)}</b>"
    if measure in row.tests and row.tests[measure].clear:
        way = verdict(row.tests[measure])
        sign = "▲" if row.tests[measure].difference > 0 else "▼"
        shown += (
            f' <span aria-hidden="true">{sign}</span>'
            f'<span class="only-spoken">{way} than {row.against}</span>'
        )
    shown += f"<small>[{number(value.low)}, {number(value.high)}]</small>"
    return Cell(shown, value.estimate)


def _their_cell(value: float | None) -> Cell:
    if value is None:
        return NOTHING
    return Cell(f"<i>{100 * value:.2f}</i>", value)


def _runs_cell(row: Row) -> Cell:
    if row.state:
        return Cell(f"<i>{text(row.state)}</i>", 0)
    return Cell(f"{row.trainings} training{'s' * (row.trainings != 1)}", row.trainings)


def _signs(row: Row) -> str:
    signs = ", ".join(SIGNS[kind] for kind in KINDS if kind in row.apart)
    return f" <sup>{signs}</sup>" if signs else ""


def _words(html: str) -> str:
    return f'<span class="words">{html}</span>' if html else ABSENT


def _note(table: int, rows: Sequence[Row]) -> str:
    said = [
        "In per cent. Ours in bold, the mean over trainings, with its 95 % interval over patients "
        f"and trainings. {FEW}"
    ]
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
            "of the pair."
        )
    said.append(
        f"* Kang et al. 2022, Table {table}: other images (private), so no yardstick for ours. "
        f"{ABSENT}: not in the paper, or the system has no such answer."
    )
    if any(row.derived for row in rows):
        said.append(
            "† Derived, an extra: this system has no classifier; its class is read off T3's mask "
            "(Alg. 1)."
        )
    for kind in KINDS:
        marked = sorted({what for row in rows for what in row.apart.get(kind, ())})
        if marked:
            said.append(f"<sup>{SIGNS[kind]}</sup> {SAID[kind]}: {text(', '.join(marked))}.")
    return " ".join(said)
