"""The exercises: each solution passes its check, and stubs and typical mistakes do not."""

import html
import json
import re
import subprocess
from html.parser import HTMLParser

import pytest

from book.kit.exercises import (
    FOLDER,
    KINDS,
    UNREADABLE,
    Verdict,
    _cipher,
    _form,
    _key,
    answer_of,
    check,
    exercises,
    hints,
    main,
    notebook,
    page,
    solution,
    with_links,
)

BOOK = FOLDER.parent
EVERY = list(exercises().values())
MISTAKES = [(e, wrong, says) for e in EVERY for wrong, says in e.mistakes]
SCRIPT = BOOK / "assets" / "exercises.js"


def test_there_are_enough_of_each_kind():
    assert len(EVERY) >= 20
    assert all(sum(e.kind == kind for e in EVERY) >= 4 for kind in KINDS)


@pytest.mark.parametrize("exercise", EVERY, ids=lambda e: e.name)
def test_the_solution_passes_and_the_stub_fails(exercise):
    verdict = check(exercise.name, answer_of(exercise.solution))
    assert verdict, verdict
    stub = answer_of(exercise.stub or "answer = ...")
    assert not check(exercise.name, stub)


@pytest.mark.parametrize(
    ("exercise", "wrong", "says"), MISTAKES, ids=lambda v: getattr(v, "name", "")
)
def test_a_typical_mistake_fails_and_is_told_why(exercise, wrong, says):
    if exercise.kind == "code":
        assert not check(exercise.name, answer_of(wrong))
    else:
        assert check(exercise.name, wrong) == Verdict(False, f"Not yet. {says}")


@pytest.mark.parametrize("exercise", EVERY, ids=lambda e: e.name)
def test_an_exercise_is_whole(exercise):
    assert (BOOK / f"{exercise.chapter}.ipynb").exists()
    assert 2 <= len(exercise.hints) <= 3 and exercise.mistakes
    assert re.fullmatch(r"\S.{20,200}\.", exercise.because)
    if exercise.kind == "choice":  # each wrong choice has a word of its own
        keys = [_key(exercise, wrong) for wrong, _ in exercise.mistakes]
        assert sorted([*keys, answer_of(exercise.solution)]) == sorted(exercise.options)
        assert len({says for _, says in exercise.mistakes}) == len(keys)
    assert bool(exercise.stub) == bool(exercise.test) == (exercise.kind == "code")


def test_the_page_and_the_notebook_are_those_of_the_source():
    said = "is not what the source gives: run python -m book.kit.exercises"
    assert (FOLDER / "index.md").read_text() == page(), f"index.md {said}"
    assert (FOLDER / "exercises.ipynb").read_text() == notebook(), f"exercises.ipynb {said}"


@pytest.mark.parametrize("chapter", sorted({e.chapter for e in EVERY}))
def test_a_chapter_ends_with_links_to_its_exercises(chapter):
    text = (BOOK / f"{chapter}.ipynb").read_text()
    assert with_links(text, chapter) == text, "run python -m book.kit.exercises"
    last = "".join(json.loads(text)["cells"][-1]["source"])
    named = [e.name for e in EVERY if e.chapter == chapter]
    assert re.findall(r"#exercise-([\w-]+)", last) == named
    assert all(f"(exercise-{name})=" in page() for name in named)


def test_the_links_are_written_anew_and_nothing_else(tmp_path):
    names = {e.chapter for e in EVERY}
    for name in [*(f"{name}.ipynb" for name in names), "exercises/index.md"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((BOOK / name).read_bytes())
    changed = tmp_path / "chapters" / "dice.ipynb"
    changed.write_text(changed.read_text().replace("#exercise-dice-iou", "#exercise-of-old"))
    main(tmp_path)
    for name in names:
        assert (tmp_path / f"{name}.ipynb").read_text() == (BOOK / f"{name}.ipynb").read_text()
    assert (tmp_path / "exercises" / "exercises.ipynb").read_text() == notebook()


def test_the_page_holds_no_solution():
    text = page()
    for exercise in EVERY:
        lines = [line for line in exercise.solution.strip().splitlines() if "answer =" in line]
        assert not any(line in text for line in lines), exercise.name
        form = re.search(rf'<form class="exercise" data-name="{exercise.name}".*', text)
        assert bool(form) == (exercise.kind != "code")
        assert exercise.because not in text and html.escape(exercise.because) not in text
        if form and exercise.kind == "number":
            shown = f"{answer_of(exercise.solution):.4g}"
            assert not re.search(rf"(?<![\w.]){re.escape(shown)}(?![\w.])", form[0]), exercise.name


def test_the_solved_notebook_runs():
    names: dict = {}
    checked = 0
    for cell in json.loads(notebook(solved=True))["cells"]:
        if cell["cell_type"] == "code":
            *body, last = "".join(cell["source"]).rstrip().split("\n")
            exec("\n".join(body) if last.startswith("check(") else "\n".join([*body, last]), names)
            if last.startswith("check("):
                assert eval(last, names), last
                checked += 1
    assert checked == len(EVERY)


def test_hints_come_one_by_one(capsys):
    hints("dice-by-hand", 2)
    assert capsys.readouterr().out.count("hint:") == 2
    assert "answer =" in solution("dice-by-hand")


@pytest.mark.parametrize("typed", ["a half", None, float("nan"), ...])
def test_what_is_no_number_is_said(typed):
    assert check("dice-by-hand", typed) == Verdict(False, "Type a number, such as 0.42.")


def test_a_function_that_fails_is_told_so():
    assert "ZeroDivisionError" in check("dice-code", lambda one, other: 1 / 0).says
    assert check("dice-code", 3).says == "Not yet. Give a function."


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="did you mean dice-by-hand"):
        check("dice-by-hant", 1)


@pytest.mark.parametrize(
    ("name", "answer", "unit"),
    [
        ("dice-by-hand", 50, "as a plain number, not in per cent"),
        ("dice-accuracy", 81, "as a plain number, not in per cent"),
        ("contradictions-least", 0.15, "in per cent"),
        ("standard-error", 100, "in points"),
    ],
)
def test_another_unit_is_told_so(name, answer, unit):
    assert check(name, answer).says == f"Not yet. Mind the unit: the answer is asked for {unit}."


def test_what_is_counted_has_no_other_unit():
    assert check("tirads-points", 0.12).says == check("tirads-points", 1200).says == "Not yet."


def test_a_right_answer_is_told_why():
    for exercise in EVERY:
        said = check(exercise.name, answer_of(exercise.solution))
        assert said == Verdict(True, f"Right. {exercise.because}")


def test_the_reason_is_hidden_until_the_right_answer():
    """The key of the right answer gives the text, every other key does not."""
    exercise = exercises()["dice-by-hand"]
    hidden = bytes.fromhex(form_data(_form(exercise))["because"])
    opened = {
        key: bytes(a ^ b for a, b in zip(hidden, stream, strict=True))
        for key in ("49", "50", "51")
        for stream in [bytes.fromhex(_cipher("dice-by-hand", key, "\0" * len(hidden)))]
    }
    assert [key for key, text in opened.items() if text == exercise.because.encode()] == ["50"]


class Form(HTMLParser):
    """The data of the first form in some HTML, as a script sees them."""

    def handle_starttag(self, tag, attrs):
        if tag == "form":
            self.data = {name[5:]: v for name, v in attrs if name.startswith("data-")}


def form_data(text):
    form = Form()
    form.feed(text)
    return form.data


def test_the_script_counts_and_hashes_as_python_does(tmp_path):
    """A stand-in for the page's document: every form, with right, wrong and typical answers."""
    cases = []
    for exercise in (e for e in EVERY if e.kind != "code"):
        right = answer_of(exercise.solution)
        answers = [right, *(wrong for wrong, _ in exercise.mistakes)]
        if exercise.kind == "number":
            answers += [right * 100, right / 100, right + exercise.step, right - exercise.step]
        data = form_data(_form(exercise))
        cases += [
            {"data": data, "answer": str(answer), "says": check(exercise.name, answer).says}
            for answer in answers
        ]
    cases += [
        {**cases[0], "answer": typed, "says": cases[0]["says"]} for typed in ("15,0", " 15 %")
    ]
    dice = next(case for case in cases if case["data"]["name"] == "dice-by-hand")
    cases.append({**dice, "answer": "50 %", "says": check("dice-by-hand", 50).says})
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    harness = """
    const cases = JSON.parse(require("fs").readFileSync(process.argv[2]));
    const forms = cases.map(({ data, answer }) => {
      const status = {};
      return { dataset: { ...data }, answer, status, querySelector: () => status,
        addEventListener(_, run) { this.run = run; } };
    });
    globalThis.document = { querySelectorAll: () => forms };
    globalThis.FormData = class {
      constructor(form) { this.form = form; }
      get() { return this.form.answer; }
    };
    require(process.argv[3]);
    forms.forEach((form) => form.run({ preventDefault() {} }));
    const said = forms.map((form) => form.status.textContent);
    console.log(JSON.stringify(said));
    """
    (tmp_path / "harness.cjs").write_text(harness)
    script = tmp_path / "exercises.cjs"
    script.write_text(SCRIPT.read_text())
    done = subprocess.run(
        ["node", "harness.cjs", "cases.json", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [re.sub(r"^[\u2713\u2717] ", "", words) for words in json.loads(done.stdout)]
    assert said == [case["says"] for case in cases]


@pytest.mark.parametrize("answer", [1e308, 10**400, float("inf")])
def test_a_number_beyond_all_steps_is_no_answer(answer):
    assert check("dice-by-hand", answer).says == UNREADABLE


def test_a_notebook_of_another_layout_is_refused_and_left_alone():
    with pytest.raises(ValueError, match="chapters/training: is no notebook"):
        with_links('{"cells": []}', "chapters/training")
