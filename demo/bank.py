"""The sample bank's SQL Server, asked and changed over TDS by a driver, as an application would.

What the demo believes about the source comes from here and from nowhere else: the chain under test is not asked about itself.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pymssql

# The chain keeps 1 s away from the source's clock (the guard); the rest is for clocks that tick in 3 ms steps.
SETTLED_SECONDS = 1.1
SETTLE_LIMIT_SECONDS = 20.0

CHANGES = (
    ("customers", "UPDATE customers SET credit_score = 801, modified_date = GETDATE() WHERE customer_id % 100 = 7"),
    (
        "customers",
        "INSERT INTO customers (first_name, last_name, email, city, state, account_open_date, customer_segment,"
        " credit_score, annual_income, modified_date) VALUES"
        " (N'Zoë', N'Müller', N'zoe.mueller@example.com', N'Zürich', N'NY', '2026-01-05', N'wealth', 790, 215000.50, GETDATE()),"
        " (N'Søren', N'Ångström', N'soren@example.com', NULL, NULL, '2026-01-06', N'retail', NULL, NULL, GETDATE()),"
        " (N'李', N'小龍', N'li@example.com', N'香港', NULL, '2026-01-07', N'corporate', 720, 98000.00, GETDATE())",
    ),
    (
        "accounts",
        "UPDATE accounts SET balance = balance + 100.25, modified_date = GETDATE() WHERE account_id % 100 = 1",
    ),
    (
        "accounts",
        "INSERT INTO accounts (customer_id, account_type, balance, interest_rate, open_date, status, modified_date) VALUES"
        " (1, N'savings', 2500.00, 1.25, '2026-01-05', N'active', GETDATE()),"
        " (2, N'checking', 10.01, NULL, '2026-01-06', N'active', GETDATE())",
    ),
    (
        "transactions",
        "INSERT INTO transactions (account_id, amount, transaction_date, transaction_time, transaction_type, merchant, status)"
        " VALUES (1001, 19.99, '2026-01-05', '09:15:00', N'debit', N'Café Olé', N'completed'),"
        " (1002, 1200.00, '2026-01-05', '23:59:59', N'credit', NULL, N'completed'),"
        " (1003, 0.01, '2026-01-06', '00:00:00', N'debit', N'O''Hara', N'pending'),"
        " (1001, 75.50, '2026-01-06', '12:30:45', N'debit', N'Corner Shop', N'completed')",
    ),
)


@dataclass(frozen=True)
class BankTable:
    """One table of the bank: its key, the cursor that the requests name, and how many columns it has."""

    name: str
    key: str
    cursor: str
    columns: int

    @property
    def bronze(self) -> str:
        """The bronze table that it lands in."""
        return f"bronze_{self.name}"


TABLES = (
    BankTable("customers", "customer_id", "modified_date", 16),
    BankTable("accounts", "account_id", "modified_date", 10),
    BankTable("transactions", "transaction_id", "transaction_id", 11),
)


@dataclass(frozen=True)
class Changed:
    """What was done to one table; keys in ascending order."""

    updated: list[int]
    inserted: list[int]

    @property
    def keys(self) -> list[int]:
        """All keys that a load must bring."""
        return sorted({*self.updated, *self.inserted})


@contextmanager
def open_bank(connection: dict[str, Any]) -> Iterator["Bank"]:
    """Connects to the bank with the facts of `stack.json`; every statement commits by itself."""
    opened = pymssql.connect(
        server=connection["host"],
        port=str(connection["port"]),
        user=connection["username"],
        password=connection["password"],
        database=connection["database"],
        autocommit=True,
        encryption="require",
    )
    try:
        yield Bank(opened)
    finally:
        opened.close()


class Bank:
    """Questions to the source, and changes to it."""

    def __init__(self, connection: pymssql.Connection):
        self._connection = connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def scalar(self, sql: str) -> Any:
        """The first value of a query."""
        return self.rows(sql)[0][0]

    def count(self, table: BankTable, at_or_above: str | None = None) -> int:
        """Rows of a table, or those whose cursor is at or above a watermark, which the server compares itself."""
        where = "" if at_or_above is None else f" WHERE {table.cursor} >= {_literal(at_or_above)}"
        return self.scalar(f"SELECT COUNT(*) FROM {table.name}{where}")  # noqa: S608 (names of this module)

    def change(self) -> dict[str, Changed]:
        """Updates and inserts rows in the three tables; tells which."""
        newest = {t.name: self.scalar(f"SELECT MAX({t.key}) FROM {t.name}") for t in TABLES}  # noqa: S608
        updated: dict[str, list[int]] = {t.name: [] for t in TABLES}
        for name, sql in CHANGES:
            table = next(t for t in TABLES if t.name == name)
            if sql.startswith("UPDATE"):
                condition = sql.partition(" WHERE ")[2]
                updated[name] = self._keys(table, condition)
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
        return {t.name: Changed(updated[t.name], self._keys(t, f"{t.key} > {newest[t.name]}")) for t in TABLES}

    def wait_until_settled(self) -> datetime:
        """Waits until the source's own clock has passed this moment by the chain's guard; returns the clock."""
        changed_at = self._clock()
        deadline = time.monotonic() + SETTLE_LIMIT_SECONDS
        while ((now := self._clock()) - changed_at).total_seconds() < SETTLED_SECONDS:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the source's clock has stood still at {now} for {SETTLE_LIMIT_SECONDS:.0f} s")
            time.sleep(0.05)
        return now

    def _clock(self) -> datetime:
        return self.scalar("SELECT GETDATE()")

    def _keys(self, table: BankTable, condition: str) -> list[int]:
        found = self.rows(f"SELECT {table.key} FROM {table.name} WHERE {condition} ORDER BY {table.key}")  # noqa: S608
        return [row[0] for row in found]


def _literal(value: str) -> str:
    return value if value.lstrip("-").isdecimal() else "'" + value.replace("'", "''") + "'"
