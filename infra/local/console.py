"""The console's pages at `/`, and the sessions of the browsers that use them.

`POST /_local/console`, with the stack's token, gives the code of a link; `POST /console/session` takes it for a session's token,
which is shown as the stack's is. The page is served to any program of this machine: there is nothing secret in it.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from aiohttp import web

from flowforge.console.pages import ANSWER_HEADERS, FILES, PAGE_HEADERS, page
from flowforge.console.server import USED, entered
from flowforge.console.sessions import CODE_SECONDS, Sessions


class Console:
    """The routes of the pages. `open_to_all` are the handlers that answer without a token."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        self.open_to_all = (self.show, self.enter)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes for an aiohttp application."""
        return [
            *(web.get(path, self.show) for path in FILES),
            web.post("/console/session", self.enter),
            web.get("/console/about", self.about),
            web.post("/_local/console", self.let_in),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Answer one of the listed files."""
        found = page(request.path)
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found.content, headers={"Content-Type": found.content_type, **PAGE_HEADERS})

    async def enter(self, request: web.Request) -> web.Response:
        """Take a link's code for the token of a session."""
        token = entered(self.sessions, await request.read())
        return web.json_response({"token": token}) if token else web.json_response(USED, status=401)

    async def about(self, request: web.Request) -> web.Response:
        """What the page tells of the API."""
        told = {"kind": "local stack", "api": f"http://{request.host}", "version": version("flowforge")}
        return web.json_response(told)

    async def let_in(self, _: web.Request) -> web.Response:
        """Give the code of a link, good once."""
        return web.json_response({"code": self.sessions.code(), "seconds": CODE_SECONDS})


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """What goes with every answer: nobody keeps it, and no browser takes it for something else than it says it is."""
    headers: Mapping[str, Any] = {} if "Content-Security-Policy" in response.headers else ANSWER_HEADERS
    for name, value in headers.items():
        response.headers.setdefault(name, value)
