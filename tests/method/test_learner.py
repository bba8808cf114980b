"""The learner: schedule, precision, and predictions that belong to their cases."""

import math

import pytest
import torch
from overfit import overfit
from tiny import TinyNet, tiny_loaders

from lib import learner, metrics
from lib.callbacks import Autocast, InterTask, IntraTask, PlainTensors, ThreeTask
from lib.decode import EQUAL, Weights, class_features, fit_weights, joint
from lib.networks import MSMTL


@pytest.fixture(scope="module")
def dls(tmp_path_factory):
    return tiny_loaders(tmp_path_factory.mktemp("learner"))


def quiet(dls, network=None, **options):
    return learner.task_learner(dls, network or TinyNet(), log=lambda line: None, **options)


def test_predict_gives_each_case_its_own_row(dls):
    learn = quiet(dls)
    table, shown = learner.predict(learn, subset=2)
    assert table["case"].tolist() == dls.cases[2]["case"].tolist()
    image, mask, label = (
        torch.cat([b.as_subclass(torch.Tensor) for b in parts])
        for parts in zip(*dls[2], strict=True)
    )
    with torch.no_grad():
        chances = learn.model.eval()(image).probabilities
    assert table["label"].tolist() == label.tolist()
    assert torch.allclose(torch.tensor(table["p_malignant"]).float(), chances.cls[:, 1], atol=1e-6)
    assert torch.equal(shown["seg3"].long(), chances.seg3.argmax(1))
    assert torch.equal(shown["mask"].long(), mask)
    assert shown["image"].dtype == torch.uint8 and shown["image"].max() > 100
    expected = metrics.count_batch(mask=mask, label=label, **dict(chances.items()))
    assert metrics.summarise(table) == pytest.approx(metrics.summarise(expected))


def test_predict_of_a_network_with_fewer_tasks(dls):
    table, shown = learner.predict(quiet(dls, TinyNet(("seg2",))), subset=1)
    assert set(shown) == {"image", "mask", "seg2"} and "p_malignant" not in table
    with pytest.raises(ValueError, match="subset=0"):
        learner.predict(quiet(dls), subset=0)


def test_predict_records_the_joint_answer_beside_the_raw_ones(dls):
    learn = quiet(dls)
    weights = Weights(cls=0.5, maps=2.0, bias=(0.0, 0.3))
    table, _ = learner.predict(learn, weights=weights)
    plain, _ = learner.predict(learn)
    raw = [name for name in table if not name.startswith("joint_")]
    assert table[raw].equals(plain[raw])
    image, mask, label = (
        torch.cat([b.as_subclass(torch.Tensor) for b in parts])
        for parts in zip(*dls[2], strict=True)
    )
    with torch.no_grad():
        given = learn.model.eval()(image).probabilities
    one = joint(given, weights)
    expected = metrics.count_batch(mask=mask, label=label, cls=one.cls, seg2=one.seg2)
    decided = metrics.summarise(metrics.decided(table))
    assert decided == pytest.approx(metrics.summarise(expected), abs=1e-6)
    assert not [name for name in decided if name.startswith("inconsis")]
    maps = class_features(given, weights)[:, 1]
    assert table["joint_maps"].tolist() == pytest.approx(
        (maps[:, 1] - maps[:, 0]).tolist(), abs=1e-5
    )


@pytest.mark.parametrize("tasks", [("seg2",), ("cls",)], ids="+".join)
def test_what_cannot_be_decided_together_has_no_joint_columns(dls, tasks):
    learn = quiet(dls, TinyNet(tasks))
    table, _ = learner.predict(learn)
    assert not [name for name in table if name.startswith("joint_")]
    assert learner.decoder_weights(learn) == EQUAL


@pytest.mark.parametrize("tasks", [("cls", "seg2"), ("seg2", "seg3")], ids="+".join)
def test_with_one_voice_on_the_class_there_is_nothing_to_weigh(dls, tasks):
    learn = quiet(dls, TinyNet(tasks))
    assert learner.decoder_weights(learn) == EQUAL
    table, _ = learner.predict(learn)
    if "cls" in tasks:  # painting: the joint answer is the raw one
        raw, joint = metrics.summarise(table), metrics.summarise(metrics.decided(table))
        assert joint == pytest.approx(raw, abs=1e-6)


def test_the_weights_come_from_the_validation_cases(dls):
    learn = quiet(dls)
    features, labels = [], []
    with torch.no_grad():
        for batch in dls[1]:
            image, _, label = (b.as_subclass(torch.Tensor) for b in batch)
            features.append(class_features(learn.model.eval()(image).probabilities))
            labels.append(label)
    expected = fit_weights(torch.cat(features), torch.cat(labels))
    found = learner.decoder_weights(learn)
    assert (found.cls, found.maps) == pytest.approx((expected.cls, expected.maps), abs=1e-4)
    assert found != EQUAL


@pytest.mark.parametrize(
    ("name", "start", "peak", "end"), [("cosine", 1.0, 1.0, 0.0), ("one_cycle", 1 / 25, 1.0, 1e-5)]
)
def test_schedules(name, start, peak, end):
    curve = learner.schedule(name, 2.0).scheds["lr"]
    assert curve(0.0) == pytest.approx(2 * start)
    assert max(curve(t / 100) for t in range(101)) == pytest.approx(2 * peak)
    assert curve(1.0) == pytest.approx(2 * end, abs=1e-9)
    if name == "cosine":
        assert curve(0.5) == pytest.approx(1 + math.cos(math.pi / 2))


def test_precision_auto_follows_the_hardware(monkeypatch):
    for bf16, amx, expected in ((False, False, "float32"), (True, False, "bfloat16")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda bf16=bf16: bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        assert learner.choose_precision("auto", "cpu") == expected
    assert learner.choose_precision("bfloat16", "cpu") == "bfloat16"
    with pytest.raises(ValueError, match="precision='half'"):
        learner.choose_precision("half", "cpu")


def test_bfloat16_computes_the_network_in_bfloat16_and_the_losses_in_float32(dls):
    seen = {}

    class Spy(TinyNet):
        def forward(self, image):
            logits = super().forward(image)
            seen["logits"] = logits.seg3.dtype
            return logits

    learn = quiet(dls, Spy(), precision="bfloat16")
    assert learn._grab_cbs(Autocast)
    learn.fit(1)
    assert seen["logits"] == torch.bfloat16
    assert all(value.dtype == torch.float32 for value in learn.loss_func.terms.values())
    table, _ = learner.predict(learn)
    assert len(table) == len(dls.cases[2])


def test_channels_last_reaches_network_and_batch(dls):
    seen = {}

    class Spy(TinyNet):
        def forward(self, image):
            seen["plain"] = type(image) is torch.Tensor
            return super().forward(image)

    learn = quiet(dls, Spy(), channels_last=True)
    learn.fit(1)
    assert seen["plain"] and learn._grab_cbs(PlainTensors)[0].layout == torch.channels_last


def test_overfits_sixteen_phantoms():
    """MS-MTL with all three terms learns 16 images by heart."""
    torch.manual_seed(0)
    network = MSMTL("resnet18", decoder_channels=(32, 24, 16, 16, 8))
    measures = overfit(network, terms=[IntraTask(), InterTask(), ThreeTask()])
    assert measures["dice_class_mean"] > 0.9 and measures["AUC"] > 0.95, measures


def test_validation_score_takes_what_there_is():
    assert learner.validation_score({"dice_class_mean": 0.6, "AUC": 0.8}) == pytest.approx(0.7)
    assert learner.validation_score({"AUC": 0.8, "ACC": 0.1}) == 0.8
    assert learner.validation_score({"dice_nodule": 0.5}) == 0.5
    assert learner.validation_score({}) == 0.0


def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match=r"device='warp'.*try auto"):
        learner.choose_device("warp")
    assert learner.choose_device("cpu") == torch.device("cpu")
