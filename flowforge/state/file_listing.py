"""The files of a table by when they were taken or refused, the newest first: an index over the ledger and over refusals.

Each entry and each refusal has a `listed`, by which the index orders those of one table. Items that a version before has written
have none: the sweep adds it, and marks each table of which all have one. Until then a table's list reads its whole ledger.

Guarantees: a part that is asked for is read, and nothing beyond it. The index may be behind what was written in the last second;
what it names is read consistently.
"""

import time
from collections.abc import Iterator

from flowforge.aws import items
from flowforge.runtime.settings import settings
from flowforge.state import file_ledger, file_refusals
from flowforge.state.file_ledger import FileEntry
from flowforge.state.file_refusals import Refusal

INDEX = "listed-files"
MARKS = "FILES_LISTED"
FIRST, MOST = 10, 100  # items that are asked for at once: of many tables most have none in a page
MISSING = "attribute_not_exists(listed)"


def newest_entries(source_key: str, before: str) -> Iterator[FileEntry]:
    """The entries whose `listed` is below `before` (empty: all). Raises UnreadableRecord."""
    return (file_ledger.entry_in(item) for item in _newest(file_ledger.partition(source_key), before))


def newest_refusals(source_key: str, before: str) -> Iterator[Refusal]:
    """The refusals whose `listed` is below `before` (empty: all). Raises UnreadableRecord."""
    return (file_refusals.refusal_in(item) for item in _newest(file_refusals.partition(source_key), before))


def listed_sources() -> set[str]:
    """The tables whose files are all in the index."""
    return {item["sk"] for item in items.query(settings().watermarks_table, "pk = :pk", {":pk": MARKS})}


def list_older(source_key: str, end: float) -> bool:
    """Brings what a version before has written of a table into the index, until it is `end` (of the monotonic clock); returns
    whether that is all. An item is changed in this alone, and only while it is there. Raises UnreadableRecord."""
    entry, refusal = file_ledger.entry_in, file_refusals.refusal_in
    for name, read in ((file_ledger.partition(source_key), entry), (file_refusals.partition(source_key), refusal)):
        for item in items.query(settings().watermarks_table, "pk = :pk", {":pk": name}, FilterExpression=MISSING):
            if time.monotonic() > end:
                return False
            key, condition = {"pk": item["pk"], "sk": item["sk"]}, f"attribute_exists(pk) AND {MISSING}"
            listed = {":listed": read(item).listed}
            items.update(settings().watermarks_table, key, "SET listed = :listed", listed, condition)
    return items.put(settings().watermarks_table, {"pk": MARKS, "sk": source_key})


def _newest(partition: str, before: str) -> Iterator[items.Item]:
    size = FIRST
    while True:
        condition, values = "pk = :pk", {":pk": partition}
        if before:
            condition, values = f"{condition} AND listed < :before", values | {":before": before}
        options = {"IndexName": INDEX, "ScanIndexForward": False, "Limit": size}
        keys = list(items.query(settings().watermarks_table, condition, values, **options))
        found = items.get_many(settings().watermarks_table, [{"pk": one["pk"], "sk": one["sk"]} for one in keys])
        yield from (item for item in found if item is not None)
        if len(keys) < size:
            return
        before, size = keys[-1]["listed"], MOST
