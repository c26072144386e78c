"""Sends commands to their queue, many at a time: one per table, one per slice.

Guarantees: returns only when the queue has accepted every message; entries that it refuses are sent again, then raise. Calls run
in threads on the deployment's own client, and not on an asynchronous one: importing that costs more CPU than ten thousand
messages take to build.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from events.model import Message
from flowforge.aws.clients import aws_errors, client
from flowforge.domain.errors import StoreUnavailable

ENTRIES_PER_CALL = 10  # SendMessageBatch's limit
BYTES_PER_CALL = 240_000  # its payload limit is 262,144 bytes, envelope included
CALLS_AT_ONCE = 8  # below the ten connections that a client keeps
ATTEMPTS = 3


def send_commands(queue_url: str, commands: Sequence[Message]) -> None:
    """Queues the commands; raises StoreUnavailable when one is not accepted. Sending a command again does no harm."""
    groups = _groups([command.model_dump_json() for command in commands])
    if not groups:
        return
    with ThreadPoolExecutor(min(CALLS_AT_ONCE, len(groups))) as threads:
        try:
            with aws_errors("SQS"):
                for _ in threads.map(partial(_send, client("sqs"), queue_url), groups):
                    pass
        finally:
            threads.shutdown(cancel_futures=True)


def _groups(bodies: list[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    size = 0
    for body in bodies:
        length = len(body.encode())
        if groups[-1] and (len(groups[-1]) == ENTRIES_PER_CALL or size + length > BYTES_PER_CALL):
            groups.append([])
            size = 0
        groups[-1].append(body)
        size += length
    return [group for group in groups if group]


def _send(sqs: Any, queue_url: str, bodies: list[str]) -> None:
    pending = {str(n): body for n, body in enumerate(bodies)}
    for attempt in range(ATTEMPTS):
        entries = [{"Id": n, "MessageBody": body} for n, body in pending.items()]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        pending = {entry["Id"]: pending[entry["Id"]] for entry in answer.get("Failed", [])}
        if not pending:
            return
        time.sleep(0.2 * 2**attempt)
    raise StoreUnavailable(
        f"SQS did not accept {len(pending)} of {len(bodies)} messages",
        "The sweeper queues the rest within minutes (flowforge status shows the run); sent again, it would be a second run.",
    )
