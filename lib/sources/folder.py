"""A folder of your own images: images/, masks/ and labels.csv. See data/folder.md."""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .. import dicom
from ..cases import CLASSES, LABELS, SPLITS, CaseError, Problem, Region
from . import layout
from .match import Images, Match

COLUMNS = ("image", "label", "patient", "split", "case")
LONGEST = 200  # characters of a name in labels.csv; file systems end at 255 bytes
PICTURES = (*layout.PICTURES, ".gif", ".jfif", ".pgm", ".ppm", ".pbm", ".pnm", ".jp2")
ENDINGS = (*PICTURES, *dicom.SUFFIXES)
UNLABELLED = ("unlabelled", "unlabeled")
NOBODY = ("nan", "none", "null", "unknown", "anonymous", "n/a", "na", "-", "--", "?")
EVERY = "*"  # in place of an image's name: all that no other row names
MASK = re.compile(r"(?P<image>.+)_mask_*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
SHOWN = 5  # rows that an error lists


def read(root: str | Path | None = None) -> pd.DataFrame:
    """Read a user's own images.

    `images/` and `masks/` may have subfolders. `masks/` holds, for `images/a.jpg`, `a` with any
    picture suffix, and any number of `a_mask*`: the union is the nodule. White (128 and above) is
    nodule. `labels.csv` has the columns `image` (file name or stem), `label` (benign, malignant,
    normal, both, or unlabelled for segmentation only) and, if known, `patient` and `split` (train,
    valid, test). The image `*` stands for all that no other row names.

    A case labelled "both" needs one mask per nodule, `a_mask_benign*` and `a_mask_malignant*`.
    Images may be DICOM stills (.dcm, .ima, or with no ending): they are cropped to their
    ultrasound regions, if the file states them.

    Names are matched as `lib.sources.match` does; where that takes more than the file's own name
    or stem, a note says so.

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
            too long or means several images, most rows name no image, no image has a label and
            nobody wrote `unlabelled`, a split or a case name is given for some images only.

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
    images, problems = _images(root / "images")
    names = Images(images, ENDINGS)
    facts, asked, found = _facts(root / "labels.csv", images, names)
    problems += found
    masks, found = _masks(root / "masks", names)
    problems += found
    problems += _patient_notes(root / "labels.csv", facts)
    patients = _numbers("patient", (f["patient"] for f in facts.values() if f.get("patient")))
    numbers = _numbers("case", images)
    rows = []
    for key in sorted(images, key=lambda key: int(numbers[key].removeprefix("case"))):
        image, fact = images[key], facts.get(key, {})
        name = fact.get("case") or numbers[key]
        label = fact.get("label") or None
        if label in UNLABELLED:
            label = None
        elif label is None and not (asked and not fact):
            lack = "has no label" if fact else "not named"
            what = f"{lack} in {root / 'labels.csv'}: unlabelled, used for segmentation only"
            problems.append(Problem(name, str(image), what, left_out=False))
        crop, found = _crop(name, image)
        problems += found
        if any(problem.left_out for problem in found):
            continue
        rows.append(
            {
                "case": name,
                "image": str(image),
                "mask": tuple(
                    Region(str(mask), _nodule(mask) if label == "both" else None)
                    for mask in masks.get(key, ())
                ),
                "label": label,
                "group": patients.get(fact.get("patient"), numbers[key]),
                "crop": crop,
                "split": fact.get("split", "").lower(),
            }
        )
    problems += _other_class(root / "masks", rows)
    rows = _with_split(rows, root / "labels.csv")
    return layout.case_table("folder", root, rows, problems)


def _images(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """The pictures by their paths inside the folder, without the ending."""
    images: dict[str, Path] = {}
    pictures, problems = pictures_in(folder)
    for path in pictures:
        key = _key(path, folder)
        if key in images:  # they would share one mask
            raise CaseError(
                f"{folder}: {images[key].name} and {path.name} have one stem, "
                f"{key!r}, so nobody can say whose its mask is; rename one"
            )
        images[key] = path
    inner = [path for path in pictures if path.parent != folder]
    if inner:
        what = f"{len(inner)} of {len(images)} images lie in subfolders, such as {inner[0]}"
        problems.append(Problem(folder.name, str(folder), what, left_out=False))
    return images, problems


def pictures_in(folder: Path, without: Path | None = None) -> tuple[list[Path], list[Problem]]:
    """The pictures under a folder; and a note for each kind of file that is none.

    What lies in the folder `without` is none of both.
    """
    pictures, others = [], defaultdict(list)
    inner = without.resolve() if without else None
    for path in layout.files(folder):
        if inner and path.resolve().is_relative_to(inner):
            continue
        if path.suffix.lower() in ENDINGS or dicom.is_dicom(path):
            pictures.append(path)
        else:
            others[path.suffix.lower()].append(path)
    notes = []
    for ending, files in others.items():
        more = f", like {len(files) - 1} more files" * (len(files) > 1)
        why = f"{ending} is no picture that is read" if ending else "no ending, and not DICOM"
        what = f"passed over{more}: {why}"
        notes.append(Problem(files[0].name, str(files[0]), what, left_out=False))
    return pictures, notes


def _key(path: Path, folder: Path) -> str:
    key = path.as_posix().removeprefix(f"{folder.as_posix()}/")
    ending = path.suffix
    return key[: -len(ending)] if ending.lower() in ENDINGS else key


def _facts(
    path: Path, images: dict[str, Path], names: Images
) -> tuple[dict[str, dict], bool, list[Problem]]:
    """What labels.csv says, by the image's key; and whether the rest is to be unlabelled."""
    table = layout.read_csv(path, ("image", "label"), optional=COLUMNS)
    unknown = [column for column in table if column not in COLUMNS]
    if unknown:
        raise CaseError(
            f"{path}: unknown column {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(COLUMNS)}"
        )
    facts: dict[str, dict[str, str]] = {}
    missing: list[Problem] = []
    asked = False
    ways: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for number, given in zip(table.attrs["numbers"], table.to_dict("records"), strict=True):
        row = _row(given, f"{path}: row {number}")
        name = row["image"]
        if name == EVERY and row["label"] in UNLABELLED:
            asked = True
            continue
        try:
            match = names.find(name)
        except CaseError as error:
            raise CaseError(f"{path}: row {number}: {error}") from None
        if match is None:
            what = f"row {number} names {name!r}, which is not in images/"
            missing.append(Problem(f"row {number}", str(path), what))
            continue
        if match.key in facts:
            raise CaseError(f"{path}: row {number} names {name} a second time")
        if match.how:
            ways[match.how].append(f"row {number}, {name!r}, is {images[match.key].name}")
        facts[match.key] = row
    if images and 2 * len(missing) > len(table):
        raise CaseError(_no_match(path, missing, len(table), images))
    if images and not (asked or any(row["label"] for row in facts.values())):
        raise CaseError(
            f"{path}: no image has a label ({len(table)} rows). Each needs one of "
            f"{', '.join(LABELS)}; to train the segmentation only, write `{EVERY},{UNLABELLED[0]}` "
            "below the header"
        )
    if "case" in table:
        _require_all_named_or_none(path, facts, images)
    notes = [f"{note}: look whether the names are right" for note in table.attrs["notes"]]
    notes += [_matched(how, rows) for how, rows in ways.items()]
    return facts, asked, missing + [Problem(path.name, str(path), n, left_out=False) for n in notes]


def _row(row: dict[str, str], place: str) -> dict[str, str]:
    """A row as it is meant: label in small letters, one spelling of the patient."""
    for column, value in row.items():
        if len(value) > LONGEST or _is_hostile(value, shown=column == "case"):
            raise CaseError(
                f"{place}, column {column!r}: {value[:40]!r} ({len(value)} characters) is no name: "
                f"at most {LONGEST}, and none that cannot be printed"
            )
    row = row | {"label": row["label"].lower()}
    if "patient" in row:
        row["patient"] = _one_spelling(row["patient"])
    if row["label"] and row["label"] not in (*LABELS, *UNLABELLED):
        raise CaseError(
            f"{place} ({row['image']}) has the label {row['label']!r}; known are "
            f"{', '.join(LABELS)}, or {UNLABELLED[0]}"
        )
    return row


def _require_all_named_or_none(
    path: Path, facts: dict[str, dict[str, str]], images: dict[str, Path]
) -> None:
    named = [facts.get(key, {}).get("case", "") for key in images]
    if any(named) and not all(named):
        bare = next(p for p, name in zip(images.values(), named, strict=True) if not name)
        raise CaseError(f"{path}: {bare.name} has no case; name each image there, or none")


def _one_spelling(name: str) -> str:
    """A name however its accents, blanks and unseen characters are stored."""
    seen = (c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return " ".join("".join(seen).split())


def _no_match(path: Path, missing: list[Problem], rows: int, images: dict[str, Path]) -> str:
    shown = [f"\n  {problem.what}" for problem in missing[:SHOWN]]
    more = f"\n  ... and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    there = ", ".join(image.name for image in list(images.values())[:SHOWN])
    return (
        f"{path}: {len(missing)} of {rows} rows name no image that is there.{''.join(shown)}{more}"
        f"\n  images/ holds {len(images)} images{f', such as {there}' if there else ''}. A row is "
        "matched by the name alone: folder, ending, capitals and form of Unicode may differ"
    )


def _matched(how: tuple[str, ...], whose: list[str]) -> str:
    """One note for all that were matched in one way: there may be thousands."""
    return f"{len(whose)} matched {' and '.join(how)}, such as {whose[0]}"


def _is_hostile(value: str, shown: bool) -> bool:
    """Control characters anywhere; marks that turn the reading, too, in what pages may show."""
    if value.isprintable():
        return False
    return shown or any(unicodedata.category(character) == "Cc" for character in value)


def _masks(folder: Path, names: Images) -> tuple[dict[str, list[Path]], list[Problem]]:
    """The masks by the key of the image that they belong to."""
    masks: dict[str, list[Path]] = {}
    pictures, problems = pictures_in(folder)
    stems: dict[str, Path] = {}
    for mask in pictures:
        if (other := stems.setdefault(_key(mask, folder), mask)) != mask:
            raise CaseError(
                f"{folder}: {other.name} and {mask.name} have one stem, so nobody can say which of "
                "them is the mask; keep one"
            )
    ways: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for mask in pictures:
        try:
            owner = _owner(_key(mask, folder), names)
        except CaseError as error:
            problems.append(Problem(mask.stem, str(mask), f"a mask of which image? {error}"))
            continue
        if owner is None:
            what = "a mask without its image in images/"
            problems.append(Problem(mask.stem, str(mask), what))
            continue
        if owner.how:
            ways[owner.how].append(f"{mask.name} for {owner.key}")
        masks.setdefault(owner.key, []).append(mask)
    notes = [_matched(how, rows) for how, rows in ways.items()]
    if several := {key: files for key, files in masks.items() if len(files) > 1}:
        key, files = next(iter(several.items()))
        shown = ", ".join(file.relative_to(folder).as_posix() for file in files[:SHOWN])
        notes.append(
            f"{len(several)} images have several masks, which are united, such as {key}: {shown}. "
            "Right for several nodules; wrong for older versions, or two readers, of one"
        )
    return masks, problems + [Problem(folder.name, str(folder), n, left_out=False) for n in notes]


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


def _owner(mask: str, names: Images) -> Match | None:
    """The image a mask belongs to: the same stem, or that before the last `_mask`."""
    found = names.find(mask)
    named = MASK.match(mask)
    return names.find(named["image"]) if found is None and named else found


def _nodule(mask: Path) -> str | None:
    """The class that the name of a mask gives, as in `a_mask_benign_2`."""
    named = MASK.match(mask.stem)
    rest = named["rest"].lower() if named else ""
    return next((label for label in ("benign", "malignant") if rest.startswith(label)), None)


def _other_class(folder: Path, rows: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """One note for all masks whose names give another class than their images have."""
    other = [
        f"{Path(region.outline).name} is read as {row['label']}"
        for row in rows
        if row["label"] in CLASSES
        for region in row["mask"]
        if _nodule(Path(region.outline)) not in (None, row["label"])
    ]
    if not other:
        return []
    what = f"{len(other)} masks are named after the other class than their images: {other[0]}"
    return [Problem(folder.name, str(folder), what, left_out=False)]


def _patient_notes(path: Path, facts: Mapping[str, Mapping[str, str]]) -> list[Problem]:
    """Notes on what lets one patient count as two, or two as one."""
    named = [fact["patient"] for fact in facts.values() if "patient" in fact]
    notes = []
    if bare := named.count(""):
        notes.append(
            f"{bare} of {len(named)} images in it have no patient: each counts as one of its own"
        )
    fillers = Counter(name for name in named if name.casefold() in NOBODY)
    for filler, images in fillers.items():
        if images > 1:
            notes.append(
                f"{images} images have the patient {filler!r}: if that is nobody's name, leave it "
                "empty, for they count as one patient"
            )
    spelled: dict[str, dict[str, str]] = defaultdict(dict)  # an image of each spelling
    for key, fact in facts.items():
        if name := fact.get("patient", ""):
            spelled[_roughly(name)].setdefault(name, key)
    if alike := [list(shown.values()) for shown in spelled.values() if len(shown) > 1]:
        notes.append(  # a note names images, never a patient
            f"{len(alike)} patients differ from others by capitals, blanks or zeros alone, and "
            "count as patients of their own, such as those of "
            f"{' and '.join(alike[0][:2])}: write each in one way"
        )
    return [Problem(path.name, str(path), note, left_out=False) for note in notes]


def _roughly(name: str) -> str:
    """A patient's name as a spreadsheet or a hurried hand may have changed it.

    >>> _roughly("Doe 007"), _roughly("doe7.0")
    ('doe7', 'doe7')
    """
    name = re.sub(r"\s|\.0+$", "", name.casefold())
    return re.sub(r"(?<!\d)0+(?=\d)", "", name)


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
