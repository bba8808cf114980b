"""The catalogue: every system by name, and the rows of the paper's tables that it fills."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any

import segmentation_models_pytorch as smp
from torch import nn

from .callbacks import Consistency, InterTask, IntraTask, ThreeTask
from .likelihood import JointLikelihood
from .names import look_up
from .networks import (
    MSMTL,
    Bi2017,
    Chen2018,
    ClsNet,
    Combined,
    DeepLabV3Plus,
    Kang2019,
    MaskRCNN,
    NNUNet,
    NNUNetNative,
    Painted,
    PresentClsNet,
    PresentCombined,
    PresentMSMTL,
    PresentUNet,
    PSPNet,
    SegNet,
    SegNetNative,
    Singh2019,
    UNet,
    Wang2018,
    Zhou2021,
    Zhou2021Native,
)
from .presence import PresenceInterTask, PresenceThreeTask
from .profiles import Profile
from .soft import SoftInterTask, SoftThreeTask


@dataclass(frozen=True)
class Experiment:
    """One system.

    name: as in commands and results; title: as in the paper's tables; network and options: the
    class, and what it takes beside a profile's `network_options`; terms: the consistency callbacks,
    made anew for every run; losses: options of `lib.losses.task_losses`; recipe: the fields of a
    profile that this system sets itself; parts: systems that are trained apart and combined
    afterwards, in place of a network; rows: the rows of the paper's tables that it fills, as
    (table, row); about: what differs from the system to compare it with.

    >>> find("ms-mtl").rows[0]
    (1, 'MS-MTL')
    """

    name: str
    title: str
    network: Callable[..., nn.Module] = Combined
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    terms: tuple[Callable[[], Consistency], ...] = ()
    losses: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    recipe: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    parts: tuple[str, ...] = ()
    rows: tuple[tuple[int, str], ...] = ()
    about: str = ""

    def consistency(self) -> list[Consistency]:
        """The consistency callbacks of one run."""
        return [term() for term in self.terms]

    def budget(self, profile: Profile) -> Profile:
        """The profile, with what this system's own recipe sets."""
        return replace(profile, **self.recipe)

    def build(self, profile: Profile) -> nn.Module:
        """The untrained network; seed before.

        Raises `WeightsError` if weights cannot be had, ValueError for an option that neither the
        network nor the smp class under it has: it would be passed over, and recorded as used.
        """
        for name in self.options:
            look_up("option", name, dict.fromkeys(_options(self)))
        if self.parts:
            return self.network(*(find(part).build(profile) for part in self.parts))
        plan = getattr(self.network, "plan", lambda size: {})(profile.size)
        return self.network(**profile.network_options() | plan | dict(self.options))

    def record(self) -> dict[str, Any]:
        """What the results file says about the system."""
        return {
            "experiment": self.name,
            "network": self.network.__name__,
            "options": dict(self.options),
            "losses": dict(self.losses),
            "parts": list(self.parts),
            "consistency": [
                {"term": t.term, "weight": t.weight, "ramp": t.ramp, **t.options}
                for t in self.consistency()
            ],
        }


def _options(system: Experiment) -> set[str]:
    """Names of what a system's network can be told, by itself or through what it is made of."""
    made_of = [*getattr(system.network, "__mro__", [system.network]), UNet]
    made_of.append(getattr(smp, system.options.get("architecture", "Unet"), UNet))
    return {name for one in made_of for name in signature(one).parameters}


def _one(row: str, *tables: int) -> tuple[tuple[int, str], ...]:
    return tuple((table, row) for table in tables)


ALL = (IntraTask, InterTask, ThreeTask)
FULL = "ms-mtl+intra+inter"
ONE_MAP, BOTH_TASKS = {"classification": False}, {"classification": True}

# The systems of Table 2, alone and with their consistency: Tables 1 and 3
OWN = (
    Experiment("clsnet", "ClsNet", ClsNet, rows=_one("ClsNet", 1)),
    Experiment("unet-seg2", "U-Net(Seg2)", UNet, {"mask": "seg2"}),
    Experiment(
        "unet-seg2+clsnet", "U-Net(Seg2) ⊕ ClsNet",
        parts=("unet-seg2", "clsnet"), rows=_one("U-Net(Seg2) ⊕ ClsNet", 1),
    ),
    Experiment("unet-seg3", "U-Net(Seg3)", UNet, rows=_one("U-Net(Seg3)", 1)),
    Experiment("msl", "MSL", MSMTL, ONE_MAP, rows=_one("MSL", 1, 3)),
    Experiment(
        "msl+intra", "MSL + Intra", MSMTL, ONE_MAP, (IntraTask,), rows=_one("MSL + Intra", 1, 3)
    ),
    Experiment("mtl", "MTL", UNet, BOTH_TASKS, rows=_one("MTL", 1, 3)),
    Experiment(
        "mtl+inter", "MTL + Inter", UNet, BOTH_TASKS, (InterTask,), rows=_one("MTL + Inter", 1, 3)
    ),
    Experiment("ms-mtl", "MS-MTL", MSMTL, rows=(*_one("MS-MTL", 1, 3), (4, "none"), (6, "none"))),
    Experiment(
        FULL, "MS-MTL + Intra and Inter", MSMTL, terms=ALL,
        rows=(*_one("MS-MTL + Intra and Inter", 1, 3), (4, "all three")),
    ),
)  # fmt: skip


def _with(name: str, title: str, *terms: Callable[[], Consistency], rows=(), **more) -> Experiment:
    return Experiment(f"ms-mtl+{name}", f"MS-MTL + {title}", MSMTL, terms=terms, rows=rows, **more)


# MS-MTL with some of the three terms (Table 4), and with other forms of L_T1T3 (Tables 5 and 6)
T1T3 = ((4, "T1T3"), (5, "max-probability"), (6, "SC + CS"))
ABLATIONS = (
    _with("t2t3", "T2T3", IntraTask, rows=((4, "T2T3"),)),
    _with("t1t3", "T1T3", InterTask, rows=T1T3),
    _with("t1t2t3", "T1T2T3", ThreeTask, rows=((4, "T1T2T3"),)),
    _with("t2t3+t1t3", "T2T3 + T1T3", IntraTask, InterTask, rows=((4, "T2T3 + T1T3"),)),
    _with("t2t3+t1t2t3", "T2T3 + T1T2T3", IntraTask, ThreeTask, rows=((4, "T2T3 + T1T2T3"),)),
    _with("t1t3+t1t2t3", "T1T3 + T1T2T3", InterTask, ThreeTask, rows=((4, "T1T3 + T1T2T3"),)),
    _with(
        "t1t3-all", "T1T3, all-probability", partial(InterTask, locations="all"),
        rows=((5, "all-probability"),),
        about="Seg-as-Cls is the mean over all pixels, not over those of the maximum",
    ),
    _with(
        "t1t3-sc", "T1T3, SC order", partial(InterTask, order="sc"), rows=((6, "SC"),),
        about="Seg-as-Cls teaches Cls",
    ),
    _with(
        "t1t3-cs", "T1T3, CS order", partial(InterTask, order="cs"), rows=((6, "CS"),),
        about="Cls teaches Seg-as-Cls",
    ),
)  # fmt: skip


def _reading(name: str, title: str, about: str, terms=ALL, **more) -> Experiment:
    name, title = f"{FULL}-{name}", f"MS-MTL + Intra and Inter, {title}"
    return Experiment(name, title, MSMTL, terms=tuple(terms), about=about, **more)


def _each(terms=ALL, **options) -> tuple[Callable[[], Consistency], ...]:
    return tuple(partial(term, **options) for term in terms)


# What the paper leaves open, each against the full system: no row of a table
READINGS = (
    _reading(
        "single", "plain logarithm",
        "L_T1T3 takes the log of the probabilities, as Eq. 5 has it, where Fig. 3's values take it "
        "after another softmax",
        (IntraTask, partial(InterTask, softmax="single"), ThreeTask),
    ),
    _reading(
        "attached", "targets not detached",
        "in each order of L_T1T3 the gradient reaches the target, too",
        (IntraTask, partial(InterTask, detach_target=False), ThreeTask),
    ),
    _reading(
        "features", "16 channels handed on",
        "stage 2 reads stage 1's last features, not its logits", options={"handoff": "features"},
    ),
    _reading(
        "foreground", "Dice without background",
        "the Dice losses take the nodule's channels only; Eq. 2 does not say which",
        (partial(IntraTask, background=False), InterTask, partial(ThreeTask, background=False)),
        losses={"background": False},
    ),
    _reading(
        "ramped", "weight ramped up",
        "the weight of the terms grows to .3 over the first 40 % of training", _each(ramp=0.4),
    ),
    _reading("weak", "weight .1", "a third of the paper's weight of the terms", _each(weight=0.1)),
    _reading(
        "strong", "weight 1", "about three times the paper's weight of the terms",
        _each(weight=1.0),
    ),
    _reading(
        "soft", "soft form",
        "the class from all the nodule's mass, Jensen-Shannon divergence, no argmax; ramped up as "
        "above",
        _each((IntraTask, SoftInterTask, SoftThreeTask), ramp=0.4),
    ),
)  # fmt: skip

# With a fifth of the weight on T1's loss: is it the sum of the three losses that hurts?
BALANCED = tuple(
    Experiment(
        f"ms-mtl-balanced{name}",
        f"MS-MTL, balanced{title}",
        MSMTL,
        terms=terms,
        losses={"weights": {"T1 BCE": 0.2}},
        about="T1's loss is weighted .2 in the sum of the tasks' losses (Eq. 8), not 1",
    )
    for name, title, terms in (("", "", ()), ("+intra+inter", " + Intra and Inter", ALL))
)

# Systems that cannot contradict themselves, beside U-Net(Seg2) ⊕ ClsNet, and a training for the
# joint decision (`lib.decode`): no row of a table
ONE_ANSWER = (
    Experiment(
        "once", "Class and outline on one encoder", UNet,
        {"mask": "seg2", "classification": True},
        about="one network without T3: its nodule has its class, so no two answers can differ",
    ),
    Experiment(
        "once-light", "Class and outline on one encoder, T1 at .2", UNet,
        {"mask": "seg2", "classification": True},
        losses={"weights": {"T1 BCE": 0.2}},
        about="one network without T3, with a fifth of the weight on T1's loss",
    ),
    Experiment(
        "once-product", "Class x outline on one encoder, trained as one mask", Painted,
        about="the product of the two is held to the 3-class mask, and nothing else is trained",
    ),
    Experiment(
        "once-product+t1", "Class x outline on one encoder, trained as one mask, with T1's loss",
        Painted,
        {"classification_loss": True},
        about="as above, with T1's own cross-entropy beside it",
    ),
    Experiment(
        "ms-mtl+joint", "MS-MTL + joint likelihood", MSMTL,
        terms=(JointLikelihood,),
        about="in place of the paper's three terms, how probable the joint decision finds the "
        "true class and mask",
    ),
)  # fmt: skip

# Which classes are present, none and both being answers: beyond the paper (`lib.presence`)
PRESENCE = (
    Experiment(
        "ms-mtl-present", "MS-MTL, presence", PresentMSMTL,
        about="T1 says of each class by itself whether it is present; images may hold none or both",
    ),
    Experiment(
        "ms-mtl-present+intra+inter", "MS-MTL + Intra and Inter, presence", PresentMSMTL,
        terms=(IntraTask, PresenceInterTask, PresenceThreeTask),
        about="as above, with the three terms in their form for two answers",
    ),
    Experiment(
        "ms-mtl-present-four", "MS-MTL, presence as four classes", PresentMSMTL,
        {"exclusive": True},
        about="T1 chooses one of normal, benign, malignant and both",
    ),
    Experiment(
        "unet-seg2-present", "U-Net(Seg2), presence", PresentUNet,
        {"mask": "seg2"},
        about="the outline alone, which may be empty",
    ),
    Experiment("clsnet-present", "ClsNet, presence", PresentClsNet, about="the classes alone"),
    Experiment(
        "unet-seg2+clsnet-present", "U-Net(Seg2) ⊕ ClsNet, presence", PresentCombined,
        parts=("unet-seg2-present", "clsnet-present"),
        about="the two above, trained apart",
    ),
    Experiment(
        "once-present", "Class and outline on one encoder, presence", PresentUNet,
        {"mask": "seg2", "classification": True},
        about="one network without T3: no map tells which of two nodules is which",
    ),
)  # fmt: skip

# The other systems of Table 1
PLAIN = {"encoder": "plain", "weights": None}
RIVALS = (
    Experiment(
        "unet++", "U-Net++", UNet, {"architecture": "UnetPlusPlus"}, rows=_one("U-Net++", 1)
    ),
    Experiment("deeplabv3+", "DeepLabv3+", DeepLabV3Plus, rows=_one("DeepLabv3+", 1)),
    Experiment("nnunet", "nnU-Net", NNUNet, rows=_one("nnU-Net", 1)),
    Experiment(
        "nnunet-native", "nnU-Net, native", NNUNetNative,
        recipe=PLAIN,
        about="its own plain network at all scales, from random weights",
    ),
    Experiment(
        "nnunet-native-recipe", "nnU-Net, native, own recipe", NNUNetNative,
        recipe=PLAIN | {"optimiser": "sgd", "schedule": "poly", "lr": 1e-2},
        about="its own plain network from random weights, and its own gradient descent",
    ),
    Experiment("pspnet", "PSPNet", PSPNet, rows=_one("PSPNet", 1)),
    Experiment(
        "pspnet-16", "PSPNet, output stride 16", PSPNet,
        {"output_stride": 16},
        about="dilated to stride 16, not to the source's 8, which a laptop is slow at",
    ),
    Experiment("segnet", "SegNet", SegNet, rows=_one("SegNet", 1)),
    Experiment(
        "segnet-native", "SegNet, native", SegNetNative,
        {"width": 0.25},
        recipe={"encoder": "vgg16_bn", "weights": None},
        about="VGG16 with a quarter of its channels, from random weights",
    ),
    Experiment(
        "segnet-native-full", "SegNet, native, all channels", SegNetNative,
        recipe={"encoder": "vgg16_bn", "weights": None},
        about="VGG16 with all its channels, from random weights: for a GPU",
    ),
    Experiment("maskrcnn", "Mask R-CNN", MaskRCNN, rows=_one("Mask R-CNN", 1)),
    Experiment("bi2017", "Bi et al. 2017", Bi2017, rows=_one("Bi et al. 2017", 1)),
    Experiment("kang2019", "Kang et al. 2019", Kang2019, rows=_one("Kang et al. 2019", 1)),
    Experiment("wang2018", "Wang et al. 2018", Wang2018, rows=_one("Wang et al. 2018", 1)),
    Experiment("zhou2021", "Zhou et al. 2021", Zhou2021, rows=_one("Zhou et al. 2021", 1)),
    Experiment(
        "zhou2021-native", "Zhou et al. 2021, native", Zhou2021Native,
        {"channels": (8, 16, 32, 64, 128)},
        recipe={"encoder": "v-net", "weights": None},
        about="V-Net with half its channels, from random weights",
    ),
    Experiment(
        "zhou2021-native-full", "Zhou et al. 2021, native, all channels", Zhou2021Native,
        recipe={"encoder": "v-net", "weights": None},
        about="V-Net with all its channels, from random weights",
    ),
    Experiment("chen2018", "Chen et al. 2018b", Chen2018, rows=_one("Chen et al. 2018b", 1)),
    Experiment(
        "singh2019", "Singh et al. 2019", Singh2019,
        recipe={"optimiser": "adam-gan", "lr": 2e-4},
        rows=_one("Singh et al. 2019", 1),
        about="its own learning rate and Adam; the class from a random forest",
    ),
    Experiment(
        "singh2019-fc", "Singh et al. 2019, fully connected", Singh2019,
        {"classification": "fc"},
        recipe={"optimiser": "adam-gan", "lr": 2e-4},
        about="its own learning rate and Adam; the class from a layer trained with the rest",
    ),
)  # fmt: skip

EXPERIMENTS = {
    system.name: system
    for system in (*OWN, *ABLATIONS, *READINGS, *BALANCED, *ONE_ANSWER, *PRESENCE, *RIVALS)
}


def find(name: str) -> Experiment:
    """The experiment of that name; ValueError with the nearest names otherwise.

    >>> find("mtl+inter").rows
    ((1, 'MTL + Inter'), (3, 'MTL + Inter'))
    """
    return look_up("experiment", name, EXPERIMENTS)
