"""Derived columns: what the canonical type of a column cannot hold, in a column beside it, for requests that ask for it.

A datetimeoffset is an instant in UTC: its offset goes into `<name>_offset_minutes` (smallint). A sql_variant is text: the
type of each value goes into `<name>_base_type` (nvarchar). A geometry or geography is WKB, which has no place for the SRID:
that goes into `<name>_srid` (int). Unasked, a key's datetime2(7), time(7) or datetimeoffset(7), of which the lake has six digits,
gets its seventh in `<name>_100ns` (smallint): without it two keys could be one. Guarantees: a derived column stands after its
column, is NULL where that is, is masked where that is, and never takes a name that is taken.
"""

from collections.abc import Sequence
from typing import NamedTuple

from events.choices import Derivation
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.source_columns import AnyDerivation, SourceColumn
from flowforge.sources.sqlserver.neutral_types import neutral_fields
from flowforge.sources.sqlserver.sql_types import TIMES, parse_sql_type

LONGEST_NAME = 128  # of an identifier, in characters
EXACT_SCALE = 7  # digits of seconds that the lake has not


class _Form(NamedTuple):
    bases: tuple[str, ...]
    suffix: str
    sql_type: str
    expression: str


_FORMS: dict[AnyDerivation, _Form] = {
    "offset": _Form(("datetimeoffset",), "_offset_minutes", "smallint", "CONVERT(smallint, DATEPART(tzoffset, {0}))"),
    "baseType": _Form(
        ("sql_variant",), "_base_type", "nvarchar(128)", "CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY({0}, 'BaseType'))"
    ),
    "srid": _Form(("geometry", "geography"), "_srid", "int", "{0}.STSrid"),
    "digit": _Form(TIMES, "_100ns", "smallint", "CONVERT(smallint, DATEPART(nanosecond, {0}) / 100 % 10)"),
}


def with_derived_columns(
    columns: Sequence[SourceColumn], asked: Sequence[Derivation], where: str
) -> list[SourceColumn]:
    """The columns of `where`, each followed by the derived column that was asked for and that its type has.

    Raises UnsupportedSource for a derived column whose name another column has (in any case), or that is too long a name.
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
                    f"{where}: derivedColumns asks for {kind} of {column.name!r}, but the column {name!r} {problem}",
                    f"leave {kind} out of derivedColumns, or read the table by a query that renames the column",
                )
            taken.add(name.lower())
            found.append(
                SourceColumn(
                    name=name,
                    sql_type=form.sql_type,
                    **neutral_fields(form.sql_type),
                    nullable=column.nullable,
                    masked=column.masked,
                    derivation=kind,
                    of=column.name,
                )
            )
    return found


def with_key_digits(columns: Sequence[SourceColumn], key: Sequence[str], where: str) -> list[SourceColumn]:
    """The columns of `where`, with the seventh digit beside those of its key that have one.

    Raises UnsupportedSource for a key of sql_variant, which no lake type compares as the server does, and where a name is taken.
    """
    named, taken, found = {name.lower() for name in key}, {column.name.lower() for column in columns}, []
    for column in columns:
        found.append(column)
        if column.derivation or column.name.lower() not in named:
            continue
        kind = parse_sql_type(column.sql_type)
        if kind.base == "sql_variant":
            raise UnsupportedSource(
                f"{where}: the key column {column.name!r} is a sql_variant: as text 1 and '1' would be one key, 1 and 1.0 two",
                "read the table by a query that converts it to one type, and name the key in silverConfig.primaryKey; or take "
                "mergeStrategy append without a deltaColumn, which needs no key",
            )
        if kind.base in TIMES and kind.scale == EXACT_SCALE:
            name = column.name + _FORMS["digit"].suffix
            if name.lower() in taken or len(name) > LONGEST_NAME:
                raise UnsupportedSource(
                    f"{where}: the key column {column.name!r} has seven digits, and {name!r} for the last cannot be made",
                    "read the table by a query that renames the column of that name",
                )
            found.append(
                SourceColumn(
                    name=name,
                    type="smallint",
                    sql_type="smallint",
                    nullable=column.nullable,
                    masked=column.masked,
                    derivation="digit",
                    of=column.name,
                )
            )
    return found


def derived_expression(kind: AnyDerivation, column_sql: str) -> str:
    """The expression of a derived column, from its (quoted) column."""
    return _FORMS[kind].expression.format(column_sql)
