"""Explorables: small machines to think with, drawn by one ES module each.

A page of the book shows one without a kernel (`show`): the module travels in the page and runs
there, from a file and offline. In JupyterLab the same module is a widget (`widget`), and the
kernel sees what the reader sets and what the page computes. A module has
`export default { render({ model, el }) }`, as anywidget asks.
"""

from .asked import (
    MADE,
    asked,
    costs_in_words,
    measures_table,
    networks_script,
    presence_measures_table,
    weight_in_words,
)
from .bundle import NAMES, bundle
from .data import beside, courses, decisions, gains, made_of, tirads, two_of_each
from .kernel import answers, losses, widget
from .page import Page, show

__all__ = [
    "MADE",
    "NAMES",
    "Page",
    "answers",
    "asked",
    "beside",
    "bundle",
    "costs_in_words",
    "courses",
    "decisions",
    "gains",
    "losses",
    "made_of",
    "measures_table",
    "networks_script",
    "presence_measures_table",
    "show",
    "tirads",
    "two_of_each",
    "weight_in_words",
    "widget",
]
