"""Key-value items: plain Python in, plain Python out, over the DynamoDB client.

Numbers come back as int or float; floats go in through Decimal's text form, exactly. Transactions report whether a condition
failed (False) apart from a call that failed (StoreUnavailable, retriable).
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from flowforge.cloud.clients import client, error_code, unavailable

Item = dict[str, Any]
_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


def encode(values: Item) -> dict[str, Any]:
    """Python values as DynamoDB attribute values."""
    return {k: _serialize(Decimal(repr(v)) if isinstance(v, float) else v) for k, v in values.items() if v is not None}


def decode(item: dict[str, Any]) -> Item:
    """DynamoDB attribute values as Python values."""
    return {k: _plain(_deserialize(v)) for k, v in item.items()}


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


def query(table: str, condition: str, values: Item, **options: Any) -> Iterator[Item]:
    """All items of a key condition, page by page; `Limit` in options stops after that many items."""
    limit, seen = options.get("Limit"), 0
    arguments = {"TableName": table, "KeyConditionExpression": condition, "ExpressionAttributeValues": encode(values)}
    arguments |= options if "IndexName" in options else {"ConsistentRead": True, **options}
    while True:
        page = _call("query", **arguments)
        for item in page["Items"]:
            yield decode(item)
            seen += 1
            if limit and seen >= limit:
                return
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def scan(table: str) -> Iterator[Item]:
    """Every item of a small table."""
    arguments: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    while True:
        page = _call("scan", **arguments)
        yield from map(decode, page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def put(table: str, item: Item, condition: str | None = None, values: Item | None = None) -> bool:
    """Writes an item; False when `condition` does not hold."""
    extra = {"ConditionExpression": condition} if condition else {}
    if values:
        extra["ExpressionAttributeValues"] = encode(values)
    return _conditional("put_item", TableName=table, Item=encode(item), **extra)


def delete(table: str, key: Item) -> None:
    """Deletes an item, if it is there."""
    _call("delete_item", TableName=table, Key=encode(key))


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
        "Put": {"TableName": table, "Item": encode(item), **({"ConditionExpression": condition} if condition else {})}
    }


def delete_action(table: str, key: Item) -> dict[str, Any]:
    """A delete as a part of a transaction."""
    return {"Delete": {"TableName": table, "Key": encode(key)}}


def transact(actions: list[dict[str, Any]]) -> bool:
    """Writes all or nothing; False when a condition did not hold or another transaction was at the same items."""
    try:
        client("dynamodb").transact_write_items(TransactItems=actions)
        return True
    except ClientError as error:
        if error_code(error) in ("TransactionCanceledException", "TransactionConflictException"):
            return False
        raise unavailable("DynamoDB", error) from error
    except BotoCoreError as error:
        raise unavailable("DynamoDB", error) from error


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
    try:
        getattr(client("dynamodb"), operation)(**arguments)
        return True
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise unavailable("DynamoDB", error) from error
    except BotoCoreError as error:
        raise unavailable("DynamoDB", error) from error


def _call(operation: str, **arguments: Any) -> dict[str, Any]:
    try:
        return getattr(client("dynamodb"), operation)(**arguments)
    except (ClientError, BotoCoreError) as error:
        raise unavailable("DynamoDB", error) from error
