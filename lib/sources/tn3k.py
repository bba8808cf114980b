"""TN3K: 3493 thyroid ultrasound images with nodule masks and an official test set.

H. Gong et al., Computers in Biology and Medicine 155 (2023) 106389,
doi:10.1016/j.compbiomed.2022.106389. See data/tn3k.md.
"""

import json
from pathlib import Path

import pandas as pd

from ..cases import CaseError, Problem, Region
from . import layout

PARTS = ("trainval", "test")
CLASS = {"0": "benign", "1": "malignant"}
FOLDS = 5


def read(root: str | Path | None = None, *, fold: int | None = 0) -> pd.DataFrame:
    """Read TN3K as published: {trainval,test}-{image,mask}/, label4*.csv, the fold files.

    The numbers in the fold files are positions in the list of trainval images sorted by number.
    Masks are JPEG, with values between 0 and 255 along the edges: `lib.cases.decode` takes 128 and
    above as nodule.

    Args:
        root: folder with the four folders (or its parent tn3k/).
        fold: 0..4, whose validation images to take; None for no `split` column, so that
            `lib.cases.split_cases` draws one from all images, the official test set included.

    Returns:
        The case table; `official` is "trainval" or "test", and `split` the official train, valid
        and test sets. Without the fold file, every fifth trainval image is for validation. `label`
        is None where there is no label file. No patient numbers: each image is its own `group`.

    Raises:
        CaseError: a folder is missing; a fold file does not fit the images, or a label file
            names an image twice.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for part in PARTS:
    ...         for kind in ("image", "mask"):
    ...             Path(folder, f"{part}-{kind}").mkdir()
    ...             Path(folder, f"{part}-{kind}", "0000.jpg").touch()
    ...     labels = pd.DataFrame([["0000.jpg", 1]])
    ...     labels.to_csv(f"{folder}/label4test.csv", index=False, header=False)
    ...     cases = read(folder)
    >>> cases[["case", "label", "split"]].values.tolist()
    [['trainval-0000', None, 'valid'], ['test-0000', 'malignant', 'test']]
    """
    if fold is not None and (type(fold) is not int or fold not in range(FOLDS)):
        raise CaseError(f"tn3k: fold={fold!r}; there are 0 to {FOLDS - 1}, or None")
    needed = [f"{part}-{kind}/" for part in PARTS for kind in ("image", "mask")]
    root = layout.find_root("tn3k", root, needed, inner=("tn3k",))
    rows, problems = [], []
    for part in PARTS:
        images = layout.pictures(root / f"{part}-image")
        masks = {path.stem: path for path in layout.pictures(root / f"{part}-mask")}
        labels = _labels(root / f"label4{part}.csv")
        split = ["test"] * len(images) if part == "test" else _split(root, fold, len(images))
        for path, place in zip(images, split, strict=True):
            name = f"{part}-{path.stem}"
            label = labels.pop(path.name, None)
            mask = masks.pop(path.stem, None)
            rows.append(
                {
                    "case": name,
                    "image": str(path),
                    "mask": (Region(str(mask)),) if mask else (),
                    "label": CLASS.get(label, label),
                    "group": name,
                    "crop": None,
                    "official": part,
                }
                | ({} if fold is None else {"split": place})
            )
        problems += [
            Problem(f"{part}-{stem}", str(path), "a mask without its image")
            for stem, path in masks.items()
        ]
        problems += [
            Problem(f"{part}-{name}", str(root / f"label4{part}.csv"), f"no image {name}")
            for name in labels
        ]
    return layout.case_table("tn3k", root, rows, problems)


def _labels(path: Path) -> dict[str, str]:
    """Label of each file name; empty if there is no such csv (it has no header)."""
    if not path.exists():
        return {}
    table = layout.read_csv(path, ("image", "label"), header=False)
    again = table["image"].duplicated()
    if again.any():
        name = table["image"][again].iloc[0]
        raise CaseError(f"{path}: names {name} more than once; which label is it to have?")
    return dict(zip(table["image"], table["label"], strict=True))


def _split(root: Path, fold: int | None, count: int) -> list[str]:
    """train or valid for each of the `count` trainval images in their sorted order."""
    path = root / f"tn3k-trainval-fold{fold}.json"
    if fold is None or not path.exists():
        return ["valid" if at % FOLDS == fold else "train" for at in range(count)]
    try:
        text = path.read_text(encoding="utf-8")
        train, valid = (list(map(int, json.loads(text)[key])) for key in ("train", "val"))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CaseError(
            f'{path}: not of the form {{"train": [0, 1, ...], "val": [...]}} ({error!r})'
        ) from error
    if sorted(train + valid) != list(range(count)):
        raise CaseError(
            f"{path}: train and val must name each of the {count} images of trainval-image/ once, "
            f"by its position from 0; they name {len(train)} and {len(valid)}, up to "
            f"{max(train + valid, default=0)}. Is an image missing, or not from TN3K?"
        )
    held_out = set(valid)
    return ["valid" if at in held_out else "train" for at in range(count)]
