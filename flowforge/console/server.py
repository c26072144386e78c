"""The server of `flowforge console`: the pages on loopback, and `/api/` passed on to an API that wants signed calls.

Guarantees: it listens on 127.0.0.1 only; a call under another Host, of another Origin or without the token of a session is
refused and nothing is passed on; of a page's headers only its content type is passed on, of an answer's only what is listed here.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from flowforge.console.own_calls import REFUSAL, foreign, refused_type
from flowforge.console.pages import ANSWER_HEADERS, PAGE_HEADERS, page
from flowforge.console.sessions import Sessions, bearer_of

HOST = "127.0.0.1"
MOST_BYTES = 10 * 2**20  # of a body, as API Gateway takes it
MOST_CALLS = 32  # at once
SILENCE_SECONDS = 30
PASSED_BACK = ("content-type", "retry-after")
TARGET = re.compile(r"/[!-~]*")
REMEDY = "open the link that `flowforge console` prints; each lets one browser in, once"
STRANGER = {"error": "SessionRequired", "message": "this browser has not been let in", "remedy": REMEDY}
USED = {"error": "LinkUsed", "message": "this link has been used, or is too old", "remedy": REMEDY}


class Answer(NamedTuple):
    """An answer of the API; headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


# method, path with its query, content type, body -> the API's answer; raises no error of its own.
PassOn = Callable[[str, str, str | None, bytes], Answer]


class ConsoleServer(ThreadingHTTPServer):
    """Listens from the beginning; `serve_forever` serves. `about` is what the page tells of the API."""

    daemon_threads = True

    def __init__(self, port: int, about: Mapping[str, Any], pass_on: PassOn) -> None:
        super().__init__((HOST, port), _Handler)
        self.about, self.pass_on = about, pass_on
        self.sessions = Sessions()
        self.places = threading.BoundedSemaphore(MOST_CALLS)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is none."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "flowforge", ""
    timeout = SILENCE_SECONDS
    server: ConsoleServer

    def _answer_call(self) -> None:
        if not self.server.places.acquire(blocking=False):
            self._tell(429, {"error": "Busy", "message": "too many calls at once"})
            return
        try:
            self._route()
        finally:
            self.server.places.release()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _answer_call

    def _route(self) -> None:
        named = {name.lower(): value for name, value in self.headers.items()}
        problem = foreign(named)
        if len(self.headers.get_all("host") or []) != 1 or len(self.headers.get_all("origin") or []) > 1:
            problem = "what is said twice"
        if problem:
            return self._tell(403, {"error": "NotOwn", "message": REFUSAL.format(problem)})
        body = self._body()
        if body is None:
            return None
        if body and (refused := refused_type(self.headers.get("content-type") or "")):
            return self._tell(415, refused)
        path = urlsplit(self.path).path
        if not TARGET.fullmatch(self.path) or self.path.startswith("//"):
            return self._tell(400, {"error": "BadRequest", "message": "not a path of this server"})
        if self.command in ("GET", "HEAD") and (found := page(path)):
            return self._send(200, {"Content-Type": found.content_type, **PAGE_HEADERS}, found.content)
        if (self.command, path) == ("POST", "/console/session"):
            return self._enter(body)
        if not self.server.sessions.knows(bearer_of(self.headers.get("authorization") or "")):
            return self._tell(401, STRANGER)
        if (self.command, path) == ("GET", "/console/about"):
            return self._tell(200, self.server.about)
        # What an HTTP library would resolve must not leave /api/.
        if not path.startswith("/api/") or {".", ".."} & set(unquote(path).split("/")):
            return self._tell(404, {"error": "NotFound", "message": f"nothing at {path[:200]}"})
        answer = self.server.pass_on(self.command, self.path, self.headers.get("content-type"), body)
        kept = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return self._send(answer.status, kept | ANSWER_HEADERS, answer.body)

    def _body(self) -> bytes | None:
        """The body; None where the call has been refused for it."""
        length = self.headers.get("content-length") or "0"
        if self.headers.get("transfer-encoding") or not re.fullmatch(r"[0-9]{1,12}", length):
            self.close_connection = True
            self._tell(411, {"error": "LengthRequired", "message": "send content-length"})
            return None
        if int(length) > MOST_BYTES:
            self.close_connection = True
            self._tell(413, {"error": "TooLarge", "message": f"a body may have {MOST_BYTES:,} bytes"})
            return None
        return self.rfile.read(int(length))

    def _enter(self, body: bytes) -> None:
        token = entered(self.server.sessions, body)
        self._tell(200, {"token": token}) if token else self._tell(401, USED)

    def _tell(self, status: int, document: Mapping[str, Any]) -> None:
        self._send(status, {"Content-Type": "application/json", **ANSWER_HEADERS}, json.dumps(document).encode())

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log of addresses would keep what pages ask."""


def entered(sessions: Sessions, body: bytes) -> str | None:
    """The token for the document `{"code": ...}`; None for a code that is not good, and for any other document."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    code = document.get("code") if isinstance(document, dict) else None
    return sessions.enter(code) if isinstance(code, str) else None
