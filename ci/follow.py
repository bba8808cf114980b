"""One more process of a run that several train together: the template up to the trained network.

python ci/follow.py PARAMETERS, as ci/run.py calls it; the first process is the run's notebook.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the library beside this file
TEMPLATE = ROOT / "book" / "experiment.ipynb"


def main(parameters: str) -> None:
    names: dict = {"__name__": "follower"}
    for cell in json.loads(TEMPLATE.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        exec(compile(source, cell["id"], "exec"), names)
        if "parameters" in cell["metadata"].get("tags", ()):
            names |= json.loads(parameters)
        if "lib.training.train(" in source:
            return
    raise ValueError(f"{TEMPLATE.name} trains nothing")


if __name__ == "__main__":
    main(*sys.argv[1:])
