"""A table of the paper beside our runs: each of its rows, what it prints and what we found.

`reproduce` finds the numbers, `reproduced_table` shows them, `tests_of` the tests behind the
verdicts, `told` says them in words, `as_frame` gives them as a file.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from lib import paper, results
from lib.metrics import summarise

from .. import stats
from ..stats import Interval
from .apart import KINDS, SAID, SIGNS, apart, refuse_other_data
from .changes import SIGNIFICANT, p_value
from .measures import NAMES
from .sortable import NOTHING, Cell, Column, sortable
from .style import ABSENT, cell, number, text, words

PERMUTATIONS = 9999
NOT_RUN = "not run yet"
DERIVED = {"ACC": "ACC_seg", "F1": "F1_seg", "AUC": "AUC_seg"}
NAMED_TESTS = {"ACC": "McNemar", "inconsis_cls": "McNemar", "AUC": "DeLong"}
LESS_IS_BETTER = "inconsis_"


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

    title: as in the paper; experiment: what fills it; seeds: of its runs; state: why there is no
    run, empty if there is; theirs, ours, derived: measure -> value, derived being those of T1 read
    off T3; spread: standard deviation over seeds; against: the row that it is tested against;
    tests: a row for each measure tested; apart: kind -> what sets its runs apart from the others'.

    >>> Row("MSL", "msl").state
    'not run yet'
    """

    title: str
    experiment: str
    seeds: tuple[int, ...] = ()
    state: str = NOT_RUN
    theirs: Mapping[str, float] = field(default_factory=dict)
    ours: Mapping[str, Interval] = field(default_factory=dict)
    derived: Mapping[str, Interval] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)
    against: str = ""
    tests: pd.DataFrame = field(default_factory=pd.DataFrame)
    apart: Mapping[str, Sequence[str]] = field(default_factory=dict)


def reproduce(
    table: int,
    records: Sequence[Mapping[str, Any]],
    systems: Iterable[System],
    failures: Sequence[Mapping[str, Any]] = (),
    permutations: int = PERMUTATIONS,
) -> list[Row]:
    """The rows of Table 1, 3, 4, 5 or 6 of the paper in its order, each with our runs of it.

    records: runs of one source and profile; systems: the catalogue; failures: runs that failed, as
    `lib.results.load_failures` gives them. Several seeds: the mean over them with its bootstrap
    interval over patients, and the spread over seeds apart from it. Each row is tested against its
    baseline (`LAYOUTS`) over the seeds that both have: `p` of the permutation test over patients,
    `p_named` of McNemar's or DeLong's test, where there is one, for the lowest of these seeds, and
    both with Holm's correction over the whole table. Raises ValueError for a table that the paper
    does not have, and for runs on different data.

    >>> from types import SimpleNamespace
    >>> mtl = SimpleNamespace(name="mtl", title="MTL", rows=((3, "MTL"),), recipe={})
    >>> [(row.title, row.state) for row in reproduce(3, [], [mtl])][2]
    ('MTL', 'not run yet')
    """
    printed = paper.table(table)
    layout = LAYOUTS[table]
    fills = {row: s for s in systems for number, row in s.rows if number == table}
    wanted = {s.name for s in fills.values()}
    runs = _runs([record for record in records if record["experiment"] in wanted])
    every = [record for by_seed in runs.values() for record in by_seed.values()]
    refuse_other_data(every)
    different = _differences(every, fills.values())
    failed = {f["experiment"]: f for f in failures}
    measures = [block.measure for block in layout.blocks]
    rows = []
    for title, values in printed.iterrows():
        name = fills[title].name if title in fills else ""
        mine = runs.get(name, {})
        against = layout.baselines.get(title, layout.baseline)
        against = "" if against == title else against
        base = runs.get(fills[against].name, {}) if against in fills else {}
        found = _found(list(mine.values()), [*measures, *DERIVED.values()])
        rows.append(
            Row(
                title,
                name,
                tuple(mine),
                _state(mine, failed.get(name)),
                values.dropna().to_dict(),
                {m: v for m, v in found.items() if m in measures},
                {m: found[d] for m, d in DERIVED.items() if m not in found and d in found},
                _spread(list(mine.values()), measures),
                against,
                _tests(mine, base, layout.tested, permutations),
                different.get(name, {}),
            )
        )
    return _corrected(rows)


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


def tests_of(rows: Sequence[Row], caption: str, csv: str | None = None) -> str:
    """HTML of every test behind the verdicts: difference, interval, p-values before and after Holm.

    Raises ValueError if nothing was tested.

    >>> tests_of([Row("MSL", "msl")], "Tests")
    Traceback (most recent call last):
        ...
    ValueError: no row has a run of its own and one of its baseline with the same seed
    """
    frame = _every_test(rows)
    if frame.empty:
        raise ValueError("no row has a run of its own and one of its baseline with the same seed")
    columns = [
        Column("system"), Column("against"), Column("measure"), Column("difference"),
        Column("p,<br>patients"), Column("p,<br>Holm"), Column("p, McNemar<br>or DeLong"),
        Column("p,<br>Holm"), Column("verdict"),
    ]  # fmt: skip
    body = [
        [
            text(test.system),
            _words(text(test.against)),
            _words(NAMES.get(test.measure, test.measure)),
            Cell(
                cell(Interval(test.difference, test.low, test.high), signed=True), test.difference
            ),
            *(Cell(p_value(p), p) for p in (test.p, test.p_holm, test.p_named, test.p_named_holm)),
            _verdict(test.difference, test.p_holm) or "not told apart",
        ]
        for test in frame.itertuples()
    ]
    note = (
        f"Differences in points of per cent with 95 % bootstrap intervals over patients. Holm's "
        f"correction is over all {len(frame)} tests of this table. The verdict is that of the "
        "permutation test over patients after Holm, at .05. McNemar's test (accuracy, "
        "contradictions of T1 and T3) and DeLong's (AUC) take the images of one patient as "
        "independent, so their p may be too small; they are of the lowest seed that both have."
    )
    return sortable(columns, body, caption, note=note, csv=(csv, frame) if csv else None)


def as_frame(table: int, rows: Sequence[Row]) -> pd.DataFrame:
    """What `reproduce` found as a frame for a CSV file: fractions, one line for each row.

    >>> as_frame(6, [Row("SC", "ms-mtl+t1t3-sc")])[["row", "state", "seeds"]].values.tolist()
    [['SC', 'not run yet', '']]
    """
    lines = []
    for row in rows:
        line: dict[str, Any] = {
            "row": row.title,
            "experiment": row.experiment,
            "state": row.state,
            "seeds": " ".join(map(str, row.seeds)),
            "apart": "; ".join(f"{kind}: {' '.join(what)}" for kind, what in row.apart.items()),
            "tested_against": row.against,
        }
        for block in LAYOUTS[table].blocks:
            m = block.measure
            if m in paper.table(table):
                line[f"{m}_paper"] = row.theirs.get(m)
            ours = row.ours.get(m, Interval(math.nan, math.nan, math.nan))
            line |= {m: ours.estimate, f"{m}_low": ours.low, f"{m}_high": ours.high}
            line[f"{m}_sd_over_seeds"] = row.spread.get(m)
            if m in DERIVED:
                line[DERIVED[m]] = row.derived[m].estimate if m in row.derived else None
            if m in LAYOUTS[table].tested:
                tested = m in row.tests.index
                for p in ("p", "p_holm", "p_named", "p_named_holm"):
                    line[f"{m}_{p}"] = row.tests.loc[m, p] if tested else None
        lines.append(line)
    return pd.DataFrame(lines)


# -------------------------------------------------------------------------------------- in words


def told(table: int, rows: Sequence[Row]) -> str:
    """What the numbers say, a list in Markdown: what has run, what is highest, what differs.

    Every number is from `rows`. A difference counts if its p-value, corrected over the table, is
    below .05.

    >>> told(5, [Row("all-probability", "a"), Row("max-probability", "b")])
    '- None of the 2 rows has a run yet.'
    """
    run = [row for row in rows if row.seeds]
    failed = [row.title for row in rows if row.state.startswith("failed")]
    if not run:
        return f"- None of the {len(rows)} rows has a run yet." + _failed(failed)
    counts = sorted({len(row.seeds) for row in run})
    trained = (
        "one training run each"
        if counts == [1]
        else f"{counts[0]} training runs each"
        if len(counts) == 1
        else f"{counts[0]} to {counts[-1]} training runs each"
    )
    said = [
        f"**{len(run)} of the {len(rows)} rows** have been run here, {trained}.{_failed(failed)}"
    ]
    said += _extremes(table, run)
    said += _verdicts(run)
    if counts[0] == 1:
        said.append(
            "A single training run says nothing about what another seed would give; the intervals "
            "are about other patients only."
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
    tests = _every_test(run)
    if tests.empty:
        return ["No row could be tested against its baseline yet."]
    clear = tests[tests["p_holm"] < SIGNIFICANT]
    if clear.empty:
        return [
            f"After correction for all {len(tests)} tests, **no system differs from its baseline** "
            "in any measure tested."
        ]
    changes = [
        f"{test.system} {'higher' if test.difference > 0 else 'lower'} than {test.against} in "
        f"{NAMES.get(test.measure, test.measure)} "
        f"({words(Interval(test.difference, test.low, test.high), signed=True)} points)"
        for test in clear.itertuples()
    ]
    shown = changes if len(changes) <= 6 else _grouped(clear)
    return [
        f"After correction for all {len(tests)} tests, {len(clear)} "
        f"{'differs' if len(clear) == 1 else 'differ'}: {'; '.join(shown)}. The other "
        f"{len(tests) - len(clear)} are not told apart."
    ]


def _grouped(clear: pd.DataFrame) -> list[str]:
    """Where many differ: for each measure, which systems are higher and which lower."""
    said = []
    for measure, tests in clear.groupby("measure", sort=False):
        for way, some in (("higher", tests["difference"] > 0), ("lower", tests["difference"] < 0)):
            if some.any():
                said.append(
                    f"{NAMES.get(measure, measure)} is {way} for {', '.join(tests['system'][some])}"
                )
    return said


# ----------------------------------------------------------------------------------- the numbers


def _runs(
    records: Sequence[Mapping[str, Any]],
) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Experiment -> seed -> record; ValueError for two sources or profiles, or a seed twice."""
    places = {(record["source"], record["profile"]) for record in records}
    if len(places) > 1:
        raise ValueError(f"these runs are of {len(places)} sources or profiles; pass one of them")
    runs: dict[str, dict[int, Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda r: r["seed"]):
        by_seed = runs.setdefault(record["experiment"], {})
        if record["seed"] in by_seed:
            raise ValueError(f"{record['experiment']} has seed {record['seed']} twice")
        by_seed[record["seed"]] = record
    return runs


def _differences(
    records: Sequence[Mapping[str, Any]], systems: Iterable[System]
) -> dict[str, dict[str, list[str]]]:
    """Experiment -> what sets any of its runs apart from most runs."""
    recipes = {system.name: list(system.recipe) for system in systems}
    found: dict[str, dict[str, list[str]]] = {}
    for record, different in zip(records, apart(records, recipes), strict=True):
        mine = found.setdefault(record["experiment"], {})
        for kind, what in different.items():
            mine[kind] = sorted({*mine.get(kind, ()), *what})
    return found


def _state(runs: Mapping[int, Any], failure: Mapping[str, Any] | None) -> str:
    if runs:
        return ""
    return f"failed: {failure['error']}" if failure else NOT_RUN


def _found(records: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> dict[str, Interval]:
    if not records:
        return {}
    runs = [results.rows(record) for record in records]
    return stats.mean_intervals(runs, measures)


def _spread(records: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> dict[str, float]:
    if len(records) < 2:
        return {}
    found = [summarise(results.rows(record)) for record in records]
    return {
        m: float(np.std([values[m] for values in found], ddof=1))
        for m in measures
        if all(m in values for values in found)
    }


def _tests(
    mine: Mapping[int, Mapping[str, Any]],
    base: Mapping[int, Mapping[str, Any]],
    measures: Sequence[str],
    permutations: int,
) -> pd.DataFrame:
    seeds = sorted(mine.keys() & base.keys())
    if not seeds:
        return pd.DataFrame()
    a, b = ([results.rows(side[seed]) for seed in seeds] for side in (mine, base))
    table = stats.mean_differences(a, b, measures, permutations=permutations)
    return table.assign(p_named=[_named_test(a[0], b[0], measure) for measure in table.index])


def _named_test(a: pd.DataFrame, b: pd.DataFrame, measure: str) -> float:
    try:
        if NAMED_TESTS.get(measure) == "McNemar":
            what = "correct" if measure == "ACC" else "contradictions"
            return stats.mcnemar(a, b, what).p
        if NAMED_TESTS.get(measure) == "DeLong":
            return stats.delong(a, b).p
    except ValueError:  # the test does not apply, such as DeLong's to a perfect order
        pass
    return math.nan


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """The rows with Holm's correction of each kind of p-value over all of them."""
    tests = {(row.title, measure): test for row in rows for measure, test in row.tests.iterrows()}
    corrected = {
        kind: stats.holm({key: t[kind] for key, t in tests.items() if not math.isnan(t[kind])})
        for kind in ("p", "p_named")
    }
    for row in rows:
        for kind, found in corrected.items():
            if len(row.tests):
                row.tests[f"{kind}_holm"] = [
                    found.get((row.title, m), math.nan) for m in row.tests.index
                ]
    return list(rows)


def _every_test(rows: Sequence[Row]) -> pd.DataFrame:
    some = [
        row.tests.rename_axis("measure").reset_index().assign(system=row.title, against=row.against)
        for row in rows
        if len(row.tests)
    ]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame()


# ------------------------------------------------------------------------------------- the cells


def _verdict(difference: float, p: float) -> str:
    if not p < SIGNIFICANT:
        return ""
    return "higher" if difference > 0 else "lower"


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
    if measure in row.tests.index:
        test = row.tests.loc[measure]
        if way := _verdict(test["difference"], test["p_holm"]):
            sign = "▲" if way == "higher" else "▼"
            shown += (
                f' <span aria-hidden="true">{sign}</span>'
                f'<span class="only-spoken">{way} than {row.against}</span>'
            )
    shown += f"<small>[{number(value.low)}, {number(value.high)}]</small>"
    if measure in row.spread:
        shown += f"<small>SD {number(row.spread[measure])}</small>"
    return Cell(shown, value.estimate)


def _their_cell(value: float | None) -> Cell:
    if value is None:
        return NOTHING
    return Cell(f"<i>{100 * value:.2f}</i>", value)


def _runs_cell(row: Row) -> Cell:
    if row.state:
        return Cell(f"<i>{text(row.state)}</i>", 0)
    count = len(row.seeds)
    return Cell(f"{count} seed{'s' * (count != 1)}", count)


def _signs(row: Row) -> str:
    signs = ", ".join(SIGNS[kind] for kind in KINDS if kind in row.apart)
    return f" <sup>{signs}</sup>" if signs else ""


def _words(html: str) -> str:
    return f'<span class="words">{html}</span>' if html else ABSENT


def _note(table: int, rows: Sequence[Row]) -> str:
    said = [
        "In per cent. Ours in bold, with the 95 % bootstrap interval over patients below it"
        + (
            "; of several seeds the mean, and SD, the standard deviation over seeds."
            if any(row.spread for row in rows)
            else "."
        )
    ]
    if any(len(row.tests) for row in rows):
        layout = LAYOUTS[table]
        others = "; ".join(
            f"{row} against {base}"
            for row, base in layout.baselines.items()
            if base != layout.baseline
        )
        baseline = f"“{layout.baseline}”" if layout.baseline else ""
        said.append(
            "▲ ▼: higher or lower than the baseline"
            + (f" ({'; '.join(filter(None, (baseline, others)))})")
            + ", p below .05 in a permutation test over patients after Holm's correction over the "
            "whole table."
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
