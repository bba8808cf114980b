"""What others report of BUS-BRA, as they print it; none of it was measured here.

Only what can be read by anyone, and names its network. Two of the three are folders of code.
"""

from typing import NamedTuple

__all__ = ["PUBLISHED", "Printed", "Published"]

HUB = "https://github.com"
CAD = f"{HUB}/thomasf45566/breast-us-cad/blob/b15a981ba500ba117a09d7a6a9d5844a0f9f1ff0/RESULTS.md"
MMFM = (
    f"{HUB}/NouranFadlallah/MMFM/blob/b3d804f2574b733db507885471f698ff8f01959f/"
    "docs/results_report.md"
)
TRAM = "https://doi.org/10.1109/EMBC58623.2025.11253082"


class Printed(NamedTuple):
    """A mean over folds and the standard deviation of the folds, which one fold does not have."""

    mean: float
    spread: float | None = None


class Published(NamedTuple):
    """One network of others.

    network; by: who reports it; link: where; pixels: side of its images, None if not said; folds:
    of BUS-BRA; epoch: how the one that is judged was chosen; dice: of the nodule; auc: of T1.
    """

    network: str
    by: str
    link: str
    pixels: int | None
    folds: str
    epoch: str
    dice: Printed | None = None
    auc: Printed | None = None


ALL, SEEN, APART = "official 1 to 5", "best on these images", "best on others"

PUBLISHED = (
    Published(
        "TRAM-UNet, a U-Net with attention",
        "Zhou and Sumi 2025",
        TRAM,
        None,
        "five of its own",
        "not said",
        dice=Printed(0.8856, 0.0091),
    ),
    Published(
        "U-Net on EfficientNet-B0",
        "breast-us-cad",
        CAD,
        224,
        "official 5",
        SEEN,
        dice=Printed(0.9016),
    ),
    Published("EfficientNet-B0", "breast-us-cad", CAD, 224, ALL, SEEN, auc=Printed(0.891, 0.027)),
    Published("ResNet-18", "MMFM", MMFM, 224, ALL, APART, auc=Printed(0.903, 0.018)),
    Published("ResNet-50", "MMFM", MMFM, 224, ALL, APART, auc=Printed(0.912, 0.021)),
    Published("ConvNeXt-Small", "breast-us-cad", CAD, 224, ALL, SEEN, auc=Printed(0.930, 0.017)),
    Published("ViT-B/16", "breast-us-cad", CAD, 224, ALL, SEEN, auc=Printed(0.931, 0.016)),
)
