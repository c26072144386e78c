"""What a source is to the rest of FlowForge: the questions a load asks, and the values that cross.

    Source        one place that is read from, by a connection's reference; `registry` finds it by the reference's kind
    Session       one connection's worth of questions: what is there, and what the next load reads
    BatchReader   a schema, record batches in it, and afterwards a report
    Rereading     a table read once more, for a comparison with the lake

A load asks in this order: `describe` (what is there now), `plan` (which part of it is new: an interval, fixed before a row is
read), then, once the interval is claimed, `resume`, `open` for each split, `recount`. A worker that takes a claim over begins at
`resume`: what it needs is in the batch's record, so both read the same rows.

Guarantees that each source gives, shown by tests/helpers/source_conformance.py: the splits of a plan hold each of its rows once;
a plan that is resumed reads what it did; a position is text that only its source reads; a read past its deadline raises; a read
that ends early raises, and never returns fewer rows.

Resource management: a session and a reader each hold one connection; both are context managers.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self

from events.files import FileColumn
from flowforge.domain.file_version import FileVersion
from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import Counting, SlicePlan
from flowforge.domain.source_columns import SourceColumn

if TYPE_CHECKING:
    import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]  it has none

    from flowforge.sources.target import Credentials


class NotAValue(ValueError):
    """The text is no value of the column; `remedy` says what to write instead."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(problem)
        self.remedy = remedy


class Position(NamedTuple):
    """How far a table is loaded: `value` of `cursor`, as text that only the source reads. `type` is what the source called the
    cursor's type then; None where a person has written the value."""

    cursor: str
    value: str
    type: str | None = None


@dataclass(frozen=True)
class LastRead:
    """What the load before has left for one cursor. `identity` is what the source said of itself, `digest` that of rows which
    may come again, `memory` what the source wants to see again; the last three are read by the source only.

    What stands under no cursor ("") has `files`: it tells the newest version of each file that the table has taken, by bucket and
    key, or where it is given files, of those with their names, and one of each of their contents; `applied`: every version with
    its batch's sequence number; and `refused`: those that were refused as they are read now. They are asked by a source of files
    alone. `was_reset`: the table holds what these do not tell of.
    """

    position: Position | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    memory: list[dict[str, Any]] = field(default_factory=list)
    files: Callable[[Collection[FileVersion] | None], Mapping[tuple[str, str], FileVersion]] = lambda listed: {}
    applied: Callable[[], Sequence[tuple[FileVersion, int]]] = list
    refused: Callable[[], Mapping[tuple[str, str], FileVersion]] = dict
    was_reset: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a load asks of a source: `read` is the source's own part of the command, the rest is what the layers do with it.

    `key` are the columns by which the request tells rows apart (none: the source's own). `adds_only`: no row replaces another.
    `removes_rows`: what is not read is taken out of silver;
    `keeps_history`: silver has every state of a row. `follows_changes`: what is read are changes, which count in their order.
    `bronze_table` is the name that commands know the table by. `only_keys`: of all rows the key alone, whatever conditions the
    request has on them; `removes_rows` is then so, too.
    """

    read: Any
    bronze_table: str = ""
    key: tuple[str, ...] = ()
    adds_only: bool = False
    removes_rows: bool = False
    keeps_history: bool = False
    follows_changes: bool = False
    audited: bool = True
    only_keys: bool = False


@dataclass(frozen=True)
class Description:
    """What a source says now of the table, query or files that are wanted.

    `name` is the source's own, for people; `parts`, schema and table in its spelling (no schema: a query), are part of the source
    key. `written` are the two by which default names go (None: they do not). `primary_key` is the source's. `identity` tells
    this source from a restored or recreated one, `notes` what this login does not see, `lacks` what the source lacks and what
    holds instead. `detail` is opaque to all but the source.
    """

    wanted: Wanted
    name: str
    columns: list[SourceColumn]
    primary_key: list[str] = field(default_factory=list)
    parts: tuple[str, str] = ("", "")
    written: tuple[str, str] | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    detail: Any = None


class Nothing(NamedTuple):
    """Why a plan has nothing to read: `reason` and `notes` for the run. With `wait_seconds` the load is to come again after so
    long, because of `wait_reason`. `news`: the plan's memory is to be kept though nothing was read. `moves`: the position moves
    to the interval's end all the same."""

    reason: str
    notes: list[str]
    wait_seconds: int | None = None
    wait_reason: str = ""
    news: bool = False
    moves: bool = False


@dataclass(frozen=True)
class ReadPlan:
    """What a load reads: `interval`, from the position of the load before (`low`) to the one after (`high`).

    `splits` None: it is read at once. `identity` and `memory` are kept with the batch for the next plan. `counting` says when the
    source counts the rows on its own. `nothing` is set where there is nothing to read.
    """

    interval: Interval
    columns: list[SourceColumn]
    splits: SlicePlan | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    memory: list[dict[str, Any]] = field(default_factory=list)
    counting: Counting = field(default_factory=Counting)
    nothing: Nothing | None = None
    detail: Any = None


class Estimate(NamedTuple):
    """How much a plan would read, for people: `rows` and `bytes` as far as they are known, `counted` or as the catalog says, and
    what should be known of the source before it is loaded."""

    rows: int | None = None
    counted: bool = False
    bytes: int | None = None
    warnings: Sequence[str] = ()


class CountAtSource(NamedTuple):
    """What the source counted on its own, and when by its clock (UTC, style 121)."""

    rows: int
    at: str


class Recount(NamedTuple):
    """The rows that the source counts for a plan after they were read; `with_position` leaves out those without a cursor."""

    rows: int
    with_position: int
    at: str


class FileRead(NamedTuple):
    """What became of a file's records: `rows` of them are among the batches, `rejected` are not; the first of these in words."""

    file: FileVersion
    rows: int
    rejected: int = 0
    first_rejected: str = ""


class ReadReport(NamedTuple):
    """What a read knows of itself once it is done: its view of the source, what the source counted in it, and how it was read.

    Of files: what became of each, and `rejects`, a Parquet file of the records that are not among the batches, at its start; it
    is closed with its reader; `types` are columns that were proposed from the first file, to be kept for the later ones.
    """

    consistency: str = ""
    counted: CountAtSource | None = None
    notes: Sequence[str] = ()
    files: Sequence[FileRead] = ()
    rejects: IO[bytes] | None = None
    types: Sequence[FileColumn] = ()


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

    def close(self) -> None: ...


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

    def estimate(self, description: Description, plan: ReadPlan) -> Estimate:
        """How much a plan would read; what is not known is None, and nothing is raised for it."""
        ...


class Rereading(Protocol):
    """A table that is read once more, to be compared with the lake; `rests_on` says in words what that takes for granted."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> list[SourceColumn]: ...

    @property
    def primary_key(self) -> list[str]: ...

    @property
    def rests_on(self) -> list[str]: ...

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

    def reread(self, table: str) -> Rereading:
        """A table for a comparison. Raises UnknownTable."""
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
