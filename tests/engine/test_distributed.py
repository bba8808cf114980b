"""One training in two processes: the same losses, weights and files as in one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

PROCESS = Path(__file__).parents[1] / "process.py"
pytestmark = pytest.mark.engine  # a step of its own: other tests beside it would slow it down
ENTRIES = ("train", "valid", "metrics")


def train(folder, processes, **options):
    """Run tests/process.py in that many processes; what each of them said of its training."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    common |= {"WORLD_SIZE": str(processes)} if processes > 1 else {}
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", PROCESS, folder, json.dumps(options)],
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(processes)
    ]
    said = [one.communicate(timeout=300)[0] for one in started]
    failed = [words for one, words in zip(started, said, strict=True) if one.returncode]
    if failed:
        raise RuntimeError("\n".join(words[-2000:] for words in failed))
    return [json.loads(words.strip().splitlines()[-1]) for words in said]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return folder, train(folder, 1, epochs=3)[0]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    return folder, train(folder, 2, epochs=3)


def test_losses_and_measures_are_those_of_one_process(alone, both):
    for said in both[1]:
        for epoch, one in zip(said["history"], alone[1]["history"], strict=True):
            for entry in ENTRIES:
                assert epoch[entry] == pytest.approx(one[entry], rel=2e-5), entry
    terms = set(alone[1]["history"][0]["train"])
    assert {"T1 BCE", "T2 Dice", "T3 Dice", "L_T2T3", "L_T1T3", "L_T1T2T3"} <= terms


def test_the_best_weights_are_those_of_one_process(alone, both):
    ours, theirs = (load_file(where[0] / "run" / "best.safetensors") for where in (both, alone))
    assert ours.keys() == theirs.keys()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-5)


def test_all_processes_end_with_the_same_weights_and_only_the_first_one_talks(both):
    first, second = both[1]
    assert first["weights"] == second["weights"]
    assert (first["lines"], second["lines"]) == (3, 0)


def test_an_interrupted_training_goes_on(both, tmp_path):
    train(tmp_path, 2, epochs=3, stop_after=1)
    assert (tmp_path / "run" / "epoch-001").is_dir()
    first = train(tmp_path, 2, epochs=3)[0]
    assert [epoch["epoch"] for epoch in first["history"]] == [1, 2, 3]
    assert first["weights"] == both[1][0]["weights"]


def test_batches_that_cannot_be_shared_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="2 processes cannot share batches of 7 equally"):
        train(tmp_path, 2, epochs=1, batch_size=7)


def test_losses_that_need_more_than_the_outputs_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="Greedy brings losses of its own"):
        train(tmp_path, 2, epochs=1, network="Greedy")
