"""The embedded AWS delivers each message, whatever runs at the same time; and stock moto still does not.

The `stock` test interleaves two calls at exactly the place where moto 5.2.5 is wrong. When it fails, that correction in
infra/local/moto_mendings is no longer needed.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import moto.sqs.models as sqs_models
import pytest

from infra.local.moto_mendings.messages import delete_message_in_place
from tests.helpers.waiting import LIMIT_SECONDS

MESSAGES, PRODUCERS, CONSUMERS = 1500, 3, 3


def test_should_deliver_every_message_while_others_are_sent_received_and_deleted(aws):
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="race", Attributes={"VisibilityTimeout": "120"})["QueueUrl"]
    seen, producing = set(), threading.Event()
    producing.set()

    def produce(producer):
        numbers = range(producer, MESSAGES, PRODUCERS)
        for first in range(0, len(numbers), 5):
            entries = [{"Id": str(number), "MessageBody": str(number)} for number in numbers[first : first + 5]]
            assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")

    def consume():
        while True:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            messages = answer.get("Messages", [])
            if not messages and not producing.is_set():
                return
            for message in messages:
                seen.add(int(message["Body"]))
            entries = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
            if entries:
                sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    with ThreadPoolExecutor(PRODUCERS + CONSUMERS) as pool:
        consumers = [pool.submit(consume) for _ in range(CONSUMERS)]
        for producer in [pool.submit(produce, number) for number in range(PRODUCERS)]:
            producer.result()
        producing.clear()
        for consumer in consumers:
            consumer.result()

    assert seen == set(range(MESSAGES))
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == attributes["ApproximateNumberOfMessagesNotVisible"] == "0"


class MessageDuringWhoseDelete(sqs_models.Message):
    """While a delete goes through the list, another thread deletes a second message and sends a third."""

    def __init__(self, look, patience, interloper):
        super().__init__("first", "first")
        self.looks_left, self.patience, self.thread = look, patience, threading.Thread(target=interloper)

    def had_receipt_handle(self, receipt_handle):
        self.looks_left -= 1
        if self.looks_left == 0:
            self.thread.start()
            self.thread.join(timeout=self.patience)
        return super().had_receipt_handle(receipt_handle)


@pytest.mark.parametrize(
    ("delete", "look", "patience", "left"),
    # Stock moto first looks whether it knows the handle, and builds the new list in a second pass. It lets the other thread
    # end meanwhile; the corrected one has it wait for its lock.
    [
        (sqs_models.Queue.delete_message, 2, LIMIT_SECONDS, ["second"]),
        (delete_message_in_place, 1, 0.5, ["third"]),
    ],
    ids=["stock", "corrected"],
)
def test_should_lose_a_message_sent_while_two_are_deleted_in_stock_moto_only(delete, look, patience, left):
    # A class of moto's models makes what its metaclass says: to a type checker, any model.
    queue: Any = sqs_models.Queue("q", "us-east-1", "123456789012")
    second: Any = sqs_models.Message("second", "second")

    def delete_and_send():
        delete(queue, second.receipt_handle)
        queue.add_message(sqs_models.Message("third", "third"))

    first: Any = MessageDuringWhoseDelete(look, patience, delete_and_send)
    for message in (first, second):
        queue.add_message(message)
        message.mark_received()

    delete(queue, first.receipt_handle)

    first.thread.join()
    assert [message.id for message in queue._messages] == left


def test_should_deduplicate_by_content_where_a_queue_says_so_only(aws):
    sqs = aws("sqs")
    kept = {}
    for name, attributes in (
        ("once.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"}),
        ("plain", {}),
    ):
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        group = {"MessageGroupId": "g"} if attributes else {}
        for body in ("a", "a", "b"):
            sqs.send_message(QueueUrl=url, MessageBody=body, **group)
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        kept[name] = int(found["ApproximateNumberOfMessages"])
    assert kept == {"once.fifo": 2, "plain": 3}
