"""Images and masks that are odd, damaged or hostile: read as grey, or left out by name."""

import io
import struct
import zlib
from pathlib import Path

import hostile
import numpy as np
import pytest
from PIL import Image

from lib import sources
from lib.cases import check_cases

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

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def turned(orientation: int) -> bytes:
    """A JPEG whose EXIF asks the viewer to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(GREY, "JPEG", exif=exif)


DEEP = np.linspace(0, 4095, GREY.width * GREY.height).reshape(hostile.SHAPE)
NOT_FINITE = np.where(hostile.nodule(), np.nan, 1).astype(np.float32)
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
MASKS = {
    "half the size": (saved(SMALL), "mask is 32 x 24 px, but its image"),
    "turned": (saved(MASK.transpose(Image.Transpose.ROTATE_90)), "mask is 48 x 64 px"),
    "one pixel wider": (saved(Image.new("L", (65, 48), 255)), "mask is 65 x 48 px"),
    "1 x 1": (saved(Image.new("L", (1, 1), 255)), "mask is 1 x 1 px"),
    "all black": (saved(Image.new("L", (64, 48))), "its mask is empty"),
    "class numbers 0 1 2": (saved(MASK.point(lambda v: v // 255)), "its brightest pixel is 1"),
    "0 and 127": (saved(MASK.point(lambda v: v // 2)), "its brightest pixel is 127"),
    "all white": (saved(Image.new("L", (64, 48), 255)), None),
    "soft edges": (saved(SOFT), None),
    "JPEG": (saved(MASK, "JPEG", quality=60), None),
    "1 bit": (saved(MASK.convert("1")), None),
    "palette": (saved(MASK.convert("P")), None),
    "white on black, colour": (saved(MASK.convert("RGB")), None),
    "red on black": (saved(Image.merge("RGB", [MASK, *[Image.new("L", MASK.size)] * 2])), "is 76"),
    "alpha only": (saved(Image.merge("LA", [Image.new("L", MASK.size), MASK])), "mask is empty"),
    "16 bits": (saved(Image.fromarray(hostile.nodule().astype(np.uint16) * 257)), None),
    "NaN": (saved(Image.fromarray(NOT_FINITE), "TIFF"), "NaN or infinite"),
    "animated": (several("PNG"), "holds 3 pictures"),
    "empty file": (b"", "0 bytes"),
    "cut off": (saved(SOFT)[:-100], "damaged or cut off"),
    "words": (b"nodule at the left", "not an image"),
    "a bomb": (png_that_says(50000, 50000), "decompression bomb"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_odd_and_hostile_masks(tmp_path, kind, record_property):
    """A mask is read at 128 and above, or its image is left out and the mask's file is named."""
    data, said = MASKS[kind]
    root = hostile.folder(tmp_path / "data")
    (root / "masks" / "0.png").write_bytes(data)
    with hostile.untouched(tmp_path):
        checked, problems = check_cases(sources.read("folder", root), minimum=2)
    record_property("answer", "; ".join(p.what.split(" (mask")[0] for p in problems) or "read")
    read = any(image.endswith("images/0.png") for image in checked["image"])
    assert read != any(p.left_out for p in problems)
    if said is None:
        assert read and not problems
    else:
        assert any(said in p.what and "masks/0.png" in str(p) for p in problems), problems


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
