"""What the pages of results say and draw: a sentence, a figure or why there is none, a place."""

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from IPython.display import HTML, Markdown, display

from lib import home, results

from .figures.places import Place, counts, place_name
from .figures.style import text
from .stats import Evidence


def say(markdown: str) -> None:
    """Show a piece of Markdown, if there is any."""
    if markdown:
        display(Markdown(markdown))


def draw(make: Callable[..., Any], *given: Any, **options: Any) -> None:
    """Show the figure or the table that `make` gives, or a line that says why there is none."""
    try:
        drawn = make(*given, **options)
    except ValueError as why:
        say(f"*Nothing to show: {text(why)}.*")
    else:
        display(HTML(drawn) if isinstance(drawn, str) else drawn)


def with_evidence(
    places: Mapping[Place, Evidence | str], lacking: str = "nothing to show"
) -> dict[Place, Evidence]:
    """Those places whose runs can stand together; a line says why those of others cannot.

    >>> with_evidence({("busbra", "laptop"): Evidence([])}).keys()
    dict_keys([('busbra', 'laptop')])
    """
    for place, why in places.items():
        if isinstance(why, str):
            say(f"*{place_name(place)}: {lacking}: {text(why)}.*")
    return {place: one for place, one in places.items() if not isinstance(one, str)}


def each(places: Mapping[Place, Any]) -> Iterator[tuple[Place, Any]]:
    """Every source and profile in turn with what is known of it, below its name and its counts."""
    if not places:
        say("*There is no such run here yet.*")
    for place, known in places.items():
        say(f"<h3>On {place_name(place, short=True)}</h3>")
        if isinstance(known, str):
            say(f"*Nothing to show: {text(known)}.*")
        else:
            if isinstance(known, Evidence):
                say(f"{counts(known)}.")
            yield place, known


def results_of() -> str:
    """The day of the last committed result, as 2026-11-27; empty where git does not know it."""
    if home.repository() is None:
        return ""
    words = ["git", "log", "-1", "--format=%cs", "--", "results"]
    try:
        done = subprocess.run(words, cwd=results.ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def first_of(
    found: Evidence, systems: Sequence[str], titles: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """The first training of each of these systems; says which were not run, and which it shows."""
    if absent := [titles[name] for name in systems if name not in found.runs]:
        say(f"*Not run here yet: {', '.join(absent)}.*")
    runs = [next(iter(found.runs[name].values())) for name in systems if name in found.runs]
    if any(len(found.runs[run["experiment"]]) > 1 for run in runs):
        trained = ", ".join(f"{titles[run['experiment']]} ({_training(run)})" for run in runs)
        say(f"*One training of each is shown: {trained}.*")
    return runs


def _training(run: Mapping[str, Any]) -> str:
    fold = f"fold {run['fold']}, " if run.get("fold") else ""
    return f"{fold}seed {run['seed']}, {len(run['per_image']['label'])} test images"


def folded(title: str, html: str) -> None:
    """Show what is long below a line that opens it."""
    display(HTML(f"<details><summary>{escape(title)}</summary>{html}</details>"))


def folded_words(title: str, markdown: str) -> None:
    """Show Markdown below a line that opens it; nothing where there is none."""
    if markdown:
        say(f"<details><summary>{escape(title)}</summary>\n\n{markdown}\n\n</details>")


def commands(place: Place, systems: Sequence[str]) -> None:
    """Show how to make the runs that are not there yet."""
    if not systems:
        return
    source, profile = place
    root = "" if source.startswith("phantom") else " -p root path/to/images"
    lines = "\n".join(
        f".venv/bin/papermill book/experiment.ipynb report.ipynb -p source {source}{root} "
        f"-p experiment {system} -p profile {profile} -p seed 0"
        for system in systems
    )
    waiting = f"{len(systems)} run{'s' * (len(systems) != 1)} not made here yet, and how to make"
    folded(
        f"{place_name(place, short=True)}: {waiting} {'it' if len(systems) == 1 else 'them'}",
        f'<pre style="overflow-x:auto" tabindex="0">{escape(lines)}</pre>',
    )
