"""Count the cases of bad input that the tests hold: python ci/robust.py, into results/bench."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from book.kit.figures.robust import AREAS
from lib.atomic import replacing


class Counting:
    """A plugin of pytest that notes each test's name, first line and number of cases."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        cases = Counter((item.path.stem, item.originalname) for item in items)
        about = {(i.path.stem, i.originalname): i.function.__doc__ or "" for i in items}
        self.rows = [
            {"file": file, "test": test, "about": about[file, test].split("\n")[0], "cases": number}
            for (file, test), number in cases.items()
        ]


if __name__ == "__main__":
    counting = Counting()
    files = [str(file) for name in AREAS for file in ROOT.glob(f"tests/*/{name}.py")]
    if len(files) != len(AREAS):
        raise SystemExit(f"of {len(AREAS)} files of tests {len(files)} are there")
    beside = " ".join(sorted({str(file.parent) for file in ROOT.glob("tests/*/test_*.py")}))
    # tests take from each other's modules; by its folders pytest finds them only if it reads all
    if pytest.main(["--collect-only", "-q", "-o", f"pythonpath={beside}", *files], [counting]):
        raise SystemExit("the tests cannot be collected")
    target = ROOT / "results" / "bench" / "robust.json"
    with replacing(target) as draft:
        draft.write_text(json.dumps(counting.rows, indent=1) + "\n")
    print(f"{sum(row['cases'] for row in counting.rows)} cases in {target.relative_to(ROOT)}")
