"""One more process of a run that several train together: the template up to the trained network.

python ci/follow.py PARAMETERS, as ci/run.py calls it; the first process is the run's notebook.
"""

import json
import sys
from pathlib import Path

from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

TEMPLATE = Path(__file__).resolve().parents[1] / "book" / "experiment.ipynb"


def main(parameters: str) -> None:
    notebook = parameterize_notebook(load_notebook_node(str(TEMPLATE)), json.loads(parameters))
    trains = [at for at, cell in enumerate(notebook.cells) if "training.train(" in cell.source]
    notebook.cells = notebook.cells[: trains[0] + 1]
    NotebookClient(notebook, timeout=None, kernel_name="python3").execute()


if __name__ == "__main__":
    main(*sys.argv[1:])
