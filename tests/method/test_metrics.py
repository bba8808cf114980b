"""Every measure against scikit-learn, or against loops over images and pixels."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk

from lib import metrics
from lib.cases import CLASSES
from lib.consistency import seg2_as_seg3, seg_as_cls
from lib.metrics import (
    MEANS,
    as_ratios,
    classes_of,
    classified,
    count_batch,
    means,
    summarise,
)


def network(n=40, size=8, seed=0, classes=2):
    """Random answers of a network, and a truth that they are related to."""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, classes, (n,), generator=g)
    mask = torch.zeros(n, size, size, dtype=torch.long)
    for i in range(n):
        top, left = torch.randint(0, 4, (2,), generator=g).tolist()
        mask[i, top : top + 4, left : left + 3] = label[i] + 1
    truth = torch.nn.functional.one_hot(mask, classes + 1).permute(0, 3, 1, 2)
    seg3 = 2.0 * truth + torch.randn(n, classes + 1, size, size, generator=g)
    seg3 = (seg3 + torch.randn(n, classes + 1, 1, 1, generator=g)).softmax(1)  # a wrong belief
    seg2 = 2.0 * torch.stack([mask == 0, mask > 0], 1) + torch.randn(n, 2, size, size, generator=g)
    cls = torch.nn.functional.one_hot(label, classes) + torch.randn(n, classes, generator=g)
    cls = cls.softmax(1)
    return {"mask": mask, "label": label, "cls": cls, "seg2": seg2.softmax(1), "seg3": seg3}


def overlaps(pred, true):
    """Dice and IoU of two sets of pixels, 1 if both are empty."""
    pred, true = set(pred), set(true)
    if not pred | true:
        return 1.0, 1.0
    inter = len(pred & true)
    return 2 * inter / (len(pred) + len(true)), inter / len(pred | true)


def pixels(plane, value):
    """Where an integer plane has the value; "any" is any nodule."""
    return [
        (i, j)
        for i, row in enumerate(plane.tolist())
        for j, v in enumerate(row)
        if (v > 0 if value == "any" else v == value)
    ]


def reference(mask, label, cls, seg2, seg3, classes=("benign", "malignant")):
    """All pixel measures, image by image; classes known everywhere."""
    scores = {}

    def add(name, value):
        scores.setdefault(name, []).append(value)

    for i in range(len(mask)):
        pred3 = seg3[i].argmax(0)
        pred2 = seg2[i].argmax(0)
        painted = seg2_as_seg3(seg2[i : i + 1], cls[i : i + 1])[0].argmax(0)
        for index, name in enumerate(classes, start=1):
            dice, iou = overlaps(pixels(pred3, index), pixels(mask[i], index))
            add(f"dice_paper_{name}", dice)
            add(f"iou_paper_{name}", iou)
            if pixels(mask[i], index):
                add(f"dice_class_{name}", dice)
                add(f"iou_class_{name}", iou)
            _, iou = overlaps(pixels(pred3, index), pixels(painted, index))
            add(f"inconsis_seg3_{name}", 1 - iou)
        dice, iou = overlaps(pixels(pred2, "any"), pixels(mask[i], "any"))
        add("dice_nodule", dice)
        add("iou_nodule", iou)
        add("inconsis_seg2", 1 - overlaps(pixels(pred2, "any"), pixels(pred3, "any"))[1])
        as_cls = seg_as_cls(seg3[i : i + 1])[0].argmax().item() if pixels(pred3, "any") else -1
        add("inconsis_cls", float(as_cls != cls[i].argmax().item()))
    summary = {name: np.mean(values) for name, values in scores.items()}
    for kind in ("dice_paper", "iou_paper", "dice_class", "iou_class"):
        summary[f"{kind}_mean"] = np.mean([summary[f"{kind}_{name}"] for name in classes])
    return summary


@pytest.mark.parametrize("seed", range(3))
def test_all_measures_against_references(seed):
    data = network(seed=seed)
    summary = summarise(count_batch(**data))
    label, guess = data["label"].numpy(), data["cls"].argmax(1).numpy()
    read = seg_as_cls(data["seg3"])  # every image has a nodule pixel
    expected = reference(**data) | {
        "ACC": sk.accuracy_score(label, guess),
        "PRE": sk.precision_score(label, guess, pos_label=1),
        "REC": sk.recall_score(label, guess, pos_label=1),
        "F1": sk.f1_score(label, guess, pos_label=1),
        "AUC": sk.roc_auc_score(label, data["cls"][:, 1].numpy()),
        "ACC_seg": sk.accuracy_score(label, read.argmax(1)),
        "F1_seg": sk.f1_score(label, read.argmax(1), pos_label=1),
        "AUC_seg": sk.roc_auc_score(label, read[:, 1].numpy()),
    }
    assert summary == pytest.approx(expected, abs=1e-9)
    assert all(0 < value < 1 for value in summary.values())  # the example exercises each of them


def test_batches_add_up():
    data = network()
    parts = [count_batch(**{k: v[i : i + 7] for k, v in data.items()}) for i in range(0, 40, 7)]
    whole = count_batch(**data)
    joined = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole, check_exact=False, rtol=1e-6)
    assert summarise(pd.concat(parts)) == pytest.approx(summarise(whole))


def hand(*planes):
    """(C, H, W) one-hot probabilities from a plane of class numbers."""
    return torch.stack(
        [torch.nn.functional.one_hot(torch.tensor(p), 3).permute(2, 0, 1).float() for p in planes]
    )


def test_counts_by_hand():
    # shape: mask (2, 2, 2); image 0 half right, image 1 wholly missed
    mask = torch.tensor([[[1, 1], [0, 0]], [[2, 2], [2, 0]]])
    seg3 = hand([[1, 2], [0, 0]], [[0, 0], [0, 0]])
    seg2 = torch.tensor([[[[0.1, 0.9], [0.9, 0.9]]], [[[0.9, 0.9], [0.9, 0.1]]]])
    seg2 = torch.cat([seg2, 1 - seg2], 1)
    cls = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    rows = count_batch(mask=mask, label=torch.tensor([0, 1]), cls=cls, seg2=seg2, seg3=seg3)
    expected = {
        "label": [0, 1],
        "benign_inter": [1, 0], "benign_pred": [1, 0], "benign_true": [2, 0],
        "malignant_inter": [0, 0], "malignant_pred": [1, 0], "malignant_true": [0, 3],
        "nodule_inter": [1, 0], "nodule_pred": [1, 1], "nodule_true": [2, 3],
        "seg2seg3_inter": [1, 0], "seg2seg3_union": [2, 1],
        "seg3seg2_benign_inter": [1, 0], "seg3seg2_benign_union": [1, 0],
        "seg3seg2_malignant_inter": [0, 0], "seg3seg2_malignant_union": [1, 1],
        "seg_as_cls": [0, -1],
    }  # fmt: skip
    assert {name: rows[name].tolist() for name in expected} == expected
    assert all(rows[name].dtype == np.int64 for name in expected)
    assert set(rows) == {*expected, "p_malignant", "seg_as_cls_p"}
    assert rows["p_malignant"].tolist() == pytest.approx([0.1, 0.8])
    assert rows["seg_as_cls_p"].tolist() == pytest.approx([0.5, 0.5], abs=1e-6)
    expected = {
        "ACC": 1, "PRE": 1, "REC": 1, "F1": 1, "AUC": 1,
        "dice_paper_benign": (2 / 3 + 1) / 2, "dice_paper_malignant": 0, "dice_paper_mean": 5 / 12,
        "iou_paper_benign": (1 / 2 + 1) / 2, "iou_paper_malignant": 0, "iou_paper_mean": 3 / 8,
        "dice_class_benign": 2 / 3, "dice_class_malignant": 0, "dice_class_mean": 1 / 3,
        "iou_class_benign": 1 / 2, "iou_class_malignant": 0, "iou_class_mean": 1 / 4,
        "dice_nodule": 1 / 3, "iou_nodule": 1 / 4,
        "inconsis_seg2": 3 / 4, "inconsis_seg3_benign": 0, "inconsis_seg3_malignant": 1,
        "inconsis_cls": 1 / 2,
        "ACC_seg": 1 / 2, "F1_seg": 0, "AUC_seg": 1 / 2,
    }  # fmt: skip
    assert summarise(rows) == pytest.approx(expected)


def test_an_empty_prediction_scores_half_in_the_papers_convention():
    data = network()
    data["seg3"] = hand(*[[[0] * 8] * 8] * 40)
    summary = summarise(count_batch(**data))
    assert summary["ACC_seg"] == summary["F1_seg"] == 0  # wrong, and not called malignant
    assert summary["dice_paper_mean"] == pytest.approx(0.5)
    assert summary["iou_paper_mean"] == pytest.approx(0.5)
    assert summary["dice_class_mean"] == 0
    assert summary["inconsis_cls"] == 1  # no nodule disagrees with either class


def test_mean_dice_is_mostly_agreement_on_the_class():
    """With one class per image, mean Dice = ACC (1 + d) / 2, d the Dice of the outline alone."""
    data = network(n=60)
    nodule = torch.zeros(60, 8, 8, dtype=torch.long)
    nodule[:, 2:6, 2:5] = 1  # one outline for all, and one truth: the same d in every image
    data["mask"] = torch.zeros_like(nodule)
    data["mask"][:, 3:6, 2:6] = (data["label"] + 1)[:, None, None]
    guess = data["cls"].argmax(1)
    data["seg3"] = hand(*(nodule * (guess + 1)[:, None, None]).tolist())
    data["seg2"] = torch.stack([1 - nodule, nodule], 1).float()
    summary = summarise(count_batch(**data))
    d = summary["dice_nodule"]
    assert d == pytest.approx(2 * 9 / (12 + 12)) and 0.5 < summary["ACC"] < 1
    assert summary["dice_paper_mean"] == pytest.approx(summary["ACC"] * (1 + d) / 2)
    assert summary["inconsis_cls"] == 0 and summary["inconsis_seg3_benign"] == 0


def test_tasks_that_a_network_lacks_are_absent():
    data = network()
    truth = {k: data[k] for k in ("mask", "label")}
    classifier = count_batch(**truth, cls=data["cls"])
    assert set(classifier) == {"label", "p_malignant"}
    assert set(summarise(classifier)) == {"ACC", "PRE", "REC", "F1", "AUC"}
    outline = summarise(count_batch(**truth, seg2=data["seg2"]))
    assert set(outline) == {"dice_nodule", "iou_nodule"}
    outlines = summarise(count_batch(**truth, seg2=data["seg2"], seg3=data["seg3"]))
    assert "inconsis_seg2" in outlines and "ACC" not in outlines
    assert not {"inconsis_cls", "inconsis_seg3_benign"} & set(outlines)
    assert "inconsis_cls" in summarise(count_batch(**truth, cls=data["cls"], seg3=data["seg3"]))
    assert summarise(count_batch(**truth)) == {}


# shape: mask (3, 1, 3); benign: 1 of 2 pixels found; malignant: all 3, called benign; unlabelled
def outline_and_class():
    nodule = torch.tensor([[[0.2, 0.1, 0.8]], [[0.9, 0.9, 0.9]], [[0.7, 0.1, 0.1]]])
    return {
        "mask": torch.tensor([[[0, 1, 1]], [[2, 2, 2]], [[3, 0, 0]]]),
        "label": torch.tensor([0, 1, -1]),
        "cls": torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]),
        "seg2": torch.stack([1 - nodule, nodule], 1),
    }


def test_without_seg3_the_classes_are_painted():
    rows = count_batch(**outline_and_class())
    nan = float("nan")  # of an unknown class
    expected = {
        "label": [0, 1, -1], "p_malignant": [0.1, 0.4, 0.8],
        "benign_inter": [1, 0, nan], "benign_pred": [1, 3, nan], "benign_true": [2, 0, nan],
        "malignant_inter": [0, 0, nan], "malignant_pred": [0, 0, nan],
        "malignant_true": [0, 3, nan],
        "nodule_inter": [1, 3, 1], "nodule_pred": [1, 3, 1], "nodule_true": [2, 3, 1],
    }  # fmt: skip
    assert list(rows) == list(expected)
    for name, values in expected.items():
        assert rows[name].tolist() == pytest.approx(values, nan_ok=True), name
    assert summarise(rows) == pytest.approx({
        "ACC": 1 / 2, "REC": 0, "F1": 0, "AUC": 1,
        "dice_paper_benign": 1 / 3, "dice_paper_malignant": 1 / 2, "dice_paper_mean": 5 / 12,
        "iou_paper_benign": 1 / 4, "iou_paper_malignant": 1 / 2, "iou_paper_mean": 3 / 8,
        "dice_class_benign": 2 / 3, "dice_class_malignant": 0, "dice_class_mean": 1 / 3,
        "iou_class_benign": 1 / 2, "iou_class_malignant": 0, "iou_class_mean": 1 / 4,
        "dice_nodule": (2 / 3 + 2) / 3, "iou_nodule": (1 / 2 + 2) / 3,
    })  # fmt: skip


@pytest.mark.parametrize("classes", [2, 4])
def test_painting_is_algorithm_2(classes):
    data = network(classes=classes)
    data.pop("seg3")
    painted = count_batch(**data)
    told = count_batch(**data, seg3=seg2_as_seg3(data["seg2"], data["cls"]))
    pd.testing.assert_frame_equal(painted, told[list(painted)])
    assert not [
        name for name in summarise(painted) if name.startswith("inconsis") or "_seg" in name
    ]


KINDS = ("round", "oval", "star", "ring", "line")


@pytest.mark.parametrize("seed", range(2))
def test_five_classes_against_references(seed):
    data = network(n=60, seed=seed, classes=5)
    rows = count_batch(**data, classes=KINDS)
    label, read = data["label"].numpy(), seg_as_cls(data["seg3"]).double()
    expected = reference(**data, classes=KINDS)
    for suffix, chances in (("", data["cls"].double()), ("_seg", read)):
        guess = chances.argmax(1).numpy()
        expected[f"ACC{suffix}"] = sk.accuracy_score(label, guess)
        each = sk.f1_score(label, guess, average=None)
        expected |= {f"F1{suffix}_{name}": f for name, f in zip(KINDS, each, strict=True)}
        expected[f"F1{suffix}_macro"] = sk.f1_score(label, guess, average="macro")
        chances = chances / chances.sum(1, keepdim=True)
        expected[f"AUC{suffix}_macro"] = sk.roc_auc_score(label, chances, multi_class="ovr")
    assert summarise(rows) == pytest.approx(expected, abs=1e-9)
    assert classes_of(rows) == KINDS
    assert all(0 < value < 1 for name, value in expected.items())
    listed = pd.DataFrame({k: rows[k].tolist() for k in rows})  # as a results file keeps them
    assert summarise(listed) == pytest.approx(expected, abs=1e-9)


def test_classes_without_names_are_numbered():
    data = network(classes=3)
    rows = count_batch(**data)
    assert classes_of(rows) == ("class1", "class2", "class3")
    assert [c for c in rows if c.startswith("p_")] == ["p_class1", "p_class2", "p_class3"]
    assert rows["p_class2"].tolist() == pytest.approx(data["cls"][:, 1].tolist())
    for name in ("cls", "seg3"):  # one of the two is enough to tell
        alone = count_batch(mask=data["mask"], label=data["label"], **{name: data[name]})
        assert classes_of(alone) == ("class1", "class2", "class3")
        assert {"cls": "F1_macro", "seg3": "F1_seg_macro"}[name] in summarise(alone)


def test_unknown_class_of_five():
    data = network(classes=5)
    mask = data["mask"].clone()
    mask[:10][mask[:10] > 0] = 6
    rows = count_batch(**data | {"mask": mask})
    assert rows["class3_inter"].isna().tolist() == [True] * 10 + [False] * 30
    got, rest = summarise(rows), summarise(count_batch(**{k: v[10:] for k, v in data.items()}))
    assert got["dice_paper_mean"] == pytest.approx(rest["dice_paper_mean"])
    assert got["dice_nodule"] == summarise(count_batch(**data))["dice_nodule"]


def test_a_class_that_is_not_there():
    data = network(n=60, classes=3)
    kept = data["label"] < 2
    summary = summarise(count_batch(**{k: v[kept] for k, v in data.items()}))
    assert not {"AUC_macro", "dice_class_class3", "dice_class_mean"} & set(summary)
    assert {"ACC", "F1_macro", "dice_paper_mean", "dice_class_class1"} <= set(summary)


def test_outlines_alone_tell_nothing_of_classes():
    data = network(classes=5)
    rows = count_batch(mask=data["mask"], label=data["label"], seg2=data["seg2"])
    assert set(summarise(rows)) == {"dice_nodule", "iou_nodule"}


def test_two_classes_have_the_names_of_the_paper():
    data = network()
    plain = count_batch(**data)
    pd.testing.assert_frame_equal(count_batch(**data, classes=CLASSES), plain)
    assert classes_of(plain) == CLASSES and means(CLASSES) == MEANS


def test_seg3_alone_is_compared_by_the_class_read_off_it():
    data = network()
    rows = count_batch(**{k: v for k, v in data.items() if k not in ("cls", "seg2")})
    summary, whole = summarise(rows), summarise(count_batch(**data))
    for name in ("ACC_seg", "F1_seg", "AUC_seg", "dice_class_mean"):
        assert summary[name] == pytest.approx(whole[name])
    assert "ACC" not in summary
    known, truth, score = classified(rows, "seg_as_cls_p")
    assert sk.roc_auc_score(truth[known], score[known]) == pytest.approx(summary["AUC_seg"])


def test_the_nodule_of_seg3_where_there_is_no_seg2():
    data = network()
    data.pop("seg2")
    rows = count_batch(**data)
    expected = [overlaps(pixels(s.argmax(0), "any"), pixels(m, "any"))[0]
                for s, m in zip(data["seg3"], data["mask"], strict=True)]  # fmt: skip
    assert summarise(rows)["dice_nodule"] == pytest.approx(np.mean(expected))


def test_one_class_only():
    data = network()
    benign = data["label"] == 0
    summary = summarise(count_batch(**{k: v[benign] for k, v in data.items()}))
    assert not {"AUC", "REC", "dice_class_malignant", "dice_class_mean"} & set(summary)
    assert {"ACC", "dice_class_benign", "dice_paper_mean"} <= set(summary)


def test_nothing_called_malignant():
    data = network()
    data["cls"] = torch.tensor([[0.9, 0.1]]).expand(40, 2)
    summary = summarise(count_batch(**data))
    assert "PRE" not in summary and summary["REC"] == summary["F1"] == 0
    assert summary["AUC"] == 0.5


def test_a_tie_is_benign_everywhere():
    cls = torch.full((2, 2), 0.5)
    seg3 = torch.tensor([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0]]).view(2, 3, 1, 1)
    seg2 = torch.full((2, 2, 1, 1), 0.5)
    mask, label = torch.tensor([[[1]], [[0]]]), torch.tensor([0, 0])
    rows = count_batch(mask=mask, label=label, cls=cls, seg2=seg2, seg3=seg3)
    assert rows["benign_pred"].tolist() == [1, 0] and rows["malignant_pred"].tolist() == [0, 0]
    assert rows["seg_as_cls"].tolist() == [0, -1] and rows["nodule_pred"].tolist() == [0, 0]
    assert summarise(rows)["ACC"] == 1
    # bfloat16 rounds these to .498 and .5: no tie, though p is not above .5
    near = torch.tensor([[0.4985, 0.5015]]).bfloat16().expand(2, 2)
    assert summarise(count_batch(mask=mask, label=label, cls=near))["ACC"] == 0


def test_unlabelled_images():
    data = network()
    plain = summarise(count_batch(**data))
    unlabelled = data["label"].clone()
    unlabelled[::3] = -1
    got = summarise(count_batch(**data | {"label": unlabelled}))
    kept = unlabelled >= 0
    expected = sk.accuracy_score(data["label"][kept], data["cls"].argmax(1)[kept])
    assert got["ACC"] == pytest.approx(expected)
    assert got["AUC"] == pytest.approx(
        sk.roc_auc_score(data["label"][kept], data["cls"][kept, 1].numpy())
    )
    same = [k for k in plain if k.startswith(("dice", "iou", "inconsis"))]
    assert {k: got[k] for k in same} == {k: plain[k] for k in same}


def test_unknown_classes_enter_binary_measures_only():
    data = network()
    plain = summarise(count_batch(**data))
    unknown = torch.zeros(40, dtype=torch.bool)
    unknown[::4] = True
    mask, label = data["mask"].clone(), data["label"].clone()
    mask[(mask > 0) & unknown[:, None, None]] = 3
    label[unknown] = -1
    rows = count_batch(**data | {"mask": mask, "label": label})
    assert rows["benign_inter"].isna().tolist() == unknown.tolist()
    got = summarise(rows)
    rest = summarise(count_batch(**{k: v[~unknown] for k, v in data.items()}))
    for name in got:
        if name.startswith(("dice_paper", "dice_class", "iou_paper", "iou_class")):
            assert got[name] == pytest.approx(rest[name])
    assert got["dice_nodule"] == plain["dice_nodule"] and got["iou_nodule"] == plain["iou_nodule"]
    # these compare the predictions with each other and need no truth
    assert got["inconsis_cls"] == plain["inconsis_cls"]
    assert got["inconsis_seg2"] == plain["inconsis_seg2"]


def test_rows_read_back_from_json():
    data = network()
    mask = data["mask"].clone()
    mask[0][mask[0] > 0] = 3
    rows = count_batch(**data | {"mask": mask})
    listed = {k: [None if v != v else v for v in rows[k].tolist()] for k in rows}
    assert summarise(pd.DataFrame(listed)) == pytest.approx(summarise(rows))


def test_ratios_are_per_image():
    rows = count_batch(**network())
    ratios = as_ratios(rows)
    for numerator, denominator in ratios.values():
        assert numerator.shape == denominator.shape == (40,)
        assert np.isfinite(numerator).all() and (numerator[denominator == 0] == 0).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda():
    data = network()
    rows = count_batch(**{k: v.cuda() for k, v in data.items()})
    assert summarise(rows) == pytest.approx(summarise(count_batch(**data)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": torch.full((40, 8, 8), 4)}, "mask holds the values 4 to 4; expected 0 to 3"),
        ({"mask": torch.zeros(40, 8, 8)}, "mask holds torch.float32; pass integers"),
        ({"mask": torch.zeros(40, 8, dtype=torch.long)}, r"mask has shape \(40, 8\)"),
        (
            {"mask": torch.zeros(40, 8, 9, dtype=torch.long)},
            "seg2 has 8 x 8 pixels but mask has 8 x 9; add",
        ),
        ({"label": torch.full((40,), 2)}, "label holds the values 2 to 2; expected -1 to 1"),
        ({"label": torch.zeros(39, dtype=torch.long)}, "mask has 40 images but label has 39"),
        ({"cls": torch.zeros(40, 3)}, "cls has 3 classes but seg3 has 3 channels, not 4"),
        ({"cls": torch.full((40, 2), torch.nan)}, r"cls\[0, 0\] is nan"),
        ({"cls": torch.zeros(3, 2)}, "cls has 3 images but seg2 has 40"),
        ({"seg2": torch.full((40, 2, 8, 8), 7.0)}, "seg2.*is 7, outside"),
        ({"seg3": torch.zeros(40, 4, 8, 8)}, "seg3 has 4 channels, not 3"),
    ],
)
def test_ill_batches(change, message):
    with pytest.raises(ValueError, match=message):
        count_batch(**network() | change)


@pytest.mark.parametrize(
    ("classes", "given", "message"),
    [
        (3, ("a", "b"), "classes names 2 classes but the network has 3"),
        (3, ("a", "b", "a"), "must differ"),
        (3, ("a", "b", "nodule"), "none be 'nodule'"),
        (3, "abc", "the text 'abc'"),
        (2, ("cat", "dog"), "always called benign, malignant"),
    ],
)
def test_ill_names(classes, given, message):
    with pytest.raises(ValueError, match=message):
        count_batch(**network(classes=classes), classes=given)


def test_ill_labels_of_five():
    data = network(classes=5)
    for name, values in (("label", data["label"] + 5), ("mask", data["mask"] + 6)):
        with pytest.raises(ValueError, match=f"{name} holds the values .*expected"):
            count_batch(**data | {name: values})
    with pytest.raises(ValueError, match=r"label is 5 in row 0; expected 0 class1, .*4 class5 or"):
        summarise(count_batch(**data).assign(label=5))
    with pytest.raises(ValueError, match=r"5 classes apart .*benign and malignant"):
        classified(count_batch(**data))


def test_ill_types():
    with pytest.raises(TypeError, match="mask is a list"):
        count_batch(**network() | {"mask": [[[0]]]})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.iloc[:0], "rows is empty"),
        (lambda rows: rows.drop(columns="label"), "no column 'label'"),
        (lambda rows: rows.drop(columns="benign_true"), r"benign_\* but lacks benign_true"),
        (lambda rows: rows.assign(label=5), "label is 5 in row 0"),
        (lambda rows: rows.assign(label=math.nan), "label is nan in row 0"),
    ],
)
def test_ill_rows(spoil, message):
    with pytest.raises(ValueError, match=message):
        summarise(spoil(count_batch(**network())))


def test_answers_decided_together_stand_beside_the_raw_ones():
    mask = torch.tensor([[[0, 2]], [[1, 1]], [[0, 1]]])
    label = torch.tensor([1, 0, 0])
    cls = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7]])
    other = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]])
    seg2 = torch.tensor([[[[0.9, 0.2]], [[0.1, 0.8]]]]).expand(3, -1, -1, -1)
    seg3 = torch.tensor([[[[0.9, 0.2]], [[0.0, 0.7]], [[0.1, 0.1]]]]).expand(3, -1, -1, -1)
    for raw in (
        {"cls": cls, "seg2": seg2, "seg3": seg3},
        {"seg3": seg3},
        {"seg2": seg2, "seg3": seg3},
    ):
        rows = metrics.count_batch(mask=mask, label=label, **raw)
        joint = metrics.count_batch(mask=mask, label=label, cls=other, seg2=seg2)
        both = metrics.beside(rows, joint.assign(maps=0.5))
        assert both[list(rows)].equals(rows)
        assert metrics.summarise(both) == metrics.summarise(rows)  # the raw measures stay
        assert metrics.classes_of(both) == metrics.classes_of(rows)
        again = metrics.decided(both)
        assert metrics.summarise(again) == metrics.summarise(joint)
        assert again["maps"].tolist() == [0.5] * 3
    with pytest.raises(ValueError, match="no joint answers"):
        metrics.decided(rows)


def test_of_three_classes_the_decided_ones_keep_their_names():
    cls = torch.tensor([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]])
    seg2 = torch.full((2, 2, 2, 2), 0.5)
    seg2[:, 1], seg2[:, 0] = 0.9, 0.1
    mask, label = torch.tensor([[[3, 3], [0, 3]], [[1, 0], [0, 1]]]), torch.tensor([2, 0])
    rows = metrics.count_batch(mask=mask, label=label, cls=cls, seg2=seg2)
    both = metrics.beside(rows, rows)
    assert (
        metrics.classes_of(both)
        == metrics.classes_of(metrics.decided(both))
        == metrics.classes_of(rows)
    )
    assert metrics.summarise(metrics.decided(both)) == metrics.summarise(rows)
