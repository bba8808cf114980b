"""Mask R-CNN: nodules are found as boxes, each with a class and a mask (He et al. 2017)."""

import torch
from scipy import ndimage
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import FeaturePyramidNetwork, masks_to_boxes
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from ...losses import class_known, full_precision, task_losses
from ..encoders import smp_encoder
from ..logits import TaskLogits

CLASSES = 3  # background, benign, malignant
LEVELS = "0", "1", "2", "3", "pool"  # torchvision's names for strides 4 to 64
TERMS = {
    "loss_objectness": "Objectness",
    "loss_rpn_box_reg": "Proposal boxes",
    "loss_classifier": "Box class",
    "loss_box_reg": "Boxes",
    "loss_mask": "Masks",
}
# torchvision's numbers, meant for objects in an image of 512 px here
SIDE, ANCHORS, RATIOS, ROIS, CANONICAL = 512, (32, 64, 128, 256, 512), (0.5, 1.0, 2.0), 512, 224
FEWEST_ROIS = 16


class MaskRCNN(nn.Module):
    """torchvision's Mask R-CNN on a feature pyramid of any encoder.

    In training the answer holds no mask: the five losses need the features only, in `extra`. In
    evaluation the best boxes' masks are painted where they are above .5.

    What torchvision states in pixels is taken in proportion to the image's side, from 512 px down:
    the anchors, the box that is read at stride 16, and, with the area, how many boxes train the
    heads for each image (512 of them at 512 px, never under 16). At 96 px nodules then meet the
    anchors that they would meet at 512 px.

    Args:
        encoder: any encoder of segmentation-models-pytorch; the paper's is resnet101. Its
            BatchNorm is trained, for torchvision's frozen one explodes without ImageNet weights.
        weights: None, or "imagenet".
        decoder_channels: the first is the width of the pyramid and the heads: torchvision's 256 in
            the paper's profile, less in a smaller one.
        instances: boxes painted for each image, the most probable last.

    Shapes: image (N, 1, H, W), H and W multiples of 32, to seg3 (N, 3, H, W),
    logarithms of probabilities: the mask's for the class of its box, elsewhere background. With
    resnet101 it has 63.0 million parameters. Raises ValueError for `instances` below 1,
    `WeightsError` if weights cannot be had.

    >>> network = MaskRCNN("resnet18", decoder_channels=(32, 24, 16, 16, 8)).eval()
    >>> network(torch.zeros(2, 1, 64, 64)).seg3.shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        encoder: str = "resnet101",
        *,
        weights: str | None = None,
        decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
        instances: int = 1,
    ):
        super().__init__()
        if instances < 1:
            raise ValueError(f"instances={instances}; paint at least one box")
        width = decoder_channels[0]
        detector = detection.MaskRCNN(
            _Pyramid(smp_encoder(encoder, weights=weights), width),
            rpn_anchor_generator=AnchorGenerator(
                tuple((size,) for size in ANCHORS), (RATIOS,) * len(ANCHORS)
            ),
            # torchvision's 2000 and 1000 are for crowded images
            rpn_pre_nms_top_n_train=500,
            rpn_post_nms_top_n_train=500,
            rpn_pre_nms_top_n_test=100,
            rpn_post_nms_top_n_test=100,
            box_head=TwoMLPHead(width * 7 * 7, 4 * width),
            box_predictor=FastRCNNPredictor(4 * width, CLASSES),
            box_detections_per_img=instances,
            mask_head=MaskRCNNHeads(width, (width,) * 4, 1),
            mask_predictor=MaskRCNNPredictor(width, width, CLASSES),
        )
        # Without torchvision's transform: the loaders already normalise and resize
        self.pyramid, self.rpn, self.roi_heads = detector.backbone, detector.rpn, detector.roi_heads
        self.side = 0

    def forward(self, image: Tensor) -> TaskLogits:
        sizes = [tuple(image.shape[-2:])] * len(image)
        images, features = ImageList(image, sizes), self.pyramid(image)
        self._scale_to(max(sizes[0]))
        if self.training:
            return TaskLogits(extra=(images, features))
        # bfloat16 would round a box to whole pixels
        with torch.autocast(image.device.type, enabled=False):
            features = {level: full_precision(one) for level, one in features.items()}
            proposals, _ = self.rpn(images, features)
            found, _ = self.roi_heads(features, proposals, sizes)
        return TaskLogits(seg3=_log(torch.stack([paint(one, sizes[0]) for one in found])))

    def losses(self, logits: TaskLogits, mask: Tensor, label: Tensor) -> dict[str, Tensor]:
        """In training the five losses; in evaluation the Dice of the painted mask, "T3 Dice".

        Images with a nodule of unknown class stay out of both. If that is the whole batch, the
        five are 0.
        """
        if not self.training:
            return task_losses(TaskLogits(seg3=logits.seg3), mask, label)
        images, features = logits.extra
        known = class_known(mask, CLASSES)
        features = {level: full_precision(one)[known] for level, one in features.items()}
        if not known.any():
            nothing = sum(one.sum() for one in features.values())
            return {name: 0 * nothing for name in TERMS.values()}
        sizes = [size for size, keep in zip(images.image_sizes, known, strict=True) if keep]
        images = ImageList(images.tensors[known], sizes)
        targets = [instances_of(one) for one in mask[known]]
        proposals, first = self.rpn(images, features, targets)
        _, second = self.roi_heads(features, proposals, sizes, targets)
        both = first | second
        return {name: both[theirs] for theirs, name in TERMS.items()}

    def _scale_to(self, side: int) -> None:
        """Adapt what torchvision states in pixels; see the class."""
        if side == self.side:
            return
        self.side, share = side, side / SIDE
        anchors = self.rpn.anchor_generator
        anchors.cell_anchors = [anchors.generate_anchors([s * share], RATIOS) for s in ANCHORS]
        rois = max(FEWEST_ROIS, round(ROIS * share**2))
        self.roi_heads.fg_bg_sampler.batch_size_per_image = rois
        for pool in (self.roi_heads.box_roi_pool, self.roi_heads.mask_roi_pool):
            pool.canonical_scale, pool.map_levels = CANONICAL * share, None  # None: work out again


class _Pyramid(nn.Module):
    """The encoder's maps of stride 4 to 32 as a feature pyramid, and one of stride 64."""

    def __init__(self, encoder: nn.Module, width: int):
        super().__init__()
        self.encoder, self.out_channels = encoder, width
        self.fpn = FeaturePyramidNetwork(
            list(encoder.out_channels[-4:]), width, extra_blocks=LastLevelMaxPool()
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.fpn(dict(zip(LEVELS, self.encoder(image)[-4:], strict=False)))


def instances_of(mask: Tensor) -> dict[str, Tensor]:
    """The nodules of a mask, one for each connected region of a class, as torchvision wants them.

    Shapes: mask (H, W) of 0, 1 and 2 to boxes (K, 4), float32 left, top, right and bottom in px,
    labels (K,), 1 benign and 2 malignant, and masks (K, H, W), uint8. Pixels that touch at a
    corner are connected. K is 0 for an empty mask.

    >>> found = instances_of(torch.tensor([[1, 1, 0, 2], [0, 0, 0, 2]]))
    >>> found["boxes"].tolist(), found["labels"].tolist()
    ([[0.0, 0.0, 2.0, 1.0], [3.0, 0.0, 4.0, 2.0]], [1, 2])
    """
    values = mask.cpu().numpy()
    masks, labels = [mask.new_zeros((0, *mask.shape), dtype=torch.uint8)], []
    for kind in range(1, CLASSES):
        regions, count = ndimage.label(values == kind, structure=[[1] * 3] * 3)
        regions = torch.from_numpy(regions).to(mask.device)
        each = torch.arange(1, count + 1, device=mask.device)[:, None, None]
        masks.append((regions == each).to(torch.uint8))
        labels += [kind] * count
    masks = torch.cat(masks)
    # The last pixel belongs to the box, which masks_to_boxes leaves out
    boxes = masks_to_boxes(masks) + masks.new_tensor([0, 0, 1, 1])
    return {"boxes": boxes.float(), "labels": mask.new_tensor(labels).long(), "masks": masks}


def paint(found: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
    """Probabilities (3, H, W) from the boxes (K, 4), labels (K,) and masks (K, 1, 28, 28) found.

    Boxes come with the most probable first, and it is painted last. Where a mask is above .5, the
    pixel has that probability of the box's class, and the rest of background.
    """
    canvas = found["masks"].new_zeros((CLASSES, *size))
    canvas[0] = 1
    placed = paste_masks_in_image(found["masks"], found["boxes"], size)[:, 0]
    for shape, label in zip(placed.flip(0), found["labels"].flip(0), strict=True):
        colours = torch.zeros_like(canvas)
        colours[0], colours[label] = 1 - shape, shape
        canvas = torch.where(shape > 0.5, colours, canvas)
    return canvas


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(1e-6, 1).log()
