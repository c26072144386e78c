"""Key-value items: plain Python in, plain Python out, over the DynamoDB client.

Numbers come back as int or float; floats go in through Decimal's text form, exactly. Transactions report whether a condition
failed (False) apart from a call that failed (StoreUnavailable, retriable). An item that is larger than the table takes is
TooLarge, which no retry mends; it is never taken for a condition that did not hold.
"""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, client, error_code, unavailable
from flowforge.domain.errors import FlowForgeError, StoreUnavailable, TooLarge

Item = dict[str, Any]
MOST_BYTES = 400 * 1024  # of an item, names and values (Amazon DynamoDB Developer Guide, "Quotas")
BATCH_ATTEMPTS = 6  # of a read of several items, of which a throttled table may leave some out
CANCELLED = ("TransactionCanceledException", "TransactionConflictException")
_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


def encode(values: Item) -> dict[str, Any]:
    """Python values as DynamoDB attribute values."""
    return {k: _serialize(Decimal(repr(v)) if isinstance(v, float) else v) for k, v in values.items() if v is not None}


def decode(item: dict[str, Any]) -> Item:
    """DynamoDB attribute values as Python values."""
    return {k: _plain(_deserialize(v)) for k, v in item.items()}


def size_of(item: Item) -> int:
    """About how many bytes an item takes: its names and values as UTF-8, a number as its digits."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items() if value is not None)


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return size_of(value) + 3 + len(value)
    if isinstance(value, list):
        return sum(map(_size, value)) + 3 + len(value)
    return len(value) if isinstance(value, bytes) else len(str(value).encode(errors="surrogatepass"))


def _fitting(item: Item) -> Item:
    """The item; raises TooLarge where the table would not take it."""
    if (size := size_of(item)) > MOST_BYTES:
        raise _too_large(f"{item.get('sk')} of {item.get('pk')} takes {size:,} bytes")
    return item


def _too_large(what: str) -> TooLarge:
    return TooLarge(
        f"{what}; the table takes {MOST_BYTES:,} for one item",
        "Shorten what it holds: texts given by hand, a query, the number of columns or models of one table.",
    )


def _failed(error: ClientError) -> FlowForgeError:
    reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons") or []]
    invalid = error_code(error) == "ValidationException" or "ValidationError" in reasons
    return _too_large(f"DynamoDB: {error}") if invalid and "size" in str(error) else unavailable("DynamoDB", error)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


def get(table: str, key: Item) -> Item | None:
    """One item, read consistently; None when there is none."""
    found = _call("get_item", TableName=table, Key=encode(key), ConsistentRead=True)
    return decode(found["Item"]) if found.get("Item") else None


def get_many(table: str, keys: list[Item]) -> list[Item | None]:
    """Items by their keys (pk and sk), each read consistently, a hundred in one call; None for those that are not there.

    They are not read at one moment: what is written meanwhile may be seen in any of them.
    """
    parts = (keys[start : start + 100] for start in range(0, len(keys), 100))
    return [item for part in parts for item in _get_hundred(table, part)]


def _get_hundred(table: str, keys: list[Item]) -> list[Item | None]:
    found: dict[tuple[Any, Any], Item] = {}
    wanted: list[dict[str, Any]] = [encode(key) for key in keys]
    for attempt in range(BATCH_ATTEMPTS):
        answer = _call("batch_get_item", RequestItems={table: {"Keys": wanted, "ConsistentRead": True}})
        for item in map(decode, answer["Responses"].get(table, [])):
            found[item["pk"], item["sk"]] = item
        wanted = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        if not wanted:
            return [found.get((key["pk"], key["sk"])) for key in keys]
        time.sleep(0.05 * 2**attempt)
    raise _throttled(table)


def _throttled(table: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"DynamoDB: {table} is throttled", "The message is delivered again; check the table's capacity."
    )


def query(table: str, condition: str, values: Item, **options: Any) -> Iterator[Item]:
    """All items of a key condition, page by page; `Limit` in options stops after that many items."""
    arguments = {"TableName": table, "KeyConditionExpression": condition, "ExpressionAttributeValues": encode(values)}
    arguments |= options if "IndexName" in options else {"ConsistentRead": True, **options}
    yield from _pages("query", arguments)


def scan(table: str, **options: Any) -> Iterator[Item]:
    """Every item of a small table; `Limit` in options stops after that many."""
    yield from _pages("scan", {"TableName": table, "ConsistentRead": True, **options})


def _pages(operation: str, arguments: dict[str, Any]) -> Iterator[Item]:
    limit, seen = arguments.get("Limit"), 0
    while True:
        page = _call(operation, **arguments)
        for item in page["Items"]:
            yield decode(item)
            seen += 1
            if limit and seen >= limit:
                return
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def put(table: str, item: Item, condition: str | None = None, values: Item | None = None) -> bool:
    """Writes an item; False when `condition` does not hold."""
    extra: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
    if values:
        extra["ExpressionAttributeValues"] = encode(values)
    return _conditional("put_item", TableName=table, Item=encode(_fitting(item)), **extra)


def delete(table: str, key: Item, condition: str | None = None, values: Item | None = None) -> bool:
    """Deletes an item, if it is there; False when `condition` does not hold."""
    extra = {"ConditionExpression": condition, "ExpressionAttributeValues": encode(values or {})} if condition else {}
    return _conditional("delete_item", TableName=table, Key=encode(key), **extra)


def delete_many(table: str, keys: list[Item]) -> None:
    """Deletes items by their keys, in their order as far as calls go: 25 each."""
    _write_many(table, [{"DeleteRequest": {"Key": encode(key)}} for key in keys])


def put_many(table: str, put: list[Item]) -> None:
    """Writes items, whatever was there, in their order as far as calls go: 25 each."""
    _write_many(table, [{"PutRequest": {"Item": encode(_fitting(item))}} for item in put])


def _write_many(table: str, requests: list[dict[str, Any]]) -> None:
    for start in range(0, len(requests), 25):
        wanted = {table: requests[start : start + 25]}
        for attempt in range(BATCH_ATTEMPTS):
            wanted = _call("batch_write_item", RequestItems=wanted).get("UnprocessedItems")
            if not wanted:
                break
            time.sleep(0.05 * 2**attempt)
        else:
            raise _throttled(table)


def update(table: str, key: Item, expression: str, values: Item, condition: str | None = None, **names: str) -> bool:
    """Updates an item; False when `condition` does not hold. `names` are expression names, without their #."""
    return _conditional("update_item", **_update(table, key, expression, values, condition, names))


def update_action(
    table: str, key: Item, expression: str, values: Item, condition: str | None = None, **names: str
) -> dict[str, Any]:
    """The same as a part of a transaction."""
    return {"Update": _update(table, key, expression, values, condition, names)}


def put_action(table: str, item: Item, condition: str | None = None) -> dict[str, Any]:
    """A put as a part of a transaction."""
    return {
        "Put": {
            "TableName": table,
            "Item": encode(_fitting(item)),
            **({"ConditionExpression": condition} if condition else {}),
        }
    }


def delete_action(table: str, key: Item) -> dict[str, Any]:
    """A delete as a part of a transaction."""
    return {"Delete": {"TableName": table, "Key": encode(key)}}


def transact(actions: list[dict[str, Any]]) -> bool:
    """Writes all or nothing; False when a condition did not hold or another transaction was at the same items."""
    with aws_errors("DynamoDB"):
        try:
            client("dynamodb").transact_write_items(TransactItems=actions)
            return True
        except ClientError as error:
            failed = _failed(error)
            if not isinstance(failed, TooLarge) and error_code(error) in CANCELLED:
                return False
            raise failed from error


def _update(
    table: str, key: Item, expression: str, values: Item, condition: str | None, names: dict[str, str]
) -> dict[str, Any]:
    arguments: dict[str, Any] = {"TableName": table, "Key": encode(key), "UpdateExpression": expression}
    if values:
        arguments["ExpressionAttributeValues"] = encode(values)
    if condition:
        arguments["ConditionExpression"] = condition
    if names:
        arguments["ExpressionAttributeNames"] = {f"#{k}": v for k, v in names.items()}
    return arguments


def _conditional(operation: str, **arguments: Any) -> bool:
    with aws_errors("DynamoDB"):
        try:
            getattr(client("dynamodb"), operation)(**arguments)
            return True
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return False
            raise _failed(error) from error


def _call(operation: str, **arguments: Any) -> dict[str, Any]:
    with aws_errors("DynamoDB"):
        return getattr(client("dynamodb"), operation)(**arguments)
