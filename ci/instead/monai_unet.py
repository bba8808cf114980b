"""MONAI's U-Net, transforms and loss in a plain loop, after its tutorials for 2-D segmentation."""

import torch
from monai.data import CacheDataset, DataLoader, Dataset, PILReader
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.transforms import (
    Compose,
    LoadImaged,
    RandFlipd,
    RandRotated,
    RandZoomd,
    Resized,
    ResizeWithPadOrCropd,
    ScaleIntensityd,
)

from .clock import EPOCHS, Answer, Clock
from .task import Task

SIZE, BATCH = 128, 8  # its tutorial has two pictures of four crops


def train(task: Task, clock: Clock) -> Answer:
    """Adam at 1e-3 as in the 2-D tutorial, annealed by a cosine as in that of BraTS."""

    def prepare(*keys):
        return [
            LoadImaged(keys, reader=PILReader(reverse_indexing=False), ensure_channel_first=True),
            ScaleIntensityd("image"),
            Resized(
                keys, SIZE, size_mode="longest", mode=("bilinear", "nearest")[: len(keys)],
                anti_aliasing=(True, False)[: len(keys)],
            ),
            ResizeWithPadOrCropd(keys, (SIZE, SIZE)),
        ]  # fmt: skip

    both = ("image", "mask")
    augment = [
        RandFlipd(both, prob=0.5, spatial_axis=1),
        RandRotated(both, prob=0.5, range_x=0.26, mode=("bilinear", "nearest")),
        RandZoomd(both, prob=0.5, min_zoom=0.9, max_zoom=1.1, mode=("bilinear", "nearest")),
    ]
    pairs = [{"image": file, "mask": task.mask(file)} for file in task.files("train")]
    cached = CacheDataset(pairs, Compose([*prepare(*both), *augment]), progress=False)
    loader = DataLoader(cached, batch_size=BATCH, shuffle=True, drop_last=True)
    network = UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
    )
    loss_function = DiceCELoss(sigmoid=True)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda _: 0.5 + 0.5 * torch.cos(torch.tensor(torch.pi * clock.share)).item()
    )

    @torch.inference_mode()
    def answer(files):
        network.eval()
        pictures = Dataset([{"image": file} for file in files], Compose(prepare("image")))
        for batch in DataLoader(pictures, batch_size=BATCH):
            yield from (network(batch["image"])[:, 0] > 0).byte().numpy()
        network.train()

    clock.start()
    for _ in range(EPOCHS):
        for batch in loader:
            optimizer.zero_grad()
            loss = loss_function(network(batch["image"]), batch["mask"])
            loss.backward()
            optimizer.step()
            more = clock.step(len(batch["image"]), answer)
            schedule.step()
            if not more:
                return answer
