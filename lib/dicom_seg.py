"""The masks of a DICOM picture or clip as DICOM segmentations that point to their images.

A DICOM-SEG holds the patient's name and numbers, as its image does: that is how an archive puts the
two together. Treat it like the image.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .atomic import replacing
from .dicom import first_line

if TYPE_CHECKING:
    from .inference import Predictor

MAKER = "Three answers, one nodule"


def write(
    file: Path, masks: Sequence[np.ndarray], predictor: "Predictor", targets: Sequence[Path]
) -> list[str]:
    """Write the mask of each frame as a DICOM-SEG of its own, and say where that cannot be.

    A file for each frame, since ultrasound has no coordinates by which a segmentation could tell
    frames apart: it names the number of its frame. `masks`: uint8 (H, W), 0 background, 1..K the
    class, K + 1 a nodule of no class; `targets`: where each goes. Returns "" for each frame that is
    written, and otherwise a reason: there is no nodule, highdicom is not installed, or the image
    lacks what a segmentation must refer to.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError:
        return ["no DICOM-SEG: install highdicom"] * len(masks)
    from pydicom import dcmread
    from pydicom.uid import UltrasoundImageStorage

    said, source = [], dcmread(file, stop_before_pixels=True)
    if lacking := [name for name in ("SOPClassUID", "SOPInstanceUID") if name not in source]:
        return [f"no DICOM-SEG: its header does not allow one (no {lacking[0]})"] * len(masks)
    clip, kind = len(masks) > 1, str(source.SOPClassUID)
    if "NumberOfFrames" in source:  # each frame is taken for a still: highdicom has no other way
        del source.NumberOfFrames
        source.SOPClassUID = UltrasoundImageStorage
    for frame, (mask, target) in enumerate(zip(masks, targets, strict=True), start=1):
        if not mask.any():
            said.append("no DICOM-SEG: no nodule")
            continue
        try:
            made = _segmentation(source, mask, frame if clip else 0, predictor)
            made.walk(partial(_point_to, kind, source.SOPInstanceUID, frame if clip else 0))
        except Exception as error:  # a header may lack anything that highdicom asks for
            said.append(f"no DICOM-SEG: its header does not allow one ({first_line(error)})")
            continue
        with replacing(target) as draft:
            made.save_as(draft)
        said.append("")
    return said


def _segmentation(source: Any, mask: np.ndarray, frame: int, predictor: "Predictor") -> Any:
    import highdicom
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    (value,) = (int(value) for value in np.unique(mask) if value)  # one nodule, one class
    system = str(predictor.about["experiment"])[:64]
    words = [str(source.SOPInstanceUID), predictor.mark, str(frame)]
    made = highdicom.seg.Segmentation(
        source_images=[source],
        pixel_array=(mask > 0).astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                segment_number=1,
                segment_label=f"nodule, {[*predictor.classes, 'no class'][value - 1]}",
                segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
                segmented_property_type=codes.SCT.Nodule,
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=highdicom.AlgorithmIdentificationSequence(
                    name=system, version="1", family=codes.DCM.ArtificialIntelligence
                ),
            )
        ],
        series_instance_uid=generate_uid(entropy_srcs=[*words[:2], "series"]),
        series_number=900,
        sop_instance_uid=generate_uid(entropy_srcs=[*words, "instance"]),
        instance_number=max(frame, 1),
        manufacturer=MAKER,
        manufacturer_model_name=system,
        software_versions=str(predictor.about["commit"])[:64],
        device_serial_number=predictor.mark,
        content_description="for research and teaching",
    )
    return made


def _point_to(kind: str, image: str, frame: int, data: Any, element: Any) -> None:
    """Let what refers to the image name its own kind, and its frame in a clip."""
    same = data.get("ReferencedSOPInstanceUID") == image
    if same and element.keyword == "ReferencedSOPClassUID":
        element.value = kind
        if frame:
            data.ReferencedFrameNumber = frame
