"""Histories of people, and what batches of changes and whole loads should make of them."""

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

DAY = timedelta(days=1)


START = datetime(2024, 1, 1)


BEGINNING = datetime(1, 1, 1)


Versions = list[tuple[int, str, datetime, datetime | None, bool]]


def day(number: int) -> datetime:
    return START + DAY * number


def people(*rows: tuple[int, str, int | None]) -> pa.Table:
    """Rows of (id, name, day of the change)."""
    ids, names, days = zip(*rows, strict=True) if rows else ((), (), ())
    moments = [None if number is None else day(number) for number in days]
    return pa.table(
        {
            "id": pa.array(ids, pa.int32()),
            "name": pa.array(names, pa.string()),
            "changed": pa.array(moments, pa.timestamp("ms")),
        }
    )


def snapshot(*rows: tuple[int, str]) -> pa.Table:
    ids, names = zip(*rows, strict=True) if rows else ((), ())
    return pa.table({"id": pa.array(ids, pa.int32()), "name": pa.array(names, pa.string())})


def loaded(number: int) -> float:
    """The time of a batch in epoch seconds."""
    return (day(number) - datetime(1970, 1, 1)).total_seconds()


def versions(lake: Any) -> Versions:
    names = ("id", "name", "_valid_from", "_valid_to", "_is_current")
    rows = [tuple(row[n] for n in names) for row in lake.read("silver", "customers").to_pylist()]
    return sorted(rows, key=lambda row: (row[0], row[2]))
