"""What sets functions off without being asked directly: queues, and events for which a rule targets a function.

A poller takes a free slot first and receives only then, so that no message leaves a queue before it can run; it
keeps one long poll on its queue. A message is deleted only after its handler has answered for it, so none is lost
however a worker ends; it may come twice, as on AWS.
"""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.function import Function
from infra.local.runtime_api import InvocationFailed
from infra.local.template import REGION

LONG_POLL_SECONDS = 20
RECEIVE_LIMIT = 10  # SQS's own, messages in one receive
# AWS leaves the messages of a dead worker hidden until their visibility timeout ends, often a quarter of an hour. On a
# laptop somebody waits for it, so they are shown again after this delay: long enough that a worker that dies at once
# does not spin, short enough for a demo. Their receive counts grow all the same, so a poisonous message ends in the
# dead-letter queue as on AWS. Messages that a handler *refused* wait for their timeout, as there.
SHOW_AGAIN_AFTER_SECONDS = 1.0
ASYNC_RETRY_SECONDS = 2  # Lambda waits one minute, then two

Message = dict[str, Any]


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


async def poll_queue(sqs: Any, source: QueueSource, report: Callable[[str], None]) -> None:
    """Feed a queue's messages to its function, for ever."""

    async def handle(messages: list[Message]) -> None:
        try:
            answer = await source.function.invoke({"Records": [as_record(message, source.arn) for message in messages]})
        except InvocationFailed as failure:
            if failure.died:
                await asyncio.sleep(SHOW_AGAIN_AFTER_SECONDS)
                await _show_again(sqs, source.url, messages)
            return
        await _delete(sqs, source.url, answered(messages, answer) if source.reports_failures else messages)

    await _poll(sqs, source.url, source.slots, source.batch_size, source.window_seconds, handle, report)


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


async def poll_async_invocations(sqs: Any, url: str, function: Function, report: Callable[[str], None]) -> None:
    """Run a function's asynchronous invocations, with Lambda's retries, for ever.

    An event that fails every time goes to the function's OnFailure destination, or as it is to its dead-letter queue.
    """
    attempts = function.settings.retries + 1

    async def handle(messages: list[Message]) -> None:
        (message,) = messages
        attempt = int(message["Attributes"]["ApproximateReceiveCount"])
        try:
            await function.invoke(json.loads(message["Body"]))
        except InvocationFailed as failure:
            if attempt < attempts:
                await _show_again(sqs, url, messages, after_seconds=ASYNC_RETRY_SECONDS * attempt)
                return
            await _give_up(sqs, function, message["Body"], failure, attempt)
            report(f"{function.settings.logical_id}: gave up on an event after {attempt} attempts: {failure}")
        await _delete(sqs, url, messages)

    await _poll(sqs, url, function.settings.concurrency, 1, 0, handle, report)


async def _give_up(sqs: Any, function: Function, event: str, failure: InvocationFailed, attempts: int) -> None:
    """Send an event that failed for good where the template says (Lambda, "Retaining records of asynchronous invocations")."""
    settings = function.settings
    error = {"errorType": failure.kind, "errorMessage": failure.message}
    record = {
        "version": "1.0", "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "requestContext": {
            "requestId": str(uuid.uuid4()), "functionArn": f"{settings.arn}:$LATEST",
            "condition": "RetriesExhausted", "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(event), "responsePayload": error,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    }  # fmt: skip
    bodies = ((settings.on_failure_arn, json.dumps(record)), (settings.dead_letter_arn, event))
    for arn, body in bodies:
        if arn and ":sqs:" in arn:
            url = (await sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[1]))["QueueUrl"]
            attribute = {"ErrorMessage": {"DataType": "String", "StringValue": failure.message[:1024] or "-"}}
            await sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attribute)


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


async def _poll(
    sqs: Any, url: str, slots: int, batch_size: int, window_seconds: int,
    handle: Callable[[list[Message]], Awaitable[None]], report: Callable[[str], None],
) -> None:  # fmt: skip
    free, running = asyncio.Semaphore(slots), set()

    async def run(messages: list[Message]) -> None:
        try:
            await handle(messages)
        except (BotoCoreError, ClientError, ValueError) as error:
            report(f"{url}: {type(error).__name__}: {error}")
        finally:
            free.release()

    while True:
        await free.acquire()
        try:
            messages = await _receive_batch(sqs, url, batch_size, window_seconds)
        except (BotoCoreError, ClientError) as error:
            report(f"{url}: {type(error).__name__}: {error}")
            messages = []
            await asyncio.sleep(1)
        if not messages:
            free.release()
            continue
        task = asyncio.create_task(run(messages))
        running.add(task)
        task.add_done_callback(running.discard)


async def _receive_batch(sqs: Any, url: str, size: int, window_seconds: int) -> list[Message]:
    """Receive up to a batch: what is there at once, and what comes within the batching window after the first."""
    messages = await _receive(sqs, url, size, LONG_POLL_SECONDS)
    end = time.monotonic() + window_seconds
    while messages and len(messages) < size and (window_seconds or size > RECEIVE_LIMIT):
        wait_seconds = max(0, min(LONG_POLL_SECONDS, round(end - time.monotonic())))
        more = await _receive(sqs, url, size - len(messages), wait_seconds)
        messages += more
        if not more and time.monotonic() >= end - 0.5:
            break
    return messages


async def _receive(sqs: Any, url: str, count: int, wait_seconds: int) -> list[Message]:
    answer = await sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=min(count, RECEIVE_LIMIT), WaitTimeSeconds=wait_seconds,
        MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"],
    )  # fmt: skip
    return answer.get("Messages", [])


async def _delete(sqs: Any, url: str, messages: list[Message]) -> None:
    for start in range(0, len(messages), RECEIVE_LIMIT):
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages[start : start + RECEIVE_LIMIT])
        ]
        await sqs.delete_message_batch(QueueUrl=url, Entries=entries)


async def _show_again(sqs: Any, url: str, messages: list[Message], *, after_seconds: int = 0) -> None:
    for message in messages:
        await sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=after_seconds
        )
