"""Names of column types as a person writes them, and what each is in the lake.

Guarantees: pure. A name means what SQL Server means by it: FLOAT is float(53), 64 bits, and REAL has 32, though DuckDB, which
keeps silver's rows, calls the one DOUBLE and the other FLOAT. A name that means one thing there and another elsewhere is refused
with both names to choose from. `shown` is the way back: no type is printed under a name that would be read as another.
"""

from flowforge.domain.column_types import parse_type
from flowforge.domain.errors import Fatal, UnsupportedSource
from flowforge.sources.type_words import type_meant

LAKE_NAMES = {  # names that are not T-SQL's and can mean one thing only
    "BOOLEAN": "BOOLEAN",
    "BOOL": "BOOLEAN",
    "DOUBLE": "DOUBLE",
    "DOUBLE PRECISION": "DOUBLE",
    "STRING": "VARCHAR",
    "BLOB": "BLOB",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
}
AMBIGUOUS = {
    "TIMESTAMP": "SQL Server's TIMESTAMP is a row version: write DATETIME2 for a time, ROWVERSION for the bytes",
    "NUMBER": "write DECIMAL(precision,scale) for exact numbers, FLOAT for 64 bits, REAL for 32",
}
STORED = {
    "text": "VARCHAR",
    "json": "VARCHAR",
    "bytes": "BLOB",
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "time": "VARCHAR",  # Delta has no time of day
    "timestamp": "TIMESTAMP",
    "timestamp with zone": "TIMESTAMP WITH TIME ZONE",
}
MEANINGS = {
    "BOOLEAN": "true or false",
    "SMALLINT": "whole numbers of 16 bits",
    "INTEGER": "whole numbers of 32 bits",
    "BIGINT": "whole numbers of 64 bits",
    "FLOAT": "floating point of 32 bits, about 7 digits",
    "DOUBLE": "floating point of 64 bits, about 15 digits",
    "VARCHAR": "text of any length",
    "BLOB": "bytes",
    "DATE": "days",
    "TIMESTAMP": "date and time without a zone, to the microsecond",
    "TIMESTAMP WITH TIME ZONE": "moments in UTC, to the microsecond",
}


def lake_type(written: str, column: str) -> str:
    """The DuckDB type of silver that a person means by `written`; raises Fatal with what to write instead."""
    name = " ".join(written.upper().split())
    if name in LAKE_NAMES:
        return LAKE_NAMES[name]
    if name in AMBIGUOUS:
        raise Fatal(f"{written} of column {column} can mean several types", AMBIGUOUS[name])
    try:
        return _stored(type_meant(name), written, column)
    except UnsupportedSource as error:
        raise _unknown(written, column) from error


def _stored(neutral: str, written: str, column: str) -> str:
    kind = parse_type(neutral)
    if kind.base != "decimal":
        return STORED[kind.base]
    if not (1 <= kind.precision <= 38 and kind.scale <= kind.precision):
        raise Fatal(
            f"{written} of column {column} is no type of SQL Server",
            "a DECIMAL has 1 to 38 digits, of which so many at most stand after the point",
        )
    return f"DECIMAL({kind.precision},{kind.scale})"


def _unknown(written: str, column: str) -> Fatal:
    return Fatal(
        f"{written} of column {column} is no type of silver",
        "write the type as SQL Server does, for example NVARCHAR(50), DECIMAL(18,2), FLOAT, REAL, DATETIME2 or BIT",
    )


def shown(kind: str) -> str:
    """A DuckDB type under a name that SQL Server's users cannot misread: 32 bits are REAL, never FLOAT."""
    return "REAL" if kind == "FLOAT" else kind


def meaning(kind: str) -> str:
    """What a column of this DuckDB type holds, in a few words."""
    if kind.startswith("DECIMAL("):
        precision, scale = kind[8:-1].split(",")
        return f"exact numbers of {precision} digits, {scale} of them after the point"
    return MEANINGS.get(kind, kind)
