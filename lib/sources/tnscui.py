"""TN-SCUI 2020: 3644 thyroid ultrasound images of the MICCAI challenge's training set.

J. Zhou et al., Thyroid Nodule Segmentation and Classification in Ultrasound Images, MICCAI 2020
challenge, doi:10.5281/zenodo.3715942. See data/tnscui.md.
"""

from pathlib import Path

import pandas as pd

from ..cases import Problem, Region
from . import layout

CLASS = {"0": "benign", "1": "malignant"}


def read(root: str | Path | None = None) -> pd.DataFrame:
    """Read the training set of TN-SCUI 2020: train.csv (ID, CATE), image/ID and mask/ID.

    Args:
        root: folder with train.csv, image/ and mask/ (or its parent TNSCUI2020_train/).

    Returns:
        The case table. The challenge's test images are not read: their masks were never given out.
        No patient numbers: each image is its own `group`.

    Raises:
        CaseError: a file, folder or column is missing.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("image", "mask"):
    ...         Path(folder, name).mkdir()
    ...         Path(folder, name, "1.PNG").touch()
    ...     pd.DataFrame({"ID": ["1.PNG"], "CATE": [1]}).to_csv(f"{folder}/train.csv", index=False)
    ...     cases = read(folder)
    >>> cases[["case", "label"]].iloc[0].tolist()
    ['1', 'malignant']
    """
    root = layout.find_root(
        "tnscui", root, ("train.csv", "image/", "mask/"), inner=("TNSCUI2020_train",)
    )
    table = layout.read_csv(root / "train.csv", ("ID", "CATE"))
    rows, problems = [], []
    for name, category in table[["ID", "CATE"]].itertuples(index=False):
        if not layout.is_plain(name):
            problems.append(Problem(name, str(root / "train.csv"), f"ID {name!r} is no file name"))
            continue
        stem = Path(name).stem
        rows.append(
            {
                "case": stem,
                "image": str(root / "image" / name),
                "mask": (Region(str(root / "mask" / name)),),
                "label": CLASS.get(category, category or None),
                "group": stem,
                "crop": None,
            }
        )
    listed = set(table["ID"])
    problems += [
        Problem(path.stem, str(path), "not listed in train.csv")
        for path in layout.pictures(root / "image")
        if path.name not in listed
    ]
    return layout.case_table("tnscui", root, rows, problems)
