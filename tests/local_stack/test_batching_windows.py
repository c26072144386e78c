"""A batching window: what comes while functions work is handed over together; once none works, nobody waits for its end."""

import asyncio
from typing import Any

from aiobotocore.session import get_session

from infra.local.event_sources import Activity
from infra.local.queue_polling import Batching, Message, poll
from tests.helpers.servers import AWS_KEYS
from tests.helpers.waiting import wait_for

LONG = 3600  # seconds, which no test waits


async def test_should_hand_over_what_comes_while_functions_work_together_and_at_once_when_none_does(aws):
    batches: asyncio.Queue[list[str]] = asyncio.Queue()

    async def handle(messages: list[Message]) -> None:
        batches.put_nowait(sorted(message["Body"] for message in messages))
        for message in messages:
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def is_received() -> bool:
        names = ["ApproximateNumberOfMessagesNotVisible"]
        return own.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]] != "0"

    own = aws("sqs")
    made: Any = get_session().create_client(
        "sqs", endpoint_url=own.meta.endpoint_url, region_name="us-east-1", **AWS_KEYS
    )
    async with made as sqs:
        url = (await sqs.create_queue(QueueName="windows"))["QueueUrl"]
        activity = Activity()
        polling = asyncio.create_task(poll(sqs, url, 1, Batching(10, LONG, activity.none), handle, print))
        with activity.one():
            await sqs.send_message(QueueUrl=url, MessageBody="a")
            await asyncio.to_thread(wait_for, is_received, "the first message to be received")
            with activity.one():
                await sqs.send_message(QueueUrl=url, MessageBody="b")
            await sqs.send_message(QueueUrl=url, MessageBody="c")
            assert batches.empty()
        assert await batches.get() == ["a", "b", "c"]
        await sqs.send_message(QueueUrl=url, MessageBody="d")
        assert await batches.get() == ["d"]
        polling.cancel()
