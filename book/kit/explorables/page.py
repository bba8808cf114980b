"""An explorable in a static page: the module as inert text, and ten lines that start it."""

import hashlib
import json
from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from .bundle import STYLE, bundle

# The part of anywidget's model that the modules use. The module comes from a Blob, so no address is
# asked for: it starts from file:// and where only inline and blob scripts are allowed.
START = """\
(async () => {
  const root = document.getElementById("%s");
  const values = JSON.parse(root.querySelector(".explorable-data").textContent);
  const heard = [];
  const model = {
    get: (name) => values[name],
    set: (name, value) => (values[name] = value),
    on: (event, listen) => heard.push([event, listen]),
    save_changes: () => {},
  };
  const source = root.querySelector(".explorable-module").textContent;
  const module = new Blob([source], { type: "text/javascript" });
  const { default: explorable } = await import(URL.createObjectURL(module));
  explorable.render({ model, el: root.querySelector(".explorable-view") });
  root.dataset.drawn = "";
  if (location.hash.startsWith("#%s?")) root.scrollIntoView(); // a link to a state of it
})();"""


class Page(NamedTuple):
    """The HTML of an explorable, which a notebook shows.

    >>> Page("<p>Hello</p>")._repr_html_()
    '<p>Hello</p>'
    """

    html: str

    def _repr_html_(self) -> str:
        return self.html


def show(
    name: str, data: Mapping[str, Any] | None = None, state: Mapping[str, Any] | None = None
) -> Page:
    """An explorable for a page without a kernel; it also runs as a notebook's output.

    `data`: what the explorable reads, as JSON, such as the values of runs. `state`: where it
    starts, by the names that stand in a link to it. Raises ValueError for an unknown name and for
    numbers that JSON does not have.

    >>> page = show("loss-laboratory", state={"p": 0.25}).html
    >>> page[:40], '"p":0.25' in page, "https:" in page
    ('<div class="explorable" id="explorable-l', True, False)
    """
    source = bundle(name)
    if "</script" in source:
        raise ValueError(f"{name}: the module holds </script, which would end it early")
    values = {"linked": True, "state": dict(state or {}), "values": {}, "data": dict(data or {})}
    content = json.dumps(values, allow_nan=False, separators=(",", ":")).replace("<", r"\u003c")
    digest = hashlib.sha256((source + content).encode()).hexdigest()[:8]
    identity = f"explorable-{name}-{digest}"
    words = escape(f"Explorable: {name.replace('-', ' ')}")
    return Page(
        f'<div class="explorable" id="{identity}">'
        f"<style>{STYLE.read_text(encoding='utf8')}</style>"
        f'<script type="text/plain" class="explorable-module">{source}</script>'
        f'<script type="application/json" class="explorable-data">{content}</script>'
        f'<div class="explorable-view" role="group" aria-label="{words}"></div>'
        f"<noscript>{words}. It is drawn by a script.</noscript>"
        f"<script>{START % (identity, name)}</script>"
        "</div>"
    )
