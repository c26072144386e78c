"""Tables with their columns and keys, as the catalog's own rows tell of them: one table, or all at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from .tables import Column, ForeignKey, Key, Table, Traits
from .types import SqlType

Rows = Callable[..., list[tuple]]  # runs a query with its values

_TABLES = (
    "SELECT o.object_id, s.name, o.name, o.definition, o.object_id IN (SELECT object_id FROM meta.tracked),"
    " o.object_id IN (SELECT source_id FROM meta.captures)"
    " FROM meta.objects o JOIN meta.schemas s USING (schema_id) WHERE o.type IN ('U', 'V')"
)
_COLUMNS = (
    "SELECT object_id, name, base, length, prec, scale, is_nullable, seed, increment, default_text, column_id, default_name,"
    " traits, collation_name FROM meta.columns WHERE {of} ORDER BY object_id, column_id"
)
_KEYS = (
    "SELECT i.object_id, i.name, i.is_primary_key, i.constraint_id IS NOT NULL, i.is_unique, i.index_id, c.column_id"
    " FROM meta.indexes i JOIN meta.index_columns c USING (object_id, index_id)"
    " WHERE {of} AND NOT c.is_included ORDER BY i.object_id, i.index_id, c.ordinal"
)
_HAS_FOREIGN_KEYS = "SELECT 1 FROM meta.foreign_keys f WHERE {of} LIMIT 1"  # few have: planning the joins takes longer
_FOREIGN_KEYS = (
    "SELECT f.parent_object_id, o.name, list(fc.parent_column_id ORDER BY fc.ordinal), s.name, r.name,"
    " list(rc.name ORDER BY fc.ordinal) FROM meta.foreign_keys f JOIN meta.objects o USING (object_id)"
    " JOIN meta.foreign_key_columns fc USING (object_id) JOIN meta.objects r ON r.object_id = f.referenced_object_id"
    " JOIN meta.schemas s ON s.schema_id = r.schema_id"
    " JOIN meta.columns rc ON rc.object_id = r.object_id AND rc.column_id = fc.referenced_column_id"
    " WHERE {of} GROUP BY ALL"
)


def read_table(rows: Rows, named: str, schema: str, name: str) -> Table | None:
    """The table or view that the condition `named` finds by its name and schema; None if there is none."""
    found = rows(f"{_TABLES} AND {named}", name, schema)
    return next(_made(rows, found, "{} = ?", found[0][:1]), None) if found else None


def read_tables(rows: Rows) -> Iterator[Table]:
    """Every table and view, by as many queries as one takes."""
    return _made(rows, rows(_TABLES), "true", ())


def _made(rows: Rows, found: Sequence[tuple], of: str, values: Sequence[int]) -> Iterator[Table]:
    columns = _by_table(rows(_COLUMNS.format(of=of.format("object_id")), *values))
    keys = _by_table(rows(_KEYS.format(of=of.format("i.object_id")), *values))
    of_parent = of.format("f.parent_object_id")
    has_foreign = rows(_HAS_FOREIGN_KEYS.format(of=of_parent), *values)
    foreign = _by_table(rows(_FOREIGN_KEYS.format(of=of_parent), *values) if has_foreign else [])
    for number, schema, table_name, definition, *logs in found:
        own = tuple(map(_column, columns[number]))
        names = {column.column_id: column.name for column in own}
        own_keys = tuple(
            Key(name, _named((row[-1] for row in parts), names), *facts)
            for (name, *facts), parts in groupby(keys[number], lambda row: row[:-1])
        )
        yield Table(
            schema,
            table_name,
            own,
            own_keys,
            tuple(ForeignKey(row[0], _named(row[1], names), row[2], row[3], tuple(row[4])) for row in foreign[number]),
            number,
            definition,
            *logs,
        )


def _by_table(rows: Iterable[tuple]) -> dict[int, list[tuple[Any, ...]]]:
    found = defaultdict(list)
    for number, *row in rows:
        found[number].append(tuple(row))
    return found


def _named(numbers: Iterable[int], names: dict[int, str]) -> tuple[str, ...]:
    return tuple(names[number] for number in numbers)


def _column(row: tuple[Any, ...]) -> Column:
    name, base, length, precision, scale, nullable, seed, increment, default, number, default_name, traits, sort = row
    kind = SqlType(base, length, precision, scale, sort)
    return Column(name, kind, nullable, seed, increment or 1, default, number, default_name, Traits(**traits))
