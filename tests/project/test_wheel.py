"""The wheel for other people's projects: `lib` alone, at work in their folder, not in its own."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from lib import home

ROOT = Path(__file__).parents[2]
# What somebody who has the wheel alone would write: two steps of training, and a result.
SESSION = """
import importlib.util, json, sys
import torch
torch.set_num_threads(1)
import lib

losses, term = [], lib.IntraTask()
cases, _ = lib.prepare_cases(lib.sources.phantom.read(cases=30, size=32))
dls = lib.dataloaders(cases, size=32, batch_size=8)
network = lib.networks.Adapted(
    torch.nn.Conv2d(1, 5, 1),
    lambda x: lib.networks.TaskLogits(seg2=x[:, :2], seg3=x[:, 2:]),
)
learn = lib.task_learner(dls, network, consistency=[term], log=losses.append)
lib.fit(learn, epochs=1)
record = dict.fromkeys(lib.results.KEYS, {}) | {"schema": lib.results.SCHEMA, "seed": 0}
record |= {"source": "phantom", "profile": "own", "experiment": "mine"}
record |= {"commit": lib.results.commit(), "versions": lib.results.versions()}
said = {
    "lib": lib.__file__,
    "steps": len(dls.train),
    "epochs": len(losses),
    "result": str(lib.results.save(record)),
    "commit": record["commit"],
    "rooms": [name for name in ("book", "ci") if importlib.util.find_spec(name)],
}
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder to import from: the wheel, made from what is here and unpacked as pip does."""
    folder = tmp_path_factory.mktemp("wheel")
    made_from = ["lib", "book/kit", "ci/engine", "pyproject.toml", "README.md", "LICENSE"]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *made_from],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    words += ["--disable-pip-version-check", "--wheel-dir", folder, folder / "source"]
    subprocess.run(words, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site-packages")
    return folder / "site-packages"


def files(folder):
    """All that lies in a folder, but for what Python itself compiles."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if "__pycache__" not in path.parts)


def test_it_carries_the_library_alone(installed):
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {
        "lib",
        "task_consistency_book",
    }
    modules = [path.relative_to(ROOT) for path in (ROOT / "lib").rglob("*.py")]
    assert set(map(str, modules)) <= set(files(installed))


def test_it_works_in_another_folder_and_writes_there_alone(installed, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    before = files(installed)
    subprocess.run(["git", "init", "--quiet"], cwd=work, check=True)  # somebody else's project
    # Without `site`, so that no editable install of this repository is on the path.
    path = [str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    start = f"import sys; sys.path += {path!r}\n{SESSION}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LIB_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", start],
        cwd=work, env=environment | {"HOME": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert Path(said["lib"]).is_relative_to(installed) and said["rooms"] == []
    assert (said["steps"], said["epochs"]) == (2, 1)
    assert said["commit"] == "unknown"  # that of the project around it would be a lie
    assert said["result"] == str(work / "results" / "phantom" / "own" / "mine" / "seed0.json")
    assert f"go to the working folder, {work}" in done.stderr
    assert {path.name for path in work.iterdir()} == {".git", "data", "results"}
    assert {path.name for path in (work / "data").iterdir()} == {"phantom", ".cache"}
    assert files(installed) == before


def test_home_is_the_repository_or_else_the_working_folder(tmp_path, monkeypatch, caplog):
    assert home.HOME == home.find() == ROOT.resolve() and not caplog.records
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").mkdir()
    assert home.find() == ROOT.resolve()  # wherever it is called from
    assert home.find(tmp_path / "lib") == tmp_path and str(tmp_path) in caplog.text
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "experiment.ipynb").touch()
    assert home.repository(tmp_path / "lib") == tmp_path
