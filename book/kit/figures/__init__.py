"""The book's figures and tables: each function takes plain results and returns something to show.

One file is one kind of picture; `style` holds what all share. A new kind is a new file here, one
import below and its names in `__all__`. Give no file the name of a function: `book.kit.figures.roc`
is the function.
"""

from .calibrated import calibration_in_words, reliability_curves
from .changes import answer, headline, sentence, tests_table, unlike, verdict
from .claims import (
    MARKS,
    changes_table,
    counted,
    described,
    ledger_table,
    reason_table,
    settled,
    verdicts_table,
)
from .consistent import consistent_table, no_worse_in_words, standing
from .controls import beyond, controls_in_words, controls_table, worth
from .costs import cost_figure, cost_rows, costs_beside, decision_cost
from .effects import answers, effect, effects, effects_key, effects_table
from .external import external_table
from .fig3 import fig3_losses, fig3_table
from .finding import finding, found_in_words
from .gains import (
    MeanDice,
    dice_plane,
    gain,
    gain_in_words,
    gain_table,
    gained,
    printed_dice,
    split_dice,
    split_gain,
)
from .gallery import RIGHT, WRONG, cam_table, cams, contradiction, grid
from .gpu import gpu_table
from .images import outline, overlays, pick_cases
from .instead import (
    instead_curves,
    instead_goals,
    instead_in_words,
    instead_level,
    instead_made,
    instead_table,
)
from .measures import (
    COLUMNS,
    HEADLINE,
    NAMES,
    SECTIONS,
    SHORT,
    forests,
    measures_table,
    systems_table,
)
from .paper_index import index_table
from .picker import packed_numbers, picked, picker, picker_script
from .places import (
    LOCAL,
    PROFILES,
    SOURCES,
    counts,
    earlier,
    evidence,
    of_classes,
    of_profile,
    place_name,
    places,
    short_name,
    shown,
)
from .presence import (
    contradictions_by_kind,
    presence_counts,
    presence_evidence,
    presence_places,
    presence_roc,
    presence_table,
    rules_table,
    silence_in_words,
)
from .recipe import gradient_angles, recipe_curves, recipe_table
from .referral import referral_curves, referral_in_words, referral_table
from .reprinted import lent_in_words, reprinted_table
from .reproduced import Reproduction, from_memory, reproduce, reproduced_table, told
from .resolution import resolution_table
from .runs import levels
from .scores import calibration, calibration_error, reliability, roc, roc_band
from .sortable import choice, sortable
from .status import machines_table, runs_table, versions_table
from .style import (
    ABSENT,
    CLASS_COLOURS,
    CLASS_DASHES,
    CLASS_NAMES,
    COLOURS,
    DASHES,
    MINUS,
    SYMBOLS,
    TEMPLATE,
    figure,
    table,
    text,
)
from .tables import contradictions_table, provenance_table
from .training import TERMS, learning_curves

__all__ = [
    "ABSENT",
    "CLASS_COLOURS",
    "CLASS_DASHES",
    "CLASS_NAMES",
    "COLOURS",
    "COLUMNS",
    "DASHES",
    "HEADLINE",
    "LOCAL",
    "MARKS",
    "MINUS",
    "NAMES",
    "PROFILES",
    "RIGHT",
    "SECTIONS",
    "SHORT",
    "SOURCES",
    "SYMBOLS",
    "TEMPLATE",
    "TERMS",
    "WRONG",
    "MeanDice",
    "Reproduction",
    "answer",
    "answers",
    "beyond",
    "calibration",
    "calibration_error",
    "calibration_in_words",
    "cam_table",
    "cams",
    "changes_table",
    "choice",
    "consistent_table",
    "contradiction",
    "contradictions_by_kind",
    "contradictions_table",
    "controls_in_words",
    "controls_table",
    "cost_figure",
    "cost_rows",
    "costs_beside",
    "counted",
    "counts",
    "decision_cost",
    "described",
    "dice_plane",
    "earlier",
    "effect",
    "effects",
    "effects_key",
    "effects_table",
    "evidence",
    "external_table",
    "fig3_losses",
    "fig3_table",
    "figure",
    "finding",
    "forests",
    "found_in_words",
    "from_memory",
    "gain",
    "gain_in_words",
    "gain_table",
    "gained",
    "gpu_table",
    "gradient_angles",
    "grid",
    "headline",
    "index_table",
    "instead_curves",
    "instead_goals",
    "instead_in_words",
    "instead_level",
    "instead_made",
    "instead_table",
    "learning_curves",
    "ledger_table",
    "lent_in_words",
    "levels",
    "machines_table",
    "measures_table",
    "no_worse_in_words",
    "of_classes",
    "of_profile",
    "outline",
    "overlays",
    "packed_numbers",
    "pick_cases",
    "picked",
    "picker",
    "picker_script",
    "place_name",
    "places",
    "presence_counts",
    "presence_evidence",
    "presence_places",
    "presence_roc",
    "presence_table",
    "printed_dice",
    "provenance_table",
    "reason_table",
    "recipe_curves",
    "recipe_table",
    "referral_curves",
    "referral_in_words",
    "referral_table",
    "reliability",
    "reliability_curves",
    "reprinted_table",
    "reproduce",
    "reproduced_table",
    "resolution_table",
    "roc",
    "roc_band",
    "rules_table",
    "runs_table",
    "sentence",
    "settled",
    "short_name",
    "shown",
    "silence_in_words",
    "sortable",
    "split_dice",
    "split_gain",
    "standing",
    "systems_table",
    "table",
    "tests_table",
    "text",
    "told",
    "unlike",
    "verdict",
    "verdicts_table",
    "versions_table",
    "worth",
]
