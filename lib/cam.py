"""Grad-CAM: which parts of an image speak for the class that the classification branch names."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import GREY

FEWEST = 6  # cells a side: with fewer, a map cannot say where
BATCH = 16


class NoFeatureMapError(ValueError):
    """The class does not come from a feature map, so no map can say where it comes from."""


@dataclass(frozen=True)
class Layer:
    """A layer that Grad-CAM can look at: its name in the network, and its map's rows and columns.

    >>> Layer("encoder.layer4", (3, 3))
    Layer(name='encoder.layer4', size=(3, 3))
    """

    name: str
    size: tuple[int, int]


def find_layer(network: nn.Module, images: Tensor, layer: str | int | None = None) -> Layer:
    """The layer that `grad_cam` looks at, for images of this size.

    Only feature maps that the class is computed from count. `layer` is a stride (32 is the last of
    most encoders, what section 5.2 of Kang et al. 2022 looks at), the name of a module, or None:
    the deepest map of at least 6 x 6 cells, else the one with the most cells. An input of 192 px
    and more then gets stride 32 (16 x 16 cells at the paper's 512 px), one of 96 px stride 16
    (6 x 6 cells; stride 32 would have 3 x 3). Of the maps of one size, the last that leaves a whole
    stage is taken, not one within a block.

    Raises ValueError if the network gives no class, or has no such layer; the message names those
    there are.

    >>> from lib.networks import ClsNet
    >>> network, image = ClsNet("resnet18"), torch.zeros(1, 1, 96, 96)
    >>> find_layer(network, image), find_layer(network, image, 32)
    (Layer(name='encoder.layer3', size=(6, 6)), Layer(name='encoder.layer4', size=(3, 3)))
    """
    images = _input(network, images[:1])
    maps: list[tuple[str, Tensor]] = []

    def keep(name: str):
        def hook(_: nn.Module, given: tuple, made: object) -> None:
            passed_on = any(made is one for one in given)  # by an identity, or changed in place
            if isinstance(made, Tensor) and made.ndim == 4 and not passed_on:
                maps.append((name, made))

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in network.named_modules() if name]
    try:
        with _at_rest(network):
            scores = _class_scores(network, images)
            if not scores.requires_grad:
                raise NoFeatureMapError(f"{_name(network)} computes the class from no feature map")
            grads = torch.autograd.grad(scores.sum(), [m for _, m in maps], allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    found = [
        Layer(name, tuple(made.shape[-2:]))
        for (name, made), grad in zip(maps, grads, strict=True)
        if grad is not None and made.shape[-2] * made.shape[-1] > 1
    ]
    if not found:
        raise NoFeatureMapError(
            f"{_name(network)} computes the class from no feature map of 2 cells up"
        )
    return _choose(found, layer, tuple(images.shape[-2:]))


def _choose(found: list[Layer], layer: str | int | None, image: tuple[int, int]) -> Layer:
    if isinstance(layer, str):
        named = [one for one in found if one.name == layer]
        if not named:
            outer = [one.name for one in found if one.name.count(".") <= 2]
            raise ValueError(
                f"the class is computed from no layer {layer!r}; there are {', '.join(outer)}"
            )
        return named[-1]
    if layer is None:
        enough = [one.size for one in found if min(one.size) >= FEWEST]
        size = enough[-1] if enough else max(one.size for one in found)
    else:
        size = tuple(-(-side // layer) for side in image)
    same = [one for one in found if one.size == size]
    if not same:
        strides = sorted({image[0] // one.size[0] for one in found})
        raise ValueError(
            f"no feature map of stride {layer} feeds the class; there are "
            f"{', '.join(map(str, strides))}"
        )
    outermost = min(one.name.count(".") for one in same)
    return [one for one in same if one.name.count(".") == outermost][-1]


def layer_map(
    network: nn.Module,
    images: Tensor,
    target: str | int = "predicted",
    layer: str | int | None = None,
) -> Tensor:
    """Grad-CAM as coarse as it is computed: (N, h, w), 0..1, on the CPU.

    The feature maps of the layer, each times the mean of the target score's gradient over it, are
    summed; what is negative becomes 0 (Selvaraju et al. 2017, Eq. 1 and 2). Each map is divided by
    its own highest value, so brightness cannot be compared between images; a map without positive
    evidence stays 0. Computed in float32 and in evaluation mode; the network's mode, gradients and
    hooks are as before afterwards.

    Args:
        network: returns `TaskLogits` with cls (N, K).
        images: as the network takes them, float (N, C, H, W); or grey, uint8 (N, H, W), as
            `lib.predict` gives them.
        target: "predicted", each image's own most probable class, or the index of a class.
        layer: as in `find_layer`, which says how coarse the map is.

    Raises ValueError as `find_layer`, and for a target that is no class.

    >>> from lib.networks import ClsNet
    >>> layer_map(ClsNet("resnet18"), torch.rand(2, 1, 64, 64), target="predicted").shape
    torch.Size([2, 8, 8])
    """
    chosen = find_layer(network, images, layer)
    look = LayerGradCam(lambda x: _class_scores(network, x), network.get_submodule(chosen.name))
    maps = []
    with _at_rest(network):
        for part in images.split(BATCH):
            given = _input(network, part)
            with torch.no_grad():
                scores = _class_scores(network, given)
            index = _index(target, scores)
            maps.append(look.attribute(given, index, relu_attributions=True).detach()[:, 0].cpu())
    found = torch.cat(maps)
    return found / found.amax((1, 2), keepdim=True).clamp(min=torch.finfo(found.dtype).tiny)


def grad_cam(
    network: nn.Module,
    images: Tensor,
    target: str | int = "predicted",
    layer: str | int | None = None,
) -> Tensor:
    """Grad-CAM at the size of the images: (N, H, W), 0..1, on the CPU.

    `layer_map`, enlarged: the map looks finer than it is, see `find_layer`. Arguments and errors
    are those of `layer_map`.

    >>> from lib.networks import ClsNet
    >>> grad_cam(ClsNet("resnet18"), torch.rand(2, 1, 64, 64), target=1).shape
    torch.Size([2, 64, 64])
    """
    return enlarge(layer_map(network, images, target, layer), tuple(images.shape[-2:]))


def enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, h, w) at another `size`, (N, H, W), bilinear between the middles of the cells.

    >>> enlarge(torch.tensor([[[0.0, 1.0]]]), (1, 4))
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """
    return F.interpolate(maps[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0]


def mass_inside(maps: Tensor | np.ndarray, mask: Tensor | np.ndarray) -> Tensor:
    """Share of each map's mass that lies inside the nodule, float64 (N,), 0..1.

    maps: (N, h, w), not negative, enlarged to the mask's size if coarser; mask: (N, H, W), a nodule
    where it is not 0. A map spread evenly gives the nodule's share of the image. NaN where there is
    no nodule or the map is 0 throughout. Raises ValueError if the two are not of as many images.

    >>> mass_inside(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[0, 2]]]))
    tensor([0.7500], dtype=torch.float64)
    """
    maps, nodule = torch.as_tensor(maps).cpu(), torch.as_tensor(mask).cpu() > 0
    if maps.ndim != 3 or nodule.ndim != 3 or len(maps) != len(nodule):
        raise ValueError(
            f"maps {tuple(maps.shape)} and mask {tuple(nodule.shape)} must be (N, h, w) and "
            "(N, H, W) with the same N"
        )
    fine = enlarge(maps, tuple(nodule.shape[-2:])).double()
    inside, total = (fine * nodule).sum((1, 2)), fine.sum((1, 2))
    return torch.where((total > 0) & nodule.any(2).any(1), inside / total, torch.nan)


# ------------------------------------------------------------------------------------------ details


@contextmanager
def _at_rest(network: nn.Module) -> Iterator[None]:
    """In evaluation mode with gradients, full precision, and every module's mode as before."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.enable_grad(), torch.autocast(_device(network).type, enabled=False):
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _class_scores(network: nn.Module, images: Tensor) -> Tensor:
    scores = network(images).cls
    if scores is None:
        raise ValueError(f"{_name(network)} gives no class (T1, cls); Grad-CAM explains a class")
    return scores


def _index(target: str | int, scores: Tensor) -> Tensor | int:
    if target == "predicted":
        return scores.argmax(1)
    if isinstance(target, str) or not 0 <= target < scores.shape[1]:
        raise ValueError(f"target={target!r}; use 'predicted' or 0 to {scores.shape[1] - 1}")
    return int(target)


def _input(network: nn.Module, images: Tensor) -> Tensor:
    """The network's own kind of input, of which a gradient can be taken even if it is frozen."""
    if images.dtype == torch.uint8 and images.ndim == 3:
        mean, deviation = GREY
        images = (images[:, None].float() / 255 - mean) / deviation
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"images are {images.dtype} {tuple(images.shape)}; float (N, C, H, W) or uint8 "
            "(N, H, W) is needed"
        )
    return images.detach().to(_device(network)).clone().requires_grad_()


def _device(network: nn.Module) -> torch.device:
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def _name(network: nn.Module) -> str:
    return type(network).__name__
