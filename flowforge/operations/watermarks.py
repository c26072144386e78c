"""Watermarks as people and the bus see them: committed from landed batches, shown, set and reset by hand."""

import time
from datetime import UTC, datetime
from typing import Any

from events.api.watermarks import Acceptance, NewWatermark
from events.facts import BronzeLanded, WatermarkCommitted
from events.request import InvalidRequest
from events.targets import FilePlace, SourcePlace, SourceTable
from flowforge.aws.compact import unpack
from flowforge.aws.items import Item
from flowforge.bronze.announcements import about, landed_batch
from flowforge.domain.alone import Failure, each_alone
from flowforge.domain.errors import Retriable, UnreadableRecord
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import is_of_files
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.runtime.settings import settings
from flowforge.sources.base import NotAValue
from flowforge.sources.registry import source_at
from flowforge.state import batch_records, batches, corrections
from flowforge.state.connections import saved_id
from flowforge.state.folded import read_folded
from flowforge.state.table import TableState, key_id, read_stored, resolve, state_of, tables_after

HEARTBEAT_SHARE = 0.25  # of the lease, after which a worker that lives renews it (`bronze.heartbeat`)


def commit_landed(landed: BronzeLanded) -> WatermarkCommitted | None:
    """Commits the batch that a BronzeLanded tells of; None when a correction by hand has voided it."""
    state, batch = batch_records.state_and_batch(landed.source_key, landed.generation, landed.seq)
    batch = landed_batch(landed, batch)
    if batch is None:
        return None
    before, after = batches.commit(batch, state)
    return WatermarkCommitted(
        **about(batch),
        cursor_column=batch.interval.column,
        watermark_before=before,
        watermark_after=after,
    )


def list_page(limit: int, cursor: str | None) -> dict[str, Any]:
    """At most `limit` tables with their watermarks, by source key, as `watermarks`; `next` is there where others follow. Of one
    whose state cannot be read, its names and the `problem`. Raises InvalidRequest for a cursor that is none."""
    place = place_of(cursor, 1)
    listed = tables_after(place[0] if place else None, limit + 1)
    known = _by_key(listed[:limit])
    shown = fitting(known[item["sk"]] for item in listed[:limit])
    more = {"next": cursor_of(listed[len(shown) - 1]["sk"])} if shown and len(shown) < len(listed) else {}
    return {"watermarks": sorted(shown, key=lambda one: (one["bronze_table"], one["source_key"])), **more}


def _by_key(listed: list[Item]) -> dict[str, dict[str, Any]]:
    """What is shown of each table, read in as few calls as there are hundreds of them."""
    stored = read_stored([item["sk"] for item in listed])
    read, unread = each_alone(listed, lambda item: state_of(item["sk"], stored[item["sk"]]))
    active = batch_records.stored_batches([(s.source_key, s.generation, s.active) for _, s in read if s.active])
    done, broken = each_alone(read, lambda one: _shown(one[1], active.get(one[1].source_key)))
    failed = [*unread, *(Failure(one.thing[0], one.error) for one in broken)]
    shown = [shown for _, shown in done] + [_unreadable(failure) for failure in failed]
    return {one["source_key"]: one for one in shown}


def _unreadable(failure: Failure[Item]) -> dict[str, Any]:
    if isinstance(failure.error, Retriable):
        raise failure.error
    listed, problem = failure.thing, f"{failure.cause} {failure.remedy}".strip()
    names = {name: listed.get(name) for name in ("bronze_table", "source_table", "silver_table")}
    empty = {"generation": None, "seq": None, "watermarks": {}, "active_batch": None}
    return {"id": key_id(listed["sk"]), "source_key": listed["sk"], **names, **empty, "problem": problem}


def show(name: str) -> dict[str, Any]:
    """One table with its watermarks, last batches and corrections; raises NotFound or ConflictingTarget."""
    state = resolve(name)
    stored = list(batch_records.stored_history(state.source_key))
    past = [_past(item) for item in stored]
    readable, _ = each_alone(stored, batch_records.batch_of)
    source = _source(readable[0][1].command.connection) if readable else None
    columns = next((b.manifest.columns for _, b in readable if b.manifest and b.has_rows and b.manifest.columns), [])
    more = {"history": past, "folded": _folded(state), "audit": corrections.audit(state.source_key)}
    where = [condition.model_dump() for condition in state.scope.where] if state.scope else []
    scope = {
        "where": where,
        **(state.scope.model_dump(include={"protected", "renamed", "cast"}) if state.scope else {}),
    }
    return _state_shown(state) | {"connection": source, "columns": list(map(_column, columns)), **scope, **more}


def _column(column: SourceColumn) -> dict[str, Any]:
    """A column as the newest batch has read it; of one that the source made from another one, that one's name."""
    made = {"of": column.of} if column.of else {}
    return {
        "name": column.name,
        "source_name": column.source_name or column.name,
        "source_type": column.cast_from or column.sql_type or None,
        "type": column.type,
        "nullable": column.nullable,
        **made,
    }


def _folded(state: TableState) -> dict[str, Any] | None:
    """The sums of batches that are older than the history that is kept; None where there are none."""
    sums = read_folded(state.source_key)
    until = datetime.fromtimestamp(sums.until, UTC).isoformat(timespec="seconds")
    return sums.model_dump(include={"batches", "records", "bytes"}) | {"until": until} if sums.batches else None


def _source(connection: SourcePlace) -> dict[str, Any]:
    """The source that the newest batch was read from, with what a request names it by: the saved connection, else the secret."""
    if isinstance(connection, FilePlace):
        return {"bucket": connection.bucket}
    saved = saved_id(connection.secret_id)
    return {
        **({"connectionId": saved} if saved else {"secretId": connection.secret_id}),
        "host": connection.host,
        "port": connection.port,
        "database": connection.database,
        "trustServerCertificate": connection.trust_server_certificate,
        "driver": connection.driver,
    }


def set_by_hand(name: str, wanted: NewWatermark) -> dict[str, Any]:
    """Sets a watermark. The source converts the value at the next load."""
    state = _with_cursor(name)
    column = _checked_column(state, wanted.column, wanted.value)
    return _state_shown(corrections.set_watermark(state, column, wanted.value, wanted.reason or ""))


def _checked_column(state: TableState, name: str, value: str) -> str:
    """The column's own spelling; refuses a column that the last batch lacks, and a value that cannot be of its type."""
    newest = batch_records.newest(state.source_key, lambda batch: batch.has_rows)
    columns = newest.manifest.columns if newest and newest.manifest else []
    found = next((column for column in columns if column.name.lower() == name.lower()), None)
    if newest and columns and found is None:
        source = source_at(newest.command.connection)
        names = ", ".join(column.name for column in columns if source.can_be_cursor(column))
        problem = f"{state.source_table} has no column {name!r}; its possible cursors are {names or 'none'}"
        raise InvalidRequest([{"field": "column", "problem": problem}])
    if newest is None or found is None:
        return name
    try:
        read = newest.command.source
        clock = read.cursor_clock if isinstance(read, SourceTable) else "unknown"
        source_at(newest.command.connection).position(value, found, clock)
    except NotAValue as error:
        problem = f"the value of {found.name} {error}; {error.remedy}"
        raise InvalidRequest([{"field": "value", "problem": problem}]) from None
    return found.name


def accept_by_hand(name: str, wanted: Acceptance) -> dict[str, Any]:
    """Takes a changed source for the one that the watermarks belong to."""
    return _state_shown(corrections.accept_source(_with_cursor(name), wanted.reason or ""))


def _with_cursor(name: str) -> TableState:
    """The state of a table that people may correct; files have nothing in it but their ledger."""
    state = resolve(name)
    if is_of_files(state.source_key):
        problem = "it is loaded from files, which have no watermark and no identity to accept: only a reset is possible"
        raise InvalidRequest([{"field": "table", "problem": f"{state.bronze_table}: {problem}"}])
    return state


def reset_by_hand(name: str, reason: str) -> dict[str, Any]:
    """Forgets a table's watermarks; its next load starts anew."""
    return _state_shown(corrections.reset_watermarks(resolve(name), reason))


def _state_shown(state: TableState) -> dict[str, Any]:
    active = batch_records.stored_batch(state.source_key, state.generation, state.active) if state.active else None
    return _shown(state, active)


def _shown(state: TableState, active: Item | None) -> dict[str, Any]:
    return {
        "id": key_id(state.source_key),
        "source_key": state.source_key,
        "bronze_table": state.bronze_table,
        "source_table": state.source_table,
        "silver_table": state.silver_table,
        "generation": state.generation,
        "seq": state.seq,
        "watermarks": {
            column: mark.model_dump(include={"value", "sql_type", "committed_at", "seq"})
            for column, mark in state.watermarks.items()
        },
        "active_batch": active and _claim(active),
    }


def _claim(active: Item) -> dict[str, Any]:
    """Who holds the table: a worker that lives is silent for little more than `heartbeat_seconds`, another waits until the claim
    is free (0: at once)."""
    left = float(active.get("lease_until") or 0) - time.time()
    return {
        **{
            field: active.get(field)
            for field in ("seq", "state", "attempts", "lease_until", "claimed_at", "rows_so_far")
        },
        "run_id": _run_of(active),
        "free_in_seconds": round(max(0.0, left), 1),
        "silent_seconds": round(max(0.0, settings().lease_seconds - left), 1),
        "heartbeat_seconds": settings().lease_seconds * HEARTBEAT_SHARE,
    }


def _run_of(active: Item) -> str | None:
    try:
        return unpack(active["command"])["run_id"]
    except (KeyError, ValueError, TypeError):
        return None  # a record that cannot be read is told of with the table's last batches


def _past(item: Item) -> dict[str, Any]:
    try:
        batch = batch_records.batch_of(item)
    except UnreadableRecord as error:
        known = {field: item.get(field) for field in ("seq", "generation", "label")}
        nothing = {"run_id": None, "low": None, "high": None, "records": None, "at": None}
        return {**known, **nothing, "state": "unreadable", "problem": f"{error} {error.remedy}"}
    return {
        "seq": batch.seq,
        "generation": batch.generation,
        "run_id": batch.command.run_id,
        "state": "refined" if batch.refined and batch.state == "committed" else batch.state,
        "label": batch.label,
        "low": batch.interval.low,
        "high": batch.interval.high,
        **({"window": True} if batch.interval.window else {}),
        "records": batch.manifest.rows if batch.manifest else 0,
        "only_keys": batch.only_keys,
        "at": datetime.fromtimestamp(batch.updated_at, UTC).isoformat(timespec="seconds"),
        **({"problem": batch.problem} if batch.problem else {}),
    }
