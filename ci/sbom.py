"""What the book is made of, and under which licences: python ci/sbom.py.

_build/sbom.json is a bill of materials (CycloneDX 1.6) of what requirements.lock has put into this
environment and of the page scripts, with their checksums; results/bench/licences.json is what the
book's page shows. Neither names the machine, and the same installation gives the same bytes.
"""

import base64
import hashlib
import json
import re
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from lib.atomic import replacing

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
SCRIPTS = ROOT / "ci" / "package-lock.json"
BILL = ROOT / "_build" / "sbom.json"
LIST = ROOT / "results" / "bench" / "licences.json"

# Read in this order; a licence that matches none is "other", and is looked at by a person.
FAMILIES = {
    "proprietary": r"(?i)proprietary",
    "copyleft": r"AGPL|\bGPL|General Public License \(GPL|GNU General Public",
    "weak copyleft": r"LGPL|Lesser General|MPL|Mozilla|EPL-|Eclipse|CDDL",
    "permissive": r"MIT|BSD|Apache|ISC|PSF|Python Software|Zlib|CC0|Public Domain|BSL|Unlicense",
}
NOT_STATED = "not stated"
# The first words of licence texts that name themselves.
TEXTS = {
    "MIT License": r"\bMIT License|Permission is hereby granted, free of charge",
    "Apache License 2.0": r"Apache License\s+Version 2\.0",
    "BSD License": r"Redistribution and use in source and binary forms",
    "Mozilla Public License 2.0": r"Mozilla Public License",
    "GNU Lesser General Public License": r"GNU LESSER GENERAL PUBLIC LICENSE",
    "GNU General Public License": r"GNU GENERAL PUBLIC LICENSE",
}


def canonical(name: str) -> str:
    """A package's name in the form that pip compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> dict[str, tuple[str, list[str]]]:
    """What a lock file pins: name -> version and sha256 checksums."""
    entries = re.split(r"\n(?=\w)", text)
    found = {}
    for entry in entries:
        if pin := re.match(r"([\w.-]+)==([\w.+!]+)", entry):
            found[canonical(pin[1])] = pin[2], sorted(re.findall(r"sha256:([0-9a-f]{64})", entry))
    return found


def licence(about: Mapping[str, Any], texts: Iterable[str] = ()) -> tuple[str, str]:
    """A package's licence in its own words, and where it says so.

    about: its metadata as `importlib.metadata` gives it; texts: of its licence files.
    """
    if expression := about.get("License-Expression"):
        return expression, "expression"
    field = (about.get("License") or "").strip()
    if field and field != "UNKNOWN" and len(field) <= 40 and "\n" not in field:
        return field, "field"
    stated = [c for c in about.get_all("Classifier") or [] if c.startswith("License :: ")]
    if stated:
        return "; ".join(c.rsplit(" :: ", 1)[1] for c in stated), "classifier"
    for text in (field, *texts):
        for name, words in TEXTS.items():
            if re.search(words, text):
                return name, "text"
    return NOT_STATED, ""


def family(words: str) -> str:
    """The kind of a licence: of alternatives (OR) the mildest, of several the strictest."""
    if words == NOT_STATED:
        return NOT_STATED
    order = ["permissive", "weak copyleft", "copyleft", "proprietary", "other"]
    kinds = [
        next((kind for kind, known in FAMILIES.items() if re.search(known, part)), "other")
        for part in words.split(" OR ")
    ]
    return min(kinds, key=order.index)


def packages() -> list[dict[str, Any]]:
    """What the lock has put into this environment, in order of names.

    Raises SystemExit if what is installed is not what the lock pins.
    """
    pins, found = locked(LOCK.read_text()), []
    for installed in metadata.distributions():
        name = canonical(installed.name)
        if name not in pins:
            continue  # the project itself, and what made the environment
        version, checksums = pins[name]
        if installed.version != version:
            raise SystemExit(f"{name} {installed.version} is installed, {version} locked: run make")
        files = (installed.read_text(f) for f in _licence_files(installed))
        words, told = licence(installed.metadata, filter(None, files))
        found.append(
            {"name": name, "version": version, "kind": "pypi", "licence": words, "told": told,
             "family": family(words), "sha256": checksums}
        )  # fmt: skip
    return sorted(found, key=lambda package: package["name"])


def _licence_files(installed: metadata.Distribution) -> Iterable[str]:
    for name in installed.metadata.get_all("License-File") or []:
        yield from (f"licenses/{name}", name)


def scripts() -> list[dict[str, Any]]:
    """The page scripts and what checks the pages, as package-lock.json pins them."""
    every = json.loads(SCRIPTS.read_text())["packages"]
    return [
        {"name": path.removeprefix("node_modules/"), "version": entry["version"], "kind": "npm",
         "licence": entry.get("license", NOT_STATED), "told": "expression",
         "family": family(entry.get("license", NOT_STATED)), "integrity": entry["integrity"]}
        for path, entry in sorted(every.items())
        if path
    ]  # fmt: skip


def bill(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The bill of materials in CycloneDX 1.6; its serial number follows from its content."""
    components = [_component(part) for part in parts]
    content = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).hexdigest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "task-consistency-book",
                "licenses": [{"expression": "MIT AND CC-BY-4.0"}],
            }
        },
        "components": components,
    }


def _component(part: Mapping[str, Any]) -> dict[str, Any]:
    url = f"pkg:{part['kind']}/{part['name'].replace('@', '%40')}@{part['version']}"
    component = {
        "type": "library",
        "bom-ref": url,
        "name": part["name"],
        "version": part["version"],
        "purl": url,
    }
    if part["licence"] != NOT_STATED:
        component["licenses"] = [
            {"expression": part["licence"]}
            if part["told"] == "expression"
            else {"license": {"name": part["licence"]}}
        ]
    if "integrity" in part:
        kind, _, digest = part["integrity"].partition("-")
        content = base64.b64decode(digest).hex()
        component["hashes"] = [{"alg": kind.upper().replace("SHA", "SHA-"), "content": content}]
    else:
        # Any of these files may be the one: a package has one for each platform.
        component["externalReferences"] = [
            {
                "type": "distribution",
                "url": url,
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in part["sha256"]],
            }
        ]
    return component


def listed(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the page shows: each package's licence, and for which system this was read."""
    keep = ("name", "version", "kind", "licence", "told", "family")
    pins = locked(LOCK.read_text())
    rows = [{key: part[key] for key in keep} for part in parts]
    here = {row["name"] for row in rows if row["kind"] == "pypi"}
    return {
        "platform": sys.platform,
        "elsewhere": sorted(pins.keys() - here),  # pinned, but for another system or Python
        "packages": rows,
    }


def main() -> None:
    parts = [*packages(), *scripts()]
    for target, content in ((BILL, bill(parts)), (LIST, listed(parts))):
        with replacing(target) as draft:
            draft.write_text(json.dumps(content, indent=1) + "\n")
        print(f"{target.relative_to(ROOT)}: {len(parts)} packages")
    for kind, number in Counter(part["family"] for part in parts).most_common():
        print(f"{number:5} {kind}")


if __name__ == "__main__":
    main()
