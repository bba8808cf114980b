"""A folder of your own images: images/, masks/ and labels.csv. See data/folder.md."""

from pathlib import Path

import pandas as pd

from ..cases import LABELS, SPLITS, CaseError, Problem, Region
from . import layout

COLUMNS = ("image", "label", "patient", "split")


def read(root: str | Path | None = None) -> pd.DataFrame:
    """Read a user's own images.

    `masks/` holds, for `images/a.jpg`, `a` with any picture suffix, and any number of `a_mask*`:
    the union is the nodule. White (128 and above) is nodule. `labels.csv` has the columns
    `image` (file name or stem), `label` (benign, malignant, normal, both, or empty for
    segmentation only) and, if known, `patient` and `split` (train, valid, test).

    A case labelled "both" needs one mask per nodule, `a_mask_benign*` and `a_mask_malignant*`.

    Args:
        root: the folder.

    Returns:
        The case table; `group` is the patient, or the image where none is given. A complete
        `split` column is kept. Images that labels.csv does not name are unlabelled.

    Raises:
        CaseError: a folder, file or column is missing or unknown, a label is unknown, a split is
            given for some images only.

    >>> from tempfile import TemporaryDirectory
    >>> labels = pd.DataFrame({"image": ["a.png"], "label": ["benign"], "patient": ["p7"]})
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("images", "masks"):
    ...         Path(folder, name).mkdir()
    ...         Path(folder, name, "a.png").touch()
    ...     labels.to_csv(f"{folder}/labels.csv", index=False)
    ...     cases = read(folder)
    >>> cases[["case", "label", "group"]].iloc[0].tolist()
    ['a', 'benign', 'p7']
    """
    root = layout.find_root("folder", root, ("images/", "masks/", "labels.csv"))
    path = root / "labels.csv"
    table = layout.read_csv(path, ("image", "label"))
    unknown = [column for column in table if column not in COLUMNS]
    if unknown:
        raise CaseError(
            f"{path}: unknown column {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(COLUMNS)}"
        )
    images = layout.pictures(root / "images")
    by_name = {image.name: image for image in images}
    by_stem: dict[str, list[Path]] = {}
    for image in images:
        by_stem.setdefault(image.stem, []).append(image)
    for stem, same in by_stem.items():
        if len(same) > 1:  # they would share one mask
            raise CaseError(
                f"{root / 'images'}: {' and '.join(p.name for p in same)} have one stem, {stem!r}, "
                "so nobody can say whose its mask is; rename one"
            )

    problems: list[Problem] = []
    facts: dict[str, dict[str, str]] = {}
    for number, row in enumerate(table.to_dict("records"), start=2):
        name = row["image"]
        image = by_name.get(name) or next(iter(by_stem.get(name, ())), None)
        if image is None:
            problems.append(
                Problem(
                    name, str(root / "images" / name), f"named in {path}, row {number}: missing"
                )
            )
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

    masks: dict[str, list[Path]] = {}
    for mask in layout.pictures(root / "masks"):
        owner = _owner(mask.stem, by_stem)
        if owner is None:
            problems.append(Problem(mask.stem, str(mask), "a mask without its image in images/"))
        else:
            masks.setdefault(owner, []).append(mask)

    rows = []
    for image in images:
        fact = facts.get(image.stem, {})
        if not fact:
            problems.append(
                Problem(
                    image.stem,
                    str(image),
                    f"not named in {path}: unlabelled, used for segmentation only",
                    left_out=False,
                )
            )
        label = fact.get("label") or None
        rows.append(
            {
                "case": image.stem,
                "image": str(image),
                "mask": tuple(
                    Region(str(mask), _nodule(mask.stem, image.stem) if label == "both" else None)
                    for mask in masks.get(image.stem, ())
                ),
                "label": label,
                "group": fact.get("patient") or image.stem,
                "crop": None,
                "split": fact.get("split", "").lower(),
            }
        )
    return layout.case_table("folder", root, _with_split(rows, path), problems)


def _owner(stem: str, images: dict[str, list[Path]]) -> str | None:
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
