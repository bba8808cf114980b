"""An AUC measure as the two-class problems behind it: what is positive, and with what score."""

import numpy as np
import pandas as pd

from lib.metrics import classes_of

STEMS = {"AUC": "p", "AUC_macro": "p", "AUC_seg": "seg_as_cls_p", "AUC_seg_macro": "seg_as_cls_p"}


def curves(rows: pd.DataFrame, measure: str) -> list[pd.DataFrame]:
    """The curves whose areas an AUC measure averages, each as rows of two classes.

    AUC and AUC_seg have one, malignant against benign; the macro means of three and more classes
    have one per class, that class (as label 1) against the rest. Columns `label`, `p_malignant`.

    >>> rows = pd.DataFrame({"label": [0, 1], "seg_as_cls_p": [0.4, 0.7]})
    >>> curves(rows, "AUC_seg")[0]["p_malignant"].tolist()
    [0.4, 0.7]
    """
    classes, stem = classes_of(rows), STEMS[measure]
    if len(classes) == 2:
        score = "p_malignant" if stem == "p" else stem
        return [pd.DataFrame({"label": rows["label"], "p_malignant": rows[score]})]
    label = rows["label"].to_numpy()
    return [
        pd.DataFrame(
            {
                "label": np.where(label < 0, -1, label == index),
                "p_malignant": rows[f"{stem}_{name}"].to_numpy(),
            }
        )
        for index, name in enumerate(classes)
    ]
