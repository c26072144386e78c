"""A table read once more, sorted, for a comparison with the lake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from events.targets import ConnectionReference
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.base import BatchReader
from flowforge.sources.plans import Position
from flowforge.sources.sqlserver.cast_columns import as_cast
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.derived_columns import with_key_digits
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.row_filters import row_filters, told_rests
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.sql_types import cursor_kind
from flowforge.sources.sqlserver.ties import last_number
from flowforge.sources.target import Credentials


@dataclass(frozen=True)
class TableAgain:
    """See `base.Rereading`."""

    reference: ConnectionReference
    credentials: Credentials
    table: TableDescription
    columns: list[SourceColumn]
    rests_on: list[str]

    @classmethod
    def of(
        cls, reference: ConnectionReference, credentials: Credentials, name: str, casts: Mapping[str, str]
    ) -> "TableAgain":
        """Asks the catalog for the table."""
        with connect(reference, credentials) as connection:
            table = describe_table(connection, name)
            rests_on = told_rests(row_filters(connection, table.object_id), table)
        columns = with_key_digits(
            as_cast(table.source_columns, casts, table.qualified_name), table.primary_key, table.qualified_name
        )
        return cls(reference, credentials, table, columns, rests_on)

    @property
    def name(self) -> str:
        """`schema.table`."""
        return self.table.qualified_name

    @property
    def primary_key(self) -> list[str]:
        """The names of its columns, in order."""
        return self.table.primary_key

    def settled(self, bound: Position) -> str:
        """The last number where other rows may still get it: they come with the next load, too."""
        if bound.type is None or cursor_kind(bound.type) != "integer" or self.table.is_unique(bound.cursor):
            return bound.value
        return last_number(bound.value, bound.type) or bound.value

    def read(self, columns: list[SourceColumn], interval: Interval, order: Sequence[str]) -> BatchReader:
        """The rows under the server's default isolation, by the connection's own driver."""
        selection = Selection(self.table, columns, interval, order=order)
        return open_reader(self.reference, self.credentials, selection, self.reference.driver)
