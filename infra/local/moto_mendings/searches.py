"""What the embedded AWS looks through to answer: moto goes through a whole bucket for each listing, a whole table for each query.

A listing here looks at the names of the keys and no further, but for those below its prefix; a query at the items of its
partition key, or those that have its index's attributes, and sorts no others.
"""

import copy
from collections.abc import Callable
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeBucket, S3Backend

from infra.local.moto_mendings.edge import put_in_place


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
        put_in_place(candidates, items=items_with(table, [key["AttributeName"] for key in index.schema]))
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


def items_with(table: Table, names: list[str]) -> dict[DynamoType, Any]:
    """The table's items that have all attributes, under their keys."""

    def has_all(item: Any) -> bool:
        return all(name in item.attrs for name in names)

    if not table.has_range_key:
        return {key: item for key, item in table.items.items() if has_all(item)}
    return {key: {place: item for place, item in part.items() if has_all(item)} for key, part in table.items.items()}


def look_no_further() -> None:
    """Put the replacements of this module in place, in this process."""
    put_in_place(S3Backend, list_objects=list_below_prefix)
    put_in_place(Table, query=query_candidates)
