# ruff: noqa: S608 - SQL text of names and keys of the demo's own
"""What the demo holds to be true after each load, and whether it is.

Every expectation comes from the source or from what the demo itself changed there; every finding from the run's report, the
watermark table, the bronze object or the lake. A check that finds what it expects says nothing, one that does not says both.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pymssql
from botocore.exceptions import ClientError

from demo.bank import Bank, BankTable, Changed
from demo.lake import Lake
from demo.models import COLUMNS, Books, in_order, rows_that_fail
from flowforge.cli.api import Api
from flowforge.cli.failure import Failure
from flowforge.domain.errors import FlowForgeError

AUDIT_COLUMNS = 5
LAYERS = ("silver", "gold")


@dataclass
class Evidence:
    """The checks made so far."""

    made: int = 0
    wrong: list[str] = field(default_factory=list)

    @contextmanager
    def about(self, what: str) -> Iterator[None]:
        """Counts a check that cannot be made at all as one that failed: the others are made all the same."""
        try:
            yield
        except (Failure, FlowForgeError, pymssql.Error, ClientError, LookupError) as error:
            self.made += 1
            self.wrong.append(f"{what}: cannot be checked: {type(error).__name__}: {error}")

    def expect(self, what: str, expected: Any, found: Any) -> None:
        """Notes one check; a wrong one with both values."""
        self.made += 1
        if expected != found:
            self.wrong.append(f"{what}: expected {_shown(expected)}, found {_shown(found)}")


def check_load(evidence: Evidence, table: BankTable, told: dict[str, Any], rows: int, bank: Bank, lake: Lake) -> None:
    """One table's load: the expected rows landed, whole, and the run reports what the source has."""
    name = f"{table.name} ({told.get('bronze_key')})"
    in_source = bank.count(table)
    evidence.expect(f"{name}: status", "published", told.get("status"))
    evidence.expect(f"{name}: rows landed", rows, told.get("records"))
    evidence.expect(f"{name}: columns", table.columns + AUDIT_COLUMNS, told.get("columns"))
    evidence.expect(f"{name}: silver rows reported", in_source, told.get("silver_rows"))
    evidence.expect(f"{name}: gold rows reported", in_source, (told.get("gold_tables") or {}).get(table.name))
    evidence.expect(f"{name}: rows in quarantine", 0, told.get("quarantined") or 0)
    evidence.expect(f"{name}: has a bronze object", True, bool(told.get("bronze_key")))
    if told.get("bronze_key"):
        landed = lake.bronze(told["bronze_key"])
        evidence.expect(f"{name}: rows in the bronze object", rows, landed.rows)
        evidence.expect(f"{name}: columns of the bronze object", table.columns + AUDIT_COLUMNS, len(landed.columns))
        evidence.expect(f"{name}: its size", told.get("file_size_bytes"), landed.bytes)


def check_rows(evidence: Evidence, tables: Iterable[BankTable], bank: Bank, lake: Lake) -> None:
    """Silver and gold have as many rows as the source, counted in the tables themselves."""
    expected = {f"{layer}.{table.name}": bank.count(table) for table in tables for layer in LAYERS}
    parts = (f"SELECT '{name}', COUNT(*) FROM {name}" for name in expected)
    found = dict(lake.rows(" UNION ALL ".join(parts)))
    for name, rows in expected.items():
        evidence.expect(f"{name}: rows", rows, found.get(name))


def check_watermark(evidence: Evidence, table: BankTable, told: dict[str, Any], bank: Bank, api: Api) -> None:
    """One table's watermark: committed, the same in the store, and above every row of the source."""
    after = told.get("watermark_after")
    evidence.expect(f"{table.name}: watermark committed", True, told.get("watermark_committed"))
    evidence.expect(f"{table.name}: has a watermark", True, after is not None)
    stored = api.get("watermarks", table.bronze)["watermarks"].get(table.cursor, {}).get("value")
    evidence.expect(f"{table.name}: stored watermark", after, stored)
    if after is not None:
        beyond = bank.count(table, at_or_above=str(after))
        evidence.expect(f"{table.name}: rows at or above the watermark {after}", 0, beyond)


def check_change(
    evidence: Evidence, table: BankTable, first: dict[str, Any], second: dict[str, Any], changed: Changed, bank: Bank
) -> None:
    """The second load of a table starts where the first one ended, and all that changed lies between its two bounds."""
    before = second.get("watermark_before")
    evidence.expect(f"{table.name}: second load starts at the first one's end", first.get("watermark_after"), before)
    if before is not None:
        above = bank.count(table, at_or_above=str(before))
        evidence.expect(f"{table.name}: changed rows above the first watermark", len(changed.keys), above)
    evidence.expect(f"{table.name}: rows updated in silver", len(changed.updated), second.get("updated"))
    evidence.expect(f"{table.name}: rows inserted into silver", len(changed.inserted), second.get("inserted"))


def check_values(evidence: Evidence, table: BankTable, changed: Changed, bank: Bank, lake: Lake) -> None:
    """Every changed row of silver and gold has the source's values, column by column."""
    names = [row[0] for row in bank.rows(_COLUMNS.format(table=table.name))]
    keys = ", ".join(str(key) for key in changed.keys)
    condition = f"{table.key} IN ({keys})"
    columns = ", ".join(names)
    expected = [
        _plain(row) for row in bank.rows(f"SELECT {columns} FROM {table.name} WHERE {condition} ORDER BY {table.key}")
    ]
    evidence.expect(f"{table.name}: changed rows in the source", len(changed.keys), len(expected))
    parts = (f"SELECT '{layer}' AS layer, {columns} FROM {layer}.{table.name} WHERE {condition}" for layer in LAYERS)
    found = lake.rows(" UNION ALL ".join(parts) + f" ORDER BY layer, {table.key}")
    for layer in LAYERS:
        values = [_plain(row[1:]) for row in found if row[0] == layer]
        evidence.expect(f"{layer}.{table.name}: values of the changed rows", expected, values)


def check_models(evidence: Evidence, books: Books, lake: Lake, api: Api) -> None:
    """Every row of the bank's gold models has the figures that follow from the source's own rows, and their rules found what is
    in these rows."""
    for name, expected in books.expected().items():
        with evidence.about(f"gold.{name}"):
            found = in_order(lake.rows(f"SELECT {COLUMNS[name]} FROM gold.{name}"))
            evidence.expect(f"gold.{name}: rows", len(expected), len(found))
            differing = [pair for pair in zip(expected, found, strict=False) if pair[0] != pair[1]]
            evidence.expect(f"gold.{name}: rows that differ (expected, found)", [], differing[:3])
            rules = api.get("gold", name, "quality")["rules"]
            looked_at = {rule["checked"] for rule in rules if rule["checked"] != 1}
            evidence.expect(f"gold.{name}: rows that its rules have looked at", {len(expected)}, looked_at)
            failed = {rule["rule"]: rule["failed"] for rule in rules if rule["failed"]}
            evidence.expect(f"gold.{name}: rows that break rules", rows_that_fail(name, expected), failed)


_COLUMNS = "SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"


def _plain(row: Any) -> list[Any]:
    return [_comparable(value) for value in row]


def _comparable(value: Any) -> Any:
    """A value as both sides can hold it: Delta has no time of day, JSON neither dates nor decimals."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds" if value.microsecond else "seconds")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else text[:400] + " …"
