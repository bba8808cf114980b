"""A kept network at work: a picture in, three answers and the one they agree on out."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from . import decode, keep, likeness, pictures
from .blocks import CACHE
from .cases import UNKNOWN
from .export import INPUT, OPSET, Answers, ExportError, export, session
from .pictures import Picture
from .square import fit_image

ENGINES = ("auto", "torch", "onnx")
MANY = 500  # pictures from which on it pays to write the network as ONNX first
OVERLAP = 0.5  # IoU of T2's and T3's outline below which the two contradict each other
MINORITY = 0.1  # share of T3's nodule in the other class that is a contradiction


@dataclass(frozen=True)
class Answer:
    """What a network says of one picture.

    label: the class, 0 up, or -1 for "no nodule"; probability (K,): of each class, if there is a
    nodule, calibrated on the validation images (the joint posterior; T1's own where there can be
    none); mask: uint8 (H, W) in the picture's own size, 0 background, 1..K the class, 3 a nodule
    of a network that says no class; tasks: what each task says by itself, at the network's size:
    cls (K,), seg2 (2, S, S), seg3 (K+1, S, S); contradictions: between them, in words; warnings:
    in what the picture is unlike the training images, and how it was read.
    """

    classes: tuple[str, ...]
    label: int
    probability: np.ndarray | None
    mask: np.ndarray
    tasks: dict[str, np.ndarray] = field(repr=False)
    contradictions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The class in words."""
        if self.label >= 0:
            return self.classes[self.label]
        return "nodule" if self.mask.any() else "no nodule"

    @property
    def areas(self) -> int:
        """Separate areas of the mask."""
        return int(ndimage.label(self.mask > 0)[1])


class Predictor:
    """A kept network that answers pictures: made by `lib.load`.

    about: what the file says of itself (`lib.keep.describe`); network: the network itself, on the
    CPU; size: side of its input, px; classes; says_a_class: False if its training images had none,
    so that T2's outline is all it answers; weights: of the joint decision, as it was fitted
    (`answer` takes others); engine: "torch" or "onnx", whichever computes.
    """

    def __init__(self, file: Path):
        self.file, self.about = file, keep.describe(file)
        self._mark = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        self.network = keep.load(file)
        self.size, self.classes = int(self.about["size"]), tuple(self.about["classes"])
        told = (self.about["joint"] or {}).get("weights")
        weights = decode.Weights(**told) if told else decode.EQUAL
        # Without labels neither T1 nor T3 was trained: T2's outline is the answer
        self.says_a_class = keep.says_a_class(self.about)
        self._whole = Answers(self.network, self.size, weights).eval()
        self.tasks, self._session = self._whole.tasks, None

    @property
    def weights(self) -> decode.Weights:
        return self._whole.weights

    @property
    def engine(self) -> str:
        return "onnx" if self._session else "torch"

    @property
    def mark(self) -> str:
        """A digest of the file, by which its answers are told from another's: 16 hex digits."""
        return self._mark

    def to_onnx(self, file: str | Path) -> Path:
        """Write it as one ONNX file (`lib.export.export`), with what it says of itself.

        Raises ValueError for a name that does not end in .onnx: it may be another file's.
        """
        if Path(file).suffix.lower() != ".onnx":
            raise ValueError(f"{Path(file).name}: the file to write has to end in .onnx")
        about = {key: self.about[key] for key in ("experiment", "source", "profile", "seed")}
        about |= {"metrics": self.about["metrics"], "licence": self.about.get("licence", "")}
        return export(self.network, self.size, self.weights, file, about=about)

    def quicken(self, cache: Path | None = None) -> "Predictor":
        """Answer by ONNX Runtime from now on; the ONNX file is written once, into the cache.

        One that cannot be opened is written again. Raises `lib.export.ExportError` where the
        network cannot be written.
        """
        file = self._quick_file(cache)
        found = None
        if file.exists():
            with contextlib.suppress(Exception):  # onnxruntime has errors of its own
                found = session(file)
        self._session = found or session(self.to_onnx(file))
        return self

    def plain(self) -> "Predictor":
        """Answer by torch from now on."""
        self._session = None
        return self

    def quick_already(self, cache: Path | None = None) -> bool:
        """Whether the cache holds its ONNX file."""
        return self._quick_file(cache).exists()

    def _quick_file(self, cache: Path | None) -> Path:
        """Named by all that it is made of: the network, ONNX's operators, the joint decision."""
        decision = hashlib.sha256(Path(decode.__file__).read_bytes()).hexdigest()[:8]
        return Path(cache or CACHE) / f"{self.mark}-{OPSET}-{decision}.onnx"

    def probabilities(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """All outputs of `lib.export.Answers` for pictures as the network takes them.

        `images`: uint8 (N, S, S), from `lib.square.fit_image`.
        """
        given = (np.asarray(images)[:, None] / np.float32(255)).astype(np.float32)
        if self._session:
            found = self._session.run(None, {INPUT: given})
        else:
            with torch.inference_mode():
                found = [one.numpy() for one in self._whole(torch.from_numpy(given))]
        return dict(zip(self._whole.outputs, found, strict=True))

    def answer(
        self, picture: Picture | np.ndarray, weights: decode.Weights | None = None
    ) -> Answer:
        """Answer one picture; `weights` of the joint decision other than its own are possible.

        `picture`: from `lib.pictures.read`, or grey, uint8 (H, W).
        """
        if isinstance(picture, np.ndarray):
            if picture.dtype != np.uint8 or picture.ndim != 2 or not picture.size:
                what = f"{picture.dtype} {picture.shape}"
                raise ValueError(f"the picture is {what}; grey is needed, uint8 (H, W)")
            picture = Picture("picture", picture)
        shown = picture.shown
        fitted = fit_image(shown, self.size)
        found = {name: values[0] for name, values in self.probabilities(fitted[None]).items()}
        tasks = {name: found[name] for name in self.tasks}
        if not self.says_a_class and "seg2" in tasks:
            found = tasks = {"seg2": tasks["seg2"]}
        if weights is not None and "mask" in found:
            given = {name: torch.from_numpy(values)[None] for name, values in tasks.items()}
            one = decode.joint(given, weights)
            found["posterior"], found["label"] = one.cls[0].numpy(), one.label[0].item()
            found["mask"] = one.mask[0].numpy().astype(np.uint8)
        label, probability, small = _decided(tasks, found)
        mask = np.zeros(picture.grey.shape, np.uint8)
        x0, y0, x1, y1 = picture.crop or (0, 0, *picture.grey.shape[::-1])
        mask[y0:y1, x0:x1] = to_own_size(small, shown.shape)
        said = likeness.unlike(
            fitted,
            shown.shape,
            self.about.get("seen"),
            coloured=picture.coloured,
            regions=picture.regions,
        )
        if not self.says_a_class and "seg2" not in tasks:
            said = (*said, "its training images had no class: what it says was not trained")
        contradictions = tuple(contradicted(tasks, self.classes))
        return Answer(
            self.classes, label, probability, mask, tasks, contradictions, (*said, *picture.notes)
        )

    def __call__(self, images: str | Path | np.ndarray | Sequence[Any]) -> Iterator[Answer]:
        """The answer to each picture of files, folders and grey arrays, frame by frame in clips."""
        several = isinstance(images, Sequence) and not isinstance(images, str)
        for one in images if several else [images]:
            if isinstance(one, np.ndarray):
                yield self.answer(one)
                continue
            for name, file in pictures.find([one]).items():
                for picture in pictures.read(file, name):
                    yield self.answer(picture)


def load(file: str | Path, engine: str = "torch") -> Predictor:
    """A predictor from a file of `lib.keep.save`, ready to answer pictures.

    `engine`: "torch", or "onnx", which is some times as quick and takes some seconds to be made,
    the first time. Raises CheckpointError, naming the file, for one that is foreign, damaged or of
    a newer version.

    >>> load("best.safetensors")
    Traceback (most recent call last):
        ...
    lib.checkpoint.CheckpointError: best.safetensors: no such file
    """
    if engine not in ENGINES[1:]:
        raise ValueError(f"engine={engine!r}; use torch or onnx")
    predictor = Predictor(Path(file))
    return predictor.quicken() if engine == "onnx" else predictor


def to_own_size(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask, uint8 (S, S), back in the size of the picture that `lib.square.fit_image` fitted.

    Outlines become smooth where it grows; a nodule does not vanish where it shrinks.

    >>> to_own_size(np.array([[2, 0], [2, 0]], np.uint8), (2, 4)).tolist()
    [[2, 2, 0, 0], [2, 2, 0, 0]]
    """
    height, width = shape
    side = max(shape)
    top, left = (side - height) // 2, (side - width) // 2
    inside = slice(top, top + height), slice(left, left + width)
    value = int(mask.max())
    if value == 0:
        return np.zeros(shape, np.uint8)
    soft = Image.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8))
    large = np.asarray(soft.resize((side, side), Image.Resampling.BILINEAR))[inside]
    nodule = large >= 128 if (large >= 128).any() else large == max(large.max(), 1)
    return np.where(nodule, np.uint8(value), np.uint8(0))


def contradicted(tasks: dict[str, np.ndarray], classes: Sequence[str]) -> list[str]:
    """In words, where the tasks of one picture contradict each other before they are decided.

    T1 against the class that covers most of T3's nodule; T2's outline against T3's (IoU below .5,
    or only one of the two sees a nodule); two classes within T3 (a tenth of it or more).

    >>> seg3 = np.zeros((3, 4, 4)); seg3[2, 1:3, 1:3] = 1; seg3[0] = 1 - seg3[2]
    >>> contradicted({"cls": np.array([0.9, 0.1]), "seg3": seg3}, ("benign", "malignant"))
    ['T1 says benign, T3 says malignant']
    """
    said = []
    painted = tasks["seg3"].argmax(0) if "seg3" in tasks else None
    if painted is not None:
        counts = np.bincount(painted.ravel(), minlength=len(classes) + 1)[1:]
        named = classes[counts.argmax()] if counts.any() else "no nodule"
        if "cls" in tasks and (own := classes[tasks["cls"].argmax()]) != named:
            said.append(f"T1 says {own}, T3 says {named}")
        if counts.any() and (rest := (counts.sum() - counts.max()) / counts.sum()) >= MINORITY:
            said.append(f"T3 paints {rest:.0%} of its nodule in another class")
    if painted is not None and "seg2" in tasks:
        two, three = tasks["seg2"].argmax(0) > 0, painted > 0
        if two.any() != three.any():
            sees, misses = ("T2", "T3") if two.any() else ("T3", "T2")
            said.append(f"{sees} sees a nodule, {misses} does not")
        elif two.any() and (iou := (two & three).sum() / (two | three).sum()) < OVERLAP:
            said.append(f"T2 and T3 outline different areas (IoU {iou:.2f})")
    return said


def _decided(
    tasks: dict[str, np.ndarray], found: dict[str, np.ndarray]
) -> tuple[int, np.ndarray | None, np.ndarray]:
    """The label, the probabilities of the classes, and the mask at the network's size."""
    if "mask" in found:
        return int(found["label"]), found["posterior"].astype(float), found["mask"]
    if "seg2" in tasks:  # where, but not what
        return -1, None, np.where(tasks["seg2"].argmax(0) > 0, np.uint8(UNKNOWN), np.uint8(0))
    cls = tasks["cls"].astype(float)
    return int(cls.argmax()), cls, np.zeros((1, 1), np.uint8)  # what, but not where


__all__ = [
    "Answer",
    "ExportError",
    "Predictor",
    "contradicted",
    "load",
    "to_own_size",
]
