"""The short form of `make test-faults`: three kills, and what the campaign itself must notice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.engine


def test_killed_while_it_writes_a_checkpoint_and_finished(tmp_path):
    report = tmp_path / "faults.json"
    words = [sys.executable, "-W", "ignore", ROOT / "ci" / "faults.py", "--kills", "3"]
    words += ["--phases", "checkpoint", "--seed", "1", "--to", report]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert len(told["kills"]) == 3 and told["steps"]["checkpoint"] > 20
    for kill in told["kills"]:
        assert kill["finished"] and kill["equal"] and not kill["left"], kill
        stood = int(kill["stood"].removeprefix("epoch ")) if "epoch" in kill["stood"] else 0
        assert kill["trained"] == told["epochs"] - stood, kill
