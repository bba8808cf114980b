"""One of two processes that share a run is killed: the run ends with the cause, within seconds."""

import json
import os
import time

import psutil
import pytest
from grids import House

pytestmark = pytest.mark.engine
SYSTEM = "msl+intra"


def following(engine, kernel):
    """The second process that `ci/run.py` has started, or the kernel in which it works."""
    for child in psutil.Process(engine.pid).children(recursive=True):
        try:
            if "follow.py" in " ".join(child.cmdline()):
                return next(iter(child.children()), None) if kernel else child
        except psutil.NoSuchProcess:  # a short-lived one has ended, or is about to
            continue
    return None


@pytest.mark.parametrize(
    ("when", "kernel"),
    [("before they meet", False), ("while they train", False), ("while they train", True)],
)
def test_a_lost_process_ends_the_run(tmp_path, when, kernel):
    house = House(tmp_path)
    house.edit("lib/profiles.py", "epochs=2", "epochs=200")
    engine = house.start(SYSTEM, together=2, cores=2)
    try:
        until = time.monotonic() + 300
        while time.monotonic() < until and engine.poll() is None:
            begun = list(house.file(SYSTEM, "unfinished").glob("epoch-*"))
            if (when == "before they meet" or begun) and (lost := following(engine, kernel)):
                break
            time.sleep(0.05)
        lost.kill()
        killed = time.monotonic()
        said = engine.communicate(timeout=120)[0]
    finally:
        if engine.poll() is None:
            os.killpg(engine.pid, 9)
    assert time.monotonic() - killed < 60
    assert engine.returncode != 0 and "FAILED: LostProcess: process 2 of 2 ended early" in said
    failure = json.loads(house.file(SYSTEM, "failed.json").read_text())
    how = "status 1" if kernel else "killed by signal 9"
    assert failure["message"] == f"process 2 of 2 ended early ({how}): see its log beside the " \
        "run's notebook"  # fmt: skip
