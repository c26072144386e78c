"""Which columns a load has the SELECT make another type of, judged by the catalog before anything is claimed or read.

Guarantees: a key or cursor keeps its type, since rows are told apart and ordered by it; so does a column whose values this login
sees masked. A pair of types that is not cast exactly is refused by its column, and so is a server that does not convert as SQL
Server does.
"""

from collections.abc import Mapping, Sequence

from events.targets import SourceTable
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.casts import cast_rule, target_type
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import find_column
from flowforge.sources.sqlserver.neutral_types import neutral_fields
from flowforge.sources.sqlserver.proof import require_casts

CAST = "databaseConfig.cast"


def cast_columns(
    connection: SourceConnection, columns: Sequence[SourceColumn], read: SourceTable, needed: Sequence[str], where: str
) -> list[SourceColumn]:
    """The columns by the types that the request wants; `needed` are keys and cursors, which keep the source's.

    Raises UnknownColumn for a named column that is not read, UnsupportedSource for one that cannot be another type.
    """
    if not read.cast:
        return list(columns)
    own = [column for column in columns if not column.derivation]
    for name in read.cast:
        column = find_column(own, name, where)
        if column.name.lower() in {one.lower() for one in needed}:
            raise UnsupportedSource(
                f"{where}: {CAST} names {column.name!r}, which is a key or a cursor: rows are told apart and ordered by its type",
                "leave it out of cast, or load a view that casts it",
            )
        if column.masked:
            raise UnsupportedSource(
                f"{where}: {CAST} names {column.name!r}, which this login sees masked: a mask is no value",
                "leave it out of cast, or GRANT UNMASK to this login",
            )
    found = as_cast(columns, read.cast, where)
    if any(column.cast_from for column in found):
        require_casts(connection.reference, connection.scalar)
    return found


def as_cast(columns: Sequence[SourceColumn], casts: Mapping[str, str], where: str) -> list[SourceColumn]:
    """The columns, those of `casts` (name at the source -> type) with the type that they are cast to; one that has it already
    stays as it is. Raises UnsupportedSource."""
    wanted = {name.lower(): kind for name, kind in casts.items()}
    return [
        _cast(column, wanted[column.at_source.lower()], where)
        if column.at_source.lower() in wanted and not column.derivation
        else column
        for column in columns
    ]


def _cast(column: SourceColumn, written: str, where: str) -> SourceColumn:
    named = f"{where}: {CAST} of {column.at_source!r}"
    try:
        declared = target_type(written).declaration
        rule = cast_rule(column.sql_type, declared)
    except ValueError as error:
        raise UnsupportedSource(f"{named}: {error}", "correct the type") from None
    except UnsupportedSource as error:
        raise UnsupportedSource(f"{named}: {error}", error.remedy) from None
    if rule.converted == "{0}":
        return column
    fields = neutral_fields(declared)
    collation = column.collation if fields["type"] == "text" else None
    changes = {"sql_type": declared, "cast_from": column.sql_type, "collation": collation, "default": None}
    return column.model_copy(update=changes | fields)
