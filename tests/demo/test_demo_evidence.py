"""The demo's checks: silent when all is right, and each able to fail."""

from dataclasses import dataclass, field, replace
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import pytest

from demo.bank import BankTable, Changed
from demo.evidence import Evidence, check_change, check_load, check_rows, check_values, check_watermark
from demo.lake import Landed
from flowforge.domain.errors import NotFound

TABLE = BankTable("payments", "id", "changed_at", 3)
CHANGED = Changed(updated=[7], inserted=[11])
SOURCE_ROWS = [(7, Decimal("1.50"), datetime(2026, 1, 2, 3, 4, 5, 997000)), (11, None, time(9, 15))]
LAKE_ROWS = [(7, Decimal("1.50"), datetime(2026, 1, 2, 3, 4, 5, 997000)), (11, None, "09:15:00")]
LANDED = Landed(2, list("abcdefgh"), 99)
FIRST = {"watermark_after": "2026-01-01 00:00:00"}
SECOND = {
    "status": "published",
    "records": 2,
    "columns": 8,
    "bronze_key": "bronze/bronze_payments/b.parquet",
    "file_size_bytes": 99,
    "silver_rows": 12,
    "gold_tables": {"payments": 12},
    "quarantined": 0,
    "updated": 1,
    "inserted": 1,
    "watermark_before": "2026-01-01 00:00:00",
    "watermark_after": "2026-01-03 00:00:00",
    "watermark_committed": True,
}


@dataclass(frozen=True)
class Source:
    """A bank with twelve rows, two of them changed."""

    above: dict[str, int] = field(default_factory=lambda: {"2026-01-01 00:00:00": 2, "2026-01-03 00:00:00": 0})
    total: int = 12

    def count(self, table: BankTable, at_or_above: str | None = None) -> int:
        return self.total if at_or_above is None else self.above[at_or_above]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [("id",), ("amount",), ("changed_at",)] if "INFORMATION_SCHEMA" in sql else SOURCE_ROWS


@dataclass(frozen=True)
class Tables:
    """The lake that belongs to it."""

    landed: Landed = LANDED
    total: int = 12
    gold_total: int = 12
    found: list[tuple[Any, ...]] = field(default_factory=lambda: LAKE_ROWS)

    def bronze(self, key: str) -> Landed:
        return self.landed

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if "COUNT(*)" in sql:
            return [("silver.payments", self.total), ("gold.payments", self.gold_total)]
        return [(layer, *row) for layer in ("gold", "silver") for row in self.found]


@dataclass(frozen=True)
class Watermarks:
    """The API's watermark of the table."""

    value: str | None = "2026-01-03 00:00:00"

    def get(self, *path: str) -> dict[str, Any]:
        return {"watermarks": {"changed_at": {"value": self.value}}}


def wrong(told: dict[str, Any] = SECOND, source: Any = None, lake: Any = None, api: Any = None) -> list[str]:
    """What all checks of one second load complain about."""
    evidence, source, lake, api = Evidence(), source or Source(), lake or Tables(), api or Watermarks()
    with evidence.about("payments"):
        check_load(evidence, TABLE, told, 2, source, lake)
        check_rows(evidence, [TABLE], source, lake)
        check_watermark(evidence, TABLE, told, source, api)
        check_change(evidence, TABLE, FIRST, told, CHANGED, source)
        check_values(evidence, TABLE, CHANGED, source, lake)
    return evidence.wrong


def test_should_say_nothing_when_all_is_right():
    assert wrong() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "failed"),
        ("records", 3),
        ("columns", 7),
        ("silver_rows", 11),
        ("gold_tables", {"payments": 11}),
        ("gold_tables", None),
        ("quarantined", 1),
        ("file_size_bytes", 98),
        ("updated", 2),
        ("inserted", 0),
        ("watermark_committed", False),
        ("watermark_before", None),
        ("watermark_after", None),
        ("bronze_key", None),
    ],
)
def test_should_notice_what_a_run_tells_wrongly(name, value):
    assert wrong(SECOND | {name: value})


@pytest.mark.parametrize(
    "changed",
    [
        {"lake": Tables(landed=Landed(1, list("abcdefgh"), 99))},
        {"lake": Tables(landed=Landed(2, list("abc"), 99))},
        {"lake": Tables(total=13)},
        {"lake": Tables(gold_total=11)},
        {"lake": Tables(found=LAKE_ROWS[:1])},
        {"lake": Tables(found=[(7, Decimal("1.51"), LAKE_ROWS[0][2]), LAKE_ROWS[1]])},
        {"api": Watermarks("2026-01-02 00:00:00")},
        {"api": Watermarks(None)},
        {"source": Source(total=13)},
        {"source": replace(Source(), above={"2026-01-01 00:00:00": 3, "2026-01-03 00:00:00": 0})},
        {"source": replace(Source(), above={"2026-01-01 00:00:00": 2, "2026-01-03 00:00:00": 1})},
    ],
)
def test_should_notice_what_source_and_lake_contradict(changed):
    assert wrong(**changed)


def test_should_count_a_check_that_cannot_be_made_as_failed():
    evidence = Evidence()
    with evidence.about("payments"):
        raise NotFound("there is no table silver.payments")

    assert (evidence.made, len(evidence.wrong)) == (1, 1)
    assert "silver.payments" in evidence.wrong[0]
