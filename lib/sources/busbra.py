"""BUS-BRA: 1875 breast ultrasound images of 1064 patients, with the publisher's folds.

W. Gómez-Flores, M. J. Gregorio-Calas and W. C. A. Pereira, Medical Physics 51 (2024) 3110-3123,
doi:10.1002/mp.16812. See data/busbra.md.
"""

from pathlib import Path

import pandas as pd

from ..cases import CaseError, Problem, Region
from . import layout


def read(root: str | Path | None = None, *, folds: int = 5) -> pd.DataFrame:
    """Read BUS-BRA as published.

    The sizes and boxes in bus_data.csv are those of the originals, so nothing here relies on them:
    a copy of the set in another resolution reads the same.

    Args:
        root: folder with Images/, Masks/, bus_data.csv and the fold files (or its parent BUSBRA/).
        folds: 5 or 10, the cross-validation file to take.

    Returns:
        The case table; `group` is the patient. Column `fold` (1..folds) is the fold a case is
        tested in; in `valid_k`, 1 is training and 0 validation when fold k is tested, else NaN.

    Raises:
        CaseError: a file or column is missing, or a fold is not a number.

    >>> from tempfile import TemporaryDirectory
    >>> images = pd.DataFrame({"ID": ["bus_0001-l"], "Case": ["1"], "Pathology": ["malignant"]})
    >>> fold = images[["ID"]].assign(kFold=2, valid_1=0, valid_2="NaN")
    >>> fold = fold.assign(valid_3=1, valid_4=1, valid_5=1)
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("Images", "Masks"):
    ...         Path(folder, name).mkdir()
    ...     images.to_csv(f"{folder}/bus_data.csv")
    ...     fold.to_csv(f"{folder}/5-fold-cv.csv")
    ...     cases = read(folder)
    >>> cases[["case", "label", "group"]].iloc[0].tolist(), cases["fold"].tolist()
    (['bus_0001-l', 'malignant', '1'], [2.0])
    """
    if folds not in (5, 10):
        raise CaseError(f"busbra: folds={folds!r}; the publisher gives 5 or 10")
    split_file = f"{folds}-fold-cv.csv"
    root = layout.find_root(
        "busbra", root, ("Images/", "Masks/", "bus_data.csv", split_file), inner=("BUSBRA",)
    )
    cases = layout.read_csv(root / "bus_data.csv", ("ID", "Case", "Pathology"))
    valid = [f"valid_{k}" for k in range(1, folds + 1)]
    official = layout.read_csv(root / split_file, ("ID", "kFold", *valid))
    for column in ("kFold", *valid):
        numbers = pd.to_numeric(official[column].replace({"NaN": None, "": None}), errors="coerce")
        wrong = official[numbers.isna() & ~official[column].isin(["NaN", ""])]
        if len(wrong):
            raise CaseError(
                f"{root / split_file}: column {column} of {wrong['ID'].iloc[0]} is "
                f"{wrong[column].iloc[0]!r}, not a number"
            )
        official[column] = numbers
    twice = official["ID"][official["ID"].duplicated()]
    if len(twice):
        raise CaseError(f"{root / split_file}: {twice.iloc[0]} is listed twice")
    official = official.set_index("ID")[["kFold", *valid]].rename(columns={"kFold": "fold"})

    rows, problems = [], []
    for name, patient, pathology in cases[["ID", "Case", "Pathology"]].itertuples(index=False):
        if not layout.is_plain(name) or not name.startswith("bus_"):
            problems.append(
                Problem(name, str(root / "bus_data.csv"), f"ID {name!r} is not of the form bus_...")
            )
            continue
        folds_of_case = official.loc[name] if name in official.index else None
        rows.append(
            {
                "case": name,
                "image": str(root / "Images" / f"{name}.png"),
                "mask": (Region(str(root / "Masks" / f"{name.replace('bus', 'mask', 1)}.png")),),
                "label": pathology.lower() or None,
                "group": patient,
                "crop": None,
            }
            | {
                column: float("nan") if folds_of_case is None else folds_of_case[column]
                for column in ("fold", *valid)
            }
        )
    listed = set(cases["ID"])
    problems += [
        Problem(path.stem, str(path), "not listed in bus_data.csv")
        for path in layout.pictures(root / "Images")
        if path.stem not in listed
    ]
    return layout.case_table("busbra", root, rows, problems)
