"""Calls from this machine's own programs and pages, told apart from those that a web page elsewhere makes a browser send.

Guarantees: only a Host that names this machine is answered, so a name that was pointed at it afterwards (DNS rebinding) does not
reach it; no Origin but the server's own is, and no document of a kind that a form can post. No answer has CORS headers.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

NAMES = ("127.0.0.1", "localhost", "::1")
FOREIGN_SITES = ("cross-site", "same-site")
PAGE_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")  # a page may send these unasked
REFUSAL = "for programs of this machine only: {} is not its own"


def foreign(headers: Mapping[str, str | None], also: str | None = None) -> str | None:
    """What of a call's headers (by their lower-case names) is not of this machine; None where all is.

    `also` is one more name that this machine goes by.
    """
    host = headers.get("host") or ""
    name = _name_of(f"//{host}")
    if not (name in NAMES or name.endswith(".localhost") or (also is not None and name == also)):
        return f"the host {host[:100]!r}"
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return f"the origin {origin[:100]!r}"
    if headers.get("sec-fetch-site") in FOREIGN_SITES:
        return "the page that asks"
    return None


def refused_type(content_type: str) -> dict[str, str] | None:
    """The answer to a body of a type that a form of any page can send; None for every other type."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in PAGE_TYPES:
        return None
    told = {"error": "NotJson", "message": f"{kind} is not taken"}
    return told | {"remedy": "send content-type: application/json"}


def _name_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
