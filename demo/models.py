"""The bank's gold models, computed a second time: in plain Python, from the rows of the source itself.

Nothing of the lake, of its SQL or of an engine is used for what is expected: only the rows that the SQL Server gives.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from demo.bank import Bank

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "models"
IDLE_DAYS = 180
COLUMNS = {
    "customer_360": "customer_id, customer_segment, accounts, active_accounts, total_balance, transactions, spent, received,"
    " last_transaction_date",
    "daily_balances_by_segment": "customer_segment, day, closing_balance, net_movement",
    "merchant_category_spend": "merchant_category, transaction_date, purchases, accounts, spent",
    "dormant_accounts": "account_id, customer_segment, balance, last_transaction_date, idle_days",
}


class Account(NamedTuple):
    """One account."""

    account_id: int
    customer_id: int
    balance: Decimal
    status: str
    opened: date


class Transaction(NamedTuple):
    """One completed transaction."""

    account_id: int
    amount: Decimal
    day: date
    kind: str
    category: str | None

    @property
    def signed(self) -> Decimal:
        """What it adds to the account's balance."""
        return self.amount if self.kind == "credit" else -self.amount


class Books:
    """The bank's rows, as the source has them at this moment."""

    def __init__(self, bank: Bank):
        self.segments = dict(bank.rows("SELECT customer_id, customer_segment FROM customers"))
        columns = "account_id, customer_id, balance, status, open_date"
        self.accounts = [Account(*row) for row in bank.rows(f"SELECT {columns} FROM accounts")]  # noqa: S608
        columns = "account_id, amount, transaction_date, transaction_type, merchant_category"
        completed = bank.rows(f"SELECT {columns} FROM transactions WHERE status = 'completed'")  # noqa: S608
        self.transactions = [Transaction(*row) for row in completed]
        self.owner = {account.account_id: account.customer_id for account in self.accounts}

    def expected(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows that each model must have: its COLUMNS, in the order of the first two of them."""
        made = (self._customers(), self._balances(), self._spend(), self._dormant())
        return {name: in_order(rows) for name, rows in zip(COLUMNS, made, strict=True)}

    def _customers(self) -> Iterable[tuple[Any, ...]]:
        held, done = defaultdict(list), defaultdict(list)
        for account in self.accounts:
            held[account.customer_id].append(account)
        for transaction in self.transactions:
            done[self.owner[transaction.account_id]].append(transaction)
        for customer, segment in self.segments.items():
            accounts, moves = held[customer], done[customer]
            yield (
                customer,
                segment,
                len(accounts),
                sum(account.status == "active" for account in accounts),
                _total(account.balance for account in accounts),
                len(moves),
                _total(move.amount for move in moves if move.kind == "debit"),
                _total(move.amount for move in moves if move.kind == "credit"),
                max((move.day for move in moves), default=None),
            )

    def _balances(self) -> Iterable[tuple[Any, ...]]:
        present, moved = defaultdict(Decimal), defaultdict(Decimal)
        for account in self.accounts:
            present[self.segments[account.customer_id]] += account.balance
        for move in self.transactions:
            moved[self.segments[self.owner[move.account_id]], move.day] += move.signed
        first, last = self._days()
        for segment, balance in present.items():
            day = last
            while day >= first:
                net = moved[segment, day]
                yield segment, day, balance, net
                balance -= net  # noqa: PLW2901 (the balance at the end of the day before)
                day -= timedelta(days=1)

    def _spend(self) -> Iterable[tuple[Any, ...]]:
        bought = defaultdict(list)
        for move in self.transactions:
            if move.kind == "debit":
                bought[move.category, move.day].append(move)
        for (category, day), moves in bought.items():
            yield category, day, len(moves), len({move.account_id for move in moves}), _total(m.amount for m in moves)

    def _dormant(self) -> Iterable[tuple[Any, ...]]:
        seen: dict[int, date] = {}
        for move in self.transactions:
            seen[move.account_id] = max(move.day, seen.get(move.account_id, move.day))
        _, newest = self._days()
        for account in self.accounts:
            last = seen.get(account.account_id)
            idle = (newest - (last or account.opened)).days
            if account.status != "closed" and idle > IDLE_DAYS:
                yield account.account_id, self.segments[account.customer_id], account.balance, last, idle

    def _days(self) -> tuple[date, date]:
        days = [move.day for move in self.transactions]
        return min(days), max(days)


def rows_that_fail(name: str, rows: list[tuple[Any, ...]]) -> dict[str, int]:
    """Rows of a model that break its rules, by the rule: purchases without a category, which the bank has, are reported."""
    uncategorised = sum(row[0] is None for row in rows) if name == "merchant_category_spend" else 0
    return {"every purchase has a category": uncategorised} if uncategorised else {}


def in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows by their first two values; NULLs may be among them."""
    return sorted(rows, key=lambda row: (str(row[0]), str(row[1])))


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
