"""Depthwise convolutions whose backward pass is quick on a processor."""

import torch
from timm.layers import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_gradients = torch.ops.aten.convolution_backward


def quicken(network: nn.Module) -> nn.Module:
    """Give each depthwise convolution of `network` a quick backward pass, in place; returns it.

    Outputs stay the same to the bit, gradients to rounding, and the weights keep their names.
    Left alone are convolutions with a bias, with holes (dilation), with more than one filter a
    channel, and with filters that are not square or of even size.

    >>> network = quicken(nn.Sequential(nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)))
    >>> type(network[0]).__name__, list(network.state_dict())
    ('Depthwise', ['0.weight'])
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) in (nn.Conv2d, Conv2dSame) and _fits(child):
                setattr(module, name, Depthwise(child))
    return network


def _fits(convolution: nn.Conv2d) -> bool:
    (high, wide), (down, along) = convolution.kernel_size, convolution.stride
    return (
        1 < convolution.groups == convolution.in_channels == convolution.out_channels
        and convolution.bias is None
        and convolution.dilation == (1, 1)
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
        and high == wide
        and high % 2 == 1
        and down == along
    )


class Depthwise(nn.Conv2d):
    """A depthwise `nn.Conv2d`, or timm's `Conv2dSame`, with the weight of that `convolution`.

    On a GPU, and where no gradient is wanted, it is the plain convolution. Shapes are those of
    `convolution`.

    >>> plain = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
    >>> image = torch.rand(2, 8, 6, 6)
    >>> bool((Depthwise(plain)(image) == plain(image)).all())
    True
    """

    def __init__(self, convolution: nn.Conv2d):
        channels, kernel = convolution.in_channels, convolution.kernel_size
        super().__init__(
            channels,
            channels,
            kernel,
            stride=convolution.stride,
            padding=convolution.padding,
            groups=channels,
            bias=False,
            device="meta",  # no second weight is drawn: the random numbers stay as they were
        )
        self.weight = convolution.weight
        self.same = isinstance(convolution, Conv2dSame)

    def forward(self, image: Tensor) -> Tensor:
        image, weight = _cast(image), _cast(self.weight)
        if self.same:
            image = pad_same(image, self.kernel_size, self.stride)
        elif any(self.padding):
            (down, along) = self.padding
            image = F.pad(image, (along, along, down, down))
        stride = self.stride[0]
        if image.device.type == "cpu" and torch.is_grad_enabled():
            return DepthwiseConvolution.apply(image, weight, stride)
        return F.conv2d(image, weight, None, stride, groups=len(weight))


class DepthwiseConvolution(torch.autograd.Function):
    """One filter a channel, with gradients made of what oneDNN has quick kernels for.

    oneDNN's gradient by a 5 x 5 filter runs in a reference kernel, ten to a hundred times as slow
    as that by a 3 x 3 one: here it is put together from four of those. In bfloat16, so does its
    gradient by the image for a stride of 2: here that is computed in float32. Image (N, C, H, W),
    already padded, weight (C, 1, K, K), K odd, both of one type. There is no second derivative.
    """

    @staticmethod
    def forward(ctx, image: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.stride = stride
        return F.conv2d(image, weight, None, stride, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        image, weight = ctx.saved_tensors
        by_image, by_weight = ctx.needs_input_grad[:2]
        return (
            _by_image(gradient, image, weight, ctx.stride) if by_image else None,
            _by_weight(gradient, image, weight, ctx.stride) if by_weight else None,
            None,
        )


def _by_image(gradient: Tensor, image: Tensor, weight: Tensor, stride: int) -> Tensor:
    if stride == 1 or image.dtype != torch.bfloat16:
        return _part(gradient, image, weight, stride, 0)
    return _part(gradient.float(), image.float(), weight.float(), stride, 0).to(image.dtype)


def _by_weight(gradient: Tensor, image: Tensor, weight: Tensor, stride: int) -> Tensor:
    kernel = weight.shape[-1]
    if kernel <= 3:
        return _part(gradient, image, weight, stride, 1)
    whole, small = torch.empty_like(weight), weight[..., :3, :3].contiguous()
    high, wide = ((side - 1) * stride + 3 for side in gradient.shape[2:])
    for top in range(0, kernel - 2, 2):  # neighbours share a row, which both find alike
        for left in range(0, kernel - 2, 2):
            seen = image[..., top : top + high, left : left + wide]
            seen = seen.contiguous(memory_format=torch.channels_last)
            part = _part(gradient, seen, small, stride, 1)
            whole[..., top : top + 3, left : left + 3] = part
    return whole


def _part(gradient: Tensor, image: Tensor, weight: Tensor, stride: int, which: int) -> Tensor:
    """The gradient by the image (0) or by the weight (1)."""
    groups, mask = len(weight), [which == 0, which == 1, False]
    options = [stride, stride], [0, 0], [1, 1], False, [0, 0], groups, mask
    return _gradients(gradient, image, weight, None, *options)[which]


def _cast(values: Tensor) -> Tensor:
    """To the type that autocast gives a convolution here, if it is on."""
    device = values.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return values.to(torch.get_autocast_dtype(device))
    return values
