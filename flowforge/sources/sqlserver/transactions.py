"""The open transactions of a database: whose rows may still appear below a bound that is already taken.

Guarantees: what is asked is asked on the server's own clock, as ages rather than begin times; a transaction is left
out only when it cannot write a row that we would miss. Whether other sessions' transactions are visible at all is
proved, not assumed: a marker transaction on a second connection must show up. Columns are those of
sys.dm_tran_active_transactions and its sisters.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flowforge.domain.errors import FlowForgeError, Retriable
from flowforge.sources.sqlserver.completeness import OWN_READ
from flowforge.sources.sqlserver.connection import APPLICATION, SourceConnection
from flowforge.sources.sqlserver.failures import is_denied, is_lacking
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.statement import Statement
from flowforge.sources.sqlserver.writers import STATEMENT_WRITERS, Writers

HOUR_MS = 3_600_000
LEAST_GUARD_MS = 1_000

READ_ONLY = 2  # transaction_type
WRITING_STATEMENTS = (
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "BULK INSERT",
    "SELECT INTO",
)  # transactions of one statement

NOT_SHOWN = "this login cannot see open transactions; GRANT {} makes it exact"
NO_VIEW = "this server has no view of its open transactions"

# DATEDIFF holds 24 days of milliseconds, and DATEDIFF_BIG is not there before 2016: what is older is aged to the second, upwards.
_ACTIVE_SQL = """SELECT t.transaction_id, t.name, t.transaction_type,
CASE WHEN ABS(DATEDIFF(hour, t.transaction_begin_time, GETDATE())) < 480
THEN CONVERT(bigint, DATEDIFF(millisecond, t.transaction_begin_time, GETDATE()))
ELSE (CONVERT(bigint, DATEDIFF(second, t.transaction_begin_time, GETDATE())) + 1) * 1000 END AS age_ms,
st.session_id, st.is_user_transaction, s.status, s.login_name, s.program_name,
d.database_id, d.database_transaction_log_record_count AS log_records,
(SELECT SUM(a.database_transaction_log_record_count) FROM sys.dm_tran_database_transactions AS a
WHERE a.transaction_id = t.transaction_id AND a.database_id <> 2) AS all_log_records
FROM sys.dm_tran_active_transactions AS t
LEFT JOIN sys.dm_tran_session_transactions AS st ON st.transaction_id = t.transaction_id
LEFT JOIN sys.dm_exec_sessions AS s ON s.session_id = st.session_id
LEFT JOIN sys.dm_tran_database_transactions AS d ON d.transaction_id = t.transaction_id AND d.database_id = DB_ID()
WHERE t.transaction_type <> 3 AND t.name <> 'worktable' AND (st.session_id IS NULL OR st.session_id <> @@SPID)"""
_ACTIVE = Statement((_ACTIVE_SQL,))

UPDATEABILITY = Statement(
    ("SELECT CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) AS updateability",)
)


class OpenTransaction(NamedTuple):
    """A transaction of another session that may still commit rows; its age is in milliseconds."""

    id: int
    age_ms: int
    session_id: int | None
    login: str | None
    program: str | None

    @property
    def summary(self) -> str:
        """Who holds the bound back, for a person who may end it."""
        who = f"session {self.session_id}" if self.session_id else "a session that this login may not see"
        extra = ", ".join(part for part in (self.login, self.program) if part)
        return f"transaction {self.id} of {who}{f' ({extra})' if extra else ''}, open for {self.age_ms / 1000:.0f} s"


class OpenTransactions(NamedTuple):
    """Those that may still commit rows, oldest first; `behind` are all whose begin is dated too late, by id, in milliseconds."""

    writing: list[OpenTransaction]
    behind: dict[str, int]


def open_transactions(
    connection: SourceConnection,
    behind: Mapping[str, int] | None = None,
    step_ms: int = 0,
    writers: Writers = STATEMENT_WRITERS,
    ahead: Sequence[Statement] = (),
) -> OpenTransactions | str:
    """Transactions that may still commit rows into this database; why they are not seen, with what would show them, where other
    sessions' are not.

    A clock that is put back makes those that had begun before look younger than they are: `step_ms` is how far it went back since
    this was asked before, `behind` what was known then. Ages grow by the query's own time, which errs on the safe side. `ahead`
    are questions that the caller asks next, which go along.

    Proved by a marker transaction on a second connection, in the answer itself: without the permission the views either refuse,
    or, on some editions, silently show the own session only.
    """
    try:
        rows = _with_marker(connection, ahead)
    except Retriable:
        raise
    except FlowForgeError as error:
        return _why_hidden(error)
    return NOT_SHOWN.format("VIEW SERVER STATE") if rows is None else _writing(rows, behind, step_ms, writers)


def _with_marker(connection: SourceConnection, ahead: Sequence[Statement]) -> list[dict[str, Any]] | None:
    """The others' active transactions, read while a second connection has one open; None where that is not among them."""
    with connection.sibling() as other:
        session_id = other.scalar("BEGIN TRANSACTION; SELECT @@SPID AS session_id")
        try:
            connection.ask_together(_ACTIVE, *ahead, about="the open transactions")
            rows = connection.rows(_ACTIVE, about="the open transactions")
            others = [row for row in rows if row["session_id"] != session_id]
            return others if len(others) < len(rows) else None
        finally:
            other.run("ROLLBACK TRANSACTION")


def _writing(
    rows: list[dict[str, Any]], behind: Mapping[str, int] | None, step_ms: int, writers: Writers
) -> OpenTransactions:
    older = {str(row["transaction_id"]): (behind or {}).get(str(row["transaction_id"]), 0) + step_ms for row in rows}
    found = [
        OpenTransaction(
            int(row["transaction_id"]),
            _age(int(row["age_ms"]) + older[str(row["transaction_id"])]),
            row["session_id"],
            row["login_name"],
            row["program_name"],
        )
        for row in rows
        if may_write(row, writers)
    ]
    writing = sorted(found, key=lambda t: -t.age_ms)
    return OpenTransactions(writing, {number: by_ms for number, by_ms in older.items() if by_ms})


def sees_open_transactions(connection: SourceConnection) -> bool:
    """Whether this login sees other sessions' transactions; see `open_transactions`."""
    return isinstance(open_transactions(connection), OpenTransactions)


def _why_hidden(error: FlowForgeError) -> str:
    if is_lacking(error) and not is_denied(error):
        return NO_VIEW
    right = re.search(r"VIEW \w+(?: \w+)* STATE", str(error))
    return NOT_SHOWN.format(right[0] if right else "VIEW SERVER STATE")


def is_writable(connection: SourceConnection) -> bool:
    """Whether the database takes writes here. A readable secondary knows nothing of the primary's transactions.

    A server that does not say takes them: what that would spoil, row versions and the view of transactions, is asked for itself.
    """
    found = optional_rows(connection, UPDATEABILITY)
    return not found or found[0]["updateability"] != "READ_ONLY"


def _age(measured_ms: int) -> int:
    # Begin times are local: one from before the clock was put back looks as if it lay ahead. By an hour, most likely, where no
    # reading from before tells; less than the guard is rounding.
    return max(0, measured_ms if measured_ms > -LEAST_GUARD_MS else measured_ms + HOUR_MS)


def may_write(row: dict[str, Any], writers: Writers = STATEMENT_WRITERS) -> bool:
    """Whether a row of the active transactions can still become a row below a bound that is taken now.

    When in doubt it can: a session that the login may not see, a transaction without a session (distributed, in doubt),
    a statement that runs and has logged nothing yet.
    """
    if row["all_log_records"] if writers.anywhere else row["log_records"]:
        return True
    if row["program_name"] == APPLICATION or row["name"] == OWN_READ:
        return False  # our own questions, marker and reads
    if row["status"] == "sleeping" and not writers.unlogged:
        return False  # idle, and nothing of this database in its log: what it writes later it stamps later
    if row["is_user_transaction"] or row["name"] in WRITING_STATEMENTS:
        return True
    # The engine's own (sorts, work files, LOB sessions: some live as long as the server), and a lone SELECT.
    outside = row["transaction_type"] == READ_ONLY and row["database_id"] is None
    return not (outside or row["name"] == "SELECT")
