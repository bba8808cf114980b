"""The twelve rivals of Table 1 at the paper's size, built by name, and what their page states."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import SMALL
from torch.utils.flop_counter import FlopCounterMode

from book.kit import paper
from lib import profiles
from lib.cost import parameter_count
from lib.experiments import RIVALS, find
from lib.networks import Chen2018, NNUNetNative, PSPNet, Wang2018, Zhou2021, Zhou2021Native

PAGE = (Path(__file__).parents[2] / "book" / "rivals.md").read_text()
SECTIONS = dict(re.findall(r"^\((\w+)\)=\n(.*?)(?=^\(|\Z)", PAGE, re.MULTILINE | re.DOTALL))
PAPER = replace(profiles.find("paper"), weights=None)

# Section, million parameters, channels of each task; Mask R-CNN has no mask while it trains
SIZES = {
    "unet++": ("unetplusplus", 68.0, {"seg3": 3}),
    "deeplabv3+": ("deeplabv3plus", 45.7, {"seg3": 3}),
    "nnunet": ("nnunet", 51.5, {"seg3": 3}),
    "nnunet-native": ("nnunet", 46.3, {"seg3": 3}),
    "pspnet": ("pspnet", 48.8, {"seg3": 3}),
    "segnet": ("segnet", 48.4, {"seg3": 3}),
    "segnet-native-full": ("segnet", 29.4, {"seg3": 3}),
    "maskrcnn": ("maskrcnn", 63.0, {}),
    "bi2017": ("bi2017", 127.5, {"seg3": 3}),
    "kang2019": ("kang2019", 103.0, {"seg3": 3}),
    "wang2018": ("wang2018", 56.2, {"cls": 2, "seg2": 2}),
    "zhou2021": ("zhou2021", 51.5, {"cls": 2, "seg2": 2}),
    "zhou2021-native-full": ("zhou2021", 5.0, {"cls": 2, "seg2": 2}),
    "chen2018": ("chen2018", 48.7, {"cls": 2, "seg2": 2}),
    "singh2019-fc": ("singh2019", 70.5, {"cls": 2, "seg2": 2}),
}


@pytest.mark.parametrize("name", SIZES)
def test_at_the_papers_size_it_has_the_parameters_that_its_section_states(name):
    section, millions, tasks = SIZES[name]
    system = find(name)
    with torch.device("meta"):
        network = system.build(system.budget(PAPER))
        logits = network(torch.zeros(2, 1, 512, 512))
    shapes = {task: (2, n) if task == "cls" else (2, n, 512, 512) for task, n in tasks.items()}
    assert {task: tuple(scores.shape) for task, scores in logits.items()} == shapes
    assert round(parameter_count(network) / 1e6, 1) == millions
    assert f"{millions} million parameters" in SECTIONS[section]


def test_each_rival_of_table_1_has_a_section():
    rows = {row for system in RIVALS for table, row in system.rows if table == 1}
    assert len(rows) == 12 and rows <= set(paper.table(1).index)
    assert SECTIONS.keys() == {section for section, _, _ in SIZES.values()} and len(SECTIONS) == 12
    filled = {system.name for system in RIVALS if system.rows}
    assert filled - {"singh2019"} <= SIZES.keys()  # its forest hides the class: see singh2019-fc


@pytest.mark.parametrize("make", [Wang2018, Zhou2021, Zhou2021Native, Chen2018])
def test_a_three_class_head_if_wanted(make):
    """Those that give a nodule's mask and a class can give the 3-class mask in its place."""
    network = make("resnet18", mask="seg3", **SMALL)
    assert [task for task, _ in network(torch.zeros(2, 1, 64, 64)).items()] == ["cls", "seg3"]
    with pytest.raises(ValueError, match="mask='seg4'"):
        make("resnet18", mask="seg4")


def operations(make, size):
    """Of one image, in a forward pass of training, counted without computing anything."""
    with torch.device("meta"):
        network = make()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 1, size, size, device="meta"))
    return counter.get_total_flops() / 2


def test_operations_that_the_page_states():
    billions = [operations(lambda s=s: PSPNet(output_stride=s), 512) / 1e9 for s in (8, 16)]
    page = SECTIONS["pspnet"]
    assert f"{billions[0]:.0f} billion operations at output stride 8, and {billions[1]:.0f}" in page
    narrow, wide = (
        operations(lambda w=w: NNUNetNative(stages=5, decoder_channels=(w, w)), 96)
        for w in (16, 32)
    )
    assert wide / narrow == pytest.approx(4, abs=0.1)  # nnunet: "four times the operations"
