"""Many tables asked about by few statements: which of them stand still.

Values that differ from run to run are parameters, and a table keeps its block however many others are asked beside it: so the
server keeps the plan of a block, where a text with the values in it would be compiled, and kept, for each run anew. What a
block's question raises leaves its tables to their own loads; so does a lock that it would wait for, and a time limit that comes
near. Of several blocks each counts for itself: what was answered holds, whatever becomes of those behind it.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from flowforge.domain.errors import FlowForgeError, SourceChanged
from flowforge.runtime.time_limit import seconds_left, within
from flowforge.sources.sqlserver.connection import LOCK_TIMEOUT_MS, SourceConnection
from flowforge.sources.sqlserver.identity import refuse_changed_source
from flowforge.sources.sqlserver.statement import quote_literal

# In a block, about, and no more on average: one branch of UNION ALL each, some 5 KB of text, planned in milliseconds.
TABLES_AT_ONCE = 50
CLOSING_SECONDS = 3.0  # what is left for the last question, at least
BLOCK_LOCK_MS = 1_000  # one table that is being altered or indexed anew must not take the others' time
_UNION = "\nUNION ALL\n"


class Branch(NamedTuple):
    """One table's part of a question: gives the table's `place` in the block where it has changed. `text` has the number of that
    place for {n} already, and the parameter @v followed by it, of type `type` and with `value`, a literal of T-SQL."""

    text: str
    type: str
    value: str


Table = TypeVar("Table")


def without_a_change(
    connection: SourceConnection,
    tables: Sequence[Table],
    name: Callable[[Table], tuple[str, str]],
    branch: Callable[[int, Table], Branch],
    in_snapshot: bool,
    closing_seconds: float = CLOSING_SECONDS,
) -> tuple[list[Table], list[str]]:
    """The tables that no branch names, and why others could not be asked; `closing_seconds` are left for what the connection is
    asked afterwards. `in_snapshot`: the connection is `in_snapshots`.

    Several blocks are asked by a connection of their own, which is cut off by then: one that hangs costs neither the answers of
    others nor the session.
    """
    blocks = _blocks(tables, name)
    seconds = seconds_left() - closing_seconds
    if not blocks or seconds <= 0:
        return [], _untimely(blocks)
    until = time.monotonic() + seconds
    if len(blocks) == 1:
        with _short_waits(connection):
            return _answered(connection, blocks, branch, until)
    try:
        with (
            within(seconds),
            connection.sibling() as own,
            in_snapshots(own) if in_snapshot else nullcontext(),
            _short_waits(own),
        ):
            return _answered(own, blocks, branch, until)
    except FlowForgeError as error:  # of its login
        return [], [f"{len(tables)} tables: {error}"]


def _answered(
    connection: SourceConnection, blocks: list[list[Table]], branch: Callable[[int, Table], Branch], until: float
) -> tuple[list[Table], list[str]]:
    found: list[Table] = []
    unasked: list[str] = []
    for number, block in enumerate(blocks):
        if time.monotonic() >= until:
            return found, [*unasked, *_untimely(blocks[number:])]
        try:
            changed = {row["place"] for row in connection.rows(_question([branch(n, t) for n, t in enumerate(block)]))}
        except FlowForgeError as error:
            # Of one of them, whose own load says why; or of the server, and the next may be heard.
            unasked.append(f"{len(block)} tables: {error}")
            continue
        found += [one for n, one in enumerate(block) if n not in changed]
    return found, unasked


def _untimely(blocks: list[list[Table]]) -> list[str]:
    return [f"{sum(map(len, blocks))} tables: no time was left for them"] if blocks else []


@contextmanager
def in_snapshots(connection: SourceConnection) -> Iterator[None]:
    """Each statement of the block sees what was committed when it began, and waits for no writer. In no transaction: a statement
    that fails would take the others with it."""
    connection.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    try:
        yield
    finally:
        with suppress(FlowForgeError):
            connection.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")


@contextmanager
def _short_waits(connection: SourceConnection) -> Iterator[None]:
    connection.run(f"SET LOCK_TIMEOUT {BLOCK_LOCK_MS}")
    try:
        yield
    finally:
        with suppress(FlowForgeError):
            connection.run(f"SET LOCK_TIMEOUT {LOCK_TIMEOUT_MS}")


def is_same(name: tuple[str, str], now: dict[str, Any], then: Mapping[str, Any]) -> bool:
    """Whether a table is the one that was loaded, by what was kept of it then; see `identity`."""
    try:
        return not refuse_changed_source(".".join(name), now, dict(then))
    except SourceChanged:
        return False


def _blocks(tables: Sequence[Table], name: Callable[[Table], tuple[str, str]]) -> list[list[Table]]:
    """The tables in blocks by their names."""
    count = 1
    while count * TABLES_AT_ONCE < len(tables):
        count *= 2  # seldom another: with it most tables change their block
    found = defaultdict(list)
    for one in tables:
        found[crc32(".".join(name(one)).encode()) % count].append(one)
    return [found[number] for number in sorted(found)]


def _question(block: Sequence[Branch]) -> str:
    declared = ", ".join(f"@v{n} {one.type}" for n, one in enumerate(block))
    values = ", ".join(f"@v{n} = {one.value}" for n, one in enumerate(block))
    text = _UNION.join(one.text for one in block)
    return f"EXEC sp_executesql {quote_literal(text)}, N'{declared}', {values}"
