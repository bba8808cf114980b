"""A folder of your own images: images/, masks/ and labels.csv. See data/folder.md."""

import hashlib
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from .. import dicom
from ..cases import LABELS, SPLITS, CaseError, Problem, Region
from . import layout

COLUMNS = ("image", "label", "patient", "split", "case")
LONGEST = 200  # characters of a name in labels.csv; file systems end at 255 bytes


def read(root: str | Path | None = None) -> pd.DataFrame:
    """Read a user's own images.

    `masks/` holds, for `images/a.jpg`, `a` with any picture suffix, and any number of `a_mask*`:
    the union is the nodule. White (128 and above) is nodule. `labels.csv` has the columns
    `image` (file name or stem), `label` (benign, malignant, normal, both, or empty for
    segmentation only) and, if known, `patient` and `split` (train, valid, test).

    A case labelled "both" needs one mask per nodule, `a_mask_benign*` and `a_mask_malignant*`.
    Images may be DICOM stills (.dcm): they are cropped to their ultrasound regions, if the file
    states them.

    Results hold the names of cases and groups, so these are numbers here, `case1` and `patient1`,
    given in an order that does not follow the names; the file is in the column `image`. Whoever
    wants names of their own in the results writes them into a column `case` of labels.csv.

    Args:
        root: the folder.

    Returns:
        The case table, in the order of its numbers; `group` is a number for the patient, or the
        case where none is given. A complete `split` column is kept. Images that labels.csv does
        not name are unlabelled.

    Raises:
        CaseError: a folder, file or column is missing or unknown, a label is unknown, a name is
            too long, a split or a case name is given for some images only.

    >>> from tempfile import TemporaryDirectory
    >>> labels = pd.DataFrame({"image": ["a.png"], "label": ["benign"], "patient": ["J. Doe"]})
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("images", "masks"):
    ...         Path(folder, name).mkdir()
    ...         Path(folder, name, "a.png").touch()
    ...     labels.to_csv(f"{folder}/labels.csv", index=False)
    ...     cases = read(folder)
    >>> cases[["case", "label", "group"]].iloc[0].tolist()
    ['case1', 'benign', 'patient1']
    """
    root = layout.find_root("folder", root, ("images/", "masks/", "labels.csv"))
    images = _images(root / "images")
    facts, problems = _facts(root / "labels.csv", images)
    masks, strays = _masks(root / "masks", images)
    problems += strays
    patients = _numbers("patient", (f["patient"] for f in facts.values() if f.get("patient")))
    numbers = _numbers("case", images)
    rows = []
    for stem in sorted(images, key=lambda stem: int(numbers[stem].removeprefix("case"))):
        image, fact = images[stem], facts.get(stem, {})
        name = fact.get("case") or numbers[stem]
        if not fact:
            problems.append(
                Problem(
                    name,
                    str(image),
                    f"not named in {root / 'labels.csv'}: unlabelled, used for segmentation only",
                    left_out=False,
                )
            )
        label = fact.get("label") or None
        crop, found = _crop(name, image)
        problems += found
        if any(problem.left_out for problem in found):
            continue
        rows.append(
            {
                "case": name,
                "image": str(image),
                "mask": tuple(
                    Region(str(mask), _nodule(mask.stem, stem) if label == "both" else None)
                    for mask in masks.get(stem, ())
                ),
                "label": label,
                "group": patients.get(fact.get("patient"), numbers[stem]),
                "crop": crop,
                "split": fact.get("split", "").lower(),
            }
        )
    rows = _with_split(rows, root / "labels.csv")
    return layout.case_table("folder", root, rows, problems)


def _images(folder: Path) -> dict[str, Path]:
    """The pictures by their stems."""
    images: dict[str, Path] = {}
    for path in layout.pictures(folder, (*layout.PICTURES, *dicom.SUFFIXES)):
        if path.stem in images:  # they would share one mask
            raise CaseError(
                f"{folder}: {images[path.stem].name} and {path.name} have one stem, "
                f"{path.stem!r}, so nobody can say whose its mask is; rename one"
            )
        images[path.stem] = path
    return images


def _facts(path: Path, images: dict[str, Path]) -> tuple[dict[str, dict], list[Problem]]:
    """What labels.csv says, by the image's stem."""
    table = layout.read_csv(path, ("image", "label"))
    unknown = [column for column in table if column not in COLUMNS]
    if unknown:
        raise CaseError(
            f"{path}: unknown column {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(COLUMNS)}"
        )
    by_name = {image.name: image for image in images.values()}
    problems: list[Problem] = []
    facts: dict[str, dict[str, str]] = {}
    for number, row in enumerate(table.to_dict("records"), start=2):
        name = row["image"]
        for column, value in row.items():
            if len(value) > LONGEST or _is_hostile(value, shown=column == "case"):
                raise CaseError(
                    f"{path}: row {number}, column {column!r}: {value[:40]!r} ({len(value)} "
                    f"characters) is no name: at most {LONGEST}, and none that cannot be printed"
                )
        image = by_name.get(name) or images.get(name)
        if image is None:
            what = f"row {number} names {name!r}, which is not in images/"
            problems.append(Problem(f"row {number}", str(path), what))
            continue
        if image.stem in facts:
            raise CaseError(f"{path}: row {number} names {name} a second time")
        row["label"] = row["label"].lower()
        if row["label"] and row["label"] not in LABELS:
            raise CaseError(
                f"{path}: row {number} ({name}) has the label {row['label']!r}; known are "
                f"{', '.join(LABELS)}, or nothing (unlabelled)"
            )
        facts[image.stem] = row
    if "case" in table:
        named = [facts.get(stem, {}).get("case", "") for stem in images]
        if any(named) and not all(named):
            bare = next(p for p, name in zip(images.values(), named, strict=True) if not name)
            raise CaseError(f"{path}: {bare.name} has no case; name each image there, or none")
    return facts, problems


def _is_hostile(value: str, shown: bool) -> bool:
    """Control characters anywhere; marks that turn the reading, too, in what pages may show."""
    return any(unicodedata.category(c) == "Cc" for c in value) or (
        shown and not value.isprintable()
    )


def _masks(folder: Path, images: dict[str, Path]) -> tuple[dict[str, list[Path]], list[Problem]]:
    """The masks by the stem of the image that they belong to."""
    masks: dict[str, list[Path]] = {}
    problems = []
    for mask in layout.pictures(folder):
        owner = _owner(mask.stem, images)
        if owner is None:
            what = "a mask without its image in images/"
            problems.append(Problem(mask.stem, str(mask), what))
        else:
            masks.setdefault(owner, []).append(mask)
    return masks, problems


def _crop(name: str, image: Path) -> tuple[tuple[int, int, int, int] | None, list[Problem]]:
    """The ultrasound regions of a DICOM file; what is burned in around them is cut off."""
    if not dicom.is_dicom(image):
        return None, []
    try:
        crop = dicom.read_head(image).crop
    except (dicom.DicomError, OSError) as error:
        return None, [Problem(name, str(image), str(error))]
    if crop:
        return crop, []
    what = (
        "states no ultrasound region, so nothing is cropped: look whether a name or a measure is "
        "burned into the picture"
    )
    return None, [Problem(name, str(image), what, left_out=False)]


def _numbers(kind: str, names: Iterable[str]) -> dict[str, str]:
    """A number for each name, in an order that a digest gives: it does not follow the names."""
    order = sorted(
        set(names), key=lambda name: hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    )
    return {name: f"{kind}{number}" for number, name in enumerate(order, start=1)}


def _owner(stem: str, images: dict[str, Path]) -> str | None:
    """The image a mask belongs to: the same stem, or that before the last `_mask`."""
    if stem in images:
        return stem
    name, mark, _ = stem.rpartition("_mask")
    return name if mark and name in images else None


def _nodule(mask: str, image: str) -> str | None:
    """The class that the name of a mask gives, as in `a_mask_benign_2`."""
    rest = mask[len(image) :].removeprefix("_mask").lstrip("_")
    return next((label for label in ("benign", "malignant") if rest.startswith(label)), None)


def _with_split(rows: list[dict], path: Path) -> list[dict]:
    """The rows, without `split` where the table gives none; a gap in it is an error."""
    given = [row for row in rows if row["split"]]
    if not given:
        return [{key: row[key] for key in row if key != "split"} for row in rows]
    for row in rows:
        if row["split"] not in SPLITS:
            raise CaseError(
                f"{path}: split of {row['image']} is {row['split']!r}; where one image has a "
                f"split, each needs {', '.join(SPLITS[:-1])} or {SPLITS[-1]}"
            )
    return rows
