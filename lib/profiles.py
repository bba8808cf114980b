"""How much to spend on a run: from seconds on a laptop to the paper's setting on a GPU."""

import math
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from typing import Any

from .names import look_up

# Whole numbers, from here up
WHOLE = {"size": 32, "epochs": 1, "batch_size": 1, "images": 0, "phantoms": 1, "phantom_test": 0}


@dataclass(frozen=True)
class Profile:
    """One budget, the same for every experiment.

    size: side of the square input, px; epochs, batch_size, lr: of the training; images: how many
    training images are seen at least, so that a small data set gets more epochs; schedule and
    optimiser: names from `lib.learner`; encoder, weights and decoder_channels: of every network;
    precision: "float32", "bfloat16" or "auto", as in `lib.learner.choose_precision`; phantoms:
    number of cases drawn if the source is the phantom; phantom_test: how many more, for a test set
    that all runs share (0: a part of the cases is tested on). ValueError for a number out of range.

    >>> tiny = Profile("tiny", "one epoch", size=64, epochs=1, lr=1e-3, encoder="resnet18")
    >>> tiny.network_options()
    {'encoder': 'resnet18', 'weights': 'imagenet', 'decoder_channels': (128, 64, 32, 16, 16)}
    """

    name: str
    about: str
    size: int
    epochs: int
    lr: float
    images: int = 0
    batch_size: int = 16
    schedule: str = "one_cycle"
    optimiser: str = "adam"
    encoder: str = "tu-tf_efficientnet_lite0"
    weights: str | None = "imagenet"
    decoder_channels: tuple[int, ...] = (128, 64, 32, 16, 16)
    precision: str = "float32"
    channels_last: bool = True
    phantoms: int = 400
    phantom_test: int = 0

    def __post_init__(self) -> None:
        for name, low in WHOLE.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
                raise ValueError(f"{name}={value!r}; use a whole number from {low} up")
        if self.size % 32:
            raise ValueError(
                f"size={self.size}; use a multiple of 32: encoders halve it five times"
            )
        if not (isinstance(self.lr, Real) and 0 < self.lr <= 1):
            raise ValueError(f"lr={self.lr!r}; use a number above 0, at most 1")

    def seeing(self, training_images: int) -> "Profile":
        """The budget for so many training images: with more epochs where there are few.

        An epoch is whole batches: what does not fill the last one is not seen in it. Images that
        do not fill a batch are one.

        >>> laptop = find("laptop")
        >>> laptop.seeing(training_images=1202).epochs, laptop.seeing(training_images=300).epochs
        (7, 30)
        >>> laptop.seeing(training_images=12).batch_size
        12
        """
        batch = min(self.batch_size, int(training_images) or self.batch_size)
        seen = training_images // batch * batch
        wanted = math.ceil(self.images / seen) if seen else 0
        return replace(self, epochs=max(self.epochs, wanted), batch_size=batch)

    def source_options(self, source: str) -> dict[str, int]:
        """What `lib.sources.read` takes from a profile: how many phantoms to draw.

        >>> find("quick").source_options("phantom"), find("quick").source_options("busbra")
        ({'cases': 400, 'test': 0}, {})
        """
        if not source.startswith("phantom"):
            return {}
        return {"cases": self.phantoms, "test": self.phantom_test}

    def network_options(self) -> dict[str, Any]:
        """What the networks take from a profile."""
        return {
            "encoder": self.encoder,
            "weights": self.weights,
            "decoder_channels": self.decoder_channels,
        }

    def learner_options(self) -> dict[str, Any]:
        """What `lib.task_learner` takes from a profile.

        >>> find("paper").learner_options()["precision"]
        'auto'
        """
        return {
            "lr": self.lr,
            "optimiser": self.optimiser,
            "precision": self.precision,
            "channels_last": self.channels_last,
        }

    def record(self) -> dict[str, Any]:
        """All settings, for the results file."""
        return {k: v for k, v in asdict(self).items() if k != "about"}


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "smoke", "seconds: does everything run?",
            size=64, epochs=2, lr=1e-3, decoder_channels=(32, 24, 16, 16, 8), phantoms=80,
        ),
        Profile(
            "quick", "about two minutes on two cores: see the method work on the phantom",
            size=96, epochs=8, lr=1e-3, phantoms=400,
        ),
        Profile(
            "laptop", "about ten minutes on two cores for a data set of 2000 images",
            size=96, epochs=7, lr=1e-3, images=8400, phantoms=1200,
        ),
        Profile(
            "laptop-long",
            "twice as long as laptop, all else the same: has the training come to rest?",
            size=96, epochs=14, lr=1e-3, images=16800, phantoms=1200,
        ),
        Profile(
            "evidence",
            "what the book's findings rest on: four to twenty minutes of one core a training",
            size=128, epochs=10, lr=1e-3, images=12000, precision="auto", phantoms=960,
            phantom_test=2400,
        ),
        Profile(
            "evidence-256",
            "the same at twice the resolution and for longer, on a GPU: does the finding hold?",
            size=256, epochs=20, lr=1e-3, images=24000, precision="auto", phantoms=960,
            phantom_test=2400,
        ),
        Profile(
            "paper",
            "the paper's setting, for a GPU; epochs are ours, the paper does not state them",
            size=512, epochs=100, lr=3e-4, schedule="cosine", encoder="resnet101",
            decoder_channels=(256, 128, 64, 32, 16), precision="auto", phantoms=4493,
        ),
    )
}  # fmt: skip


def find(name: str) -> Profile:
    """The profile of that name; ValueError with the nearest names otherwise.

    >>> find("paper").size
    512
    """
    return look_up("profile", name, PROFILES)
