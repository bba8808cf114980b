"""The paper's own differences with the intervals that it does not print, as a table."""

from collections.abc import Sequence

from ..printed import Paired, Reprinted
from .measures import HEADLINE
from .style import ABSENT, ends, number, probability, table, text


def reprinted_table(told: Sequence[Reprinted], lent: str) -> str:
    """Each printed difference, what a repetition would give, and how probable a false claim is.

    lent: the source whose runs lend what the paper does not print. What rests on that is marked.
    Raises ValueError if there is nothing to show.
    """
    if not told:
        raise ValueError("no pair of systems was run here that the paper compares")
    body: list[list[str] | str] = []
    for one in told:
        if text(one.title) not in body:
            body.append(text(one.title))
        known = one.whole == one.whole
        body.append(
            [
                HEADLINE[one.measure],
                f"<b>{number(one.difference, signed=True)}</b>",
                ends(*one.interval(False)[1:], True),
                probability(one.false(False)),
                ends(*one.interval(True)[1:], True) if known else ABSENT,
                probability(one.false(True)) if known else ABSENT,
            ]
        )
    head = [
        "points", "printed", "95 %, other<br>patients*", "false<br>claim*",
        "95 %, other patients<br>and trainings**", "false<br>claim**",
    ]  # fmt: skip
    note = (
        "False claim: how probable it is, given the difference, that the first system is in truth "
        "not better (Christodoulou et al. 2025); nothing is assumed of the truth beforehand. "
        f"* Assumed: on the paper's images two systems differ as ours do on {text(lent)}. "
        f"** Assumed, too: another training moves the paper's networks as it moves ours there."
    )
    return table(head, body, note)


def lent_in_words(ours: Paired, source: str) -> str:
    """What our runs lend, in a sentence of Markdown."""
    return (
        f"On {source}, in {ours.images} answers (trainings times test images), exactly one of "
        "MS-MTL without and with the terms names the class correctly in "
        f"**{number(ours.discordance)} %**; their Dice over all "
        f"images differs from image to image by a standard deviation of **{ours.dice:.2f}**; and "
        f"their AUC go up and down together with a correlation of **{ours.together:.2f}**."
    )
