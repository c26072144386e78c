"""What the embedded AWS looks through to answer: moto goes through a whole bucket for each listing, a whole table for each query.

A listing here looks at the names of the keys and no further, but for those below its prefix; a query at the items of its
partition key, or those that its index has for that value: of a page of an index of texts no others than may be on it (`orders`).
"""

import copy
from collections.abc import Callable
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeBucket, S3Backend

from infra.local.moto_mendings.edge import put_in_place
from infra.local.moto_mendings.orders import page_of


def list_below_prefix(
    backend: S3Backend,
    bucket: FakeBucket,
    prefix: str | None,
    *args: Any,
    _list: Callable = S3Backend.list_objects,
    **kwargs: Any,
) -> Any:
    """List a bucket as if it had nothing but the keys below the prefix."""
    if prefix and isinstance(bucket, FakeBucket):
        keys, bucket = bucket.keys, copy.copy(bucket)
        below = ((name, keys.get(name)) for name in list(keys) if name.startswith(prefix))
        put_in_place(bucket, keys={name: key for name, key in below if key is not None})
    return _list(backend, bucket, prefix, *args, **kwargs)


def query_candidates(  # noqa: PLR0917 - moto's own
    table: Table,
    hash_key: DynamoType | None,
    range_comparison: str | None,
    range_keys: list[DynamoType],
    limit: int,
    start: dict[str, Any] | None,
    forward: bool,
    projection: list[list[str]] | None,
    index_name: str | None = None,
    *args: Any,
    _query: Callable = Table.query,
    **kwargs: Any,
) -> Any:
    """Query a table as if it had nothing but the items of the partition key, or those that the index may have."""
    index = next((index for index in table.all_indexes() if index.name == index_name), None)
    candidates = copy.copy(table)
    if index is not None:
        found = None
        if hash_key is not None and limit and not range_comparison:
            found = page_of(table, index, hash_key, limit, start, forward)
        if found is None:
            found = items_with(table, [key["AttributeName"] for key in index.schema], hash_key)
        put_in_place(candidates, items=as_kept(table, found))
    elif hash_key is not None and not index_name:
        put_in_place(candidates, items={hash_key: table.items[hash_key]} if hash_key in table.items else {})
    return _query(
        candidates,
        hash_key,
        range_comparison,
        range_keys,
        limit,
        start,
        forward,
        projection,
        index_name,
        *args,
        **kwargs,
    )


def items_with(table: Table, names: list[str], value: DynamoType | None) -> list[Any]:
    """The table's items that have all attributes, the first of them with the value if one is given."""
    first, *others = names
    parts: Any = table.items.values() if table.has_range_key else [table.items]
    return [
        item
        for part in parts
        for item in part.values()
        if (own := item.attrs.get(first)) is not None
        and (value is None or _is(own, value))
        and all(name in item.attrs for name in others)
    ]


def _is(one: DynamoType, other: DynamoType) -> bool:
    return one.type == other.type and (one.value == other.value or (one.type == "N" and one == other))


def as_kept(table: Table, found: list[Any]) -> dict[Any, Any]:
    """Items as a table keeps them: by their keys."""
    if not table.has_range_key:
        return {item.hash_key: item for item in found}
    kept: dict[Any, dict[Any, Any]] = {}
    for item in found:
        kept.setdefault(item.hash_key, {})[item.range_key] = item
    return kept


def look_no_further() -> None:
    """Put the replacements of this module in place, in this process."""
    put_in_place(S3Backend, list_objects=list_below_prefix)
    put_in_place(Table, query=query_candidates)
