"""The networks. One idea of one paper is one file, and every network returns `TaskLogits`."""

from .adapt import Adapted
from .bi2017 import Bi2017
from .chen2018 import Chen2018
from .clsnet import ClsNet
from .combined import Combined
from .deeplab import DeepLabV3Plus
from .encoders import WeightsError, smp_encoder, smp_model
from .kang2019 import Kang2019
from .logits import TaskLogits
from .maskrcnn import MaskRCNN
from .msmtl import MSMTL
from .nnunet import NNUNet, NNUNetNative
from .pspnet import PSPNet
from .segnet import SegNet, SegNetNative
from .singh2019 import Singh2019
from .unet import UNet
from .wang2018 import Wang2018
from .zhou2021 import Zhou2021, Zhou2021Native

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
