"""What deciding together costs beside the network that is decided: results/bench/decode.json.

    OMP_NUM_THREADS=1 python ci/bench_decode.py    # about a minute of one core

MS-MTL as the profile `evidence` builds it answers phantoms, to the probabilities of its three
tasks; then `lib.decode.joint` decides these. One thread, processor time, and the two take turns, so
that whatever else the machine does falls on both. Weights do not matter to the time: they are drawn
at random, and nothing is fetched.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from timing import spread

sys.path.insert(0, str(Path(__file__).parents[1]))

import lib
from lib import decode
from lib.atomic import replacing
from lib.export import phantoms

TARGET = lib.results.RESULTS / "bench" / "decode.json"
PROFILE = lib.profiles.find("evidence")
BATCHES, ROUNDS, IMAGES = (1, 16), 15, 32
PRECISIONS = ("float32", "bfloat16")
LIMIT = 0.02  # of the network's time
WEIGHTS = decode.Weights(cls=0.3, maps=0.1, bias=(0.3, -0.3))


def main() -> None:
    torch.set_num_threads(1)
    options = PROFILE.network_options() | {"weights": None}
    network = lib.experiments.find("ms-mtl").network(**options).eval()
    network = network.to(memory_format=torch.channels_last)
    images = phantoms(PROFILE.size, IMAGES).contiguous(memory_format=torch.channels_last)
    record = {
        "experiment": "ms-mtl",
        "profile": PROFILE.name,
        "size": PROFILE.size,
        "threads": 1,
        "rounds": ROUNDS,
        "limit": LIMIT,
        "milliseconds": {},
        "share": {},
        "machine": lib.results.machine(torch.device("cpu")),
        "versions": lib.results.versions(),
        "commit": lib.results.commit(),
    }
    for precision in PRECISIONS:
        for batch in BATCHES:
            seconds = np.array([turn(network, images, batch, precision) for _ in range(ROUNDS + 1)])
            answers, decides = seconds[1:].T / IMAGES  # the first turn warms up
            where = f"{precision}, batches of {batch}"
            record["milliseconds"][where] = {
                "network": spread(1000 * answers),
                "decision": spread(1000 * decides),
            }
            record["share"][where] = spread(decides / answers)
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["share"]))


@torch.inference_mode()
def turn(
    network: torch.nn.Module, images: torch.Tensor, batch: int, precision: str
) -> tuple[float, float]:
    """Seconds of the processor for the network and for the decision, over all images."""
    answers = decides = 0.0
    for part in images.split(batch):
        begun = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            given = dict(network(part).probabilities.items())
        told = time.process_time()
        decode.joint(given, WEIGHTS)
        decides += time.process_time() - told
        answers += told - begun
    return answers, decides


if __name__ == "__main__":
    main()
