"""SQS: messages that vanish, and a queue that is counted and scanned with a slow clock for every call.

moto's deleting rebuilds the message list outside the lock that sending holds, so a message sent meanwhile vanishes; its receiving
changes shared sets while others iterate over them; its every call scans the queue with a slow clock; and its sending counts the
messages of the queue three times, for attributes of which it reads one.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import moto.sqs.models as sqs
from moto.sqs.exceptions import ReceiptHandleIsInvalid

from infra.local.moto_mendings.edge import put_in_place


def milliseconds() -> float:
    """Return the time since the epoch in milliseconds; moto's own goes through datetime, hundreds of times per receive."""
    return time.time() * 1000


def delete_message_in_place(queue: sqs.Queue, receipt_handle: str) -> None:
    """Delete a message from the queue's list while no other can change it, instead of building a new list."""
    with queue._messages_lock:
        if receipt_handle in queue.deleted_messages:
            return
        for position, message in enumerate(queue._messages):
            if message.had_receipt_handle(receipt_handle):
                queue.pending_messages.discard(message)
                queue.deleted_messages.update(handle for handle in message.all_receipt_handles if handle is not None)
                del queue._messages[position]
                return
        raise ReceiptHandleIsInvalid()


def receive_message_locked(
    backend: sqs.SQSBackend,
    queue_name: str,
    *args: Any,
    _receive: Callable = sqs.SQSBackend.receive_message,
    **kwargs: Any,
) -> list[sqs.Message]:
    """Receive under the queue's lock; its condition variable lets go of the lock for as long as it waits for messages."""
    with backend.get_queue(queue_name)._messages_lock:
        return _receive(backend, queue_name, *args, **kwargs)


_sending = threading.local()


def send_message_uncounted(
    backend: sqs.SQSBackend, *args: Any, _send: Callable = sqs.SQSBackend.send_message, **kwargs: Any
) -> sqs.Message:
    """Send while `attributes_of` gives what sending looks at and nothing else."""
    _sending.now = True
    try:
        return _send(backend, *args, **kwargs)
    finally:
        _sending.now = False


def attributes_of(queue: Any, _all: Any = sqs.Queue.attributes.fget) -> dict[str, Any]:
    """Return a queue's attributes; while a message is sent only those that do not need its messages counted."""
    if getattr(_sending, "now", False):
        return {"ContentBasedDeduplication": str(queue.content_based_deduplication).lower()}
    return _all(queue)


def change_visibility_locked(
    backend: sqs.SQSBackend, queue_name: str, *args: Any,
    _change: Callable = sqs.SQSBackend.change_message_visibility, **kwargs: Any,
) -> None:  # fmt: skip
    """Change a message's visibility under the queue's lock, and wake who waits for one."""
    queue = backend.get_queue(queue_name)
    with queue._messages_lock:
        _change(backend, queue_name, *args, **kwargs)
        queue._messages_lock.notify_all()


def within_retention(backend: sqs.SQSBackend, queue_name: str, message: Any) -> bool:
    """Tell whether a message is young enough, without computing every attribute of its queue as moto does."""
    queue: Any = backend.get_queue(queue_name)
    retention_seconds = int(queue.message_retention_period)
    return milliseconds() - message.sent_timestamp < retention_seconds * 1000


def keep_messages_under_lock() -> None:
    """Put the replacements of this module in place, in this process."""
    put_in_place(sqs, unix_time_millis=milliseconds)
    put_in_place(sqs.Queue, delete_message=delete_message_in_place, attributes=property(attributes_of))
    put_in_place(
        sqs.SQSBackend,
        send_message=send_message_uncounted,
        receive_message=receive_message_locked,
        change_message_visibility=change_visibility_locked,
        is_message_valid_based_on_retention_period=within_retention,
    )
