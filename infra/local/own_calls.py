"""Calls from this machine's own programs, told apart from those that a web page makes a browser send.

Guarantees: what the stack serves answers to a Host that names this machine, so a name that was pointed at it afterwards (DNS
rebinding) does not reach it; and to no Origin but its own, so no page of another site starts or reads anything. Nothing is
answered with CORS headers. The API and `/_local/` answer to who shows the stack's token, so no program of another user, or one
that may not read this user's files, starts or reads anything either.
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

NAMES = ("127.0.0.1", "localhost", "::1")
WEBHOOK, CONTAINERS = "/_local/minio", "host.docker.internal"  # MinIO in a container knows this machine by that name
FOREIGN_SITES = ("cross-site", "same-site")
PAGE_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")  # a page may send these unasked
REFUSAL = "for programs of this machine only: {} is not its own"

REMEDY = (
    "send it as `Authorization: Bearer TOKEN`: `flowforge token` prints it, and it is in keys.json of the stack's state folder "
    "(.flowforge) or --data-dir; commands find it there, or by FLOWFORGE_STATE_DIR, or take it from FLOWFORGE_TOKEN"
)

Application = Callable[[dict[str, Any], Callable], Iterable[bytes]]


def foreign(headers: Mapping[str, str | None], path: str) -> str | None:
    """What of a call's headers (by their lower-case names) is not of this machine; None where all is."""
    host = headers.get("host") or ""
    name = _name_of(f"//{host}")
    if not (name in NAMES or name.endswith(".localhost") or (path == WEBHOOK and name == CONTAINERS)):
        return f"the host {host[:100]!r}"
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return f"the origin {origin[:100]!r}"
    if headers.get("sec-fetch-site") in FOREIGN_SITES:
        return "the page that asks"
    return None


def _name_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


@web.middleware
async def refuse_pages(request: web.Request, handler: Callable) -> web.StreamResponse:
    """Answer 403 to what comes from a page of another site or under a foreign name, 415 to a request that is not sent as JSON."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if problem := foreign(headers, request.path):
        return web.json_response({"error": "NotOwn", "message": REFUSAL.format(problem)}, status=403)
    if request.path.startswith("/api/") and request.can_read_body and request.content_type in PAGE_TYPES:
        told = {"error": "NotJson", "message": f"{request.content_type} is not taken"}
        return web.json_response(told | {"remedy": "send content-type: application/json"}, status=415)
    return await handler(request)


def ask_for(token: str) -> Callable:
    """A middleware that answers 401 to who does not show the token."""
    expected = token.encode()

    @web.middleware
    async def refuse_strangers(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        # Some versions of MinIO look for the webhook without its token; they hear that something listens.
        probe = request.method == "HEAD" and request.path == WEBHOOK
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        known = hmac.compare_digest(shown.strip().encode(errors="surrogateescape"), expected)
        if probe or (known and scheme.lower() == "bearer"):
            return await handler(request)
        told = {
            "error": "TokenRequired",
            "message": "the local stack answers to its token only",
            "remedy": REMEDY,
        }
        return web.json_response(told, status=401, headers={"WWW-Authenticate": "Bearer"})

    return refuse_strangers


class OwnCallsOnly:
    """A WSGI application that answers programs of this machine only."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        names = {"host": "HTTP_HOST", "origin": "HTTP_ORIGIN", "sec-fetch-site": "HTTP_SEC_FETCH_SITE"}
        problem = foreign({name: environ.get(key) for name, key in names.items()}, environ.get("PATH_INFO", ""))
        if problem is None:
            return self._application(environ, start_response)
        body = REFUSAL.format(problem).encode()
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
