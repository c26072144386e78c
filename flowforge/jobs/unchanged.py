"""Which tables of a request a load need not look at: the source is asked once, before anything is queued.

Meant for requests with many tables, most of which stand still most of the time. Guarantees: a table is left
out only where its own load would have found nothing new, for the same request as its load before; the run tells of it what that
load would have told. The question fails no run: a table that has no answer in ASK_SECONDS, or for which a small function's time
is too short, is queued and asks for itself.

A table that is left out keeps its position, and where the source keeps changes for a while only, clean-up moves on. So such a
position is moved, by a write of its own, once it has stood for an eighth of that time, six hours at most.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

from aws_lambda_powertools import Logger

from events.commands import IngestTable
from events.facts import TablesUnchanged
from events.names import split_table_name
from events.targets import SourcePlace, SourceTable
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.own_columns import CHANGE_VERSION
from flowforge.domain.source_key import SourceKey
from flowforge.runtime.time_limit import seconds_left, within
from flowforge.sources.plans import LastRead, LoadedTable, Position, StandsStill
from flowforge.sources.registry import source_at
from flowforge.state import runs
from flowforge.state.run_unchanged import Unchanged
from flowforge.state.spelling import Loaded
from flowforge.state.table import TableState, Watermark, asked_of, move_idle_watermark, read_stored, state_of

logger = Logger(service="flowforge")
MANY = 4  # tables that it can answer for: of fewer, their loads cost little more than the login that the question takes
ASK_SECONDS = 10.0  # a caller of the API waits for it
STANDS_SECONDS = 6 * 3_600  # how long a position may stand,
STANDS_SHARE = 8  # and no longer than this part of the time for which changes are kept
STATES_AT_ONCE = 500  # tables, a second's work of a small function
TOLD_AT_ONCE = 250  # tables in one event
WRITES_AT_ONCE = 8  # below the ten connections that a client keeps


class _Known(NamedTuple):
    """A table that was loaded by the same request before, and where it is in the source."""

    command: IngestTable
    state: TableState
    name: tuple[str, str]
    cursor: str

    @property
    def mark(self) -> Watermark:
        """Where it stands."""
        return self.state.watermarks[self.cursor]

    @property
    def table(self) -> LoadedTable:
        """The table as its source is asked about it, with what the load before has left."""
        at, memory = Position(self.cursor, self.mark.value, self.mark.sql_type), self.state.samples.get(self.cursor, [])
        last = LastRead(at, self.mark.identity, self.mark.last_rows, memory)
        return LoadedTable(self.name, self.command.source, tuple(self.command.silver.primary_key), last)


def unchanged_tables(
    run_id: str, place: SourcePlace, commands: Sequence[IngestTable], loaded: Sequence[Loaded]
) -> list[Unchanged]:
    """The tables of a run that is not open yet in which nothing has changed; `loaded` is what the lake has of the source. Raises
    StoreUnavailable alone."""
    wanted = [command for command in commands if _has_position(command)]
    if len(wanted) < MANY or runs.is_open(run_id):  # else an earlier delivery has said which tables it queues
        return []
    source = source_at(place)
    known = [one for one in _known(wanted, loaded) if source.is_asked_together(one.table)]
    if len(known) < MANY:
        return []
    try:
        with within(min(ASK_SECONDS, seconds_left() / 2)), source.session() as session:
            found = session.standing_still([one.table for one in known])
    except FlowForgeError as error:
        logger.warning("which tables have changed is not known, each is asked", run_id=run_id, cause=str(error))
        return []
    if found is None:
        return []
    if found.unasked:
        logger.warning("some tables were not asked together, each is asked", run_id=run_id, cause=found.unasked)
    still = {n: known[n] for n in found.tables}
    moved = _move(list(still.values()), found)
    return [_told(one, found, n, moved) for n, one in still.items()]


def facts_of(run_id: str, unchanged: Sequence[Unchanged]) -> list[TablesUnchanged]:
    """What the bus is told of them."""
    names = [one.bronze_table for one in unchanged]
    parts = (names[start : start + TOLD_AT_ONCE] for start in range(0, len(names), TOLD_AT_ONCE))
    return [TablesUnchanged(run_id=run_id, tables=part) for part in parts]


def _has_position(command: IngestTable) -> bool:
    """Whether a load of it goes on where the one before has ended, and does nothing else."""
    read = command.source
    if not isinstance(read, SourceTable) or not read.has_cursor or command.only_keys or command.silver.detects:
        return False
    # Each table of a cut says which one it is of.
    return not (read.query or read.window or read.consistent_cut)


def _known(commands: Sequence[IngestTable], loaded: Sequence[Loaded]) -> Iterator[_Known]:
    """Those tables that nobody is loading, and that were loaded as they are wanted now; as many as a third of the time that is
    left is enough for."""
    by_bronze = {one.bronze_table: one for one in loaded if one.source_key}
    places = [(command, by_bronze[command.bronze.table]) for command in commands if command.bronze.table in by_bronze]
    until = time.monotonic() + seconds_left() / 3
    for start in range(0, len(places), STATES_AT_ONCE):
        if time.monotonic() > until:
            logger.warning("no time is left to look at more tables, each is asked", tables=len(places) - start)
            return
        yield from _known_of(places[start : start + STATES_AT_ONCE])


def _known_of(places: Sequence[tuple[IngestTable, Loaded]]) -> Iterator[_Known]:
    stored = read_stored(list(dict.fromkeys(one.source_key for _, one in places)))
    for command, one in places:
        key = SourceKey.parse(one.source_key)
        name = key.schema, key.table
        if not isinstance(command.source, SourceTable) or not _is_named(command.source.table_name or "", name):
            continue
        state = _readable(one.source_key, stored)
        if not state or state.active is not None or state.asked != asked_of(command):
            continue
        cursor = _cursor_in(state, command.source)
        if cursor and state.watermarks[cursor].sql_type:
            yield _Known(command, state, name, cursor)


def _cursor_in(state: TableState, read: SourceTable) -> str | None:
    """The cursor that is wanted, as its watermark is kept: in the catalog's spelling."""
    if read.change_tracking:
        return CHANGE_VERSION if CHANGE_VERSION in state.watermarks else None
    wanted = read.delta_column or ""
    fitting = [name for name in state.watermarks if name.lower() == wanted.lower()]
    return wanted if wanted in fitting else fitting[0] if len(fitting) == 1 else None


def _is_named(written: str, name: tuple[str, str]) -> bool:
    try:
        return [part.lower() for part in split_table_name(written)] == [part.lower() for part in name]
    except ValueError:
        return False


def _readable(key: str, stored: dict) -> TableState | None:
    try:
        return state_of(key, stored[key])
    except FlowForgeError:  # its load says so
        return None


def _move(still: Sequence[_Known], found: StandsStill) -> set[str]:
    """Moves the positions that have stood for long; returns the source keys of those that were. One that is not moved,
    as when half of the time that was left is over, is moved by a later run, or by its next load."""
    to = found.position
    if to is None:
        return set()
    most = min(STANDS_SECONDS, found.kept_seconds / STANDS_SHARE) if found.kept_seconds else STANDS_SECONDS
    longest_first = sorted(still, key=_stood, reverse=True)
    due = [
        one.state
        for one in longest_first
        if one.cursor == to.cursor and one.mark.value != to.value and _stood(one) > most
    ]
    if not due:
        return set()
    until = time.monotonic() + seconds_left() / 2
    with ThreadPoolExecutor(min(WRITES_AT_ONCE, len(due))) as threads:
        moved = list(threads.map(lambda state: time.monotonic() < until and _moved(state, to), due))
    return {state.source_key for state, done in zip(due, moved, strict=True) if done}


def _stood(one: _Known) -> float:
    """For how many seconds the position has stood."""
    times = [datetime.fromisoformat(text) for text in (one.mark.committed_at, one.mark.moved_at) if text]
    return (datetime.now(UTC) - max(times)).total_seconds() if times else float("inf")


def _moved(state: TableState, to: Position) -> bool:
    try:
        return move_idle_watermark(state, to.cursor, to.value)
    except FlowForgeError as error:
        logger.warning("an idle table's watermark could not be moved", source_key=state.source_key, cause=str(error))
        return False


def _told(one: _Known, found: StandsStill, place: int, moved: set[str]) -> Unchanged:
    reason, promise = found.tables[place]
    mark = found.position.value if found.position and one.state.source_key in moved else one.mark.value
    return Unchanged(one.command.bronze.table, ".".join(one.name), reason, promise, mark)
