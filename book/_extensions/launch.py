"""Links from each page to Binder, Colab, its source and the issues, from one setting, or none.

The setting is `repository_url` in `_config.yml`. Without an address no page has such a link.
"""

from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

BINDER, COLAB = "https://mybinder.org", "https://colab.research.google.com"


def buttons(url: str) -> dict[str, Any]:
    """The theme's options for links to the repository at `url`; all off if it is empty.

    >>> buttons("")["use_issues_button"], buttons("https://github.com/a/b")["use_issues_button"]
    (False, True)
    """
    on = bool(url)
    servers = {"binderhub_url": BINDER, "colab_url": COLAB, "notebook_interface": "jupyterlab"}
    return {
        "launch_buttons": servers if on else {},
        "use_repository_button": on,
        "use_edit_page_button": on,
        "use_issues_button": on,
    }


def fill(app: Sphinx, config: Config) -> None:
    """Put the options where the theme reads them."""
    options = config.html_theme_options
    options |= buttons(options.get("repository_url", ""))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
