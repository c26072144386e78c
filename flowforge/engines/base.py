"""What runs SQL over lake tables: what an engine has to give, in words of no engine.

Rows cross as Arrow streams (the PyCapsule interface), SQL as text in the engine's own dialect, column types as that dialect
writes them. Errors are those of this module, whatever library is behind them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


class EngineError(Exception):
    """The engine refuses SQL, or fails over a row. `reason` is what may be told: no value of a row; `line` is the line (from 1)
    of a statement that the engine points at, where it does."""

    def __init__(self, message: str, reason: str | None = None, line: int | None = None):
        super().__init__(message)
        self.reason, self.line = message if reason is None else reason, line


class OutOfMemory(EngineError):
    """The rows need more memory than the engine may take."""


class TimedOut(EngineError):
    """The engine was stopped in the middle of a statement: its time was over."""


class ObjectUnreadable(EngineError):
    """The engine cannot read or write an object; `is_gone` where the store says that there is none."""

    def __init__(self, message: str, is_gone: bool = False):
        super().__init__(message)
        self.is_gone = is_gone


class ArrowStream(Protocol):
    """Anything that hands over its rows as an Arrow stream."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream, as a capsule of Arrow's C interface."""
        ...


@dataclass(frozen=True)
class WrittenFile:
    """A Parquet file that an engine has written; `statistics` are those of its columns as the engine tells them."""

    uri: str
    rows: int
    size: int
    statistics: Mapping[str, Mapping[str, str]]


class Answer(Protocol):
    """The rows of a statement that was run, as Python values."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, its values in the order of the columns; None behind the last."""
        ...

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        ...


class Rows(ArrowStream, Answer, Protocol):
    """A query whose text the engine has taken; it is run each time that its rows are asked for."""

    @property
    def columns(self) -> list[str]:
        """The columns' names, in order."""
        ...

    @property
    def types(self) -> Sequence[Any]:
        """The columns' types; `str` of one is its name in the engine's dialect."""
        ...

    def sql_query(self) -> str:
        """The query as the engine's own text, to be put into another one."""
        ...

    def filter(self, condition: str, /) -> "Rows":
        """The rows for which the condition is true."""
        ...

    def project(self, items: str, /) -> "Rows":
        """These columns and expressions of each row: the items of a SELECT."""
        ...

    def aggregate(self, items: str, groups: str = "", /) -> "Rows":
        """These aggregates of all rows, or of each of the groups (the items of a GROUP BY)."""
        ...

    def order(self, items: str, /) -> "Rows":
        """The rows sorted by these expressions."""
        ...

    def limit(self, rows: int, /) -> "Rows":
        """So many rows at most, the first of their order."""
        ...

    def create_view(self, name: str, replace: bool = True) -> object:
        """Gives the rows a name on their session; they stay a query."""
        ...


class Session(Protocol):
    """One engine at work: its views and temporary tables go with it. Every method raises EngineError and its kinds only."""

    def execute(self, statement: str, parameters: object = None, /) -> Answer:
        """Runs a statement, with a value for each of its parameters."""
        ...

    def sql(self, query: str, /) -> Rows:
        """A query, bound to the columns that there are; no row is read. Raises EngineError where it does not fit."""
        ...

    def table(self, name: str, /) -> Rows:
        """The rows of a table or view of this session."""
        ...

    def from_arrow(self, rows: ArrowStream, /) -> Rows:
        """Rows from elsewhere: not from a query of this session, which can do one thing at a time."""
        ...

    def register(self, name: str, rows: ArrowStream, /) -> None:
        """Makes rows readable under a name, in place of those that had it."""
        ...

    def near(self, files: Iterable[tuple[str, int]], /) -> list[str]:
        """Where this session reads objects of the lake, each given with its bytes and never changed."""
        ...

    def confine(self, uris: list[str], /) -> None:
        """From here on these objects are read and nothing else, nothing is written, and no setting changes: for users' SQL."""
        ...

    def within(
        self, seconds: float | None, stopped: Callable[[], bool] | None = None, /
    ) -> AbstractContextManager[None]:
        """Stops what is run in the block once so many seconds are over (None: never), or soon after `stopped`, asked now and then
        by a thread of its own, says so; it raises TimedOut then."""
        ...

    def check_query(self, sql: str, tables: Iterable[tuple[str, str]], /) -> None:
        """Raises NotAllowed unless the engine reads one query over these tables (layer, name); nothing is run."""
        ...

    def check_condition(self, sql: str, /) -> None:
        """Raises NotAllowed unless the engine reads one condition over one row; nothing is run."""
        ...

    def write_files(
        self, query: str, folder: str, types: Mapping[str, str], /, *, few: bool = False
    ) -> list[WrittenFile]:
        """Writes the query's rows, in the columns and types `types`, as Parquet files of about `TARGET_BYTES` below `folder`
        (s3://…); none where there is no row. `few`: where the session has read copies alone (`near`), they take megabytes at
        most, and need not go to S3 while they are made."""
        ...


class Engine(Protocol):
    """An engine: how a session begins. It reaches the lake with the credentials of this process."""

    def session(self) -> AbstractContextManager[Session]:
        """A session for the block. Its memory and its files on disk go with it."""
        ...


TARGET_BYTES = 64 * 1024 * 1024  # of a data file
