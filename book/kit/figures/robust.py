"""What is tested of bad input: how many cases of which kind."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .style import table

AREAS = {
    "test_hostile_images": "Images and masks",
    "test_hostile_dicom": "DICOM files",
    "test_hostile_tables": "Tables, XML, JSON, archives, names",
    "test_hostile_splits": "Splits",
    "test_hostile_parameters": "Parameters",
    "test_hostile_use": "A kept network and new images",
    "test_no_pickle": "No code from data",
    "test_privacy": "Privacy, names on pages",
    "test_resume": "Checkpoints",
    "test_fetch": "Downloads",
    "test_faults_disk": "Disks that are full or read-only",
    "test_faults_run": "Data, runs and clocks",
    "test_faults_loaders": "Reading the images",
}
FORMATS = re.compile(r"\b(dicom|json|xml|crc)\b")


def robust_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """HTML of a table of the tests by what they are about, with their number of cases.

    rows: results/bench/robust.json, by `ci/robust.py`. A test is shown by its name in words, and
    by what it says of itself, if it does.

    >>> row = {"file": "test_fetch", "test": "test_a_<b>", "about": "It is <c>.", "cases": 9}
    >>> "<b>A &lt;b&gt;.</b> It is &lt;c&gt;." in robust_table([row])
    True
    """
    body: list[list[str] | str] = []
    for area, title in AREAS.items():
        body.append(title)
        for row in (row for row in rows if row["file"] == area):
            name = row["test"].removeprefix("test_").replace("_", " ")
            name = FORMATS.sub(lambda found: found[0].upper(), name)
            named = f"<b>{escape(name[:1].upper() + name[1:])}.</b>"
            body.append([f"{named} {escape(row['about'])}".strip(), str(row["cases"])])
    return table(["what is checked", "cases"], body)
