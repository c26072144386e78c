"""Loads one table once: claim, land, and the fact to announce.

Whatever state an earlier attempt has left, the same command comes to the same batch: a live claim is waited for, an expired one
is taken over and finished with its own interval and keys, a landed one is announced again from its manifest and never read again.
"""

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from events.commands import IngestTable
from events.facts import IntervalEmpty
from flowforge.aws.clients import prepare
from flowforge.aws.compact import pack
from flowforge.aws.conditional_writes import prove_once
from flowforge.bronze.announcements import landed_fact, no_rows_fact
from flowforge.bronze.counting import AtSource, plan_counting
from flowforge.bronze.finalize import settle
from flowforge.bronze.footing import find_footing
from flowforge.bronze.heartbeat import Heartbeat, reading_permitted
from flowforge.bronze.landing import land, manifest_of
from flowforge.bronze.login_view import keys_and_cursors, view_of_query, view_of_table
from flowforge.bronze.outcome import Outcome
from flowforge.bronze.reading import Reading
from flowforge.bronze.slice_queue import queue_slices
from flowforge.domain.batch import Batch, Interval, KeyRange, SlicePlan, SourceColumn
from flowforge.domain.errors import Fatal, SourceChanged, Wait
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.sources.sqlserver.any_rows import holds_no_row, is_cheap
from flowforge.sources.sqlserver.bounds import Plan, plan_interval
from flowforge.sources.sqlserver.catalog import (
    TableDescription,
    check_statement,
    consistencies,
    describe_query,
    describe_table,
    server_identity,
)
from flowforge.sources.sqlserver.connection import SourceConnection, connect
from flowforge.sources.sqlserver.credentials import Credentials
from flowforge.sources.sqlserver.derived_columns import with_derived_columns, with_key_digits
from flowforge.sources.sqlserver.description import find_column
from flowforge.sources.sqlserver.identity import known_rows, refuse_changed_source
from flowforge.sources.sqlserver.loadable import chosen_columns, refuse_clashes
from flowforge.sources.sqlserver.read_hints import loose_hints, told_hints
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.slices import plan_slices
from flowforge.sources.sqlserver.sql_text import goes_as_written, select_statement
from flowforge.sources.sqlserver.target import read_credentials
from flowforge.state import batches, claims, leases, records, table
from flowforge.state.spelling import named_by_catalog, settled_key

MOST_PLAN_BYTES = (
    120_000  # of a batch's record, which holds 400 KB: the bounds of slices are keys, and keys may be long
)
ANNOUNCE_AGAIN_SECONDS = 60  # a landed batch that nobody has committed for so long after its lease is told again


@dataclass(frozen=True)
class Source:
    """The table or query of a command, as the source describes it now."""

    name: str
    columns: list[SourceColumn]
    primary_key: list[str]
    description: TableDescription | None
    identity: dict[str, Any]
    offered: list[str]  # consistencies, the strongest first
    lacks: list[str]  # what the server or login lacks, and what holds instead
    notes: list[str]  # what this login does not see

    @property
    def own(self) -> list[SourceColumn]:
        """The columns without their derived columns: what the server knows by name."""
        return [column for column in self.columns if not column.derivation]


def ingest(command: IngestTable) -> Outcome:
    """Loads the command's table.

    Raises Wait while another attempt holds the table or the source is read by as many as it allows, Fatal for what no retry can
    mend, Retriable for the rest.
    """
    prepare("s3")  # while the source answers
    with reading_permitted(command.connection):
        return _ingest(command)


def _ingest(command: IngestTable) -> Outcome:
    replayed = command.replayed
    command = command.model_copy(update={"replayed": False} | ({"given_up": []} if replayed else {}))
    credentials = read_credentials(command.connection)
    with connect(command.connection, credentials) as connection:
        source = inspect(connection, command)
        if source.description is not None:
            command = named_by_catalog(command, source.description.synonym or source.name)
        known = _known(command, source)
        state, own = known.state, known.own
        if own is None and state.active is None:
            plan = _plan(connection, command, source, state)
            if state.asked == table.asked_of(command):
                plan = _told_idle(connection, source, state, plan)
            if plan.empty:
                if plan.news:
                    table.remember_samples(state, plan.interval.column or "", plan.samples)
                if plan.wait_seconds:
                    return Outcome([], plan.wait_seconds, plan.reason)
                return Outcome([_nothing(command, source.name, state, plan)])
            slices = _slices(connection, command, source, plan.interval)
            prove_once(settings().bucket)
            footing = find_footing(state, command, plan.interval, source.name)
            interval = _told(plan, slices, command, [*source.lacks, *footing.notes])
            drawn = (interval, source.identity, plan.samples, slices)
            claimed = claims.claim(
                footing.state, command, source.name, *drawn, lake=footing.etag, label_taken=known.label_taken
            )
    if own:
        return _resume(own, source, credentials, replayed)
    return _finish_other(state) if state.active is not None else _load(claimed, source, credentials)


def _known(command: IngestTable, source: Source) -> records.Known:
    """What the watermark table knows of the command."""
    key = table.source_key(command.connection, source.name, command.bronze.table)
    label = records.label_key(command.bronze.table, command.batch_id)
    known = records.what_is_known(key, command.run_id, label)
    if known.state.version:
        return known
    settled = settled_key(command.connection, source.identity.get("database"), source.name, command.bronze.table)
    return known if settled == key else records.what_is_known(settled, command.run_id, label)


def _told_idle(connection: SourceConnection, source: Source, state: table.TableState, plan: Plan) -> Plan:
    """The plan; as empty where the table was loaded before, and nothing is new: then nothing is claimed, and no batch made.

    Only for a request that asks what the newest batch's did: that batch's record is what later steps know the request by.
    """
    interval, mark = plan.interval, state.watermarks.get(plan.interval.column or "")
    if plan.empty or mark is None or mark.sql_type is None or source.description is None:
        return plan
    if not (
        is_cheap(source.description, interval)
        and holds_no_row(connection, source.description, interval, source.offered)
    ):
        return plan
    return plan.model_copy(update={"empty": True, "reason": f"no rows from {interval.low} up to {interval.high}"})


def _slices(connection: SourceConnection, command: IngestTable, source: Source, interval: Interval) -> SlicePlan | None:
    if source.description is None or command.source.allow_empty_refresh:
        return None
    found = plan_slices(connection, source.description, interval, source.offered)
    counting = plan_counting(command.source, interval, source.description)
    return found and _compact(found.model_copy(update={"columns": source.columns, "counting": counting}))


def _compact(plan: SlicePlan) -> SlicePlan | None:
    """The plan with as many slices as the batch's record has room for; each time two neighbours become one."""
    while len(pack(plan.model_dump(mode="json"))) > MOST_PLAN_BYTES and len(plan.ranges) > 1:
        pairs = [plan.ranges[n : n + 2] for n in range(0, len(plan.ranges), 2)]
        ranges = [KeyRange(low=pair[0].low, high=pair[-1].high) for pair in pairs]
        plan = plan.model_copy(update={"ranges": ranges})
    return plan if len(plan.ranges) > 1 else None


def _told(plan: Plan, slices: SlicePlan | None, command: IngestTable, notes: list[str]) -> Interval:
    """The interval with a promise that tells of its slices, and of rows that wait for the clock; its notes tell of what the
    source lacks, of a lake that was found otherwise, and of batches that this run has given up."""
    more = ""
    if slices is not None:
        more = f"; read in {len(slices.ranges)} slices, each a statement that sees what is committed when it starts"
    told = {
        "promise": plan.interval.promise + more + _waiting(plan),
        "notes": [*plan.interval.notes, *notes, *command.given_up],
    }
    return plan.interval.model_copy(update=told)


def _waiting(plan: Plan) -> str:
    """Rows with a stamp beyond the server's clock, in words for the run."""
    return f"; rows stamped a day or more in the future wait for it: {plan.future_rows}" if plan.future_rows else ""


def inspect(connection: SourceConnection, command: IngestTable) -> Source:
    """What the source says of the command's table or query; raises UnknownTable, QueryRefused."""
    query, offered = command.source.query, consistencies(connection, command.source.snapshot_isolation)
    if query:
        columns, notes = view_of_query(connection, command, describe_query(connection, query), "the query")
        columns = with_derived_columns(columns, command.source.derived_columns, "the query")
        columns = with_key_digits(columns, _key_of(command, []), "the query")
        refuse_clashes(columns, command.bronze.audit_columns, "the query", is_query=True)
        if command.source.is_incremental or not goes_as_written(query, columns, Interval()):
            check_statement(connection, select_statement(query, columns, Interval(column=command.source.delta_column)))
        notes = notes + told_hints(loose_hints(query), "the query")
        identity, lacks = server_identity(connection), connection.lacks
        return Source(table.query_name(query), columns, [], None, identity, offered, lacks, notes)
    description = describe_table(connection, command.source.table_name or "")
    needed = [*description.primary_key, *keys_and_cursors(command)]
    columns = chosen_columns(description, command.source.excluded_columns, needed)
    columns, notes = view_of_table(connection, command, description, columns)
    columns = with_derived_columns(columns, command.source.derived_columns, description.qualified_name)
    name, key, lacks = description.qualified_name, description.primary_key, connection.lacks
    columns = with_key_digits(columns, _key_of(command, key), name)
    refuse_clashes(columns, command.bronze.audit_columns, name, is_query=False)
    identity = server_identity(connection, description)
    return Source(name, columns, key, description, identity, offered, lacks, notes)


def _key_of(command: IngestTable, own: list[str]) -> list[str]:
    """The columns by which silver will tell rows apart; none where it only adds them."""
    silver = command.silver
    adds_only = silver.strategy == "append" and command.source.delta_column is None
    return [] if adds_only else silver.primary_key or own


def _plan(connection: SourceConnection, command: IngestTable, source: Source, state: table.TableState) -> Plan:
    wanted, column = command.source, command.source.delta_column
    if column:  # watermarks are kept under the column's own spelling
        found = find_column(source.own, column, source.name)
        column = found.name
    mark = state.watermarks.get(column) if column else None
    if mark and mark.sql_type is None:  # set by hand: the source checks it like a seed
        wanted, mark = wanted.model_copy(update={"last_watermark": mark.value}), None
    if mark and found.sql_type != mark.sql_type:
        raise SourceChanged(
            f"{source.name}.{column} is {found.sql_type} now; its watermark was taken as {mark.sql_type}",
            f"Look at what changed, then: flowforge watermark set {command.bronze.table} VALUE --column {column}, or "
            f"flowforge watermark reset {command.bronze.table} --yes.",
        )
    notes = refuse_changed_source(source.name, source.identity, mark) if mark else []
    low, samples = mark.value if mark else None, state.samples.get(column or "")
    described = source.description or replace(source, columns=source.own)
    keyed = bool(command.silver.primary_key or source.primary_key)
    plan = plan_interval(connection, described, wanted, low, samples, keyed, mark.last_rows if mark else "")
    told = plan.interval.model_copy(update={"notes": [*source.notes, *plan.interval.notes]})
    plan = plan.model_copy(update={"interval": told})
    source.identity.update(known_rows(connection, source.description, plan.interval, mark))
    told = plan.interval.model_copy(update={"notes": [*notes, *plan.interval.notes]})
    return plan.model_copy(update={"interval": told})


def _resume(batch: Batch, source: Source, credentials: Credentials, replayed: bool) -> Outcome:
    """Goes on with the batch that this run has claimed before."""
    if batch.state == "claimed":
        return _load(_taken_over(batch, replayed), source, credentials)
    if batch.state == "landed":
        return Outcome([landed_fact(batch)])
    if batch.state == "voided":
        raise Fatal(f"{batch.name} was voided by a watermark set or reset by hand", "Submit the request again.")
    if batch.state == "empty":
        return Outcome([no_rows_fact(batch)])
    return Outcome()


def _taken_over(batch: Batch, replayed: bool = False) -> Batch:
    try:
        return leases.take_over(batch, replayed)
    except Fatal:
        batches.abandon(batch)
        raise


def _finish_other(state: table.TableState) -> Outcome:
    """Another run's batch is under way: wait for it, or finish it when its worker is gone."""
    other = records.find_batch(state.source_key, state.generation, state.active or 0)
    if other is None:
        raise Wait(f"{state.source_key}: its claim is being written", records.RETRY_SECONDS)
    if other.state == "claimed" and other.failed:
        batches.abandon(other)
        return Outcome([], 1, f"{other.name} of {other.command.run_id} had failed and was abandoned")
    if other.state == "claimed":
        return _finish_expired(other)
    if other.state == "landed" and other.lease_until + ANNOUNCE_AGAIN_SECONDS < time.time():
        return Outcome([landed_fact(other)], records.RETRY_SECONDS, f"{other.name} was announced again")
    raise Wait(f"{other.name} is {other.state}", records.RETRY_SECONDS)


def _finish_expired(batch: Batch) -> Outcome:
    """Finishes the batch of a worker that is gone, or voids it when it never can be; then it is this command's turn."""
    command = batch.command
    try:
        batch = _taken_over(batch)
        credentials = read_credentials(command.connection)
        with connect(command.connection, credentials) as connection:
            source = inspect(connection, command)
        found = _load(batch, source, credentials)
    except Fatal as error:
        batches.abandon(batch)
        return Outcome([], 1, f"{batch.name} of {command.run_id} was abandoned: {error}")
    return Outcome(found.facts, 1, found.reason or f"{batch.name} of {command.run_id} was finished first")


def _load(batch: Batch, source: Source, credentials: Credentials) -> Outcome:
    """Reads a claimed interval, lands it and records its manifest; a claim that can never be landed is given up.

    The slices of a large batch are queued instead: each is loaded by a message of its own.
    """
    try:
        return queue_slices(batch) if batch.slices else _land(batch, source, credentials)
    except Wait:
        raise
    except Fatal:
        batches.abandon(batch)
        raise
    except Exception:
        leases.release(batch)
        raise


def _land(batch: Batch, source: Source, credentials: Credentials) -> Outcome:
    command, began_at = batch.command, time.time()
    relation = source.description or given(command.source.query)
    counting = plan_counting(command.source, batch.interval, source.description)
    selection = Selection(relation, source.columns, batch.interval, counted=counting.together)
    even_empty = command.bronze.load_strategy == "full_refresh" and command.source.allow_empty_refresh
    reading = Reading(command.connection, credentials, selection, source.offered)
    with Heartbeat(partial(leases.renew, batch)):
        landed = land(batch, source.columns, source.name, reading.open, even_empty, told=reading.told)
        if landed is None:
            batches.close_empty(batch)
            return Outcome([no_rows_fact(batch)])
        manifest = manifest_of(batch, source.columns, source.primary_key, [landed])
        return settle(batch, manifest, AtSource(relation, credentials, source.offered, counting), began_at)


def _nothing(command: IngestTable, name: str, state: table.TableState, plan: Plan) -> IntervalEmpty:
    mark = state.watermarks.get(plan.interval.column or "")
    blocker = f"; {plan.blocker}" if plan.blocker else ""
    return IntervalEmpty(
        run_id=command.run_id,
        bronze_table=command.bronze.table,
        source_key=state.source_key,
        generation=state.generation,
        seq=state.seq,
        source_table=name,
        reason=(plan.reason or f"nothing is safe to read above {plan.interval.low or 'the beginning'} yet")
        + blocker
        + _waiting(plan),
        promise=plan.interval.promise,
        notes=[note for note in plan.interval.notes if note != plan.blocker],  # the reason names it
        watermark_value=mark.value if mark else None,
        claimed=False,
    )
