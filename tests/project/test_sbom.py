"""What the book is made of: the bill agrees with the lock, names no machine, invents no licence."""

import json
import sys
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "ci"))
import sbom  # noqa: E402

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy"


def about(**fields):
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("fields", "texts", "expected"),
    [
        ({"License_Expression": "MIT OR Apache-2.0"}, [], ("MIT OR Apache-2.0", "expression")),
        ({"License": "BSD"}, [], ("BSD", "field")),
        ({"License": "UNKNOWN", "Classifier": "License :: OSI Approved :: ISC License (ISCL)"}, [],
         ("ISC License (ISCL)", "classifier")),
        ({"License": MIT}, [], ("MIT License", "text")),
        ({}, ["\n\n" + MIT], ("MIT License", "text")),
        ({}, ["Apache License\n   Version 2.0, January 2004"], ("Apache License 2.0", "text")),
        ({}, ["All rights reserved."], ("not stated", "")),
        ({}, [], ("not stated", "")),
    ],
)  # fmt: skip
def test_a_licence_is_what_the_package_says(fields, texts, expected):
    assert sbom.licence(about(**fields), texts) == expected


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("MIT", "permissive"),
        ("MIT License; BSD License", "permissive"),
        ("MPL-2.0 AND MIT", "weak copyleft"),
        ("LGPL-3.0-or-later", "weak copyleft"),
        ("GPL-3.0-only", "copyleft"),
        ("AGPL-3.0", "copyleft"),
        ("BSD License; GNU General Public License (GPL)", "copyleft"),
        ("GPL-2.0-only OR MIT", "permissive"),  # the reader may choose
        ("LicenseRef-NVIDIA-Proprietary", "proprietary"),
        ("NVIDIA Proprietary Software", "proprietary"),
        ("Ask me", "other"),
        ("not stated", "not stated"),
    ],
)
def test_the_kind_of_a_licence(words, kind):
    assert sbom.family(words) == kind


@pytest.fixture(scope="module")
def parts():
    return [*sbom.packages(), *sbom.scripts()]


def test_the_bill_has_every_locked_package_that_is_installed(parts):
    pins = sbom.locked(sbom.LOCK.read_text())
    found = {part["name"]: part for part in parts if part["kind"] == "pypi"}
    assert set(found) <= set(pins) and {"torch", "jupyter-book", "ruff"} <= set(found)
    assert all((found[name]["version"], found[name]["sha256"]) == pins[name] for name in found)
    assert all(part["sha256"] for part in found.values())


def test_the_bill_is_the_same_each_time_and_names_no_machine(parts):
    bill = sbom.bill(parts)
    text = json.dumps(bill)
    assert text == json.dumps(sbom.bill(parts))
    assert bill["serialNumber"] != sbom.bill(parts[1:])["serialNumber"]
    assert "timestamp" not in text and str(ROOT) not in text and "file:" not in text
    urls = [component["purl"] for component in bill["components"]]
    assert len(set(urls)) == len(urls) == len(parts)
    (script,) = [c for c in bill["components"] if c["name"] == "mathjax"]
    assert script["hashes"][0]["alg"] == "SHA-512" and len(script["hashes"][0]["content"]) == 128


def test_the_list_on_the_page_is_of_this_lock():
    """It was made on one system; names and versions are those of the lock everywhere."""
    stored = json.loads(sbom.LIST.read_text())
    pins = sbom.locked(sbom.LOCK.read_text())
    listed = {p["name"]: p["version"] for p in stored["packages"] if p["kind"] == "pypi"}
    assert listed == {n: version for n, (version, _) in pins.items() if n in listed}, "make sbom"
    assert sorted({*listed, *stored["elsewhere"]}) == sorted(pins), "make sbom"
    scripts = {p["name"]: p["version"] for p in stored["packages"] if p["kind"] == "npm"}
    assert scripts == {part["name"]: part["version"] for part in sbom.scripts()}, "make sbom"


def test_what_is_installed_must_be_what_is_locked(monkeypatch, tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("# a lock\nnumpy==0.0.1 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(sbom, "LOCK", lock)
    with pytest.raises(SystemExit, match=r"numpy .* is installed, 0\.0\.1 locked"):
        sbom.packages()
