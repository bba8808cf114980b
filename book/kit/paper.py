"""The numbers that Kang et al. (2022) print: Tables 1 and 3 to 6, Fig. 3, the test set's size.

They are the paper's, on its own private images, so they are not comparable with runs on other data.
Names of rows are those printed, but for misprints, which `attrs["printed"]` of a table keeps.
"""

from typing import NamedTuple

import pandas as pd

from lib.cases import CLASSES
from lib.experiments import Experiment

__all__ = ["BENIGN", "FIGURE_3", "IMAGES", "MALIGNANT", "TEST_IMAGES", "Figure3", "of", "table"]

IMAGES = {"benign": 2576, "malignant": 1917}  # section 4.1, one image for each patient
TEST_IMAGES = 897  # section 3.1; how many of them are malignant is not printed
MALIGNANT = 383  # what a stratified draw gives: 897 * 1917 / 4493 = 382.7
BENIGN = TEST_IMAGES - MALIGNANT


class Figure3(NamedTuple):
    """One row of Fig. 3: probabilities to three decimals, and the loss L_T1T3 to four.

    >>> FIGURE_3[0].truth, FIGURE_3[0].loss
    ('benign', 1.0711)
    """

    truth: str
    all_benign: float  # Seg-as-Cls, mean over all locations
    all_malignant: float
    seg_benign: float  # Seg-as-Cls, mean over the locations of the maximum: what the loss takes
    seg_malignant: float
    cls_benign: float
    cls_malignant: float
    loss: float


# The column's head says L_T1T2T3 and the caption too, but the text says L_T1T3 (section 3.3.2).
FIGURE_3 = (
    Figure3("benign", 0.502, 0.498, 0.731, 0.269, 1.000, 0.000, 1.0711),
    Figure3("malignant", 0.499, 0.501, 0.269, 0.731, 0.000, 1.000, 1.0716),
    Figure3("benign", 0.500, 0.500, 0.270, 0.730, 0.999, 0.001, 1.9918),
    Figure3("malignant", 0.499, 0.501, 0.270, 0.730, 0.986, 0.014, 1.9738),
)

_OVERLAP = tuple(
    f"{shape}_paper_{which}" for shape in ("dice", "iou") for which in ("mean", *CLASSES)
)
_CLASS = ("ACC", "F1", "AUC")
_CONTRADICTIONS = (
    "inconsis_seg2",
    *(f"inconsis_seg3_{name}" for name in CLASSES),
    "inconsis_cls",
)
_ABLATION = ("dice_paper_mean", "F1")

# Cells as printed, a dash where the paper has one. The line below says what was misprinted.
_TABLES = {
    1: (
        (*_OVERLAP, *_CLASS),
        """
        ClsNet                   | -     -     -     -     -     -     .8606 .8318 .9277
        U-Net(Seg2) ⊕ ClsNet     | .7692 .7391 .7992 .7299 .6921 .7677 .8606 .8318 .9277
        U-Net(Seg3)              | .7596 .7286 .7906 .7180 .6800 .7559 -     -     -
        U-Net++                  | .7582 .7241 .7922 .7162 .6756 .7568 -     -     -
        DeepLabv3+               | .7484 .7198 .7770 .7095 .6749 .7440 -     -     -
        nnU-Net                  | .7605 .7261 .7949 .7184 .6761 .7606 -     -     -
        PSPNet                   | .7346 .6954 .7737 .6851 .6374 .7327 -     -     -
        SegNet                   | .6990 .6579 .7401 .6524 .6030 .7017 -     -     -
        Mask R-CNN               | .7426 .7111 .7740 .7009 .6632 .7386 -     -     -
        Bi et al. 2017           | .7373 .6901 .7844 .6950 .6406 .7494 -     -     -
        Kang et al. 2019         | .7738 .7435 .8040 .7320 .6947 .7693 -     -     -
        MSL                      | .7767 .7448 .8086 .7364 .6979 .7749 -     -     -
        MSL + Intra              | .7847 .7520 .8173 .7442 .7049 .7835 -     -     -
        Wang et al. 2018         | .7708 .7372 .8044 .7294 .6897 .7690 .8744 .8516 .9398
        Zhou et al. 2021         | .7782 .7515 .8049 .7385 .7094 .7675 .8815 .86087 .9502
        Chen et al. 2018b        | .7561 .7269 .7852 .7141 .6784 .7497 .8718 .8405 .9423
        Singh et al. 2019        | .7548 .7196 .7900 .7135 .6715 .7554 .8774 .8449 .9426
        MTL                      | .7712 .7386 .8037 .7295 .6905 .7685 .8796 .8568 .9470
        MTL + Inter              | .7928 .7640 .8215 .7519 .7173 .7864 .8952 .8766 .9562
        MS-MTL                   | .7813 .7527 .8099 .7422 .7082 .7762 .8785 .8568 .9523
        MS-MTL + Intra and Inter | .8084 .7819 .8349 .7675 .7346 .8003 .9075 .8915 .9608
        """,
        {"U-Net++": "U-Net+", "nnU-Net": "nnUNet", "MTL + Inter": "MTL + Intra"},
    ),
    3: (  # printed in per cent
        _CONTRADICTIONS,
        """
        MSL                      | .0343 -     -     -
        MSL + Intra              | .0186 -     -     -
        MTL                      | -     -     -     .1449
        MTL + Inter              | -     -     -     .0680
        MS-MTL                   | .0338 .1219 .0965 .1452
        MS-MTL + Intra and Inter | .0123 .0492 .0405 .0368
        """,
        {"MTL + Inter": "MTL + Intra", "MS-MTL + Intra and Inter": "MS-MTL + Intra & Inter"},
    ),
    4: (  # the terms of MS-MTL; the ticks of the seven rows are printed beside eight rows of values
        _ABLATION,
        """
        none          | .7813 .8568
        T2T3          | .7887 .8571
        T1T3          | .7944 .8747
        T1T2T3        | .7961 .8655
        T2T3 + T1T3   | .8014 .8745
        T2T3 + T1T2T3 | .8028 .8648
        T1T3 + T1T2T3 | .8045 .8911
        all three     | .8084 .8915
        """,
        {"T1T3 + T1T2T3": "the ticks of all three", "all three": "no ticks"},
    ),
    5: (  # MS-MTL with T1T3, by where Seg-as-Cls takes its mean
        _ABLATION,
        """
        all-probability | .7826 .8576
        max-probability | .7944 .8747
        """,
        {},
    ),
    6: (  # MS-MTL with T1T3, by the order of its soft cross-entropy
        _ABLATION,
        """
        none    | .7813 .8568
        SC      | .7821 .8708
        CS      | .7921 .8563
        SC + CS | .7944 .8747
        """,
        {},
    ),
}


def table(number: int) -> pd.DataFrame:
    """Table 1, 3, 4, 5 or 6 of the paper as fractions from 0 to 1, NaN where it prints a dash.

    Index: the paper's name of the row; columns: the measures of `lib.metrics.summarise`.
    `attrs["printed"]` gives the names of rows that we corrected as they were printed. Table 4 holds
    combinations of the terms on MS-MTL, Tables 5 and 6 forms of its L_T1T3. Raises ValueError for
    another number. Kang et al. 2022.

    >>> table(1).loc["MS-MTL", ["dice_paper_mean", "F1"]].to_list()
    [0.7813, 0.8568]
    >>> table(3).attrs["printed"]["MTL + Inter"]
    'MTL + Intra'
    """
    if number not in _TABLES:
        raise ValueError(
            f"the paper has no Table {number} of measures; use one of "
            f"{', '.join(map(str, _TABLES))}" + (" (2 names the models)" if number == 2 else "")
        )
    columns, text, printed = _TABLES[number]
    rows = dict(line.split("|") for line in text.strip().splitlines())
    frame = pd.DataFrame(
        [
            [float("nan" if cell == "-" else cell) for cell in cells.split()]
            for cells in rows.values()
        ],
        index=[name.strip() for name in rows],
        columns=list(columns),
    )
    frame.attrs["printed"] = dict(printed)
    return frame


def of(system: Experiment) -> dict[str, float]:
    """The paper's own values of a system by measure, as fractions, over all the rows it fills.

    >>> from lib.experiments import find
    >>> of(find("ms-mtl"))["ACC"]
    0.8785
    """
    found: dict[str, float] = {}
    for number, row in system.rows:
        found |= table(number).loc[row].dropna().to_dict()
    return found
