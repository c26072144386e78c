"""The canonical Arrow type of every SQL Server type, and the step from what a driver delivers to it.

Guarantees: the schema follows from declarations alone and is the same whichever driver reads; a conversion is exact
or it raises, with one exception that is stated: datetime2(7) and datetimeoffset(7) lose their seventh digit (cut, not
rounded), since a microsecond timestamp reaches from year 1 to 9999 and a nanosecond one does not.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from flowforge.domain.errors import SourceChanged
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.sql_types import SqlType, parse_sql_type

_FIXED: dict[str, pa.DataType] = {
    "bit": pa.bool_(),
    "tinyint": pa.uint8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "float": pa.float64(),
    "money": pa.decimal128(19, 4),
    "smallmoney": pa.decimal128(10, 4),
    "date": pa.date32(),
    "smalldatetime": pa.timestamp("ms"),
    "datetime": pa.timestamp("ms"),
    "datetime2": pa.timestamp("us"),
    "datetimeoffset": pa.timestamp("us", tz="UTC"),
    "rowversion": pa.binary(8),
    "binary": pa.binary(),
    "varbinary": pa.binary(),
    "image": pa.binary(),
    "geometry": pa.binary(),
    "geography": pa.binary(),
}


def arrow_type(sql_type: str) -> pa.DataType:
    """The canonical Arrow type of a declaration. Raises UnsupportedSource for a type that is not known."""
    kind = parse_sql_type(sql_type)
    if kind.base == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    if kind.base == "time":
        return pa.time64("ns" if kind.scale == 7 else "us")
    return _FIXED.get(kind.base, pa.string())


def arrow_schema(columns: Sequence[SourceColumn]) -> pa.Schema:
    """The canonical schema; each field keeps its declaration as metadata `sql_type`, a derived column `companion_of` too."""
    return pa.schema([pa.field(c.name, arrow_type(c.sql_type), c.nullable, metadata=_notes(c)) for c in columns])


def _notes(column: SourceColumn) -> dict[str, str]:
    cast = {"cast_from": column.cast_from} if column.cast_from else {}
    return {"sql_type": column.sql_type} | cast | ({"companion_of": column.of} if column.of else {})


def canonical_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A driver's batch in the canonical schema, column by column in order.

    Raises SourceChanged for other columns than were described, or values that the described type cannot hold.
    """
    check_columns(batch.schema.names, schema.names)
    arrays = [canonical_array(batch.column(n), field) for n, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def check_columns(returned: Sequence[str], asked: Sequence[str]) -> None:
    """Raises SourceChanged unless the result set has the columns that were described, in their order.

    Case does not matter: some servers list names in lower case and return them as they were written.
    """
    if [name.casefold() for name in returned] != [name.casefold() for name in asked]:
        differing = [n for n in returned if n not in asked] + [n for n in asked if n not in returned]
        raise SourceChanged(
            f"the source returned {len(returned)} columns, {len(asked)} were described"
            f" (differing: {', '.join(differing[:5]) or 'their order'})",
            "the table or query changed while it was read: run the job again",
        )


def times_from_text(texts: pa.Array) -> pa.Array:
    """`12:34:56.1234567` as time64[ns], exactly."""
    stamps = pc.call_function("binary_join_element_wise", ["1970-01-01", texts.cast(pa.string()), " "])
    return pc.cast(stamps, pa.timestamp("ns")).cast(pa.time64("ns"))


def canonical_array(array: pa.Array, field: pa.Field) -> pa.Array:
    """A driver's column in the canonical type of its field. Raises SourceChanged for what that cannot hold."""
    if array.type == field.type:
        return array
    kind = parse_sql_type(field.metadata[b"sql_type"].decode())
    try:
        return _converted(array, field.type, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceChanged(
            f"column {field.name!r} is {kind.declaration}, but {array.type} came and does not fit: {_without_values(error)}",
            "the table changed while it was read: run the job again",
        ) from error


def _converted(array: pa.Array, target: pa.DataType, kind: SqlType) -> pa.Array:
    if kind.base == "uniqueidentifier":
        return pc.call_function("utf8_lower", [array]).cast(target)
    if kind.base == "time" and (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return times_from_text(array)
    if kind.base == "rowversion":
        return array.cast(pa.binary()).cast(target)
    return array.cast(target)


def _without_values(error: Exception) -> str:
    # Arrow quotes the cell that does not fit; messages must not.
    return type(error).__name__
