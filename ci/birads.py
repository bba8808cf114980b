"""The BI-RADS categories of BUS-BRA's images, into results/bench/birads.json.

python ci/birads.py path/to/busbra

The book compares the networks with the expert who gave them. The column stands in the publisher's
table, and no reader of `lib` takes it: it is no answer that a network is trained for. The licence
lets it be passed on with its source.
"""

import json
import sys

import lib
from lib.atomic import replacing
from lib.cases import CaseError, fingerprint
from lib.sources import busbra, layout

TARGET = lib.results.RESULTS / "bench" / "birads.json"
CATEGORIES = ("2", "3", "4", "5")
CITE = (
    "W. Gómez-Flores, M. J. Gregorio-Calas and W. C. A. Pereira, BUS-BRA: A breast ultrasound "
    "dataset for assessing computer-aided diagnosis systems, Medical Physics 51 (2024) 3110-3123, "
    "doi:10.1002/mp.16812. Data: doi:10.5281/zenodo.8231412, CC BY 4.0"
)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cases = busbra.read(sys.argv[1])
    root = layout.find_root("busbra", sys.argv[1], ("bus_data.csv",), inner=("BUSBRA",))
    file = root / "bus_data.csv"
    given = layout.read_csv(file, ("ID", "BIRADS")).set_index("ID")["BIRADS"][cases["case"]]
    for name, category in given.items():
        if category not in CATEGORIES:
            raise CaseError(f"{file}: BIRADS of {name} is {category!r}, not 2 to 5")
    found = {
        "source": "busbra",
        "fingerprint": fingerprint(cases),
        "commit": lib.results.commit(),
        "cite": CITE,
        "categories": {category: sorted(given.index[given == category]) for category in CATEGORIES},
    }
    with replacing(TARGET) as draft:
        draft.write_text(json.dumps(found, indent=1) + "\n")
    print({category: len(names) for category, names in found["categories"].items()})


if __name__ == "__main__":
    main()
