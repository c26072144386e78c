"""What a load finds before it claims anything: the source, the table's state, the interval that would be read, and the lake.

The same stages are run by a load and shown by `flowforge plan`, so that a plan cannot tell another thing than the load does.
Guarantees: nothing is written, neither at the source nor in state or lake.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from events.commands import IngestTable
from events.targets import SourceFiles, SourceTable
from flowforge.bronze.comparisons import all_rows_of, keys_alone
from flowforge.bronze.file_notes import refuse_unrefined
from flowforge.bronze.file_types import with_kept_types
from flowforge.bronze.footing import Footing, find_footing
from flowforge.bronze.scope import within_scope
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.source_key import SourceKey
from flowforge.sources.base import Planner, Session
from flowforge.sources.plans import Description, LastRead, Nothing, Position, ReadPlan, Wanted
from flowforge.state import batch_records, file_ledger, file_refusals, table
from flowforge.state.spelling import named_by_catalog, settled_key


class Found(NamedTuple):
    """A command under the names that hold, what its source says, and what the watermark table knows of it."""

    command: IngestTable
    description: Description
    known: batch_records.Known


def look_at(session: Session, command: IngestTable) -> Found:
    """Stage one: what is there. Raises what describing and reading the state raise."""
    description = described(session, command)
    if description.written is not None:
        command = named_by_catalog(command, *description.written)
    known = _known(command, description)
    return Found(command, with_kept_types(session, description, known.state), known)


def described(session: Session, command: IngestTable) -> Description:
    """What the source says of what a command reads. Raises what describing raises."""
    found = session.describe(wanted_of(command))
    return keys_alone(found) if command.only_keys else found


def plan_next(session: Planner, found: Found, shown: bool = False) -> tuple[ReadPlan, Footing]:
    """Stage two, of a table that nobody holds: what would be read, and the state to claim it with. `shown`: for people alone, so
    nothing is settled in the ledger of files, and no file is looked into.

    Raises what planning raises, ScopeChanged and LakeChanged.
    """
    if shown:
        wanted = replace(found.description.wanted, only_shown=True)
        found = found._replace(description=replace(found.description, wanted=wanted))
    plan = plan_of(session, found, shown)
    return _plan_keys(found, plan) if found.command.only_keys else place(found, plan)


def plan_of(session: Planner, found: Found, shown: bool = False) -> ReadPlan:
    """What the source says would be read next; `shown` as of `plan_next`."""
    command, state = found.command, found.known.state
    last = _last(state, command, shown)
    return session.plan(found.description, last, only_new=state.asked == table.asked_of(command))


def read_at_once(found: Found, plan: ReadPlan) -> ReadPlan:
    """The plan of a table that is read with others as of one moment, by one worker. Raises UnsupportedSource for a whole one that
    would take several."""
    if plan.splits is None:
        return plan
    if plan.interval.is_changes:
        promise = plan.interval.promise.partition("; read in ")[0]
        return replace(plan, splits=None, interval=plan.interval.model_copy(update={"promise": promise}))
    raise UnsupportedSource(
        f"{found.description.name}: consistentCut: all of its rows are to be read, in {len(plan.splits.ranges)} slices, and "
        "one moment is read by one worker",
        "Load it once without consistentCut, with the other settings as they are: from then on only its changes are read.",
    )


def place(found: Found, plan: ReadPlan) -> tuple[ReadPlan, Footing]:
    """The plan with what its table's loads before make of it, and the state to claim it with."""
    command, description, state = found.command, found.description, found.known.state
    plan, told = within_scope(state, command, description.wanted, plan)
    if plan.nothing:
        return plan, Footing(state)
    refuse_unrefined(state, plan.interval, description.wanted)
    footing = find_footing(state, command, plan.interval, description.name)
    notes = [*plan.interval.notes, *footing.notes, *told]
    return replace(plan, interval=plan.interval.model_copy(update={"notes": notes})), footing


def _plan_keys(found: Found, plan: ReadPlan) -> tuple[ReadPlan, Footing]:
    """The plan of a comparison, which has no place before the loads that it compares with."""
    command, description, state = found.command, found.description, found.known.state
    if not state.seq:
        return replace(
            plan, nothing=Nothing("nothing of the table has been loaded yet, that could be compared", [])
        ), Footing(state)
    footing = find_footing(state, command, plan.interval, description.name)
    if footing.state is not state:
        reason = "the lake holds batches that the watermark table does not know: the table's next load comes before a comparison"
        return replace(plan, nothing=Nothing(reason, list(footing.notes))), Footing(state)
    return plan, footing


def wanted_of(command: IngestTable) -> Wanted:
    """What a command asks of its source."""
    silver, refreshes = command.silver, command.bronze.load_strategy == "full_refresh"
    tracked = isinstance(command.source, SourceTable) and command.source.change_tracking
    follows = refreshes and silver.strategy in ("merge", "scd2") and silver.deletes != "ignore"
    return Wanted(
        read=all_rows_of(command.source) if command.only_keys else command.source,
        bronze_table=command.bronze.table,
        key=tuple(silver.primary_key),
        adds_only=silver.strategy == "append" and not command.source.has_cursor,
        removes_rows=silver.strategy == "replace"
        or follows
        or command.only_keys
        or (tracked and silver.deletes != "ignore"),
        keeps_history=silver.strategy == "scd2",
        follows_changes=tracked or (isinstance(command.source, SourceFiles) and command.source.contract.tells_changes),
        audited=command.bronze.audit_columns,
        only_keys=command.only_keys,
    )


def _known(command: IngestTable, source: Description) -> batch_records.Known:
    """What the watermark table knows of the command."""
    wanted = SourceKey.of(command.connection, *source.parts, command.bronze.table)
    key = str(wanted)
    label = batch_records.label_key(command.bronze.table, command.batch_id)
    known = batch_records.what_is_known(key, command.run_id, label)
    if known.state.version:
        return known
    settled = settled_key(wanted, source.identity.get("database"))
    return known if settled == key else batch_records.what_is_known(settled, command.run_id, label)


def _last(state: table.TableState, command: IngestTable, shown: bool) -> dict[str, LastRead]:
    """What the loads before have left, by cursor; under none, the files that they have taken, and those that they refused."""
    found = {cursor: LastRead(memory=samples) for cursor, samples in state.samples.items()}
    for cursor, mark in state.watermarks.items():
        at, memory = Position(cursor, mark.value, mark.sql_type), state.samples.get(cursor, [])
        found[cursor] = LastRead(at, mark.identity, mark.last_rows, memory)
    last = found.get("", LastRead())
    if isinstance(command.source, SourceFiles):
        refused = partial(file_refusals.refused_versions, state.source_key, command.source.contract_id)
        seen: list[file_ledger.FileEntry] = []
        taken = partial(file_ledger.taken_versions, state, unsettled=seen if shown else None)
        applied = partial(file_ledger.applied_versions, state, seen)
        last = replace(last, files=taken, applied=applied, refused=refused, was_reset=state.generation > 1)
    return found | {"": last}
