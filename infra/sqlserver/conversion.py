"""Conversions between SQL Server types, as DuckDB expressions: implicit, CAST, CONVERT with a style, and storing.

`convert` is the only place that knows how a value of one type becomes another. A pair without a rule is refused, so
that no value is changed silently. Rules that need more than one DuckDB function live as macros in `macros.py`.
"""

from dataclasses import replace

from .constants import folded
from .errors import SqlError, not_supported
from .moments import CLASH, clash, to_moment
from .text_conversion import text_of, to_text
from .types import ANSI, BINARIES, CHARACTERS, CLR, INTEGERS, UNICODE, SqlType
from .values import (
    MOMENTS,
    Typed,
    collation_of,
    failed,
    quote_text,
)

LARGE = {"text", "ntext", "xml", "json"}  # which become other texts alone, xml binaries too


def cast(value: Typed, target: SqlType, style: int | None = None, attempt: bool = False) -> Typed:
    """The expression of a CAST or CONVERT that was written. Raises 529 where an implicit conversion raises 206."""
    try:
        return convert(value, target, style, attempt)
    except SqlError as error:
        if error.number != CLASH:
            raise
        names = f"from data type {value.kind.catalog_name} to {target.catalog_name}"
        raise SqlError(529, f"Explicit conversion {names} is not allowed.") from None


def convert(value: Typed, target: SqlType, style: int | None = None, attempt: bool = False, storing: str = "") -> Typed:
    """The expression that holds `value` as `target`. A text keeps its collation, and whether it stands at the value itself.

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
    lost = source.base in UNICODE and target.base in ANSI and not str(value.constant).isascii()
    if value.constant is not None and not lost and style in (None, 120, 121, 126, 127) and value.sql.startswith("'"):
        literal = folded(str(value.constant), target)
        if literal is not None:
            constant = literal[1:-1].replace("''", "'") if target.is_character else None  # with the blanks of a char
            return Typed(literal, target, False, constant)
    sql = rule(value, target, style, attempt, storing)
    if source.base in CHARACTERS and target.base in CHARACTERS:
        target = replace(target, collation=source.collation)
        explicit = collation_of(value)
        sql = f"({sql}{explicit}" if explicit and not sql.endswith(explicit) else sql
    return Typed(sql, target, value.nullable or attempt)


def _rule(source: SqlType, target: SqlType):
    to, of = target.base, source.base
    if of in LARGE and to not in (CHARACTERS | BINARIES if of == "xml" else CHARACTERS):
        return None
    if to in CHARACTERS:
        return to_text
    if to in BINARIES:
        return _to_binary
    if to in INTEGERS or to in ("bit", "decimal", "money", "smallmoney", "real", "float"):
        return (
            _to_number
            if source.is_numeric or of in CHARACTERS or of in BINARIES or of == "sql_variant" or of in MOMENTS
            else None
        )
    if to in MOMENTS:
        return to_moment if of in MOMENTS or of in CHARACTERS or of in INTEGERS or of == "sql_variant" else None
    if to == "uniqueidentifier":
        return _to_guid if of in CHARACTERS or of == "sql_variant" else None
    if to == "sql_variant":
        return _to_variant if of not in CLR | {"xml", "text", "ntext", "image", "rowversion"} else None
    if to in CLR:
        return _to_clr if of in CHARACTERS or of in BINARIES else None
    return None


def _to_number(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    source, sql, verb = value.kind, value.sql, "TRY_CAST" if attempt else "CAST"
    if source.base in CHARACTERS or source.base == "sql_variant":
        text = f"({sql}).txt" if source.base == "sql_variant" else sql
        return _text_to_number(text, source, target, verb, attempt)
    if source.base in BINARIES:
        if target.base not in INTEGERS:
            raise not_supported(f"the conversion of {source} to {target}")
        return f"binary_to_integer({sql}, {target.payload_width})::{target.duckdb}"
    if source.base in MOMENTS:
        if source.base != "datetime":
            raise clash(source, target)
        return f"{verb}(epoch_us({sql}) / 86400000000.0 + 25567 AS {target.duckdb})"
    if target.base == "bit":
        return f"({sql} <> 0)"
    whole = source.base in ("real", "float", "decimal", "money", "smallmoney") and target.base in INTEGERS
    return f"{verb}({f'trunc({sql})' if whole and source.base != 'money' else sql} AS {target.duckdb})"


def _text_to_number(text: str, source: SqlType, target: SqlType, verb: str, attempt: bool) -> str:
    if target.base in INTEGERS:
        fail = failed(
            f"#245#Conversion failed when converting the {source.base} value '%' to data type {target}.", attempt
        )
        return f"{verb}(text_to_integer({text}, {fail}) AS {target.duckdb})"
    if target.base == "bit":
        fail = failed(f"#245#Conversion failed when converting the {source.base} value '%' to data type bit.", attempt)
        return f"text_to_bit({text}, {fail})"
    name = "numeric" if target.base == "decimal" else target.base
    number = {"money": 235, "smallmoney": 235}.get(target.base, 8114)
    message = (
        "#235#Cannot convert a char value to money. The char value has incorrect syntax."
        if number == 235
        else f"#8114#Error converting data type {source.base} to {name}."
    )
    return f"{verb}(text_to_number({text}, {failed(message, attempt)}) AS {target.duckdb})"


def _to_binary(value: Typed, target: SqlType, style, attempt: bool, storing: str) -> str:
    source, sql = value.kind, value.sql
    if source.base in CHARACTERS:
        sql = _text_to_binary(value, style, target, attempt)
    elif source.base in INTEGERS or source.base == "bit":
        width = source.payload_width
        sql = f"unhex(right(lpad(hex(CAST({sql} AS BIGINT)), 16, '0'), {2 * width}))"
        if target.base != "varbinary" and target.length > width:
            sql = f"unhex(lpad(hex({sql}), {2 * target.length}, '0'))"
    elif source.base == "uniqueidentifier":
        sql = f"guid_bytes({sql})"
    elif source.base == "sql_variant":
        sql = f"variant_bytes({sql})"
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
        fail = failed(f"#8114#Error converting data type {value.kind.base} to {target.base}.", attempt)
        digits = (
            f"CASE WHEN {value.sql} LIKE '0x%' THEN substr({value.sql}, 3) ELSE 'x' END" if style == 1 else value.sql
        )
        return f"hex_bytes({digits}, {fail})"
    if value.constant is not None:
        encoded = str(value.constant).encode("utf-16le" if value.kind.base in UNICODE else "cp1252", "replace")
        return f"unhex('{encoded.hex()}')"
    if value.kind.base in UNICODE:
        return f"utf16_bytes({value.sql})"
    return f"encode({value.sql})"


def _to_guid(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    text = f"({value.sql}).txt" if value.kind.base == "sql_variant" else value.sql
    return f"{'TRY_CAST' if attempt else 'CAST'}(trim({text}, '{{}} ') AS UUID)"


def _to_variant(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    source = value.kind
    text = value.sql if source.base in CHARACTERS else text_of(value.sql, source, 121 if source.base in MOMENTS else 2)
    collation = quote_text(source.collation_name) if source.collation_name else "CAST(NULL AS VARCHAR)"
    fields = f"base := '{source.base}', txt := {text}, sort := {collation}"
    return f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE struct_pack({fields}) END"


def _to_clr(value: Typed, target: SqlType, style, attempt: bool, storing) -> str:
    if target.base == "hierarchyid":
        if value.kind.base not in CHARACTERS:
            raise not_supported(f"the conversion of {value.kind} to hierarchyid")
        return value.sql
    if value.kind.base in CHARACTERS:
        raise not_supported(f"text as {target.base}: use {target.base}::Point(latitude, longitude, SRID)")
    return value.sql
