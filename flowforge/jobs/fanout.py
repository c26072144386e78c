"""Sends commands to their queue, many at a time: one per table, one per slice.

Guarantees: returns only when the queue has accepted every message; entries that it refuses are sent again, then raise.
"""

import asyncio
from collections.abc import Sequence

import aioboto3
from botocore.exceptions import BotoCoreError, ClientError

from events.model import Message
from flowforge.cloud.clients import CONFIG, unavailable
from flowforge.errors import StoreUnavailable

ENTRIES_PER_CALL = 10  # SendMessageBatch's limit
BYTES_PER_CALL = 240_000  # its payload limit is 262,144 bytes, envelope included
CALLS_AT_ONCE = 8
ATTEMPTS = 3


async def send_commands(queue_url: str, commands: Sequence[Message]) -> None:
    """Queues the commands; raises StoreUnavailable when one is not accepted. Sending a command again does no harm."""
    slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(sqs, bodies: list[str]) -> None:
        async with slots:
            await _send(sqs, queue_url, bodies)

    async with aioboto3.Session().client("sqs", config=CONFIG) as sqs:
        try:
            async with asyncio.TaskGroup() as group:
                for bodies in _groups([command.model_dump_json() for command in commands]):
                    group.create_task(one(sqs, bodies))
        except* (ClientError, BotoCoreError) as errors:
            raise unavailable("SQS", errors.exceptions[0]) from errors
        except* StoreUnavailable as errors:
            raise errors.exceptions[0] from errors


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


async def _send(sqs, queue_url: str, bodies: list[str]) -> None:
    pending = {str(n): body for n, body in enumerate(bodies)}
    for attempt in range(ATTEMPTS):
        entries = [{"Id": n, "MessageBody": body} for n, body in pending.items()]
        answer = await sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        pending = {entry["Id"]: pending[entry["Id"]] for entry in answer.get("Failed", [])}
        if not pending:
            return
        await asyncio.sleep(0.2 * 2**attempt)
    raise StoreUnavailable(
        f"SQS did not accept {len(pending)} of {len(bodies)} messages", "The request can be sent again."
    )
