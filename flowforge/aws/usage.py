"""Counts what a delivery uses of AWS: calls by what they are charged as, and seconds.

boto3 tells of each request that it sends, attempts that it repeats included; DynamoDB tells in its answers how many units a call
took, which it is asked for. The engine of silver and gold says what it has asked of S3 (`count`). What delta-rs asks by itself
is not seen.

One message is handled at a time in a process, as in Lambda; the threads that it starts count for it. Outside of a delivery
nothing is counted.
"""

import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from events.usage import Counted, Usage

# By the ids that boto3 names in its hooks.
SERVICES: dict[str, Counted] = {"sqs": "sqs", "eventbridge": "events", "secrets-manager": "secrets"}
READS = ("Get", "Head")  # S3 operations that are charged as GET; Delete and Abort are free
FREE = ("Delete", "Abort")
TELLS_UNITS = frozenset(
    [
        "GetItem",
        "BatchGetItem",
        "Query",
        "Scan",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchWriteItem",
        "TransactWriteItems",
    ]
)
_READING = ("GetItem", "BatchGetItem", "Query", "Scan")


class _Delivery:
    def __init__(self, step: str, attempt: int, cold: bool) -> None:
        self.step, self.attempt, self.cold = step, attempt, cold
        self.since = time.monotonic()
        self.counts: dict[str, int | float] = {}


_lock = threading.Lock()
_under_way: _Delivery | None = None
_started = threading.Event()


@contextmanager
def measured(step: str, attempt: int) -> Iterator[None]:
    """For the block, a delivery is under way, and what this process uses is counted for it."""
    global _under_way  # noqa: PLW0603  threads count for the one delivery of their process
    with _lock:
        _under_way = _Delivery(step, attempt, cold=not _started.is_set())
        _started.set()
    try:
        yield
    finally:
        with _lock:
            _under_way = None


def is_measuring() -> bool:
    """Whether a delivery is under way."""
    return _under_way is not None


def count(what: Counted, times: int | float = 1) -> None:
    """Counts for the delivery that is under way, if one is."""
    with _lock:
        if _under_way is not None and times:
            _under_way.counts[what] = _under_way.counts.get(what, 0) + times


def take() -> Usage | None:
    """What the delivery has used since it began, or since this was asked last; None where none is under way."""
    with _lock:
        if _under_way is None:
            return None
        now, found = time.monotonic(), _under_way
        told = Usage(
            id=uuid.uuid4().hex[:12],
            step=found.step,
            attempt=found.attempt,
            cold=found.cold,
            seconds=round(now - found.since, 3),
            memory_mb=int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 0),
            counts={what: round(times, 1) for what, times in sorted(found.counts.items())},  # units may be halves
        )
        found.since, found.attempt, found.cold = now, 1, False
        found.counts.clear()
        return told


def watch(client: Any) -> None:
    """Has a client of boto3 tell what it sends."""
    service, hooks = client.meta.service_model.service_name, client.meta.events
    hooks.register(f"before-send.{service}", _sent)
    if service == "dynamodb":
        hooks.register("provide-client-params.dynamodb", _ask_for_units)
        hooks.register("after-call.dynamodb", _answered)


def _sent(event_name: str, **_more: Any) -> None:
    service, _, operation = event_name.partition(".")[2].partition(".")
    if service == "s3":
        if not operation.startswith(FREE):
            count("s3_gets" if operation.startswith(READS) else "s3_puts")
    elif service == "dynamodb":
        count("dynamodb_calls")
    elif service in SERVICES:
        count(SERVICES[service])


def _ask_for_units(params: dict[str, Any], model: Any, **_more: Any) -> dict[str, Any] | None:
    return params | {"ReturnConsumedCapacity": "TOTAL"} if model.name in TELLS_UNITS else None


def _answered(parsed: Mapping[str, Any], model: Any, **_more: Any) -> None:
    told: Any = parsed.get("ConsumedCapacity") or []
    each: list[Any] = told if isinstance(told, list) else [told]
    units = sum(float(one.get("CapacityUnits") or 0) for one in each)
    count("dynamodb_reads" if model.name in _READING else "dynamodb_writes", units or 1)
