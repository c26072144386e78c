"""The embedded AWS answers programs of this machine only, as `own_calls` says; apart from it: aiohttp takes 0.2 s to import."""

from collections.abc import Callable, Iterable
from typing import Any

from flowforge.console.own_calls import REFUSAL, foreign

Application = Callable[[dict[str, Any], Callable], Iterable[bytes]]


class OwnCallsOnly:
    """A WSGI application that answers programs of this machine only."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        names = {"host": "HTTP_HOST", "origin": "HTTP_ORIGIN", "sec-fetch-site": "HTTP_SEC_FETCH_SITE"}
        problem = foreign({name: environ.get(key) for name, key in names.items()})
        if problem is None:
            return self._application(environ, start_response)
        body = REFUSAL.format(problem).encode()
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
