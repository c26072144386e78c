"""The order of a table's index, kept beside it: moto looks through the whole table and sorts what it finds, for every page.

Guarantees: an order is made by the first query that asks for it, and follows each call that writes, whether or not it succeeds.
It only chooses which items moto looks at: those that may be on the page, with all that are at one place with its last.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from infra.local.moto_mendings.edge import put_in_place
from infra.local.moto_mendings.keeping import ITEM_WRITES, places_written

Key = tuple[Any, Any]  # an item's values of the table's own key, the second None where there is none
Placed = tuple[str, Any, Any]  # of an index with texts: an item's place, and its key


class Order:
    """An index of texts: for each value of its first attribute the items in the order of its second."""

    def __init__(self, names: tuple[str, str]) -> None:
        self._names = names
        self._places: dict[Key, tuple[str, Placed]] = {}
        self._parts: dict[str, list[Placed]] = {}

    def fill(self, table: Table) -> None:
        """Takes in all items of a table."""
        for key, item in items_of(table):
            if told := self._place_of(key, item):
                self._places[key] = told
                self._parts.setdefault(told[0], []).append(told[1])
        for part in self._parts.values():
            part.sort()

    def touch(self, key: Key, item: Any) -> None:
        """Follows what became of one item; None: it is gone."""
        told = None if item is None else self._place_of(key, item)
        before = self._places.pop(key, None)
        if before and before != told:
            part = self._parts[before[0]]
            del part[bisect_left(part, before[1])]
        if told:
            self._places[key] = told
            if before != told:
                insort(self._parts.setdefault(told[0], []), told[1])

    def page(self, value: str, limit: int, start: str | None, forward: bool) -> Iterable[Key]:
        """The keys of `limit` items and one more from a place on, with all that are at one place with the first or the last."""
        part = self._parts.get(value, [])
        if forward:
            first = 0 if start is None else bisect_left(part, (start,))
            last = (0 if start is None else bisect_right(part, start, key=place_of)) + limit + 1
            last = bisect_right(part, part[last][0], key=place_of) if last < len(part) else len(part)
        else:
            last = len(part) if start is None else bisect_right(part, start, key=place_of)
            first = (len(part) if start is None else bisect_left(part, (start,))) - limit - 1
            first = bisect_left(part, (part[first][0],)) if first > 0 else 0
        return [one[1:] for one in part[first:last]]

    def _place_of(self, key: Key, item: Any) -> tuple[str, Placed] | None:
        first, second = (item.attrs.get(name) for name in self._names)
        if first is None or second is None or first.type != "S" or second.type != "S":
            return None
        return first.value, (second.value, *key)


_orders: WeakKeyDictionary[Table, dict[str, Order]] = WeakKeyDictionary()


def place_of(placed: Placed) -> str:
    """Where an item is in the index."""
    return placed[0]


def items_of(table: Table) -> Iterable[tuple[Key, Any]]:
    """All items of a table by their keys."""
    if not table.has_range_key:
        return [((hash_key.value, None), item) for hash_key, item in table.items.items()]
    return [
        ((item.hash_key.value, item.range_key.value), item) for part in table.items.values() for item in part.values()
    ]


def page_of(table: Table, index: Any, value: DynamoType, limit: int, start: Any, forward: bool) -> list[Any] | None:
    """The items that a page of this index looks at; None where the index is of another kind than an order is kept of."""
    names = tuple(key["AttributeName"] for key in index.schema)
    kinds = {one["AttributeName"]: one["AttributeType"] for one in table.attr}
    if len(names) != 2 or any(kinds.get(name) != "S" for name in (*names, *table.table_key_attrs)) or value.type != "S":
        return None
    known = _orders.setdefault(table, {})
    if index.name not in known:
        order = Order(names)
        order.fill(table)
        known[index.name] = order
    begin = start[names[1]]["S"] if start else None
    return [_item(table, key) for key in known[index.name].page(value.value, limit, begin, forward)]


def followed(call: Callable[[DynamoHandler], Any]) -> Callable[[DynamoHandler], Any]:
    """Wrap what answers a call, so that the orders follow what it has written, and what it has put back."""

    def call_action(handler: DynamoHandler) -> Any:
        action = handler.headers.get("X-Amz-Target", "").rpartition(".")[2]
        try:
            return call(handler)
        finally:
            if action in ITEM_WRITES and _orders:
                for name, attributes in places_written(action, handler.body):
                    table = handler.dynamodb_backend.tables.get(name)
                    if table is not None:
                        _follow(table, attributes)

    return call_action


def _follow(table: Table, attributes: dict[str, Any]) -> None:
    orders = _orders.get(table)
    if orders and all(name in attributes for name in table.table_key_attrs):
        hash_key, range_key = table.hash_key_attr, table.range_key_attr
        key = (attributes[hash_key]["S"], attributes[range_key]["S"] if range_key else None)
        for order in orders.values():
            order.touch(key, _item(table, key))


def _item(table: Table, key: Key) -> Any:
    hash_key, range_key = (None if part is None else DynamoType({"S": part}) for part in key)
    found = table.items.get(hash_key)
    return found if range_key is None or found is None else found.get(range_key)


def keep_orders() -> None:
    """Put the replacements of this module in place, in this process; whatever locks a call must be put around them."""
    put_in_place(DynamoHandler, call_action=followed(DynamoHandler.call_action))
