"""Slides from chapters: a deck for each page named in `slides`, below slides/ in the built book.

A cell is shown if its metadata say `"slideshow": {"slide_type": ...}`: "slide" begins one, "-" goes
on with it, "fragment" waits for a key. Code is left out where the page folds it (`hide-input`) and
where the cell is tagged `output-on-slide`.
"""

import posixpath
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
from content_policy import POLICY
from nbconvert import SlidesExporter
from plotly_page import MIME_TYPE, figure_html
from sphinx.application import Sphinx
from traitlets.config import Config

SHOWN = {"slide", "fragment", "-"}
LOWEST, HIGHEST = 400, 560  # of a figure on a slide, which is 720 pixels high
LETTERS = 18
LINK = re.compile(r"\]\((?!\w+:|#)([^)#]+)\.(?:ipynb|md)(#[^)]*)?\)")
ROLE = re.compile(r"\{[\w:-]+\}`")
NO_CODE = {"enabled": True, "remove_input_tags": {"hide-input", "output-on-slide"}}


def for_slide(figure: dict[str, Any]) -> dict[str, Any]:
    """A Plotly figure with letters for the back row, and as high as a slide lets it be."""
    figure = deepcopy(figure)
    layout = figure["layout"]
    height = layout.get("height", 450)
    layout["height"] = min(max(height, LOWEST), HIGHEST)
    layout["font"] = {**layout.get("font", {}), "size": LETTERS}
    for lettered in (*layout.get("annotations", []), *figure["data"]):
        for font in {"font", "textfont"} & lettered.keys():
            lettered[font]["size"] = LETTERS
    if height > HIGHEST:
        fold(layout)
    return figure


def fold(layout: dict[str, Any]) -> None:
    """Move the lower half of a figure's rows beside the upper half."""
    numbers = [name[5:] for name in layout if re.fullmatch(r"yaxis\d*", name)]
    tops = sorted({layout[f"yaxis{n}"]["domain"][1] for n in numbers})
    middle = tops[(len(tops) - 1) // 2]

    def across(x: float, top: float) -> float:
        return 0.48 * x + 0.52 * (top <= middle)

    def up(top: float) -> float:
        return 1 - 2 * ((middle if top <= middle else tops[-1]) - top)

    for n in numbers:
        x, y = layout[f"xaxis{n}"], layout[f"yaxis{n}"]
        low, top = y["domain"]
        x["domain"] = [across(value, top) for value in x["domain"]]
        y["domain"] = [max(0, up(top) - 1.8 * (top - low)), up(top)]  # less than 2: longer words
    for note in layout.get("annotations", []):
        note["x"], note["y"] = across(note["x"], note["y"]), up(note["y"])


def deck(source: Path, page: str, templates: Path) -> str:
    """The deck of the notebook `source`, which is the page `page` of the book.

    Raises ValueError if no cell is shown, or one that holds a role of MyST: only pages know these.
    """
    notebook = nbformat.read(source, as_version=4)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.metadata.get("slideshow", {}).get("slide_type") in SHOWN
    ]
    if not notebook.cells:
        raise ValueError(f'{page}: no cell is on a slide; give some the slide_type "slide"')

    def link(found: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), found[1]))
        return f"](../{target}.html{found[2] or ''})"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if role := ROLE.search(cell.source):
                raise ValueError(f'{page}: {role[0]}...` on a slide; give it the slide_type "skip"')
            cell.source = LINK.sub(link, cell.source)
        for output in cell.get("outputs", []):
            if MIME_TYPE in output.get("data", {}):
                output.data = {"text/html": figure_html(for_slide(output.data[MIME_TYPE]))}
    exporter = SlidesExporter(
        template_name="slides",
        extra_template_basedirs=[str(templates)],
        exclude_anchor_links=True,
        config=Config(TagRemovePreprocessor=NO_CODE),
    )
    title = notebook.cells[0].source.partition("\n")[0].removeprefix("# ")
    return exporter.from_notebook_node(notebook, {"policy": POLICY, "title": title})[0]


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the decks beside the pages, once these are built."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "slides"
    folder.mkdir(exist_ok=True)
    for page in app.config.slides:
        html = deck(Path(app.srcdir, f"{page}.ipynb"), page, Path(app.srcdir, "_templates"))
        (folder / f"{posixpath.basename(page)}.html").write_text(html, encoding="utf8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("slides", [], "html")
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
