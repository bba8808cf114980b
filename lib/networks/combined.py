"""Networks trained apart whose answers are put together afterwards, as in U-Net(Seg2) ⊕ ClsNet."""

from torch import Tensor, nn

from .logits import TaskLogits


class Combined(nn.Module):
    """Each network answers its own tasks; no weights and no gradients are shared.

    Raises ValueError if two networks answer the same task. Kang et al. 2022, Table 2.

    >>> import torch
    >>> from lib.networks import ClsNet, UNet
    >>> both = Combined(UNet("resnet18", mask="seg2"), ClsNet("resnet18"))
    >>> [name for name, _ in both(torch.zeros(2, 1, 64, 64)).items()]
    ['cls', 'seg2']
    """

    def __init__(self, *networks: nn.Module):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, image: Tensor) -> TaskLogits:
        answers: dict[str, Tensor] = {}
        for network in self.networks:
            for name, scores in network(image).items():
                if name in answers:
                    raise ValueError(f"two of the combined networks answer {name}; leave one out")
                answers[name] = scores
        return TaskLogits(**answers)
