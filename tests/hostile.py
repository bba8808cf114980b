"""What the tests of bad input share: a folder of sound images to spoil, and a watch over files."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

SHAPE = 48, 64  # rows, columns


def speckle(seed: int = 0, shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(30, 220, shape).astype(np.uint8)


def nodule(shape=SHAPE) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 255
    return mask


def folder(root: Path, cases: int = 4) -> Path:
    """Images 0.png, 1.png, ... with masks, half benign, half malignant, as `folder` takes them."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    rows = ["image,label"]
    for at in range(cases):
        Image.fromarray(speckle(at)).save(root / "images" / f"{at}.png")
        Image.fromarray(nodule()).save(root / "masks" / f"{at}.png")
        rows.append(f"{at}.png,{('benign', 'malignant')[at % 2]}")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


def tree(root: Path) -> dict[str, str]:
    """Every path under `root` with a digest of what it holds."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(root.rglob("*"))
    }


@contextmanager
def untouched(root: Path) -> Iterator[None]:
    """Nothing under `root` comes, goes or changes meanwhile."""
    before = tree(root)
    yield
    assert tree(root) == before


def in_a_child(what) -> str:
    """The error that `what` ends with in a process of its own, or "no error"."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "no error"
        try:
            what()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said
