"""Companion columns: what the canonical type of a column cannot hold, in a column beside it, for requests that ask for it.

A datetimeoffset is an instant in UTC: its offset goes into `<name>_offset_minutes` (smallint). A sql_variant is text: the
type of each value goes into `<name>_base_type` (nvarchar). A geometry or geography is WKB, which has no place for the SRID:
that goes into `<name>_srid` (int). Guarantees: a companion stands after its column, is NULL where that is, and never takes a
name that is taken.
"""

from collections.abc import Sequence
from typing import NamedTuple

from events.request import Companion
from flowforge.errors import UnsupportedSource
from flowforge.source.sql_types import parse_sql_type
from flowforge.state.batch import SourceColumn

LONGEST_NAME = 128  # of an identifier, in characters


class _Form(NamedTuple):
    bases: tuple[str, ...]
    suffix: str
    sql_type: str
    expression: str


_FORMS: dict[Companion, _Form] = {
    "offset": _Form(("datetimeoffset",), "_offset_minutes", "smallint", "CONVERT(smallint, DATEPART(tzoffset, {0}))"),
    "baseType": _Form(
        ("sql_variant",), "_base_type", "nvarchar(128)", "CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY({0}, 'BaseType'))"
    ),
    "srid": _Form(("geometry", "geography"), "_srid", "int", "{0}.STSrid"),
}


def with_companions(columns: Sequence[SourceColumn], asked: Sequence[Companion], where: str) -> list[SourceColumn]:
    """The columns of `where`, each followed by the companion that was asked for and that its type has.

    Raises UnsupportedSource for a companion whose name another column has (in any case), or that is too long a name.
    """
    taken, found = {column.name.lower() for column in columns}, []
    for column in columns:
        found.append(column)
        for kind, form in _FORMS.items():
            if kind not in asked or parse_sql_type(column.sql_type).base not in form.bases:
                continue
            name = column.name + form.suffix
            if name.lower() in taken or len(name) > LONGEST_NAME:
                problem = "is there already" if name.lower() in taken else "is longer than 128 characters"
                raise UnsupportedSource(
                    f"{where}: companionColumns asks for {kind} of {column.name!r}, but the column {name!r} {problem}",
                    f"leave {kind} out of companionColumns, or read the table by a query that renames the column",
                )
            taken.add(name.lower())
            found.append(
                SourceColumn(
                    name=name, sql_type=form.sql_type, nullable=column.nullable, companion=kind, of=column.name
                )
            )
    return found


def companion_expression(kind: Companion, column_sql: str) -> str:
    """The expression of a companion, from its (quoted) column."""
    return _FORMS[kind].expression.format(column_sql)
