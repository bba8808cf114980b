"""The book's figures and tables: each function takes plain results and returns something to show.

One file is one kind of picture; `style` holds what all share. A new kind is a new file here, one
import below and its names in `__all__`. Give no file the name of a function: `book.kit.figures.roc`
is the function.
"""

from .assumed import assumed_in_words
from .browser import frames_in_words, frames_table, loads_in_words, loads_table
from .calibrated import calibration_in_words, reliability_curves
from .catalogue import catalogue_table
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
from .consistent import consistent_table, no_worse_in_words, standing, use_in_words
from .controls import beyond, controls_in_words, controls_table, worth
from .cost_words import cost_in_words, overlong_in_words
from .costs import cost_figure, cost_rows, costs_beside, decision_cost
from .effects import answers, effect, effects, effects_key, effects_table
from .external import external_table
from .fig3 import fig3_losses, fig3_table
from .finding import finding, found_in_words, planned_in_words
from .gains import (
    MeanDice,
    dice_plane,
    gain,
    gain_in_words,
    gain_table,
    gained,
    printed_dice,
    printed_rows,
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
from .large import (
    large_memory_curves,
    large_memory_in_words,
    large_time_curves,
    large_time_in_words,
)
from .licences import licences_in_words, licences_table
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
from .picker import packed_numbers, picked, picker, picker_files, picker_script
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
    with_system,
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
from .presence_changes import (
    presence_changes,
    presence_changes_in_words,
    presence_changes_table,
    presence_missing,
)
from .recipe import (
    angles_in_words,
    gradient_angles,
    length_in_words,
    outline_in_words,
    recipe_curves,
    recipe_table,
)
from .referral import referral_curves, referral_in_words, referral_table
from .reprinted import lent_in_words, reprinted_table
from .reproduced import Reproduction, from_memory, reproduce, reproduced_table, told
from .resolution import resolution_table
from .robust import robust_table
from .runs import levels
from .scores import calibration, calibration_error, reliability, roc, roc_band
from .softmax import loss_time_curves, loss_time_table
from .sortable import choice, sortable
from .status import machines_table, runs_in_words, runs_table, versions_table
from .steps import (
    bench_in_words,
    parts_figure,
    parts_in_words,
    step_dice_table,
    step_figure,
    step_in_words,
    tried_table,
)
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
from .threads import threads_figure, threads_in_words
from .training import TERMS, learning_curves
from .use import engines_in_words, engines_table, predictions_table

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
    "angles_in_words",
    "answer",
    "answers",
    "assumed_in_words",
    "bench_in_words",
    "beyond",
    "calibration",
    "calibration_error",
    "calibration_in_words",
    "cam_table",
    "cams",
    "catalogue_table",
    "changes_table",
    "choice",
    "consistent_table",
    "contradiction",
    "contradictions_by_kind",
    "contradictions_table",
    "controls_in_words",
    "controls_table",
    "cost_figure",
    "cost_in_words",
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
    "engines_in_words",
    "engines_table",
    "evidence",
    "external_table",
    "fig3_losses",
    "fig3_table",
    "figure",
    "finding",
    "forests",
    "found_in_words",
    "frames_in_words",
    "frames_table",
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
    "large_memory_curves",
    "large_memory_in_words",
    "large_time_curves",
    "large_time_in_words",
    "learning_curves",
    "ledger_table",
    "length_in_words",
    "lent_in_words",
    "levels",
    "licences_in_words",
    "licences_table",
    "loads_in_words",
    "loads_table",
    "loss_time_curves",
    "loss_time_table",
    "machines_table",
    "measures_table",
    "no_worse_in_words",
    "of_classes",
    "of_profile",
    "outline",
    "outline_in_words",
    "overlays",
    "overlong_in_words",
    "packed_numbers",
    "parts_figure",
    "parts_in_words",
    "pick_cases",
    "picked",
    "picker",
    "picker_files",
    "picker_script",
    "place_name",
    "places",
    "planned_in_words",
    "predictions_table",
    "presence_changes",
    "presence_changes_in_words",
    "presence_changes_table",
    "presence_counts",
    "presence_evidence",
    "presence_missing",
    "presence_places",
    "presence_roc",
    "presence_table",
    "printed_dice",
    "printed_rows",
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
    "robust_table",
    "roc",
    "roc_band",
    "rules_table",
    "runs_in_words",
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
    "step_dice_table",
    "step_figure",
    "step_in_words",
    "systems_table",
    "table",
    "tests_table",
    "text",
    "threads_figure",
    "threads_in_words",
    "told",
    "tried_table",
    "unlike",
    "use_in_words",
    "verdict",
    "verdicts_table",
    "versions_table",
    "with_system",
    "worth",
]
