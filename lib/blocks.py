"""From the case table to batches: decode once, fastai blocks, augmentation on the device."""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from fastai.vision.all import (
    DataBlock,
    DataLoaders,
    Normalize,
    RandTransform,
    TensorCategory,
    TensorImage,
    TensorImageBW,
    TensorMask,
    TfmdDL,
    TitledStr,
    Transform,
    TransformBlock,
    aug_transforms,
)
from matplotlib.colors import ListedColormap
from numpy.lib.format import open_memmap

from .cases import CLASSES, SPLITS, CaseError, class_index, fingerprint, prepare_cases
from .cases.identity import case_digest, combine
from .cases.looks import look, release
from .home import HOME

CACHE = Path(os.environ.get("LIB_CACHE", HOME / "data" / ".cache"))
GREY = 0.5, 0.5  # mean and standard deviation that inputs are scaled by: [0, 1] to [-1, 1]


@dataclass(frozen=True)
class Decoded:
    """All cases of a table as two arrays on disk, read through memory maps.

    `images` uint8 (N, S, S) and `masks` uint8 (N, S, S) with the values of `lib.cases.decode`;
    `cases` is the table they were made from, in the arrays' order, `fingerprint` the table's,
    `pixels` a digest of each case's pixels before they were reduced, and `digest` that of the
    arrays when they were written.

    >>> array = np.zeros((2, 32, 32), np.uint8)
    >>> len(Decoded(pd.DataFrame({"case": ["a", "b"]}), images=array, masks=array))
    2
    """

    cases: pd.DataFrame
    images: np.ndarray
    masks: np.ndarray
    fingerprint: str = ""
    pixels: tuple[str, ...] = ()
    digest: str = ""

    def __len__(self) -> int:
        return len(self.cases)


def decode_once(cases: pd.DataFrame, size: int, cache: Path | None = None) -> Decoded:
    """Decode every case to `size` x `size` pixels, once per content of the data.

    Pictures keep their aspect ratio (whether a nodule is taller than wide is a diagnostic sign)
    and are padded with black to a square. The arrays lie under `cache` (default: the environment's
    LIB_CACHE, else data/.cache), named by the data's fingerprint, so a changed file is never served
    from an old cache. What was prepared for this `size` is not decoded again. Raises CaseError for
    a file that cannot be read or changes meanwhile, OSError if the disk is full; nothing
    half-written stays.

    >>> from lib.sources import phantom
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cases = phantom.read(f"{folder}/phantom", cases=3, size=64)
    ...     decoded = decode_once(cases, size=32, cache=Path(folder))
    >>> decoded.images.shape, decoded.masks.dtype
    ((3, 32, 32), dtype('uint8'))
    """
    mark = fingerprint(cases)
    folder = Path(cache or CACHE) / f"{mark[:16]}-{size}"
    if not folder.exists():
        _write(cases, size, folder, mark)
    release(cases)
    kept = json.loads((folder / "cases.json").read_text())
    by_name = cases.set_index("case", drop=False)
    return Decoded(
        cases=by_name.loc[kept["cases"]].reset_index(drop=True),
        images=np.load(folder / "images.npy", mmap_mode="r"),
        masks=np.load(folder / "masks.npy", mmap_mode="r"),
        fingerprint=mark,
        pixels=tuple(kept["pixels"]),
        digest=kept["digest"],
    )


def _write(cases: pd.DataFrame, size: int, folder: Path, mark: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    cases = cases.sort_values("case")
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".draft-"))
    try:
        shape = len(cases), size, size
        images = open_memmap(draft / "images.npy", "w+", np.uint8, shape)
        masks = open_memmap(draft / "masks.npy", "w+", np.uint8, shape)
        pixels, seen = [], []
        for at, row in enumerate(cases.to_dict("records")):
            shown = look(row, size).sound()
            images[at], masks[at] = shown.fitted
            pixels.append(shown.pixels)
            seen.append(case_digest(row, shown))
        if combine(seen) != mark:
            raise CaseError("the data changed while they were decoded; run it again")
        images.flush(), masks.flush()
        names = cases["case"].tolist()
        kept = {"cases": names, "pixels": pixels, "digest": digest(images, masks)}
        (draft / "cases.json").write_text(json.dumps(kept))
        try:
            os.replace(draft, folder)
        except OSError:
            if not folder.exists():  # otherwise another run was quicker: its copy is as good
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def digest(*arrays: np.ndarray) -> str:
    """Sha256 of arrays, bytes in order; read case by case, so that a large one is never copied."""
    sha = hashlib.sha256()
    for array in arrays:
        for layer in array:
            sha.update(np.ascontiguousarray(layer))
    return sha.hexdigest()


def _say_what_vanishes(decoded: Decoded, size: int) -> None:
    """A warning if nodules are a single pixel at this size; CaseError if most of them are."""
    pixels = np.array([np.count_nonzero(mask) for mask in decoded.masks])
    tiny = np.flatnonzero(pixels == 1)
    drawn = np.count_nonzero(pixels)
    if not len(tiny):
        return
    what = (
        f"at {size} x {size} px, the nodules of {len(tiny)} of {drawn} images are a single pixel, "
        f"first {Path(decoded.cases['image'].iloc[tiny[0]]).name}"
    )
    if 2 * len(tiny) > drawn:
        raise CaseError(f"{what}: take a larger size, or crop the images")
    warnings.warn(f"{what}; a larger size shows their shape", stacklevel=3)


# ------------------------------------------------------------------------------ blocks for fastai

MASK_COLOURS = ("#00000000", "#009e73b0", "#d55e00b0", "#f0e442b0")  # safe for colour-blind readers


class UltrasoundImage(TensorImageBW):
    """A grey image that fastai shows as a scanner does, echoes bright."""

    _show_args: ClassVar = {"cmap": "gray", "vmin": 0, "vmax": 1}


class NoduleMask(TensorMask):
    """A mask that fastai shows over the image: benign green, malignant orange, unknown yellow."""

    _show_args: ClassVar = {
        "cmap": ListedColormap(MASK_COLOURS),
        "vmin": 0,
        "vmax": 3,
        "interpolation": "nearest",
    }


class _Read(Transform):
    """One of the three things that a case's number stands for; a list of numbers, a batch of it."""

    split_idx = None

    def __init__(self, decoded: Decoded):
        self.decoded = decoded


class ReadImage(_Read):
    """Number of a case to its grey image, uint8 (1, S, S)."""

    def encodes(self, at: int | list) -> UltrasoundImage:
        return UltrasoundImage(torch.from_numpy(np.array(self.decoded.images[at]))).unsqueeze(-3)


class ReadMask(_Read):
    """Number of a case to its mask, uint8 (S, S): 0 background, 1 benign, 2 malignant, 3 unknown.

    T2's mask is any nodule: `mask > 0`.
    """

    def encodes(self, at: int | list) -> NoduleMask:
        return NoduleMask(torch.from_numpy(np.array(self.decoded.masks[at])))


class ReadLabel(_Read):
    """Number of a case to its class: 0 benign, 1 malignant, -1 neither (no nodule, or unknown)."""

    def __init__(self, decoded: Decoded):
        super().__init__(decoded)
        self.labels = np.array([class_index(label) for label in decoded.cases["label"]])

    def encodes(self, at: int | list) -> TensorCategory:
        return TensorCategory(self.labels[at])

    def decodes(self, label: TensorCategory) -> TitledStr:
        return TitledStr(CLASSES[int(label)] if int(label) >= 0 else "no class")


class ToUnit(Transform):
    """Images from 0..255 to 0..1 float32, masks to int64; back again to show them."""

    order = 10  # before the augmentation

    def encodes(self, image: TensorImage):
        return image.float().div_(255)

    def encodes(self, mask: TensorMask):  # noqa: F811 (fastai dispatches on the type)
        return mask.long()

    def decodes(self, image: TensorImage):
        return image.clamp(0, 1)


class GaussianNoise(RandTransform):
    """Add white noise of a standard deviation drawn for each image from 0..`most` (grey 0..1).

    >>> grey = TensorImage(torch.full((2, 1, 8, 8), 0.5))
    >>> noisy = GaussianNoise(most=0.05, p=1.0)(grey, split_idx=0)
    >>> tuple(noisy.shape), bool((noisy != grey).any())
    ((2, 1, 8, 8), True)
    """

    order = 60  # after the geometry: noise belongs to the detector, so it is not resampled

    def __init__(self, most: float = 0.05, p: float = 0.5):
        super().__init__(p=p)
        self.most = most

    def encodes(self, image: TensorImage):
        sigma = torch.rand(len(image), 1, 1, 1, device=image.device) * self.most
        return image + sigma * torch.randn_like(image)


def augmentations() -> list[Transform]:
    """The paper's augmentations (section 4.3) as batch transforms, in fastai's terms.

    Flip, rotation by up to 15 degrees and zoom with shift by up to 10 % are composed into one
    resampling of image and mask; brightness and contrast by up to 20 %; Gaussian noise. Flips are
    left to right only: upside down, a shadow would lie above the nodule that casts it.

    >>> [type(step).__name__ for step in augmentations()]
    ['Flip', 'Brightness', 'GaussianNoise']
    """
    return [
        *aug_transforms(
            do_flip=True,
            max_rotate=15.0,
            min_zoom=0.9,
            max_zoom=1.1,
            max_lighting=0.2,
            max_warp=0.0,
            pad_mode="zeros",
        ),
        GaussianNoise(),
    ]


def datablock(decoded: Decoded, *, augment: bool = True) -> DataBlock:
    """The fastai DataBlock: number of a case to grey image, 3-class mask and class.

    `decoded.cases` needs its column `split`; test cases are the third subset, `dls[2]`. The item
    is an image, uint8 (1, S, S), a mask, uint8 (S, S), and a class, -1, 0 or 1.

    >>> from lib.sources import phantom
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cases = phantom.read(f"{folder}/phantom", cases=3, size=32).assign(split=SPLITS)
    ...     block = datablock(decode_once(cases, size=32, cache=Path(folder)))
    ...     sets = block.datasets(None)
    >>> [tuple(part.shape) for part in sets[0]], len(sets.subset(2))
    ([(1, 32, 32), (32, 32), ()], 1)
    """
    split = decoded.cases["split"]
    return DataBlock(
        blocks=[
            TransformBlock(type_tfms=read(decoded)) for read in (ReadImage, ReadMask, ReadLabel)
        ],
        n_inp=1,
        get_items=lambda _: range(len(decoded)),
        splitter=lambda _: [np.flatnonzero(split == name).tolist() for name in SPLITS],
        batch_tfms=[
            ToUnit(),
            *(augmentations() if augment else []),
            Normalize.from_stats([GREY[0]], [GREY[1]], cuda=False),
        ],
    )


class CaseDL(TfmdDL):
    """fastai's DataLoader, which reads a batch at once and remembers which cases it holds.

    >>> from lib.sources import phantom
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cases = phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     dls = dataloaders(cases, size=32, batch_size=3, cache=Path(folder))
    >>> len(list(dls[2])), dls[2].batch_cases(1)
    (2, [3])
    """

    def create_item(self, at: int | None) -> int:
        return at or 0  # fastai tries one batch with None

    def create_batch(self, places: list[int]) -> tuple:
        numbers = [self.dataset.items[at] for at in places]
        return tuple(part.tfms(numbers) for part in self.dataset.tls)

    def get_idxs(self) -> list[int]:
        self.order_of_cases = list(super().get_idxs())
        return self.order_of_cases

    def batch_cases(self, at: int) -> list[int]:
        """Numbers, within this loader's subset, of the cases in batch `at` of this epoch."""
        return self.order_of_cases[at * self.bs : (at + 1) * self.bs]


def dataloaders(
    cases: pd.DataFrame,
    *,
    size: int = 128,
    batch_size: int = 16,
    augment: bool = True,
    device: torch.device | str | None = None,
    cache: Path | None = None,
) -> DataLoaders:
    """Loaders for the training, validation and test cases of a table.

    Batches are UltrasoundImage float32 (N, 1, size, size) in -1..1, NoduleMask int64
    (N, size, size) and TensorCategory int64 (N,). `dls.cases` is the table in the order that
    `dls[k].batch_cases` counts in. A table that was not split yet goes through `prepare_cases`
    (seed 0), and loses the rows that this leaves out: call that yourself to see why. Warns if
    nodules are a single pixel at this size. Raises CaseError if most are, if a subset is empty or
    training does not fill one batch, ValueError if `size` is no multiple of 32.

    >>> from lib.sources import phantom
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cases = phantom.read(f"{folder}/phantom", cases=20, size=64)
    ...     dls = dataloaders(cases, size=32, batch_size=4, cache=Path(folder))
    >>> [tuple(part.shape) for part in dls.one_batch()], [len(table) for table in dls.cases]
    ([(4, 1, 32, 32), (4, 32, 32), (4,)], [12, 4, 4])
    """
    if size < 32 or size % 32:
        raise ValueError(f"size={size}; the encoders halve it five times: use a multiple of 32")
    if "split" not in cases:
        cases, _ = prepare_cases(cases, size=size)
    counts = cases["split"].value_counts()
    if empty := [name for name in SPLITS if not counts.get(name)]:
        raise CaseError(f"no case is left for {' and '.join(empty)}; the split is {dict(counts)}")
    if counts["train"] < batch_size:
        raise CaseError(
            f"{counts['train']} training cases do not fill one batch of {batch_size}; "
            "add cases or lower batch_size"
        )
    decoded = decode_once(cases, size, cache)
    _say_what_vanishes(decoded, size)
    block = datablock(decoded, augment=augment)
    dls = block.dataloaders(
        None, bs=batch_size, num_workers=0, dl_type=CaseDL, device=device or torch.device("cpu")
    )
    dls.cases = [
        decoded.cases[decoded.cases["split"] == name].reset_index(drop=True) for name in SPLITS
    ]
    return dls


__all__ = [
    "CaseDL",
    "Decoded",
    "GaussianNoise",
    "augmentations",
    "datablock",
    "dataloaders",
    "decode_once",
]
