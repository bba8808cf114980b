"""A network as ONNX: for programs that know neither torch nor this library.

The file takes grey pictures and gives probabilities and the one answer (`lib.decode`); what else it
takes to use it stands in its metadata.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import decode
from .atomic import replacing
from .blocks import GREY
from .cases import CLASSES
from .dicom import first_line
from .square import fit_image

OPSET = 23  # the newest that onnxruntime-web and our own onnxruntime both read
INPUT = "image"
JOINT = ("posterior", "label", "mask")
CLOSE = 1e-4  # how far probabilities may be from torch's


class ExportError(RuntimeError):
    """A network that cannot be written as ONNX, or a file that does not answer as the network."""


class Answers(nn.Module):
    """A network with its scaling before it and the joint decision after it.

    Takes grey 0..1, float32 (N, 1, S, S). Gives, in the order of `outputs`: the probabilities cls
    (N, K), seg2 (N, 2, S, S) and seg3 (N, K+1, S, S) of the tasks that it has; and, where these
    hold a class and a map, the one answer of `lib.decode.joint`: posterior (N, K), label (N,), the
    class or -1 for "no nodule", and mask (N, S, S), 0 background, 1..K the class.

    >>> from .networks import MSMTL
    >>> whole = Answers(MSMTL("resnet18").eval(), size=64)
    >>> whole.outputs
    ('cls', 'seg2', 'seg3', 'posterior', 'label', 'mask')
    >>> [tuple(one.shape) for one in whole(torch.rand(2, 1, 64, 64))][3:]
    [(2, 2), (2,), (2, 64, 64)]
    """

    def __init__(self, network: nn.Module, size: int, weights: decode.Weights = decode.EQUAL):
        super().__init__()
        self.network, self.size, self.weights = network, size, weights
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        with torch.no_grad():
            found = network(torch.zeros(1, 1, size, size, device=device)).items()
        self.tasks = tuple(name for name, _ in found)
        self.outputs = self.tasks + (JOINT if decode.decidable(self.tasks) else ())

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        given = dict(self.network((image - GREY[0]) / GREY[1]).probabilities.items())
        if self.outputs == self.tasks:
            return tuple(given.values())
        one = decode.joint(given, self.weights)
        return (*given.values(), one.cls.float(), one.label, one.mask.to(torch.uint8))


def export(
    network: nn.Module,
    size: int,
    weights: decode.Weights,
    file: str | Path,
    *,
    classes: Sequence[str] = CLASSES,
    about: Mapping[str, Any] = MappingProxyType({}),
    opset: int = OPSET,
) -> Path:
    """Write a network and its joint decision as one ONNX file, atomically, and check it.

    Args:
        network: returns `TaskLogits`; its input is a grey picture of `size` x `size` pixels.
        size: side of the input, px.
        weights: of the joint decision.
        file: where to.
        classes: their names, in the network's order; they go into the file's metadata.
        about: goes into the file's metadata under `about`, as JSON.
        opset: the version of ONNX's operators.

    Returns:
        The file. Its input is `image`, float32 (batch, 1, size, size), grey 0..1; its outputs have
        the names and shapes of `Answers`; the batch may have any size.

    Raises:
        ExportError: torch cannot write this network, what was written answers otherwise than the
            network, see `check`, or it has another number of classes than of names.
    """
    whole = Answers(network.to("cpu").eval(), size, weights).eval()
    example = torch.rand(3, 1, size, size, generator=torch.Generator().manual_seed(0))
    _require_names(whole, example, classes)
    try:
        with _traced(), torch.no_grad():
            made = torch.onnx.export(
                whole,
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=[INPUT],
                output_names=list(whole.outputs),
                opset_version=opset,
            )
    except Exception as error:  # the exporter raises nearly every kind of error
        reason = first_line(error.__cause__ or error)
        name = type(network).__name__
        raise ExportError(f"{name} cannot be written as ONNX ({reason})") from error
    model = made.model_proto
    _forget_sources(model)
    told = {"about": json.dumps(dict(about), allow_nan=False)} if about else {}
    told |= {"classes": json.dumps(list(classes)), "weights": json.dumps(weights.record())}
    told |= {"use": "for research and teaching"}
    for key, value in told.items():
        model.metadata_props.add(key=key, value=value)
    with replacing(Path(file)) as draft:
        draft.write_bytes(model.SerializeToString())
        check(draft, whole, phantoms(size))
    return Path(file)


def _require_names(whole: Answers, example: Tensor, classes: Sequence[str]) -> None:
    with torch.no_grad():
        given = dict(zip(whole.outputs, whole(example), strict=True))
    for task, more in (("cls", 0), ("seg3", 1)):
        if task in given and (found := given[task].shape[1] - more) != len(classes):
            named = ", ".join(classes)
            raise ExportError(f"the network has {found} classes, and the names given are {named}")


def phantoms(size: int, number: int = 20) -> Tensor:
    """Pictures of the phantom to compare two programs on: grey 0..1, float32 (number, 1, S, S).

    >>> phantoms(32, number=2).shape
    torch.Size([2, 1, 32, 32])
    """
    from .sources import phantom

    drawn = [phantom.draw(CLASSES[at % 2], rng=at, size=96).image for at in range(number)]
    return torch.from_numpy(np.stack([fit_image(one, size) for one in drawn]))[:, None] / 255


def check(file: str | Path, whole: Answers, images: Tensor) -> float:
    """The largest difference between the probabilities of a file and of torch, on these images.

    `images`: grey 0..1, float32 (N, 1, S, S). Raises ExportError where it exceeds 1e-4, or where
    more than that share of the labels or of the mask's pixels differ (a few may be ties).
    """
    with torch.no_grad():
        ours = {n: v.numpy() for n, v in zip(whole.outputs, whole(images), strict=True)}
    theirs = dict(zip(whole.outputs, session(file).run(None, {INPUT: images.numpy()}), strict=True))
    soft = [name for name in whole.outputs if name not in JOINT[1:]]
    away = {name: float(np.abs(ours[name] - theirs[name]).max()) for name in soft}
    if "mask" in ours:
        away["mask"] = float(np.mean(ours["mask"] != theirs["mask"]))
        away["label"] = float(np.mean(ours["label"] != theirs["label"]))
    far = {name: value for name, value in away.items() if not value <= CLOSE}
    if far:
        listed = ", ".join(f"{name} by {value:.2g}" for name, value in far.items())
        raise ExportError(f"{Path(file).name}: differs from torch, {listed}; {CLOSE} is allowed")
    return max(away[name] for name in soft)


def session(file: str | Path, threads: int | None = None) -> Any:
    """An onnxruntime session on the CPU, with so many threads (None: torch's number)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _forget_sources(model: Any) -> None:
    """Drop what torch notes of its own: of every node, the source file and line it comes from."""
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        del part.metadata_props[:]
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""


def _take_along_dim(values: Tensor, index: Tensor, dim: int) -> Tensor:
    """Torch's own, as the exporter can trace it: torch's fixes the number of images."""
    sides = [index.shape[d] if d == dim else side for d, side in enumerate(values.shape)]
    return values.gather(dim, index.expand(sides))


TRACEABLE = {
    "as_subclass": lambda values, _: values,  # fastai's; here all tensors are plain ones
    "take_along_dim": _take_along_dim,
}


@contextlib.contextmanager
def _traced() -> Iterator[None]:
    """As the exporter needs it, and without its reports, which are about its own parts."""
    log = logging.getLogger("torch.onnx")
    level, before = log.level, {name: getattr(Tensor, name) for name in TRACEABLE}
    log.setLevel(logging.ERROR)
    try:
        for name, stand_in in TRACEABLE.items():
            setattr(Tensor, name, stand_in)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, own in before.items():
            setattr(Tensor, name, own)
        log.setLevel(level)


__all__ = ["Answers", "ExportError", "check", "export", "phantoms", "session"]
