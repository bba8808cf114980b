"""The three BUS-BRA pictures of the chapter on ultrasound, with their nodules' outlines.

python ci/real_images.py path/to/busbra

writes book/assets/busbra.webp. The data set's licence lets a document show its pictures if it cites
the article and carries the notice: both stand below the picture.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion

from lib import cases, sources
from lib.atomic import replacing

TARGET = Path(__file__).parents[1] / "book" / "assets" / "busbra.webp"
SHOWN = ("bus_0880-r", "bus_0884-r", "bus_0342-r")
COLOURS = {1: (0, 158, 115), 2: (213, 94, 0)}  # benign, malignant
HEIGHT, GAP, LINE = 220, 8, 2  # px


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One picture, uint8 (HEIGHT, W, 3), its nodule's border drawn in the colour of its class."""
    size = round(image.shape[1] * HEIGHT / image.shape[0]), HEIGHT
    pixels = np.array(Image.fromarray(image).convert("RGB").resize(size, Image.Resampling.LANCZOS))
    nodule = Image.fromarray(np.where(mask > 0, np.uint8(255), np.uint8(0)))
    inside = np.array(nodule.resize(size, Image.Resampling.BILINEAR)) > 127
    pixels[inside & ~binary_erosion(inside, iterations=LINE)] = COLOURS[int(mask.max())]
    return pixels


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    table = sources.read("busbra", sys.argv[1]).set_index("case", drop=False)
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    parts = [part for name in SHOWN for part in (outlined(*cases.decode(table.loc[name])), gap)]
    with replacing(TARGET) as draft:
        Image.fromarray(np.hstack(parts[:-1])).save(draft, quality=85)


if __name__ == "__main__":
    main()
