"""An embedded AWS with what the template declares, for tests that send a function its event in this process."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from flowforge.aws.clients import forget_clients
from flowforge.runtime.settings import settings
from infra.local.resources import Resources
from infra.local.template import REGION, expand
from tests.helpers.loads import loads, server, sliced  # noqa: F401 - fixtures of this folder
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, ROOT, embedded_aws


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

    def client(self, service: str) -> Any:
        return boto3.client(service)

    def name(self, logical: str) -> str:
        """What Ref gives: a queue's URL, a table's or bucket's name."""
        return self._resources.make(logical)[0]

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Takes all messages off a queue; bus envelopes are opened to (detail-type, detail)."""
        found, url = [], self.name(queue)
        while (
            batch := self.client("sqs")
            .receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            .get("Messages")
        ):
            for message in batch:
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


@pytest.fixture(scope="package")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    log = tmp_path_factory.mktemp("aws") / "log"
    with pytest.MonkeyPatch.context() as environment, embedded_aws(log) as endpoint:
        for name, value in AWS_VARIABLES.items():
            environment.setenv(name, value)
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        resources = Resources(expand(ROOT / "template.yaml", {}), "flowforge", endpoint, None, tuple(AWS_KEYS.values()))
        resources.create_all()
        for name, value in _environment(resources).items():
            environment.setenv(name, value)
        _forget()
        yield Aws(endpoint, resources)
    _forget()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _environment(resources: Resources) -> dict[str, str]:
    functions = resources.of_kind("AWS::Lambda::Function")
    submit = functions["SubmitJobFunction"]["Environment"]["Variables"]
    return {name: str(value) for name, value in submit.items() if str(value)}


def _forget() -> None:
    """Clients and settings are kept for the life of a process; these tests change what they were made from."""
    forget_clients()
    settings.cache_clear()


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """A name of its own for each call, since all tests share the stack."""
    return lambda prefix: f"{prefix}_{uuid.uuid4().hex[:8]}"
