"""Pictures that are nearly the same, and the patients that they join."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .looks import look
from .table import Problem, each, require_columns, tidy

# Correlation of thumbnails, without their shading, from which on one is the other, mirrored or
# turned. Of two different pictures at most .74 in BUS-BRA, .54 in DDTI and .76 in phantoms.
TURNED = 0.9


def group_near_duplicates(
    cases: pd.DataFrame, *, distance: int = 48, correlation: float = 0.9
) -> tuple[pd.DataFrame, list[Problem]]:
    """Give pictures that are nearly the same, and all of their patients' others, one group.

    Two pictures are near duplicates if their perceptual hashes (DCT, 16 x 16) differ in at
    most `distance` places and their 32 x 32 thumbnails correlate by at least `correlation`.
    The defaults were set on DDTI and BUS-BRA: one picture saved again, resized, brightened or
    cropped by 1 % differs in at most 32 of 256 places (correlation .93 and more), neighbouring
    frames of a clip in 22 to 42 (.95 to .99), two pictures of different nodules in 60 or more.
    A picture that was mirrored, or turned by right angles, is one, too (`TURNED`).

    Near duplicates with different labels are left out, all of them: one label is wrong, and nobody
    can say which. Their groups are joined all the same.

    Returns:
        The table, a joined group under the name of its first row; and the problems (rows left
        out) and notes (groups joined, `left_out=False`).

    Raises:
        CaseError: a picture cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> from lib.sources import phantom
    >>> with TemporaryDirectory() as folder:
    ...     cases = phantom.read(folder, cases=4, size=64)
    ...     cases.loc[3, ["image", "label"]] = cases.loc[0, ["image", "label"]]
    ...     table, notes = group_near_duplicates(cases)
    >>> table["group"].tolist()
    ['phantom00000', 'phantom00001', 'phantom00002', 'phantom00000']
    """
    require_columns(cases)
    table = tidy(cases)
    problems: list[Problem] = []
    if table.empty:
        return table, problems
    pairs = _near_duplicates(table, distance, correlation)
    alike = _components(len(table), pairs)

    groups, names = pd.factorize(table["group"])
    joined = _components(len(names), [(groups[a], groups[b]) for a, b in pairs])
    first_name = pd.Series(names).groupby(joined).first()
    table["group"] = first_name.to_numpy()[joined[groups]]

    drop: list[int] = []
    for rows in _members(alike):
        labels = {table["label"][at] for at in rows} - {None}
        files = table["image"]
        names_of = {at: Path(files[at]).name for at in rows}  # a note shows no other one's path
        if len(labels) > 1:
            drop += rows
            for at in rows:
                others = ", ".join(
                    f"{names_of[b]} ({table['label'][b] or 'unlabelled'})" for b in rows if b != at
                )
                mine = table["label"][at] or "unlabelled"
                problems.append(
                    Problem(
                        table["case"][at],
                        files[at],
                        f"{mine}, but the same picture has another label elsewhere: {others}",
                    )
                )
        elif len({groups[at] for at in rows}) > 1:
            merged = ", ".join(dict.fromkeys(names[groups[at]] for at in rows))
            others = ", ".join(names_of[at] for at in rows[1:])
            problems.append(
                Problem(
                    table["case"][rows[0]],
                    files[rows[0]],
                    f"nearly the same picture as {others}; groups {merged} are kept together",
                    left_out=False,
                )
            )
    table = table.drop(index=drop).reset_index(drop=True)
    table.attrs["left_out"] = [*cases.attrs.get("left_out", []), *problems]
    return table, problems


def _near_duplicates(
    cases: pd.DataFrame, distance: int, correlation: float
) -> list[tuple[int, int]]:
    """All pairs of rows (a < b) that show nearly the same picture."""

    looks = [seen.sound() for seen in each(look, cases)]
    hashes, thumbnails = (
        np.stack([getattr(seen, name) for seen in looks]) for name in ("signs", "thumbnail")
    )

    def shape(at: int) -> np.ndarray:
        small = thumbnails[at].astype(float)
        small = small.ravel() - small.mean()
        return small / max(np.linalg.norm(small), 1e-9)

    return _turned_copies(thumbnails) + [
        (a, b)
        for a, b in _near(np.pad(hashes, ((0, 0), (0, -hashes.shape[1] % 8))), distance)
        if shape(a) @ shape(b) >= correlation
    ]


def _turned_copies(thumbnails: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows (a < b) of uint8 (N, 32, 32) of which one is the other, mirrored or turned."""

    def shapes(pictures: np.ndarray) -> np.ndarray:
        detail = pictures.astype(np.float32)  # shading, which all scans share, is taken off
        detail -= detail.mean(axis=1, keepdims=True)
        detail -= detail.mean(axis=2, keepdims=True)
        flat = detail.reshape(len(detail), -1)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1)

    small = thumbnails.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4))  # most pairs are told apart by it
    fine, coarse, pairs, high = shapes(thumbnails), shapes(small), [], 512
    for way in range(1, 8):
        fine_turned, coarse_turned = (shapes(_turn(one, way)) for one in (thumbnails, small))
        for top in range(0, len(small), high):
            alike = coarse[top : top + high] @ coarse_turned.T >= TURNED
            for a, b in np.argwhere(alike):
                if top + a < b and fine[top + a] @ fine_turned[b] >= TURNED:
                    pairs.append((int(top + a), int(b)))
    return pairs


def _turn(pictures: np.ndarray, way: int) -> np.ndarray:
    """Pictures (N, S, S) in one of the eight ways to lay a square; way 0 as they are."""
    return np.rot90(pictures.transpose(0, 2, 1) if way > 3 else pictures, way % 4, (1, 2))


def _near(hashes: np.ndarray, distance: int) -> Iterable[tuple[int, int]]:
    """Pairs of rows (a < b) of uint8 (N, multiple of 8) that differ in at most `distance` bits.

    Every pair is looked at, in tiles that stay in the processor's cache.
    """
    words = np.ascontiguousarray(hashes.view(np.uint64).T)
    high, wide = 128, 2048
    for top in range(0, len(hashes), high):
        for left in range(top, len(hashes), wide):
            differ = sum(
                np.bitwise_count(
                    word[top : top + high, None] ^ word[None, left : left + wide]
                ).astype(np.uint16)
                for word in words
            )
            for a, b in zip(*np.nonzero(differ <= distance), strict=True):
                if top + a < left + b:
                    yield int(top + a), int(left + b)


def _components(size: int, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Connected component of each of `size` nodes."""
    a, b = np.array(pairs, dtype=int).reshape(-1, 2).T
    return connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(size, size)))[1]


def _members(component: np.ndarray) -> list[list[int]]:
    """The members of every component that has more than one."""
    members = defaultdict(list)
    for at, name in enumerate(component):
        members[name].append(at)
    return [rows for rows in members.values() if len(rows) > 1]
