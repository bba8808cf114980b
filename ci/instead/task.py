"""The pictures that all contestants begin from: plain files, in folders by their part."""

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from lib.blocks import CACHE
from lib.cases import SPLITS, decode, fingerprint, split_digest


@dataclass(frozen=True)
class Task:
    """One split of a data set as pictures: PART/images/CASE.png and PART/masks/CASE.png.

    Images are grey and masks 0 and 1 (nodule), uint8, at each image's own size. cases: the table
    of `lib.prepare_cases` that they were made from; folder: where they lie; notes: what a
    contestant chose by itself, for its record.
    """

    cases: pd.DataFrame
    folder: Path
    notes: dict[str, Any] = field(default_factory=dict)

    def files(self, part: str) -> list[Path]:
        """The images of "train", "valid" or "test", by name."""
        names = sorted(self.cases["case"][self.cases["split"] == part])
        return [self.folder / part / "images" / f"{name}.png" for name in names]

    def part(self, file: Path) -> str:
        return file.parents[1].name

    def mask(self, file: Path) -> Path:
        """The mask of an image."""
        return file.parents[1] / "masks" / file.name


def lay_out(cases: pd.DataFrame, cache: Path | None = None) -> Task:
    """Write the pictures of a split table, once for each content of the data."""
    mark = f"{fingerprint(cases)[:16]}-{split_digest(cases)[:8]}"
    folder = Path(cache or CACHE) / "instead" / mark
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".draft-"))
        for part in SPLITS:
            for kind in ("images", "masks"):
                (draft / part / kind).mkdir(parents=True)
        for row in cases.to_dict("records"):
            image, mask = decode(row)
            name = f"{row['case']}.png"
            Image.fromarray(image).save(draft / row["split"] / "images" / name)
            Image.fromarray((mask > 0).astype("uint8")).save(draft / row["split"] / "masks" / name)
        try:
            os.replace(draft, folder)
        except OSError:
            if not folder.exists():  # otherwise another run was quicker
                raise
            shutil.rmtree(draft)
    return Task(cases, folder)
