"""Reads of a table under Change Tracking: its changes, or all of its rows as of a version.

Guarantees: changes are read under SNAPSHOT, so that log and table are of one moment; whether the log still had all of them is
asked once the last row is there (see `tracked_log`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from events.targets import ConnectionReference
from flowforge.domain.errors import ChangesLost, QueryRefused
from flowforge.domain.given import given
from flowforge.domain.own_columns import CHANGE_TYPE, CHANGE_VERSION
from flowforge.domain.slice_plan import SlicePlan
from flowforge.sources.base import BatchReader
from flowforge.sources.plans import ReadPlan
from flowforge.sources.reader_around import ReaderAround
from flowforge.sources.sqlserver.consistency import SNAPSHOT
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.reading import open_strongest
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.slices import range_condition
from flowforge.sources.sqlserver.tracked_changes import CHANGE_COLUMNS, INSERT, changes_text, loaded_version
from flowforge.sources.sqlserver.tracked_log import log_of, log_statement
from flowforge.sources.target import Credentials

AGAIN = "the table is planned anew"
NOT_TRACKED = 22105  # "Change tracking is not enabled on table"
_FIELDS = [pa.field(CHANGE_TYPE, pa.string(), nullable=False), pa.field(CHANGE_VERSION, pa.int64(), nullable=False)]


def selection_of_changes(plan: ReadPlan, split: int | None = None) -> Selection:
    """What is asked for the plan's changes, or for a slice of them; what judges it raises ChangesLost."""
    table: TableDescription | SlicePlan = plan.splits or plan.detail.table
    name = f"{table.schema_name}.{table.name}"
    version, then = loaded_version(plan.interval.low), plan.identity
    within = range_condition(plan.splits.key, plan.splits.ranges[given(split)]) if plan.splits else None

    def judge(row: Sequence[Any] | None) -> None:
        log = log_of(row)
        if lost := "it is not tracked any more" if log is None else log.lost(version, then):
            raise ChangesLost(f"{name}: while its changes were read: {lost}", AGAIN)

    return Selection(
        changes_text(table, plan.columns, plan.interval, within),
        [*plan.columns, *CHANGE_COLUMNS],
        own=True,
        behind=log_statement(int(given(then.get("object_id")))),
        judge=judge,
    )


def read_changes(
    reference: ConnectionReference,
    credentials: Credentials,
    plan: ReadPlan,
    split: int | None = None,
    deadline: float | None = None,
) -> BatchReader:
    """A reader of the plan's changes, or of a slice of them. Raises ChangesLost where the log has lost some since they were
    planned."""
    table: TableDescription | SlicePlan = plan.splits or plan.detail.table
    with refused_as_lost(f"{table.schema_name}.{table.name}"):
        return open_strongest(reference, credentials, selection_of_changes(plan, split), [SNAPSHOT], deadline)


@contextmanager
def refused_as_lost(name: str) -> Iterator[None]:
    """A table that is not tracked any more has lost its changes."""
    try:
        yield
    except QueryRefused as error:
        if error.number == NOT_TRACKED or "Change tracking is not enabled" in str(error):
            raise ChangesLost(f"{name}: it is not tracked any more", AGAIN) from error
        raise


class WithVersion(ReaderAround):
    """A BatchReader over the rows of a whole table, each of them an insert as of a version.

    Resource management: closes the reader below.
    """

    def __init__(self, reader: BatchReader, version: int):
        super().__init__(reader)
        self._values = [pa.scalar(INSERT, pa.string()), pa.scalar(version, pa.int64())]
        self.schema = pa.schema([*reader.schema, *_FIELDS], metadata=reader.schema.metadata)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._below:
            own = [pa.repeat(value, batch.num_rows) for value in self._values]
            yield pa.RecordBatch.from_arrays([*batch.columns, *own], schema=self.schema)
