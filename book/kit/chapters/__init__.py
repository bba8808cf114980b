"""What the teaching chapters draw, so that their cells hold what they teach.

One file is one kind of drawing; a new name is imported below and stands in `__all__`. All figures
are in the style of `book.kit.figures`, and `alt` says in words what one shows.
"""

from .answers import disc, image_class, pixels
from .coverage import coverage_table
from .curves import curves
from .diagrams import network_diagram, read_diagram
from .field import pull_field
from .pictures import number_maps, painted_pictures, pictures, pull_maps
from .planes import accuracy_and_dice
from .sizes import accuracy_by_size, design_effect

__all__ = [
    "accuracy_and_dice",
    "accuracy_by_size",
    "coverage_table",
    "curves",
    "design_effect",
    "disc",
    "image_class",
    "network_diagram",
    "number_maps",
    "painted_pictures",
    "pictures",
    "pixels",
    "pull_field",
    "pull_maps",
    "read_diagram",
]
