"""Types of columns in words of no source: what crosses from a source to bronze, silver and lineage.

    text                    json is a text too: a nested value as it is written
    bytes
    boolean
    smallint, integer, bigint, real, double     of 16, 32 and 64 bits; of 32 and 64 bits
    decimal(p,s)
    date
    time(n), timestamp(n)                       n digits of seconds; without a zone
    timestamp(n) with zone                      a moment
    other                   what none of these says

Without `(n)` a time has six digits. How long a text may be, and what the source itself calls the type, is the source's.
"""

import re
from functools import cache
from pkgutil import resolve_name
from typing import Any, NamedTuple

SIMPLE = ("text", "json", "bytes", "boolean", "smallint", "integer", "bigint", "real", "double", "date", "other")
TIMES = ("time", "timestamp", "timestamp with zone")
MICROSECONDS = 6  # digits
# Versions before knew one source, and their records have that source's words alone: it reads them.
READER_OF_EARLIER = "flowforge.sources.type_words:earlier_column"

_WRITTEN = re.compile(r"([a-z]+)(?:\((\d+)(?:,(\d+))?\))?( with zone)?")


class ColumnType(NamedTuple):
    """A parsed type; `digits` are those of seconds, `precision` and `scale` a decimal's."""

    base: str
    precision: int = 0
    scale: int = 0
    digits: int = 0


@cache
def parse_type(written: str) -> ColumnType:
    """Parses a type as above. Raises ValueError for another text."""
    match = _WRITTEN.fullmatch(written)
    name, first, second, zone = match.groups() if match else ("", None, None, None)
    base = f"{name}{zone or ''}"
    if base == "decimal" and first:
        return ColumnType(base, int(first), int(second or 0))
    if base in TIMES and second is None:
        return ColumnType(base, digits=MICROSECONDS if first is None else int(first))
    if base in SIMPLE and first is None:
        return ColumnType(base)
    raise ValueError(
        f"{written!r} is no type of a column: write one of {', '.join(SIMPLE)}, decimal(p,s), {', '.join(TIMES)}"
    )


def earlier_column(record: dict[str, Any]) -> dict[str, Any]:
    """What a column's record of a version before leaves out, from what it has."""
    return resolve_name(READER_OF_EARLIER)(record["sql_type"], record.get("default"))
