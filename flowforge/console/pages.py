"""The files of the console: the ones that are listed here, each with its type, and the headers that go with every answer.

A path is looked up in the list and never joined to a folder, so no path leads out of it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
MODULES = (
    "alerts",
    "api",
    "columns",
    "connections",
    "console",
    "dom",
    "files",
    "job",
    "letters",
    "models",
    "place",
    "rules",
    "runs",
    "schedules",
    "show",
    "sql",
    "tables",
    "view",
)
FILES = {"/": "index.html"} | {
    f"/console/{name}": name for name in ("console.css", "icon.svg", *(f"{module}.js" for module in MODULES))
}
# Whole lines of comment in our modules are not sent: they are a tenth of the weight. Empty lines keep the numbers of others.
REMARK = re.compile(rb"^[ ]*//.*$", re.MULTILINE)
POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
# Of every answer, an error's as well.
COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ANSWER_HEADERS = COMMON_HEADERS | {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}
PAGE_HEADERS = COMMON_HEADERS | {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Page:
    """One file as it is answered."""

    content: bytes
    content_type: str


def page(path: str) -> Page | None:
    """The file that has this path, as it is sent; None where none is listed."""
    name = FILES.get(path)
    if name is None:
        return None
    kind, content = name.rpartition(".")[2], (FOLDER / name).read_bytes()
    return Page(REMARK.sub(b"", content) if kind == "js" else content, TYPES[kind])
