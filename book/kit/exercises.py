"""Exercises that check themselves, all from one file: `book/exercises/exercises.toml`.

From each entry come three things: a form on the book's page, checked there by
`book/assets/exercises.js`; a cell in the exercises' notebook, checked by `check`; and the solution.
The page holds no answer, only salted hashes of the answers that are accepted, and why the answer is
right in a cipher that the right answer opens. After a change of the source,
`python -m book.kit.exercises` writes the page, the notebook and the links in the chapters again.
"""

import html
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from textwrap import indent
from typing import Any

import nbformat
from nbformat import v4

from lib.atomic import replacing
from lib.names import look_up

__all__ = ["Exercise", "Verdict", "check", "exercises", "hints", "notebook", "page", "solution"]

FOLDER = Path(__file__).resolve().parents[1] / "exercises"
TIERS = ("A first hint", "A second hint", "Nearly the answer")
KINDS = ("number", "choice", "code")
MOST = 1e15  # beyond it a step is no longer a step
RIGHT, WRONG, UNREADABLE = "Right.", "Not yet.", "Type a number, such as 0.42."
UNIT = "Mind the unit: the answer is asked for in {}."
PLAIN = "Mind the unit: the answer is asked for as a plain number, not in per cent."


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    name, title, question (Markdown), chapter (its page, without the ending); kind "number",
    "choice" or "code"; solution: Python that leaves `answer`, a number, a letter or a function;
    because: a sentence that says why, shown once the answer is right; hints, from gentle to plain.
    For a number: unit, and step, the width of what counts as equal.
    For a choice: options by letter. For code: the stub, and a test of `answer` that raises
    AssertionError. mistakes: typical wrong answers (for code: Python as in solution), each with
    what to say to them.

    >>> exercises()["dice-by-hand"].kind
    'number'
    """

    name: str
    title: str
    chapter: str
    kind: str
    question: str
    solution: str
    because: str
    hints: tuple[str, ...]
    step: float = 0.01
    unit: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    stub: str = ""
    test: str = ""
    mistakes: tuple[tuple[Any, str], ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What a check says: true if the answer is right; shown as its words.

    >>> bool(Verdict(False, "Not yet.")), Verdict(True, "Right.")
    (False, Right.)
    """

    right: bool
    says: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.says


@lru_cache
def exercises() -> dict[str, Exercise]:
    """Every exercise by name, in the order of the source.

    >>> len(exercises()) >= 20
    True
    """
    read = tomllib.loads((FOLDER / "exercises.toml").read_text())["exercise"]
    every = [
        Exercise(**{**entry, "hints": tuple(entry["hints"]), **_pairs(entry)}) for entry in read
    ]
    found = {exercise.name: exercise for exercise in every}
    if len(found) < len(every):
        raise ValueError("two exercises share a name; give each its own")
    if unknown := {exercise.kind for exercise in every} - set(KINDS):
        raise ValueError(f"the kinds {sorted(unknown)} are unknown; use {', '.join(KINDS)}")
    return found


def check(name: str, answer: Any) -> Verdict:
    """Is the answer right? A number, a letter, or a function, as the exercise asks.

    A number is right within the exercise's step of the solution's; one that is a hundred times too
    large or too small is told to mind the unit. Raises ValueError for an unknown name, with the
    near ones.

    >>> check("dice-by-hand", 0.5)
    Right. Twice the shared 4 is 8, over 10 + 6 = 16.
    >>> check("dice-by-hand", 1 / 3)
    Not yet. That is IoU: it divides by the union, counted once.
    """
    exercise = _find(name)
    if exercise.kind == "code":
        return _check_code(exercise, answer)
    if exercise.kind == "number" and not _is_number(answer):
        return Verdict(False, UNREADABLE)
    if exercise.kind == "choice" and _key(exercise, answer) not in exercise.options:
        return Verdict(False, f"Give one of {', '.join(exercise.options)}, as a letter in quotes.")
    said = _key(exercise, answer)
    if said in _accepted(exercise):
        return _right(exercise)
    typical = {_key(exercise, wrong): says for wrong, says in exercise.mistakes}
    return Verdict(False, f"{WRONG} {typical.get(said) or _unit(exercise, answer)}".strip())


def hints(name: str, tiers: int = 1) -> None:
    """Print the first `tiers` hints of an exercise.

    >>> hints("dice-by-hand")
    A first hint: Dice divides by the sum of the two areas.
    """
    for tier, hint in list(zip(TIERS, _find(name).hints, strict=False))[:tiers]:
        print(f"{tier}: {hint}")


def solution(name: str) -> str:
    """The Python that solves an exercise; run, it leaves the name `answer`.

    >>> print(solution("dice-by-hand"))
    shared, one, other = 4, 10, 6
    answer = 2 * shared / (one + other)
    """
    return _find(name).solution.strip()


def answer_of(code: str) -> Any:
    """What `code` leaves under the name `answer`.

    >>> answer_of("answer = 6 * 7")
    42
    """
    names: dict[str, Any] = {}
    exec(code, names)  # ours: the solutions of the source
    return names["answer"]


def page() -> str:
    """The exercises' page in MyST Markdown, with forms that `exercises.js` checks.

    >>> "data-right=" in page()
    True
    """
    lines = [PAGE_HEAD]
    chapter = ""
    for number, exercise in enumerate(exercises().values(), 1):
        if exercise.chapter != chapter:
            chapter = exercise.chapter
            lines.append(f"## {_title(chapter)}\n\n[To the chapter](../{chapter}.ipynb)\n")
        lines.append(f"(exercise-{exercise.name})=\n### {number}. {exercise.title}\n")
        lines.append(exercise.question.strip() + "\n")
        lines.append(_code(exercise) if exercise.kind == "code" else _form(exercise))
        for tier, hint in zip(TIERS, exercise.hints, strict=False):
            lines.append(f":::{{dropdown}} {tier}\n{hint}\n:::\n")
    lines.append(PAGE_FOOT)
    return "\n".join(lines)


def links(chapter: str) -> str:
    """A line for the end of a chapter, with a link to each of its exercises.

    >>> links("chapters/training").split(", ")[-1]
    '[Who gives in?](#exercise-vote). All on [one page](../exercises/index.md).'
    """
    every = [
        f"[{exercise.title}](#exercise-{exercise.name})"
        for exercise in exercises().values()
        if exercise.chapter == chapter
    ]
    page = f"{'../' * chapter.count('/')}exercises/index.md"
    return f"**Exercises.** {', '.join(every)}. All on [one page]({page})."


def with_links(text: str, chapter: str) -> str:
    """A chapter's notebook (JSON) whose last cell holds the links to its exercises.

    >>> chapter = "chapters/training"
    >>> "#exercise-vote" in with_links((FOLDER.parent / f"{chapter}.ipynb").read_text(), chapter)
    True
    """
    lines = links(chapter).splitlines(keepends=True)
    cell = {"cell_type": "markdown", "id": LINKED, "metadata": {}, "source": lines}
    cell["metadata"] = {"slideshow": {"slide_type": "skip"}}
    written = json.dumps(cell, indent=1, ensure_ascii=False)
    # As text: read and written again, a number of a stored output could get other digits.
    own = rf',\n  \{{\n   "cell_type": "markdown",\n   "id": "{LINKED}".*?\n  \}}'
    text = re.sub(own, "", text, flags=re.DOTALL)
    cells, end, rest = text.rpartition('\n ],\n "metadata"')
    if not end:
        raise ValueError(
            f"{chapter}: is no notebook that is indented by one space, as nbformat does"
        )
    return cells + ",\n" + indent(written, "  ") + end + rest


def notebook(solved: bool = False) -> str:
    """The exercises as a notebook (JSON): stubs, or with `solved` the solutions in their place.

    >>> len(json.loads(notebook())["cells"]) > 2 * len(exercises())
    True
    """
    cells = [
        v4.new_markdown_cell(NOTEBOOK_HEAD, id="about"),
        v4.new_code_cell(NOTEBOOK_IMPORT, id="import"),
    ]
    for number, exercise in enumerate(exercises().values(), 1):
        text = f"## {number}. {exercise.title}\n\n{exercise.question.strip()}\n"
        text += "".join(f"\n- **{key}**: {says}" for key, says in exercise.options.items())
        cells.append(v4.new_markdown_cell(text.strip(), id=f"{exercise.name}-question"[:64]))
        if solved:
            code = exercise.solution.strip()
        else:
            code = exercise.stub.strip() or "answer = ...  # your answer"
        gap = "\n\n\n" if code.startswith("def ") else "\n\n"
        source = f'{code}{gap}check("{exercise.name}", answer)'
        cells.append(v4.new_code_cell(source, id=exercise.name[:64]))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return nbformat.writes(v4.new_notebook(cells=cells, metadata=about)) + "\n"


# ------------------------------------------------------------------------------------------ details


PAGE_HEAD = """\
% Made by `python -m book.kit.exercises` from exercises.toml: change that.

# Exercises

Each exercise belongs to a chapter and has hints, from gentle to plain. A number or a choice is
checked on this page, without a server; nothing you type leaves it. Those in code are checked in the
notebook {download}`exercises.ipynb`, as all the others can be: `make lab` opens it.

A number may be off by one in the last digit that the question asks for, as if rounded on the way;
0.5, .5 and 0,5 are the same (in the notebook 0.5 and .5). A right answer is told why it is right, a
typical wrong number or choice what went wrong.
"""

PAGE_FOOT = """\
```{raw} html
<noscript><p>Checking needs JavaScript; the notebook checks without it.</p></noscript>
<script src="../_static/exercises.js" defer></script>
```
"""

LINKED = "exercises-of-this-chapter"  # the id of the cell

NOTEBOOK_HEAD = """\
# Exercises

Put your answer in the place of `...` and run the cell. `hints("dice-by-hand")` gives the first hint
of an exercise, `hints("dice-by-hand", 3)` all of them, and `print(solution("dice-by-hand"))` the
solution."""

NOTEBOOK_IMPORT = """\
import torch  # noqa: F401

from book.kit.exercises import check, hints, solution  # noqa: F401"""


def _pairs(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"mistakes": tuple((m["answer"], m["says"]) for m in entry.get("mistakes", ()))}


def _find(name: str) -> Exercise:
    return look_up("exercise", name, exercises())


def _is_number(answer: Any) -> bool:
    try:
        return math.isfinite(float(answer)) and abs(float(answer)) < MOST
    except (TypeError, ValueError, OverflowError):
        return False


def _key(exercise: Exercise, answer: Any) -> str:
    """What is compared and hashed: the letter, or the number in steps, rounded as in JavaScript."""
    if exercise.kind == "choice":
        return str(answer).strip().lower()
    return str(math.floor(float(answer) / exercise.step + 0.5))


def _accepted(exercise: Exercise) -> list[str]:
    """The keys of right answers: a number may be one step off, for another rounding on the way."""
    key = _key(exercise, answer_of(exercise.solution))
    if exercise.kind == "choice" or exercise.step == 1:
        return [key]
    return [str(int(key) + off) for off in (-1, 0, 1)]


def _check_code(exercise: Exercise, answer: Any) -> Verdict:
    if not callable(answer):
        return Verdict(False, f"{WRONG} Give a function.")
    try:
        exec(exercise.test, {"answer": answer})
    except AssertionError as wrong:
        return Verdict(False, f"{WRONG} {wrong}".strip())
    except Exception as error:  # the reader's own code
        return Verdict(False, f"{WRONG} It stopped with {type(error).__name__}: {error}")
    return _right(exercise)


def _right(exercise: Exercise) -> Verdict:
    return Verdict(True, f"{RIGHT} {exercise.because}")


def _asks_a_unit(exercise: Exercise) -> bool:
    """Not of what is counted, nor of letters."""
    return exercise.kind == "number" and exercise.step != 1


def _unit(exercise: Exercise, answer: Any) -> str:
    """What to say to 15 or 15 % for .15, and to .15 for 15 %."""
    if not _asks_a_unit(exercise):
        return ""
    others = (float(answer) / 100, float(answer) * 100)
    if not any(_key(exercise, other) in _accepted(exercise) for other in others):
        return ""
    return _in_unit(exercise)


def _in_unit(exercise: Exercise) -> str:
    return UNIT.format(exercise.unit) if exercise.unit else PLAIN


def _cipher(salt: str, key: str, text: str) -> str:
    """The text in hexadecimal, each byte combined with one that follows from the right answer."""
    data = text.encode()
    stream = "".join(_hash(salt, f"{key}:{block}") for block in range(math.ceil(len(data) / 8)))
    pairs = zip(data, bytes.fromhex(stream), strict=False)
    return bytes(one ^ other for one, other in pairs).hex()


def _hash(salt: str, key: str) -> str:
    """Two 32-bit FNV-1a sums in hexadecimal: hides an answer from a glance, not from an attack."""
    parts = []
    for start in (0x811C9DC5, 0x1000193):
        value = start
        for byte in f"{salt}:{key}".encode():
            value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
        parts.append(f"{value:08x}")
    return "".join(parts)


def _title(chapter: str) -> str:
    first = nbformat.read(FOLDER.parent / f"{chapter}.ipynb", 4).cells[0]
    return first.source.splitlines()[0].removeprefix("# ").strip()


def _form(exercise: Exercise) -> str:
    name = exercise.name
    right = " ".join(_hash(name, key) for key in _accepted(exercise))
    because = _cipher(name, _key(exercise, answer_of(exercise.solution)), exercise.because)
    unit = f'data-unit="{html.escape(_in_unit(exercise))}" ' if _asks_a_unit(exercise) else ""
    said = {_hash(name, _key(exercise, wrong)): says for wrong, says in exercise.mistakes}
    data = (
        f'data-name="{name}" data-kind="{exercise.kind}" data-step="{exercise.step!r}" '
        f'data-right="{right}" data-because="{because}" {unit}'
        f'data-mistakes="{html.escape(json.dumps(said))}"'
    )
    if exercise.kind == "choice":
        options = "".join(
            f'<label><input type="radio" name="answer" value="{key}"> '
            f"<span>{html.escape(text)}</span></label>"
            for key, text in exercise.options.items()
        )
        body = f"<fieldset><legend>Choose one</legend>{options}</fieldset>"
    else:
        unit = f" ({html.escape(exercise.unit)})" if exercise.unit else ""
        body = (
            f'<label for="answer-{name}">Your answer{unit}</label>'
            f'<input id="answer-{name}" name="answer" inputmode="decimal" autocomplete="off">'
        )
    title = html.escape(exercise.title)
    return (
        f'```{{raw}} html\n<form class="exercise" {data} aria-label="{title}" novalidate>{body}'
        '<button type="submit">Check</button><p role="status" aria-live="polite"></p></form>\n```\n'
    )


def _code(exercise: Exercise) -> str:
    return (
        f"```python\n{exercise.stub.strip()}\n```\n\n"
        f'*Checked in the notebook:* `check("{exercise.name}", answer)`.\n'
    )


def main(book: Path = FOLDER.parent) -> None:
    """Write the exercises' page and notebook below `book`, and links to them into its chapters."""
    folder = book / FOLDER.name
    made = {folder / "index.md": page(), folder / "exercises.ipynb": notebook()}
    for chapter in {exercise.chapter for exercise in exercises().values()}:
        path = book / f"{chapter}.ipynb"
        made[path] = with_links(path.read_text(encoding="utf-8"), chapter)
    for path, text in made.items():
        with replacing(path) as draft:
            draft.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
