"""The networks. One idea of one paper is one file, and every network returns `TaskLogits`."""

from .adapt import Adapted
from .clsnet import ClsNet
from .combined import Combined
from .encoders import WeightsError, smp_encoder, smp_model
from .logits import TaskLogits
from .msmtl import MSMTL
from .painted import Painted
from .present import (
    Presence,
    PresenceLogits,
    PresentClsNet,
    PresentCombined,
    PresentMSMTL,
    PresentUNet,
)
from .rivals.bi2017 import Bi2017
from .rivals.chen2018 import Chen2018
from .rivals.deeplab import DeepLabV3Plus
from .rivals.kang2019 import Kang2019
from .rivals.maskrcnn import MaskRCNN
from .rivals.nnunet import NNUNet, NNUNetNative
from .rivals.pspnet import PSPNet
from .rivals.segnet import SegNet, SegNetNative
from .rivals.singh2019 import Singh2019
from .rivals.wang2018 import Wang2018
from .rivals.zhou2021 import Zhou2021, Zhou2021Native
from .unet import UNet

__all__ = [
    "MSMTL",
    "Adapted",
    "Bi2017",
    "Chen2018",
    "ClsNet",
    "Combined",
    "DeepLabV3Plus",
    "Kang2019",
    "MaskRCNN",
    "NNUNet",
    "NNUNetNative",
    "PSPNet",
    "Painted",
    "Presence",
    "PresenceLogits",
    "PresentClsNet",
    "PresentCombined",
    "PresentMSMTL",
    "PresentUNet",
    "SegNet",
    "SegNetNative",
    "Singh2019",
    "TaskLogits",
    "UNet",
    "Wang2018",
    "WeightsError",
    "Zhou2021",
    "Zhou2021Native",
    "smp_encoder",
    "smp_model",
]
