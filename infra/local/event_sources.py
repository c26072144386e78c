"""The template's SQS event sources: which function gets the messages of which queue, and when one is done.

A message is deleted only after its handler has answered for it, so none is lost however a worker ends; it may come
twice, as on AWS.
"""

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.local.function import Function
from infra.local.queue_polling import Batching, Message, delete, poll, show_again
from infra.local.runtime_api import InvocationFailed
from infra.local.template import REGION

# AWS leaves the messages of a dead worker hidden until their visibility timeout ends, often a quarter of an hour. On a
# laptop somebody waits for it, so they are shown again after this delay: long enough that a worker that dies at once
# does not spin, short enough for a demo. Their receive counts grow all the same, so a poisonous message ends in the
# dead-letter queue as on AWS. Messages that a handler *refused* wait for their timeout, as there.
SHOW_AGAIN_AFTER_SECONDS = 1.0


@dataclass(frozen=True)
class QueueSource:
    """An SQS event source of a function. `slots` is how many of its batches may run at once."""

    url: str
    arn: str
    function: Function
    slots: int
    batch_size: int
    window_seconds: int
    reports_failures: bool


def read_queue_sources(
    resources: Any, functions: dict[str, Function], report: Callable[[str], None]
) -> list[QueueSource]:
    """Return the template's SQS event sources; `functions` is by ARN and by name. Other kinds of source are reported."""
    sources = []
    urls = {attributes["Arn"]: url for url, attributes in map(resources.make, resources.of_kind("AWS::SQS::Queue"))}
    for logical, mapping in resources.of_kind("AWS::Lambda::EventSourceMapping").items():
        arn = mapping["EventSourceArn"]
        if arn not in urls:
            report(f"{logical}: not run here, its source {arn} is no queue of the template")
        elif str(mapping.get("Enabled", True)).lower() != "false":
            if "FilterCriteria" in mapping:
                report(f"{logical}: FilterCriteria are not applied here, the function gets every message")
            function = functions[mapping["FunctionName"]]
            limit = function.settings.concurrency
            sources.append(
                QueueSource(
                    url=urls[arn],
                    arn=arn,
                    function=function,
                    slots=min(int(mapping.get("ScalingConfig", {}).get("MaximumConcurrency", limit)), limit),
                    batch_size=int(mapping.get("BatchSize", 10)),
                    window_seconds=int(mapping.get("MaximumBatchingWindowInSeconds", 0)),
                    reports_failures="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []),
                )
            )
    return sources


class Activity:
    """Whether a function works on messages. A batching window lasts its time on AWS; here somebody waits, so it ends once `none`
    does: nothing more can come then."""

    def __init__(self) -> None:
        self._running, self.none = 0, asyncio.Event()
        self.none.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """For as long as one invocation takes."""
        self._running += 1
        self.none.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self.none.set()


async def poll_queue(sqs: Any, source: QueueSource, activity: Activity, report: Callable[[str], None]) -> None:
    """Feed a queue's messages to its function, for ever."""

    async def handle(messages: list[Message]) -> None:
        records = [as_record(message, source.arn) for message in messages]
        try:
            with activity.one():
                answer = await source.function.invoke({"Records": records})
        except InvocationFailed as failure:
            if failure.died:
                await asyncio.sleep(SHOW_AGAIN_AFTER_SECONDS)
                await show_again(sqs, source.url, messages)
            return
        await delete(sqs, source.url, answered(messages, answer) if source.reports_failures else messages)

    batching = Batching(source.batch_size, source.window_seconds, activity.none)
    await poll(sqs, source.url, source.slots, batching, handle, report)


def answered(messages: list[Message], answer: Any) -> list[Message]:
    """Return the messages of a batch that a handler's answer counts as done (Lambda, "Reporting batch item failures").

    An answer without failures means that all are; an unknown or empty identifier, or an answer of another shape, that none is.
    """
    if answer is None or answer == {}:
        return messages
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if failures is None:
        return messages if isinstance(answer, dict) else []
    failed = [failure.get("itemIdentifier") if isinstance(failure, dict) else None for failure in failures]
    if set(failed) - {message["MessageId"] for message in messages}:
        return []
    return [message for message in messages if message["MessageId"] not in failed]


def as_record(message: Message, queue_arn: str) -> dict[str, Any]:
    """Return a received message in the form in which Lambda gives it to a function ("Using Lambda with Amazon SQS")."""
    names = {"StringValue": "stringValue", "BinaryValue": "binaryValue", "DataType": "dataType"}
    attributes = {
        name: {
            names[key]: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for key, value in attribute.items()
            if key in names
        }
        for name, attribute in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
        "attributes": message.get("Attributes", {}), "messageAttributes": attributes, "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs", "eventSourceARN": queue_arn, "awsRegion": REGION,
    }  # fmt: skip
