"""Long polling of one queue, as Lambda's pollers do it.

A poller takes a free slot first and receives only then, so that no message leaves a queue before it can run; it keeps
one long poll on its queue. It survives whatever goes wrong with one batch or one call, and reports it. Deleting is left
to the handler of the messages: a message that nobody deleted comes again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

LONG_POLL_SECONDS = 20
RECEIVE_LIMIT = 10  # SQS's own, messages in one receive

Message = dict[str, Any]


@dataclass(frozen=True)
class Batching:
    """How many messages are handed over at once, and how long they are waited for; the wait ends when `quiet` is set."""

    size: int = RECEIVE_LIMIT
    window_seconds: float = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)


async def poll(
    sqs: Any, url: str, slots: int, batching: Batching,
    handle: Callable[[list[Message]], Awaitable[None]], report: Callable[[str], None],
) -> None:  # fmt: skip
    free, running = asyncio.Semaphore(slots), set()

    async def run(messages: list[Message]) -> None:
        try:
            await handle(messages)
        except Exception as error:
            report(f"{url}: {type(error).__name__}: {error}")
        finally:
            free.release()

    while True:
        await free.acquire()
        try:
            messages = await _receive_batch(sqs, url, batching)
        except Exception as error:
            report(f"{url}: {type(error).__name__}: {error}")
            messages = []
            await asyncio.sleep(1)
        if not messages:
            free.release()
            continue
        task = asyncio.create_task(run(messages))
        running.add(task)
        task.add_done_callback(running.discard)


async def _receive_batch(sqs: Any, url: str, batching: Batching) -> list[Message]:
    """Receive up to a batch: what is there at once, and what comes within the batching window after the first.

    The window is slept through and the queue asked at its end, not for each message as it comes.
    """
    messages = await _receive(sqs, url, batching.size, LONG_POLL_SECONDS)
    if messages and len(messages) < batching.size and batching.window_seconds:
        with suppress(TimeoutError):
            await asyncio.wait_for(batching.quiet.wait(), batching.window_seconds)
    elif batching.size <= RECEIVE_LIMIT:
        return messages
    while messages and len(messages) < batching.size:
        more = await _receive(sqs, url, batching.size - len(messages), 0)
        if not more:
            break
        messages += more
    return messages


async def _receive(sqs: Any, url: str, count: int, wait_seconds: int) -> list[Message]:
    answer = await sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=min(count, RECEIVE_LIMIT), WaitTimeSeconds=wait_seconds,
        MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"],
    )  # fmt: skip
    return answer.get("Messages", [])


async def delete(sqs: Any, url: str, messages: list[Message]) -> None:
    for start in range(0, len(messages), RECEIVE_LIMIT):
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages[start : start + RECEIVE_LIMIT])
        ]
        await sqs.delete_message_batch(QueueUrl=url, Entries=entries)


async def show_again(sqs: Any, url: str, messages: list[Message], *, after_seconds: int = 0) -> None:
    for message in messages:
        await sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=after_seconds
        )
