"""Plain fastai with a U-Net of segmentation-models-pytorch, in float32."""

import segmentation_models_pytorch as smp
import torch
from fastai.vision.all import (
    DataBlock,
    FuncSplitter,
    ImageBlock,
    Learner,
    MaskBlock,
    Normalize,
    PILImageBW,
    Resize,
    ResizeMethod,
    aug_transforms,
)
from torch import nn

from lib.networks.encoders import smp_model

from .clock import EPOCHS, Answer, Budget, Clock
from .task import Task

SIZE, BATCH = 128, 16  # as the book's own


def train(task: Task, clock: Clock, network: nn.Module) -> Answer:
    """The way of fastai's segmentation tutorial: DataBlock, Learner, fit_one_cycle."""
    block = DataBlock(
        blocks=(ImageBlock(PILImageBW), MaskBlock(codes=["background", "nodule"])),
        get_items=lambda _: task.files("train") + task.files("valid"),
        splitter=FuncSplitter(lambda file: task.part(file) == "valid"),
        get_y=lambda file: task.mask(file),
        item_tfms=Resize(SIZE, method=ResizeMethod.Pad, pad_mode="zeros"),
        batch_tfms=[*aug_transforms(), Normalize.from_stats([0.5], [0.5], cuda=False)],
    )
    dls = block.dataloaders(task.folder, bs=BATCH, num_workers=0, device="cpu")
    learn = Learner(dls, network)

    @torch.inference_mode()
    def answer(files):
        learn.model.eval()
        for (image,) in learn.dls.test_dl(files):
            yield from learn.model(image).argmax(1).byte().numpy()
        learn.model.train()

    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(EPOCHS, cbs=Budget(clock, answer))
    return answer


def resnet34(task: Task, clock: Clock) -> Answer:
    """ResNet-34 from random weights."""
    return train(task, clock, smp.Unet("resnet34", encoder_weights=None, in_channels=1, classes=2))


def lite0(task: Task, clock: Clock) -> Answer:
    """EfficientNet-Lite0 with the ImageNet weights of the book, but not its quick convolutions."""
    encoder = "tu-tf_efficientnet_lite0"
    network = smp.Unet(encoder, encoder_weights=None, in_channels=1, classes=2)
    weights = smp_model("Unet", encoder, weights="imagenet", classes=2).encoder.state_dict()
    network.encoder.load_state_dict(weights)
    return train(task, clock, network)
