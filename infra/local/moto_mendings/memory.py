"""What the embedded AWS keeps in memory: moto holds on to all that ever was, and copies tables for their transactions.

moto notes every object of its models for ever, deleted messages and replaced S3 objects among them. And for each operation of a
transaction it copies the whole table, to put it back should one fail: a run of 600 tables took 17 GB and most of the processor.
Here nothing is noted, and a transaction copies the items that it names.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.common_models import BaseModel
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from infra.local.moto_mendings.edge import put_in_place

Place = tuple[Table, DynamoType, DynamoType | None]

_transaction = threading.local()


def make_unnoted(model: type, *_: Any, **__: Any) -> Any:
    """Make an object of a model, of which moto keeps no note."""
    return object.__new__(model)


def transact_in_place(
    backend: DynamoDBBackend,
    operations: list[dict[str, Any]],
    _transact: Callable = DynamoDBBackend.transact_write_items,
) -> None:
    """Write the items of a transaction, and put them back as they were where one of its operations fails."""
    before = [(place, copy.deepcopy(place[0].get_item(*place[1:]))) for place in places_of(backend, operations)]
    try:
        with tables_stay():
            _transact(backend, operations)
    except BaseException:
        for (table, hash_key, range_key), item in before:
            put_back(table, hash_key, range_key, item)
        raise


def places_of(backend: DynamoDBBackend, operations: list[dict[str, Any]]) -> Iterator[Place]:
    """Yield the table and key of each operation that names both; moto refuses the others."""
    for operation in operations:
        for kind, wanted in operation.items():
            table, key = backend.tables.get(wanted.get("TableName")), wanted.get("Item" if kind == "Put" else "Key", {})
            if table is not None and all(name in key for name in table.table_key_attrs):
                range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr is not None else None
                yield table, DynamoType(key[table.hash_key_attr]), range_key


def put_back(table: Table, hash_key: DynamoType, range_key: DynamoType | None, item: Any) -> None:
    """Make an item what it was before, or none where there was none."""
    if item is None:
        table.delete_item(hash_key, range_key)
    elif range_key is None:
        table.items[hash_key] = item
    else:
        table.items[hash_key][range_key] = item


@contextmanager
def tables_stay() -> Iterator[None]:
    """For the block, a copy of a table is the table itself, on this thread."""
    _transaction.now = True
    try:
        yield
    finally:
        _transaction.now = False


def copy_table(table: Table, memo: dict[int, Any]) -> Table:
    """Copy a table as `copy.deepcopy` does; in a transaction leave it as it is."""
    if getattr(_transaction, "now", False):
        return table
    twin: Any = Table.__new__(type(table))
    memo[id(table)] = twin
    twin.__dict__.update(copy.deepcopy(table.__dict__, memo))
    return twin


def keep_only_what_is_there() -> None:
    """Put the replacements of this module in place, in this process."""
    put_in_place(BaseModel, __new__=make_unnoted)
    put_in_place(Table, __deepcopy__=copy_table)
    put_in_place(DynamoDBBackend, transact_write_items=transact_in_place)
