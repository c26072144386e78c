"""What the local API makes of callers that do not speak HTTP well, or are gone: a short answer, and no line for each of them.

aiohttp writes a traceback to stderr for each, which whoever reaches the port could make grow; and a stack whose output is a pipe
that nobody reads would stand still.
"""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


@web.middleware
async def refuse_broken_bodies(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer 400 where a body is not encoded as its head says, or its caller has left amid it."""
    try:
        return await handler(request)
    except (web.RequestPayloadError, ConnectionResetError):
        return web.json_response({"message": "Bad Request"}, status=400)


class _Unexpected(logging.Handler):
    """Reports what is no caller's fault, with its traceback."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError | ConnectionError):
            self._report(self.format(record))


def logger(report: Callable[[str], None]) -> logging.Logger:
    """A logger for a server, that writes nowhere else."""
    made = logging.Logger("local-api", logging.WARNING)
    made.addHandler(_Unexpected(report))
    return made
