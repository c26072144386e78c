"""What SQL Server would say: error numbers and texts for what goes wrong behind the stand-in.

`SqlError` is raised wherever the number is known. What DuckDB and sqlglot raise is translated once, in
`translate_error`; what has no translation keeps its own text under number 50000, so that nothing is hidden.

Expressions inside DuckDB raise with `error('#245#text')`; the number and text come back through here.
"""

import re

import duckdb
import sqlglot.errors


class SqlError(Exception):
    """An error with SQL Server's number, severity and state."""

    def __init__(self, number: int, text: str, severity: int = 16, state: int = 1):
        super().__init__(text)
        self.number, self.text, self.severity, self.state = number, text, severity, state


class ClientGone(Exception):
    """The client left or cancelled: not an error of the statement, and never reported as one."""


def not_supported(what: str) -> SqlError:
    """The stand-in's own refusal: better an error than a wrong answer."""
    return SqlError(40517, f"The FlowForge stand-in does not support {what}.")


def invalid_object(name: str) -> SqlError:
    """208: there is no table, view or function of this name."""
    return SqlError(208, f"Invalid object name '{name}'.")


def invalid_column(name: str) -> SqlError:
    """207: the tables of the statement have no such column."""
    return SqlError(207, f"Invalid column name '{name}'.")


def syntax_error(near: str) -> SqlError:
    """102: the statement cannot be read from here on."""
    return SqlError(102, f"Incorrect syntax near '{near}'.", 15)


_RAISED = re.compile(r"#(\d+)#(.*)", re.DOTALL)


def translate_error(error: Exception) -> SqlError:
    """The SQL Server error for anything that went wrong while a statement ran."""
    if isinstance(error, SqlError):
        return error
    text = str(error)
    if isinstance(error, sqlglot.errors.ParseError):
        found = error.errors[0] if error.errors else {}
        return syntax_error(found.get("highlight") or found.get("end_context", "").strip() or text[:100])
    if isinstance(error, sqlglot.errors.TokenError):
        return SqlError(105, "Unclosed quotation mark or bracket in the statement.", 15)
    if raised := _RAISED.search(text):
        return SqlError(int(raised.group(1)), raised.group(2).split("\n")[0])
    if isinstance(error, RecursionError):
        return SqlError(191, "Some part of your SQL statement is nested too deeply.", 15)
    return _translate_duckdb(error, text)


def _translate_duckdb(error: Exception, text: str) -> SqlError:
    if isinstance(error, duckdb.ConversionException):
        return _conversion(text)
    if isinstance(error, duckdb.OutOfRangeException):
        return _overflow(text)
    if isinstance(error, duckdb.ConstraintException):
        return SqlError(2627, "Violation of a constraint: " + text.removeprefix("Constraint Error: "), 14)
    if isinstance(error, duckdb.TransactionException) and "onflict" in text:
        return deadlock()
    if isinstance(error, duckdb.InterruptException):
        return SqlError(3617, "Operation cancelled by user.")
    if "must appear in the GROUP BY clause" in text:
        return SqlError(
            8120,
            "A column is invalid in the select list because it is not contained in either an aggregate function or the"
            " GROUP BY clause.",
        )
    return SqlError(50000, f"{type(error).__name__}: {text}")


def deadlock() -> SqlError:
    """1205: this session lost a deadlock."""
    return SqlError(
        1205,
        "Transaction was deadlocked on lock resources with another process and has been chosen as the deadlock victim."
        " Rerun the transaction.",
        13,
        51,
    )


def reads_past_versions() -> SqlError:
    """650: READPAST where a read takes no locks."""
    return SqlError(
        650, "You can only specify the READPAST lock in the READ COMMITTED or REPEATABLE READ isolation levels."
    )


def snapshot_not_allowed(database: str) -> SqlError:
    """3952: SNAPSHOT is asked for where the database does not allow it."""
    return SqlError(
        3952,
        f"Snapshot isolation transaction failed accessing database '{database}' because snapshot isolation is not allowed in"
        " this database. Use ALTER DATABASE to allow snapshot isolation.",
    )


def late_snapshot(database: str) -> SqlError:
    """3951: a transaction that has accessed data under another isolation is set to SNAPSHOT."""
    return SqlError(
        3951,
        f"Transaction failed in database '{database}' because the statement was run under snapshot isolation but the transaction"
        " did not start in snapshot isolation. You cannot change the isolation level of the transaction to snapshot after the"
        " transaction has started unless the transaction was originally started under snapshot isolation level.",
    )


def changed_since(database: str) -> SqlError:
    """3961: a definition has changed since the SNAPSHOT began."""
    return SqlError(
        3961,
        f"Snapshot isolation transaction failed in database '{database}' because the object accessed by the statement has been"
        " modified by a DDL statement in another concurrent transaction since the start of this transaction. It is disallowed"
        " because the metadata is not versioned. A concurrent update to metadata can lead to inconsistency if mixed with snapshot"
        " isolation.",
    )


def update_conflict(table: str, database: str) -> SqlError:
    """3960: another transaction has changed the row since this SNAPSHOT began."""
    return SqlError(
        3960,
        f"Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table"
        f" '{table}' directly or indirectly in database '{database}' to update, delete, or insert the row that has been"
        " modified or deleted by another transaction. Retry the transaction or change the isolation level for the"
        " update/delete statement.",
        16,
        2,
    )


_TYPE_NAMES = {
    "INT8": "tinyint", "UINT8": "tinyint", "UTINYINT": "tinyint", "INT16": "smallint", "INT32": "int", "INT64": "bigint",
    "DOUBLE": "float", "FLOAT": "real", "INTEGER": "int", "BIGINT": "bigint", "SMALLINT": "smallint",
}  # fmt: skip


def _named_type(text: str) -> str:
    """The SQL Server name of the last type that DuckDB's message mentions: a conversion's target."""
    found = re.findall(r"\b(U?INT\d+|U?TINYINT|SMALLINT|INTEGER|BIGINT|DECIMAL\([\d,]+\)|DOUBLE|FLOAT)\b", text)
    last: str = found[-1] if found else "numeric"
    return _TYPE_NAMES.get(last) or last.lower().replace("decimal", "numeric")


def _overflow(text: str) -> SqlError:
    kind = _named_type(text)
    found = re.search(r"value (-?\d+)", text)
    if found and kind in ("tinyint", "smallint"):
        return SqlError(220, f"Arithmetic overflow error for data type {kind}, value = {found.group(1)}.")
    return SqlError(8115, f"Arithmetic overflow error converting expression to data type {kind}.")


def _conversion(text: str) -> SqlError:
    if "out of range" in text or "ailed to cast" in text or "ould not cast" in text or "overflow" in text.lower():
        return _overflow(text)
    if re.search(r"timestamp|date\b|time field|DATE|TIME", text):
        return SqlError(241, "Conversion failed when converting date and/or time from character string.")
    if "UUID" in text or "uuid" in text:
        return SqlError(8169, "Conversion failed when converting from a character string to uniqueidentifier.")
    if found := re.search(r"Could not convert string '(.*?)' to (\w+)", text):
        kind = _named_type(text)
        return SqlError(
            245, f"Conversion failed when converting the varchar value '{found.group(1)}' to data type {kind}."
        )
    return SqlError(8114, "Error converting data type: " + text.splitlines()[0])
