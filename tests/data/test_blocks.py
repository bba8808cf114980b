"""Blocks: decode once, one geometry for image and mask, honest loaders."""

import os
from collections import Counter

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from fastai.torch_core import TensorCategory
from PIL import Image
from tiny import phantom_cases, tiny_loaders

from ci.engine import provenance
from lib import blocks, cache, experiments, profiles, sources
from lib.cases import CaseError, Region, decode, fingerprint, looks, pixels, prepare_cases
from lib.square import fit_image, fit_mask

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
            grey, truth = decode(table.iloc[at])
            grey, truth = fit_image(grey, 32), fit_mask(truth, 32)
            assert np.allclose(image[at, 0].numpy(), (grey / 255 - 0.5) / 0.5, atol=1e-5)
            assert np.array_equal(mask[at].numpy(), truth)
            assert label[at] == ["benign", "malignant"].index(table["label"].iloc[at])


def test_geometry_moves_image_and_mask_together(tmp_path):
    """A picture that is its own mask must still be its own mask after augmentation."""
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
    monkeypatch.setattr(pixels, "read_file", lambda *_: pytest.fail("decoded twice"))
    again = blocks.decode_once(cases.sample(frac=1, random_state=0), 32, tmp_path / "cache")
    assert np.array_equal(first.images, again.images)
    assert first.cases["case"].tolist() == again.cases["case"].tolist()
    monkeypatch.undo()
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(cases["image"].iloc[0])
    changed = blocks.decode_once(cases, 32, tmp_path / "cache")
    at = changed.cases["case"].tolist().index(cases["case"].iloc[0])
    assert (changed.images[at] == 7).all() and not np.array_equal(first.images, changed.images)


@pytest.fixture
def opened(monkeypatch):
    """How often each file is decoded from here on."""
    times, whole = Counter(), pixels.read_file
    monkeypatch.setattr(
        pixels, "read_file", lambda file, *rest: times.update([file]) or whole(file, *rest)
    )
    return times


def test_a_run_decodes_each_file_once(tmp_path, opened):
    """As the template goes: check, join duplicates, fingerprint, load, compare at the end."""
    cases = sources.phantom.read(tmp_path / "phantom", cases=40, size=64)
    table, _ = prepare_cases(cases, size=32)
    mark = fingerprint(table)
    dls = blocks.dataloaders(table, size=32, batch_size=8, cache=tmp_path / "cache")
    dls.one_batch()
    cache.require_unchanged(table, dls, mark)
    files = [*cases["image"], *(region.outline for regions in cases["mask"] for region in regions)]
    assert opened == Counter(files)
    (shown,) = (f.decoded for f in dls.train_ds.tls[0].tfms.fs if isinstance(f, blocks.ReadImage))
    for at, row in enumerate(shown.cases.to_dict("records")):
        image, mask = decode(row)
        assert np.array_equal(shown.images[at], fit_image(image, 32))
        assert np.array_equal(shown.masks[at], fit_mask(mask, 32))


def test_reduced_pictures_go_and_another_seed_decodes_nothing(tmp_path, opened):
    cases = sources.phantom.read(tmp_path / "phantom", cases=40, size=64)
    table, _ = prepare_cases(cases, size=32)
    blocks.dataloaders(table, size=32, batch_size=8, cache=tmp_path / "cache")
    mine = [seen for key, seen in looks._memory.looks.items() if str(tmp_path) in key]
    assert len(mine) == 40 and all(seen.fitted is None for seen in mine)
    other, _ = prepare_cases(cases, seed=1)
    assert not other["split"].equals(table["split"])
    assert set(opened.values()) == {1}


def test_without_room_for_reduced_pictures_they_are_decoded_again(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(looks, "MOST_BYTES", 10 * 2 * 32**2)
    cases = sources.phantom.read(tmp_path / "phantom", cases=40, size=64)
    table, _ = prepare_cases(cases, size=32)
    decoded = blocks.decode_once(table, 32, tmp_path / "cache")
    assert sorted(Counter(opened.values()).items()) == [(1, 20), (2, 60)]  # two files to a case
    for at, row in enumerate(decoded.cases.to_dict("records")):
        assert np.array_equal(decoded.images[at], fit_image(decode(row)[0], 32))


def test_a_touched_file_is_decoded_again_and_a_changed_one_is_seen(tmp_path, opened):
    cases = sources.phantom.read(tmp_path / "phantom", cases=20, size=64)
    before = fingerprint(cases)
    file = cases["image"][3]
    os.utime(file, ns=(1, 1))
    assert fingerprint(cases) == before and opened[file] == 2
    pixels_of = np.array(Image.open(file))
    pixels_of[0, 0] ^= 1
    Image.fromarray(pixels_of).save(file)
    os.utime(file, ns=(1, 1))  # as if nothing had happened
    assert fingerprint(cases) != before and opened[file] == 3


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_cache_leaves_nothing(tmp_path, monkeypatch, fault):
    cases = phantom_cases(tmp_path / "phantom")

    def broken(*_):
        raise fault

    monkeypatch.setattr(blocks, "look", broken)
    with pytest.raises(type(fault)):
        blocks.decode_once(cases, 32, tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_a_picture_that_vanished_is_named(tmp_path):
    cases = phantom_cases(tmp_path / "phantom")
    os.remove(cases["image"].iloc[3])
    with pytest.raises(CaseError, match=os.path.basename(cases["image"].iloc[3])):
        blocks.dataloaders(cases, size=32, batch_size=8, cache=tmp_path / "cache")


def test_image_and_mask_keep_their_aspect_ratio():
    mask = np.zeros((20, 40), np.uint8)
    mask[5:15, 10:30] = 2
    # shape: (20, 40) padded by 10 above and below, then to (32, 32)
    fitted = fit_mask(mask, 32)
    rows, columns = (np.flatnonzero(fitted.any(axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (8, 16)
    assert set(np.unique(fitted)) == {0, 2}
    image = fit_image(mask * np.uint8(100), 32)
    assert image.shape == (32, 32) and ((image > 100) == (fitted == 2)).mean() > 0.98


def by_hand(mask: np.ndarray, size: int) -> np.ndarray:
    """The rule in plain loops: at least half of the area is nodule, the largest class wins."""
    side = max(mask.shape)
    top, left = (side - mask.shape[0]) // 2, (side - mask.shape[1]) // 2
    square = np.pad(
        mask,
        ((top, side - top - mask.shape[0]), (left, side - left - mask.shape[1])),
    )
    out = np.zeros((size, size), np.uint8)
    for y in range(size):
        for x in range(size):
            part = square[
                y * side // size : (y + 1) * side // size, x * side // size : (x + 1) * side // size
            ]
            counts = [(part == value).sum() for value in range(4)]
            if 2 * sum(counts[1:]) >= part.size:
                out[y, x] = max(range(1, 4), key=lambda value: (counts[value], value))
    return out


@pytest.mark.parametrize("shape", [(64, 64), (96, 70), (45, 133), (32, 20)])
def test_a_mask_is_reduced_by_area(shape):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 4, (8, 8)).astype(np.uint8)
    mask = coarse[np.ix_(np.arange(shape[0]) * 8 // shape[0], np.arange(shape[1]) * 8 // shape[1])]
    np.testing.assert_array_equal(fit_mask(mask, 32), by_hand(mask, 32))


def test_a_mask_becomes_larger_by_whole_pixels():
    mask = np.array([[0, 1], [2, 3]], np.uint8)
    np.testing.assert_array_equal(fit_mask(mask, 32), np.kron(mask, np.ones((16, 16), np.uint8)))


@pytest.mark.parametrize("shape", [(3000, 4000), (100, 1600)])
def test_no_nodule_vanishes_wherever_it_lies(shape):
    """As large as 60 x 45 px in 4000 x 3000: about one pixel of 64 x 64."""
    rng = np.random.default_rng(0)
    high, wide = max(1, shape[0] * 45 // 3000), max(1, shape[1] * 60 // 4000)
    for value in (1, 2, 3) * 13:
        y, x = rng.integers(shape[0] - high), rng.integers(shape[1] - wide)
        mask = np.zeros(shape, np.uint8)
        mask[y : y + high, x : x + wide] = value
        fitted = fit_mask(mask, 64)
        assert np.unique(fitted).tolist() == [0, value]
        side = max(shape)
        middle = (
            (np.array([y + high / 2, x + wide / 2]) + (side - np.array(shape)) // 2) * 64 / side
        )
        assert np.abs(np.argwhere(fitted).mean(axis=0) + 0.5 - middle).max() <= 1


def test_a_small_nodule_beside_a_large_one_stays():
    mask = np.zeros((640, 640), np.uint8)
    mask[100:400, 100:400] = 1
    mask[500, 500:503] = 2
    fitted = fit_mask(mask, 32)
    assert (fitted == 2).sum() == 1 and fitted[25, 25] == 2 and (fitted == 1).sum() == 225


def shrunk(cases, every):
    """The same table with nodules of 2 x 2 px in every so manieth case."""
    mask = tuple((x, y) for x, y in ((20, 20), (21, 20), (21, 21), (20, 21)))
    cases["mask"] = [
        (Region(mask),) if at % every == 0 else old for at, old in enumerate(cases["mask"])
    ]
    return cases


def test_nodules_of_one_pixel_are_counted_at_the_chosen_size(tmp_path):
    cases = shrunk(phantom_cases(tmp_path / "phantom"), every=4)
    with pytest.warns(
        UserWarning, match="at 32 x 32 px, the nodules of 10 of 40 images are a sing"
    ):
        blocks.dataloaders(cases, size=32, batch_size=8, cache=tmp_path / "cache")
    blocks.dataloaders(cases, size=64, batch_size=8, cache=tmp_path / "cache")


def test_most_nodules_of_one_pixel_are_refused(tmp_path):
    cases = shrunk(phantom_cases(tmp_path / "phantom"), every=1)
    with pytest.raises(CaseError, match=r"40 of 40 images are a single pixel, .*larger size"):
        blocks.dataloaders(cases, size=32, batch_size=8, cache=tmp_path / "cache")


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


@pytest.mark.parametrize("images", [16, 30, 47, 50])
def test_a_profile_shows_as_many_images_as_it_promises(folder, images):
    """The last batch of an epoch is not trained on where it is not full."""
    laptop = profiles.find("laptop")
    cases = phantom_cases(folder / "phantom100", 100)
    parts = [cases[cases["split"] == name] for name in ("train", "valid", "test")]
    cases = pd.concat([parts[0].head(images), *parts[1:]])
    dls = blocks.dataloaders(cases, size=32, batch_size=16, cache=folder / "cache")
    seen = sum(len(label) for *_, label in dls.train)
    assert seen == images // 16 * 16
    budget = laptop.seeing(training_images=images)
    assert budget.epochs * seen >= laptop.images > (budget.epochs - 1) * seen


def test_what_reduces_the_images_counts_as_code_of_every_run():
    """The loaders reach it only by way of the cases, which are recorded by their fingerprint."""
    assert "square" in provenance.code(experiments.find("unet-seg3"))
