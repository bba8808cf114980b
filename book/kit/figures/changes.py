"""What changed from one run to another, and what that lets us say."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..stats import Interval
from .measures import DERIVED, NAMES
from .style import ABSENT, cell, number, table, text, words

NEITHER = "could not be told apart"
# What the headline tells beside contradictions of T1 and T3
BESIDE = ("inconsis_seg2", "ACC", "AUC", "dice_nodule", "dice_class_mean")
# What a system decides itself, beside what a profile and a data set decide
OWN = ("experiment", "network", "options", "losses", "parts", "consistency")
SIGNIFICANT = 0.05
TESTS = {
    "p": "p",
    "p_holm": "p, Holm",
    "p_mcnemar": "p, McNemar",
    "p_delong": "p, DeLong",
}


def tests_table(
    compared: pd.DataFrame,
    measures: Mapping[str, str] | None = None,
    titles: tuple[str, str] = ("a", "b"),
) -> str:
    """What `book.kit.stats.compare` or `compare_seeds` returns: differences, intervals and tests.

    compared: a row per measure, or per seed and measure, which then has a heading for each seed;
    measures: measure -> name to show (default: all names of the book); titles: of the two systems.
    Measures and differences in per cent and points, p-values as such. The verdict is that of the
    p-value after Holm's correction, at .05. Columns of a test that no row has are left out.
    Raises ValueError for a table without rows.

    >>> row = {"a": 0.9, "b": 0.8, "difference": 0.1, "low": 0.05, "high": 0.15, "p": 0.004}
    >>> shown = tests_table(pd.DataFrame({"ACC": row | {"p_holm": 0.012}}).T)
    >>> "Accuracy" in shown and ".012" in shown and "higher" in shown
    True
    """
    if not len(compared):
        raise ValueError("the comparison has no row; name at least one measure")
    names = NAMES | dict(measures or {})
    tests = {
        column: title
        for column, title in TESTS.items()
        if column in compared and compared[column].notna().any()
    }
    several = isinstance(compared.index, pd.MultiIndex)
    body: list[list[str] | str] = []
    blocks = compared.groupby(level=0, sort=False) if several else [("", compared)]
    for seed, block in blocks:
        if several:
            body.append("over seeds" if seed == "all" else f"seed {seed}")
        for index, row in block.iterrows():
            measure = index[-1] if several else index
            change, clear = _change(row), _clear(row)
            body.append(
                [
                    names.get(measure, measure),
                    number(row["a"]),
                    number(row["b"]),
                    cell(change, signed=True),
                    *(p_value(row[column]) for column in tests),
                    ("higher" if change.estimate > 0 else "lower") if clear else "unclear",
                ]
            )
    one, two = map(text, titles)
    head = ["in % and points", one, two, f"{one} less<br>{two}", *tests.values()]
    derived = any(str(name).endswith("_seg") for name in compared.index.get_level_values(-1))
    note = (
        "In brackets 95 % intervals. The verdict is that of p after Holm's correction, at .05; "
        "McNemar's and DeLong's p treat images as independent and are not corrected."
    )
    return table([*head, "verdict"], body, f"{note} {DERIVED}" if derived else note)


def headline(compared: pd.DataFrame, measures: Sequence[str] = BESIDE) -> str:
    """What the three terms changed, in Markdown: contradictions of T1 and T3 first, then the rest.

    compared: as in `tests_table`, `a` with and `b` without the terms; of several seeds, the rows
    over seeds count. measures: what to tell beside inconsis_cls; those without a row are left out.
    Each difference in points with its 95 % interval; it counts as a change if its p-value after
    Holm's correction is below .05, the rule of `tests_table`.

    >>> row = {"a": 0.2, "b": 0.1, "difference": 0.1, "low": 0.05, "high": 0.15, "p_holm": 0.01}
    >>> print(headline(pd.DataFrame({"inconsis_cls": row}).T)[-60:])
    **10.0 %** without: **more**, by +10.0 points [+5.0, +15.0].
    """
    rows = compared.loc["all"] if isinstance(compared.index, pd.MultiIndex) else compared
    said = []
    if "inconsis_cls" in rows.index:
        row = rows.loc["inconsis_cls"]
        by = words(_change(row), signed=True).replace(" [", " points [")
        said.append(
            f"T1 and T3 contradict each other in **{number(row['a'])} %** of the test images with "
            f"the three terms and in **{number(row['b'])} %** without: "
            + (
                f"**{'more' if row['difference'] > 0 else 'fewer'}**, by {by}."
                if _clear(row)
                else f"a difference of {by} that **{NEITHER} from none**."
            )
        )
    beside = rows.loc[[m for m in measures if m in rows.index]]
    changed = [
        f"{NAMES.get(m, m)} {'rose' if row['difference'] > 0 else 'fell'} "
        f"({words(_change(row), signed=True)})"
        for m, row in beside.iterrows()
        if _clear(row)
    ]
    unclear = [NAMES.get(m, m) for m, row in beside.iterrows() if not _clear(row)]
    if changed:
        said.append(f"{'; '.join(changed)}.")
    if unclear:
        said.append(f"Not told apart from no change: {'; '.join(unclear)}.")
    return " ".join(said)


def unlike(record: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The settings in which two runs differ, beside those that tell their systems apart.

    >>> unlike({"parameters": {"network": "A", "lr": 0.1}}, {"parameters": {"lr": 0.2}})
    ['lr']
    """
    one, two = record["parameters"], other["parameters"]
    both = sorted(one.keys() & two.keys() - set(OWN))
    return [key for key in both if one[key] != two[key]]


def _change(row: pd.Series) -> Interval:
    return Interval(row["difference"], row["low"], row["high"])


def _clear(row: pd.Series) -> bool:
    return bool(row["p_holm"] < SIGNIFICANT)


def p_value(p: float) -> str:
    """A p-value to three decimals for a table's cell, in HTML."""
    if p != p:
        return ABSENT
    return "&lt; .001" if p < 0.0005 else f"{p:.3f}".removeprefix("0")
