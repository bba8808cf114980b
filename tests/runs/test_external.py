"""The external test: a network of one source measured on another, which trains nothing."""

import json

import kept
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_sources import make_busbra, make_busi
from test_use import altered
from tiny import tiny_loaders

import lib
from lib import external, learner, results
from lib.__main__ import main
from lib.cases import CaseError, decode
from lib.external import ExternalError
from lib.networks import MSMTL
from lib.sources import phantom, phantom_mixed
from lib.square import fit_image, fit_mask

MAKERS = {"busbra": make_busbra, "busi": make_busi}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(lib.blocks, "CACHE", tmp_path / "cache")


def measured(tmp_path, trained, source, **changes):
    """The record of a small network of `trained`, measured on a small set of `source`."""
    root = MAKERS[source](tmp_path / source)
    predictor = lib.load(kept.small(tmp_path, source=trained, **changes))
    cases, problems = external.prepare(source, root)
    return predictor, external.measure(predictor, source, cases, problems, tmp_path / "results")


@pytest.mark.parametrize(("trained", "source"), [("busbra", "busi"), ("busi", "busbra")])
def test_there_and_back(tmp_path, trained, source):
    """The measures are those of the definitions, from the network's own outputs."""
    predictor, record = measured(tmp_path, trained, source)
    table = lib.sources.read(source, tmp_path / source)
    right, dice, together = [], [], {}
    for row in table.to_dict("records"):
        image, mask = decode(row)
        given = torch.tensor(fit_image(image, 32))[None, None] / 127.5 - 1
        with torch.no_grad():
            found = predictor.network(given).probabilities
        drawn, true = found.seg2[0].argmax(0).numpy() > 0, fit_mask(mask, 32) > 0
        both = drawn.sum() + true.sum()
        dice.append(2 * (drawn & true).sum() / both if both else 1.0)
        if row["label"] != "normal":
            right.append(["benign", "malignant"][found.cls[0].argmax()] == row["label"])
        together[row["case"]] = predictor.answer(image).probability[1]
    assert record["metrics"]["ACC"] == pytest.approx(np.mean(right))
    assert record["metrics"]["dice_nodule"] == pytest.approx(np.mean(dice))
    rows = results.rows(record).set_index("case")
    assert rows["joint_p_malignant"].to_dict() == pytest.approx(together, abs=1e-5)
    assert record["data"]["counts"]["test"]["benign"] == (table["label"] == "benign").sum()
    assert (record["external"]["source"], record["source"]) == (source, trained)


def test_its_rows_are_those_of_a_run(tmp_path):
    """On the test images of a run, exactly what the run's own `predict` gives."""
    dls = tiny_loaders(tmp_path)
    predictor = lib.load(kept.small(tmp_path))
    learn = learner.task_learner(dls, predictor.network)
    rows, _ = learner.predict(learn, weights=predictor.weights)
    cases = dls.cases[2]
    again = external.answers(predictor, cases, tmp_path / "other").set_index("case")
    pd.testing.assert_frame_equal(
        again.loc[rows["case"]].reset_index(), rows, check_exact=False, atol=1e-5, check_dtype=False
    )


def test_it_is_no_run_and_names_no_place(tmp_path):
    _, record = measured(tmp_path, "busbra", "busi")
    root = tmp_path / "results"
    assert results.load_all(root) == []
    (again,) = external.load_all(root)
    file = external.path(record, root)
    assert again == json.loads(file.read_text()) and str(tmp_path) not in file.read_text()
    assert file.relative_to(root).as_posix() == "external/busi/busbra/smoke/ms-mtl/seed0.json"
    assert again["external"]["metrics"] == {"AUC": 0.75}
    assert again["external"]["joint"] == {"AUC": 0.8}
    assert len(again["per_image"]["case"]) == sum(again["data"]["counts"]["test"].values()) == 12
    assert any(name.startswith("joint_") for name in again["per_image"])


def test_normal_images_are_told_and_measured_as_such(tmp_path):
    _, record = measured(tmp_path, "busbra", "busi")
    (note,) = record["external"]["notes"]
    assert note.startswith("4 images hold no nodule")
    rows = results.rows(record)
    assert (rows["label"] == -1).sum() == 4 and rows.loc[rows["label"] == -1, "nodule_true"].eq(
        0
    ).all()


def test_another_organ_is_told(tmp_path):
    _, record = measured(tmp_path, "ddti", "busbra")
    assert record["external"]["notes"] == [
        "another organ: trained on the thyroid, tested on the breast"
    ]


# ---- what cannot be


def test_its_own_source_is_refused(tmp_path):
    with pytest.raises(
        ExternalError, match="is trained on images of busi, and measured on its own"
    ):
        measured(tmp_path, "busi", "busi")
    assert not (tmp_path / "results").exists()


def test_the_two_phantoms_share_pictures_and_are_refused(tmp_path):
    plain, mixed = (
        {
            decode(row)[0].tobytes()
            for row in one.read(tmp_path / name, cases=8, size=64).to_dict("records")
        }
        for name, one in {"a": phantom, "b": phantom_mixed}.items()
    )
    assert plain & mixed
    with pytest.raises(ExternalError, match="phantom and phantom-mixed share pictures"):
        external.refuse(lib.load(kept.small(tmp_path)), "phantom-mixed", "0123")


def test_its_own_folder_is_refused_and_another_is_not(tmp_path):
    cases, problems = external.prepare("busbra", make_busbra(tmp_path / "busbra"))
    mark = lib.cases.fingerprint(cases)
    own = {"fingerprint": mark, "split": "2c3d", "counts": {}}
    predictor = lib.load(kept.small(tmp_path, source="folder", data=own))
    with pytest.raises(ExternalError, match="was trained on images of this very folder"):
        external.measure(predictor, "folder", cases, problems, tmp_path)
    external.refuse(predictor, "folder", "0123")


def test_other_classes_are_refused(tmp_path):
    file = altered(kept.small(tmp_path), tmp_path / "three.safetensors", classes=["a", "b", "c"])
    with pytest.raises(ExternalError, match=r"three\.safetensors: tells a, b, c apart; busi has"):
        external.refuse(lib.load(file), "busi", "0123")


def test_a_network_of_presence_is_refused(tmp_path):
    predictor = lib.load(kept.small(tmp_path))
    predictor.network.presence = MSMTL  # what such a network has
    with pytest.raises(ExternalError, match="says of each class whether it is present"):
        external.refuse(predictor, "busi", "0123")


def test_a_source_without_masks_is_refused_with_what_is_left(tmp_path):
    root = make_busi(tmp_path / "busi")
    for mask in root.rglob("*_mask.png"):
        mask.unlink()
    with pytest.raises(ExternalError, match=r"no image has a mask.* Accuracy.*lib predict"):
        external.prepare("busi", root)


def test_one_class_alone_is_refused(tmp_path):
    root = make_busi(tmp_path / "busi", images=8)
    for file in (root / "malignant").iterdir():
        file.unlink()
    with pytest.raises(CaseError, match="no case of 16 is labelled malignant"):
        external.prepare("busi", root)


def own_folder(root, label):
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(len(str(root.name)))
    for at in range(12):
        image = rng.integers(40, 200, (40, 40)).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{at}.png")
        mask = np.pad(np.full((9, 9), 255, np.uint8), ((9, 22), (9, 22)))
        Image.fromarray(mask).save(root / "masks" / f"{at}.png")
    names = [label or ("benign", "malignant")[at % 2] for at in range(12)]
    lines = [f"{at},{name}" for at, name in enumerate(names)]
    (root / "labels.csv").write_text("\n".join(["image,label", *lines]))
    return root


def test_without_labels_the_outline_is_measured(tmp_path):
    cases, problems = external.prepare("folder", own_folder(tmp_path / "own", "unlabelled"))
    predictor = lib.load(kept.small(tmp_path, source="busi"))
    record = external.measure(predictor, "folder", cases, problems, tmp_path / "results")
    assert {"dice_nodule", "inconsis_cls", "inconsis_seg2"} <= record["metrics"].keys()
    assert not {"ACC", "AUC", "F1", "dice_class_mean"} & record["metrics"].keys()
    where, what = record["external"]["notes"]
    assert "same organ is not known" in where and "no image says its class" in what


def test_two_folders_of_one_name_do_not_replace_each_other(tmp_path):
    predictor = lib.load(kept.small(tmp_path, source="busi"))
    one, two = (external.prepare("folder", own_folder(tmp_path / n, "")) for n in ("a", "other"))
    external.measure(predictor, "folder", *one, tmp_path / "results")
    external.measure(predictor, "folder", *one, tmp_path / "results")  # once more is no harm
    with pytest.raises(results.ResultError, match="external test of other folders"):
        external.measure(predictor, "folder", *two, tmp_path / "results")
    assert len(external.load_all(tmp_path / "results")) == 1


# ---- the command


def test_the_command(tmp_path, capsys):
    root, file = make_busi(tmp_path / "busi"), kept.small(tmp_path, source="busbra")
    words = ["test", str(file), "--root", str(root), "--results", str(tmp_path / "results")]
    assert main([*words, "--source", "busi"]) == 0
    said = capsys.readouterr().out
    (record,) = external.load_all(tmp_path / "results")
    assert "12 images of busi" in said and "no medical device" in said
    assert f"{record['metrics']['AUC']:.3f} (0.750)" in said  # beside that of its own test images
    assert f"{record['joint']['metrics']['AUC']:.3f} (0.800)" in said
    assert main([*words, "--source", "buzi"]) == 2
    assert "did you mean busi" in capsys.readouterr().err
    assert main([*words, "--source", "busbra"]) == 2
