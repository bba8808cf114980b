"""A kept network at work: its answers, the folder it writes, clips, going on, the command."""

import json
import os
import subprocess
import sys

import kept
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.uid import UltrasoundMultiFrameImageStorage, generate_uid
from test_hostile_dicom import still, write

import lib
from lib import decode, keep, likeness, pictures, predictions
from lib.__main__ import main
from lib.inference import contradicted, to_own_size
from lib.pictures import Picture
from lib.predictions import predict_folder
from lib.sources import phantom
from lib.square import fit_image, fit_mask


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return kept.small(tmp_path_factory.mktemp("kept"), seed=5)


@pytest.fixture(scope="module")
def predictor(file):
    return lib.load(file)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    (root / "deep").mkdir(parents=True)
    for at in range(3):
        Image.fromarray(drawn(at)).save(root / ("deep" * (at == 2)) / f"{at}.png")
    return root


def drawn(seed, size=72):
    return phantom.draw(("benign", "malignant")[seed % 2], rng=seed, size=size).image


def opened(path):
    with Image.open(path) as picture:
        picture.load()
    return picture


def quiet(line):
    """No line."""


def table(out):
    return pd.read_csv(out / "predictions.csv")


def clip(path, frames, **tags):
    """A clip of grey frames whose header names its study, as an archive's does."""
    found = still(frames[0], region=tags.pop("region", None))
    found.SOPClassUID = UltrasoundMultiFrameImageStorage
    found.NumberOfFrames, found.PixelData = len(frames), np.stack(frames).tobytes()
    for name in ("StudyInstanceUID", "SeriesInstanceUID"):
        setattr(found, name, generate_uid(entropy_srcs=[name]))
    found.StudyDate, found.StudyTime, found.StudyID, found.Modality = (
        "20200101",
        "120000",
        "1",
        "US",
    )
    found.AccessionNumber = found.ReferringPhysicianName = found.PatientSex = ""
    found.SeriesNumber = found.InstanceNumber = 1
    for name, value in tags.items():
        setattr(found, name, value)
    return write(found, path)


# ---- one picture


def test_an_answer_is_the_joint_decision_of_the_network_with_the_weights_of_its_file(predictor):
    image = drawn(1)
    answer = predictor.answer(image)
    given = torch.tensor(fit_image(image, 32))[None, None] / 127.5 - 1
    with torch.no_grad():
        found = predictor.network(given).probabilities
    weights = decode.Weights(cls=0.4, maps=0.7, bias=(0.1, -0.1))
    one = decode.joint(found, weights)
    assert np.allclose(answer.probability, one.cls[0], atol=1e-6)
    assert answer.label == one.label[0] and answer.mask.shape == image.shape
    assert set(np.unique(answer.mask)) == {0, one.mask.max().item()}
    other = predictor.answer(image, decode.Weights(cls=1.0, maps=0.0))
    assert np.allclose(other.probability, found.cls[0], atol=1e-6)  # T1 alone


@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (20, 20), (500, 300)])
def test_a_mask_comes_back_to_where_it_was(shape):
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 3 : shape[0] * 2 // 3, shape[1] // 2 : shape[1] * 5 // 6] = 2
    again = to_own_size(fit_mask(mask, 64), shape)
    overlap = ((mask > 0) & (again > 0)).sum() / ((mask > 0) | (again > 0)).sum()
    assert again.shape == shape and set(np.unique(again)) == {0, 2} and overlap > 0.85


def test_a_single_pixel_does_not_vanish():
    mask = np.zeros((64, 64), np.uint8)
    mask[40, 9] = 1
    assert (to_own_size(mask, (8, 8)) == 1).sum() >= 1


def one_hot(label, classes):
    return np.eye(classes)[label].transpose(2, 0, 1)


def test_contradictions_are_told_in_words():
    classes = ("benign", "malignant")
    left, right = np.zeros((8, 8), int), np.zeros((8, 8), int)
    left[:, :3], right[:, 5:] = 1, 1
    both = left.copy()
    both[4:] *= 2
    assert contradicted(
        {"cls": np.array([0.2, 0.8]), "seg2": one_hot(right, 2), "seg3": one_hot(left, 3)}, classes
    ) == ["T1 says malignant, T3 says benign", "T2 and T3 outline different areas (IoU 0.00)"]
    assert contradicted({"seg3": one_hot(both, 3)}, classes) == [
        "T3 paints 50% of its nodule in another class"
    ]
    empty = {"cls": np.array([0.2, 0.8]), "seg2": one_hot(left, 2), "seg3": one_hot(left * 0, 3)}
    assert contradicted(empty, classes) == [
        "T1 says malignant, T3 says no nodule",
        "T2 sees a nodule, T3 does not",
    ]
    agree = {"cls": np.array([0.8, 0.2]), "seg2": one_hot(left, 2), "seg3": one_hot(left, 3)}
    assert contradicted(agree, classes) == []


@pytest.mark.parametrize(("columns", "told"), [(6, ["0.43"]), (8, [])])  # of 14: .43 and .57
def test_outlines_contradict_each_other_below_a_half(columns, told):
    three, two = np.ones((4, 14), int), np.zeros((4, 14), int)
    two[:, :columns] = 1
    said = contradicted({"seg2": one_hot(two, 2), "seg3": one_hot(three, 3)}, ("benign", "other"))
    assert said == [f"T2 and T3 outline different areas (IoU {iou})" for iou in told]


@pytest.mark.parametrize(("pixels", "told"), [(20, "20%"), (10, "10%"), (9, "")])
def test_two_classes_in_a_nodule_are_told_from_a_tenth_on(pixels, told):
    three = np.ones((10, 10), int)
    three.flat[:pixels] = 2
    said = contradicted({"seg3": one_hot(three, 3)}, ("benign", "malignant"))
    assert said == [f"T3 paints {told} of its nodule in another class"] * bool(told)


def test_a_picture_unlike_the_training_images_is_told(tmp_path):
    cases = phantom.read(tmp_path / "phantom", cases=24, size=64)
    cases = lib.prepare_cases(cases)[0]
    looks = likeness.seen(cases, 32)
    like = [fit_image(np.asarray(opened(one)), 32) for one in cases["image"]]
    told = [likeness.unlike(one, (64, 64), looks) for one in like]
    assert sum(map(bool, told)) <= 3  # those of the test set are drawn from the same
    noise = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    assert any("grain" in words for words in likeness.unlike(noise, (64, 64), looks))
    assert any("mean grey" in w for w in likeness.unlike(255 - like[0], (64, 64), looks))
    assert any("px, training" in w for w in likeness.unlike(like[0], (640, 640), looks))
    assert likeness.unlike(like[0], (64, 64), looks, coloured=0.2, regions=2)[-1].startswith("2 ")


def test_how_a_picture_was_read_is_among_its_warnings(predictor):
    plain = predictor.answer(Picture("a", drawn(0))).warnings
    odd = predictor.answer(Picture("a", drawn(0), coloured=0.2, regions=2, notes=("turned",)))
    colour, regions, note = (words for words in odd.warnings if words not in plain)
    assert "colour" in colour and regions.startswith("2 ") and note == "turned"


def test_colour_is_seen_and_grey_in_colours_is_not(tmp_path):
    grey = np.repeat(drawn(0)[..., None], 3, axis=2)
    doppler = grey.copy()
    doppler[20:50, 20:50] = (220, 30, 20)
    for name, pixels in (("grey.jpg", grey), ("doppler.png", doppler)):
        Image.fromarray(pixels).save(tmp_path / name)
    (plain,), (red,) = (list(pictures.read(tmp_path / n)) for n in ("grey.jpg", "doppler.png"))
    assert plain.coloured == 0 and red.coloured == pytest.approx(900 / 72**2)


@pytest.mark.parametrize(("name", "has"), [("clsnet", "class"), ("unet-seg2", "mask")])
def test_a_network_of_one_task_says_what_it_can(tmp_path, name, has):
    answer = lib.load(kept.small(tmp_path, name)).answer(drawn(0))
    assert (answer.probability is not None) == (has == "class")
    assert answer.contradictions == () and answer.mask.shape == (72, 72)


# ---- a folder of them


def test_a_folder_is_answered_into_a_folder(predictor, folder, tmp_path):
    (folder / "broken.png").write_text("no picture")
    done = predict_folder(predictor, [folder], tmp_path / "out", log=quiet)
    rows = table(tmp_path / "out").set_index("image")
    assert (done.answered, done.stood, list(done.failed)) == (3, 0, ["broken.png"])
    assert "not an image in a known format" in rows.loc["broken.png", "error"]
    good = rows.drop("broken.png")
    assert sorted(good.index) == ["0.png", "1.png", "deep/2.png"]
    for name, row in good.iterrows():
        answer = predictor.answer(drawn(int(name[-5])))
        mask = np.asarray(opened(tmp_path / "out" / row["mask"]))
        assert (mask == answer.mask).all() and row["nodule_pixels"] == (mask > 0).sum()
        assert row["p_malignant"] == pytest.approx(answer.probability[1], abs=1e-4)
        assert row["class_T1"] == ("benign", "malignant")[int(answer.tasks["cls"][1] > 0.5)]
        assert row["p_benign"] + row["p_malignant"] == pytest.approx(1, abs=2e-4)
        assert opened(tmp_path / "out" / row["overlay"]).size == (72, 72)


def test_it_goes_on_where_it_was_and_only_there(predictor, folder, tmp_path, file):
    out = tmp_path / "out"
    predict_folder(predictor, [folder], out, log=quiet)
    before = table(out)
    done = predict_folder(predictor, [folder], out, log=quiet)
    assert (done.answered, done.stood) == (0, 3)
    assert before.equals(table(out))
    (out / "masks" / "0.png").unlink()  # lost
    Image.fromarray(drawn(7)).save(folder / "1.png")  # another picture by now
    done = predict_folder(predictor, [folder], out, log=quiet)
    assert (done.answered, done.stood) == (2, 1)
    other = kept.small(tmp_path, seed=4)
    before = table(out)
    with pytest.raises(ValueError, match=r"answers of another network .*--again"):
        predict_folder(other, [folder], out, log=quiet)
    assert before.equals(table(out))
    assert predict_folder(other, [folder], out, again=True, log=quiet).answered == 3
    assert set(table(out)["model"]) == {lib.load(other).mark}
    assert predict_folder(other, [folder], out, again=True, log=quiet).answered == 3


def test_where_no_class_was_trained_the_outline_of_t2_is_all_that_is_answered(folder, tmp_path):
    data = {"fingerprint": "0a1b", "split": "2c3d", "counts": {"train": {"unlabelled": 9}}}
    file = kept.small(tmp_path, data=data)
    outline = lib.load(file)
    answer = outline.answer(drawn(1))
    assert not outline.says_a_class and (answer.label, answer.probability) == (-1, None)
    assert list(answer.tasks) == ["seg2"] and not answer.contradictions
    own = to_own_size(np.where(answer.tasks["seg2"].argmax(0) > 0, 3, 0).astype(np.uint8), (72, 72))
    assert (answer.mask == own).all()
    predict_folder(outline, [folder], tmp_path / "out", log=quiet)
    assert set(table(tmp_path / "out")["class"]) <= {"nodule", "no nodule"}
    assert table(tmp_path / "out")[["p_benign", "class_T1"]].isna().all(axis=None)
    assert "an outline: its training images had no class" in file.with_suffix(".md").read_text()
    assert lib.load(kept.small(tmp_path / "labelled")).says_a_class
    classes = lib.load(kept.small(tmp_path / "classes", name="clsnet", data=data))
    assert "what it says was not trained" in classes.answer(drawn(1)).warnings[-1]


def test_a_column_of_ones_own_is_not_lost(predictor, folder, tmp_path):
    out = tmp_path / "out"
    predict_folder(predictor, [folder], out, log=quiet)
    table(out).assign(my_reading="benign").to_csv(out / "predictions.csv", index=False)
    before = (out / "predictions.csv").read_bytes()
    with pytest.raises(ValueError, match="has the column 'my_reading'"):
        predict_folder(predictor, [folder], out, log=quiet)
    assert (out / "predictions.csv").read_bytes() == before


def test_two_at_once_do_not_write_into_one_folder(predictor, folder, tmp_path):
    out, seen = tmp_path / "out", []

    def meanwhile(line):
        with pytest.raises(OSError, match="another process is writing answers here"):
            predict_folder(predictor, [folder / "0.png"], out, log=quiet)
        seen.append(line)

    assert predict_folder(predictor, [folder], out, log=meanwhile).answered == 3
    assert seen and len(table(out)) == 3
    assert predict_folder(predictor, [folder], out, log=quiet).stood == 3


def test_files_that_are_no_pictures_are_told(predictor, folder, tmp_path):
    for name in ("b.heic", "c.nii", "deep/d.nii"):
        (folder / name).write_text("other")
    done = predict_folder(predictor, [folder], folder / "out", log=quiet)
    assert done.answered == 3
    assert [note.split(":")[0] for note in done.notes] == ["b.heic", "c.nii"]
    assert "like 1 more files" in done.notes[1]
    again = predict_folder(predictor, [folder], folder / "out", log=quiet)
    assert again.notes == done.notes  # the answers themselves lie there, too


def test_answers_that_stood_outlive_a_kill(predictor, folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    predict_folder(predictor, [folder], out, log=quiet)

    def killed(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(predictions, "_answer_file", killed)
    with pytest.raises(KeyboardInterrupt):
        predict_folder(predictor, [folder], out, again=True, log=quiet)
    assert len(table(out)) == 3


def test_killed_between_two_files_it_goes_on(predictor, folder, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    answered, plain = [], predictions._answer_file

    def once(*given):
        if answered:
            raise Killed
        answered.append(given[1])
        return plain(*given)

    monkeypatch.setattr(predictions, "_answer_file", once)
    monkeypatch.setattr(predictions, "EVERY", 0.0)
    with pytest.raises(Killed):
        predict_folder(predictor, [folder], tmp_path / "out", log=quiet)
    monkeypatch.setattr(predictions, "_answer_file", plain)
    done = predict_folder(predictor, [folder], tmp_path / "out", log=quiet)
    assert (done.answered, done.stood) == (2, 1)
    assert not list((tmp_path / "out").rglob(".draft-*"))


def test_a_clip_is_answered_frame_by_frame(predictor, tmp_path):
    frames = [drawn(at) for at in range(5)]
    source = clip(tmp_path / "c.dcm", frames, region=(6, 6, 66, 66))
    out = tmp_path / "out"
    predict_folder(predictor, [source], out, log=quiet)
    rows = table(out)
    assert rows["frame"].tolist() == [1, 2, 3, 4, 5] and (rows["frames"] == 5).all()
    assert opened(out / rows["montage"][0]).width == 4 * 240
    for at, row in rows.iterrows():
        mask = np.asarray(opened(out / row["mask"]))
        alone = predictor.answer(frames[at][6:67, 6:67])
        assert (mask[6:67, 6:67] == alone.mask).all()
        assert mask.sum() == mask[6:67, 6:67].sum()  # nothing outside the region
        if not mask.any():
            continue
        segmented = pydicom.dcmread(out / row["segmentation"])
        assert (segmented.pixel_array == (mask > 0)).all()
        (segment,) = segmented.SegmentSequence
        assert segment.SegmentLabel == f"nodule, {row['class']}"
        (image,) = segmented.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        whole = pydicom.dcmread(source)
        assert image.ReferencedSOPInstanceUID == whole.SOPInstanceUID
        assert image.ReferencedSOPClassUID == UltrasoundMultiFrameImageStorage
        assert image.ReferencedFrameNumber == at + 1
        assert segmented.PatientID == whole.PatientID  # as an archive needs it
    assert rows["segmentation"].notna().any()
    assert predict_folder(predictor, [source], out, log=quiet).stood == 1


@pytest.mark.parametrize("lost", ["overlays/c.dcm-0002.png", "montages/c.dcm.png"])
def test_any_picture_that_was_lost_is_drawn_again(predictor, tmp_path, lost):
    source, out = clip(tmp_path / "c.dcm", [drawn(0), drawn(1)]), tmp_path / "out"
    predict_folder(predictor, [source], out, log=quiet)
    (out / lost).unlink()
    assert predict_folder(predictor, [source], out, log=quiet).answered == 1
    assert (out / lost).is_file()


def test_a_montage_is_of_the_whole_clip():
    frames = [(str(red), Image.new("RGB", (240, 240), (red, 0, 0))) for red in range(100)]
    sheet = predictions.montage(frames)
    middles = [(240 * (at % 4) + 120, 260 * (at // 4) + 140) for at in range(12)]
    shown = [sheet.getpixel(middle)[0] for middle in middles]
    assert shown == [9 * at for at in range(12)]  # 0 and 99 are the ends


def test_a_file_too_large_for_the_memory_costs_no_other(predictor, folder, tmp_path, monkeypatch):
    plain = pictures.read

    def read(file, name):
        if name == "0.png":
            raise MemoryError
        return plain(file, name)

    monkeypatch.setattr(pictures, "read", read)
    done = predict_folder(predictor, [folder], tmp_path / "out", log=quiet)
    assert done.answered == 2 and done.failed == {"0.png": "not enough memory"}


def test_no_answer_is_written_over_another_files(predictor, tmp_path):
    frames = [drawn(0), drawn(1)]
    pairs = {
        "ends": ("IM_0001", "IM_0001.dcm"),  # one DICOM-SEG
        "still": ("c.dcm", "c.dcm-0002.png"),  # the mask of the second frame
        "frame": ("c.dcm", "c-0002.dcm"),  # its DICOM-SEG
    }
    for what, names in pairs.items():
        folder = tmp_path / what
        folder.mkdir()
        clip(folder / names[0], frames, region=(6, 6, 66, 66))
        if names[1].endswith("png"):
            Image.fromarray(drawn(3)).save(folder / names[1])
        else:
            write(still(drawn(3)), folder / names[1])
        with pytest.raises(pictures.PictureError, match=r"would have one name"):
            predict_folder(predictor, [folder], tmp_path / "out", log=quiet)
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("a.png", "a-0001.png"):  # stills: nothing meets
        Image.fromarray(drawn(0)).save(plain / name)
    for name in ("c.dcm", "c-0001.dcm"):
        write(still(drawn(0)), plain / name)
    assert predict_folder(predictor, [plain], tmp_path / "out", log=quiet).answered == 4


def test_one_name_that_is_not_utf8_does_not_cost_the_table(predictor, folder, tmp_path):
    try:
        Image.fromarray(drawn(4)).save(folder / "x.png")
        (folder / "x.png").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    except OSError:
        pytest.skip("this disk takes UTF-8 names alone")
    done = predict_folder(predictor, [folder], tmp_path / "out", log=quiet)
    assert done.answered == 4 and len(table(tmp_path / "out")) == 4
    assert predict_folder(predictor, [folder], tmp_path / "out", log=quiet).stood == 3


def test_rows_that_leave_the_table_are_told(predictor, folder, tmp_path):
    predict_folder(predictor, [folder], tmp_path / "out", log=quiet)
    done = predict_folder(predictor, [folder / "0.png"], tmp_path / "out", log=quiet)
    assert len(table(tmp_path / "out")) == 1
    (note,) = done.notes
    assert note.startswith("2 rows of pictures that were not named this time")


def test_pictures_inside_the_folder_of_the_answers_are_named_as_the_reason(predictor, folder):
    with pytest.raises(pictures.PictureError, match=r"all 3 pictures .* answers go to"):
        predict_folder(predictor, [folder], folder.parent, log=quiet)


def test_weights_that_would_not_be_used_cannot_be_set(predictor):
    with pytest.raises(AttributeError):
        predictor.weights = decode.EQUAL
    assert predictor.weights == decode.Weights(cls=0.4, maps=0.7, bias=(0.1, -0.1))


def test_names_of_patients_stay_out_of_the_table_and_the_pictures(predictor, tmp_path):
    write(still(drawn(0)), tmp_path / "a.dcm")
    predict_folder(predictor, [tmp_path / "a.dcm"], tmp_path / "out", log=quiet)
    written = list((tmp_path / "out").rglob("*.[cp][sn][vg]"))
    assert {one.suffix for one in written} == {".csv", ".png"}
    for one in written:
        data = one.read_bytes()
        assert b"DOE" not in data and b"4711" not in data and str(tmp_path).encode() not in data


# ---- the file and its card


def test_a_card_says_what_it_is_and_with_which_figures(file):
    card = file.with_suffix(".md").read_text()
    assert "For research and teaching" in card and "No medical device" in card
    assert "| area under the ROC curve | 0.750 | 0.800 |" in card
    assert "9 training images of `phantom`, 40 to 400 px" in card and "code MIT" in card


def test_a_card_counts_the_images_of_each_part(tmp_path):
    counts = {"train": {"benign": 9}, "valid": {"benign": 3}}
    counts["test"] = {"benign": 4, "malignant": 1}
    data = {"fingerprint": "0a1b", "split": "2c3d", "counts": counts}
    card = kept.small(tmp_path, data=data).with_suffix(".md").read_text()
    assert "9 training images" in card and "How well it did, on 5 test images" in card


def altered(file, target, **changes):
    """The same weights, and a description with these changes."""
    from lib.checkpoint import load_tensors, read_metadata, save_tensors

    about = json.loads(read_metadata(file)["about"]) | changes
    about = {key: value for key, value in about.items() if value != "gone"}
    save_tensors(target, load_tensors(file), about={"about": json.dumps(about)})
    return target


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kept": 99}, "was kept by a newer version"),
        ({"classes": "gone", "size": "gone"}, "lacks classes, size"),
        ({"experiment": "mtl-of-tomorrow"}, "cannot be built by this version"),
        ({"budget": {"size": 31}}, "cannot be built by this version"),
        ({"experiment": "mtl"}, "does not fit mtl"),
    ],
)
def test_a_file_of_another_version_is_refused_by_name(file, tmp_path, changes, words):
    other = altered(file, tmp_path / "other.safetensors", **changes)
    with pytest.raises(lib.checkpoint.CheckpointError, match=rf"other\.safetensors: .*{words}"):
        lib.load(other)


def test_a_file_of_an_older_version_is_used(file, tmp_path):
    older = altered(file, tmp_path / "old.safetensors", kept="gone", seen="gone", licence="gone")
    answer = lib.load(older).answer(drawn(0))
    assert answer.mask.any() and answer.warnings == ()
    assert "not stated" in keep.card(keep.describe(older) | {"use": "for teaching"})


# ---- the command


def test_the_command_answers_and_says_so_in_its_exit_code(file, folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(file), str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "3 files answered, 0 stood already, 0 failed" in said.out
    assert "no medical device" in said.out and "3 of 3 files" in said.err
    (folder / "z.png").write_bytes(b"")
    assert main(["predict", str(file), str(folder), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "z.png: the file is empty (0 bytes)" in said.err and "3 stood" in said.out


def test_python_m_lib_is_there():
    words = [sys.executable, "-m", "lib", "predict", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "MODEL" in done.stdout.upper() and "research and teaching" in done.stdout


def test_a_file_that_may_not_be_read_or_refers_to_nothing_costs_no_other(
    predictor, folder, tmp_path, monkeypatch
):
    from pydicom import dcmread

    clip(folder / "locked.dcm", [drawn(5)])
    still = dcmread(clip(folder / "bare.dcm", [drawn(6)]))
    del still.SOPClassUID
    still.save_as(folder / "bare.dcm")
    (folder / "README").write_text("no picture")
    plain = open

    def locked(file, *mode, **more):
        if str(file).endswith(("locked.dcm", "README")):
            raise PermissionError(13, "Permission denied", str(file))
        return plain(file, *mode, **more)

    monkeypatch.setattr("builtins.open", locked)
    monkeypatch.setattr("io.open", locked)
    done = predict_folder(predictor, [folder], tmp_path / "out", log=quiet)
    assert done.failed == dict.fromkeys(("locked.dcm", "README"), "Permission denied")
    assert done.answered == 4
    assert any("bare.dcm: no DICOM-SEG" in note and "SOPClassUID" in note for note in done.notes)


def test_a_table_without_a_column_is_refused_and_a_picture_may_be_called_na(
    predictor, folder, tmp_path
):
    out = tmp_path / "out"
    Image.fromarray(drawn(8)).save(folder / "NA.png")
    (folder / "NA.png").rename(folder / "NA")
    predict_folder(predictor, [folder / "NA", folder], out, log=quiet)
    done = predict_folder(predictor, [folder / "NA", folder], out, log=quiet)
    assert (done.answered, done.stood) == (0, 4)
    table(out).drop(columns="montage").to_csv(out / "predictions.csv", index=False)
    with pytest.raises(ValueError, match="is no table of this program"):
        predict_folder(predictor, [folder], out, log=quiet)
