"""The door: what may be handed in, what is said of the rest, and that nobody waits behind it."""

import math
from typing import Literal

import pytest
import torch
from torch.overrides import TorchFunctionMode

from lib import checks, consistency, metrics
from lib.checks import probabilities, takes_probabilities, trusted


class Looks(TorchFunctionMode):
    """Counts how often a value is asked of a tensor: a GPU would have to finish first."""

    ASKING = ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__float__", "__int__")
    ASKING += ("__index__", "masked_select", "unique")

    def __init__(self):
        super().__init__()
        self.count, self.names = 0, []

    def __torch_function__(self, function, types, given=(), options=None):
        name = getattr(function, "__name__", "")
        moved = name == "to" and "cpu" in map(str, given[1:])
        chosen = name == "__getitem__" and any(
            isinstance(one, torch.Tensor) and one.dtype == torch.bool
            for one in (given[1] if isinstance(given[1], tuple) else (given[1],))
        )
        if name in self.ASKING or moved or chosen:
            self.count += 1
            self.names.append(name)
        return function(*given, **(options or {}))


def answers(n=2):
    generator = torch.Generator().manual_seed(0)
    shapes = ((n, 2), (n, 2, 6, 6), (n, 3, 6, 6))
    return [torch.randn(*shape, generator=generator).softmax(1) for shape in shapes]


def test_what_counts_as_a_look():
    values = torch.arange(3.0)
    with Looks() as looks:
        bool(values[0] > 1), float(values[1]), values.tolist(), values.max().item()
        values[values > 1], values.nonzero(), values.cpu(), values.to("cpu"), values.numpy()
    assert looks.count == 9, looks.names


def test_a_term_looks_at_each_tensor_once_and_not_at_all_where_it_is_trusted():
    cls, seg2, seg3 = answers()
    calls = {
        1: [lambda: consistency.seg_as_cls(seg3)],
        2: [lambda: consistency.intra_task(seg2, seg3), lambda: consistency.inter_task(cls, seg3)],
        3: [lambda: consistency.three_task(cls, seg2, seg3)],
    }
    for count, functions in calls.items():
        for function in functions:
            with Looks() as looks:
                function()
            assert looks.count == count
            with trusted(), Looks() as looks:
                function()
            assert looks.count == 0


def test_a_batch_is_counted_with_one_look_at_each_tensor_and_one_transfer():
    cls, seg2, seg3 = answers()
    mask, label = torch.randint(0, 3, (2, 6, 6)), torch.tensor([0, 1])
    with Looks() as looks:
        metrics.count_batch(mask=mask, label=label, cls=cls, seg2=seg2, seg3=seg3)
    assert looks.names == ["__bool__"] * 3 + ["tolist"] * 2 + ["cpu", "numpy"]


def test_trust_ends_with_its_block_also_by_an_error():
    bad = torch.tensor([[0.5, math.nan]])
    with pytest.raises(RuntimeError), trusted():
        assert probabilities(cls=bad)["cls"].isnan().any()
        raise RuntimeError
    with trusted(False), pytest.raises(ValueError, match="not a number"):
        probabilities(cls=bad)
    with trusted(), trusted(False):  # no door opens what was trusted outside
        probabilities(cls=bad)


def test_probabilities():
    with pytest.raises(TypeError, match=r"cls is a list; pass a torch\.Tensor \(N, 2 or more\)"):
        probabilities(cls=[[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"cls holds torch\.int64"):
        probabilities(cls=torch.tensor([[0, 1]]))
    with pytest.raises(ValueError, match="empty"):
        probabilities(cls=torch.empty(0, 2))
    close = torch.tensor([[-0.0009, 1.0009]])
    assert torch.equal(probabilities(cls=close)["cls"], close)
    with pytest.raises(ValueError, match=r"cls\[0, 1\] is 1.002, outside \[0, 1\] \(1 of 2 values"):
        probabilities(cls=torch.tensor([[0.0, 1.002]]))


def test_probabilities_come_in_full_precision_in_rows():
    seg3 = torch.rand(2, 3, 4, 4).to(torch.bfloat16, memory_format=torch.channels_last)
    given = probabilities(seg3=seg3)["seg3"]
    assert given.dtype == torch.float32 and given.is_contiguous()
    assert torch.equal(given, seg3.float())
    assert probabilities(seg3=seg3.double())["seg3"].dtype == torch.float64


def test_only_the_options_that_the_hints_name():
    @takes_probabilities
    def shade(cls: torch.Tensor, by: Literal["rows", "all"] = "rows", deep: bool = True) -> str:
        return f"{by} {deep}"

    cls = answers()[0]
    assert shade(cls, "all", deep=False) == "all False"
    for options, words in (
        ({"by": "row"}, r"by='row' is not an option; use one of rows, all \(did you mean rows"),
        ({"deep": "no"}, "deep='no' is not an option; use one of True, False"),
    ):
        with pytest.raises(ValueError, match=words):
            shade(cls, **options)
        with pytest.raises(ValueError, match=words):
            checks.options(shade, options, "Shade")
    with pytest.raises(ValueError, match=r"Shade has no option 'depth'; it has by, deep"):
        checks.options(shade, {"depth": True}, "Shade")
    checks.options(lambda cls, **any: cls, {"depth": True}, "Shade")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[0]], "label is a list; pass a torch.Tensor"),
        (torch.tensor([0.0]), "label holds torch.float32; pass integers -1 to 1"),
        (torch.tensor([True]), "label holds torch.bool"),
        (torch.tensor([[0]]), r"label has shape \(1, 1\); expected \(N,\), not empty"),
        (torch.tensor([], dtype=torch.long), r"label has shape \(0,\)"),
        (torch.tensor([0, 2]), "label holds the values 0 to 2; expected -1 to 1"),
        (torch.tensor([-2, 1], dtype=torch.int8), "label holds the values -2 to 1"),
    ],
)
def test_integers(values, words):
    with pytest.raises((TypeError, ValueError), match=words):
        checks.integers("label", values, -1, 1, "(N,)")
