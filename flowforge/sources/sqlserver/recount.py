"""When a batch's rows are counted at the source, and the count after they have landed."""

from events.targets import ConnectionReference, SourceTable
from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import Counting
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.reports import Recount
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.sql_text import Source, dated_count_statement
from flowforge.sources.target import Credentials

NO_MOMENT = "not counted: read without SNAPSHOT a full load is no single moment that could be counted again"
TWICE = "not counted: keys are read twice, and what either reading has is there"
TIES = "not counted after landing: {} is not unique; rows that get its last number meanwhile come with the next load"
IN_ONE_STATEMENT = "not counted again: changes are read by one statement, whose rows the server counts"
COUNT_COLUMNS = [
    SourceColumn(name="source_rows", type="bigint", sql_type="bigint", nullable=False),
    SourceColumn(name="counted_at", type="text", sql_type="varchar(27)", nullable=False),
    SourceColumn(name="with_cursor", type="bigint", sql_type="bigint", nullable=False),
]


def plan_counting(
    wanted: SourceTable, interval: Interval, description: TableDescription | None, only_keys: bool = False
) -> Counting:
    """When a batch is counted. `auto` counts where an index leads to the interval, and tables in the snapshot that is read."""
    if only_keys:
        return Counting(why_not=TWICE)
    if interval.is_changes:
        return Counting(why_not=IN_ONE_STATEMENT)
    always, is_table = wanted.count_rows == "always", description is not None and description.type == "table"
    if wanted.count_rows == "never":
        return Counting(why_not="not counted: countRows is never")
    if interval.column is None or interval.is_whole_table:
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


def count_again(
    reference: ConnectionReference,
    credentials: Credentials,
    relation: Source,
    interval: Interval,
    offered: list[str],
    deadline: float | None,
) -> Recount:
    """Counts the interval's rows in a read of its own. Raises what reading raises."""
    from flowforge.sources.sqlserver.reading import open_strongest

    text = dated_count_statement(relation, interval).inlined()
    selection = Selection(text, COUNT_COLUMNS, own=not isinstance(relation, str))
    with open_strongest(reference, credentials, selection, offered, deadline) as reader:
        (row,) = [row for rows in reader for row in rows.to_pylist()]
    return Recount(row["source_rows"], row["with_cursor"], row["counted_at"])
