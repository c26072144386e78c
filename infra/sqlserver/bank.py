"""The sample bank: customers, accounts and transactions, the same for everyone at a given size.

Rows are made inside DuckDB from a hash of the row number and a fixed seed, so that ten million take seconds and no
Python runs per row. Every value is plausible and none is real.
"""

# ruff: noqa: E501 - SQL text and data read best unbroken; composing SQL is what this module does

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge.domain.given import given

from .definitions import Definitions
from .script import parse_batch
from .storage import Storage

if TYPE_CHECKING:
    from .session import Session

DEFAULT_ROWS = {"customers": 500, "accounts": 750, "transactions": 5_000}
SEED = 20_240_101

TABLES = {
    "customers": """CREATE TABLE dbo.customers (
 customer_id int IDENTITY(1,1) NOT NULL CONSTRAINT PK_customers PRIMARY KEY, first_name nvarchar(50) NOT NULL,
 last_name nvarchar(50) NOT NULL, email nvarchar(100) NOT NULL, phone nvarchar(20) NULL, date_of_birth date NULL,
 ssn_last4 nchar(4) NULL, address nvarchar(200) NULL, city nvarchar(50) NULL, state nchar(2) NULL, zip_code nvarchar(10) NULL,
 account_open_date date NOT NULL, customer_segment nvarchar(20) NOT NULL, credit_score int NULL,
 annual_income decimal(15,2) NULL, modified_date datetime NOT NULL DEFAULT GETDATE())""",
    "accounts": """CREATE TABLE dbo.accounts (
 account_id int IDENTITY(1001,1) NOT NULL CONSTRAINT PK_accounts PRIMARY KEY,
 customer_id int NOT NULL CONSTRAINT FK_accounts_customers REFERENCES dbo.customers(customer_id),
 account_type nvarchar(20) NOT NULL, balance decimal(15,2) NOT NULL, credit_limit decimal(15,2) NULL,
 interest_rate decimal(5,2) NULL, open_date date NOT NULL, status nvarchar(20) NOT NULL, last_transaction_date date NULL,
 modified_date datetime NOT NULL DEFAULT GETDATE())""",
    "transactions": """CREATE TABLE dbo.transactions (
 transaction_id int IDENTITY(10001,1) NOT NULL CONSTRAINT PK_transactions PRIMARY KEY,
 account_id int NOT NULL CONSTRAINT FK_transactions_accounts REFERENCES dbo.accounts(account_id),
 amount decimal(15,2) NOT NULL, transaction_date date NOT NULL, transaction_time time NOT NULL,
 transaction_type nvarchar(10) NOT NULL, category nvarchar(50) NULL, merchant nvarchar(100) NULL,
 merchant_category nvarchar(50) NULL, location nvarchar(100) NULL, status nvarchar(20) NOT NULL)""",
}

_FIRST = ["Aarav", "Priya", "Rahul", "Anaya", "Vihaan", "Saanvi", "Arjun", "Diya", "José", "Krishna", "Emily", "Michael",
          "Zoë", "Lakshmi", "François", "Wei", "Olivia", "Siddhārth", "Noor", "Björn", "María", "आरव", "李娜"]  # fmt: skip
_LAST = ["Sharma", "Patel", "Iyer", "Reddy", "Khan", "Nair", "Gupta", "Das", "Bose", "Müller", "O'Brien", "García", "Smith",
         "Johnson", "Nguyễn", "Singh", "Łukasik", "Chen", "Fernández", "शर्मा"]  # fmt: skip
_PLACES = [("Mumbai", "MH", "400001"), ("Pune", "MH", "411001"), ("Bengaluru", "KA", "560001"), ("Chennai", "TN", "600001"),
           ("Hyderabad", "TG", "500001"), ("Kolkata", "WB", "700001"), ("New York", "NY", "10001"), ("Austin", "TX", "78701"),
           ("Chicago", "IL", "60601"), ("San José", "CA", "95101"), ("Seattle", "WA", "98101")]  # fmt: skip
_BRANCHES = ["State Bank Road", "HDFC House", "ICICI Towers", "Chase Plaza", "Wells Fargo Center", "Axis Bank Lane"]
_MERCHANTS = [("BigBasket", "Groceries", "Food"), ("Café Réal", "Restaurants", "Food"), ("Indian Oil", "Fuel", "Transport"),
              ("Amazon", "Online Retail", "Shopping"), ("Reliance Digital", "Electronics", "Shopping"), ("Apollo Pharmacy", "Pharmacy", "Health"),
              ("Netflix", "Streaming", "Entertainment"), ("IRCTC", "Railways", "Travel"), ("Delta Air Lines", "Airlines", "Travel"),
              ("Tata Power", "Utilities", "Bills")]  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How many rows each table gets."""

    customers: int
    accounts: int
    transactions: int


def size(scale: float = 1.0, overrides: dict[str, int] | None = None) -> Size:
    """The default 500 / 750 / 5,000 rows times `scale`, at least one each; `overrides` give exact counts."""
    counts = {name: max(1, round(rows * scale)) for name, rows in DEFAULT_ROWS.items()}
    return Size(**(counts | (overrides or {})))


def _hash(salt: int, modulus: int) -> str:
    """A number below `modulus` from the row number `i`: the same on every run."""
    return f"CAST(hash(i * 1000003 + {SEED + salt}) % {modulus} AS BIGINT)"


def _pick(values: list[str], salt: int) -> str:
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"list_extract([{quoted}], {_hash(salt, len(values))} + 1)"


def _sometimes(text: str, salt: int, one_in: int) -> str:
    """NULL in one row of `one_in`."""
    return f"CASE WHEN {_hash(salt, one_in)} = 0 THEN NULL ELSE {text} END"


def _money(salt: int, cents: int, least: int = 0) -> str:
    return f"CAST({least} + {_hash(salt, cents)} AS DECIMAL(15,0)) * CAST(0.01 AS DECIMAL(3,2))"


def _stamp(salt: int) -> str:
    """A datetime in 2023-01-01 ... 2025-10-31, on the 1/300 s grid."""
    seconds = 1034 * 86_400
    return f"datetime_rounded(TIMESTAMP '2023-01-01' + to_milliseconds({_hash(salt, seconds * 1000)}))"


def _customers() -> str:
    cities, states, zips = (_pick([place[k] for place in _PLACES], 7) for k in range(3))
    return f"""i, {_pick(_FIRST, 1)}, {_pick(_LAST, 2)}, 'customer' || i || '@example.com',
 {_sometimes(f"'+91-' || (7000000000 + {_hash(3, 2999999999)})", 4, 9)}, {_sometimes(f"DATE '1945-01-01' + CAST({_hash(5, 22000)} AS INTEGER)", 6, 23)},
 {_sometimes(f"lpad(CAST({_hash(8, 10000)} AS VARCHAR), 4, '0')", 9, 7)}, {_sometimes(f"({_hash(10, 900)} + 1) || ' ' || {_pick(_BRANCHES, 11)}", 12, 13)},
 {_sometimes(cities, 13, 17)}, {_sometimes(states, 13, 17)}, {_sometimes(zips, 13, 17)}, DATE '2008-01-01' + CAST({_hash(14, 5400)} AS INTEGER),
 {_pick(["retail", "retail", "retail", "corporate", "wealth"], 15)}, {_sometimes(f"CAST(300 + {_hash(16, 551)} AS INTEGER)", 17, 11)},
 {_sometimes(_money(18, 2_500_000_000, 1_800_000), 19, 8)}, {_stamp(20)}"""


def _accounts(customers: int) -> str:
    kinds = ["savings", "checking", "credit", "loan", "fixed deposit"]
    return f"""1000 + i, CAST(1 + CASE WHEN i <= {customers} THEN i - 1 ELSE {_hash(31, customers)} END AS INTEGER), {_pick(kinds, 32)}, {_money(33, 900_000_000, -50_000_000)},
 {_sometimes(_money(34, 200_000_000), 35, 2)}, {_sometimes(f"CAST({_hash(36, 1900)} AS DECIMAL(5,0)) * CAST(0.01 AS DECIMAL(3,2))", 37, 6)},
 DATE '2010-01-01' + CAST({_hash(38, 4900)} AS INTEGER), {_pick(["active", "active", "active", "dormant", "closed"], 39)},
 {_sometimes(f"DATE '2023-01-01' + CAST({_hash(40, 1030)} AS INTEGER)", 41, 10)}, {_stamp(42)}"""


def _transactions(accounts: int) -> str:
    merchants = [_pick([item[k] for item in _MERCHANTS], 57) for k in range(3)]
    place = f"{_pick([f'{city}, {state}' for city, state, _ in _PLACES], 60)}"
    return f"""10000 + i, CAST(1001 + {_hash(51, accounts)} AS INTEGER), {_money(52, 5_000_000, 100)}, DATE '2023-01-01' + CAST((i * 1030) // (i + 400000) AS INTEGER)
 + CAST({_hash(53, 1000)} AS INTEGER), {_hash(54, 86_400)} * 10000000 + {_hash(55, 10_000_000)}, {_pick(["debit", "debit", "credit"], 56)},
 {_sometimes(merchants[2], 58, 12)}, {_sometimes(merchants[0], 59, 15)}, {_sometimes(merchants[1], 59, 15)},
 {_sometimes(place, 61, 14)}, {_pick(["completed", "completed", "completed", "completed", "pending", "failed"], 62)}"""


def create_bank(session: Session, bank: Size) -> None:
    """Creates and fills the three tables in the session's database."""
    rows = {
        "customers": _customers(),
        "accounts": _accounts(bank.customers),
        "transactions": _transactions(bank.accounts),
    }
    for name, ddl in TABLES.items():
        Definitions(session).run(parse_batch(ddl)[0])
        table = given(session.catalog.find("dbo", name))
        count = getattr(bank, name)
        session.cursor.execute(f"INSERT INTO {table.storage} SELECT {rows[name]} FROM range(1, {count} + 1) AS t(i)")
        Storage(session).restart_identity(table, given(given(table.identity).seed) + count)


__all__ = ["DEFAULT_ROWS", "Size", "create_bank", "size"]
