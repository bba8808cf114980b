"""Runs side by side on one machine never share a GPU, whoever started them."""

import os
import tempfile

import pytest

from ci.engine import gpus


@pytest.fixture
def three(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_each_is_lent_once(three):
    assert gpus.free(2) == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert gpus.free(1) == {"CUDA_VISIBLE_DEVICES": "2"}
    with pytest.raises(
        RuntimeError, match="1 GPUs are needed; other runs hold the rest of 0, 1, 2"
    ):
        gpus.free(1)


def test_one_gpu_is_shared(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert gpus.free(1) == {}


def test_a_lock_that_another_user_left_is_no_obstacle(three, tmp_path, monkeypatch):
    for name in range(3):
        (tmp_path / f"run-on-gpu-{name}.lock").touch()
    real = os.open

    def of_another_user(path, flags, *mode, **options):
        if str(path).startswith(str(tmp_path)) and flags & (os.O_RDWR | os.O_CREAT):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", of_another_user)
    assert gpus.free(3) == {"CUDA_VISIBLE_DEVICES": "0,1,2"}
    with pytest.raises(RuntimeError):
        gpus.free(1)
