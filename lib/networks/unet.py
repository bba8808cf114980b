"""One network, one mask, and if wanted a class: U-Net(Seg2), U-Net(Seg3) and MTL (Table 2)."""

from torch import Tensor, nn

from .encoders import smp_model
from .heads import ClassHead
from .logits import TaskLogits

MASKS = {"seg2": 2, "seg3": 3}  # channels


def mask_channels(mask: str) -> int:
    """Channels of "seg2" or "seg3"; ValueError for anything else.

    >>> mask_channels("seg3")
    3
    """
    if mask not in MASKS:
        raise ValueError(f"mask={mask!r}; use one of {', '.join(MASKS)}")
    return MASKS[mask]


class UNet(nn.Module):
    """A U-Net for one of the masks, with a classification branch on its encoder if wanted.

    The branch is global average pooling, flatten, fully connected, on the deepest features; with it
    and `mask="seg3"` this is the paper's MTL (section 3.1, Fig. 1a). Ronneberger et al. 2015.

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101.
        mask: "seg2" (T2) or "seg3" (T3).
        classification: whether T1 is answered, too.
        weights: None, or "imagenet".
        architecture: another smp class with an encoder and a decoder, e.g. "UnetPlusPlus".
        in_channels: 1 for an image alone.
        options: for the smp class, e.g. `decoder_channels`.

    Shapes: image (N, in_channels, H, W), H and W multiples of 32, to the mask's scores of the same
    size, and cls (N, 2). With resnet101 and three classes it has 51.5 million parameters.
    Raises ValueError for an unknown mask or architecture, `WeightsError` if weights cannot be had;
    an option that smp does not know is passed over by it.

    >>> import torch
    >>> mtl = UNet("resnet18", classification=True)
    >>> [(name, tuple(scores.shape)) for name, scores in mtl(torch.zeros(2, 1, 64, 64)).items()]
    [('cls', (2, 2)), ('seg3', (2, 3, 64, 64))]
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        mask: str = "seg3",
        classification: bool = False,
        weights: str | None = None,
        architecture: str = "Unet",
        in_channels: int = 1,
        **options: object,
    ):
        super().__init__()
        channels = mask_channels(mask)
        self.mask = mask
        model = smp_model(
            architecture,
            encoder,
            in_channels=in_channels,
            weights=weights,
            classes=channels,
            **options,
        )
        self.encoder, self.decoder = model.encoder, model.decoder
        self.segmentation_head = model.segmentation_head
        deepest = self.encoder.out_channels[-1]
        self.classification_head = ClassHead(deepest) if classification else None

    def forward(self, image: Tensor) -> TaskLogits:
        return self.with_features(image)[0]

    def with_features(self, image: Tensor) -> tuple[TaskLogits, Tensor]:
        """The answers, and the decoder's last features (N, C, H, W)."""
        stride = self.encoder.output_stride
        if image.shape[-2] % stride or image.shape[-1] % stride:
            raise ValueError(
                f"the image is {image.shape[-2]} x {image.shape[-1]} px; height and width must be "
                f"multiples of {stride}"
            )
        encoded = self.encoder(image)
        features = self.decoder(encoded)
        scores = {self.mask: self.segmentation_head(features)}
        if self.classification_head is not None:
            scores["cls"] = self.classification_head(encoded[-1])
        return TaskLogits(**scores), features
