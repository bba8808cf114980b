"""Programs that no other test starts: all that they import is there."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EACH = """
import runpy, sys
own = sys.path[:]
for file in sys.argv[1:]:
    sys.path[:] = [file.rpartition("/")[0], *own]
    try:
        runpy.run_path(file, run_name="imported")
    except Exception as error:
        print(f"{file}: {error!r}")
"""


def test_every_program_finds_what_it_imports():
    files = sorted((ROOT / "ci").glob("*.py"))
    assert len(files) > 20
    command = [sys.executable, "-W", "ignore", "-c", EACH, *map(str, files)]
    paths = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
