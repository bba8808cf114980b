"""The files that say what to install agree, explain themselves, and name no machine."""

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PYPROJECT["optional-dependencies"]
DIRECT = PYPROJECT["dependencies"] + EXTRAS["dev"] + EXTRAS["dicom"]
# One entry a package: the requirement, then its checksums
ENTRIES = [
    [line.removesuffix(" \\").strip() for line in entry.splitlines()]
    for entry in re.split(r"\n(?=\w)", (ROOT / "requirements.lock").read_text())[1:]
]
LOCK = [entry[0] for entry in ENTRIES]


def name_of(requirement: str) -> str:
    """The package's name in the form that pip compares."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def pinned(requirement: str) -> str:
    """The version that `name==version` asks for."""
    return re.fullmatch(r"[\w.-]+==([\w.+!]+)(?: ;.*)?", requirement)[1]


def test_every_line_of_the_lock_is_one_exact_version():
    loose = [line for line in LOCK if not re.fullmatch(r"[\w.-]+==[\w.+!]+(?: ; .+)?", line)]
    assert not loose
    assert len(LOCK) > len(DIRECT)


def test_every_line_of_the_lock_has_checksums():
    """Without one, pip would ask for none at all."""
    sums = {entry[0]: entry[1:] for entry in ENTRIES}
    bare = [name for name, given in sums.items() if not given]
    odd = [one for given in sums.values() for one in given
           if not re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one)]  # fmt: skip
    assert not bare and not odd
    assert "--require-hashes -r requirements.lock" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("requirement", DIRECT, ids=name_of)
def test_lock_and_environment_hold_what_pyproject_asks_for(requirement):
    locked = {pinned(line) for line in LOCK if name_of(line) == name_of(requirement)}
    assert locked == {pinned(requirement)}
    assert metadata.version(name_of(requirement)) == pinned(requirement)


def test_what_the_lock_needs_is_in_the_lock():
    locked = {name_of(line) for line in LOCK}
    for requirement in DIRECT:
        for needed in metadata.requires(name_of(requirement)) or []:
            if ";" not in needed:  # neither an extra nor bound to another platform
                assert name_of(needed) in locked, f"{requirement} needs {needed}"


@pytest.mark.parametrize("version", ["3.11.9", "3.12.9", "3.13.9"])
@pytest.mark.parametrize(
    ("system", "processor"), [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]
)
def test_one_lock_serves_every_python_and_platform(version, system, processor):
    """There, each package has one version, and what it needs there is locked for there, too."""
    here = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": processor,
        "platform_python_implementation": "CPython",
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
        "python_full_version": version,
        "python_version": version.rpartition(".")[0],
        "sys_platform": system,
    }
    every = [Requirement(line) for line in LOCK]
    names = [name_of(r.name) for r in every if not r.marker or r.marker.evaluate(here)]
    assert len(set(names)) == len(names)
    assert {name_of(requirement) for requirement in DIRECT} <= set(names)
    for requirement in DIRECT:
        for needed in map(Requirement, metadata.requires(name_of(requirement)) or []):
            if not needed.marker or needed.marker.evaluate(here | {"extra": ""}):
                assert name_of(needed.name) in names, f"{requirement} needs {needed}"


def test_make_installs_on_the_pythons_that_the_lock_serves():
    said = re.search(r"^PYTHONS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert said.split() == ["3.11", "3.12", "3.13"]
    assert "Python 3.11, 3.12 or 3.13" in (ROOT / "README.md").read_text()


def test_every_direct_dependency_has_its_reason_beside_it():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for requirement in DIRECT:
        (line,) = [line for line in lines if f'"{requirement}"' in line]
        assert re.search(r",\s+# \w.{8,}", line), f"no reason beside {requirement}"


def test_conda_installs_the_same_lock_for_the_same_python():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in environment if isinstance(entry, dict)]
    assert pip == ["-r requirements.lock"]
    # An editable folder has no checksum, so it is installed apart, as make does.
    apart = (
        "pip install --no-deps --no-build-isolation"
        " --config-settings editable_mode=compat --editable ."
    )
    assert apart in re.sub(r" \\\n\s+", " ", (ROOT / "postBuild").read_text())
    make = re.sub(
        r" \\\n\s+| --disable-pip-version-check| --quiet", " ", (ROOT / "Makefile").read_text()
    )
    assert apart in re.sub(" +", " ", make)
    (python,) = [entry for entry in environment if str(entry).startswith("python=")]
    assert PYPROJECT["requires-python"] == python.replace("python=", ">=")
    assert f"--python-version {python.removeprefix('python=')} " in (ROOT / "Makefile").read_text()


def test_page_scripts_match_their_python_side():
    """Figures are drawn by the Plotly that plotly.py was made for."""
    import plotly

    bundle = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    drawn_by = re.search(r"plotly\.js v([\d.]+)", bundle.read_text(encoding="utf8")[:200])[1]
    scripts = yaml.safe_load((ROOT / "ci" / "package.json").read_text())["dependencies"]
    assert scripts["plotly.js-cartesian-dist-min"] == drawn_by


def test_no_path_or_address_of_a_machine_is_in_the_tree():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    machine = re.compile(
        r"(?:^|[^\w.-])/(?:work|root|home|Users)/\w"  # somebody's folder
        r'|"resolved":\s*"http|--(?:extra-)?index-url[ =]\S',  # somebody's mirror
        re.MULTILINE,
    )
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in {".png", ".gz"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf8", errors="ignore")
        found += [f"{name}: {match[0]}" for match in machine.finditer(text)]
    assert not found
