"""Calls from this machine's own programs, told apart from those that a web page makes a browser send.

Guarantees: what the stack serves answers to a Host that names this machine, so a name that was pointed at it afterwards (DNS
rebinding) does not reach it; and to no Origin but its own, so no page of another site starts or reads anything. Nothing is
answered with CORS headers. The API and `/_local/` answer to who shows the stack's token, so no program of another user, or one
that may not read this user's files, starts or reads anything either. A browser's session may use the API, and not `/_local/`.
"""

import hmac
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from flowforge.console.own_calls import REFUSAL, foreign, refused_type
from flowforge.console.sessions import Sessions, bearer_of

WEBHOOK, CONTAINERS = "/_local/minio", "host.docker.internal"  # MinIO in a container knows this machine by that name

REMEDY = (
    "send it as `Authorization: Bearer TOKEN`: `flowforge token` prints it, and it is in keys.json of the stack's state folder "
    "(.flowforge) or --data-dir; commands find it there, or by FLOWFORGE_STATE_DIR, or take it from FLOWFORGE_TOKEN"
)


@web.middleware
async def refuse_pages(request: web.Request, handler: Callable) -> web.StreamResponse:
    """Answer 403 to what comes from a page of another site or under a foreign name, 415 to a request that is not sent as JSON."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    problem = foreign(headers, CONTAINERS if request.path == WEBHOOK else None)
    if len(request.headers.getall("host", [])) != 1 or len(request.headers.getall("origin", [])) > 1:
        problem = "what is said twice"
    if problem:
        return web.json_response({"error": "NotOwn", "message": REFUSAL.format(problem)}, status=403)
    if request.path.startswith(("/api/", "/console/")) and request.can_read_body:
        refused = refused_type(request.headers.get("Content-Type", ""))
        if refused:
            return web.json_response(refused, status=415)
    return await handler(request)


def ask_for(token: str, sessions: Sessions, open_to_all: Collection[Callable]) -> Callable:
    """A middleware that answers 401 to who shows neither the token nor a session's; `open_to_all` are handlers that want none."""
    expected = token.encode()

    @web.middleware
    async def refuse_strangers(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        # Some versions of MinIO look for the webhook without its token; they hear that something listens.
        probe = request.method == "HEAD" and request.path == WEBHOOK
        shown = bearer_of(request.headers.get("Authorization", ""))
        if (
            probe
            or request.match_info.handler in open_to_all
            or hmac.compare_digest(shown.encode(errors="surrogateescape"), expected)
        ):
            return await handler(request)
        if sessions.knows(shown) and not request.path.startswith("/_local/"):  # a page begins no other page's session
            return await handler(request)
        told = {
            "error": "TokenRequired",
            "message": "the local stack answers to its token only",
            "remedy": REMEDY,
        }
        return web.json_response(told, status=401, headers={"WWW-Authenticate": "Bearer"})

    return refuse_strangers
