"""Conversions between SQL Server types, as DuckDB expressions: implicit, CAST, CONVERT with a style, and storing.

`convert` is the only place that knows how a value of one type becomes another. A pair without a rule is refused, so
that no value is changed silently. Rules that need more than one DuckDB function live as macros in `macros.py`.
"""

from dataclasses import dataclass

from .errors import SqlError, not_supported
from .types import BINARIES, CHARACTERS, CLOCK_TYPES, CLR, INTEGERS, UNICODE, SqlType

NVARCHAR_MAX = SqlType("nvarchar", -1)
INT, BIGINT, BIT, FLOAT = SqlType("int"), SqlType("bigint"), SqlType("bit"), SqlType("float")
DATETIME = SqlType("datetime")

# [T-SQL] data type precedence, highest first
_PRECEDENCE = [
    "xml", "sql_variant", "datetimeoffset", "datetime2", "datetime", "smalldatetime", "date", "time", "float", "real",
    "decimal", "money", "smallmoney", "bigint", "int", "smallint", "tinyint", "bit", "ntext", "text", "image",
    "rowversion", "uniqueidentifier", "nvarchar", "nchar", "varchar", "char", "varbinary", "binary", "hierarchyid",
    "geography", "geometry",
]  # fmt: skip
_RANK = {base: rank for rank, base in enumerate(_PRECEDENCE)}
_AS_DECIMAL = {"tinyint": (3, 0), "smallint": (5, 0), "int": (10, 0), "bigint": (19, 0), "bit": (1, 0),
               "money": (19, 4), "smallmoney": (10, 4)}  # fmt: skip
MOMENTS = {"date", "datetime", "smalldatetime"} | CLOCK_TYPES


@dataclass(frozen=True)
class Typed:
    """A DuckDB expression and the SQL Server type of its value; a type of None is the untyped NULL."""

    sql: str
    type: SqlType | None
    nullable: bool = True
    constant: object = None  # the text of a string constant, which converts at compile time


def decimal_shape(sql_type: SqlType) -> tuple[int, int]:
    """(precision, scale) of an exact numeric type."""
    return (sql_type.precision, sql_type.scale) if sql_type.base == "decimal" else _AS_DECIMAL[sql_type.base]


def decimal_of(digits: int, scale: int) -> SqlType:
    """decimal with so many digits before the point, cut to 38 in all."""
    scale = min(scale, 38)
    return SqlType("decimal", 0, max(1, min(38, digits + scale)), scale)


def common_type(first: SqlType | None, second: SqlType | None) -> SqlType | None:
    """The type in which two operands are compared or united."""
    if first is None or second is None or first == second:
        return first or second
    high, low = sorted((first, second), key=lambda item: _RANK[item.base])
    if high.base == "decimal" and low.base in _AS_DECIMAL | {"decimal": None}:
        (p1, s1), (p2, s2) = decimal_shape(high), decimal_shape(low)
        return decimal_of(max(p1 - s1, p2 - s2), max(s1, s2))
    if high.base in CHARACTERS and low.base in CHARACTERS and high.base not in ("xml", "text", "ntext"):
        base = ("nvarchar" if high.base in UNICODE else "varchar") if high.base != low.base else high.base
        return SqlType(base, -1 if -1 in (high.length, low.length) else max(high.length, low.length))
    if high.base in ("varbinary", "binary") and low.base in ("varbinary", "binary"):
        return SqlType(high.base, -1 if -1 in (high.length, low.length) else max(high.length, low.length))
    if high.base in ("datetime2", "datetimeoffset", "time") and low.base in CLOCK_TYPES:
        return SqlType(high.base, 0, 0, max(high.scale, low.scale))
    if high.base in ("datetime2", "datetimeoffset") and low.base == "datetime":
        return SqlType(high.base, 0, 0, 7)
    return high


def quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def convert(value: Typed, target: SqlType, style: int | None = None, attempt: bool = False, storing: str = "") -> Typed:
    """The expression that holds `value` as `target`.

    `attempt` gives NULL instead of a conversion error (TRY_CAST). `storing` names the column into which the value goes:
    text that does not fit then raises 2628 instead of being cut.
    """
    source = value.type
    if source is None:
        return Typed(f"CAST(NULL AS {target.duckdb})", target)
    if source == target:
        return value
    rule = _rule(source, target)
    if rule is None:
        raise SqlError(529, f"Explicit conversion from data type {source} to {target} is not allowed in the stand-in.")
    sql = rule(value, target, style, attempt, storing)
    return Typed(sql, target, value.nullable or attempt)


def _rule(source: SqlType, target: SqlType):
    to, of = target.base, source.base
    if to in CHARACTERS:
        return _to_text
    if to in BINARIES:
        return _to_binary
    if to in INTEGERS or to in ("bit", "decimal", "money", "smallmoney", "real", "float"):
        return (
            _to_number
            if source.is_numeric or of in CHARACTERS or of in BINARIES or of == "sql_variant" or of in MOMENTS
            else None
        )
    if to in MOMENTS:
        return _to_moment if of in MOMENTS or of in CHARACTERS or of in INTEGERS or of == "sql_variant" else None
    if to == "uniqueidentifier":
        return _to_guid if of in CHARACTERS or of == "sql_variant" else None
    if to == "sql_variant":
        return _to_variant if of not in CLR | {"xml", "text", "ntext", "image", "rowversion"} else None
    if to in CLR:
        return _to_clr if of in CHARACTERS or of in BINARIES else None
    return None


def _failed(text: str, attempt: bool) -> str:
    """The fallback argument of a checking macro: NULL for TRY_CAST, else the text of the error to raise."""
    return "NULL" if attempt else quote_text(text)


# --- to numbers


def _to_number(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    source, sql, cast = value.type, value.sql, "TRY_CAST" if attempt else "CAST"
    if source.base in CHARACTERS or source.base == "sql_variant":
        text = f"({sql}).txt" if source.base == "sql_variant" else sql
        return _text_to_number(text, source, target, cast, attempt)
    if source.base in BINARIES:
        if target.base not in INTEGERS:
            raise not_supported(f"the conversion of {source} to {target}")
        return f"binary_to_integer({sql}, {target.payload_width})::{target.duckdb}"
    if source.base in MOMENTS:
        if source.base != "datetime":
            raise SqlError(529, f"Explicit conversion from data type {source} to {target} is not allowed.")
        return f"{cast}(epoch_us({sql}) / 86400000000.0 + 25567 AS {target.duckdb})"
    if target.base == "bit":
        return f"({sql} <> 0)"
    whole = source.base in ("real", "float", "decimal", "money", "smallmoney") and target.base in INTEGERS
    return f"{cast}({f'trunc({sql})' if whole and source.base != 'money' else sql} AS {target.duckdb})"


def _text_to_number(text: str, source: SqlType, target: SqlType, cast: str, attempt: bool) -> str:
    if target.base in INTEGERS:
        fail = _failed(
            f"#245#Conversion failed when converting the {source.base} value '%' to data type {target}.", attempt
        )
        return f"{cast}(text_to_integer({text}, {fail}) AS {target.duckdb})"
    if target.base == "bit":
        fail = _failed(f"#245#Conversion failed when converting the {source.base} value '%' to data type bit.", attempt)
        return f"text_to_bit({text}, {fail})"
    name = "numeric" if target.base == "decimal" else target.base
    number = {"money": 235, "smallmoney": 235}.get(target.base, 8114)
    message = (
        "#235#Cannot convert a char value to money. The char value has incorrect syntax."
        if number == 235
        else f"#8114#Error converting data type {source.base} to {name}."
    )
    return f"{cast}(text_to_number({text}, {_failed(message, attempt)}) AS {target.duckdb})"


# --- to text


def _to_text(value: Typed, target: SqlType, style, attempt: bool, storing: str) -> str:
    source, sql = value.type, value.sql
    if source.base not in CHARACTERS:
        sql = _text_of(sql, source, style)
        longest = {"datetime": 30, "uniqueidentifier": 36}.get(source.base, 0)
        if source.is_numeric and target.length > 0 and not storing:
            return _padded(f"number_fits({sql}, {target.length}, {quote_text(str(source))})", target)
        if 0 < longest <= target.length:
            return _padded(sql, target)
    elif target.length == -1 or target.base in ("text", "ntext", "xml"):
        return sql
    elif 0 < source.length <= target.length:
        return _padded(sql, target) if source.base != target.base or source.length != target.length else sql
    if target.length <= 0:
        return sql
    if storing:
        return _padded(f"text_fits({sql}, {target.length}, {quote_text(storing)})", target)
    return _padded(f"left({sql}, {target.length})", target)


def _padded(sql: str, target: SqlType) -> str:
    return f"rpad({sql}, {target.length}, ' ')" if target.base in ("char", "nchar") else sql


def _text_of(sql: str, source: SqlType, style: int | None) -> str:
    base = source.base
    if base in BINARIES:
        if style in (1, 2):
            return ("'0x' || " if style == 1 else "") + f"hex({sql})"
        return f"decode({sql})"
    if base == "bit":
        return f"CAST(CAST({sql} AS TINYINT) AS VARCHAR)"
    if base in ("money", "smallmoney"):
        return f"CAST(CAST({sql} AS DECIMAL(19,{4 if style == 2 else 2})) AS VARCHAR)"
    if base in ("real", "float"):
        return f"float_text({sql})" if style in (None, 0) else f"CAST({sql} AS VARCHAR)"
    if base == "uniqueidentifier":
        return f"upper(CAST({sql} AS VARCHAR))"
    if base in MOMENTS:
        return _moment_text(sql, source, style)
    if base == "sql_variant":
        return f"({sql}).txt"
    if base in CLR:
        if base != "hierarchyid":
            raise not_supported(f"the conversion of {base} to text")
        return sql
    return f"CAST({sql} AS VARCHAR)"


_STYLES = {
    23: "%Y-%m-%d", 101: "%m/%d/%Y", 102: "%Y.%m.%d", 103: "%d/%m/%Y", 104: "%d.%m.%Y", 105: "%d-%m-%Y",
    108: "%H:%M:%S", 24: "%H:%M:%S", 111: "%Y/%m/%d", 112: "%Y%m%d", 20: "%Y-%m-%d %H:%M:%S", 120: "%Y-%m-%d %H:%M:%S",
}  # fmt: skip


def _moment_text(sql: str, source: SqlType, style: int | None) -> str:
    """A moment as text; styles as CONVERT numbers them. The default is 0 for datetime, 121 for the newer types."""
    base = source.base
    if style is None:
        style = 0 if base in ("datetime", "smalldatetime") else 121
    if base == "datetimeoffset":
        if style not in (121, 21, 25, 126, 127):
            raise not_supported(f"style {style} for datetimeoffset")
        if style == 127:
            return f"ticks_text(({sql}).ticks, {source.scale}, 'T', true) || 'Z'"
        local = f"({sql}).ticks + ({sql}).off * 600000000::BIGINT"
        separator, gap = ("T", "") if style == 126 else (" ", " ")
        return f"ticks_text({local}, {source.scale}, '{separator}', {_true(style == 126)}) || '{gap}' || offset_text(({sql}).off)"
    if base == "time":
        return f"substr(ticks_text({sql}, {source.scale}, ' ', false), 12)"
    if base == "date" and style in (121, 21, 25, 126, 127, 0, 100):
        return f"strftime({sql}, '%Y-%m-%d')" if style not in (0, 100) else f"strftime({sql}, '%b %e %Y')"
    if style in (0, 100):
        return f"datetime_text({as_timestamp(Typed(sql, source))})"
    if style in _STYLES:
        return f"strftime({as_timestamp(Typed(sql, source))}, '{_STYLES[style]}')"
    if style not in (121, 21, 25, 126, 127):
        raise SqlError(281, f"{style} is not a valid style number when converting from {source} to a character string.")
    scale = {"datetime": 3, "smalldatetime": 0 if style in (126, 127) else 3}.get(base, source.scale)
    ticks = sql if base == "datetime2" else f"timestamp_ticks({sql})"
    iso = style in (126, 127)
    suffix = " || 'Z'" if style == 127 and base == "datetimeoffset" else ""
    return f"ticks_text({ticks}, {scale}, '{'T' if iso else ' '}', {_true(iso)})" + suffix


def _true(value: bool) -> str:
    return "true" if value else "false"


# --- to binary, GUID, variant, CLR


def _to_binary(value: Typed, target: SqlType, style, attempt: bool, storing: str) -> str:
    source, sql = value.type, value.sql
    if source.base in CHARACTERS:
        sql = _text_to_binary(value, style, target, attempt)
    elif source.base in INTEGERS or source.base == "bit":
        width = source.payload_width
        sql = f"unhex(right(lpad(hex(CAST({sql} AS BIGINT)), 16, '0'), {2 * width}))"
        if target.base != "varbinary" and target.length > width:
            sql = f"unhex(lpad(hex({sql}), {2 * target.length}, '0'))"
    elif source.base == "uniqueidentifier":
        sql = f"guid_bytes({sql})"
    elif source.base not in BINARIES | CLR or source.base == "hierarchyid":
        raise not_supported(f"the conversion of {source} to {target}")
    if target.base == "binary":
        return f"binary_padded({sql}, {target.length}, {quote_text(storing)})"
    if target.base == "rowversion":
        return f"binary_padded({sql}, 8, '')"
    if target.length > 0 and not 0 < source.length <= target.length:
        return f"binary_cut({sql}, {target.length}, {quote_text(storing)})"
    return sql


def _text_to_binary(value: Typed, style: int | None, target: SqlType, attempt: bool) -> str:
    if style in (1, 2):
        fail = _failed(f"#8114#Error converting data type {value.type.base} to {target.base}.", attempt)
        digits = (
            f"CASE WHEN {value.sql} LIKE '0x%' THEN substr({value.sql}, 3) ELSE 'x' END" if style == 1 else value.sql
        )
        return f"hex_bytes({digits}, {fail})"
    if value.constant is not None:
        encoded = str(value.constant).encode("utf-16le" if value.type.base in UNICODE else "cp1252", "replace")
        return f"unhex('{encoded.hex()}')"
    if value.type.base in UNICODE:
        return f"utf16_bytes({value.sql})"
    return f"encode({value.sql})"


def _to_guid(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    text = f"({value.sql}).txt" if value.type.base == "sql_variant" else value.sql
    return f"{'TRY_CAST' if attempt else 'CAST'}(trim({text}, '{{}} ') AS UUID)"


def _to_variant(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    source = value.type
    text = value.sql if source.base in CHARACTERS else _text_of(value.sql, source, 121 if source.base in MOMENTS else 2)
    return f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE struct_pack(base := '{source.base}', txt := {text}) END"


def _to_clr(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    if target.base == "hierarchyid":
        if value.type.base not in CHARACTERS:
            raise not_supported(f"the conversion of {value.type} to hierarchyid")
        return value.sql
    if value.type.base in CHARACTERS:
        raise not_supported(f"text as {target.base}: use {target.base}::Point(latitude, longitude, SRID)")
    return value.sql


# --- dates and times


def as_timestamp(value: Typed) -> str:
    """A moment as a DuckDB TIMESTAMP (microseconds; the seventh digit is dropped), for date functions."""
    base = value.type.base
    if base in ("datetime", "smalldatetime"):
        return value.sql
    if base == "date":
        return f"CAST({value.sql} AS TIMESTAMP)"
    if base == "time":
        return f"ticks_timestamp({value.sql} + 599266080000000000)"  # on 1900-01-01
    ticks = f"(({value.sql}).ticks + ({value.sql}).off * 600000000::BIGINT)" if base == "datetimeoffset" else value.sql
    return f"ticks_timestamp({ticks})"


def as_ticks(value: Typed) -> str:
    """A moment as 100 ns ticks since 0001-01-01 (datetimeoffset: its local time)."""
    base = value.type.base
    if base == "datetime2":
        return value.sql
    if base == "datetimeoffset":
        return f"(({value.sql}).ticks + ({value.sql}).off * 600000000::BIGINT)"
    if base == "time":
        return f"({value.sql} + 599266080000000000)"
    if base == "datetime":
        return f"datetime_ticks({value.sql})"
    return f"timestamp_ticks({as_timestamp(value)})"


def _to_moment(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    source, base = value.type, target.base
    if source.base in CHARACTERS or source.base == "sql_variant":
        return _text_to_moment(value, target, attempt)
    if source.base in INTEGERS:
        if base not in ("datetime", "smalldatetime"):
            raise SqlError(206, f"Operand type clash: {source} is incompatible with {target}")
        return f"(TIMESTAMP '1900-01-01' + to_days(CAST({value.sql} AS INTEGER)))"
    if source.base == "time" and base == "date" or source.base == "date" and base == "time":
        raise SqlError(529, f"Explicit conversion from data type {source} to {target} is not allowed.")
    if base == "date":
        return f"CAST({as_timestamp(value)} AS DATE)"
    if base in ("datetime", "smalldatetime") and source.base in ("date", "datetime", "smalldatetime"):
        return f"{base}_rounded({as_timestamp(value)})"
    ticks = as_ticks(value)
    if base in ("datetime", "smalldatetime"):
        return f"ticks_{base}({ticks})"
    shown = source.scale if source.base in CLOCK_TYPES else 7 if source.base == "datetime" else 0
    rounded = f"ticks_rounded({ticks}, {10 ** (7 - target.scale)})" if shown > target.scale else ticks
    if base == "time":
        return f"({rounded} % 864000000000)"
    if base == "datetime2":
        return rounded
    offset = f"({value.sql}).off" if source.base == "datetimeoffset" else "CAST(0 AS SMALLINT)"
    return _offset_struct(value.sql, f"{rounded} - {offset} * 600000000::BIGINT", offset)


def _offset_struct(null_test: str, ticks: str, offset: str) -> str:
    return f"CASE WHEN {null_test} IS NULL THEN NULL ELSE struct_pack(ticks := {ticks}, off := {offset}) END"


def _text_to_moment(value: Typed, target: SqlType, attempt: bool) -> str:
    text = f"({value.sql}).txt" if value.type.base == "sql_variant" else value.sql
    fail = _failed("#241#Conversion failed when converting date and/or time from character string.", attempt)
    ticks = f"text_ticks({text}, {fail})"
    unit = 10 ** (7 - target.scale)
    if target.base == "date":
        return f"CAST(ticks_timestamp({ticks}) AS DATE)"
    if target.base in ("datetime", "smalldatetime"):
        out_of_range = f"#242#The conversion of a varchar data type to a {target.base} data type resulted in an out-of-range value."
        return f"ticks_{target.base}(ticks_in_range({ticks}, {_failed(out_of_range, attempt)}, ''))"
    if target.base == "time":
        return f"(ticks_rounded({ticks}, {unit}) % 864000000000)"
    if target.base == "datetime2":
        return f"ticks_rounded({ticks}, {unit})"
    offset = f"text_offset({text})"
    return _offset_struct(text, f"ticks_rounded({ticks}, {unit}) - {offset} * 600000000::BIGINT", offset)
