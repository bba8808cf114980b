"""nnU-Net v2, its 2-D configuration as it plans it, without a GPU: needs an environment of its own.

Planning, preprocessing, network, patch and batch size, loss, augmentation, optimiser and schedule
are nnU-Net's. Its epochs of 250 steps are replaced by one loop that ends with the clock. The
pictures are augmented in the same process, so that the clock counts it. Answers are not averaged
over mirrored pictures, which would take four times as long.
"""

import os
import shutil
import tempfile
from pathlib import Path

os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1"}  # before the import

import torch
from batchgenerators.utilities.file_and_folder_operations import load_json, save_json
from nnunetv2.dataset_conversion.generate_dataset_json import generate_dataset_json
from nnunetv2.experiment_planning.plan_and_preprocess_api import (
    extract_fingerprints,
    plan_experiments,
    preprocess,
)
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from .clock import Answer, Clock
from .task import Task

NAME, NUMBER = "Dataset001_Nodules", 1


def plan(task: Task, folder: Path) -> tuple[dict, dict]:
    """Lay the pictures out as nnU-Net wants them, plan and preprocess: its plans and data."""
    os.environ |= {
        f"nnUNet_{part}": str(folder / part) for part in ("raw", "preprocessed", "results")
    }
    raw, preprocessed = folder / "raw" / NAME, folder / "preprocessed" / NAME
    for part in (raw / "imagesTr", raw / "labelsTr", preprocessed):
        part.mkdir(parents=True)
    parts = {"train": task.files("train"), "val": task.files("valid")}
    for file in (file for files in parts.values() for file in files):
        shutil.copy(file, raw / "imagesTr" / f"{file.stem}_0000.png")
        shutil.copy(task.mask(file), raw / "labelsTr" / file.name)
    labels, number = {"background": 0, "nodule": 1}, sum(map(len, parts.values()))
    generate_dataset_json(str(raw), {0: "ultrasound"}, labels, number, ".png")
    extract_fingerprints([NUMBER], num_processes=1, show_progress_bar=False)
    plans = plan_experiments([NUMBER])
    preprocess([NUMBER], plans, ("2d",), (1,), show_progress_bar=False)
    split = {part: [file.stem for file in files] for part, files in parts.items()}
    save_json([split], str(preprocessed / "splits_final.json"))
    found = load_json(str(preprocessed / f"{plans}.json")) | {"continue_training": False}
    return found, load_json(str(preprocessed / "dataset.json"))


def train(task: Task, clock: Clock) -> Answer:
    """Its trainer, with the schedule of its learning rate by the clock."""
    kept = tempfile.TemporaryDirectory(dir=task.folder.parent, prefix=".draft-nnunet-")
    plans, dataset = plan(task, Path(kept.name))
    trainer = nnUNetTrainer(plans, "2d", 0, dataset, torch.device("cpu"))
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # augments in this process; a plan needs one
    trainer.on_train_start()
    planned = trainer.configuration_manager
    task.notes.update(patch=list(planned.patch_size), batch=planned.batch_size)
    reader = NaturalImage2DIO()

    def answer(files):
        trainer.set_deep_supervision_enabled(False)
        predictor = nnUNetPredictor(use_mirroring=False, device=trainer.device, allow_tqdm=False)
        predictor.manual_initialization(
            trainer.network,
            trainer.plans_manager,
            trainer.configuration_manager,
            [trainer.network.state_dict()],
            dataset,
            "nnUNetTrainer",
            None,
        )
        for file in files:
            image, about = reader.read_images([str(file)])
            yield predictor.predict_single_npy_array(image, about)[0]
        trainer.set_deep_supervision_enabled(True)
        trainer.network.train()

    clock.start()
    more, answer.kept = True, kept
    trainer.network.train()
    while more:
        trainer.lr_scheduler.step(clock.share * trainer.num_epochs)
        trainer.train_step(next(trainer.dataloader_train))
        more = clock.step(trainer.batch_size, answer)
    return answer
