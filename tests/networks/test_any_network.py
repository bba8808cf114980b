"""Consistency on networks that are not ours, and on five classes in place of two."""

import inspect
import re

import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from monai.networks.nets import BasicUNet
from test_consistency import FIG_3, answers, maps_that_give
from tiny import TinyNet, tiny_loaders
from torch import nn
from torch.utils.data import TensorDataset
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from lib import InterTask, IntraTask, ThreeTask, metrics, task_learner
from lib.callbacks import MissingTaskError
from lib.networks import TaskLogits
from lib.networks.adapt import Adapted

TASKS = ["T1 BCE", "T2 Dice", "T3 Dice"]
TERMS = ["L_T2T3", "L_T1T3", "L_T1T2T3"]


def quiet(_):
    pass


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    return tiny_loaders(tmp_path_factory.mktemp("phantoms"))


class TwoHeads(nn.Module):
    """A network as others write it: torchvision's, with a head of our own on its features."""

    def __init__(self):
        super().__init__()
        self.seg = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)
        self.head = nn.Linear(960, 2)

    def forward(self, image):
        features = self.seg.backbone(image.expand(-1, 3, -1, -1))
        maps = self.seg.classifier(features)  # an eighth of the image's size
        maps = nn.functional.interpolate(maps, image.shape[2:], mode="bilinear")
        return {"class": self.head(features["high"].mean((2, 3))), "maps": maps}


def on_torchvision(dls):
    def read(out):
        maps = out["maps"]
        return TaskLogits(cls=out["class"], seg2=maps[:, :2], seg3=maps[:, 2:])

    terms = [IntraTask(), InterTask(), ThreeTask()]
    return task_learner(dls, Adapted(TwoHeads(), read), consistency=terms, weight=0.3, log=quiet)


def on_monai(dls):
    def read(maps):  # no head: the class is the mean of two more maps
        return TaskLogits(maps[:, 5:].mean((2, 3)), seg2=maps[:, :2], seg3=maps[:, 2:5])

    unet = BasicUNet(spatial_dims=2, out_channels=7, features=(4, 4, 8, 8, 8, 4))
    terms = [IntraTask(), InterTask(), ThreeTask()]
    return task_learner(dls, Adapted(unet, read), consistency=terms, weight=0.3, log=quiet)


@pytest.mark.parametrize("attach", [on_torchvision, on_monai])
def test_the_callbacks_on_a_network_of_another_library(attach, phantoms):
    assert len(inspect.getsource(attach).split("\n", 1)[1].split("\n")) < 10
    learn = attach(phantoms)
    before = {name: values.clone() for name, values in learn.model.named_parameters()}
    learn.fit(1)
    (epoch,) = learn.history
    for part in ("train", "valid"):
        assert list(epoch[part]) == [*TASKS, *TERMS, "total"]
        means = epoch[part]
        expected = sum(means[t] for t in TASKS) + 0.3 * sum(means[t] for t in TERMS)
        assert means["total"] == pytest.approx(expected, rel=1e-4)
    assert {"ACC", "dice_class_mean", "inconsis_cls", "inconsis_seg2"} <= set(epoch["metrics"])
    still = [n for n, p in learn.model.named_parameters() if torch.equal(p, before[n])]
    assert not still  # every weight of theirs was trained


@pytest.mark.parametrize("attach", [on_torchvision, on_monai])
@pytest.mark.parametrize(
    ("term", "moved"),
    [
        (IntraTask, {"seg2", "seg3"}),
        (InterTask, {"cls", "seg3"}),
        (ThreeTask, {"seg2", "seg3"}),
    ],
)
def test_the_gradient_of_each_term_reaches_their_network(attach, term, moved, phantoms):
    model = attach(phantoms).model
    image = phantoms.one_batch()[0].as_subclass(torch.Tensor)
    logits = model(image)
    for _, scores in logits.items():
        scores.retain_grad()
    given = (getattr(logits.probabilities, name) for name in term.needs)
    term.function(*given).backward()
    found = {n for n, s in logits.items() if s.grad is not None and s.grad.abs().sum() > 0}
    assert found == moved
    first = next(model.network.parameters())
    assert first.grad is not None and first.grad.abs().sum() > 0


def test_a_task_that_their_network_lacks_is_named(phantoms):
    unet = BasicUNet(spatial_dims=2, out_channels=5, features=(4, 4, 8, 8, 8, 4))
    network = Adapted(unet, lambda out: TaskLogits(seg2=out[:, :2], seg3=out[:, 2:]))
    learn = task_learner(phantoms, network, consistency=[IntraTask()], log=quiet)
    learn.fit(1)
    assert "L_T2T3" in learn.history[0]["train"] and "ACC" not in learn.history[0]["metrics"]
    assert "ACC_seg" in learn.history[0]["metrics"]
    learn = task_learner(phantoms, network, consistency=[InterTask()], log=quiet)
    with pytest.raises(MissingTaskError, match=r"InterTask.*T1 \(classification\)"):
        learn.fit(1)


def test_a_network_of_class_and_outline_is_measured_by_class(phantoms):
    learn = task_learner(phantoms, TinyNet(tasks=("cls", "seg2")), log=quiet)
    learn.fit(1)
    measures = learn.history[0]["metrics"]
    assert {"ACC", "dice_nodule", "dice_class_mean", "dice_paper_mean"} <= set(measures)
    assert not [name for name in measures if name.startswith("inconsis") or "_seg" in name]


# Adapted


def answer(**scores):
    """What Adapted gives for 4 images of 8 x 8 pixels if `read` gives these scores."""
    return Adapted(nn.Identity(), lambda _: TaskLogits(**scores))(torch.zeros(4, 1, 8, 8))


def test_adapted_hands_on_what_read_gives():
    scores = {"cls": torch.rand(4, 2), "seg2": torch.rand(4, 2, 8, 8)}
    assert dict(answer(**scores).items()) == scores


def test_adapted_owns_the_networks_weights():
    network = nn.Conv2d(1, 5, 1)
    adapted = Adapted(network, lambda out: TaskLogits(seg2=out[:, :2], seg3=out[:, 2:]))
    assert list(adapted.parameters()) == list(network.parameters())
    image = torch.rand(4, 1, 8, 8)
    assert torch.equal(adapted(image).seg3, network(image)[:, 2:])


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        (
            {"seg3": torch.zeros(4, 3, 2, 4)},
            ValueError,
            "seg3 has 2 x 4 pixels but image has 8 x 8; add torch.nn.functional.interpolate(seg3, "
            'size=(8, 8), mode="bilinear")',
        ),
        ({"seg2": torch.zeros(4, 2, 1, 1)}, ValueError, "seg2 has 1 x 1 pixels"),
        (
            {"seg2": torch.zeros(4, 2, 8)},
            ValueError,
            "seg2 has shape (4, 2, 8) but image has 4 images",
        ),
        (
            {"seg2": torch.zeros(3, 2, 8, 8)},
            ValueError,
            "seg2 has shape (3, 2, 8, 8) but image has 4 images",
        ),
        ({"cls": torch.zeros(4, 2, 8, 8)}, ValueError, "(4, classes): add .mean((2, 3))"),
        ({"cls": torch.zeros(2)}, ValueError, "cls has shape (2,) but image has 4 images"),
        ({"cls": torch.zeros(1, 2)}, ValueError, "cls has shape (1, 2) but image has 4 images"),
        ({"cls": [[0.0, 1.0]] * 4}, TypeError, "cls is a list"),
        ({}, ValueError, "without cls, seg2 and seg3"),
    ],
)
def test_adapted_says_what_does_not_fit(scores, error, message):
    with pytest.raises(error, match=re.escape(message)):
        answer(**scores)


def test_adapted_wants_task_logits():
    network = Adapted(nn.Identity(), lambda out: {"seg2": out})
    with pytest.raises(
        TypeError, match=r"read gave a dict; it must give lib\.networks\.TaskLogits"
    ):
        network(torch.zeros(4, 1, 8, 8))


# Five classes

KINDS = ("disc", "ring", "square", "bar", "post")


def blobs(n, seed):
    """Images (n, 1, 16, 16) of one of five shapes in noise, their masks 0..5 and labels 0..4."""
    g = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % 5
    y, x = torch.meshgrid(*[torch.arange(16.0)] * 2, indexing="ij")
    masks = []
    for kind in label.tolist():
        top, left = torch.randint(6, 10, (2,), generator=g)
        down, right = (y - top).abs(), (x - left).abs()
        r = (down**2 + right**2).sqrt()
        shape = (r < 4, (r < 5) & (r > 2.5), torch.maximum(down, right) < 4, down < 2, right < 2)
        masks.append((shape[kind] & (r < 6)) * (kind + 1))
    mask = torch.stack(masks)
    image = (mask > 0).float()[:, None] + 0.1 * torch.randn(n, 1, 16, 16, generator=g)
    return TensorDataset(image, mask, label)


class Five(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 16, 3, padding=2, dilation=2), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 24, 3, padding=3, dilation=3), nn.BatchNorm2d(24), nn.ReLU()),
        )
        self.cls, self.maps = nn.Linear(24, classes), nn.Conv2d(24, classes + 3, 1)

    def forward(self, image):
        features = self.body(image)
        maps = self.maps(features)
        return TaskLogits(self.cls(features.amax((2, 3))), seg2=maps[:, :2], seg3=maps[:, 2:])


def test_five_classes_are_trained_and_measured():
    loaders = (
        DataLoader(blobs(80, 0), bs=16, shuffle=True, num_workers=0),
        DataLoader(blobs(40, 1), bs=20, num_workers=0),
    )
    terms = [IntraTask(), InterTask(), ThreeTask()]
    learn = task_learner(
        DataLoaders(*loaders, device="cpu"), Five(), consistency=terms, weight=0.3, lr=1e-2,
        precision="float32", log=quiet,
    )  # fmt: skip
    learn.fit(10)
    first, last = learn.history[0], learn.history[-1]
    assert list(last["train"]) == [*TASKS, *TERMS, "total"]
    for term in (*TASKS, *TERMS):
        assert last["train"][term] < first["train"][term], term
    measures = last["metrics"]
    assert measures["ACC"] > 0.8 and measures["dice_class_mean"] > 0.5  # chance: .2
    assert {"F1_macro", "AUC_macro", "F1_seg_macro", "dice_class_class5"} <= set(measures)
    assert not {"PRE", "REC", "F1", "AUC"} & set(measures)
    assert all(f"inconsis_seg3_class{k}" in measures for k in range(1, 6))


def test_five_classes_agree_with_themselves():
    """A network that paints its own class contradicts itself nowhere; one that does not, does."""
    _, mask, label = blobs(10, 2).tensors
    sure = torch.nn.functional.one_hot
    chances = {
        "cls": sure(label, 5).float(),
        "seg2": sure((mask > 0).long(), 2).permute(0, 3, 1, 2).float(),
        "seg3": sure(mask, 6).permute(0, 3, 1, 2).float(),
    }
    agree = metrics.summarise(metrics.count_batch(mask=mask, label=label, **chances, classes=KINDS))
    assert {v for n, v in agree.items() if n.startswith("inconsis")} == {0.0}
    assert agree["dice_class_ring"] == agree["ACC"] == agree["AUC_macro"] == 1
    chances["cls"] = chances["cls"].roll(1, dims=1)
    differ = metrics.summarise(
        metrics.count_batch(mask=mask, label=label, **chances, classes=KINDS)
    )
    assert differ["inconsis_cls"] == 1 and differ["ACC"] == 0
    assert differ["inconsis_seg2"] == 0 and differ["inconsis_seg3_ring"] == pytest.approx(0.4)


# Two classes stay the paper's


def one_batch(*tensors):
    loader = DataLoader(TensorDataset(*tensors), bs=len(tensors[0]), num_workers=0)
    return DataLoaders(loader, loader, device="cpu")


@pytest.mark.parametrize(("seg", "cls", "printed", "plain"), FIG_3)
def test_the_callback_logs_what_fig_3_prints(seg, cls, printed, plain):
    """Cls and Seg3 of the figure, handed through an adapted network and the learner."""
    seg3 = maps_that_give(seg)
    cls, seg3 = (torch.as_tensor(p).clamp(min=1e-9).log() for p in ([cls], seg3))
    network = Adapted(nn.Conv2d(1, 1, 1), lambda _: TaskLogits(cls=cls, seg3=seg3))
    truth = torch.zeros(1, 12, 12, dtype=torch.long), torch.tensor([0])
    for options, expected, near in (({}, printed, 0.001), ({"softmax": "single"}, plain, 0.01)):
        dls = one_batch(torch.zeros(1, 1, 12, 12), *truth)
        learn = task_learner(dls, network, consistency=[InterTask(**options)], log=quiet)
        learn.validate()
        assert learn.loss_func.terms["L_T1T3"].item() == pytest.approx(expected, abs=near)


@pytest.mark.parametrize("classes", [2, 5])
def test_no_term_knows_one_class_from_another(classes):
    cls, seg2, seg3 = answers(classes=classes)
    order = torch.randperm(classes)
    shuffled = cls[:, order], seg2, seg3[:, [0, *(order + 1).tolist()]]
    for term in (IntraTask, InterTask, ThreeTask):
        values = [
            term.function(*(dict(zip(("cls", "seg2", "seg3"), given, strict=True))[n]
                            for n in term.needs)).item()
            for given in ((cls, seg2, seg3), shuffled)
        ]  # fmt: skip
        assert values[0] == pytest.approx(values[1], rel=1e-12), term


def test_classes_that_never_occur_change_nothing():
    """Two classes among five: the fold sees no difference, the mean over channels a known one."""
    cls, seg2, seg3 = answers(classes=2)
    wide_cls = nn.functional.pad(cls, (0, 3))
    wide_seg3 = nn.functional.pad(seg3, (0, 0, 0, 0, 0, 3))
    intra, three = IntraTask.function, ThreeTask.function
    assert intra(seg2, wide_seg3).item() == pytest.approx(intra(seg2, seg3).item())
    # an empty channel against an empty channel costs 0, and counts in the mean
    expected = three(cls, seg2, seg3).item() * 3 / 6
    assert three(wide_cls, seg2, wide_seg3).item() == pytest.approx(expected)
