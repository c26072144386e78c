"""Whether all rows have arrived: the server counts those of the very statement that sent them, in the same batch of SQL.

Under SNAPSHOT the source can be asked a second time in the same transaction: it then counts the rows of the same moment by a
statement of its own, which may take another way to them (another index), and both must agree.
"""

from collections.abc import Sequence
from typing import Any

from flowforge.domain.errors import QueryRefused, TruncatedRead
from flowforge.sources.reports import CountAtSource
from flowforge.sources.sqlserver.statement import Statement

OWN_READ = "flowforge_read"  # by this name other loads know that the transaction writes nothing
COUNT_COLUMN = "flowforge_source_rows"
COUNTED = f"\n;\nSELECT ROWCOUNT_BIG() AS {COUNT_COLUMN}"  # the server's own count of the statement before


def with_counts(statement: Statement, again: Statement | None) -> Statement:
    """The statement with the question for its count behind it; with `again`, which counts the same rows (`source_rows`,
    `counted_at`), all in one transaction."""
    if again is None:
        return statement + COUNTED
    return (
        Statement((f"BEGIN TRANSACTION {OWN_READ};\n",))
        + statement
        + COUNTED
        + "\n;\n"
        + again
        + "\n;\nCOMMIT TRANSACTION"
    )


def counted_rows(name: str | None, row: Sequence[Any] | None, where: str) -> int | None:
    """The server's count from the result set that follows the rows, None when there is none.

    Raises QueryRefused when something else follows: then the query held more than one SELECT.
    """
    if name is not None and name != COUNT_COLUMN:
        raise QueryRefused(f"{where}: the query returns more than one result set", "give one SELECT")
    return row[0] if row and isinstance(row[0], int) else None


def check_complete(arrived: int, counted: int | None, where: str) -> None:
    """Compares the rows that arrived with the server's count; raises TruncatedRead unless they agree."""
    if counted != arrived:
        said = "did not say how many rows it sent" if counted is None else f"sent {counted} rows"
        raise TruncatedRead(
            f"{where}: the server {said}, {arrived} arrived", "the read starts again from its beginning"
        )


def check_counted(arrived: int, row: Sequence[Any] | None, where: str) -> CountAtSource:
    """Compares the rows that arrived with the source's second count of the same moment; raises TruncatedRead."""
    if row is None or len(row) < 2 or row[0] != arrived:
        said = "no count" if row is None else f"{row[0]} rows"
        raise TruncatedRead(
            f"{where}: {arrived} rows arrived, but counted in the same snapshot there are {said}",
            "the read starts again; if it never agrees, check the table's indexes at the source (DBCC CHECKTABLE)",
        )
    return CountAtSource(int(row[0]), str(row[1]))
