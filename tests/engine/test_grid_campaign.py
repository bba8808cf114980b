"""Kill -9 of a kernel and of the engine in mid-epoch, and two engines at once: the same numbers."""

import os
import re
import signal
import time

import psutil
import pytest
from grids import House

from ci.engine import progress

pytestmark = pytest.mark.campaign
SYSTEM = "unet-seg3"


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    house.edit("lib/profiles.py", "epochs=2", "epochs=6")
    house.edit("lib/profiles.py", "phantoms=80", "phantoms=240")
    return house


def after_epoch(house, engine, epoch):
    """Wait until this epoch's checkpoint stands: the next one is being trained."""
    folder = house.file(SYSTEM, "unfinished")
    while engine.poll() is None:
        if any(int(found.name[-3:]) >= epoch for found in folder.glob("epoch-*")):
            time.sleep(0.2)
            return
        time.sleep(0.05)
    raise AssertionError(f"ended before epoch {epoch}: {engine.communicate()[0]}")


def kernel_of(engine):
    children = psutil.Process(engine.pid).children(recursive=True)
    (kernel,) = [c for c in children if "ipykernel_launcher" in " ".join(c.cmdline())]
    return kernel


def test_killed_runs_go_on_and_end_with_the_same_numbers(house):
    status, said = house.run(SYSTEM)
    assert status == 0, said
    undisturbed = house.record(SYSTEM)
    house.file(SYSTEM).unlink()

    engine = house.start(SYSTEM)
    after_epoch(house, engine, 1)
    kernel_of(engine).kill()
    said = engine.communicate(timeout=300)[0]
    assert engine.returncode != 0 and "FAILED: DeadKernelError" in said, said
    assert house.file(SYSTEM, "failed.json").exists()
    print("kernel killed after epoch 1: noted as failed")

    engine = house.start(SYSTEM)
    after_epoch(house, engine, 3)
    kernel = kernel_of(engine)
    os.kill(engine.pid, signal.SIGKILL)
    psutil.wait_procs([kernel], timeout=30)
    assert not kernel.is_running() and not progress.is_held(house.file(SYSTEM).with_suffix(""))
    engine.wait()
    print("engine killed after epoch 3: its kernel ended, its lock is free")

    two = [house.start(SYSTEM) for _ in range(2)]
    said = [engine.communicate(timeout=600)[0] for engine in two]
    assert [engine.returncode for engine in two] == [0, 0], said
    went_on = [int(n) for n in re.findall(r"goes on after epoch (\d+)", "".join(said))]
    assert len(went_on) == 1 and went_on[0] >= 3, said
    assert "waiting for that" in "".join(said) or "another engine has made it" in "".join(said)
    print(f"two engines at once: one went on after epoch {went_on[0]}, the other waited")

    again = house.record(SYSTEM)
    for part in ("metrics", "per_image", "model", "parameters", "data", "code"):
        assert again[part] == undisturbed[part], part
    assert [e["train"] for e in again["history"]] == [e["train"] for e in undisturbed["history"]]
    assert not house.file(SYSTEM, "failed.json").exists()
    print(f"metrics, curves and every image equal the undisturbed run's: {again['metrics']}")
