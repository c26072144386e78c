"""What a reader is to read: columns of a table or query, in an interval. Each driver puts it to the server in its own form."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.completeness import with_counts
from flowforge.sources.sqlserver.consistency import SNAPSHOT, under
from flowforge.sources.sqlserver.packing import Cell
from flowforge.sources.sqlserver.sql_text import Source, dated_count_statement, packed_statement, select_statement
from flowforge.sources.sqlserver.statement import Statement, quote_identifier


class Selection(NamedTuple):
    """The columns of the rows of `source` (a table, or a query's text) in `interval`; `within` is a slice's condition.

    `consistency` is what the read asks for; empty is the server's default. `order` names columns to sort by. `counted`: under
    SNAPSHOT the source counts the rows once more, in the same transaction. `own`: the source's text is ours, nobody's query.
    `behind` is asked once all rows are there, and `judge` is told its first row (None: there is none); it may raise.
    """

    source: Source
    columns: Sequence[SourceColumn]
    interval: Interval = Interval()
    within: Statement | None = None
    consistency: str = ""
    order: Sequence[str] = ()
    counted: bool = False
    own: bool = False
    behind: Statement | None = None
    judge: Callable[[Sequence[Any] | None], None] | None = None

    def statement(self) -> Statement:
        """What is sent, each column in a cell of its own: the rows, then the counts."""
        return self._asked(select_statement(*self[:3], within=self.within))

    def packed(self) -> tuple[Statement, list[Cell]]:
        """The same with several columns in a cell, and which are in each; see `packing`."""
        statement, cells = packed_statement(*self[:4])
        return self._asked(statement), cells

    def singly(self) -> tuple[Statement, list[Cell]]:
        """What `statement` sends, and one cell for each column: for a server whose lines do not hold."""
        return self.statement(), [(position,) for position in range(len(self.columns))]

    @property
    def counts_again(self) -> bool:
        """Whether a second count follows the rows and the server's count of them."""
        return self.counted and self.consistency == SNAPSHOT

    def _asked(self, statement: Statement) -> Statement:
        names = ", ".join(quote_identifier(name) for name in self.order)
        ordered = statement + (f" ORDER BY {names}" if names else "")
        again = dated_count_statement(self.source, self.interval, self.within) if self.counts_again else None
        asked = with_counts(ordered, again)
        return under(self.consistency, asked + "\n;\n" + self.behind if self.behind else asked)
