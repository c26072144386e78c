"""Lambda's asynchronous invocations: what happens when a rule targets a function.

As Lambda does, the event waits in a queue of the function's own, is tried again when the function fails, and goes to
the failure destination that the template names when it fails every time.
"""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from infra.local.function import Function
from infra.local.queue_polling import Batching, Message, delete, poll, show_again
from infra.local.runtime_api import InvocationFailed

RETRY_SECONDS = 2  # Lambda waits one minute, then two


async def poll_invocations(sqs: Any, url: str, function: Function, report: Callable[[str], None]) -> None:
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
                await show_again(sqs, url, messages, after_seconds=RETRY_SECONDS * attempt)
                return
            await _give_up(sqs, function, message["Body"], failure, attempt)
            report(f"{function.settings.logical_id}: gave up on an event after {attempt} attempts: {failure}")
        await delete(sqs, url, messages)

    await poll(sqs, url, function.settings.concurrency, Batching(size=1), handle, report)


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
