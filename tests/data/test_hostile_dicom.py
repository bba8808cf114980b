"""DICOM files: stills of every usual kind, and files that are damaged, hostile or tell too much."""

import hostile
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    UltrasoundImageStorage,
    generate_uid,
)

from lib import cases, dicom, sources
from lib.cases import check_cases, decode

SECRET = "DOE^JANE"


def still(pixels, colours="MONOCHROME2", region=None, **tags) -> Dataset:
    """An ultrasound still with a patient's name in several places."""
    pixels = np.asarray(pixels)
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = UltrasoundImageStorage
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = generate_uid(
        entropy_srcs=["a test"]
    )
    found.PatientName, found.PatientID, found.PatientBirthDate = SECRET, "ID-4711", "19700101"
    found.InstitutionName = "Planted Hospital"
    found.private_block(0x0099, "PLANTED", create=True).add_new(1, "PN", SECRET)
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    found.PhotometricInterpretation = colours
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    bits = 8 * pixels.itemsize
    found.BitsAllocated, found.BitsStored, found.HighBit = bits, bits, bits - 1
    found.PixelRepresentation = 0
    found.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    found["PixelData"].VR = "OB" if bits == 8 else "OW"
    if region:
        area = Dataset()
        names = ("MinX0", "MinY0", "MaxX1", "MaxY1")
        for name, value in zip(names, region, strict=True):
            setattr(area, f"RegionLocation{name}", value)
        found.SequenceOfUltrasoundRegions = Sequence([area])
    for name, value in tags.items():
        setattr(found, name, value)
    return found


def write(found: Dataset, path):
    found.save_as(path, enforce_file_format=True)
    return path


def in_folder(tmp_path, found=None, data=None):
    """A folder whose image 0 is a DICOM file; what it is then made of."""
    root = hostile.folder(tmp_path / "data")
    (root / "images" / "0.png").unlink()
    file = root / "images" / "0.dcm"
    write(found, file) if data is None else file.write_bytes(data)
    (root / "labels.csv").write_text((root / "labels.csv").read_text().replace("0.png", "0.dcm"))
    with hostile.untouched(tmp_path):
        checked, problems = check_cases(sources.read("folder", root), minimum=2)
    hit = checked[checked["image"] == str(file)]
    return (None if hit.empty else hit.iloc[0]), problems


GREY = hostile.speckle()
COLOUR = np.stack([hostile.speckle(k) for k in (4, 5, 6)], -1)


def grey_of(colour):
    return (colour @ np.array([0.299, 0.587, 0.114])).round()


def as_ybr(colour):
    from pydicom.pixels import convert_color_space

    return convert_color_space(colour, "RGB", "YBR_FULL")


def palette() -> Dataset:
    table = np.arange(256, dtype=np.uint16)[::-1] * 257
    tags = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    tags |= {f"{c}PaletteColorLookupTableData": table.tobytes() for c in ("Red", "Green", "Blue")}
    return still(GREY, "PALETTE COLOR", **tags)


def packed() -> Dataset:
    found = still(GREY)
    found.compress(RLELossless)
    return found


SOUND = {
    "MONOCHROME2": (still(GREY), GREY),
    "MONOCHROME1": (still(255 - GREY, "MONOCHROME1"), GREY),
    "16 bits": (still(GREY.astype(np.uint16) * 16), None),
    "RGB": (still(COLOUR, "RGB"), grey_of(COLOUR)),
    "YBR_FULL": (still(as_ybr(COLOUR), "YBR_FULL"), grey_of(COLOUR)),
    "palette": (palette(), 255 - GREY),
    "run lengths": (packed(), GREY),
    "one frame, stated": (still(GREY, NumberOfFrames=1), GREY),
}


@pytest.mark.parametrize("kind", SOUND)
def test_dicom_stills_are_read_as_grey(tmp_path, kind, record_property):
    """A still of this kind is read as 8-bit grey; without a region a note says to look."""
    found, expected = SOUND[kind]
    row, problems = in_folder(tmp_path, found)
    image, mask = decode(row)
    assert image.dtype == np.uint8 and image.shape == mask.shape == hostile.SHAPE
    if expected is None:
        expected = np.round(GREY * (255 / GREY.max()))
    assert np.abs(image.astype(float) - expected).max() <= 2
    assert [p.left_out for p in problems] == [False] and "no ultrasound region" in problems[0].what
    record_property("answer", problems[0].what)
    assert row["crop"] is None


def test_grey_with_a_sign_is_inverted_within_its_own_range(tmp_path):
    stored = np.array([[-2048, -1, 0, 2047]], np.int16)  # of 12 bits; the lowest is white
    found = still(stored, "MONOCHROME1", PixelRepresentation=1, BitsStored=12, HighBit=11)
    grey = dicom.read_pixels(write(found, tmp_path / "a.dcm"))
    assert grey.tolist() == [[2047, 0, -1, -2048]]


@pytest.mark.parametrize(
    "name", ["IM_0001", "a.ima", "a.IMA", "1.2.840.10008.5.1", "00000001.001", "disc/ST0/IM_0001"]
)
def test_dicom_files_as_scanners_name_them(tmp_path, name, record_property):
    """With another ending, a number or none they are known by the mark in the file, and read."""
    root = hostile.folder(tmp_path / "data")
    (root / "images" / "0.png").unlink()
    file = root / "images" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    write(still(GREY), file)
    stem = name.removesuffix(".ima").removesuffix(".IMA")
    mask = root / "masks" / f"{stem}.png"
    mask.parent.mkdir(parents=True, exist_ok=True)
    (root / "masks" / "0.png").rename(mask)
    (root / "labels.csv").write_text(f"image,label\n{stem},malignant\n1,benign\n")
    checked, problems = check_cases(sources.read("folder", root), minimum=4)
    row = checked[checked["image"] == str(file)].iloc[0]
    assert row["label"] == "malignant" and (decode(row)[0] == GREY).all()
    assert (decode(row)[1] == 2 * (hostile.nodule() > 0)).all()
    assert not any(problem.left_out for problem in problems)
    record_property("answer", "read")


DRAWN = {
    "a DICOM mask": (still(hostile.nodule()), None),
    "of several frames": (still(hostile.nodule(), NumberOfFrames=3), "a clip of 3 frames"),
    "of single bits": (still(hostile.nodule(), BitsAllocated=1), "of 1 bits"),
}


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("name", ["0.dcm", "0_mask"])
def test_masks_that_are_dicom_files(tmp_path, kind, name, record_property):
    """A still is a mask like any other; what it cannot be read for is said with its name."""
    found, said = DRAWN[kind]
    root = hostile.folder(tmp_path / "data")
    (root / "masks" / "0.png").unlink()
    file = write(found, root / "masks" / name)
    checked, problems = check_cases(sources.read("folder", root), minimum=3)
    if said is None:
        row = checked[checked["image"] == str(root / "images" / "0.png")].iloc[0]
        assert (decode(row)[1] == (hostile.nodule() > 0)).all() and not problems
    else:
        assert len(checked) == 3
        assert any(said in p.what and p.file == str(file) for p in problems if p.left_out)
    record_property("answer", problems[0].what if problems else "read")


def test_dicom_is_cropped_to_its_ultrasound_regions(tmp_path):
    found = still(GREY, region=(10, 8, 59, 43))
    more = Dataset()
    more.RegionLocationMinX0, more.RegionLocationMinY0 = 4, 12
    more.RegionLocationMaxX1, more.RegionLocationMaxY1 = 64, 40  # one beyond the end
    found.SequenceOfUltrasoundRegions.append(more)
    row, problems = in_folder(tmp_path, found)
    assert not problems and row["crop"] == (4, 8, 64, 44)
    image, mask = decode(row)
    assert np.array_equal(image, GREY[8:44, 4:64])
    assert np.array_equal(mask > 0, hostile.nodule()[8:44, 4:64] > 0)


def whole(**options) -> bytes:
    import io

    buffer = io.BytesIO()
    still(GREY, **options).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def deflated() -> bytes:
    import io

    found = still(np.zeros((512, 512), np.uint8))
    found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def undecodable() -> bytes:
    found = packed()
    found.file_meta.TransferSyntaxUID = JPEGLSLossless
    import io

    buffer = io.BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def value_of(name: str, new: bytes, data: bytes | None = None) -> bytes:
    """The file with another value, of the same length, of a tag with two bytes."""
    tag = pydicom.datadict.tag_for_keyword(name)
    mark = tag.to_bytes(4, "little")
    mark = mark[2:] + mark[:2]
    data = whole() if data is None else data
    at = data.index(mark) + 8
    return data[:at] + new + data[at + 2 :]


def wrong_kind(name: str, vr: bytes) -> bytes:
    tag = pydicom.datadict.tag_for_keyword(name)
    mark = tag.to_bytes(4, "little")
    mark = mark[2:] + mark[:2]
    data = whole()
    at = data.index(mark) + 4
    return data[:at] + vr + data[at + 2 :]


MUCH = b"\xff\xff"
HOSTILE = {
    "a clip": (whole(NumberOfFrames=30), "a clip of 30 frames: export the frame"),
    "empty": (b"", "the mark DICM is missing|0 bytes"),
    "no mark": (bytes(300), "the mark DICM is missing"),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + bytes(400), "the mark DICM is missing"),
    "a pickle": (b"\x80\x04cos\nsystem\n(S'true'\ntR.", "the mark DICM is missing"),
    "cut in the head": (whole()[:180], "damaged|not a whole number|states a size"),
    "cut in the tags": (whole()[:700], "damaged|not a whole number|cannot be decoded"),
    "cut in the pixels": (whole()[:-900], "damaged|cannot be decoded"),
    "no pixels": (whole(PixelData=b""), "cannot be decoded"),
    "65535 x 65535": (value_of("Columns", MUCH, value_of("Rows", MUCH)), "decompression bomb"),
    "65535 rows": (value_of("Rows", MUCH), "cannot be decoded"),
    "no rows": (value_of("Rows", b"\0\0"), "states a size"),
    "no columns": (value_of("Columns", b"\0\0"), "states a size"),
    "rows as text": (wrong_kind("Rows", b"CS"), "not a whole number|damaged|states a size"),
    "rows as a sequence": (wrong_kind("Rows", b"SQ"), "damaged|not a whole number"),
    "unknown colours": (whole(colours="HSV"), "its colours are 'HSV'"),
    "12 bits a pixel": (whole(BitsAllocated=12), "values a pixel of 12 bits"),
    "1 bit a pixel": (whole(BitsAllocated=1), "values a pixel of 1 bits"),
    "4 values a pixel": (whole(SamplesPerPixel=4), "4 values a pixel"),
    "deflated": (deflated(), "may be a bomb"),
    "an unknown compression": (undecodable(), "cannot be decoded"),
    "a region beside the picture": (whole(region=(0, 0, 900, 40)), "does not lie inside"),
    "a region turned round": (whole(region=(40, 0, 10, 40)), "does not lie inside"),
    "an endless region": (whole(region=(0, 0, 2**32 - 1, 9)), "does not lie inside"),
}


@pytest.mark.filterwarnings("ignore")  # pydicom warns of what it is about to refuse
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_dicom_files_are_left_out(tmp_path, kind, record_property):
    """A damaged or hostile file is left out by name; the others are read."""
    data, said = HOSTILE[kind]
    row, problems = in_folder(tmp_path, data=data)
    faults = [p for p in problems if p.left_out]
    record_property("answer", "; ".join(p.what for p in faults))
    assert row is None and faults
    assert all("images/0.dcm" in p.file for p in faults)
    assert any(word in p.what for p in faults for word in said.split("|")), faults
    assert SECRET not in str(problems)


def test_nothing_of_the_header_is_read(tmp_path):
    """Names, numbers and private tags are not in what the reader holds."""
    file = write(still(GREY, region=(2, 2, 60, 40)), tmp_path / "a.dcm")
    assert SECRET.encode() in file.read_bytes()
    for pixels in (False, True):
        found = dicom._read(file, pixels=pixels)
        assert not [e for e in found.iterall() if e.tag.is_private or "Patient" in e.keyword]
        assert SECRET not in str(found) and "Planted" not in str(found)
    assert {name for name in dicom.TAGS if pydicom.datadict.tag_for_keyword(name) is None} == set()


def test_the_limits_agree():
    assert dicom.MAX_PIXELS == cases.MAX_PIXELS
