"""The networks of the page "Ask the network": python ci/ask.py, into results/bench/ask.

Trains MS-MTL without and with the paper's three terms on the phantom, and MS-MTL that may answer
"none" and "both" on phantom-mixed, small enough for a browser, with one thread; then writes each as
ONNX with weights of 8 bits, and made.json: how they were made, how well they do, and what the fewer
bits cost. Needs `npm ci --prefix ci` for the runtime of the page. A training that was interrupted
goes on, and one that is done is not repeated: delete data/ask to begin anew. With names, only these
are made, and of the others made.json keeps what it has.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import base64
import contextlib
import copy
import hashlib
import io
import json
import subprocess
import tempfile
import warnings
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from onnxruntime import quantization
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

import lib
from book.kit.explorables.asked import MADE
from lib.atomic import replacing
from lib.blocks import GREY
from lib.decode import TASKS
from lib.home import HOME
from lib.learner import seed_everything
from lib.networks import PresenceLogits, TaskLogits
from lib.networks.depthwise import Depthwise
from lib.profiles import Profile

FOLDER = lib.results.RESULTS / "bench" / "ask"
PAIR = ("ms-mtl", "ms-mtl+intra+inter")  # without and with the three terms
MIXED = "ms-mtl-present"  # without them, and taught images of no nodule and of two
TITLES = {
    PAIR[0]: "Without the terms",
    PAIR[1]: "With the three terms",
    MIXED: "Taught none and both",
}
SEED, PHANTOMS, TESTS = 0, 4000, 1000
PICTURES = 50  # of the test set, on which runtimes are compared
PROFILE = Profile(
    "page",
    "some minutes on one core: small enough for a browser",
    size=64,
    epochs=24,
    lr=3e-3,
    batch_size=32,
    encoder="tu-test_efficientnet",
    weights=None,
    decoder_channels=(48, 32, 24, 16, 8),
    phantoms=PHANTOMS,
)
SHORT = replace(PROFILE, name="page-short", about="six minutes on one core", epochs=18)
PROFILES = dict.fromkeys(PAIR, PROFILE) | {MIXED: SHORT}
SOURCES = dict.fromkeys(PAIR, "phantom") | {MIXED: "phantom-mixed"}
WORK = HOME / "data" / "ask"  # what is kept between trainings and exports; not committed


@cache
def loaders(source: str) -> tuple[Any, str]:
    """The phantoms of a source as loaders, and their fingerprint."""
    cases = lib.sources.read(source, cases=PROFILE.phantoms, test=TESTS)
    cases, _ = lib.prepare_cases(cases, seed=SEED, size=PROFILE.size)
    seed_everything(SEED)
    dls = lib.dataloaders(
        cases, size=PROFILE.size, batch_size=PROFILE.batch_size, device=torch.device("cpu")
    )
    return dls, lib.cases.fingerprint(cases)


def trained(name: str) -> tuple[Any, dict[str, Any]]:
    """The learner of one system, trained or as it was kept, and what its training was."""
    system, profile = lib.experiments.find(name), PROFILES[name]
    dls, fingerprint = loaders(SOURCES[name])
    seed_everything(SEED)
    network = system.build(profile)
    settings = {**system.record(), **profile.record(), "seed": SEED, "fingerprint": fingerprint}
    learn = lib.training.train(system, network, dls, profile, folder=WORK / name, settings=settings)
    told = WORK / name / "told.json"
    if not told.exists():
        seconds = sum(epoch["seconds_processor"] for epoch in learn.history)
        with replacing(told) as draft:
            draft.write_text(
                json.dumps(
                    {
                        "commit": lib.results.commit(),
                        "best_epoch": learn.best_epoch,
                        "processor_seconds": round(seconds),
                    }
                )
            )
    return learn, json.loads(told.read_text())


# ---- From a trained network to one for the page


def folded(network: nn.Module) -> nn.Module:
    """The same network for inference: batch normalisation is part of the layer beside it.

    Its weights have the names that the initialisers of the ONNX file have, after "network.".
    """
    network = copy.deepcopy(network).eval()
    layer = norm = None
    for name, module in list(network.named_modules()):
        parent = network.get_submodule(name.rpartition(".")[0]) if name else network
        own = name.rpartition(".")[2]
        if isinstance(module, Depthwise):
            setattr(parent, own, _plain(module))
        if isinstance(module, nn.Conv2d):
            layer = network.get_submodule(name)
        elif isinstance(module, nn.BatchNorm2d):
            shape = module.weight, module.bias
            stands = module.running_mean, module.running_var, module.eps
            layer.weight, layer.bias = fuse_conv_bn_weights(
                layer.weight, layer.bias, *stands, *shape
            )
            setattr(parent, own, getattr(module, "act", nn.Identity()))
        elif isinstance(module, nn.BatchNorm1d):  # before T1's layer, without weights of its own
            norm = module
            setattr(parent, own, nn.Identity())
        elif isinstance(module, nn.Linear) and norm is not None:
            scale = (norm.running_var + norm.eps).rsqrt()
            weight = module.weight * scale
            module.bias = nn.Parameter(module.bias - weight @ norm.running_mean)
            module.weight = nn.Parameter(weight)
    return network.requires_grad_(False)


def _plain(layer: Depthwise) -> nn.Conv2d:
    if layer.same:
        raise ValueError("a convolution with TensorFlow's padding: take another encoder")
    channels = layer.in_channels
    shape = {"stride": layer.stride, "padding": layer.padding, "groups": channels, "bias": False}
    plain = nn.Conv2d(channels, channels, layer.kernel_size, **shape)
    plain.weight = layer.weight
    return plain


def in_bytes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's weight as int8 and, for each channel of its output, the step of 1."""
    step = weight.flatten(1).abs().amax(1).clamp(min=1e-12) / 127
    each = step.view(-1, *[1] * (weight.ndim - 1))
    return (weight / each).round().to(torch.int8), step


def rounded(network: nn.Module) -> nn.Module:
    """A folded network whose weights are those that 8 bits leave."""
    network = copy.deepcopy(network)
    for weight in network.parameters():
        if weight.ndim > 1:
            whole, step = in_bytes(weight)
            weight.copy_(whole * step.view(-1, *[1] * (weight.ndim - 1)))
    return network


class Answers(nn.Module):
    """Probabilities in place of scores, as a tuple."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        scores = self.network(image)
        if isinstance(scores, PresenceLogits):  # its own way holds a table, which no export takes
            maps = TaskLogits(seg2=scores.seg2, seg3=scores.seg3).probabilities
            return scores.cls.sigmoid(), maps.seg2, maps.seg3
        return tuple(p for _, p in scores.probabilities.items())


def as_onnx(network: nn.Module, size: int) -> onnx.ModelProto:
    """A folded network as ONNX, without what torch says about its own source."""
    answers = Answers(network).eval()
    example = torch.zeros(2, 1, size, size)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.onnx.export(
            answers,
            (example,),
            input_names=["image"],
            output_names=list(TASKS),
            dynamic_shapes={"image": {0: torch.export.Dim("images")}},
            dynamo=True,
        ).model_proto
    model.graph.ClearField("value_info")
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for at, node in enumerate(model.graph.node):
        node.name = f"n{at}"
    return model


def small(model: onnx.ModelProto, network: nn.Module) -> onnx.ModelProto:
    """The model with the weights of a folded network as int8, made whole when they are read."""
    model = copy.deepcopy(model)
    weights = {f"network.{n}": w for n, w in network.named_parameters() if w.ndim > 1}
    kept, nodes = [], []
    for one in model.graph.initializer:
        weight = weights.pop(one.name, None)
        if weight is None:
            kept.append(one)
            continue
        whole, step = in_bytes(weight)
        names = f"{one.name}.int8", f"{one.name}.step"
        kept += [
            numpy_helper.from_array(t.numpy(), n) for t, n in zip((whole, step), names, strict=True)
        ]
        nodes.append(helper.make_node("DequantizeLinear", names, [one.name], axis=0))
    if weights:
        raise ValueError(f"the model has no {min(weights)}")
    nodes += model.graph.node
    for field, parts in (("initializer", kept), ("node", nodes)):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(parts)
    onnx.checker.check_model(model)
    return model


def weights_of(model: onnx.ModelProto) -> dict[str, Tensor]:
    """The state of the folded network that such a model holds."""
    held = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    state = {}
    for name, values in held.items():
        if name.endswith(".int8"):
            name = name.removesuffix(".int8")
            step = held[f"{name}.step"].reshape(-1, *[1] * (values.ndim - 1))
            values = values * step
        if name.startswith("network.") and not name.endswith(".step"):
            state[name.removeprefix("network.")] = torch.from_numpy(np.array(values))
    return state


def rebuilt(name: str, file: Path) -> nn.Module:
    """The torch network that an ONNX file of the page was made from, for inference."""
    network = folded(lib.experiments.find(name).build(PROFILE).eval())
    network.load_state_dict(weights_of(onnx.load(file)))
    return network


# ---- What it answers, and how far that is from what it should


def told_by(network: nn.Module, grey: np.ndarray) -> dict[str, np.ndarray]:
    """torch's probabilities for pictures, uint8 (N, S, S)."""
    image = (torch.from_numpy(grey)[:, None] / 255 - GREY[0]) / GREY[1]
    with torch.no_grad():
        return {task: p.numpy() for task, p in zip(TASKS, Answers(network)(image), strict=True)}


def told_in_page(model: onnx.ModelProto, grey: np.ndarray) -> dict[str, np.ndarray]:
    """The same by the runtime of the page, in node."""
    size, pixels = grey.shape[-1], base64.b64encode(grey.tobytes()).decode()
    given = {"model": base64.b64encode(model.SerializeToString()).decode(), "size": size}
    done = subprocess.run(
        ["node", Path(__file__).parent / "answers.mjs"],
        input=json.dumps(given | {"grey": pixels}),
        capture_output=True,
        text=True,
        check=True,
    )
    shape = {"cls": (2,), "seg2": (2, size, size), "seg3": (3, size, size)}
    return {
        task: np.frombuffer(base64.b64decode(text), "<f4").reshape(len(grey), *shape[task])
        for task, text in json.loads(done.stdout).items()
    }


def told_by_onnx(model: onnx.ModelProto, grey: np.ndarray) -> dict[str, np.ndarray]:
    """The same by onnxruntime in Python, which also knows other ways to use fewer bits."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    image = ((grey[:, None] / 255 - GREY[0]) / GREY[1]).astype(np.float32)
    return dict(zip(TASKS, session.run(list(TASKS), {"image": image}), strict=True))


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """How far two answers to the same pictures are apart.

    `largest` and `mean`: between two probabilities; `cls_largest`: of T1's; `classes`: how many
    pictures T1 gives another class; `pixels`: share of pixels that T2 or T3 gives another class.
    """
    switched = {task: one[task].argmax(1) != other[task].argmax(1) for task in ("seg2", "seg3")}
    said = (one["cls"] > 0.5) != (other["cls"] > 0.5)  # of two answers, each by itself
    pixels = np.concatenate([switched["seg2"], switched["seg3"]])
    away = {task: np.abs(one[task] - other[task]) for task in TASKS}
    return {
        "largest": float(max(values.max() for values in away.values())),
        "mean": float(np.mean([values.mean() for values in away.values()])),
        "cls_largest": float(away["cls"].max()),
        "classes": int(said.any(1).sum()),
        "pixels": float(pixels.mean()),
    }


def other_ways(model: onnx.ModelProto, grey: np.ndarray) -> dict[str, onnx.ModelProto]:
    """The same network with 8 bits for what flows through it, too: by onnxruntime's own ways.

    `grey`: pictures from which "static" takes the ranges.
    """
    image = ((grey[:, None] / 255 - GREY[0]) / GREY[1]).astype(np.float32)

    class Reader(quantization.CalibrationDataReader):
        rows = iter(image[:, None])

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self.rows, None)
            return None if row is None else {"image": row}

    with tempfile.TemporaryDirectory() as folder:
        plain, target = Path(folder, "plain.onnx"), Path(folder, "small.onnx")
        onnx.save(model, plain)
        byte = quantization.QuantType.QUInt8  # convolutions of the processor know no other
        quantization.quantize_dynamic(plain, target, weight_type=byte)
        found = {"dynamic": onnx.load(target)}
        quantization.quantize_static(plain, target, Reader(), per_channel=True)
        return found | {"static": onnx.load(target)}


def measured(learn: Any, network: nn.Module) -> dict[str, Any]:
    """Weights of the joint decision, and the measures on validation and test phantoms.

    Of a network that may answer "none" and "both": the rule of that decision, and the measures of
    presence on test phantoms.
    """
    learn.model = network
    if hasattr(network, "presence"):
        report = network.presence(learn)
        _, shown = lib.predict(learn, subset=2)
        of = {f"test_{kind}": values for kind, values in report["metrics"].items()}
        found = {name: {k: round(v, 4) for k, v in values.items()} for name, values in of.items()}
        found |= {"rule": report["decision"], "test": found.pop("test_raw")}
        return found | {"images": shown["image"].numpy()}
    weights = lib.learner.decoder_weights(learn)
    found = {"weights": weights.record()}
    for part, subset in (("valid", 1), ("test", 2)):
        rows, shown = lib.predict(learn, subset=subset, weights=weights)
        joint = lib.metrics.summarise(lib.metrics.decided(rows))
        for name, values in ((part, lib.metrics.summarise(rows)), (f"{part}_joint", joint)):
            found[name] = {key: round(value, 4) for key, value in values.items()}
    return found | {"images": shown["image"].numpy()}


def exported(name: str, learn: Any, told: dict[str, Any]) -> dict[str, Any]:
    """Writes one network; what is known of it."""
    dls, fingerprint = loaders(SOURCES[name])
    whole = folded(learn.model)
    fewer = rounded(whole)
    before, after = measured(learn, whole), measured(learn, fewer)
    grey, ranges = after.pop("images")[:PICTURES], before["images"][-PICTURES:]
    plain = as_onnx(whole, PROFILE.size)
    model = small(plain, whole)
    data = model.SerializeToString()
    file = FOLDER / f"{name}.onnx"
    with replacing(file) as draft:
        draft.write_bytes(data)
    by_torch = told_by(whole, grey)
    ways = {"weights": model} | other_ways(plain, ranges)
    return (
        told
        | {
            "title": TITLES[name],
            "source": SOURCES[name],
            "epochs": PROFILES[name].epochs,
            "fingerprint": fingerprint,
            "phantoms": {part: len(dls.cases[k]) for k, part in enumerate(lib.cases.SPLITS)},
            "file": file.name,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "parameters": sum(p.numel() for p in learn.model.parameters()),
            "float_bytes": len(plain.SerializeToString()),
            "equal": {  # the page's runtime against torch, with the same weights
                "float": apart(told_in_page(plain, grey), by_torch),
                "int8": apart(told_in_page(model, grey), told_by(rebuilt(name, file), grey)),
            },
            "quantisation": {
                way: apart(told_by_onnx(one, grey), by_torch) | {"bytes": one.ByteSize()}
                for way, one in ways.items()
            },
            "float_test": before["test"],
        }
        | after
    )


def main() -> None:
    torch.set_num_threads(1)
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", choices=[*TITLES], help="make only these")
    names = options.parse_args().names or TITLES
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / MADE
    kept = json.loads(file.read_text())["networks"] if file.exists() else {}
    kept |= {name: exported(name, *trained(name)) for name in names}
    packages = json.loads((Path(__file__).parent / "package-lock.json").read_text())["packages"]
    runtime = subprocess.check_output(["node", Path(__file__).parent / "runtime.mjs"])
    record = {
        "size": PROFILE.size,
        "profile": PROFILE.record(),
        "seed": SEED,
        "compared": PICTURES,
        "versions": lib.results.versions()
        | {name: version(name) for name in ("onnx", "onnxruntime")}
        | {name: packages[f"node_modules/{name}"]["version"] for name in ("onnxruntime-web",)},
        "runtime": {"bytes": len(runtime)},
        "networks": {name: kept[name] for name in TITLES if name in kept},
    }
    with replacing(file) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
