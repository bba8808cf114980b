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

from lib.atomic import replacing

TARGET = Path(__file__).parents[1] / "book" / "assets" / "busbra.webp"
SHOWN = {"0880-r": (0, 158, 115), "0884-r": (0, 158, 115), "0342-r": (213, 94, 0)}  # by class
HEIGHT, GAP, LINE = 220, 8, 2  # px


def outlined(folder: Path, name: str, colour: tuple[int, int, int]) -> np.ndarray:
    """One picture, uint8 (HEIGHT, W, 3), its mask's border drawn in the colour of its class."""
    picture = Image.open(folder / "Images" / f"bus_{name}.png").convert("RGB")
    mask = Image.open(folder / "Masks" / f"mask_{name}.png").convert("L")
    size = round(picture.width * HEIGHT / picture.height), HEIGHT
    pixels = np.array(picture.resize(size, Image.Resampling.LANCZOS))
    inside = np.array(mask.resize(size, Image.Resampling.BILINEAR)) > 127
    pixels[inside & ~binary_erosion(inside, iterations=LINE)] = colour
    return pixels


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    parts = [part for one in SHOWN.items() for part in (outlined(Path(sys.argv[1]), *one), gap)]
    with replacing(TARGET) as draft:
        Image.fromarray(np.hstack(parts[:-1])).save(draft, quality=85)


if __name__ == "__main__":
    main()
