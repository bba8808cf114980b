"""What reads the images: in no process of its own, and a fault of the machine names the file."""

import ast
import os
import resource
from pathlib import Path

import hostile
import pytest
from PIL import Image
from tiny import phantom_cases, tiny_loaders

from lib import dicom, sources
from lib.blocks import decode_once
from lib.cases import CaseError, looks, pixels, prepare_cases

ROOT = Path(__file__).parents[2]
OURS = [*sorted((ROOT / "lib").rglob("*.py")), *sorted((ROOT / "ci").glob("*.py"))]


def test_no_loader_starts_a_process(tmp_path):
    """So that no worker can be killed for want of memory and leave the training waiting."""
    dls = tiny_loaders(tmp_path)
    assert [loader.fake_l.num_workers for loader in dls.loaders] == [0, 0, 0]


def test_no_program_asks_for_workers():
    asked = []
    for file in OURS:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "num_workers":
                assert isinstance(node.value, ast.Constant) and node.value.value == 0, file
                asked.append(file.name)
            names = [a.name for a in getattr(node, "names", ()) if isinstance(a, ast.alias)]
            names += [getattr(node, "module", None) or ""]
            found = [
                n for n in names if n.split(".")[-1] in ("multiprocessing", "ProcessPoolExecutor")
            ]
            assert not found, f"{file}: {found}"
    assert asked == ["blocks.py"]


def test_out_of_memory_while_it_decodes(tmp_path):
    """In earnest: a picture of 8000 x 8000 px, and address space for a part of it."""
    root = hostile.folder(tmp_path, cases=12)
    file = root / "images" / "3.png"
    Image.new("RGB", (8000, 8000)).save(file, compress_level=1)
    Image.new("L", (8000, 8000)).save(root / "masks" / "3.png", compress_level=1)
    table = sources.read("folder", root)
    row = table[table["image"] == str(file)].iloc[0]

    def decode():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + 60 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        pixels.decode(row)

    assert hostile.in_a_child(decode) == f"MemoryError: {file}: not enough memory to decode it"


def test_too_many_open_files_while_it_decodes(tmp_path):
    """The case is not left out: its file is sound, and the data would be others."""
    table = phantom_cases(tmp_path / "phantom", 20)

    def decode():
        looks._memory.looks.clear()  # what it has seen it need not decode
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(files) + 1, max(files) + 1))
        prepare_cases(table)

    said = hostile.in_a_child(decode)
    assert said.startswith("OSError: [Errno 24] Too many open files") and ".png" in said


MACHINES = {
    "memory": (MemoryError(), MemoryError, "not enough memory"),
    "disk": (OSError(5, "Input/output error"), OSError, r"\[Errno 5\] Input/output error"),
    "network": (OSError(116, "Stale file handle"), OSError, r"\[Errno 116\]"),
}


@pytest.mark.parametrize("kind", MACHINES)
@pytest.mark.parametrize("reader", ["picture", "dicom"])
def test_a_fault_of_the_machine_is_not_the_files(tmp_path, monkeypatch, kind, reader):
    fault, expected, words = MACHINES[kind]
    table = sources.read("folder", hostile.folder(tmp_path, cases=12))

    def fails(*_):
        raise fault

    if reader == "dicom":

        def wrapped(_):
            raise dicom.DicomError("its pixels cannot be decoded") from fault

        monkeypatch.setattr(dicom, "is_dicom", lambda _: True)
        monkeypatch.setattr(dicom, "read_pixels", wrapped)
    else:
        monkeypatch.setattr(pixels, "_to_grey", fails)
    with pytest.raises(expected, match=words) as told:
        prepare_cases(table)
    assert f"{tmp_path / 'images'}{os.sep}" in str(told.value) and ".png" in str(told.value)


def test_a_damaged_file_is_still_left_out(tmp_path):
    root = hostile.folder(tmp_path, cases=12)
    file = root / "images" / "3.png"
    file.write_bytes(file.read_bytes()[:200])
    _, problems = prepare_cases(sources.read("folder", root))
    assert [problem.file for problem in problems if problem.left_out] == [str(file)]


def test_a_file_that_breaks_while_all_are_decoded(tmp_path):
    """It was sound when it was checked: decoding names it, and keeps nothing."""
    table = phantom_cases(tmp_path / "phantom", 20)
    file = Path(table["image"][5])
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(CaseError, match=f"{file}: damaged or cut off"):
        decode_once(table, 32, tmp_path / "cache")
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())
