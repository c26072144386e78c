"""How the embedded AWS speaks HTTP: a connection stays open from one call to the next, as AWS' own do.

Werkzeug's handler ends each connection and then looks whether its caller still sends: both sides then pay for a connection and a
thread with every call, most of what a small one takes. Here a thread serves a connection until the caller closes it, or asks for
its end.

Python's server reads a request's headers with its parser of e-mails, a twelfth of what a small call takes. Here headers in the
form in which clients send them are taken apart at their colons, all others by that parser.
"""

import http.client
from collections.abc import Iterable
from email.parser import Parser
from http import HTTPStatus
from io import BufferedIOBase
from traceback import format_exc
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import LimitedStream

BUFFER_BYTES = 2**16
DRAINED_BYTES = (
    2**26
)  # what of a request's body nobody has read is read away up to this; where more is left, the connection ends
WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Headers(http.client.HTTPMessage):
    """A request's headers, read as they are: texts of Latin-1 need no policy of e-mails."""

    _headers: list[tuple[str, str]]

    def items(self) -> list[tuple[str, str]]:
        return list(self._headers)


def read_headers(file: BufferedIOBase, _class: type[http.client.HTTPMessage] = Headers) -> http.client.HTTPMessage:
    """What `http.client.parse_headers` gives, and raises."""
    lines = [line.decode("iso-8859-1") for line in http.client._read_headers(file)]  # pyright: ignore[reportAttributeAccessIssue] - not in its stubs
    headers = _class()
    for line in lines[:-1]:
        name, colon, value = line.removesuffix("\r\n").partition(":")
        usual = colon and name.isascii() and name.isprintable() and " " not in name and line.endswith("\r\n")
        if not (usual and name) or "\r" in value:
            return Parser(_class=_class).parsestr("".join(lines))
        headers._headers.append((name, value.lstrip(" \t")))  # pyright: ignore[reportAttributeAccessIssue] - where it keeps them
    return headers


class KeptConnections(MotoRequestHandler):
    """Answers one call after another on a connection."""

    MessageClass = Headers
    protocol_version = "HTTP/1.1"
    wbufsize = BUFFER_BYTES  # an answer's head and a small body leave in one piece
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request by the server's application."""
        environ = self.make_environ()
        body: Any = environ["wsgi.input"]
        if body is self.rfile:  # not in chunks
            body = LimitedStream(body, int(environ.get("CONTENT_LENGTH") or 0))
        environ |= {"wsgi.input": body, "wsgi.input_terminated": True}
        self._send(*self._answer(environ))
        if not drained(body):
            self.close_connection = True

    def _answer(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        """The application's status line, headers and content; 500 where it fails, and its log says why."""
        told: list[Any] = []
        written: list[bytes] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            told[:] = status, headers
            return written.append

        try:
            content = joined(self.server.app(environ, start_response))
            status, headers = told
        except Exception:
            self.server.log("error", f"Error on request:\n{format_exc()}")
            return "500 Internal Server Error", [("Connection", "close")], b""
        return status, headers, b"".join(written) + content if written else content

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        named = {name.lower() for name, _ in headers}
        # Strict clients refuse a header that is there twice.
        if "server" not in named:
            self.send_header("Server", self.version_string())
        if "date" not in named:
            self.send_header("Date", self.date_time_string())
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in named and self.command != "HEAD" and int(code) not in WITHOUT_BODY:
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection and "connection" not in named:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def handle_expect_100(self) -> bool:
        """Ask for the body; the caller waits for that."""
        answered = super().handle_expect_100()
        self.wfile.flush()
        return answered

    def log_request(self, *_: Any) -> None:
        """Say nothing of requests that went well."""


def joined(parts: Iterable[bytes]) -> bytes:
    """An application's answer as one."""
    try:
        return b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()


def drained(body: Any) -> bool:
    """Reads away what is left of a request's body; whether all of it was."""
    try:
        return any(not body.read(BUFFER_BYTES) for _ in range(DRAINED_BYTES // BUFFER_BYTES + 1))
    except (ClientDisconnected, OSError):
        return False
