"""The systems that can be run: name, terms, the rows that they fill and the paper's values."""

from collections.abc import Iterable

from lib.experiments import Experiment

from .. import paper
from .style import table

PRINTED = {"dice_paper_mean": "Dice", "F1": "F1", "AUC": "AUC", "inconsis_cls": "contradictions"}


def catalogue_table(systems: Iterable[Experiment]) -> str:
    """HTML of a table of systems; the paper's values are in per cent.

    systems: entries of the catalogue, such as `lib.experiments.OWN`.

    >>> from lib.experiments import OWN
    >>> "<code>ms-mtl</code>" in catalogue_table(OWN)
    True
    """
    head = ["name", "system", "consistency", "fills Table", "what is different"]
    return table([*head, "the paper's values"], [_row(system) for system in systems], words=True)


def _row(system: Experiment) -> list[str]:
    terms = ", ".join(term.term for term in system.consistency()) or "none"
    fills = ", ".join(f"{number}" for number, _ in system.rows) or "none"
    printed = paper.of(system)
    values = [f"{name} {100 * printed[key]:.2f}" for key, name in PRINTED.items() if key in printed]
    name = f"<code>{system.name}</code>"
    return [name, system.title, terms, fills, system.about, "; ".join(values)]
