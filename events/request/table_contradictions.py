"""What the settings of one table must not say against each other: field and problem, each for a person.

`given` are the settings as they were written, not checked yet.
"""

from collections.abc import Iterator
from typing import Any

MOST_VALUES = 500  # of a table's filter: each is a parameter twice, and a statement takes 2,100


def of_where(where: Any) -> Iterator[tuple[str, str]]:
    """What is no list of conditions, or has too many values."""
    if isinstance(where, str):
        yield (
            "where",
            'is no SQL, but a list of conditions, such as [{"column": "region", "value": "EU"}]; all must hold',
        )
    if isinstance(where, list):
        values = [one.get("value") for one in where if isinstance(one, dict)]
        if (count := sum(len(value) if isinstance(value, list) else 1 for value in values)) > MOST_VALUES:
            yield "where", f"has {count:,} values, {MOST_VALUES} are the most: load a view that has the condition"


def of_tracking(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What does not go with Change Tracking."""
    if given.get("changeTracking") is not True:
        if given.get("onGap", "refuse") != "refuse":
            yield "onGap", "is for changeTracking true alone: leave it out"
        return
    if given.get("isIncremental") is not True:
        yield "changeTracking", "needs isIncremental true: a full load reads every row"
    if given.get("deltaColumn"):
        yield "changeTracking", "stands in place of deltaColumn: leave one of both out"
    if given.get("query"):
        yield "changeTracking", "is for a table: the server tells no changes of a query"
    if given.get("snapshotIsolation") is False:
        yield "snapshotIsolation", "changeTracking reads log and table under SNAPSHOT isolation: leave it out"


def of_cut(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One moment can be had of tables alone whose changes, deletions among them, the server tells by one version."""
    if given.get("consistentCut") is not True:
        return
    needed = 'write {"tableName": …, "isIncremental": true, "changeTracking": true}'
    tables = given.get("tables")
    if not isinstance(tables, list):
        if given.get("changeTracking") is not True:
            yield "consistentCut", f"needs changeTracking true: {needed}"
        return
    for n, entry in enumerate(tables):
        if isinstance(entry, str):
            yield f"tables.{n}", f"consistentCut needs each table with its settings, and no pattern: {needed}"
        elif isinstance(entry, dict) and entry.get("changeTracking") is not True:
            yield f"tables.{n}", f"consistentCut needs changeTracking true in each table: {needed}"
