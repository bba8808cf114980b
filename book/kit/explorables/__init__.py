"""Explorables: small machines to think with, drawn by one ES module each.

A page of the book shows one without a kernel (`show`): the module travels in the page and runs
there, from a file and offline. In JupyterLab the same module is a widget (`widget`), and the
kernel sees what the reader sets and what the page computes. A module has
`export default { render({ model, el }) }`, as anywidget asks.
"""

from .bundle import NAMES, bundle
from .data import beside, courses, decisions, made_of, tirads
from .kernel import answers, losses, widget
from .page import Page, show

__all__ = [
    "NAMES",
    "Page",
    "answers",
    "beside",
    "bundle",
    "courses",
    "decisions",
    "losses",
    "made_of",
    "show",
    "tirads",
    "widget",
]
