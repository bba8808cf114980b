"""Many pictures answered into a folder: a table, masks, overlays; resumable, and file by file."""

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from . import dicom, dicom_seg, inference, pictures
from .atomic import replacing
from .inference import Answer, Predictor
from .pictures import Picture, PictureError

TABLE = "predictions.csv"
COLOURS = ((0, 0, 0), (0, 158, 70), (213, 94, 0), (240, 228, 66))  # of mask values, as in the book
EVERY = 10.0  # seconds between two writings of the table: what a kill may cost
FRAME = re.compile(r"(?P<clip>.+)-\d{4,}")  # how the frames of a clip are named
TILES, TILE = 12, 240  # of a montage, and a tile's side in px


@dataclass
class Outcome:
    """What became of the pictures: rows of the table, and counts of files.

    answered: now; stood: from an earlier run; failed: the reasons by name; notes: on the whole.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    answered: int = 0
    stood: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def predict_folder(
    model: str | Path | Predictor,
    images: Sequence[str | Path],
    out: str | Path,
    *,
    engine: str = "auto",
    again: bool = False,
    log: Callable[[str], object] = print,
) -> Outcome:
    """Answer pictures, folders of them and DICOM clips with a kept network, into a folder.

    Writes `predictions.csv`, a row for each picture or frame; `masks/`, PNG in the picture's own
    size with the values 0 background, 1 benign, 2 malignant, 3 a nodule of no stated class;
    `overlays/`, the picture with the mask's outline; for a clip `montages/`; and for DICOM
    `segmentations/`, a DICOM-SEG that points to its images. Started again, it goes on: what stands
    there of the same network and the same file is not answered again. A file that cannot be read
    is a row with the reason, and the others go on. One process at a time writes into a folder.

    Args:
        model: a file of `lib.keep.save`, or a predictor.
        images: files and folders.
        out: the folder to write into; it may lie anywhere but is never read from.
        engine: "torch"; "onnx", some times as quick after some seconds of preparation; "auto"
            takes that for 500 pictures and more, or where it was prepared before.
        again: answer everything anew, and replace what stands there of another network.
        log: gets a line now and then.

    Raises:
        CheckpointError: the model is none.
        PictureError: a path is missing, or there is no picture at all.
        ValueError: an unknown engine, or `out` holds a table that is not of this function, has
            columns of somebody's own, or (without `again`) is of another network.
        OSError: `out` cannot be written, or another process is writing there.
    """
    if engine not in inference.ENGINES:
        raise ValueError(f"engine={engine!r}; use one of {', '.join(inference.ENGINES)}")
    out = Path(out)
    predictor = model if isinstance(model, Predictor) else inference.load(model)
    found = pictures.find(images, without=out)
    _refuse_one_target(found)
    with _alone(out):
        before = _standing(out / TABLE, predictor, again)
        done = Outcome(notes=pictures.passed_over(images, without=out))
        if other := sum(map(len, (rows for name, rows in before.items() if name not in found))):
            done.notes.append(
                f"{other} rows of pictures that were not named this time left {TABLE}; "
                "their masks stay"
            )
        _write_table(out / TABLE, [row for rows in before.values() for row in rows], predictor)
        left = dict(before)  # rows of what was not looked at yet: a kill must not cost them
        _choose(predictor, engine, len(found), done)
        log(f"{len(found)} files, network {predictor.file.name}, engine {predictor.engine}")
        begun = told = written = time.monotonic()
        for at, (name, file) in enumerate(found.items(), start=1):
            mark = _digest(file)
            rows = left.pop(name, [])
            if not again and rows and rows[0]["sha256"] == mark and _all_there(rows, out):
                done.stood += 1
            else:
                rows = _answer_file(predictor, name, file, mark, out, done)
            done.rows += rows
            now = time.monotonic()
            if now - written > EVERY:
                rest = [row for name in left if name in found for row in left[name]]
                _write_table(out / TABLE, [*done.rows, *rest], predictor)
                written = now
            if now - told > 2 or at == len(found):
                log(f"{at} of {len(found)} files, {now - begun:.0f} s")
                told = now
        _write_table(out / TABLE, done.rows, predictor)
        return done


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder, as long as this process lives; OSError if another one holds it."""
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        why = "another process is writing answers here: wait for it, or name another folder"
        raise OSError(errno.EBUSY, why, str(out)) from None
    except OSError:
        pass  # a disk without locks: nobody can be told
    try:
        yield
    finally:
        os.close(handle)


def _refuse_one_target(found: dict[str, Path]) -> None:
    """PictureError if two files would be answered into one: on some disks capitals are one, too."""
    owners: dict[str, str] = {}

    def refuse_if_other(name: str, target: str) -> None:
        if (other := owners.setdefault(target, name)) != name:
            raise PictureError(f"{other}, {name}: their masks would have one name; rename one")

    for name, file in found.items():
        refuse_if_other(name, f"masks/{_target(name)}"[:-4].lower())
        if dicom.is_dicom(file):
            refuse_if_other(name, f"segmentations/{_segmentation(name)}"[:-4].lower())
    for target in list(owners):
        frame = FRAME.fullmatch(target)
        clip = owners.get(frame["clip"]) if frame else None
        if clip is not None and _is_clip(found[clip]):
            refuse_if_other(clip, target)


def _is_clip(file: Path) -> bool:
    try:
        return dicom.is_dicom(file) and next(dicom.frames(file))[-1] > 1
    except (dicom.DicomError, PermissionError):
        return False  # is answered by the reason


def _choose(predictor: Predictor, engine: str, files: int, done: Outcome) -> None:
    if engine == "torch":
        predictor.plain()
        return
    quick = engine == "onnx" or (files >= inference.MANY or predictor.quick_already())
    if not quick or predictor.engine == "onnx":
        return
    try:
        predictor.quicken()
    except Exception as error:  # onnxruntime has errors of its own
        if engine == "onnx":
            raise
        done.notes.append(f"{dicom.first_line(error)}: torch answers, at its own speed")


def _answer_file(
    predictor: Predictor, name: str, file: Path, mark: str, out: Path, done: Outcome
) -> list[dict[str, Any]]:
    """The rows of one file; its other outputs are written before."""
    rows, shown, masks = [], [], []
    first: dict[str, Any] = {"image": name, "sha256": mark}
    try:
        for picture in pictures.read(file, name):
            answer = predictor.answer(picture)
            row = first | _row(picture, answer)
            row |= {part: f"{part}s/{_target(name, picture.frame)}" for part in ("mask", "overlay")}
            drawn = overlay(picture.grey, answer.mask)
            _write_picture(out / row["mask"], _indexed(answer.mask))
            _write_picture(out / row["overlay"], drawn)
            rows.append(row)
            masks.append(answer.mask)
            shown.append((f"{picture.frame}: {answer.name}", drawn.copy()))
            shown[-1][1].thumbnail((TILE, TILE))
        if rows and rows[0]["frames"] > 1:
            rows = [row | {"montage": f"montages/{_target(name)}"} for row in rows]
            _write_picture(out / rows[0]["montage"], montage(shown))
        if dicom.is_dicom(file):
            targets = [f"segmentations/{_segmentation(name, row['frame'])}" for row in rows]
            said = dicom_seg.write(file, masks, predictor, [out / target for target in targets])
            for row, target, why_not in zip(rows, targets, said, strict=True):
                row["segmentation"] = "" if why_not else target
            done.notes += [f"{name}: {why}" for why in dict.fromkeys(said) if "header" in why]
            done.notes += [why for why in said[:1] if "install" in why and why not in done.notes]
    except (PictureError, MemoryError) as error:
        done.failed[name] = str(error).removeprefix(f"{name}: ") or "not enough memory"
        return [first | {"error": done.failed[name]}]
    done.answered += 1
    return rows


def _target(name: str, frame: int = 0) -> str:
    """The PNG of a picture: a.png of a.png, a.jpg.png of a.jpg, c.dcm-0007.png of a frame."""
    if frame:
        return f"{name}-{frame:04d}.png"
    return name if name.lower().endswith(".png") else f"{name}.png"


def _segmentation(name: str, frame: int = 0) -> str:
    """The DICOM-SEG of a picture: c.dcm of c.dcm, c.ima.dcm of c.ima, c-0007.dcm of a frame."""
    short = name[:-4] if name.lower().endswith(".dcm") else name
    return f"{short}-{frame:04d}.dcm" if frame else f"{short}.dcm"


def _row(picture: Picture, answer: Answer) -> dict[str, Any]:
    height, width = picture.grey.shape
    row = {"frame": picture.frame, "frames": picture.frames, "class": answer.name}
    if answer.probability is not None:
        for name, value in zip(answer.classes, answer.probability, strict=True):
            row[f"p_{name}"] = round(float(value), 4)
    if "cls" in answer.tasks:
        row["class_T1"] = answer.classes[answer.tasks["cls"].argmax()]
    row |= {"width": width, "height": height, "nodule_pixels": int((answer.mask > 0).sum())}
    row |= {"areas": answer.areas, "contradiction": "; ".join(answer.contradictions)}
    return row | {"warning": "; ".join(answer.warnings)}


# ------------------------------------------------------------------------------------ what is drawn


def overlay(grey: np.ndarray, mask: np.ndarray) -> Image.Image:
    """The picture, uint8 (H, W), with the mask's outline in the colour of its class.

    >>> mask = np.pad(np.full((3, 3), 2, np.uint8), 3)
    >>> overlay(np.zeros((9, 9), np.uint8), mask).getpixel((3, 3))
    (213, 94, 0)
    """
    rgb = np.repeat(grey[..., None], 3, axis=2)
    wide = max(1, round(min(grey.shape) / 150))
    inner = ndimage.binary_erosion(mask > 0, iterations=wide)
    edge = (mask > 0) & ~inner
    rgb[edge] = np.array(COLOURS, np.uint8)[mask[edge]]
    return Image.fromarray(rgb)


def montage(frames: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """At most 12 frames, evenly spaced, each with its words above it.

    >>> montage([("1: benign", Image.new("RGB", (240, 240)))] * 5).size
    (960, 520)
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(TILES, len(frames))).round().astype(int))
    columns = min(4, len(chosen))
    rows, head = -(-len(chosen) // columns), 20
    sheet = Image.new("RGB", (columns * TILE, rows * (TILE + head)), (0, 0, 0))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for at, number in enumerate(chosen):
        words, picture = frames[number]
        x, y = at % columns * TILE, at // columns * (TILE + head)
        pen.text((x + 4, y + 3), words, fill=(255, 255, 255), font=font)
        sheet.paste(picture, (x + (TILE - picture.width) // 2, y + head))
    return sheet


def _indexed(mask: np.ndarray) -> Image.Image:
    """A PNG of class numbers that viewers show in the colours of the classes."""
    picture = Image.fromarray(mask).convert("P")
    picture.putpalette([level for colour in COLOURS for level in colour])
    return picture


# ---------------------------------------------------------------------------------- what is written


def _write_picture(file: Path, picture: Image.Image) -> None:
    with replacing(file) as draft:
        picture.save(draft, format="PNG")


def _columns(predictor: Predictor) -> list[str]:
    scores = [f"p_{name}" for name in predictor.classes]
    return [
        "image", "frame", "frames", "class", *scores, "class_T1", "contradiction", "warning",
        "nodule_pixels", "areas", "width", "height", "mask", "overlay", "montage", "segmentation",
        "error", "sha256", "model",
    ]  # fmt: skip


def _write_table(file: Path, rows: Sequence[dict[str, Any]], predictor: Predictor) -> None:
    table = pd.DataFrame(rows, columns=_columns(predictor)).assign(model=predictor.mark)
    for name in ("frame", "frames", "nodule_pixels", "areas", "width", "height"):
        table[name] = table[name].astype("Int64")
    with replacing(file) as draft:
        # A name from another machine may not be UTF-8: one file must not cost the others' table.
        table.to_csv(draft, index=False, errors="backslashreplace")


def _standing(file: Path, predictor: Predictor, again: bool) -> dict[str, list[dict[str, Any]]]:
    """The rows of an earlier run of the same network, by image; those without an answer not."""
    if not file.exists():
        return {}
    try:
        kinds = {"sha256": str, "model": str, "image": str}
        # Only what is empty is missing: a picture may be called NA
        table = pd.read_csv(file, dtype=kinds, keep_default_na=False, na_values=[""])
        if absent := {*kinds, "mask", "overlay", "montage", "segmentation", "error"} - set(table):
            raise KeyError(f"no column {min(absent)}")
        others = sorted({*table["model"].dropna()} - {predictor.mark})
        ours = {*_columns(predictor)}  # another network may know other classes
        own = [name for name in table if name not in ours and not name.startswith("p_")]
        table = table[(table["model"] == predictor.mark) & table["error"].isna()]
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        found: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(row["image"], []).append(row)
        whole = {name: part for name, part in found.items() if len(part) == int(part[0]["frames"])}
    except Exception as error:  # any program may have written it
        raise ValueError(
            f"{file.name}: is no table of this program ({type(error).__name__}); name another "
            "folder, or move it away"
        ) from error
    if others and not again:
        raise ValueError(
            f"{file.name}: holds answers of another network ({', '.join(others)}, here "
            f"{predictor.mark}); name another folder, or replace them all (--again, again=True)"
        )
    if own:
        raise ValueError(
            f"{file.name}: has the column {own[0]!r}, which is not of this program and would be "
            "lost; keep your own columns in another file"
        )
    return whole


def _all_there(rows: Sequence[dict[str, Any]], out: Path) -> bool:
    files = [row[key] for row in rows for key in ("mask", "overlay", "montage", "segmentation")]
    return all((out / file).is_file() for file in files if file)


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    except OSError:
        return ""  # the reading says why


__all__ = ["Outcome", "montage", "overlay", "predict_folder"]
