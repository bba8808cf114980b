"""Blocks: decode once, one geometry for image and mask, honest loaders."""

import os

import matplotlib
import numpy as np
import pytest
import torch
from fastai.torch_core import TensorCategory
from tiny import phantom_cases, tiny_loaders

from lib import blocks
from lib.cases import CaseError, Region, decode

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("blocks")


@pytest.fixture(scope="module")
def dls(folder):
    return tiny_loaders(folder)


def test_batch_has_the_promised_types_shapes_and_ranges(dls):
    image, mask, label = dls.train.one_batch()
    assert isinstance(image, blocks.UltrasoundImage) and isinstance(mask, blocks.NoduleMask)
    assert isinstance(label, TensorCategory)
    # shape: image (8, 1, 32, 32), mask (8, 32, 32), label (8,)
    assert image.shape == (8, 1, 32, 32) and mask.shape == (8, 32, 32) and label.shape == (8,)
    assert (image.dtype, mask.dtype, label.dtype) == (torch.float32, torch.int64, torch.int64)
    assert set(mask.unique().tolist()) <= {0, 1, 2} and set(label.tolist()) <= {0, 1}


def test_validation_and_test_batches_are_the_decoded_pictures_in_table_order(dls):
    for subset, split in ((1, "valid"), (2, "test")):
        table = dls.cases[subset]
        assert (table["split"] == split).all()
        image, mask, label = (torch.cat(parts) for parts in zip(*dls[subset], strict=True))
        assert len(image) == len(table)
        for at in (0, len(table) - 1):
            grey, truth = (blocks.fit_square(layer, 32) for layer in decode(table.iloc[at]))
            assert np.allclose(image[at, 0].numpy(), (grey / 255 - 0.5) / 0.5, atol=1e-5)
            assert np.array_equal(mask[at].numpy(), truth)
            assert label[at] == ["benign", "malignant"].index(table["label"].iloc[at])


def test_geometry_moves_image_and_mask_together(tmp_path):
    """A picture that is its own mask must still be its own mask after augmentation."""
    from PIL import Image

    cases = phantom_cases(tmp_path / "phantom")
    square = np.zeros((64, 64), np.uint8)
    square[12:40, 20:52] = 255
    for row in cases.itertuples():
        Image.fromarray(square).save(row.image)
    cases["mask"] = [(Region(path),) for path in cases["image"]]
    dls = blocks.dataloaders(cases, size=64, batch_size=8, cache=tmp_path / "cache")
    moved = 0
    for batch in dls.train:
        image, mask, _ = (b.as_subclass(torch.Tensor) for b in batch)
        middle = (image.amin((1, 2, 3)) + image.amax((1, 2, 3))) / 2
        agree = ((image[:, 0] > middle[:, None, None]) == (mask > 0)).float().mean((1, 2))
        assert (agree > 0.97).all()
        moved += int(((mask > 0) != torch.from_numpy(square > 0)).any(2).any(1).sum())
    assert moved > 10


def test_augmentation_is_only_for_training_and_changes_every_epoch(dls):
    first, second = (torch.cat([b[0] for b in dls[1]]) for _ in range(2))
    assert torch.equal(first, second)
    torch.manual_seed(0)
    one = dls.train.one_batch()[0]
    assert not torch.equal(one, dls.train.one_batch()[0])


def test_decoding_happens_once_and_follows_the_content(tmp_path, monkeypatch):
    cases = phantom_cases(tmp_path / "phantom")
    first = blocks.decode_once(cases, 32, tmp_path / "cache")
    monkeypatch.setattr(blocks, "decode", lambda row: pytest.fail("decoded twice"))
    again = blocks.decode_once(cases.sample(frac=1, random_state=0), 32, tmp_path / "cache")
    assert np.array_equal(first.images, again.images)
    assert first.cases["case"].tolist() == again.cases["case"].tolist()
    monkeypatch.undo()
    from PIL import Image

    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(cases["image"].iloc[0])
    changed = blocks.decode_once(cases, 32, tmp_path / "cache")
    at = changed.cases["case"].tolist().index(cases["case"].iloc[0])
    assert (changed.images[at] == 7).all() and not np.array_equal(first.images, changed.images)


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_cache_leaves_nothing(tmp_path, monkeypatch, fault):
    cases = phantom_cases(tmp_path / "phantom")

    def broken(row):
        raise fault

    monkeypatch.setattr(blocks, "decode", broken)
    with pytest.raises(type(fault)):
        blocks.decode_once(cases, 32, tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_a_picture_that_vanished_is_named(tmp_path):
    cases = phantom_cases(tmp_path / "phantom")
    os.remove(cases["image"].iloc[3])
    with pytest.raises(CaseError, match=os.path.basename(cases["image"].iloc[3])):
        blocks.dataloaders(cases, size=32, batch_size=8, cache=tmp_path / "cache")


def test_fit_square_keeps_the_aspect_ratio_and_class_values():
    mask = np.zeros((20, 40), np.uint8)
    mask[5:15, 10:30] = 2
    # shape: (20, 40) padded by 10 above and below, then to (32, 32)
    fitted = blocks.fit_square(mask, 32)
    rows, columns = (np.flatnonzero(fitted.any(axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (8, 16)
    assert set(np.unique(fitted)) == {0, 2}


def test_unlabelled_and_normal_cases_have_no_class(tmp_path):
    cases = phantom_cases(tmp_path / "phantom", normal=0.2)
    unlabelled = cases.index[(cases["split"] == "test") & (cases["label"] != "normal")][0]
    cases.at[unlabelled, "label"] = None
    dls = blocks.dataloaders(cases, size=32, batch_size=4, cache=tmp_path / "cache", augment=False)
    seen = {}
    for subset in (1, 2):
        names = dls.cases[subset]["label"]
        labels = torch.cat([b[2] for b in dls[subset]]).tolist()
        seen |= dict(zip(names, labels, strict=True))
    assert seen["normal"] == -1 and seen[None] == -1
    assert seen["benign"] == 0 and seen["malignant"] == 1


def test_show_batch_names_the_class(dls):
    import matplotlib.pyplot as plt

    dls.show_batch(max_n=4)
    titles = {axes.get_title() for axes in plt.gcf().axes}
    plt.close("all")
    assert titles and titles <= {"benign", "malignant", ""} and titles != {""}


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda c: c, {"size": 40}, "multiple of 32"),
        (lambda c: c[c["split"] != "valid"], {}, "no case is left for valid"),
        (lambda c: c, {"batch_size": 500}, "do not fill one batch of 500"),
    ],
)
def test_what_cannot_work_is_said_before_training(folder, change, options, words):
    cases = phantom_cases(folder / "phantom")
    with pytest.raises(ValueError, match=words):
        blocks.dataloaders(change(cases), **{"size": 32, "batch_size": 8, **options})


def test_a_batch_names_its_cases(dls):
    for at, (_, _, label) in enumerate(dls.train):
        named = dls.cases[0]["label"].iloc[dls.train.batch_cases(at)]
        assert label.tolist() == [["benign", "malignant"].index(name) for name in named]
