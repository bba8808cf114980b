"""Time how a kept network answers, by torch and by ONNX Runtime: into results/bench/use.json.

    python ci/bench_use.py [MODEL]    # some two minutes on one core; the book's own by default

One thread, processor time, and the ways take turns: whatever else the machine does falls on all.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from timing import spread

sys.path.insert(0, str(Path(__file__).parents[1]))

import lib
from lib.atomic import replacing
from lib.export import CLOSE, INPUT, check, phantoms, session

MODEL = lib.results.path("phantom", "quick", "ms-mtl+intra+inter", 0).with_suffix(".safetensors")
TARGET = lib.results.RESULTS / "bench" / "use.json"
BATCHES, ROUNDS, IMAGES = (1, 16), 9, 32


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("model", nargs="?", type=Path, default=MODEL)
    torch.set_num_threads(1)
    predictor = lib.load(options.parse_args().model)
    images = phantoms(predictor.size, IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        file = predictor.to_onnx(Path(folder, "net.onnx"))
        seconds_export = time.process_time() - begun
        away = check(file, predictor._whole, phantoms(predictor.size, 20))
        onnx, size = session(file, threads=1), file.stat().st_size
        ways = {
            "torch": lambda part: predictor._whole(part),
            "onnx": lambda part: onnx.run(None, {INPUT: part.numpy()}),
        }
        seconds = {(way, batch): [] for way in ways for batch in BATCHES}
        with torch.inference_mode():
            for turn in range(ROUNDS + 1):
                for (way, batch), known in seconds.items():
                    begun = time.process_time()
                    for part in images.split(batch):
                        ways[way](part)
                    if turn:  # the first one warms up
                        known.append((time.process_time() - begun) / IMAGES)
    record = {
        "experiment": predictor.about["experiment"],
        "profile": predictor.about["profile"],
        "size": predictor.size,
        "parameters": sum(p.numel() for p in predictor.network.parameters()),
        "threads": 1,
        "rounds": ROUNDS,
        "images_per_second": {
            way: {str(b): spread([1 / s for s in seconds[way, b]]) for b in BATCHES} for way in ways
        },
        "onnx_over_torch": {
            str(b): spread(
                np.divide(seconds["torch", b], seconds["onnx", b]).tolist()
            ) for b in BATCHES
        },
        "largest_difference": away,
        "allowed_difference": CLOSE,
        "onnx_megabytes": size / 2**20,
        "seconds_export": seconds_export,
        "machine": lib.results.machine(torch.device("cpu")),
        "versions": lib.results.versions()
        | {"onnxruntime": __import__("onnxruntime").__version__},
        "commit": lib.results.commit(),
    }  # fmt: skip
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["images_per_second"]), json.dumps(record["onnx_over_torch"]), away)


if __name__ == "__main__":
    main()
