"""Whether all rows have arrived: the server counts those of the very statement that sent them, in the same batch of SQL."""

from collections.abc import Sequence
from typing import Any

from flowforge.errors import QueryRefused, TruncatedRead

COUNT_COLUMN = "flowforge_source_rows"
COUNTED = f"\n;\nSELECT ROWCOUNT_BIG() AS {COUNT_COLUMN}"  # the server's own count of the statement before


def counted_rows(name: str | None, row: Sequence[Any] | None, where: str) -> int | None:
    """The server's count from the result set that follows the rows, None when there is none.

    Raises QueryRefused when something else follows: then the query held more than one SELECT.
    """
    if name is not None and name != COUNT_COLUMN:
        raise QueryRefused(f"{where}: the query returns more than one result set", "give one SELECT")
    return int(row[0]) if row else None


def check_complete(arrived: int, counted: int | None, where: str) -> None:
    """Compares the rows that arrived with the server's count; raises TruncatedRead unless they agree."""
    if counted != arrived:
        said = "did not say how many rows it sent" if counted is None else f"sent {counted} rows"
        raise TruncatedRead(
            f"{where}: the server {said}, {arrived} arrived", "the read starts again from its beginning"
        )
