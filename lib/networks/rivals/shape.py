"""The shape of a mask in a few numbers."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

STATISTICS = (
    "area",
    "height to width",
    "share of its box",
    "roundness",
    "mean radius",
    "deviation of radius",
    "skewness of radius",
    "kurtosis of radius",
    "longest radius",
)


def shape_statistics(nodule: Tensor) -> Tensor:
    """The numbers named in `STATISTICS`: masks (N, H, W), boolean, to (N, 9), float32.

    Area as a share of the image, bounding box, and the boundary: pixels of the mask with a
    neighbour (of four) outside it. Roundness is the area over that of a disc whose outline has as
    many pixels; radii go from the mask's centroid to the boundary, the mean in units of the radius
    of a disc of that area, the others in units of the mean; skewness and kurtosis are those of
    their distribution. All numbers of an empty mask are 0.

    >>> square, bar = torch.zeros(2, 1, 12, 12, dtype=torch.bool)
    >>> square[:, 2:10, 2:10], bar[:, 5:7, 1:11] = True, True
    >>> height_to_width = shape_statistics(torch.cat([square, bar]))[:, 1]
    >>> height_to_width.tolist()
    [1.0, 0.20000000298023224]
    """
    values = nodule.double()
    height, width = values.shape[-2:]
    rows = torch.arange(height, device=values.device).view(1, -1, 1).double()
    columns = torch.arange(width, device=values.device).view(1, 1, -1).double()

    def total(weights: Tensor) -> Tensor:
        return weights.sum((1, 2))

    area = total(values).clamp(min=1)  # an empty mask divides by 1 and is set to 0 below
    tall, wide = (nodule.any(axis).double().sum(1).clamp(min=1) for axis in (2, 1))
    across = [F.max_pool2d(-values[:, None], size, 1, pad)[:, 0] for size, pad in _NEIGHBOURS]
    inside = torch.minimum(-across[0], -across[1])
    # The image's own edge bounds the mask
    inside[:, [0, -1]] = 0
    inside[:, :, [0, -1]] = 0
    edge = values * (1 - inside)
    length = total(edge).clamp(min=1)
    middle = [total(values * at) / area for at in (rows, columns)]
    radius = torch.sqrt(
        (rows - middle[0].view(-1, 1, 1)) ** 2 + (columns - middle[1].view(-1, 1, 1)) ** 2
    )
    mean = (total(edge * radius) / length).clamp(min=1e-6)
    apart = edge * (radius - mean.view(-1, 1, 1))
    spread = (total(apart**2) / length).sqrt()
    unit = apart / spread.clamp(min=1e-6).view(-1, 1, 1)
    found = torch.stack(
        [
            area / (height * width),
            tall / wide,
            area / (tall * wide),
            4 * math.pi * area / length**2,
            mean / (area / math.pi).sqrt(),
            spread / mean,
            total(unit**3) / length,
            total(unit**4) / length,
            (edge * radius).amax((1, 2)) / mean,
        ],
        dim=1,
    )
    return torch.where(nodule.any(2).any(1)[:, None], found, 0).float()


_NEIGHBOURS = (
    ((3, 1), (1, 0)),
    ((1, 3), (0, 1)),
)  # kernel and padding, up and down, left and right
