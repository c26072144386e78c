"""Which open transactions may still bring a row below a bound, by how a cursor's values come about.

A stamp or an IDENTITY is made by the statement that writes the row, so a transaction that idles and has logged nothing will stamp
above the bound. Other values are older than the first record in the log:

period columns      the begin of the transaction, of a temporal table (GENERATED ALWAYS; CREATE TABLE in the T-SQL reference) and
                    of its history, whose columns do not say so
other integers      a number that was drawn by a statement before, such as NEXT VALUE FOR a sequence
memory-optimized    whatever the column: their transactions log nothing until they commit, and those of natively compiled
                    procedures are in no view but sys.dm_db_xtp_transactions
views and queries   any of these; and their rows may be another database's, in whose log they are

Guarantees: what cannot be known counts as the worst of them, but for one: whether a table of another database, which a view
reads, is temporal or memory-optimized is not asked.
"""

from typing import Any, NamedTuple

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import CatalogColumn, TableDescription
from flowforge.sources.sqlserver.optional import optional_rows, rows_or_refusal, said_of
from flowforge.sources.sqlserver.sql_text import select_from
from flowforge.sources.sqlserver.sql_types import cursor_kind
from flowforge.sources.sqlserver.statement import Relation, quote_identifier

NATIVE = (
    "natively compiled procedures {}; GRANT VIEW DATABASE STATE shows whether any is at work on memory-optimized tables"
)
NATIVE_NOW = "a natively compiled procedure is at work on memory-optimized tables, and since when is not to be seen"

_TEMPORAL = "SELECT COUNT(*) AS n FROM sys.tables WHERE temporal_type = 2"
_IN_MEMORY = "SELECT COUNT(*) AS n FROM sys.tables WHERE is_memory_optimized = 1"
# A login that may read a view need not see the tables behind it.
_SEES_ALL = "SELECT HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'VIEW DEFINITION') AS n"
# transaction_id 0: of a natively compiled procedure; states: active, validating.
_NATIVE = "SELECT COUNT(*) AS n FROM sys.dm_db_xtp_transactions WHERE transaction_id = 0 AND state IN (0, 3)"


# Browse information: the columns of the tables that a view or query reads.
_ORIGIN = """SELECT source_server, source_database, DB_NAME() AS here
FROM sys.dm_exec_describe_first_result_set(%s, NULL, 1) WHERE column_ordinal = 1"""


HISTORY = 1  # sys.tables.temporal_type


class Writers(NamedTuple):
    """The transactions that count: `unlogged` those that idle and have logged nothing, too; `anywhere` those that have logged in
    any database; `in_memory` those of natively compiled procedures."""

    unlogged: bool = False
    anywhere: bool = False
    in_memory: bool = False


STATEMENT_WRITERS = Writers()


def writers_of(connection: SourceConnection, relation: Relation | str, name: str, sql_type: str) -> Writers:
    """Who may write the values of the cursor `name` of a table, a view or a query."""
    is_number = cursor_kind(sql_type) == "integer"
    if isinstance(relation, TableDescription) and relation.type == "table":
        column, in_memory = relation.column(name), bool(relation.facts.get("is_memory_optimized"))
        drawn_before = is_number and not column.identity
        is_history = relation.facts.get("temporal_type") == HISTORY
        return Writers(in_memory or drawn_before or is_history or is_of_period(column), in_memory=in_memory)
    in_memory = _any(connection, _IN_MEMORY)
    unlogged = in_memory or is_number or _any(connection, _TEMPORAL) or not _any(connection, _SEES_ALL)
    return Writers(unlogged, anywhere=True, in_memory=in_memory)


def is_of_period(column: Any) -> bool:
    """Whether the server itself fills the column, in UTC, as of the begin of the transaction."""
    return isinstance(column, CatalogColumn) and column.generated_always > 0


def natives_at_work(connection: SourceConnection) -> str | None:
    """Why a bound may miss rows of natively compiled procedures; None where none is at work."""
    found = rows_or_refusal(connection, _NATIVE)
    if not isinstance(found, list):
        return NATIVE.format(said_of(found))
    return NATIVE_NOW if found[0]["n"] else None


def refuse_falling_numbers(table: TableDescription, name: str, identity: dict[str, Any]) -> None:
    """Raises UnsupportedSource for a cursor that the server numbers downwards: every new row would be below the watermark."""
    step = identity.get("identity_step")
    if step is not None and table.column(name).identity:
        raise UnsupportedSource(
            f"{table.qualified_name}: {name!r} is an IDENTITY with increment {step}: new rows come below those that are there",
            "use another delta column, such as a rowversion, or a full load",
        )


def refuse_foreign_row_versions(connection: SourceConnection, relation: Relation | str, name: str, where: str) -> None:
    """Raises UnsupportedSource for a rowversion that a view or query brings from another database: each counts its own, and the
    lowest that is still open is known of this one alone. Where the server does not tell the origin, as of a UNION, it is taken
    for this database's."""
    if isinstance(relation, TableDescription) and relation.type == "table":
        return
    statement = select_from(relation, quote_identifier(name)).inlined()
    found = optional_rows(connection, _ORIGIN, (statement,), about=where)
    origin = found[0] if found else {"source_server": None, "source_database": None, "here": None}
    server, database = origin["source_server"], origin["source_database"]
    if server or (database and database.lower() != str(origin["here"]).lower()):
        raise UnsupportedSource(
            f"{where}: the rowversion {name!r} is of {server or database}: its safe bound is not known in this database",
            "load it by a connection to that database, or use a timestamp column",
        )


def _any(connection: SourceConnection, question: str) -> bool:
    found = optional_rows(connection, question)
    return bool(found and found[0]["n"])
