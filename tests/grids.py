"""A copy of the project that a test may edit, and its engine, started as `make tables` does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lib import results

ROOT = Path(__file__).parents[1]
ENDINGS = ("json", "lock", "failed.json", "unfinished")


class House:
    """The parts of the project that a run needs, under `folder`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        skip = shutil.ignore_patterns("__pycache__", "node_modules")
        for part in ("lib", "ci", "book/kit"):
            shutil.copytree(ROOT / part, self.folder / part, ignore=skip)
        shutil.copy(ROOT / "requirements.lock", self.folder)
        (self.folder / "book").mkdir(exist_ok=True)
        for page in ("experiment.ipynb", "claims.toml"):
            shutil.copy(ROOT / "book" / page, self.folder / "book")

    def start(self, *only, command="run", **options):
        """The engine at work on these experiments, on the phantom, with the profile smoke."""
        words = [sys.executable, "-W", "ignore", self.folder / "ci" / "grid.py", command]
        options = {"profile": "smoke", "cores": 1, "only": " ".join(only)} | options
        for key, value in options.items():
            words += [f"--{key}", str(value)]
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *only, **options):
        """Its exit status and all that it said."""
        engine = self.start(*only, **options)
        said = engine.communicate(timeout=1200)[0]
        return engine.returncode, said

    def file(self, experiment, ending="json", profile="smoke"):
        assert ending in ENDINGS
        return self.folder / "results" / "phantom" / profile / experiment / f"seed0.{ending}"

    def record(self, experiment, **where):
        return results.load(self.file(experiment, **where))

    def edit(self, file, old, new):
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) >= 1, f"{file} lacks {old!r}"
        path.write_text(text.replace(old, new, 1))
