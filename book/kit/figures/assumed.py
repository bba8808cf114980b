"""Which verdicts rest on the assumption that trainings of all systems vary alike."""

from ..stats import Difference
from .changes import sentence
from .effects import Compared
from .measures import HEADLINE


def assumed_in_words(compared: Compared, own: Compared) -> str:
    """The differences whose verdict would be another by the spread of the two systems alone.

    compared, own: as `plan.compared` and `plan.by_own_spread` give them. Markdown.

    >>> assumed_in_words({}, {})
    'Nothing has been compared yet.'
    """
    both = [
        (change, row, compared[change][row][measure], other)
        for change, each in own.items()
        for row, family in each.items()
        for measure, other in family.items()
        if measure in compared.get(change, {}).get(row, {})
    ]
    if not both:
        return "Nothing has been compared yet."
    other_told = [
        f"- {row}, {change}: {HEADLINE[found.measure]}, {sentence(other)}, {_apart(other)} "
        f"(p {_p(other)}); above, "
        f"{sentence(found)}, {_apart(found)}."
        for change, row, found, other in both
        if found.clear != other.clear
    ]
    asked = (
        "The rule learns from all systems how much trainings vary. If it learned that from the two "
        "compared systems alone,"
    )
    if not other_told:
        return f"{asked} none of the {len(both)} verdicts would be another."
    return (
        f"{asked} {len(other_told)} of {len(both)} verdicts would be another. The rule is one for "
        "all, so it stays as it is:\n\n" + "\n".join(other_told)
    )


def _p(found: Difference) -> str:
    """A p-value as it is printed.

    >>> from types import SimpleNamespace
    >>> _p(SimpleNamespace(p=0.0479)), _p(SimpleNamespace(p=0.0001))
    ('= .048', '< .001')
    """
    return f"= {found.p:.3f}".replace("0.", ".") if found.p >= 0.001 else "< .001"


def _apart(found: Difference) -> str:
    return f"{'' if found.clear else 'not '}told apart"
