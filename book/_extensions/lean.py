"""Takes out of the built book what its theme brings along and no page loads: a zip stays small."""

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

UNUSED = (
    "**/*.map",
    "*webpack-macros.html",
    "locales",
    "*.webp",  # the page that shows it has it among its images
    "scripts/fontawesome.js",  # 1.5 MB: _templates/static says why it is not loaded
    "vendor/fontawesome/webfonts/*.ttf",  # every browser takes the .woff2
    "vendor/mathjax/**/MathJax_Fraktur-*",  # of no formula here; one that had it would ask in vain,
    "vendor/mathjax/**/MathJax_SansSerif-*",  # which the pages' tests see
    "vendor/mathjax/**/MathJax_Script-*",
    "vendor/mathjax/**/MathJax_Calligraphic-*",
    "vendor/mathjax/**/MathJax_Typewriter-*",
)
# Of services that run notebooks in the network, and of those that keep a repository: launch.py.
OF_SERVICES = ("images/logo_*", "vendor/fontawesome/webfonts/fa-brands-*")
TO_MAP = re.compile(r"^/[/*]# sourceMappingURL=.*$\n?", re.MULTILINE)


def remove(app: Sphinx, error: Exception | None) -> None:
    """Delete the files, and in scripts and styles the lines that would ask for a map."""
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    mapped = [path.with_suffix("") for path in static.rglob("*.map")]
    linked = app.config.html_theme_options.get("launch_buttons")
    unused = UNUSED if linked else UNUSED + OF_SERVICES
    for path in {path for pattern in unused for path in static.glob(pattern)}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in filter(Path.exists, mapped):
        path.write_text(TO_MAP.sub("", path.read_text(encoding="utf8")), encoding="utf8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", remove)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
