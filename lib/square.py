"""From a picture of any shape to a square of the network's size, without losing its nodule."""

import numpy as np
from PIL import Image


def fit_image(image: np.ndarray, size: int) -> np.ndarray:
    """Pad uint8 (H, W) with black to a centred square and resize it to (size, size).

    With antialiasing where it becomes smaller.

    >>> fit_image(np.array([[1, 2]], np.uint8), size=2)
    array([[1, 2],
           [0, 0]], dtype=uint8)
    """
    return np.asarray(
        Image.fromarray(_square(image)).resize((size, size), Image.Resampling.BILINEAR)
    )


def fit_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Pad a mask, uint8 (H, W) with values 0 to 3, and resize it to (size, size).

    Where it becomes smaller, a pixel is nodule if at least half of its area is, of the class that
    covers most of it (of the higher value if two cover the same). A class that would have no pixel
    keeps the one that it covers most of: a nodule never becomes background, however small. Counts
    are of whole pixels, so every machine gives the same.

    >>> small = np.zeros((64, 64), np.uint8)
    >>> small[40:42, 9] = 2  # 2 of the 1024 pixels of a quarter
    >>> fit_mask(small, size=2)
    array([[0, 0],
           [2, 0]], dtype=uint8)
    """
    square = _square(mask)
    side = len(square)
    if side <= size:  # each pixel becomes one or several
        near = (2 * np.arange(size) + 1) * side // (2 * size)
        return square[np.ix_(near, near)]
    widths = np.diff(np.arange(size + 1) * side // size)
    target = np.repeat(np.arange(size), widths)  # of each row and column
    rows, columns = np.nonzero(square)
    places = (square[rows, columns].astype(int), target[rows], target[columns])
    counts = np.bincount(np.ravel_multi_index(places, (4, size, size)), minlength=4 * size**2)
    cover = counts.reshape(4, size, size)
    area = np.outer(widths, widths)
    largest = 3 - cover[::-1].argmax(axis=0)
    fitted = np.where(2 * cover.sum(axis=0) >= area, largest, 0).astype(np.uint8)
    for value in range(1, 4):
        if cover[value].any() and not (fitted == value).any():
            fitted[np.unravel_index((cover[value] / area).argmax(), area.shape)] = value
    return fitted


def _square(layer: np.ndarray) -> np.ndarray:
    side = max(layer.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - layer.shape[0]) // 2, (side - layer.shape[1]) // 2
    square[top : top + layer.shape[0], left : left + layer.shape[1]] = layer
    return square
