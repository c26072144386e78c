"""The second opinion: the source counts a batch's rows on its own, and what it says is compared with what landed.

    in the read's own snapshot   must be equal, or the read fails and starts again (see `sources.sqlserver.completeness`)
    after landing                only where the interval is closed. Fewer rows: some were changed or deleted since, they come with
                                 a later batch or are gone. More rows: one came late into an interval that no later batch reads;
                                 the batch is given up, or the row would be lost

Rows without a cursor are read again with every batch and are left out of that comparison. Where a count that nobody insists on
cannot be made, the batch lands all the same and says so.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from events.targets import SourceTable
from flowforge.bronze.reading import Reading
from flowforge.domain.batch import Batch, BronzeObject, Counting, Interval, SourceColumn, SourceCount
from flowforge.domain.errors import FlowForgeError
from flowforge.runtime.time_limit import deadline
from flowforge.sources.sqlserver.credentials import Credentials
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.sql_text import Source, dated_count_statement

COUNT_SECONDS = 120.0  # longer than an index takes that is worth it; a writer's lock is not waited for without end
IN_SNAPSHOT, IN_SNAPSHOTS = "in the snapshot that was read", "in the snapshot of each slice"
AFTER_LANDING = "after landing"
NO_MOMENT = "not counted: read without SNAPSHOT a full load is no single moment that could be counted again"
TIES = "not counted after landing: {} is not unique; rows that get its last number meanwhile come with the next load"
UNKNOWN = "not counted: an earlier version landed these rows without counting those that have no cursor"
COUNT_COLUMNS = [
    SourceColumn(name="source_rows", sql_type="bigint", nullable=False),
    SourceColumn(name="counted_at", sql_type="varchar(27)", nullable=False),
    SourceColumn(name="with_cursor", sql_type="bigint", nullable=False),
]


def plan_counting(wanted: SourceTable, interval: Interval, description: TableDescription | None) -> Counting:
    """When a batch is counted. `auto` counts where an index leads to the interval, and tables in the snapshot that is read."""
    always, is_table = wanted.count_rows == "always", description is not None and description.type == "table"
    if wanted.count_rows == "never":
        return Counting(why_not="not counted: countRows is never")
    if interval.column is None:
        if description is None:
            return Counting(why_not="not counted: a query without delta column is sent as it was written")
        if not (is_table or always):
            return Counting(why_not="not counted: a view would be run once more; countRows always does it")
        return Counting(together=True, insisted=always, why_not=NO_MOMENT)
    if interval.ties:
        return Counting(together=True, insisted=always, why_not=TIES.format(interval.column))
    if always or (description is not None and is_table and interval.column in description.indexed_columns):
        return Counting(together=True, afterwards=True, insisted=always)
    return Counting(why_not=f"not counted: {interval.column} leads no index; countRows always counts all the same")


class AtSource(NamedTuple):
    """Where a batch's rows come from and how they are counted there: the table (or query), its login, what views it offers."""

    relation: Source
    credentials: Credentials
    offered: list[str]
    counting: Counting


def count_landed(batch: Batch, at: AtSource, landed: Sequence[BronzeObject]) -> tuple[SourceCount, int]:
    """What the source counts for a batch whose objects have all landed, and how many rows came late.

    Raises what reading raises, where the count is insisted on.
    """
    before, counting = _counted_together(landed), at.counting
    if not counting.afterwards:
        return before or SourceCount(how=counting.why_not), 0
    if any(one.null_cursors is None for one in landed):
        return before or SourceCount(how=UNKNOWN), 0
    try:
        found = _ask(batch, at)
    except FlowForgeError as error:
        if counting.insisted:
            raise
        return before or SourceCount(how=f"not counted: {error}"), 0
    missing = found["with_cursor"] - sum(one.rows - (one.null_cursors or 0) for one in landed)
    how = AFTER_LANDING if before is None else f"{before.how}, and again {AFTER_LANDING}"
    return SourceCount(rows=found["source_rows"], how=how, at=found["counted_at"], left=max(0, -missing)), max(
        0, missing
    )


def _counted_together(landed: Sequence[BronzeObject]) -> SourceCount | None:
    if not landed or any(one.source_rows is None for one in landed):
        return None
    how = IN_SNAPSHOT if len(landed) == 1 else IN_SNAPSHOTS
    rows, at = sum(one.source_rows or 0 for one in landed), max(one.counted_at for one in landed)
    return SourceCount(rows=rows, how=how, at=at)


def _ask(batch: Batch, at: AtSource) -> dict[str, Any]:
    """Reads the count as a query of its own: under SNAPSHOT no writer's lock holds it up, and its deadline ends it."""
    soon = None if at.counting.insisted else time.monotonic() + COUNT_SECONDS
    by = min((limit for limit in (deadline(), soon) if limit is not None), default=None)
    text = dated_count_statement(at.relation, batch.interval).inlined()
    selection = Selection(text, COUNT_COLUMNS, own=not isinstance(at.relation, str))
    with Reading(batch.command.connection, at.credentials, selection, at.offered, by).open() as reader:
        (row,) = [row for rows in reader for row in rows.to_pylist()]
    return row
