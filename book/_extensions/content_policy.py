"""A Content-Security-Policy on every page: nothing is loaded but from the book itself."""

from typing import Any

from sphinx.application import Sphinx

OWN = "'self' file: data: blob:"  # `file:` too, for a page from disk is no origin of its own
RUNS_WASM = {"explorables/ask"}  # of all pages the only one: WebAssembly, but still no `eval`
POLICY = "; ".join(
    [
        "default-src 'none'",
        f"script-src 'unsafe-inline' {OWN}",
        f"style-src 'unsafe-inline' {OWN}",
        *(f"{kind}-src {OWN}" for kind in ("img", "font", "connect", "worker")),
        "form-action 'self' file:",  # the search field
        "base-uri 'none'",
    ]
)


def add_policy(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Put the policy before every script of the page."""
    policy = POLICY
    if page in RUNS_WASM:
        policy = policy.replace("script-src ", "script-src 'wasm-unsafe-eval' ")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
    context["metatags"] = meta + context.get("metatags", "")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", add_policy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
