"""Two systems on the same test set, side by side: every measure's difference and its tests."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from lib.results import rows

from .auc import delong
from .bootstrap import measured, paired_difference
from .contingency import MEASURE_OF, mcnemar
from .pairing import check_paired
from .permutation import permutation_test
from .seeds import paired_over_seeds, paired_t_test

Record = Mapping[str, Any]
MCNEMAR_OF = {measure: what for what, measure in MEASURE_OF.items()}


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction of the p-values of one family, by name (Holm 1979).

    Raises ValueError for a p-value outside 0 to 1, NaN included.

    >>> {name: round(p, 3) for name, p in holm({"ACC": 0.01, "AUC": 0.04, "F1": 0.03}).items()}
    {'ACC': 0.03, 'AUC': 0.06, 'F1': 0.06}
    """
    for name, p in p_values.items():
        if not 0 <= p <= 1:
            raise ValueError(f"the p-value of {name!r} is {p}; it must lie between 0 and 1")
    if not p_values:
        return {}
    corrected = multipletests(list(p_values.values()), method="holm")[1]
    return dict(zip(p_values, map(float, corrected), strict=True))


def compare(
    record_a: Record,
    record_b: Record,
    measures: Sequence[str],
    *,
    n: int = 1000,
    permutations: int = 9999,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Two runs (records of `lib.results`) on the same test set, one row per measure.

    Columns: the measure of `a` and of `b`; `difference`, a less b, with its paired bootstrap
    interval over patients `low`, `high` (`n` draws); `p` of the paired permutation test over
    patients; `p_holm`, that p corrected over the rows of this table; `p_mcnemar`, for ACC and
    inconsis_cls, and `p_delong`, for AUC, both uncorrected and NaN elsewhere. The last two treat
    images as independent, so `p` is the one to report where a patient has several images.

    The tests are about other patients for these two trained networks. What another training run
    would change is the matter of `compare_seeds`.

    Raises ValueError, naming both runs, if their data or test images differ, or if one of them
    does not give a measure.

    >>> run = {"source": "phantom", "profile": "quick", "experiment": "mtl", "seed": 0}
    >>> run |= {"data": {"fingerprint": "0"}}
    >>> a = run | {"per_image": {"label": [0, 1] * 3, "p_malignant": [0.2, 0.8] * 3}}
    >>> b = run | {"per_image": {"label": [0, 1] * 3, "p_malignant": [0.7, 0.8] * 3}}
    >>> compare(a, b, ["ACC"]).loc["ACC", ["a", "b", "difference", "p", "p_holm"]].tolist()
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """
    if not measures:
        raise ValueError("no measure to compare; name at least one, such as 'ACC'")
    rows_a, rows_b = _same_test_set(record_a, record_b)
    groups = rows_a.get("group")
    table = {}
    for measure in measures:
        a, b = (measured(rows, measure) for rows in (rows_a, rows_b))
        interval = paired_difference(
            rows_a, rows_b, measure, groups=groups, n=n, level=level, seed=seed
        )
        test = permutation_test(rows_a, rows_b, measure, groups=groups, n=permutations, seed=seed)
        what = MCNEMAR_OF.get(measure)
        table[measure] = {
            "a": a,
            "b": b,
            "difference": a - b,
            "low": interval.low,
            "high": interval.high,
            "p": test.p,
            "p_mcnemar": mcnemar(rows_a, rows_b, what).p if what else np.nan,
            "p_delong": delong(rows_a, rows_b).p if measure == "AUC" else np.nan,
        }
    return _corrected(table)


def compare_seeds(
    records_a: Iterable[Record],
    records_b: Iterable[Record],
    measures: Sequence[str],
    *,
    n: int = 1000,
    permutations: int = 9999,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Two systems trained with the same seeds, one run each: every seed's pair, then over seeds.

    Rows are indexed by `seed` and `measure`. Those of a seed are the table of `compare`. Those of
    the seed "all" have the means over seeds as `a` and `b`, their `difference` with Student's t
    interval over seeds, and `p` of the paired t test over seeds; `p_mcnemar` and `p_delong` are
    NaN. `p_holm` is corrected within each seed and within "all". The rows of "all" are about other
    training runs on these test images (where the seed draws the split of the data, too: on other
    splits of them); those of a seed, about other patients for these networks.

    Raises ValueError for fewer than two seeds, a seed twice, seeds that only one system has, runs
    on different data, or test images that differ within a seed.

    >>> runs = {"a": [], "b": []}
    >>> for seed, wrong in ((0, 0.7), (1, 0.6)):
    ...     for system, benign in (("a", 0.2), ("b", wrong)):
    ...         names = {"source": "phantom", "profile": "quick", "experiment": "", "seed": seed}
    ...         rows = {"label": [0, 1] * 3, "p_malignant": [benign, 0.8] * 3}
    ...         runs[system].append(names | {"data": {"fingerprint": "0"}, "per_image": rows})
    >>> table = compare_seeds(runs["a"], runs["b"], ["ACC"], n=100)
    >>> table["difference"].to_dict()
    {(0, 'ACC'): 0.5, (1, 'ACC'): 0.5, ('all', 'ACC'): 0.5}
    """
    by_seed_a, by_seed_b = _by_seed(records_a, "a"), _by_seed(records_b, "b")
    if set(by_seed_a) != set(by_seed_b) or len(by_seed_a) < 2:
        raise ValueError(
            f"a has the seeds {sorted(by_seed_a)} and b has {sorted(by_seed_b)}; "
            "pass the same seeds of both, at least two"
        )
    seeds = sorted(by_seed_a)
    for k in seeds:
        _same_data(by_seed_a[seeds[0]], by_seed_a[k])
    options = {"n": n, "permutations": permutations, "level": level, "seed": seed}
    tables = {k: compare(by_seed_a[k], by_seed_b[k], measures, **options) for k in seeds}
    over = {}
    for measure in measures:
        a, b = ({k: table.loc[measure, side] for k, table in tables.items()} for side in "ab")
        interval = paired_over_seeds(a, b, level)
        over[measure] = {
            "a": float(np.mean(list(a.values()))),
            "b": float(np.mean(list(b.values()))),
            "difference": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "p": paired_t_test(a, b),
            "p_mcnemar": np.nan,
            "p_delong": np.nan,
        }
    return pd.concat(tables | {"all": _corrected(over)}, names=["seed", "measure"])


def _corrected(table: dict[str, dict[str, float]]) -> pd.DataFrame:
    """The rows by measure, with Holm's correction of `p` beside it."""
    frame = pd.DataFrame.from_dict(table, orient="index").rename_axis("measure")
    corrected = pd.Series(holm(frame["p"].to_dict()))
    frame.insert(frame.columns.get_loc("p") + 1, "p_holm", corrected)
    return frame


def _same_test_set(record_a: Record, record_b: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The test images of both runs; ValueError if they are not the same."""
    _same_data(record_a, record_b)
    rows_a, rows_b = rows(record_a), rows(record_b)
    try:
        check_paired(rows_a, rows_b)
    except ValueError as error:
        names = f"{_name(record_a)} and {_name(record_b)}"
        raise ValueError(f"{names} have different test images: {error}") from error
    return rows_a, rows_b


def _same_data(record_a: Record, record_b: Record) -> None:
    prints = [str(record["data"]["fingerprint"]) for record in (record_a, record_b)]
    if prints[0] != prints[1]:
        raise ValueError(
            f"{_name(record_a)} and {_name(record_b)} ran on different data (fingerprints "
            f"{prints[0][:12]} and {prints[1][:12]}); compare runs on the same data"
        )


def _by_seed(records: Iterable[Record], system: str) -> dict[int, Record]:
    by_seed = {}
    for record in records:
        if record["seed"] in by_seed:
            raise ValueError(f"{system} has seed {record['seed']} twice: {_name(record)}")
        by_seed[record["seed"]] = record
    return by_seed


def _name(record: Record) -> str:
    parts = (record[part] for part in ("source", "profile", "experiment"))
    return f"{'/'.join(parts)}/seed{record['seed']}"
