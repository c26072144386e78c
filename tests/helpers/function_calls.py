"""What a function has around it: the runtime's context, and the resources that the template declares."""

import json
import os
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from infra.local.aws_calls import ask_for_calls
from infra.local.resources import Resources
from infra.local.template import REGION
from tests.helpers.servers import AWS_KEYS, OTHER_AWS


@dataclass(frozen=True)
class Context:
    """What the runtime gives a handler beside the event."""

    function_name: str = "test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:123456789012:function:test"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Aws:
    """The stack's resources and what tests ask of them."""

    def __init__(self, endpoint: str, resources: Resources):
        self.endpoint, self._resources = endpoint, resources
        self.since_ms = 0  # what was sent before is of an earlier test, which shared the queues
        self._session, self._clients = boto3.Session(), dict[tuple[str, str], Any]()

    def client(self, service: str) -> Any:
        """A client of where the environment says, kept: to make one takes 20 ms of CPU and more."""
        where = service, os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL", "")
        if where not in self._clients:
            self._clients[where] = self._session.client(service)
        return self._clients[where]

    def close(self) -> None:
        for one in self._clients.values():
            one.close()

    def name(self, logical: str) -> str:
        """What Ref gives: a queue's URL, a table's or bucket's name."""
        return self._resources.make(logical)[0]

    def calls(self, *, by_caller: bool = False) -> dict[str, Any]:
        """How often each operation was asked for, which the embedded AWS alone tells; another one skips the test."""
        if os.environ.get(OTHER_AWS):
            pytest.skip("the calls of another AWS are not counted")
        return ask_for_calls(self.endpoint, *AWS_KEYS.values(), by_caller=by_caller)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Takes all messages off a queue and returns this test's; bus envelopes are opened to (detail-type, detail)."""
        found, url = [], self.name(queue)
        while (
            batch := self.client("sqs")
            .receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            .get("Messages")
        ):
            for message in batch:
                if int(message["Attributes"]["SentTimestamp"]) >= self.since_ms:
                    found.append(message | {"body": _parsed(message["Body"])})
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def announced(self, queue: str = "TrackQueue") -> list[tuple[str, dict[str, Any]]]:
        """The events that a queue has got from the bus."""
        return [(m["body"]["detail-type"], m["body"]["detail"]) for m in self.messages(queue)]

    def use(self, queue: str, dead_letters: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Gives this process the queue variables that the template gives one function."""
        monkeypatch.setenv("FLOWFORGE_QUEUE_URL", self.name(queue))
        monkeypatch.setenv("FLOWFORGE_DEAD_LETTER_QUEUE_URL", self.name(dead_letters))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
