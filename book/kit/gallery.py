"""What a run keeps to be looked at without its weights: a few test images with all its answers."""

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.atomic import replacing

ALLOWED = ("phantom",)  # its pictures are our own; no patient's image goes into the book
SCHEMA = 1
LAYERS = ("image", "mask", "seg2", "seg3")
MAPS = (*LAYERS, "cls", "cam")
OPTIONAL = ("cam_inside",)  # columns of the rows
CONTRADICTIONS = ("Only T1 right", "Only T3 right")


class GalleryError(ValueError):
    """A gallery that is missing, damaged, or cannot be made."""


@dataclass(frozen=True)
class Gallery:
    """Test images, their truth and one run's answers.

    rows: columns case, label (0 benign, 1 malignant, -1 none), fixed (whether the case was chosen
    by `fixed_cases`, so that every run has it) and, where there is a CAM, cam_inside (the share of
    its mass inside the nodule, as `lib.cam.mass_inside`). maps, one entry per row: image and mask,
    uint8 (n, S, S), and where the network has the task seg2, seg3, uint8 (n, S, S), cls (n,), the
    probability of malignant, and cam, float32 (n, h, w), 0..1. picked: title -> row number of what
    this run did well or badly. Rows and maps are what `book.kit.figures.overlays` takes.

    >>> rows = pd.DataFrame({"case": ["a", "b"], "label": [0, 1], "fixed": [True, False]})
    >>> Gallery(rows, {"image": np.zeros((2, 8, 8), np.uint8)}, {"Only T1 right": 1}).fixed
    [0]
    """

    rows: pd.DataFrame
    maps: dict[str, np.ndarray]
    picked: dict[str, int]

    @property
    def fixed(self) -> list[int]:
        """Row numbers of the cases that every run has, benign first, from small to large."""
        return np.flatnonzero(self.rows["fixed"]).tolist()


def allowed(source: str) -> bool:
    """Whether images of this source may be kept in a gallery, and so be shown in the book.

    >>> allowed("phantom"), allowed("folder")
    (True, False)
    """
    return source in ALLOWED


def path(results_file: str | Path) -> Path:
    """Where the gallery of a run lies: beside its results file.

    >>> path("results/phantom/laptop/mtl/seed0.json").name
    'seed0.gallery.npz'
    """
    return Path(results_file).with_suffix(".gallery.npz")


def fixed_cases(rows: pd.DataFrame, mask: Any, count: int = 8) -> list[int]:
    """Row numbers of cases that every run on these data keeps, whatever it answered.

    Half of `count` benign, half malignant, in each class evenly from the smallest nodule to the
    largest. rows: columns case and label; mask: uint8 (N, H, W). Only the truth decides, not the
    order of the rows and no answer. Fewer where a class has fewer cases; cases without a class are
    not taken.

    >>> rows = pd.DataFrame({"case": list("abcd"), "label": [1, 0, 1, 1]})
    >>> areas = np.array([3, 2, 1, 2])
    >>> mask = np.arange(4)[None, None] < areas[:, None, None]
    >>> fixed_cases(rows, mask, count=4)
    [1, 2, 0]
    """
    area = (np.asarray(mask) > 0).sum((1, 2))
    label, case = rows["label"].to_numpy(), rows["case"].to_numpy(str)
    chosen = []
    for index in (0, 1):
        members = sorted(np.flatnonzero(label == index), key=lambda at: (area[at], case[at]))
        places = np.unique((np.arange(count // 2) + 0.5) / (count // 2) * len(members) // 1)
        chosen += [int(members[int(place)]) for place in places if members]
    return chosen


def contradictions(rows: pd.DataFrame) -> dict[str, int]:
    """The surest contradiction of either kind as title -> row number (Fig. 1 of Kang et al. 2022).

    "Only T1 right": T3 paints the wrong class; "Only T3 right": T1 names the wrong one. Surest:
    both tasks far from 0.5; ties go to the first row. rows: from `lib.metrics.count_batch`. Empty
    where a kind does not occur or a task is missing.

    >>> rows = pd.DataFrame({"label": [0, 1], "p_malignant": [0.9, 0.8]})
    >>> contradictions(rows.assign(seg_as_cls=[0, 0], seg_as_cls_p=[0.3, 0.4]))
    {'Only T1 right': 1, 'Only T3 right': 0}
    """
    if not {"p_malignant", "seg_as_cls", "seg_as_cls_p"} <= set(rows):
        return {}
    label, score, painted, paint = (
        rows[name].to_numpy(float)
        for name in ("label", "p_malignant", "seg_as_cls", "seg_as_cls_p")
    )
    named = (score > 0.5).astype(float)
    differ = (label >= 0) & (painted >= 0) & (painted != named)
    sure = (np.abs(score - 0.5) + np.abs(paint - 0.5)).round(9)
    kinds = zip(CONTRADICTIONS, (differ & (named == label), differ & (named != label)), strict=True)
    return {
        title: int(np.argmax(np.where(among, sure, -1.0))) for title, among in kinds if among.any()
    }


def save(
    file: str | Path,
    rows: pd.DataFrame,
    maps: Mapping[str, Any],
    picked: Mapping[str, int] | None = None,
    *,
    count: int = 8,
) -> Path:
    """Keep `fixed_cases`, `contradictions` and the `picked` of one run, atomically; the file.

    rows, maps: what `lib.predict` returns; with a class also the column cam_inside, if wanted, and
    the map "cam" (N, h, w), 0..1, best as coarse as `lib.cam.layer_map` gives it. picked: title ->
    row number, as from `book.kit.figures.pick_cases`. At 96 px some 100 KB. Raises GalleryError if
    something does not fit, and OSError, leaving nothing behind, if the disk is full.

    >>> rows = pd.DataFrame({"case": ["a", "b"], "label": [0, 1]})
    >>> maps = dict.fromkeys(("image", "mask"), np.ones((2, 8, 8), np.uint8))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = load(save(f"{folder}/seed0.gallery.npz", rows, maps))
    >>> kept.rows["case"].tolist()
    ['a', 'b']
    """
    arrays = {name: np.asarray(maps[name]) for name in MAPS if name in maps}
    _check(arrays, len(rows))
    titles = {**(picked or {}), **contradictions(rows)}
    fixed = fixed_cases(rows, arrays["mask"], count)
    kept = list(dict.fromkeys([*fixed, *titles.values()]))
    if not kept:
        raise GalleryError("no case to keep: no image has a class and none is picked")
    arrays = {name: values[kept] for name, values in arrays.items()}
    if "cam" in arrays:
        arrays["cam"] = np.round(255 * arrays["cam"]).astype(np.uint8)
    if "cls" in arrays:
        arrays["cls"] = arrays["cls"].astype(np.float32)
    return _write(
        Path(file),
        schema=np.array(SCHEMA),
        case=rows["case"].to_numpy(str)[kept],
        label=rows["label"].to_numpy(np.int8)[kept],
        fixed=np.isin(kept, fixed),
        **{c: rows[c].to_numpy(np.float32)[kept] for c in OPTIONAL if c in rows},
        title=np.array(list(titles), dtype=str),
        at=np.array([kept.index(row) for row in titles.values()], dtype=np.int16),
        **arrays,
    )


def load(file: str | Path) -> Gallery:
    """Read a gallery, checked; GalleryError names the file if it is missing or not whole.

    >>> load("seed0.npz")
    Traceback (most recent call last):
        ...
    book.kit.gallery.GalleryError: seed0.npz: no such gallery; run book/experiment.ipynb first
    """
    file = Path(file)
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise GalleryError(f"{file}: no such gallery; run book/experiment.ipynb first") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise GalleryError(f"{file}: cannot be read ({error}); run it again") from error
    schema = found.get("schema")
    if schema is None or schema != SCHEMA:
        raise GalleryError(f"{file}: schema {schema}, this version reads {SCHEMA}; run it again")
    try:
        columns = ("case", "label", "fixed", *(c for c in OPTIONAL if c in found))
        rows = pd.DataFrame({name: found[name] for name in columns})
        maps = {name: found[name] for name in MAPS if name in found}
        if "cam" in maps:
            maps["cam"] = maps["cam"].astype(np.float32) / 255
        _check(maps, len(rows))
        picked = dict(zip(found["title"].tolist(), found["at"].tolist(), strict=True))
        if not all(0 <= at < len(rows) for at in picked.values()):
            raise ValueError("a picked row is not there")
    except (KeyError, ValueError) as error:
        raise GalleryError(f"{file}: does not fit together ({error}); run it again") from error
    return Gallery(rows, maps, picked)


def load_all(root: str | Path, seed: int = 0) -> dict[str, Gallery]:
    """Every gallery of one seed under results/SOURCE/PROFILE, by the experiment's name, sorted.

    Raises GalleryError as `load`.

    >>> rows = pd.DataFrame({"case": ["a"], "label": [0]})
    >>> maps = dict.fromkeys(("image", "mask"), np.ones((1, 8, 8), np.uint8))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save(f"{folder}/mtl/seed0.gallery.npz", rows, maps)
    ...     galleries = load_all(folder)
    >>> list(galleries)
    ['mtl']
    """
    files = sorted(Path(root).glob(f"*/seed{seed}.gallery.npz"))
    return {file.parent.name: load(file) for file in files}


def drawn(
    figure: Callable[..., Any],
    galleries: Mapping[str, Gallery],
    names: Sequence[str],
    titles: Mapping[str, str],
) -> Any:
    """What `figure` makes of the galleries of these experiments, in this order.

    titles: experiment -> name to show. Raises ValueError if one has kept none, and as `figure`.

    >>> drawn(lambda *given: len(given), {}, ["mtl"], {"mtl": "MTL"})
    Traceback (most recent call last):
        ...
    ValueError: MTL has kept no pictures yet
    """
    if absent := [titles[name] for name in names if name not in galleries]:
        raise ValueError(f"{', '.join(absent)} has kept no pictures yet")
    return figure(*(galleries[name] for name in names))


# ------------------------------------------------------------------------------------------ details


def _check(arrays: Mapping[str, np.ndarray], rows: int) -> None:
    if missing := [name for name in ("image", "mask") if name not in arrays]:
        raise GalleryError(f"maps lack {', '.join(missing)}")
    for name, values in arrays.items():
        shape = (rows,) if name == "cls" else arrays["image"].shape
        if name == "cam":
            good = values.ndim == 3 and len(values) == rows
            good = good and values.min(initial=0) >= 0 and values.max(initial=0) <= 1
        else:
            good = values.shape == shape and len(values) == rows
            good = good and (name == "cls" or (values.dtype == np.uint8 and values.ndim == 3))
        if not good:
            raise GalleryError(
                f"{name} is {values.dtype} {values.shape}, which does not fit {rows} rows and "
                f"images of shape {arrays['image'].shape}"
            )


def _write(file: Path, **arrays: np.ndarray) -> Path:
    with replacing(file) as draft, open(draft, "wb") as target:  # given a name, NumPy may change it
        np.savez_compressed(target, **arrays)
    return file
