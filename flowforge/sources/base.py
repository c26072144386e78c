"""What a source is to the rest of FlowForge: the questions a load asks. `plans` and `reports` have the values that cross.

    Source        one place that is read from, by a connection's reference; `registry` finds it by the reference's kind
    Session       one connection's worth of questions: what is there, and what the next load reads
    BatchReader   a schema, record batches in it, and afterwards a report
    Rereading     a table read once more, for a comparison with the lake

A load asks in this order: `describe` (what is there now), `plan` (which part of it is new: an interval, fixed before a row is
read), then, once the interval is claimed, `resume`, `open` for each split, `recount`. A worker that takes a claim over begins at
`resume`: what it needs is in the batch's record, so both read the same rows.

Guarantees that each source gives, shown by tests/helpers/source_conformance.py and source_questions.py: the splits of a plan
hold each of its rows once; a plan that is resumed reads what it did; a position is text that only its source reads; a read past
its deadline raises; a read that ends early raises, and never returns fewer rows.

Resource management: a session and a reader each hold one connection; both are context managers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import SlicePlan
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.plans import (
    Description,
    Estimate,
    LastRead,
    LoadedTable,
    Position,
    ReadPlan,
    StandsStill,
    Wanted,
)
from flowforge.sources.reports import ReadReport, Recount

if TYPE_CHECKING:
    import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]  it has none

    from flowforge.sources.target import Credentials


class NotAValue(ValueError):
    """The text is no value of the column; `remedy` says what to write instead."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(problem)
        self.remedy = remedy


class BatchReader(Protocol):
    """A schema and an iterator of record batches in that schema. `close` may be called at any time, from any thread.

    The schema has the plan's columns, and behind them the audit columns whose values the source knows of each row.
    """

    schema: "pa.Schema"  # pyright: ignore[reportUnknownMemberType]  of pyarrow

    def __iter__(self) -> "Iterator[pa.RecordBatch]": ...  # pyright: ignore[reportUnknownParameterType, reportUnknownMemberType]

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def report(self) -> ReadReport:
        """What the read knows of itself, once all rows have been taken."""
        ...

    def close(self) -> None:
        """Ends the read and its connection; an iteration that is under way raises."""
        ...


class Planner(Protocol):
    """What plans the next read of a table."""

    def plan(self, description: Description, last: Mapping[str, LastRead], only_new: bool = False) -> ReadPlan:
        """See `Session.plan`."""
        ...


class Moment(Planner, Protocol):
    """A source as of one moment, over one connection: what is planned and read of however many tables is of that moment.

    `source` names what `version` is a version of: it is another one after a restore.
    """

    source: str
    version: int

    def open(self, plan: ReadPlan, deadline: float | None = None) -> BatchReader:
        """A reader of a plan; the one before must be at its end. Raises as `Source.open` does."""
        ...


class Session(Protocol):
    """An open connection to a source, for questions."""

    def test(self) -> dict[str, Any]:
        """What a connection test shows of the server."""
        ...

    def tables(self) -> list[dict[str, Any]]:
        """All that this login may read: `schema`, `name`, `type` and `row_estimate` of each."""
        ...

    def expand(self, pattern: str) -> list[str]:
        """The tables that a pattern names, as a request would name each; raises UnknownTable when none fits."""
        ...

    def show(self, table: str, rows: int) -> dict[str, Any]:
        """A table as people need it before they load it, with a preview of so many rows. Raises UnknownTable."""
        ...

    def describe(self, wanted: Wanted) -> Description:
        """What is wanted, as it is now. Raises UnknownTable, UnknownColumn, QueryRefused, UnsupportedSource."""
        ...

    def plan(self, description: Description, last: Mapping[str, LastRead], only_new: bool = False) -> ReadPlan:
        """The next read, after what the loads before have left for each cursor; `only_new`: a plan without rows would change
        nothing, so it is worth a look whether there are any. Raises SourceChanged, UnknownColumn, UnsupportedSource."""
        ...

    def one_moment(self, description: Description) -> AbstractContextManager[Moment]:
        """The source as of now for the block, which may last as long as its function; `description` is of one of its tables.
        Raises UnsupportedSource where there is no such thing."""
        ...

    def standing_still(self, tables: Sequence[LoadedTable]) -> StandsStill | None:
        """Of many tables those that a load need not look at, asked all at once; None where this source, or its server, cannot
        tell. Raises what asking raises."""
        ...

    def estimate(self, description: Description, plan: ReadPlan) -> Estimate:
        """How much a plan would read; what is not known is None, and nothing is raised for it."""
        ...


class Rereading(Protocol):
    """A table that is read once more, to be compared with the lake; `rests_on` says in words what that takes for granted."""

    @property
    def name(self) -> str:
        """The table as the source calls it, for people."""
        ...

    @property
    def columns(self) -> list[SourceColumn]:
        """Its columns, in the source's order."""
        ...

    @property
    def primary_key(self) -> list[str]:
        """The columns of its primary key, in order; none where it has none."""
        ...

    @property
    def rests_on(self) -> list[str]:
        """What the comparison takes for granted, a sentence each."""
        ...

    def settled(self, bound: Position) -> str:
        """The bound below which no row is still to come; see `is_exact`."""
        ...

    def read(self, columns: list[SourceColumn], interval: Interval, order: Sequence[str]) -> BatchReader:
        """Opens a reader of the rows of `interval`, sorted by `order`."""
        ...


class Source(Protocol):
    """One place that is read from: made of its kind's part of a command's connection (events.targets). Making one asks nothing;
    a login is read when it is needed."""

    kind: ClassVar[str]

    def __init__(self, reference: Any, credentials: "Credentials | None" = None): ...

    @classmethod
    def prepare(cls) -> None:
        """Imports what reading takes, so that the first message does not wait for it."""
        ...

    @classmethod
    def mistakes(cls, wanted: Any, keeps: bool) -> list[tuple[str, str]]:
        """What a request asks for that this kind of source never reads, as (field, problem); nothing is asked of a server.
        `keeps`: no later load would mend what this one gets wrong."""
        ...

    @classmethod
    def is_asked_together(cls, table: LoadedTable) -> bool:
        """Whether `Session.standing_still` may have an answer for the table, from what the load before has left; nothing is asked
        of a server."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """Connects for the block. Raises LoginRefused, SourceUnavailable."""
        ...

    def try_reading(self) -> str:
        """Reads one row as a load does; returns the driver's name. Raises what the load would raise."""
        ...

    def resume(
        self, interval: Interval, description: Description | None = None, splits: SlicePlan | None = None
    ) -> ReadPlan:
        """The plan of a claimed interval, from what its batch keeps: with splits they say it all, else a description does, with
        the identity that the batch has kept."""
        ...

    def open(self, plan: ReadPlan, split: int | None = None, deadline: float | None = None) -> BatchReader:
        """Opens a plan, or one split of it; `deadline` is an instant of time.monotonic(). Raises what connecting and running
        raise, SourceUnavailable when the deadline passes, TruncatedRead when the source counted other than what arrived."""
        ...

    def recount(self, plan: ReadPlan, deadline: float | None = None) -> Recount:
        """What the source counts for the plan now. Raises what reading raises."""
        ...

    def reread(self, table: str, casts: Mapping[str, str]) -> Rereading:
        """A table for a comparison; `casts` are columns with the type that the lake's were made of. Raises UnknownTable."""
        ...

    def can_be_cursor(self, column: SourceColumn) -> bool:
        """Whether a column's values can bound a load."""
        ...

    def position(self, text: str, column: SourceColumn, clock: str = "unknown") -> str:
        """A position as a person writes it, as the source would print it; raises NotAValue."""
        ...

    def order(self, type: str | None) -> Callable[[str], Any]:
        """The key by which positions of a type sort."""
        ...

    def is_exact(self, type: str | None) -> bool:
        """Whether the lake holds such positions with all their digits."""
        ...

    def weakest(self, views: list[str]) -> str:
        """What can be said of the consistency of several reads; empty where it is not known of one."""
        ...
