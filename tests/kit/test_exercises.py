"""The exercises: each solution passes its check, and stubs and typical mistakes do not."""

import json
import re
import subprocess

import pytest

from book.kit.exercises import (
    FOLDER,
    KINDS,
    Verdict,
    _accepted,
    _hash,
    _key,
    answer_of,
    check,
    exercises,
    hints,
    notebook,
    page,
    solution,
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
    if exercise.kind == "choice":
        keys = [_key(exercise, wrong) for wrong, _ in exercise.mistakes]
        assert {*keys, answer_of(exercise.solution)} <= set(exercise.options)
    assert bool(exercise.stub) == bool(exercise.test) == (exercise.kind == "code")


def test_the_page_and_the_notebook_are_those_of_the_source():
    said = "is not what the source gives: run python -m book.kit.exercises"
    assert (FOLDER / "index.md").read_text() == page(), f"index.md {said}"
    assert (FOLDER / "exercises.ipynb").read_text() == notebook(), f"exercises.ipynb {said}"


def test_the_page_holds_no_solution():
    text = page()
    for exercise in EVERY:
        lines = [line for line in exercise.solution.strip().splitlines() if "answer =" in line]
        assert not any(line in text for line in lines), exercise.name
        form = re.search(rf'<form class="exercise" data-name="{exercise.name}".*', text)
        assert bool(form) == (exercise.kind != "code")
        if form and exercise.kind == "number":
            shown = f"{answer_of(exercise.solution):.4g}"
            assert not re.search(rf"(?<![\w.]){re.escape(shown)}(?![\w.])", form[0]), exercise.name


def test_the_solved_notebook_runs():
    names: dict = {}
    for cell in json.loads(notebook(solved=True))["cells"]:
        if cell["cell_type"] == "code":
            *body, last = "".join(cell["source"]).rstrip().split("\n")
            exec("\n".join(body) if last.startswith("check(") else "\n".join([*body, last]), names)
            if last.startswith("check("):
                assert eval(last, names), last


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


def test_the_script_counts_and_hashes_as_python_does(tmp_path):
    """A stand-in for the page's document: every form, with right, wrong and typical answers."""
    cases = []
    for exercise in (e for e in EVERY if e.kind != "code"):
        right = answer_of(exercise.solution)
        for answer in [right, *(wrong for wrong, _ in exercise.mistakes)]:
            cases.append(
                {
                    "data": {
                        "name": exercise.name,
                        "kind": exercise.kind,
                        "step": repr(exercise.step),
                        "right": " ".join(_hash(exercise.name, k) for k in _accepted(exercise)),
                        "mistakes": json.dumps(
                            {
                                _hash(exercise.name, _key(exercise, wrong)): says
                                for wrong, says in exercise.mistakes
                            }
                        ),
                    },
                    "answer": str(answer),
                    "says": check(exercise.name, answer).says,
                }
            )
    cases += [
        {**cases[0], "answer": typed, "says": cases[0]["says"]} for typed in ("15,0", " 15 %")
    ]
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
