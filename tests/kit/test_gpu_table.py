"""What a GPU did, in a table: speeds of those that share it are added, memory is that of one."""

import pytest
from records import cells

from book.kit import figures

ONE = {"experiment": "ms-mtl", "profile": "paper", "size": 512, "batch_size": 16}
ONE |= {"precision": "bfloat16", "images_per_second": 100.4, "memory_mb": 2000.0, "beside": 1}
MEASURED = {
    "runs": [
        ONE,
        ONE | {"beside": 2},
        ONE | {"beside": 2, "images_per_second": 50.0, "memory_mb": 3000.0},
        ONE | {"beside": 2, "shared_by": "MPS"},
    ],
    "machine": {"gpu": "A GPU"},
    "versions": {"torch": "2.0"},
    "tests": {"passed": 5, "failed": 0},
    "phantoms": 240,
    "commit": "0123456789ab",
}


def test_speeds_are_added_and_memory_is_that_of_one():
    shown = cells(figures.gpu_table(MEASURED))[1:]
    assert [row[1:] for row in shown] == [
        ["1", "100", "2000"],
        ["2", "150", "3000"],
        ["2, MPS", "100", "2000"],
    ]
    assert shown[0][0] == "MS-MTLpaper: 512 px, batches of 16, bfloat16"
    with pytest.raises(ValueError, match="bench_gpu"):
        figures.gpu_table({})
