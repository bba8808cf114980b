"""Pages that are executed when the book is built: never stale, and not executed for nothing."""

import json
import subprocess
import sys
from pathlib import Path

import light_pages
import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[2]
EXTENSIONS = ROOT / "book" / "_extensions"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
READS = "import json, pathlib\nprint('ACC', json.load(open('../results/{}.json'))['ACC'])"
CONFIG = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
project, extensions = "A book", ["myst_nb", "light_pages"]
nb_execution_mode = "off"
html_theme = "basic"
"""


class Book:
    """A book of a few pages with a results folder and rooms, which a test may edit."""

    def __init__(self, folder):
        self.folder = folder
        self.write("book/conf.py", CONFIG)
        self.write("lib/__init__.py", "")
        self.write("book/kit/__init__.py", "WORD = 'kit-one'\n")
        self.write("ci/engine/__init__.py", "WORD = 'engine-one'\n")
        for name in "ab":
            self.write(f"results/{name}.json", '{"ACC": 0.25}')
        (folder / "book" / "_vendor").mkdir()

    def write(self, name, text):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def page(self, name, *code, words="Words."):
        cells = [new_markdown_cell(f"# {name}\n\n{words}"), *map(new_code_cell, code)]
        about = KERNEL | {"mystnb": {"execution_mode": "force"}}
        for number, cell in enumerate(cells):
            cell["id"] = f"cell-{number}"
        nbformat.write(new_notebook(cells=cells, metadata=about), self.file(name))

    def file(self, name):
        return self.folder / "book" / f"{name}.ipynb"

    def update(self):
        """Bring all pages up to date; returns why each was executed that was."""
        pages = sorted((self.folder / "book").glob("*.ipynb"))
        kept = {page: self.kept(page.stem) for page in pages}
        why = light_pages.update(kept, self.folder, [])
        return {page.stem: reason for page, reason in why.items()}

    def kept(self, name):
        return self.folder / "_build" / "pages" / f"{name}.json"

    def shown(self, name):
        outputs = json.loads(self.kept(name).read_text())["outputs"]
        return "".join(output["text"] for cell in outputs for output in cell)

    def build(self):
        """The pages as Sphinx writes them, from nothing."""
        toc = "".join(f"\n{page.stem}" for page in sorted((self.folder / "book").glob("*.ipynb")))
        self.write("book/index.md", f"# A book\n\n```{{toctree}}{toc}\n```\n")
        words = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "sphinx",
            "-q",
            "-b",
            "html",
            "-W",
            "-a",
            "-E",
        ]
        subprocess.run([*words, self.folder / "book", self.folder / "out"], check=True)
        return {file.stem: file.read_text() for file in (self.folder / "out").glob("*.html")}


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A small book. The pages' processes are forked from this one: it forgets the real rooms."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("ci", "kit")]:
        monkeypatch.delitem(sys.modules, name)
    return Book(tmp_path)


KIT = "import sys\nsys.path.insert(0, '..')\nsys.path.insert(0, '.')\n"


def test_a_changed_result_changes_the_pages_that_show_it_and_no_other(book):
    book.page("one", READS.format("a"))
    book.page("two", READS.format("b"))
    assert book.update().keys() == {"one", "two"}
    assert "ACC 0.25" in book.shown("one")
    assert book.update() == {} and "ACC 0.25" in book.shown("one")
    book.write("results/a.json", '{"ACC": 0.75}')
    (executed, why), *rest = book.update().items()
    assert executed == "one" and why.endswith("results/a.json has changed") and not rest
    assert "ACC 0.75" in book.shown("one") and "ACC 0.25" in book.shown("two")


def test_the_built_pages_show_what_the_results_say_now(book):
    book.page("one", READS.format("a"))
    book.page("two", READS.format("b"))
    built = book.build()
    assert "ACC 0.25" in built["one"] and "ACC 0.25" in built["two"]
    book.write("results/a.json", '{"ACC": 0.75}')
    book.page("two", READS.format("b"), words="Other words.")
    built = book.build()
    assert "ACC 0.75" in built["one"] and "ACC 0.25" in built["two"]
    assert "Other words." in built["two"]


def test_a_result_that_comes_or_goes_changes_the_pages_that_look_for_it(book):
    looks = "print('there' if pathlib.Path('../results/c.json').exists() else 'missing')"
    counts = "print(len(list(pathlib.Path('../results').glob('*.json'))), 'results')"
    book.page("counts", "import pathlib", counts)
    book.page("looks", "import pathlib", looks)
    book.page("still", "print('nothing is read')")
    book.update()
    assert "missing" in book.shown("looks") and "2 results" in book.shown("counts")
    book.write("results/c.json", "{}")
    assert book.update().keys() == {"counts", "looks"}
    assert "there" in book.shown("looks") and "3 results" in book.shown("counts")
    (book.folder / "results" / "c.json").unlink()
    assert book.update().keys() == {"counts", "looks"} and "missing" in book.shown("looks")


def test_a_changed_room_changes_its_pages(book):
    book.page("kit", KIT + "import kit\nprint(kit.WORD)")
    book.page("engine", KIT + "from ci import engine\nprint(engine.WORD)")
    book.page(
        "paths", "import pathlib\nprint(pathlib.Path('../ci/engine/__init__.py').read_text())"
    )
    book.update()
    assert "kit-one" in book.shown("kit") and "engine-one" in book.shown("engine")
    book.write("ci/engine/__init__.py", "WORD = 'engine-two'\n")
    assert book.update().keys() == {"engine", "paths"} and "engine-two" in book.shown("engine")
    book.write("book/kit/__init__.py", "WORD = 'kit-two'\n")
    assert book.update().keys() == {"engine", "kit", "paths"} and "kit-two" in book.shown("kit")
    book.write("book/kit/figures/new.js", "")
    assert book.update().keys() == {"engine", "kit", "paths"}
    book.write("requirements.lock", "torch==0\n")
    assert book.update().keys() == {"engine", "kit", "paths"}
    assert book.update() == {}


def test_changed_code_runs_again_and_changed_words_do_not(book):
    book.page("page", "value = 1", "print('value', value)")
    book.update()
    book.page("page", "value = 1", "print('value', value)", words="Other words.")
    assert book.update() == {} and book.shown("page") == "value 1\n"
    book.page("page", "value = 2", "print('value', value)")
    assert book.update() == {"page": "its code has changed"}
    assert book.shown("page") == "value 2\n"


def test_a_file_that_a_page_writes_is_written_again_when_it_is_gone(book):
    book.page("page", "import pathlib\n_ = pathlib.Path('_vendor/pick.js').write_text('let a = 1')")
    book.update()
    file = book.folder / "book" / "_vendor" / "pick.js"
    assert file.read_text() == "let a = 1" and book.update() == {}
    file.unlink()
    assert book.update().keys() == {"page"} and file.exists()
    file.write_text("let a = 2")
    assert book.update().keys() == {"page"} and file.read_text() == "let a = 1"


def test_what_cannot_be_followed_is_not_kept(book):
    book.page("page", "import subprocess\nprint(subprocess.check_output(['echo', 'hallo']))")
    book.update()
    assert "hallo" in book.shown("page")
    assert book.update() == {"page": "it reads what cannot be followed (subprocess.Popen)"}


@pytest.mark.parametrize(
    ("code", "words"),
    [("print(0 / 0)", "ZeroDivisionError"), ("%no_such_magic", "no_such_magic")],
)
def test_a_page_that_fails_ends_the_build_by_name_and_is_not_kept(book, capfd, code, words):
    book.page("bad", "a = 1", code)
    with pytest.raises(ExtensionError, match=r"could not be executed: book/bad\.ipynb"):
        book.update()
    said = capfd.readouterr().err
    assert "book/bad.ipynb: code cell 2 fails" in said and words in said
    book.page("bad", "a = 1", "print(0 / 1)")
    assert book.update().keys() == {"bad"} and "0.0" in book.shown("bad")


def test_a_kept_page_that_was_damaged_is_made_again(book):
    book.page("page", "print('value', 1)")
    book.update()
    kept = book.kept("page")
    kept.write_text(kept.read_text()[:50])
    assert book.update() == {"page": "it has not been executed yet"}
    assert "value 1" in book.shown("page")


def test_outputs_are_those_of_a_kernel(book):
    """The same as nbclient keeps, which papermill and JupyterLab's kernel stand for."""
    code = [
        "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')",
        "from IPython.display import HTML, display\ndisplay(HTML('<i>'))\nHTML('<b>')",
        "import plotly.graph_objects as go\nimport plotly.io as pio\n"
        "pio.renderers.default = 'plotly_mimetype'\ngo.Figure(layout={'title': {'text': 'A'}})",
        "x = 1;",
        "x",
    ]
    book.page("page", *code)
    book.update()
    kept = json.loads(book.kept("page").read_text())["outputs"]
    notebook = nbformat.read(book.file("page"), as_version=4)
    NotebookClient(notebook, kernel_name="python3").execute()
    real = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert kept == json.loads(json.dumps(real))
