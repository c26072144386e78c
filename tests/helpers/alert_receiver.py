"""A receiver of alerts: a real HTTP server on a free loopback port, which keeps what it is sent as it came."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.helpers.serving import QuietHandler, serving

ALERT_KEY = "a key of many more signs"


@dataclass
class Taken:
    """One call."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class AlertReceiver:
    """Answers with the `answers` one after the other, then with 204."""

    answers: list[int] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    url: str = ""


@contextmanager
def receiving_alerts() -> Iterator[AlertReceiver]:
    """Serves until the block ends."""
    receiver = AlertReceiver()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.taken.append(Taken(self.path, headers, body))
            status = receiver.answers.pop(0) if receiver.answers else 204
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"{receiver.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

    with serving(Handler) as receiver.url:
        yield receiver
