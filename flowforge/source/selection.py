"""What a reader is to read: columns of a table or query, in an interval. Each driver puts it to the server in its own form."""

from collections.abc import Sequence
from typing import NamedTuple

from flowforge.source.consistency import under
from flowforge.source.packing import Cell
from flowforge.source.sql_text import Source, Statement, packed_statement, quote_identifier, select_statement
from flowforge.state.batch import Interval, SourceColumn


class Selection(NamedTuple):
    """The columns of the rows of `source` (a table, or a query's text) in `interval`; `within` is a slice's condition.

    `consistency` is what the read asks for; empty is the server's default. `order` names columns to sort by.
    """

    source: Source
    columns: Sequence[SourceColumn]
    interval: Interval = Interval()
    within: Statement | None = None
    consistency: str = ""
    order: Sequence[str] = ()

    def statement(self) -> Statement:
        """Each column in a cell of its own."""
        return under(self.consistency, select_statement(*self[:3], within=self.within) + self._ordered())

    def packed(self) -> tuple[Statement, list[Cell]]:
        """Several columns in a cell, and which are in each; see `packing`."""
        statement, cells = packed_statement(*self[:4])
        return under(self.consistency, statement + self._ordered()), cells

    def _ordered(self) -> str:
        names = ", ".join(quote_identifier(name) for name in self.order)
        return f" ORDER BY {names}" if names else ""
