"""Types as a source's people write them, and as records of earlier versions have them, in neutral words."""

from functools import cache
from typing import Any

from flowforge.sources.sqlserver import neutral_types


@cache
def earlier_column(declaration: str, default: str | None) -> dict[str, Any]:
    """The neutral fields of a column in a record of a version before, which knew SQL Server only."""
    return neutral_types.neutral_fields(declaration, default)


def type_meant(written: str) -> str:
    """The neutral type that a person means by `written`, in SQL Server's words, which requests and corrections use.

    Raises UnsupportedSource for what is none."""
    return neutral_types.type_meant(written)
