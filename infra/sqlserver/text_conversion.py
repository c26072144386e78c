"""Values of every type as text: implicit, CAST, CONVERT with a style, and stored in a column."""

import re

from .errors import not_supported
from .moments import moment_text
from .types import ANSI, BINARIES, CHARACTERS, CLR, COLLATION_NAME, UNICODE, SqlType
from .values import MOMENTS, Typed, halves_kept, quote_text

_IN_1252 = re.compile(r"(SQL_)?Latin1_General(?!.*_UTF8).*", re.IGNORECASE)  # collations whose code page that is


def to_text(value: Typed, target: SqlType, style, attempt: bool, storing: str) -> str:
    """A value as the text type `target`; stored in the column `storing`, one that is too long raises 2628."""
    source, sql = value.kind, value.sql
    if source.base in UNICODE and target.base in ANSI and _IN_1252.fullmatch(source.collation or COLLATION_NAME):
        sql = f"database_text({sql})"
    if source.base not in CHARACTERS:
        constant = re.fullmatch(r"unhex\('([0-9A-Fa-f]*)'\)", sql) if target.base in UNICODE and style is None else None
        if constant:  # bytes are the text's own, in UTF-16
            return quote_text(halves_kept(bytes.fromhex(constant[1]).decode("utf-16le", "surrogatepass")))
        sql = text_of(sql, source, style)
        if source.base == "sql_variant" and target.base in ANSI:
            sql = f"database_text({sql})"
        longest = {"datetime": 30, "uniqueidentifier": 36}.get(source.base, 0)
        if source.is_numeric and target.length > 0 and not storing:
            return _padded(f"number_fits({sql}, {target.length}, {quote_text(str(source))})", target)
        if 0 < longest <= target.length:
            return _padded(sql, target)
    elif target.length == -1 or target.base in ("text", "ntext", "xml", "json"):
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


def text_of(sql: str, source: SqlType, style: int | None) -> str:
    """A value of another type as the text of a CONVERT with this style, of whatever length."""
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
        return moment_text(sql, source, style)
    if base == "sql_variant":
        prefix = "'0x'" if style == 1 else "''"
        return f"CASE WHEN ({sql}).base IN ('binary', 'varbinary') THEN {prefix} ELSE '' END || ({sql}).txt"
    if base in CLR:
        if base != "hierarchyid":
            raise not_supported(f"the conversion of {base} to text")
        return sql
    return f"CAST({sql} AS VARCHAR)"
