"""What a mask file means: where its nodules are, and of which class, if it says so."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from .table import CLASSES

UNKNOWN = 3  # mask value of a nodule whose class nobody stated
THRESHOLD = 128  # masks saved as JPEG, or resized, have edge values between 0 and 255
SURROUNDS = 0.9  # share of the picture's rim that a background covers; no nodule of BUS-BRA: .03
HIGHEST_NUMBER = 64  # classes and nodules are counted up to here; grey goes further
FEW = 16  # levels or colours of a mask that was painted, not photographed
# Pixels between dark and bright, for one bright pixel: at most .24 in masks of BUS-BRA saved as
# JPEG of quality 30, at least 2.6 in its pictures and 30 in DDTI's.
PHOTOGRAPH = 1.5
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0]  # a palette that stands for class numbers, not for colours

Note = Callable[[str], None]


class Unclear(ValueError):
    """Why nobody can say where the nodule of a mask is."""


def nodules(picture: Image.Image | np.ndarray, note: Note) -> tuple[np.ndarray, bool]:
    """Where a mask's nodules are, decided from its channels and values.

    Args:
        picture: a picture of any mode, or its values, (H, W) or uint8 (H, W, 3).
        note: is told what is not plain white on black, but was read.

    Returns:
        uint8 (H, W): 0 background, 1 benign, 2 malignant (green and red, or the numbers 1 and 2),
        3 a nodule of no stated class; and whether colours stated the classes.

    Raises:
        Unclear: a photograph, numbers in a JPEG, a background that nobody can tell, an outline that
            is not filled, a picture that is white all over.

    >>> said = []
    >>> nodules(np.array([[0, 0, 0], [0, 1, 2], [0, 0, 0]], np.uint16), said.append)[0]
    array([[0, 0, 0],
           [0, 1, 2],
           [0, 0, 0]], dtype=uint8)
    >>> said
    ['holds the numbers 0, 1, 2: all above 0 is read as nodule']
    """
    layer, coloured = _read(picture, note)
    if within := _enclosed(layer > 0):
        raise Unclear(
            f"is an outline that is not filled: {(layer > 0).sum()} px enclose {within}; fill it"
        )
    return layer, coloured


def _read(picture: Image.Image | np.ndarray, note: Note) -> tuple[np.ndarray, bool]:
    by_format = getattr(picture, "format", None) in ("JPEG", "JPEG2000")
    lossy = getattr(picture, "info", {}).get("lossy", by_format)
    colours, opaque = _channels(picture, note)
    if opaque is not None and opaque.any() and not opaque.all():
        seen = colours[opaque]
        if (seen == seen[0]).all():  # nothing is drawn but with the alpha channel
            note("is read from its alpha channel")
            return _nodule_on_background(opaque, note), False
        colours = colours * opaque.reshape(*opaque.shape, *[1] * (colours.ndim - 2))
    if colours.ndim == 3:
        if np.ptp(colours, axis=2).max(initial=0) > 24:  # JPEG alone turns grey by less
            return _from_colours(colours, lossy, note), True
        colours = np.asarray(Image.fromarray(colours).convert("L"))
    return _from_values(colours, lossy, note), False


def _channels(
    picture: Image.Image | np.ndarray, note: Note
) -> tuple[np.ndarray, np.ndarray | None]:
    """Values (H, W) or colours (H, W, 3), and what is opaque, if there is an alpha channel."""
    if isinstance(picture, np.ndarray):
        return picture, None
    if picture.mode.startswith(("I", "F")):
        return np.asarray(picture), None
    if picture.mode == "P" and (picture.getpalette() or [])[: len(VOC)] == VOC:
        return np.asarray(picture), None
    if picture.has_transparency_data:
        channels = np.asarray(picture.convert("LA" if picture.mode in ("L", "LA") else "RGBA"))
        colours = channels[..., 0] if channels.shape[2] == 2 else channels[..., :3]
        alpha = channels[..., -1]
        if 0 < (most := int(alpha.max(initial=0))) < THRESHOLD and alpha.min() < most:
            note(
                f"is at most {most / 255:.0%} opaque: what is half of that or more is read as drawn"
            )
            return colours, alpha >= most / 2
        return colours, alpha >= THRESHOLD
    return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB")), None


def _from_values(values: np.ndarray, lossy: bool, note: Note) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite pixels")
    levels = _levels(values)
    if len(levels) == 2:
        if levels[0] or levels[1] < THRESHOLD:
            note(f"holds two values, {_listed(levels)}: the rarer at the rim is read as nodule")
        return _nodule_on_background(values == levels[1], note)
    if len(levels) > 2 and levels[0] == 0 and levels[-1] <= HIGHEST_NUMBER and _whole(levels):
        return _from_numbers(values, levels, lossy, note)
    deep = values.dtype != np.uint8
    grey = values * (255 / (levels[-1] or 1)) if deep else values
    if grey.max() == 0:
        return np.zeros(values.shape, np.uint8)
    if grey.max() < THRESHOLD:
        what = f"its brightest pixel is {grey.max()}, a nodule has {THRESHOLD} to 255"
        raise Unclear(f"holds no mask that can be told from noise: {what}")
    white = grey >= THRESHOLD
    if 2 < len(levels) <= FEW and not lossy:
        areas = [level for level in levels[levels > 0] if _is_area(values == level)]
        if faint := [level for level in areas if level < levels[-1] / 8 and not deep]:
            raise Unclear(
                f"holds areas of {_listed(faint)} beside {levels[-1]}: nobody can say whether "
                f"they are nodule"
            )
        if any(level < levels[-1] for level in areas):
            white |= np.isin(values, areas)
            if not white.all():
                note(f"holds areas of {_listed(areas)}: all are read as nodule")
    else:
        _refuse_photograph(grey)
    return _nodule_on_background(white, note)


def _from_numbers(values: np.ndarray, levels: np.ndarray, lossy: bool, note: Note) -> np.ndarray:
    if lossy:
        raise Unclear(
            f"holds the numbers 0 to {levels[-1]}, but lossy compression changes numbers: use PNG"
        )
    if _rim(values > 0) > 0.5:
        raise Unclear(
            f"holds the numbers {_listed(levels)}, and those above 0 cover {_rim(values > 0):.0%} "
            "of the rim: they number more than nodules"
        )
    note(f"holds the numbers {_listed(levels)}: all above 0 is read as nodule")
    if levels[-1] <= len(CLASSES):
        return values.astype(np.uint8)
    return np.where(values > 0, np.uint8(UNKNOWN), np.uint8(0))


def _from_colours(colours: np.ndarray, lossy: bool, note: Note) -> np.ndarray:
    packed = colours.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    known, first = np.unique(_ring(packed), return_counts=True)
    background = known[first.argmax()]
    few = not lossy and len(np.unique(packed)) <= FEW
    if few:
        share = first.max() / first.sum()
        if share < (SURROUNDS if background else 0.5):
            raise Unclear(
                f"no colour is the background: none covers more than {share:.0%} of the rim"
            )
        nodule = packed != background
    else:
        bright = colours.max(axis=2)
        _refuse_photograph(bright)
        nodule = bright >= THRESHOLD
        if _rim(nodule) > 0.5:
            raise Unclear("its colours cover most of the rim: nobody can say what is background")
    red, green, blue = np.moveaxis(colours.astype(np.int16), 2, 0)
    layer = np.where(nodule, np.uint8(UNKNOWN), np.uint8(0))
    layer[nodule & (green >= 100) & (2 * red < green) & (2 * blue < green)] = 1
    layer[nodule & (red >= 100) & (2 * green < red) & (2 * blue < red)] = 2
    return layer


def _nodule_on_background(white: np.ndarray, note: Note) -> np.ndarray:
    """A nodule of no stated class where it is white, or black if white surrounds it."""
    rim = _rim(white)
    if white.all():
        raise Unclear("is white all over: it says of no place that it is nodule")
    if rim >= SURROUNDS:
        note("is read the other way round: what is dark is nodule, what is bright surrounds it")
        white = ~white
    elif 0.5 < rim < SURROUNDS:
        raise Unclear(
            f"white covers {white.mean():.0%} of the picture and {rim:.0%} of its rim: nobody can "
            "say whether white or black is nodule"
        )
    return np.where(white, np.uint8(UNKNOWN), np.uint8(0))


def _enclosed(nodule: np.ndarray) -> int:
    """Pixels that the nodule encloses, where they are more than it has itself; otherwise 0."""
    rows, columns = nodule.any(axis=1), nodule.any(axis=0)
    size = int(nodule.sum())
    if not size or 2 * size > np.ptp(np.flatnonzero(rows)) * np.ptp(np.flatnonzero(columns)):
        return 0  # it fills its frame: there is no room within
    within = int(ndimage.binary_fill_holes(nodule).sum()) - size
    return within if within > size else 0


def _refuse_photograph(grey: np.ndarray) -> None:
    top = float(grey.max())
    dark, bright = (grey < top / 8).sum(), (grey >= top * 7 / 8).sum()
    between = grey.size - dark - bright
    if between > PHOTOGRAPH * bright:
        raise Unclear(
            f"is a photograph, no mask: {between / grey.size:.0%} of its pixels are neither dark "
            "nor bright. Is it a copy of the image?"
        )


def _levels(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:  # a tenth of the time that sorting takes
        return np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    return np.unique(values)


def _whole(levels: np.ndarray) -> bool:
    return bool((levels == np.round(levels)).all())


def _is_area(here: np.ndarray) -> bool:
    """Whether somewhere nine pixels lie in a square: the edge of a soft mask has no such place."""
    rows = here[:-2] & here[1:-1] & here[2:]
    return bool((rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]).any())


def _ring(pixels: np.ndarray) -> np.ndarray:
    sides = pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]
    return np.concatenate([side.reshape(-1) for side in sides])


def _rim(white: np.ndarray) -> float:
    """Share of the picture's outermost pixels that are white."""
    return float(_ring(white).mean())


def _listed(levels: Sequence[float]) -> str:
    shown = ", ".join(f"{level:g}" for level in levels[:8])
    return shown + ", ..." * (len(levels) > 8)
