"""Names that try to be code take every way by which text from data reaches a page: they stay text.

One page holds all the ways, made by the functions that make the book's pages, drawn by the book's
own scripts from a file. It is opened for each hostile name, and once for a plain one to compare.
"""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from docutils.core import publish_parts
from myst_parser.parsers.docutils_ import Parser
from plotly_page import figure_html
from records import record, some_rows

from book.kit import claims, explorables, figures, gallery
from book.kit.exercises import Exercise, _form
from book.kit.figures.costs import COSTS, KIND_NAMES, Cost
from book.kit.figures.reproduced import Row
from book.kit.stats import Evidence, Interval
from lib import results

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
RUN = "window.pwned=1"
NAMES = {
    "image": f'"><img src=x onerror="{RUN}">',
    "quote": f"' onmouseover='{RUN}' x='",
    "script": f"</script><script>{RUN}</script>",
    "comment": f"<!--<script>{RUN}",
    "link": f'<a href="javascript:{RUN}">b</a>',
    "Markdown link": f"[b](javascript:{RUN}) ![c](x) <javascript:{RUN}>",
    "template": "{{7*7}} ${7*7} {{ config }} {math}`x` {{< x >}}",
    "formula": rf"$\href{{javascript:{RUN}}}{{x}}$ \(y\) $$z$$",
    "Plotly's own": "<b>bold</b><br>%{x} <sup>up</sup> &lt;i&gt; &#60;u&#62;",
    "direction": "\u202egnp.exe\u2066 \u200f",
    "lines": "one\n\n# two\r\n<hr>\t- three\n```{raw} html\n<hr>\n```",
    "backticks": "``` `code` **bold** _slanted_ ~~gone~~ | cell",
    "long": "very" * 250,
}


def seen(name: str) -> str:
    """A name as `figures.text` shows it: what cannot be printed by its escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def runs_named(name: str) -> list[dict]:
    """Two runs in which every text that a record holds is the name."""
    parts = {part: {"T1 BCE": 0.7, name: 0.5} for part in ("train", "valid")}
    rows = some_rows(24)
    rows["cam_inside"], rows["nodule_share"] = 0.5, 0.1
    rows["case"] = [f"{name} {k}" for k in range(len(rows))]
    rows["group"] = [f"{name} {k // 2}" for k in range(len(rows))]
    changes = {
        "source": name, "profile": name, "commit": name, "rows": rows,
        "parameters": {"size": 64, "encoder": name, "precision_used": name},
        "data": {"fingerprint": name}, "versions": {"torch": name, name: "1"},
        "machine": {"device": name, "gpu": name, "processor": name},
        "history": [{"epoch": k, **parts, "metrics": {"AUC": 0.8}} for k in (1, 2)],
        "metrics": {"AUC": 0.8}, "code": {name: "0a"},
    }  # fmt: skip
    return [record(name, 0, **changes), record("other", 0, **changes | {"machine": {name: name}})]


def note(name: str) -> str:
    """The page of runs, as its notebook makes it, with a run that failed: the Markdown, built."""
    cells = json.loads((ROOT / "book" / "status.ipynb").read_text())["cells"]
    (code,) = [c for c in map("".join, (c["source"] for c in cells)) if "for failure in fail" in c]
    failure = {
        "experiment": name, "source": "phantom", "profile": "quick", "seed": 0, "error": name,
        "message": f"it said {name}",
    }  # fmt: skip
    shown: list[str] = []
    space = {"failures": [failure], "figures": figures, "TITLES": {name: "MTL"}}
    exec(code, space | {"say": shown.append})
    return markdown("\n".join(shown))


def markdown(text: str) -> str:
    extensions = ["amsmath", "attrs_block", "colon_fence", "deflist", "dollarmath"]
    options = {"myst_enable_extensions": extensions, "report_level": 5}
    return publish_parts(
        text, parser=Parser(), writer_name="html5", settings_overrides=options
    )["html_body"]  # fmt: skip


def kept(runs: list[dict]) -> gallery.Gallery:
    """A gallery of two small pictures, of cases with these names."""
    rows = pd.DataFrame({"case": runs[0]["per_image"]["case"][:2], "label": [0, 1]})
    rows["fixed"] = True
    picture = [[[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]] * 2
    maps = {key: np.array(picture, np.uint8) for key in ("image", "mask", "seg3")}
    return gallery.Gallery(rows, maps | {"cls": np.array([0.2, 0.8])}, {})


def ways(name: str) -> dict[str, str]:
    """Way -> the HTML that it leads to, of everything that shows text from data."""
    runs = runs_named(name)
    titles = {name: name, "other": "other"}
    failure = {"experiment": name, "source": name, "profile": name, "seed": 0}
    failures = [failure | {"error": name, "message": name, "commit": name}]
    gains = {"dice_class_mean": Interval(0.6, 0.5, 0.7)}
    price = dict.fromkeys(COSTS, 2.0)
    costs = [Cost(1, name, KIND_NAMES[0], name, 1, name, price, gains, apart={"settings": [name]})]
    pair = {name: (name, "other")}
    found = Evidence(runs)
    finding = claims.Finding(claims.CLAIMS[-1], "not testable here", ())
    pictures = kept(runs)
    tables = {
        "contradictions": figures.contradictions_table(runs, titles),
        "measures": figures.measures_table(runs, paper={name: {"ACC": 0.5}}, titles=titles),
        "systems": figures.systems_table(found, titles),
        "cam": figures.cam_table(runs, titles),
        "runs": figures.runs_table(runs, failures, {name: {name: "1b"}}, titles, csv=name),
        "machines": figures.machines_table(runs),
        "versions": figures.versions_table(runs, {name: name}),
        "costs beside": figures.costs_beside(costs, "What it costs", csv=name),
        "reproduced": figures.reproduced_table(
            5, [Row("SC", name, state=f"failed: {name}", apart={"settings": [name]})], "Rows"
        ),
        "verdicts": figures.verdicts_table({name: [finding]}),
        "changes": figures.changes_table({name: {}}),
        "tests": figures.tests_table(found.differences(name, "other"), titles=(name, "other")),
        "gain, table": figures.gain_table(found, pair),
        "grid": figures.grid({name: pictures}),
        "choice": figures.choice({name: "<p>One</p>", "other": "<p>Two</p>"}),
        "a failed run": note(name),
        "Markdown": markdown(f"One *system*: {figures.text(name)}, **{figures.text(name)}**."),
    }
    drawn = {
        "learning curves": figures.learning_curves({name: runs[0]["history"]}),
        "ROC": figures.roc(runs, titles),
        "cost": figures.cost_figure(costs),
        "gain": figures.gain(found, pair),
        "plane": figures.dice_plane({name: runs}),
        "overlays": figures.overlays(pictures.rows, pictures.maps, {name: 0}),
    }
    plotly = {way: figure_html(json.loads(one.to_json())) for way, one in drawn.items()}
    explored = {
        "threshold": explorables.show("threshold", explorables.decisions(runs, titles)).html,
        "run explorer": explorables.show("runs", explorables.courses(runs, titles)).html,
    }
    asked = Exercise("asked", name, "losses", "choice", "?", "answer = 'b'", name, ("",),
                     options={"a": name, "b": "other"}, mistakes=(("a", name),))  # fmt: skip
    (form,) = re.findall(r"<form.*</form>", _form(asked), re.DOTALL)
    return tables | plotly | explored | {"exercise": form}


def written(folder: Path, name: str) -> Path:
    """The page with all ways, beside the book's scripts and Plotly."""
    scripts = folder / "_static"
    (scripts / "vendor").mkdir(parents=True)
    (scripts / "pick").mkdir()
    for script in ("figures", "tables", "picker", "exercises"):
        shutil.copy(ROOT / "book" / "assets" / f"{script}.js", scripts)
    shutil.copy(ROOT / "book" / "_vendor" / "vendor" / "plotly.js", scripts / "vendor")
    runs = [run | {"source": "phantom", "profile": "quick"} for run in runs_named(name)]
    packed = figures.picked(Evidence(runs), {name: name})
    key = packed["key"]
    (scripts / "pick" / f"{key.replace('/', '-')}.js").write_text(
        figures.picker_script(packed), encoding="utf8"
    )
    parts = ways(name) | {"picker": figures.picker({key: name}, start={"a": name, "b": name})}
    body = "".join(f'<section data-way="{way}">{html}</section>' for way, html in parts.items())
    file = folder / "page.html"
    file.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Names</title>'
        '<script src="_static/figures.js" defer></script>'
        '<script src="_static/tables.js" defer></script>'
        '<script src="_static/exercises.js" defer></script>'
        f"</head><body>{body}</body></html>",
        encoding="utf8",
    )
    return file


READ = """() => {
  const all = [...document.body.querySelectorAll("*")];
  const links = (element) => ["href", "src", "action", "formaction", "xlink:href"]
    .map((name) => element.getAttribute(name)).filter((link) => link !== null);
  const ways = {};
  for (const section of document.querySelectorAll("[data-way]")) {
    const inside = [...section.querySelectorAll("*")];
    ways[section.dataset.way] = {
      text: section.textContent,
      labels: inside.map((one) => one.getAttribute("aria-label") ?? "").join(" "),
      tags: [...new Set(inside.map((one) => one.localName))],
      attributes: [...new Set(inside.flatMap((one) => one.getAttributeNames()))],
      scripts: inside.filter((one) => one.localName === "script").length,
    };
  }
  return {
    ways, pwned: window.pwned,
    links: all.flatMap(links),
    handlers: all.flatMap((one) => one.getAttributeNames()).filter((name) => name.startsWith("on")),
  };
}"""


@pytest.fixture(scope="module")
def read(browser, tmp_path_factory):
    """Opens the page for a name, tries what a reader would, and returns what is then there."""

    def read(name: str) -> SimpleNamespace:
        file = written(tmp_path_factory.mktemp("names"), name)
        page, log = browser.new_page(viewport={"width": 1440, "height": 900}), []
        page.on("pageerror", lambda error: log.append(f"script: {error}"))
        page.on("console", lambda m: m.type == "error" and log.append(f"console: {m.text}"))
        page.on("dialog", lambda dialog: (log.append("a dialog"), dialog.dismiss()))
        own = ("file:", "data:", "blob:")
        page.on("request", lambda r: r.url.startswith(own) or log.append(r.url))
        page.goto(file.as_uri(), wait_until="load")
        page.wait_for_function(
            """() => [...document.querySelectorAll(".plotly-drawing")]
              .every((one) => one.querySelector("svg.main-svg"))
            && [...document.querySelectorAll(".explorable")].every((one) => "drawn" in one.dataset)
            && document.querySelector(".picker").dataset.ready"""
        )
        page.locator("form.exercise input[value=a]").check()
        page.locator("form.exercise button").click()
        for button in page.locator(".sortable thead button").all()[:6]:
            button.click()
        for point in page.locator(".plotly-drawing .point").all()[:4]:
            point.hover(force=True)
        found = SimpleNamespace(**page.evaluate(READ), log=log)
        page.close()
        return found

    return read


@pytest.fixture(scope="module")
def plain(read):
    """The same page with a name that means no harm."""
    return read("plain name")


@pytest.mark.parametrize("kind", NAMES)
def test_a_hostile_name_is_shown_and_does_nothing(read, plain, kind):
    name = NAMES[kind]
    found = read(name)
    assert found.pwned is None and not found.log
    assert not found.handlers
    assert not [link for link in found.links if link.strip().lower().startswith("javascript")]
    for way, there in found.ways.items():
        other = plain.ways[way]
        assert set(there["tags"]) <= set(other["tags"]), way  # no element of its own
        assert set(there["attributes"]) <= set(other["attributes"]), way
        assert there["scripts"] == other["scripts"], way
        said = there["text"] + there["labels"]
        one_end = name.replace("\r\n", "\n")  # HTML knows one end of a line
        assert any(shown in said for shown in (name, one_end, seen(name))), f"{way} hides the name"


def test_the_plain_name_reaches_every_way(plain):
    """Otherwise there would be nothing to try: the name stands in the text that a reader sees."""
    assert not plain.log and len(plain.ways) == 27
    for way, there in plain.ways.items():
        assert "plain name" in there["text"], way


def test_the_watch_sees_what_runs(browser, tmp_path):
    """A name that is written without care does run."""
    page = browser.new_page()
    (tmp_path / "page.html").write_text(f"<p>{NAMES['image']}</p>")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("window.pwned === 1")
    assert "onerror" in page.evaluate(READ)["handlers"]
    page.close()


def test_no_formula_is_sought_in_what_a_notebook_put_out():
    """MathJax looks only where the book itself wrote a formula."""
    pages = [page.read_text() for page in (ROOT / "_build" / "html").rglob("*.html")]
    settings = re.findall(r'"processHtmlClass": "([^"]*)"', "".join(pages))
    assert settings and set(settings) == {"tex2jax_process|mathjax_process|math"}


def test_a_formula_in_a_name_is_none_for_plotly():
    """Plotly draws $...$ as a formula wherever MathJax is loaded."""
    formula = "$x$"
    runs = runs_named(formula)
    for figure in (figures.roc(runs), figures.learning_curves(runs[0]["history"])):
        drawn = json.loads(figure.to_json())
        del drawn["layout"]["meta"], drawn["layout"]["template"]
        assert "x&#36;" in json.dumps(drawn) and "$x$" not in json.dumps(drawn["layout"])
        assert not any("$" in str(trace.get("name")) for trace in drawn["data"])


def test_a_record_whose_names_are_none_is_refused(tmp_path):
    """Where such a name would be a path or a place, the record is not even read."""
    whole = dict.fromkeys(results.KEYS, 0) | {"schema": results.SCHEMA, "seed": 0}
    whole |= dict.fromkeys(("source", "profile", "experiment"), "name")
    results.load(results.save(whole, tmp_path))
    for name in set(NAMES.values()) - {NAMES["long"]}:
        for key in ("source", "profile", "experiment"):
            with pytest.raises(results.ResultError, match=f"{key} .* is no name"):
                results.save(whole | {key: name}, tmp_path)
            file = tmp_path / "seed0.json"
            file.write_text(json.dumps(whole | {key: name}))
            with pytest.raises(results.ResultError, match=f"{key} .* is no name"):
                results.load(file)
