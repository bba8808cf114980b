"""The layer that answers T1."""

from torch import Tensor, nn


class ClassLayer(nn.Sequential):
    """Batch normalisation without weights of its own, and a fully connected layer that starts at 0.

    Pooled features of a pretrained encoder spread widely. A random layer on them answers with
    large, wrong scores, whose gradient is a thousand times that of the masks in the first steps and
    costs every task. This layer starts with equal probabilities and takes in no feature more than
    another. The paper's has neither (section 3.1): the page *The recipe* shows what that does.

    Shapes: features (N, channels) to scores (N, classes). Raises ValueError for a training batch of
    one image, which cannot be normalised.

    >>> import torch
    >>> ClassLayer(8)(torch.rand(4, 8)).tolist()[0]
    [0.0, 0.0]
    """

    def __init__(self, channels: int, classes: int = 2):
        super().__init__(nn.BatchNorm1d(channels, affine=False), nn.Linear(channels, classes))
        nn.init.zeros_(self[1].weight)
        nn.init.zeros_(self[1].bias)

    def forward(self, features: Tensor) -> Tensor:
        if self.training and len(features) == 1:
            raise ValueError(
                "a training batch of one image: the class is learnt over batches of at least two; "
                "use a larger batch_size, or more training images"
            )
        return super().forward(features)


class ClassHead(nn.Sequential):
    """Global average pooling, flatten, and a `ClassLayer` (section 3.1).

    Shapes: the deepest features (N, channels, h, w) to scores (N, classes).

    >>> import torch
    >>> ClassHead(8, classes=3)(torch.rand(4, 8, 2, 2)).shape
    torch.Size([4, 3])
    """

    def __init__(self, channels: int, classes: int = 2):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), ClassLayer(channels, classes))
