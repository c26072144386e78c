"""The embedded AWS: moto's server with what moto 5.2.5 lacks, run as `python -m infra.local.moto_server FD [FOLDER]`.

FD is a listening socket that the parent has bound, so that no other server can ever answer in this one's place. With FOLDER,
which nobody else may use, what it holds outlives it (`moto_kept`). It answers to who signs with the AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY that it is started with (`signatures`).

Each replacement below names what goes wrong without it; `tests/local_stack` tells when a newer moto no longer needs it.

SQS: deleting rebuilds the message list outside the lock that sending holds, so a message sent meanwhile vanishes;
receiving changes shared sets while others iterate over them; every call scans the queue with a slow clock; and sending
counts the messages of the queue three times, for attributes of which it reads one.
DynamoDB: a transaction that fails puts back the copy of the table it made at its start, and with it undoes every
write that others made in between; it copies the table once for each operation, and no copy is ever let go
(`moto_memory`). S3: between a conditional write's check and the write another may slip in; objects are copied too
often (`moto_objects`). Both look through all there is for each listing and query (`moto_searches`).
EventBridge: delivery through text templates changes values, drops `account`, ignores `Input`, and delivers for
disabled rules; S3 events all carry one id, are named `eTag`, and reach the rules of every bus.
"""

import functools
import json
import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moto.events.models as events
import moto.s3.notifications as s3_notifications
import moto.sqs.models as sqs
from moto.core import responses
from moto.core.utils import method_names_from_class
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response
from moto.sqs.exceptions import ReceiptHandleIsInvalid
from werkzeug.serving import make_server

from infra.local.aws_calls import CountedCalls
from infra.local.kept import Kept
from infra.local.moto_edge import put_in_place
from infra.local.moto_kept import keep_all_but_items, keep_items
from infra.local.moto_memory import keep_only_what_is_there
from infra.local.moto_objects import store_without_copies
from infra.local.moto_searches import look_no_further
from infra.local.own_calls import OwnCallsOnly
from infra.local.signatures import SignedCallsOnly


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


def one_at_a_time(function: Callable, lock: threading.RLock) -> Callable:
    """Wrap a function so that no two of those that share the lock run at once."""

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return function(*args, **kwargs)

    return locked


def send_to_targets(rule: Any, event: dict[str, Any], transform_input: bool = True) -> None:
    """Deliver an event to a rule's queues in the form that EventBridge documents, or as the target's `Input` says."""
    if rule.state == "DISABLED" or not rule.event_pattern.matches_event(event):
        return
    seconds = event["time"]
    stamp = (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(float(seconds))) if not isinstance(seconds, str) else seconds
    )
    message = {name: value for name, value in event.items() if name != "ingestion-time"} | {"time": stamp}
    for target in rule.targets:
        _, _, _, region, account, queue_name = target["Arn"].split(":", 5)
        sqs.sqs_backends[account][region].send_message(
            queue_name=queue_name,
            message_body=target.get("Input") or json.dumps(message),
            group_id=target.get("SqsParameters", {}).get("MessageGroupId"),
        )


def send_s3_event(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
    """Put an S3 event on the default bus, as the S3 user guide documents it ("EventBridge event message structure")."""
    stored = {"key": key.name, "size": key.size, "etag": key.etag.strip('"'), "sequencer": f"{time.time_ns():016X}"}
    if bucket.is_versioned and key.version_id:
        stored["version-id"] = key.version_id
    event = {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": s3_notifications._detail_type(event_name), "source": "aws.s3",
        "account": account_id, "time": time.time(), "region": bucket.region_name, "resources": [bucket.arn],
        "detail": {
            "version": "0", "bucket": {"name": bucket.name}, "object": stored, "request-id": uuid.uuid4().hex[:16].upper(),
            "requester": account_id, "source-ip-address": "127.0.0.1", "reason": event_name.split(":")[1],
        },
    }  # fmt: skip
    for rule in list(events.events_backends[account_id][bucket.region_name].event_buses["default"].rules.values()):
        send_to_targets(rule, event)


def correct_moto(kept: Kept | None = None) -> None:
    """Put the replacements of this module in place, in this process; with `kept`, what is held is kept there."""
    werkzeug_app.DISABLE_GLOBAL_CORS = True  # else every answer tells every page that it may read it
    # What a request's host and class say never changes, but for each request moto walks through its own source tree.
    DomainDispatcherApplication.get_backend_for_host = functools.cache(DomainDispatcherApplication.get_backend_for_host)
    put_in_place(responses, method_names_from_class=functools.cache(method_names_from_class))
    put_in_place(sqs, unix_time_millis=milliseconds)
    put_in_place(sqs.Queue, delete_message=delete_message_in_place, attributes=property(attributes_of))
    put_in_place(
        sqs.SQSBackend,
        send_message=send_message_uncounted,
        receive_message=receive_message_locked,
        change_message_visibility=change_visibility_locked,
        is_message_valid_based_on_retention_period=within_retention,
    )
    look_no_further()
    if kept is not None:
        keep_items(kept)
    put_in_place(DynamoHandler, call_action=one_at_a_time(DynamoHandler.call_action, threading.RLock()))
    writing = threading.RLock()
    for owner, name in ((S3Response, "put_object"), (S3Response, "_key_response_post"), (S3Backend, "list_objects")):
        setattr(owner, name, one_at_a_time(getattr(owner, name), writing))
    store_without_copies()
    keep_only_what_is_there()
    put_in_place(events.Rule, send_to_targets=send_to_targets)
    put_in_place(s3_notifications, _send_event_bridge_message=send_s3_event)
    if kept is not None:
        keep_all_but_items(kept)


def main() -> None:
    """Serve every service on the given listening socket until killed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    os.umask(0o077)  # there are secrets in what is kept
    correct_moto(Kept(Path(sys.argv[2])) if len(sys.argv) > 2 else None)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        host, port = listener.getsockname()
        app: Any = DomainDispatcherApplication(create_backend_app)
        app.debug = True
        make_server(
            host,
            port,
            OwnCallsOnly(SignedCallsOnly(CountedCalls(app), *keys)),
            threaded=True,
            request_handler=MotoRequestHandler,
            fd=listener.fileno(),
        ).serve_forever()


if __name__ == "__main__":
    main()
