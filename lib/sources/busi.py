"""BUSI: 780 breast ultrasound images, benign, malignant and normal.

W. Al-Dhabyani, M. Gomaa, H. Khaled and A. Fahmy, Data in Brief 28 (2020) 104863,
doi:10.1016/j.dib.2019.104863. See data/busi.md.
"""

import re
from pathlib import Path

import pandas as pd

from ..cases import CaseError, Problem, Region, decode
from . import layout

FOLDERS = ("benign", "malignant", "normal")
MASK = re.compile(r"(?P<name>.+)_mask(_\d+)?")


def read(root: str | Path | None = None) -> pd.DataFrame:
    """Read BUSI as published: `benign/benign (1).png`, its mask `benign (1)_mask.png`, and
    `_mask_1.png`, `_mask_2.png`, ... where there are further lesions (the union is taken).

    Args:
        root: folder with benign/, malignant/ and normal/ (or its parent Dataset_BUSI_with_GT/).

    Returns:
        The case table. There are no patient numbers: each image is its own `group`, until
        `lib.cases.group_near_duplicates` joins those that show the same picture.

    Raises:
        CaseError: a folder is missing, or no image is found.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in FOLDERS:
    ...         Path(folder, name).mkdir()
    ...         Path(folder, name, f"{name} (1).png").touch()
    ...     Path(folder, "benign", "benign (1)_mask.png").touch()
    ...     cases = read(folder)
    >>> cases["label"].tolist(), [len(regions) for regions in cases["mask"]]
    (['benign', 'malignant', 'normal'], [1, 0, 0])
    """
    root = layout.find_root(
        "busi", root, [f"{label}/" for label in FOLDERS], inner=("Dataset_BUSI_with_GT",)
    )
    rows, problems = [], []
    for label in FOLDERS:
        files = layout.pictures(root / label)
        masks: dict[str, list[Path]] = {}
        for path in files:
            if match := MASK.fullmatch(path.stem):
                masks.setdefault(match["name"], []).append(path)
        images = [path for path in files if not MASK.fullmatch(path.stem)]
        for path in images:
            row = {
                "case": path.stem,
                "image": str(path),
                "mask": tuple(Region(str(mask)) for mask in masks.pop(path.stem, ())),
                "label": label,
                "group": path.stem,
                "crop": None,
            }
            if label == "normal" and _is_background(row):
                row["mask"] = ()  # its all-black mask says just that
            rows.append(row)
        problems += [
            Problem(name, str(path), f"a mask without its image {name}.png")
            for name, paths in masks.items()
            for path in paths
        ]
    return layout.case_table("busi", root, rows, problems)


def _is_background(row: dict) -> bool:
    """Whether the mask is all black; one that is not, or is damaged, is left to check_cases."""
    try:
        return not decode(row)[1].any()
    except CaseError:
        return False
