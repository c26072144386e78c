"""Dates and times: from each of their types, and from text, to every other; and as text in CONVERT's styles."""

from .constants import ticks_of, ticks_text
from .errors import SqlError, not_supported
from .types import CHARACTERS, CLOCK_TYPES, INTEGERS, SqlType
from .values import Typed, failed

CLASH = 206  # the number of what `clash` raises
_STYLES = {
    23: "%Y-%m-%d", 101: "%m/%d/%Y", 102: "%Y.%m.%d", 103: "%d/%m/%Y", 104: "%d.%m.%Y", 105: "%d-%m-%Y",
    108: "%H:%M:%S", 24: "%H:%M:%S", 111: "%Y/%m/%d", 112: "%Y%m%d", 20: "%Y-%m-%d %H:%M:%S", 120: "%Y-%m-%d %H:%M:%S",
}  # fmt: skip


def moment_text(sql: str, source: SqlType, style: int | None) -> str:
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
    if style in (126, 127):
        ticks = sql if base == "datetime2" else f"timestamp_ticks({sql})"
        return f"ticks_text({ticks}, {scale}, 'T', true)"
    if base == "datetime2" and (ticks := ticks_of(sql, source)) is not None:
        return f"'{ticks_text(ticks, scale, ' ')}'"
    return _digits_text(Typed(sql, source), scale)


def _digits_text(value: Typed, digits: int) -> str:
    """As style 121, with so many digits of the second; a few calls, since DuckDB binds each for every statement."""
    shown = f"strftime({as_timestamp(value)}, '%Y-%m-%d %H:%M:%S{'.%f' if digits else ''}')"
    if digits == 0:
        return shown
    if digits == 7:  # a timestamp has six
        seventh = f"CAST({value.sql} % 10 AS VARCHAR)" if value.kind.base == "datetime2" else "'0'"
        return f"({shown} || {seventh})"
    return shown if digits == 6 else f"left({shown}, {len('2000-01-01 00:00:00.') + digits})"


def _true(value: bool) -> str:
    return "true" if value else "false"


def as_timestamp(value: Typed) -> str:
    """A moment as a DuckDB TIMESTAMP (microseconds; the seventh digit is dropped), for date functions."""
    base = value.kind.base
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
    base = value.kind.base
    if base == "datetime" and (ticks := ticks_of(value.sql, value.kind)) is not None:
        return f"CAST({ticks} AS BIGINT)"
    if base == "datetime2":
        return value.sql
    if base == "datetimeoffset":
        return f"(({value.sql}).ticks + ({value.sql}).off * 600000000::BIGINT)"
    if base == "time":
        return f"({value.sql} + 599266080000000000)"
    if base == "datetime":
        return f"datetime_ticks({value.sql})"
    return f"timestamp_ticks({as_timestamp(value)})"


def clash(source: SqlType, target: SqlType) -> SqlError:
    """What an implicit conversion says that there is none."""
    return SqlError(CLASH, f"Operand type clash: {source.catalog_name} is incompatible with {target.catalog_name}")


def to_moment(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    """The DuckDB text that makes a date or time of a value, as T-SQL converts and rounds it. Raises SqlError for other pairs."""
    source, base = value.kind, target.base
    if source.base in CHARACTERS or source.base == "sql_variant":
        return _text_to_moment(value, target, attempt)
    if source.base in INTEGERS:
        if base not in ("datetime", "smalldatetime"):
            raise clash(source, target)
        return f"(TIMESTAMP '1900-01-01' + to_days(CAST({value.sql} AS INTEGER)))"
    if (source.base == "time" and base == "date") or (source.base == "date" and base == "time"):
        raise clash(source, target)
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
    text = f"({value.sql}).txt" if value.kind.base == "sql_variant" else value.sql
    fail = failed("#241#Conversion failed when converting date and/or time from character string.", attempt)
    ticks = f"text_ticks({text}, {fail})"
    unit = 10 ** (7 - target.scale)
    if target.base == "date":
        return f"CAST(ticks_timestamp({ticks}) AS DATE)"
    if target.base in ("datetime", "smalldatetime"):
        kinds = f"The conversion of a varchar data type to a {target.base} data type"
        out_of_range = f"#242#{kinds} resulted in an out-of-range value."
        return f"ticks_{target.base}(ticks_in_range({ticks}, {failed(out_of_range, attempt)}, ''))"
    if target.base == "time":
        return f"(ticks_rounded({ticks}, {unit}) % 864000000000)"
    if target.base == "datetime2":
        return f"ticks_rounded({ticks}, {unit})"
    offset = f"text_offset({text})"
    return _offset_struct(text, f"ticks_rounded({ticks}, {unit}) - {offset} * 600000000::BIGINT", offset)
