"""A receiver of OpenLineage events: a real HTTP server on a free loopback port."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.helpers.serving import QuietHandler, serving


class Receiver:
    """Keeps what it is sent, and answers the next `refusals` events with `refusal`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.paths: set[str] = set()
        self.refusals, self.refusal = 0, 503
        self.url = ""

    def refuse(self, times: int, status: int = 503) -> None:
        """From now on the next events are answered with `status`."""
        self.refused.clear()
        self.refusals, self.refusal = times, status

    def take(self, path: str, key: str, event: dict[str, Any]) -> int:
        self.paths.add(path)
        self.keys.add(key)
        if len(self.refused) < self.refusals:
            self.refused.append(event)
            return self.refusal
        self.events.append(event)
        return 201

    def of(self, job: str, kind: str = "COMPLETE") -> list[dict[str, Any]]:
        """The events of a job that it has taken."""
        return [event for event in list(self.events) if (event["job"]["name"], event["eventType"]) == (job, kind)]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serves until the block ends."""
    receiver = Receiver()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = receiver.take(self.path, self.headers.get("authorization", ""), json.loads(body))
            self.send_response(status)
            self.send_header("content-length", "0")
            if 300 <= status < 400:
                self.send_header("location", f"{receiver.url}/elsewhere")
            self.end_headers()

    with serving(Handler, tls) as receiver.url:
        yield receiver
