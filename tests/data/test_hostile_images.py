"""Images and masks that are odd, damaged or hostile: read as grey, or left out by name."""

import io
import struct
import zlib
from pathlib import Path

import hostile
import numpy as np
import pytest
from PIL import Image, ImageFilter

from lib import sources
from lib.cases import check_cases, decode

GREY = Image.fromarray(hostile.speckle())
COLOUR = Image.merge("RGB", [Image.fromarray(hostile.speckle(k)) for k in (7, 8, 9)])
MASK = Image.fromarray(hostile.nodule())


def saved(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def several(kind: str) -> bytes:
    frames = [Image.fromarray(hostile.speckle(k)) for k in (1, 2, 3)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


def png_that_says(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header states any size."""
    return png((width, height, 8, 0), bytes(1000))


def png(size_and_kind: tuple[int, int, int, int], rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", *size_and_kind, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def tiff(values: np.ndarray, photometric: int | None = None) -> bytes:
    """A TIFF of one strip, uint16 (H, W) or (H, W, 3), which Pillow does not write."""
    height, width, channels = (*values.shape, 1)[:3]
    kind = (2 if channels == 3 else 1) if photometric is None else photometric
    tags = [(256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1), (262, 3, kind)]
    tags += [(273, 4, 8), (277, 3, channels), (278, 4, height), (279, 4, values.nbytes)]
    data = values.astype("<u2").tobytes()
    deep = len(data) + 8  # where the depths of three channels lie
    entries = b""
    for tag, form, value in tags:
        count = channels if tag == 258 and channels > 1 else 1
        entries += struct.pack("<HHII", tag, form, count, deep if count > 1 else value)
    depths = struct.pack("<3H", 16, 16, 16)
    head = struct.pack("<2sHI", b"II", 42, deep + len(depths))
    return head + data + depths + struct.pack("<H", len(tags)) + entries + bytes(4)


def bmp_of_16_bits(grey: np.ndarray) -> bytes:
    """A BMP of five, six and five bits a colour, which Pillow reads and does not write."""
    height, width = grey.shape
    grey = grey[::-1].astype("<u2")  # rows go up; 64 columns need no padding
    data = ((grey >> 3 << 11) | (grey >> 2 << 5) | (grey >> 3)).tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 3, len(data), 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    before = 14 + len(head) + len(masks)
    return struct.pack("<2sIII", b"BM", before + len(data), 0, before) + head + masks + data


def deep_colours(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png((width, height, 16, 2), rows)


def turned(orientation: int, picture: Image.Image = GREY, kind: str = "JPEG") -> bytes:
    """A picture whose EXIF asks the viewer to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(picture, kind, exif=exif)


DEEP = np.linspace(0, 4095, GREY.width * GREY.height).reshape(hostile.SHAPE)
DEEP16 = (DEEP * 16).astype(np.uint16)
MARKED = DEEP.astype(np.uint16)
MARKED[:2, :3] = 65535
NOT_FINITE = np.where(hostile.nodule(), np.nan, 1).astype(np.float32)
DEEP_COLOURS = deep_colours(np.dstack([DEEP16] * 3))
PHP = b"<?php system($_GET['c']); ?>"

# name of the file, its bytes, what the reader says of it: None, it is read and nothing is said
IMAGES = {
    "1 bit": ("0.png", saved(GREY.convert("1")), None),
    "palette": ("0.png", saved(COLOUR.convert("P")), None),
    "palette with transparency": ("0.gif.png", saved(GREY.convert("P"), transparency=0), None),
    "grey with alpha": ("0.png", saved(GREY.convert("LA")), None),
    "colour": ("0.png", saved(COLOUR), None),
    "colour with alpha": ("0.png", saved(COLOUR.convert("RGBA")), None),
    "12 bits in 16": ("0.png", saved(Image.fromarray(DEEP.astype(np.uint16))), None),
    "colours of 16 bits": ("0.png", DEEP_COLOURS, "16 bits for each of several channels"),
    "colours of 16 bits, TIFF": (
        "0.tif",
        tiff(np.dstack([DEEP16] * 3)),
        "16 bits for each",
    ),
    "16 bits, 0 is white": ("0.tif", tiff(65535 - DEEP16, photometric=0), "in which 0 is white"),
    "12 bits in 16, marked": ("0.png", saved(Image.fromarray(MARKED)), "Is a mark burned into it"),
    "BMP of 16 bits": ("0.bmp", bmp_of_16_bits(np.asarray(GREY)), None),
    "32 bits": ("0.tif", saved(Image.fromarray(DEEP.astype(np.int32)), "TIFF"), None),
    "float": ("0.tif", saved(Image.fromarray(DEEP.astype(np.float32)), "TIFF"), None),
    "float with NaN": ("0.tif", saved(Image.fromarray(NOT_FINITE), "TIFF"), "NaN or infinite"),
    "CMYK JPEG": ("0.jpg", saved(COLOUR.convert("CMYK"), "JPEG"), None),
    "CMYK TIFF": ("0.tif", saved(COLOUR.convert("CMYK"), "TIFF"), None),
    "YCbCr TIFF": ("0.tif", saved(COLOUR.convert("YCbCr"), "TIFF"), None),
    "Lab TIFF": ("0.tif", saved(COLOUR.convert("LAB"), "TIFF"), None),
    "progressive JPEG": ("0.jpg", saved(GREY, "JPEG", progressive=True), None),
    "lossless WebP": ("0.webp", saved(COLOUR, "WEBP", lossless=True), None),
    "BMP": ("0.bmp", saved(GREY, "BMP"), None),
    "JPEG named PNG": ("0.png", saved(GREY, "JPEG"), None),
    "animated PNG": ("0.png", several("PNG"), "holds 3 pictures; the first one is used"),
    "animated GIF named PNG": ("0.png", several("GIF"), "holds 3 pictures"),
    "pages of TIFF": ("0.tif", several("TIFF"), "holds 3 pictures"),
    "turned by EXIF, its mask is not": ("0.jpg", turned(6), "EXIF orientation 6"),
    "upside down by EXIF": ("0.jpg", turned(3), "EXIF orientation 3"),
    "EXIF that turns to nowhere": ("0.jpg", turned(9), None),
    "EXIF of noise": ("0.jpg", saved(GREY, "JPEG", exif=b"Exif\0\0MM\0*" + b"\xff" * 40), None),
    "1 x 1": ("0.png", saved(Image.new("L", (1, 1), 9)), "a constant picture"),
    "1 px high": ("0.png", saved(GREY.crop((0, 0, 64, 1))), "but its image"),
    "constant": ("0.png", saved(Image.new("L", GREY.size, 70)), "a constant picture"),
    "empty file": ("0.png", b"", "0 bytes"),
    "cut PNG": ("0.png", saved(GREY)[:-400], "damaged or cut off"),
    "cut JPEG": ("0.jpg", saved(GREY, "JPEG")[:400], "damaged or cut off"),
    "cut TIFF": ("0.tif", saved(GREY, "TIFF")[:600], "damaged|not an image"),
    "only a signature": ("0.png", b"\x89PNG\r\n\x1a\n", "not an image|damaged"),
    "noise": ("0.png", bytes(range(256)) * 9, "not an image in a known format"),
    "a changed checksum": ("0.png", saved(GREY).replace(b"IDAT", b"IDAX"), "damaged|not an image"),
    "a page of HTML": ("0.png", b"<html><script>alert(1)</script></html>", "not an image"),
    "a script": ("0.png", PHP, "not an image"),
    "an SVG": ("0.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "PostScript": ("0.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "a PDF": ("0.png", b"%PDF-1.4\n", "not an image"),
    "bomb of 60000 x 60000": ("0.png", png_that_says(60000, 60000), "decompression bomb"),
    "bomb of 10000 x 10000": ("0.png", png_that_says(10000, 10000), "decompression bomb"),
    "2 000 000 000 px wide": ("0.png", png_that_says(2**31 - 1, 1), "bomb|damaged|not an image"),
    "no pixel": ("0.png", png_that_says(0, 0), "damaged|not an image"),
    "a tiny body for its size": ("0.png", png_that_says(900, 900), "damaged|but its image"),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_odd_and_hostile_images(tmp_path, kind, record_property):
    """An image is read as 8-bit grey, with a note or without, or it is left out by its name."""
    name, data, said = IMAGES[kind]
    root = hostile.folder(tmp_path / "data")
    (root / "images" / "0.png").unlink()
    file = root / "images" / name
    file.write_bytes(data)
    (root / "masks" / "0.png").rename(root / "masks" / f"{file.stem}.png")
    labels = (root / "labels.csv").read_text().replace("0.png", name)
    (root / "labels.csv").write_text(labels)
    with hostile.untouched(tmp_path):
        checked, problems = check_cases(sources.read("folder", root), minimum=2)
    read = str(file) in set(checked["image"])
    answers = [p for p in problems if Path(p.file).stem == file.stem]
    record_property("answer", "; ".join(p.what for p in answers) or "read as grey")
    if said is None:
        assert read and not problems
    else:
        assert answers and any(_matches(said, p.what) for p in answers), problems
        assert read != any(p.left_out for p in answers)
    assert len(checked) == 3 + read


def _matches(words: str, what: str) -> bool:
    return any(word in what for word in words.split("|"))


SOFT = Image.fromarray(hostile.nodule()).resize((64, 48)).reduce(2).resize((64, 48))
SMALL = Image.fromarray(hostile.nodule((24, 32)))
BLACK = Image.new("L", MASK.size)
WHITE = Image.new("L", MASK.size, 255)
RED = Image.merge("RGB", [MASK, BLACK, BLACK])
NUMBERS = np.array(hostile.nodule() // 255)
NUMBERS[36:40, 8:12] = 2


def flat(values: np.ndarray, **options) -> bytes:
    return saved(Image.fromarray(values), **options)


def in_palette(numbers: np.ndarray, colours: list[int]) -> bytes:
    picture = Image.fromarray(numbers.astype(np.uint8), "P")
    picture.putpalette(colours)
    return saved(picture)


NODULE = hostile.nodule() > 0
RING = MASK.filter(ImageFilter.FIND_EDGES)
EDGE = np.zeros(NODULE.shape, bool)
EDGE[:, :45] = True  # white on 45 of 64 columns: three quarters of the rim

# the mask's bytes; what is said of it, None for nothing; where the nodule is, None: it is left out
MASKS = {
    "half the size": (saved(SMALL), "mask is 32 x 24 px, but its image", None),
    "turned": (saved(MASK.transpose(Image.Transpose.ROTATE_90)), "mask is 48 x 64 px", None),
    "one pixel wider": (saved(Image.new("L", (65, 48))), "mask is 65 x 48 px", None),
    "1 x 1": (saved(Image.new("L", (1, 1))), "mask is 1 x 1 px", None),
    "all black": (saved(BLACK), "its mask is empty", None),
    "all of one number": (flat(np.full(NODULE.shape, 1, np.uint8)), "brightest pixel is 1", None),
    "all white": (saved(WHITE), "white all over", None),
    "all white, 16 bits": (flat(np.full(NODULE.shape, 65535, np.uint16)), "white all over", None),
    "a background of 1, 16 bits": (flat(NUMBERS.astype(np.uint16) + 1), "white all over", None),
    "an outline": (saved(RING), "an outline that is not filled", None),
    "an outline in red": (
        saved(Image.merge("RGB", [RING, BLACK, BLACK])), "an outline that is not filled", None),
    "a thin brush": (
        saved(Image.merge("LA", [WHITE, MASK.point(lambda v: v // 2)])), "50% opaque", NODULE),
    "class numbers in a lossy WebP": (
        saved(Image.fromarray(NUMBERS * 20), "WEBP", quality=80), "changes numbers", None),
    "class numbers in a lossy WebP with a profile": (
        saved(Image.fromarray(NUMBERS * 20), "WEBP", quality=80, icc_profile=b"ICC" * 300),
        "changes numbers", None),
    "class numbers in a lossless WebP with a profile": (
        saved(Image.fromarray(NUMBERS), "WEBP", lossless=True, icc_profile=b"ICC" * 300),
        "numbers 0, 1, 2", NUMBERS > 0),
    "class numbers in a JPEG's TIFF": (
        saved(Image.fromarray(NUMBERS * 9), "TIFF", compression="jpeg"), "changes numbers", None),
    "turned by EXIF, its image not": (
        turned(3, MASK, "PNG"), "its image is not turned", NODULE[::-1, ::-1]),
    "class number 1": (flat(NUMBERS % 2), "two values, 0, 1", NODULE),
    "class numbers 0 1 2": (flat(NUMBERS), "numbers 0, 1, 2", NUMBERS > 0),
    "class numbers in a JPEG": (saved(Image.fromarray(NUMBERS * 9), "JPEG"), "use PNG", None),
    "1 and 2": (flat(NUMBERS % 2 + 1), "two values, 1, 2", NODULE),
    "0 and 127": (saved(MASK.point(lambda v: v // 2)), "two values, 0, 127", NODULE),
    "0, 127 and 255": (flat(np.array([0, 127, 255], np.uint8)[NUMBERS]), "areas of", NUMBERS > 0),
    "0, 1 and 255": (flat(np.array([0, 1, 255], np.uint8)[NUMBERS]), "areas of 1 beside", None),
    "numbers that fill the rim": (flat(NUMBERS + EDGE), "number more than nodules", None),
    "instances, 16 bits": (flat(NUMBERS.astype(np.uint16)), "numbers 0, 1, 2", NUMBERS > 0),
    "instances, 32 bits": (
        saved(Image.fromarray(NUMBERS.astype(np.int32) * 3), "TIFF"), "0, 3, 6", NUMBERS > 0),
    "instances of high numbers": (
        flat(np.array([0, 1, 300], np.uint16)[NUMBERS]), "areas of 1, 300", NUMBERS > 0),
    "one instance, 16 bits": (flat((NUMBERS % 2).astype(np.uint16)), "values, 0, 1", NODULE),
    "a share from 0 to 1": (
        saved(Image.fromarray(np.float32(NODULE) * 0.75), "TIFF"), "two values, 0, 0.75", NODULE),
    "soft edges": (saved(SOFT), None, np.asarray(SOFT) >= 128),
    "JPEG": (saved(MASK, "JPEG", quality=60), None, NODULE),
    "1 bit": (saved(MASK.convert("1")), None, NODULE),
    "palette": (saved(MASK.convert("P")), None, NODULE),
    "palette of class numbers": (
        in_palette(NUMBERS, [0, 0, 0, 128, 0, 0, 0, 128, 0]), "numbers 0, 1, 2", NUMBERS > 0),
    "palette of two colours": (
        in_palette(NUMBERS % 2, [68, 1, 84, 253, 231, 37]), None, NODULE),
    "palette, clear background": (
        in_palette(NUMBERS % 2, [255, 255, 255, 0, 0, 0]), "other way round", NODULE),
    "white on black, colour": (saved(MASK.convert("RGB")), None, NODULE),
    "black on white": (saved(MASK.point(lambda v: 255 - v)), "other way round", NODULE),
    "black on white, JPEG": (
        saved(MASK.point(lambda v: 255 - v), "JPEG"), "other way round", NODULE),
    "black or white": (flat(np.uint8(EDGE) * 255), "whether white or black is nodule", None),
    "red on black": (saved(RED), "is red; read as its case is labelled, benign", NODULE),
    "red on black, JPEG": (saved(RED, "JPEG", quality=95, subsampling=0), "is red", NODULE),
    "green, partly red": (
        saved(Image.fromarray(np.array(
            [[0, 0, 0], [0, 255, 0], [255, 0, 0]], np.uint8)[NUMBERS])), "is green and red", None),
    "white, partly red": (
        saved(Image.fromarray(np.array(
            [[0, 0, 0], [255] * 3, [255, 0, 0]], np.uint8)[NUMBERS])), "is red", NUMBERS > 0),
    "colours without a background": (
        saved(Image.merge("RGB", [Image.fromarray(np.uint8(EDGE) * 255), WHITE, BLACK])),
        "no colour is the background", None),
    "an outline on the image": (
        saved(Image.composite(Image.new("RGB", GREY.size, "red"), GREY.convert("RGB"),
                              MASK.filter(ImageFilter.FIND_EDGES))), "photograph", None),
    "a copy of the image": (saved(GREY), "a copy of the image?", None),
    "a copy of it in colour": (saved(COLOUR, "JPEG"), "a copy of the image?", None),
    "alpha over black": (saved(Image.merge("LA", [BLACK, MASK])), "alpha channel", NODULE),
    "alpha over white": (saved(Image.merge("LA", [WHITE, MASK])), "alpha channel", NODULE),
    "alpha over colour": (
        saved(Image.merge("RGBA", [WHITE, BLACK, BLACK, MASK])), "alpha channel", NODULE),
    "a hole in the alpha": (
        saved(Image.merge("LA", [BLACK, MASK.point(lambda v: 255 - v)])), "other way", NODULE),
    "alpha that says nothing": (saved(Image.merge("LA", [MASK, WHITE])), None, NODULE),
    "alpha and values": (
        saved(Image.merge("LA", [MASK, Image.fromarray(np.uint8(EDGE) * 255)])), None, NODULE),
    "16 bits": (flat(hostile.nodule().astype(np.uint16) * 257), None, NODULE),
    "NaN": (saved(Image.fromarray(NOT_FINITE), "TIFF"), "NaN or infinite", None),
    "animated": (several("PNG"), "holds 3 pictures", None),
    "empty file": (b"", "0 bytes", None),
    "cut off": (saved(SOFT)[:-100], "damaged or cut off", None),
    "words": (b"nodule at the left", "not an image", None),
    "a bomb": (png_that_says(50000, 50000), "decompression bomb", None),
}  # fmt: skip


@pytest.mark.parametrize("kind", MASKS)
def test_odd_and_hostile_masks(tmp_path, kind, record_property):
    """A mask is read for what it means, with a note if that is not plain, or left out by name."""
    data, said, expected = MASKS[kind]
    root = hostile.folder(tmp_path / "data")
    (root / "masks" / "0.png").write_bytes(data)
    with hostile.untouched(tmp_path):
        checked, problems = check_cases(sources.read("folder", root), minimum=2)
    record_property("answer", "; ".join(p.what.split(" (mask")[0] for p in problems) or "read")
    if said is None:
        assert not problems
    else:
        assert any(said in p.what for p in problems), problems
        assert all("0.png" in str(p) for p in problems)
    assert all(p.left_out == (expected is None) for p in problems if "3 pictures" not in p.what)
    rows = [row for row in checked.to_dict("records") if row["image"].endswith("images/0.png")]
    assert len(rows) == (expected is not None)
    for row in rows:
        np.testing.assert_array_equal(decode(row)[1], np.uint8(expected))  # 1: it is benign


THINGS = {
    "a folder": lambda file: file.mkdir(),
    "a dead link": lambda file: file.symlink_to(file.parent / "nowhere.png"),
    "a link to itself": lambda file: file.symlink_to(file),
    "a link to a device": lambda file: file.symlink_to("/dev/zero"),
    "a pipe": lambda file: __import__("os").mkfifo(file),
}


@pytest.mark.parametrize("kind", THINGS)
@pytest.mark.parametrize("where", ["images", "masks"])
def test_what_is_no_file(tmp_path, kind, where, record_property):
    """A folder, a pipe, a device or a dead link in place of a picture blocks nothing."""
    root = hostile.folder(tmp_path / "data")
    file = root / where / "0.png"
    file.unlink()
    THINGS[kind](file)
    checked, problems = check_cases(sources.read("folder", root), minimum=2)
    record_property("answer", problems[0].what)
    assert len(checked) == 3 and [p.file for p in problems] == [str(file)]
    assert problems[0].what in ("not a regular file", "no such file")
