"""The files of the console: the ones that are listed here, each with its type, and the headers that go with every answer.

A path is looked up in the list and never joined to a folder, so no path leads out of it.
"""

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
    "connections",
    "console",
    "dom",
    "files",
    "job",
    "letters",
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
    """The file that has this path; None where none is listed."""
    name = FILES.get(path)
    return Page((FOLDER / name).read_bytes(), TYPES[name.rpartition(".")[2]]) if name else None
