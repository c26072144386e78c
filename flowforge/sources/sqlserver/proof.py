"""Proof, by constants, that a server prints and joins values as SQL Server's documentation says, before it is trusted with rows.

Lines (see `packing`) and the conversions of `sql_types` rest on CONCAT, REPLACE and the styles of CONVERT. Servers that speak TDS
and are not SQL Server have given `??? 3 ???` for Japanese and money with two decimals, without an error. So each server is asked
once in a process for the text of constants whose text is known, through the very expressions that will read the rows. Guarantees:
where a line differs, rows are read cell by cell; where a conversion differs that a column or cursor needs, the load is refused. A
server that refuses the question has not passed.
"""

from collections.abc import Callable, Iterable
from struct import pack
from typing import Any, NamedTuple

from events.targets import ConnectionReference
from flowforge.domain.errors import Fatal, UnsupportedSource
from flowforge.sources.sqlserver.casts import misfit_condition
from flowforge.sources.sqlserver.failures import describe_reference
from flowforge.sources.sqlserver.packing import line_expression
from flowforge.sources.sqlserver.sql_types import (
    TRANSPORT,
    convert_expression,
    parse_sql_type,
    print_expression,
    select_expression,
)

Ask = Callable[[str], Any]  # runs a statement and returns the first cell of its first row; raises our errors

# Declaration, how a constant of it is written, and its text in a line.
_LINE = (
    ("nvarchar(20)", "N'日本 \"é\" 😀'", '"日本 ""é"" 😀"'),
    ("varchar(10)", "'a,\"b'", '"a,""b"'),
    ("int", "-2147483647", "-2147483647"),
    ("nvarchar(4)", "N''", '""'),
    ("char(4)", "'x'", '"x   "'),
    ("nchar(3)", "N'я'", '"я  "'),
    ("nvarchar(9)", "NULL", ""),
    ("bit", "1", "1"),
    ("tinyint", "255", "255"),
    ("smallint", "-32767", "-32767"),
    ("bigint", "9223372036854775807", "9223372036854775807"),
    ("decimal(38,10)", "-1234567890123456789012345678.0123456789", "-1234567890123456789012345678.0123456789"),
    ("money", "'1234.5678'", "1234.5678"),
    ("smallmoney", "'-0.0001'", "-0.0001"),
    ("date", "'2024-02-29'", "2024-02-29"),
    ("smalldatetime", "'2024-02-29 23:59:00'", "2024-02-29 23:59:00"),
    ("datetime", "'2024-02-29 23:59:59.997'", "2024-02-29 23:59:59.997"),
    ("time(3)", "'23:59:59.123'", "23:59:59.123"),
    ("time(6)", "'23:59:59.123456'", "23:59:59.123456"),
    ("datetime2(0)", "'2024-02-29 23:59:59'", "2024-02-29 23:59:59"),
    ("datetime2(6)", "'0001-01-01 00:00:00.000001'", "0001-01-01 00:00:00.000001"),
    ("datetimeoffset(3)", "'2024-02-29 23:59:59.123 +05:30'", "2024-02-29 18:29:59.123"),
    ("uniqueidentifier", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
)

# What `select_expression` asks for, by base type: a constant of it and the text, bytes or number (as text) that must come.
_TEXTS = {
    "time": (("time(7)", "CONVERT(time(7), '23:59:59.1234567', 121)", "23:59:59.1234567"),),
    "xml": (("xml", "CONVERT(xml, N'<a>я</a>')", "<a>я</a>"),),
    "hierarchyid": (("hierarchyid", "CONVERT(hierarchyid, '/1/2/')", "/1/2/"),),
    "sql_variant": (
        ("sql_variant", "CONVERT(sql_variant, N'日本')", "日本"),
        ("sql_variant", "CONVERT(sql_variant, CONVERT(varchar(9), 'text'))", "text"),
        ("sql_variant", "CONVERT(sql_variant, CONVERT(money, '1234.5678'))", "1234.5678"),
        ("sql_variant", "CONVERT(sql_variant, CONVERT(time(7), '01:02:03.1234567'))", "01:02:03.1234567"),
        ("sql_variant", "CONVERT(sql_variant, CONVERT(varbinary(4), 0x01FF))", "0x01FF"),
        ("sql_variant", "CONVERT(sql_variant, CONVERT(decimal(20,9), '123456789.123456789'))", "123456789.123456789"),
        # SQL Server 2014 has no style 3 and takes it for 0: six digits, without an error.
        ("sql_variant", "CONVERT(sql_variant, CONVERT(float, 1234567.89012345e0))", 1234567.89012345),
    ),
    "geometry": (("geometry", "geometry::STGeomFromText('POINT (1 2 3 4)', 0)", pack("<BI4d", 1, 3001, 1, 2, 3, 4)),),
    "geography": (("geography", "geography::Point(1, 2, 4326)", pack("<BI2d", 1, 1, 2, 1)),),  # WKB has the longitude first
}  # fmt: skip

# A literal of each cursor type, which must come back as it went. Six digits: other servers keep no seventh.
_CURSORS = {
    "rowversion": "0x00000000000007D1",
    "date": "2024-02-29",
    "smalldatetime": "2024-02-29 23:59:00",
    "datetime": "2024-02-29 23:59:59.997",
    "datetime2": "2024-02-29 23:59:59.123456",
    "datetimeoffset": "2024-02-29 23:59:59.123456",
}


# Constants, their type, one that they are cast to, and whether that does not hold them.
_CASTS = (
    ("N'12'", "nvarchar(20)", "int", 0),
    ("N''", "nvarchar(20)", "int", 1),
    ("N'x1'", "nvarchar(20)", "int", 1),
    ("N'1.25'", "nvarchar(20)", "decimal(5,2)", 0),
    ("N'1.255'", "nvarchar(20)", "decimal(5,2)", 1),
    ("N'2024-02-29'", "nvarchar(20)", "date", 0),
    ("N'2024-02-30'", "nvarchar(20)", "date", 1),
    ("N'2024-02-29T23:59:59.12'", "nvarchar(30)", "datetime2(3)", 0),
    ("N'2024-02-29 23:59:59.1234'", "nvarchar(30)", "datetime2(3)", 1),
    ("'1.50'", "decimal(5,2)", "decimal(5,1)", 0),
    ("'1.55'", "decimal(5,2)", "decimal(5,1)", 1),
    ("'3000000000'", "bigint", "int", 1),
    ("'2024-02-29 00:00:00'", "datetime2(3)", "date", 0),
    ("'2024-02-29 00:00:01'", "datetime2(3)", "date", 1),
    ("N'abcde'", "nvarchar(9)", "varchar(5)", 0),
    ("N'abcdef'", "nvarchar(9)", "varchar(5)", 1),
)


class Server(NamedTuple):
    """What a proof holds for: one server and database, as long as the process lives."""

    host: str
    port: int
    database: str


_proved: dict[tuple[Server, str], bool] = {}


def prints_lines(reference: ConnectionReference, ask: Ask) -> bool:
    """Whether the server joins columns into lines without loss."""
    return _passed(
        _server(reference), "lines", ask, line_proof(), lambda line: line == ",".join(text for *_, text in _LINE)
    )


def require_conversions(reference: ConnectionReference, declarations: Iterable[str], ask: Ask) -> None:
    """Raises UnsupportedSource where the server converts a type of these columns otherwise than documented."""
    needed = {
        kind.base
        for kind in map(parse_sql_type, declarations)
        if kind.base in TRANSPORT and (kind.base != "time" or kind.scale == 7)
    }
    for base in sorted(needed & set(_TEXTS)):
        for declared, constant, expected in _TEXTS[base]:
            statement = f"SELECT {select_expression('v.c', declared)} AS shown FROM (SELECT {constant} AS c) AS v"  # noqa: S608
            if not _passed(_server(reference), statement, ask, statement, lambda shown, as_=expected: _is(shown, as_)):
                text = f"0x{expected.hex().upper()}" if isinstance(expected, bytes) else repr(expected)
                raise UnsupportedSource(
                    f"{describe_reference(reference)} does not print {base} as SQL Server does: {constant} must read as {text}",
                    f"leave columns of type {base} out (columns.exclude), or convert them to text by a query or a view",
                )


def require_cursor(reference: ConnectionReference, sql_type: str, ask: Ask) -> None:
    """Raises UnsupportedSource where a cursor's literal would not come back from the server as it went."""
    kind = parse_sql_type(sql_type)
    literal = _CURSORS.get(kind.base, "7")
    if kind.base in ("datetime2", "datetimeoffset"):
        literal = literal[: 19 + min(kind.scale, 6) + (kind.scale > 0)] + (
            " +00:00" if kind.base == "datetimeoffset" else ""
        )
    value = convert_expression(f"'{literal}'", sql_type)
    statement = f"SELECT {print_expression('v.c', sql_type)} AS literal FROM (SELECT {value} AS c) AS v"  # noqa: S608
    if not _passed(_server(reference), statement, ask, statement, lambda printed: _same_value(printed, literal)):
        raise UnsupportedSource(
            f"{describe_reference(reference)} does not print {sql_type} as SQL Server does: {literal} must come back as it is",
            "use a delta column of another type, or a full load",
        )


def require_casts(reference: ConnectionReference, ask: Ask) -> None:
    """Raises UnsupportedSource where the server does not tell values that a cast holds from those that it does not."""
    columns = ", ".join(f"{_constant(declared, written)} AS c{n}" for n, (written, declared, *_) in enumerate(_CASTS))
    flags = (
        f"CASE WHEN {misfit_condition(f'v.c{n}', declared, wanted)} THEN N'1' ELSE N'0' END"
        for n, (_, declared, wanted, _) in enumerate(_CASTS)
    )
    statement = f"SELECT {' + '.join(flags)} AS shown FROM (SELECT {columns}) AS v"  # noqa: S608
    expected = "".join(str(misfit) for *_, misfit in _CASTS)
    if not _passed(_server(reference), "casts", ask, statement, lambda shown: shown == expected):
        raise UnsupportedSource(
            f"{describe_reference(reference)} does not convert values as SQL Server does",
            "leave databaseConfig.cast out, or load a view that casts its columns",
        )


def line_proof() -> str:
    """The statement that shows a line of constants, one of every style that a line can hold."""
    columns = ", ".join(f"{_constant(declared, written)} AS c{n}" for n, (declared, written, _) in enumerate(_LINE))
    fields = [(f"v.c{n}", declared) for n, (declared, _, _) in enumerate(_LINE)]
    return f"SELECT {line_expression(fields)} AS line FROM (SELECT {columns}) AS v"  # noqa: S608


def _constant(declared: str, written: str) -> str:
    style = ", 121" if parse_sql_type(declared).cursor_kind == "timestamp" or declared.startswith("time") else ""
    return f"CONVERT({declared}, {written}{style if written != 'NULL' else ''})"


def _is(shown: Any, expected: str | bytes | float) -> bool:
    if not isinstance(expected, float):
        return shown == expected
    try:
        return float(shown) == expected
    except (TypeError, ValueError):
        return False


def _same_value(printed: Any, literal: str) -> bool:
    """Whether both are one time: a server may print fewer digits, or more, as long as they are zero."""
    return _without_zeros(str(printed)) == _without_zeros(literal)


def _without_zeros(text: str) -> str:
    time, blank, zone = text.partition(" +")
    return (time.rstrip("0") if "." in time else time) + blank + zone


def _server(reference: ConnectionReference) -> Server:
    return Server(reference.host, reference.port, reference.database)


def _passed(server: Server, name: str, ask: Ask, statement: str, fits: Callable[[Any], bool]) -> bool:
    if (server, name) not in _proved:
        try:
            _proved[server, name] = bool(fits(ask(statement)))
        except Fatal:  # the server refuses it
            _proved[server, name] = False
    return _proved[server, name]
